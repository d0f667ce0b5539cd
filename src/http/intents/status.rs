//! `GET /status/{id}`: where an intent stands.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::wire;

use super::{may_see_result, status_of, visible};
use crate::{
    error::Result,
    http::{Shared, auth::ClientRequest, ok, target},
};

/// Shows where an intent stands, to its publisher, its last claimer, root, and if it is public to everybody.
#[utoipa::path(
    get,
    path = "/status/{id}",
    tag = "publishers",
    responses(
        (status = 200, description = "Where it stands.", body = wire::IntentStatus),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn status(state: Shared, http: HttpRequest, request: ClientRequest) -> Result<HttpResponse> {
    let seen = state.store.find_for(&request.admission, target::intent_id(&http)?).await?;
    let seen = visible(&request.caller, seen, |seen| seen.public || may_see_result(&request.caller, seen))?;
    ok(&status_of(&seen))
}
