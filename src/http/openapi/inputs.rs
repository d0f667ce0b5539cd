//! Inputs that have no struct of their own: what a claim names in its query and headers, and the bodies of fulfil, fail and
//! extend, which are read through one struct though each takes fields of its own.

// Nothing makes values of these types: they stand for their schemas.
#![allow(dead_code, reason = "only the schemas are used")]
#![allow(unused_qualifications, reason = "the derived code has them")]

use intent_bus_protocol::wire;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// What a worker asks for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ClaimQuery {
    /// Only intents of this kind.
    #[param(min_length = 1, max_length = 256, pattern = r"^[^\u0000]*[^\s\u0000][^\u0000]*$")]
    goal: Option<String>,
    /// Only intents of this namespace.
    #[param(pattern = "^[A-Za-z0-9_.-]{1,64}$", default = "default")]
    namespace: Option<String>,
    /// Only intents that this key has published: your own key, or with the root key any.
    publisher: Option<String>,
    /// The worker's name, for intents that name their worker. `X-Worker-ID` goes before it.
    #[param(max_length = 128, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    worker_id: Option<String>,
    /// What the worker can do: at most 32 names, separated by commas. `X-Worker-Capabilities` goes before it.
    #[param(pattern = r"^[ \t]*[A-Za-z0-9_.:-]{0,64}[ \t]*(,[ \t]*[A-Za-z0-9_.:-]{0,64}[ \t]*){0,31}$")]
    capabilities: Option<String>,
    /// As many at most, in a list (also if it is 1). Without it: one, by itself.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i32>,
    /// Seconds to wait for an intent if there is none; not until there are `limit`. `Prefer: wait=20` asks for the same.
    #[param(minimum = 0, maximum = 60, default = 0)]
    wait: Option<i32>,
}

/// The same, as the SDKs send it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct ClaimHeaders {
    /// The worker's name, for intents that name their worker.
    #[param(rename = "X-Worker-ID", nullable = false, max_length = 128, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    worker_id: Option<String>,
    /// What the worker can do: at most 32 names, separated by commas.
    #[param(
        rename = "X-Worker-Capabilities",
        nullable = false,
        pattern = r"^[ \t]*[A-Za-z0-9_.:-]{0,64}[ \t]*(,[ \t]*[A-Za-z0-9_.:-]{0,64}[ \t]*){0,31}$"
    )]
    capabilities: Option<String>,
    /// An id that you make for this request, a new one for each. If its answer was lost, ask again with the same id (and the same
    /// goal, namespace, worker and capabilities): you get the same claims again while their leases last, instead of others. The
    /// answer repeats it.
    #[param(rename = "X-Claim-Request-ID", nullable = false, pattern = "^[A-Za-z0-9_.:-]{1,128}$")]
    claim_request_id: Option<String>,
    /// `wait=20`: seconds to wait for an intent if there is none. The query's `wait` goes before it. What is more than 60
    /// counts as 60, what cannot be read as nothing.
    #[param(rename = "Prefer", nullable = false, example = "wait=20")]
    prefer: Option<String>,
}

/// What an operator searches for. What is empty counts as not given: forms send all their fields.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchQuery {
    /// This one intent.
    #[param(pattern = "^([0-9A-Fa-f]{32})?$")]
    id: Option<String>,
    /// Exactly this goal.
    #[param(max_length = 256, pattern = r"^([^\u0000]*[^\s\u0000][^\u0000]*)?$")]
    goal: Option<String>,
    /// Exactly this namespace.
    #[param(pattern = "^[A-Za-z0-9_.-]{0,64}$")]
    namespace: Option<String>,
    /// Where it stands: `open` (`claimable` or `waiting`: delayed or backing off), `claimed`, `fulfilled`, `dead`. Dead ones come in the
    /// order of their death, once maintenance has buried them.
    #[param(pattern = "^(open|claimable|waiting|claimed|fulfilled|dead)?$", example = "dead")]
    state: Option<String>,
    /// The publisher's number; 0 is root.
    #[param(minimum = 0)]
    tenant: Option<i64>,
    /// The worker of the last claim, by its exact name.
    #[param(max_length = 256, pattern = r"^[^\u0000]*$")]
    worker: Option<String>,
    /// A part of the last error, whatever its case.
    #[param(max_length = 256, pattern = r"^[^\u0000]*$")]
    error: Option<String>,
    /// Published at this moment or later, in unix seconds; with `state=dead`: died.
    #[param(minimum = 0, maximum = 253_402_300_799_i64)]
    since: Option<f64>,
    /// Published before this moment; with `state=dead`: died.
    #[param(minimum = 0, maximum = 253_402_300_799_i64)]
    until: Option<f64>,
    /// Rows of the page, at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// Where the page begins: `next` of the page before it, of this very search.
    #[param(pattern = "^(([0-9]{1,17}-)?[0-9A-Fa-f]{32})?$")]
    before: Option<String>,
}

