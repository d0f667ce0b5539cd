//! The codes of the errors a client can meet, and the HTTP status of each.
//!
//! Clients branch on the code, so a code that was published never changes its meaning or its status. Messages, and the
//! question which fault gets which code, belong to the server.

use std::fmt;

/// The `code` of an error answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// No key, or one that is unknown, revoked or expired.
    Unauthorized,
    /// The key is good but does not reach this far.
    Forbidden,
    /// A strict request with a stale timestamp, a used nonce, a wrong digest or a header missing.
    InvalidSignature,
    /// The bus is set to refuse plain HTTP.
    HttpsRequired,
    /// The body is not JSON.
    InvalidJson,
    /// A field is missing, of the wrong type or out of range, and no narrower code fits.
    InvalidRequest,
    /// The payload or result is of the wrong kind or nested too deeply.
    InvalidPayload,
    /// The namespace is not a valid name.
    InvalidNamespace,
    /// The goal is empty or too long.
    InvalidGoal,
    /// The target worker is not a valid name.
    InvalidTargetWorker,
    /// The required capability is not a valid name.
    InvalidRequiredCapability,
    /// The body is larger than the bus takes.
    PayloadTooLarge,
    /// Protocol 1.1: the idempotency key was used with another body.
    Conflict,
    /// Protocol 2.1: the idempotency key was used with another body.
    IdempotencyConflict,
    /// No such path, intent or value; or the claim is over.
    NotFound,
    /// The path exists, but not for this method.
    MethodNotAllowed,
    /// The body is encoded in a way that the bus does not decode.
    UnsupportedMediaType,
    /// Too many requests in this minute.
    RateLimited,
    /// Too many unfinished intents.
    LimitExceeded,
    /// The operator has paused the bus.
    Maintenance,
    /// The database did not answer in time.
    DatabaseBusy,
    /// A fault of the bus. The request id finds it in the log.
    InternalError,
}

impl ErrorCode {
    /// Every code, in the order of declaration.
    pub const ALL: [Self; 22] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::InvalidSignature,
        Self::HttpsRequired,
        Self::InvalidJson,
        Self::InvalidRequest,
        Self::InvalidPayload,
        Self::InvalidNamespace,
        Self::InvalidGoal,
        Self::InvalidTargetWorker,
        Self::InvalidRequiredCapability,
        Self::PayloadTooLarge,
        Self::Conflict,
        Self::IdempotencyConflict,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::LimitExceeded,
        Self::Maintenance,
        Self::DatabaseBusy,
        Self::InternalError,
    ];

    /// The code as it stands in the answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::InvalidSignature => "invalid_signature",
            Self::HttpsRequired => "https_required",
            Self::InvalidJson => "invalid_json",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidPayload => "invalid_payload",
            Self::InvalidNamespace => "invalid_namespace",
            Self::InvalidGoal => "invalid_goal",
            Self::InvalidTargetWorker => "invalid_target_worker",
            Self::InvalidRequiredCapability => "invalid_required_capability",
            Self::PayloadTooLarge => "payload_too_large",
            Self::Conflict => "conflict",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RateLimited => "rate_limited",
            Self::LimitExceeded => "limit_exceeded",
            Self::Maintenance => "maintenance",
            Self::DatabaseBusy => "database_busy",
            Self::InternalError => "internal_error",
        }
    }

    /// The HTTP status that the code always travels with.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidJson
            | Self::InvalidRequest
            | Self::InvalidPayload
            | Self::InvalidNamespace
            | Self::InvalidGoal
            | Self::InvalidTargetWorker
            | Self::InvalidRequiredCapability => 400,
            Self::Unauthorized => 401,
            Self::Forbidden | Self::InvalidSignature | Self::HttpsRequired => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::IdempotencyConflict => 422,
            Self::RateLimited | Self::LimitExceeded => 429,
            Self::InternalError => 500,
            Self::Maintenance | Self::DatabaseBusy => 503,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_keeps_the_status_it_was_published_with() {
        let published = [
            ("unauthorized", 401),
            ("forbidden", 403),
            ("invalid_signature", 403),
            ("https_required", 403),
            ("invalid_json", 400),
            ("invalid_request", 400),
            ("invalid_payload", 400),
            ("invalid_namespace", 400),
            ("invalid_goal", 400),
            ("invalid_target_worker", 400),
            ("invalid_required_capability", 400),
            ("payload_too_large", 413),
            ("conflict", 409),
            ("idempotency_conflict", 422),
            ("not_found", 404),
            ("method_not_allowed", 405),
            ("unsupported_media_type", 415),
            ("rate_limited", 429),
            ("limit_exceeded", 429),
            ("maintenance", 503),
            ("database_busy", 503),
            ("internal_error", 500),
        ];
        let ours = ErrorCode::ALL.map(|code| (code.as_str(), code.http_status()));
        assert_eq!(ours, published);
    }

    #[test]
    fn a_code_prints_as_it_is_sent() {
        assert_eq!(ErrorCode::RateLimited.to_string(), "rate_limited");
    }
}
