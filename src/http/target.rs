//! The request target, read by the same decoding by which it is signed.

use actix_web::HttpRequest;
use intent_bus_protocol::canonical;

use crate::{
    domain::ids::IntentId,
    error::{Error, Result},
};

/// The target as it stands on the request line.
#[must_use]
pub fn raw(request: &HttpRequest) -> &str {
    request.uri().path_and_query().map_or("/", |target| target.as_str())
}

/// What follows `prefix` in the decoded path.
///
/// # Errors
/// `invalid_request` when it is empty, not UTF-8 or holds a NUL.
pub fn rest(request: &HttpRequest, prefix: &str) -> Result<String> {
    let decoded = canonical::percent_decode(request.uri().path());
    std::str::from_utf8(&decoded)
        .ok()
        .and_then(|path| path.strip_prefix(prefix))
        .filter(|rest| !rest.is_empty() && !rest.contains('\0'))
        .map(str::to_owned)
        .ok_or_else(|| Error::invalid(format!("What follows {prefix} must be UTF-8 text, not empty and without NUL.")))
}

/// The intent that the last segment of the path names.
///
/// # Errors
/// `not_found` when it cannot be an id.
pub fn intent_id(request: &HttpRequest) -> Result<IntentId> {
    request
        .match_info()
        .get("id")
        .and_then(IntentId::parse)
        .ok_or_else(|| Error::not_found("No such intent. An id has 32 hex digits."))
}

/// The query's pairs, each name once.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query.
    ///
    /// # Errors
    /// `invalid_request` when it is not UTF-8 once decoded.
    pub fn of(request: &HttpRequest) -> Result<Self> {
        canonical::query_pairs(raw(request)).map(Self).map_err(|_| Error::invalid("The query is not UTF-8."))
    }

    /// The value of a name.
    ///
    /// # Errors
    /// `invalid_request` when it is given more than once.
    pub fn get(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Error::invalid(format!("{name} must be given once."))),
            (value, None) => Ok(value),
        }
    }
}
