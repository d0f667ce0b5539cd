//! The one error type: a stable code, a message for the user, and what only the log may see. It knows nothing of HTTP;
//! `http::error` turns it into an answer.

use std::{borrow::Cow, fmt};

pub use intent_bus_protocol::errors::ErrorCode;

/// What went wrong, for the caller and, apart from that, for the log.
pub struct Error {
    code: ErrorCode,
    message: Cow<'static, str>,
    retry_after: Option<u32>,
    internal: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A result whose error can be shown to the caller.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that the caller can do something about. The message says what.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after: None, internal: None }
    }

    /// A value of the request is missing or wrong.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message)
    }

    /// There is no such thing, or not for this caller.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// The caller is known but may not do this.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }

    /// The signature, or what belongs to it, does not hold.
    pub fn bad_signature(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidSignature, message)
    }

    /// The database did not answer in time or went away. Nothing was done, or what was done will be found again.
    pub fn busy(internal: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ErrorCode::DatabaseBusy, "The database is busy or away. Try again shortly.")
            .retry_after(1)
            .because(internal)
    }

    /// A fault of the bus itself.
    pub fn fault(internal: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ErrorCode::InternalError, "The bus has met a fault of its own. The log has it under this request id.")
            .because(internal)
    }

    /// Tells the caller to come back after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Keeps what only the log may see.
    #[must_use]
    pub fn because(mut self, internal: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.internal = Some(internal.into());
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The message for the caller.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Seconds after which the caller may try again, where that helps.
    #[must_use]
    pub fn seconds_to_wait(&self) -> Option<u32> {
        self.retry_after
    }

    /// The cause, if it is of this kind.
    #[must_use]
    pub fn cause<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.internal.as_deref()?.downcast_ref()
    }

    /// The cause, for the log, with the causes behind it.
    #[must_use]
    pub fn internal(&self) -> Option<String> {
        let mut cause: &dyn std::error::Error = self.internal.as_deref()?;
        let mut text = cause.to_string();
        while let Some(behind) = cause.source() {
            text.push_str(": ");
            text.push_str(&behind.to_string());
            cause = behind;
        }
        Some(text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        self.internal().map_or(Ok(()), |internal| write!(f, " ({internal})"))
    }
}

impl std::error::Error for Error {}
