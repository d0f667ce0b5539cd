//! What fulfil, fail and extend have in common: the claim that they say they hold.

use actix_web::HttpRequest;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::many::elements;
use crate::{
    domain::ids::{ClaimToken, IntentId},
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
    id: Option<&'a RawValue>,
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
    Ok((held(request, target::intent_id(http)?, &body)?, body))
}

/// The body of a finish of many claims.
#[derive(Deserialize)]
struct Many<'a> {
    #[serde(borrow, default)]
    claims: Option<&'a RawValue>,
}

/// A claim that a request for many names, with its part of the body.
pub(super) type Named<'a> = (String, Result<(HeldClaim, Body<'a>)>);

/// Reads the claims of a request for many: the id as it was sent, and what is to be done.
pub(super) fn read_many(request: &ClientRequest) -> Result<Vec<Named<'_>>> {
    let body: Many<'_> = body::object(&request.body)?;
    elements(body.claims, "claims")?.into_iter().map(|element| read_one(request, element)).collect()
}

fn read_one<'a>(request: &'a ClientRequest, element: &'a RawValue) -> Result<Named<'a>> {
    let body: Body<'_> = body::object(element.get().as_bytes())?;
    let sent = text(body.id, "id", ErrorCode::InvalidRequest)?
        .ok_or_else(|| Error::invalid("Each of claims must have the id of its intent."))?;
    let id = IntentId::parse(&sent).ok_or_else(|| Error::not_found("No such intent. An id has 32 hex digits."));
    let held = id.and_then(|id| Ok((held(request, id, &body)?, body)));
    Ok((sent, held))
}

fn held(request: &ClientRequest, id: IntentId, body: &Body<'_>) -> Result<HeldClaim> {
    let token = text(body.claim_token, "claim_token", ErrorCode::InvalidRequest)?;
    // Without a token any claim of the tenant could be finished, in namespaces beyond the key's reach as well.
    if token.is_none() && (request.declared.token_required_to_finish() || !request.caller.reaches.is_everywhere()) {
        return Err(Error::invalid("Missing claim_token."));
    }
    Ok(HeldClaim { id, tenant: request.caller.tenant, token: token.as_deref().map(ClaimToken::hash_of) })
}
