//! Forms that operators send: read only when they come from a page of ours.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, LOCATION},
    },
};
use intent_bus_protocol::canonical;

use super::seal::GoodToken;
use crate::{
    app::State,
    error::{Error, Result},
    http::auth::{AdminRequest, same_site},
};

/// The name of the hidden field with the token.
const TOKEN: &str = "token";

/// The fields of a form. A field that is left empty counts like one that is not there.
pub(super) struct Form {
    fields: Vec<(String, String)>,
    /// Its token.
    pub token: GoodToken,
}

impl Form {
    /// Reads a form.
    ///
    /// # Errors
    /// `forbidden` when it was sent by another site's page or without a good token; `invalid_request` when it is no form.
    pub(super) fn read(http: &HttpRequest, request: &AdminRequest, state: &State) -> Result<Self> {
        same_site(http)?;
        let kind = http.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let text = std::str::from_utf8(&request.body).ok();
        let fields = text
            .filter(|_| kind.starts_with("application/x-www-form-urlencoded"))
            .and_then(|text| canonical::query_pairs(&format!("?{text}")).ok())
            .ok_or_else(|| Error::invalid("Send the form as application/x-www-form-urlencoded, in UTF-8."))?;
        // Postgres has no text with a zero in it.
        if fields.iter().any(|(_, value)| value.contains('\0')) {
            return Err(Error::invalid("A field holds a character that is no text. Type it anew."));
        }
        let given = fields.iter().find(|(name, _)| name == TOKEN).map(|(_, token)| token.as_str());
        Ok(Self { token: state.seal.check_form(given)?, fields })
    }

    /// What a field holds, without white space around it. None: nothing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Everything that the fields of this name hold.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(field, _)| field == name)
            .map(|(_, value)| value.trim())
            .filter(|v| !v.is_empty())
    }
}

/// Leads to a page that says what was done. Asked for again, it does nothing again.
pub(super) fn done(state: &State, path: &str, text: &str) -> HttpResponse {
    let joint = if path.contains('?') { '&' } else { '?' };
    HttpResponse::build(StatusCode::SEE_OTHER)
        .insert_header((LOCATION, format!("{path}{joint}note={}", state.seal.note(text))))
        .finish()
}
