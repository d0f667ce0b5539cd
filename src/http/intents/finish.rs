//! What fulfil, fail and extend have in common: the claim that they say they hold.

use actix_web::HttpRequest;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    domain::ids::ClaimToken,
    error::{Error, ErrorCode, Result},
    http::{
        auth::ClientRequest,
        body::{self, text},
        target,
    },
    store::intents::finish::HeldClaim,
};

/// The body of a finish, its values untouched. Other fields are ignored.
#[derive(Default, Deserialize)]
pub(super) struct Body<'a> {
    #[serde(borrow, default)]
    claim_token: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) result: body::Present<'a>,
    #[serde(borrow, default)]
    pub(super) result_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) seconds: Option<&'a RawValue>,
}

/// Reads the body, which old clients leave out, and the claim that it names.
pub(super) fn read<'a>(http: &HttpRequest, request: &'a ClientRequest) -> Result<(HeldClaim, Body<'a>)> {
    let body: Body<'_> = if request.body.is_empty() { Body::default() } else { body::object(&request.body)? };
    let token = text(body.claim_token, "claim_token", ErrorCode::InvalidRequest)?;
    if token.is_none() && request.declared.token_required_to_finish() {
        return Err(Error::invalid("Missing claim_token."));
    }
    let id = target::intent_id(http)?;
    Ok((HeldClaim { id, tenant: request.caller.tenant, token: token.as_deref().map(ClaimToken::hash_of) }, body))
}
