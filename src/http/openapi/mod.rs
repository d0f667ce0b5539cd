//! `/openapi.json`: what the bus takes and answers, as an `OpenAPI` 3.1 document, and the page that shows it.
//!
//! Each handler describes what is its own (`#[utoipa::path]`): parameters, body, answers, the codes of its refusals. What
//! many have in common (keys, headers, refusals of every request) is added in `common` by the route's `Access`. A new
//! handler is listed in `Described`; a test compares that list with the route table.

mod common;
mod components;
mod inputs;
mod links;
mod page;
mod refusals;
mod together;

use std::sync::LazyLock;

use actix_web::{HttpResponse, http::header::ContentType};
use bytes::Bytes;
use intent_bus_protocol::wire;
use serde_json::Value;
use utoipa::OpenApi;

pub(super) use self::inputs::{
    ClaimAnswer, ClaimHeaders, ClaimQuery, DeadQuery, ExtendBody, FailBody, FailManyBody, FulfillBody, FulfillManyBody,
    NamespaceName, PageQuery, Scope, SearchQuery, Visibility, WorkersQuery,
};
pub use self::page::configure as configure_docs;
use super::{admin, dashboard, intents, meta, values};

#[derive(OpenApi)]
#[openapi(
    info(title = "Intent Bus", description = include_str!("about.md")),
    tags(
        (name = "publishers", description = "Publish intents and see what becomes of them."),
        (name = "workers", description = "Claim intents and finish them."),
        (name = "values", description = "Small values that clients share for a while."),
        (name = "operators", description = "Search, dead letters, pauses, keys, upkeep."),
        (name = "bus", description = "About the bus itself."),
    ),
    components(schemas(wire::ErrorBody)),
    paths(
        intents::publish::publish,
        intents::publish_many::publish_many,
        intents::status::status,
        intents::result::result,
        intents::claim::claim,
        intents::fulfill::fulfill,
        intents::fulfill_many::fulfill_many,
        intents::fail::fail,
        intents::fail_many::fail_many,
        intents::extend::extend,
        values::set::set,
        values::get::get,
        dashboard::dashboard,
        dashboard::style,
        admin::keys::generate_key,
        admin::keys::revoke_key,
        admin::upkeep::purge,
        admin::upkeep::cleanup,
        admin::keys::list,
        admin::keys::rotate,
        admin::keys::set_scopes,
        admin::keys::revoke_number,
        admin::tenants::set_limits,
        admin::overview::show,
        admin::workers::list,
        admin::audit::list,
        admin::pauses::pause,
        admin::pauses::resume,
        admin::pauses::list,
        admin::search::search,
        admin::intents::show,
        admin::intents::cancel,
        admin::intents::retry,
        admin::dead::list,
        admin::dead::show,
        admin::redrive::redrive,
        meta::index,
        meta::health,
        meta::livez,
        meta::readyz,
        meta::metrics,
        document,
    )
)]
struct Described;

/// The document.
#[must_use]
pub fn build() -> Value {
    common::complete(&Described::openapi())
}

/// A route's path as the document has it: parameters by their name alone.
#[must_use]
pub fn documented_path(pattern: &str) -> String {
    pattern.replace(":.*}", "}")
}

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| build().to_string().into());

/// This document.
///
/// `OpenAPI` 3.1, as JSON. `/docs/` shows it.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "bus",
    responses((status = 200, description = "The document.", body = Value, content_type = "application/json")),
)]
pub async fn document() -> HttpResponse {
    HttpResponse::Ok().insert_header(ContentType::json()).body(DOCUMENT.clone())
}

#[cfg(test)]
mod tests;
