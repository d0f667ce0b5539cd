//! `GET /result/{id}`: where an intent stands, and its result.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::wire;
use serde_json::value::RawValue;

use super::{may_see_result, status_of, visible};
use crate::{
    domain::intent::State,
    error::{Error, Result},
    http::{Shared, auth::ClientRequest, ok, target},
};

/// Shows the result of an intent, byte for byte, to its publisher, its last claimer and root.
#[utoipa::path(
    get,
    path = "/result/{id}",
    tag = "publishers",
    responses(
        (status = 200, description = "Where it stands, and its result once there is one.", body = wire::IntentResult),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn result(state: Shared, http: HttpRequest, request: ClientRequest) -> Result<HttpResponse> {
    let seen = state.store.find_for(&request.admission, target::intent_id(&http)?).await?;
    let seen = visible(&request.caller, seen, |seen| may_see_result(&request.caller, seen))?;
    let status = status_of(&seen);
    let (result, result_type) = match seen.result {
        Some((bytes, kind)) => {
            let text = String::from_utf8(bytes).map_err(Error::fault)?;
            (Some(RawValue::from_string(text).map_err(Error::fault)?), Some(kind))
        }
        None => (None, None),
    };
    let error = if seen.state == State::Fulfilled { None } else { seen.last_error };
    ok(&wire::IntentResult { status, result, result_type, error })
}