/// Which dead letters an operator wants to see.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadQuery {
    /// Exactly this goal.
    #[param(max_length = 256, pattern = r"^([^\u0000]*[^\s\u0000][^\u0000]*)?$")]
    goal: Option<String>,
    /// Exactly this namespace.
    #[param(pattern = "^[A-Za-z0-9_.-]{0,64}$")]
    namespace: Option<String>,
    /// The publisher's number; 0 is root.
    #[param(minimum = 0)]
    tenant: Option<i64>,
    /// The worker of the last claim, by its exact name.
    #[param(max_length = 256, pattern = r"^[^\u0000]*$")]
    worker: Option<String>,
    /// A part of the reason, whatever its case.
    #[param(max_length = 256, pattern = r"^[^\u0000]*$")]
    error: Option<String>,
    /// Died at this moment or later, in unix seconds.
    #[param(minimum = 0, maximum = 253_402_300_799_i64)]
    since: Option<f64>,
    /// Died before this moment.
    #[param(minimum = 0, maximum = 253_402_300_799_i64)]
    until: Option<f64>,
    /// Rows of the page, at most.
    #[param(minimum = 1, maximum = 200, default = 100)]
    limit: Option<i64>,
    /// Where the page begins, as the header `Link` of the page before it has it.
    #[param(pattern = "^([0-9]{1,17}-[0-9A-Fa-f]{32})?$")]
    before: Option<String>,
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Rows of the page, at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// Where the page begins: `next` of the page before it.
    #[param(pattern = "^[0-9]{0,18}$")]
    before: Option<String>,
}

/// Which page of the workers.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WorkersQuery {
    /// Rows of the page, at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// Where the page begins: `next` of the page before it.
    #[param(pattern = r"^([0-9]{1,17}~[0-9]{1,18}~[^~\u0000]*~[^\u0000]*)?$")]
    before: Option<String>,
}

/// What a claim brings.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum ClaimAnswer {
    /// Without `limit`.
    One(wire::Claimed),
    /// With `limit`.
    Many(wire::ClaimedMany),
}

/// Who may claim an intent.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Visibility {
    /// Workers of the publisher's key.
    Private,
    /// Any worker.
    Public,
}

/// What a key may be used for.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// Publishing intents.
    Publish,
    /// Claiming intents and finishing them.
    Work,
    /// Looking at intents and results.
    Read,
    /// Small values.
    Values,
}

/// A namespace's name.
#[derive(ToSchema)]
#[schema(pattern = "^[A-Za-z0-9_.-]{1,64}$")]
pub(crate) struct NamespaceName(String);

/// The work is done. Without a result, and under protocol 1.1 without a token, there may be no body.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum FulfillBody {
    /// The result is any JSON.
    Json(JsonResult),
    /// The result is a string that is meant as such.
    Text(TextResult),
}

/// A result that is any JSON.
#[derive(ToSchema)]
pub(crate) struct JsonResult {
    /// The token of the claim. Required under protocol 2.1.
    claim_token: Option<String>,
    /// What the work brought; it goes to the publisher byte for byte. `null` is a result.
    #[schema(value_type = Option<Value>)]
    result: Option<Value>,
    #[schema(inline)]
    result_type: Option<Json>,
}

/// A result that is text.
#[derive(ToSchema)]
pub(crate) struct TextResult {
    /// The token of the claim. Required under protocol 2.1.
    claim_token: Option<String>,
    /// What the work brought.
    #[schema(nullable = false)]
    result: Option<String>,
    #[schema(inline)]
    result_type: Text,
}

/// As JSON.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
enum Json {
    Json,
}

/// As the string itself.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
enum Text {
    Text,
}

/// This attempt has failed. Under protocol 1.1 there may be no body.
#[derive(ToSchema)]
pub(crate) struct FailBody {
    /// The token of the claim. Required under protocol 2.1.
    claim_token: Option<String>,
    /// Why, for people to read. Kept to 500 characters; what is not a string is kept as its JSON.
    #[schema(value_type = Option<Value>)]
    error: Option<Value>,
}

/// The work takes longer.
#[derive(ToSchema)]
pub(crate) struct ExtendBody {
    /// The token of the claim. Required under protocol 2.1.
    claim_token: Option<String>,
    /// The lease ends this many seconds later than it would have.
    #[schema(minimum = 10, maximum = 3600)]
    seconds: i32,
}

/// Pieces of work that are done.
#[derive(ToSchema)]
pub(crate) struct FulfillManyBody {
    /// 1 to 1,000 of them.
    #[schema(min_items = 1, max_items = 1000)]
    claims: Vec<FulfilledClaim>,
}

/// A claim to be fulfilled.
#[derive(ToSchema)]
pub(crate) struct FulfilledClaim {
    /// The intent's id.
    id: String,
    #[serde(flatten)]
    #[schema(inline)]
    body: FulfillBody,
}

/// Attempts that have failed.
#[derive(ToSchema)]
pub(crate) struct FailManyBody {
    /// 1 to 1,000 of them.
    #[schema(min_items = 1, max_items = 1000)]
    claims: Vec<FailedClaim>,
}

/// A claim to be failed.
#[derive(ToSchema)]
pub(crate) struct FailedClaim {
    /// The intent's id.
    id: String,
    /// The token of the claim. Required under protocol 2.1.
    claim_token: Option<String>,
    /// Why, for people to read. Kept to 500 characters; what is not a string is kept as its JSON.
    #[schema(value_type = Option<Value>)]
    error: Option<Value>,
}
