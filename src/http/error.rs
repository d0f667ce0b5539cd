//! The one place where an error becomes an answer.

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{
        StatusCode,
        header::{self, ContentType},
    },
};
use serde_json::json;

use crate::error::{Error, ErrorCode};

/// An error as the log line and the span have it, left with the answer for them.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// Its code.
    pub(super) code: ErrorCode,
    /// What only the log may see.
    pub(super) cause: Option<String>,
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut answer = HttpResponse::build(self.status_code());
        answer.insert_header(ContentType::json());
        if let Some(seconds) = self.seconds_to_wait() {
            answer.insert_header((header::RETRY_AFTER, seconds));
        }
        // The connection is not used again where the rest of a request may still be on its way.
        if [ErrorCode::PayloadTooLarge, ErrorCode::UnsupportedMediaType].contains(&self.code()) {
            answer.force_close();
        }
        let body = json!({"error": {"code": self.code().as_str(), "message": self.message()}});
        let mut answer = answer.body(body.to_string());
        answer.extensions_mut().insert(Refused { code: self.code(), cause: self.internal() });
        answer
    }
}
