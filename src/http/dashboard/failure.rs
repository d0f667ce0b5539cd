//! Errors as pages, for those who look at them with a browser. Everybody else gets them as JSON, as from any other path.

use actix_web::{
    HttpRequest, HttpResponse,
    dev::ServiceResponse,
    http::header::{ACCEPT, CONTENT_SECURITY_POLICY, ContentType, RETRY_AFTER},
};
use askama::Template;

use super::{Frame, POLICY};
use crate::error::{Error, ErrorCode};

#[derive(Template)]
#[template(path = "failure.html")]
struct Page<'a> {
    frame: Frame,
    what: &'a str,
    message: &'a str,
    request_id: &'a str,
}

/// The page in place of an answer, where it is an error of the dashboard's and the client is a browser.
pub(in crate::http) fn page<B>(answer: &ServiceResponse<B>, request_id: &str) -> Option<HttpResponse> {
    let request = answer.request();
    if !request.path().starts_with("/admin/dashboard") || !wants_html(request) {
        return None;
    }
    let error: &Error = answer.response().error()?.as_error()?;
    let what = match error.code() {
        ErrorCode::Unauthorized => "Sign in",
        ErrorCode::Forbidden => "Not allowed",
        ErrorCode::NotFound => "Not found",
        ErrorCode::Conflict => "Not done",
        ErrorCode::DatabaseBusy | ErrorCode::Maintenance => "Busy",
        ErrorCode::InternalError => "A fault of the bus",
        ErrorCode::RateLimited | ErrorCode::LimitExceeded => "Too often",
        _ => "Not understood",
    };
    let frame = Frame::bare(what);
    let text = Page { frame, what, message: error.message(), request_id }.render().ok()?;
    let mut page = HttpResponse::build(answer.status());
    page.insert_header(ContentType::html()).insert_header((CONTENT_SECURITY_POLICY, POLICY));
    if let Some(seconds) = error.seconds_to_wait() {
        page.insert_header((RETRY_AFTER, seconds));
    }
    Some(page.body(text))
}

fn wants_html(request: &HttpRequest) -> bool {
    let accepts = |value: &str| value.split(',').any(|kind| kind.trim().starts_with("text/html"));
    request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(accepts)
}
