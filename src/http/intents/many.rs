//! What requests for many things have in common.

use intent_bus_protocol::{json, limits, wire};
use serde_json::value::RawValue;

use crate::{
    error::{Error, Result},
    http::body::given,
};

/// The elements of a list, untouched. One at least, and no more than one request may have.
pub(super) fn elements<'a>(field: Option<&'a RawValue>, name: &str) -> Result<Vec<&'a RawValue>> {
    let wrong = || {
        let (least, most) = (limits::BATCH.start(), limits::BATCH.end());
        Error::invalid(format!("{name} must be a list of {least} to {most} objects."))
    };
    let list = given(field).ok_or_else(wrong)?;
    let elements: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(|_| wrong())?;
    let fits = i32::try_from(elements.len()).is_ok_and(|count| limits::BATCH.contains(&count));
    if fits && elements.iter().all(|element| json::is_object(element.get())) { Ok(elements) } else { Err(wrong()) }
}

/// What went wrong with one of them, for the answer.
pub(super) fn detail(error: &Error) -> wire::ErrorDetail {
    if let Some(cause) = error.internal() {
        tracing::error!(%error, cause, "one of many");
    }
    wire::ErrorDetail { code: error.code().as_str().to_owned(), message: error.message().to_owned() }
}
