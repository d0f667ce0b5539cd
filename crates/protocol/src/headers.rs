//! The names of the HTTP headers that the protocol gives a meaning to, in lowercase.
//!
//! Headers that HTTP itself defines (`Retry-After`, `Cache-Control`) do not belong here.

/// The caller's key. Required everywhere but on `/`, `/health` and the probes.
pub const API_KEY: &str = "x-api-key";

/// Strict requests: when the request was signed, in whole unix seconds.
pub const TIMESTAMP: &str = "x-timestamp";

/// Strict requests: a text that this key has not used before.
pub const NONCE: &str = "x-nonce";

/// Strict requests: see [`crate::signature`]. Its presence is what makes a request strict.
pub const SIGNATURE: &str = "x-signature";

/// The protocol version that the client declares, and on answers the one it gets: see [`crate::generation`].
pub const INTENT_VERSION: &str = "x-intent-version";

/// Claims: who the worker is, for intents that name a target. Wins over `worker_id` in the query.
pub const WORKER_ID: &str = "x-worker-id";

/// Claims: what the worker can do, separated by commas. Wins over `capabilities` in the query.
pub const WORKER_CAPABILITIES: &str = "x-worker-capabilities";

/// Claims: an id that the client makes for this request. Asked again with it, because the answer was lost, the bus gives the same
/// claims again while their leases last. A bus that does so repeats the id in its answer.
pub const CLAIM_REQUEST_ID: &str = "x-claim-request-id";

/// Makes a repeated publish return the first answer instead of a second intent.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The admin's secret.
pub const ADMIN_TOKEN: &str = "x-admin-token";

/// W3C Trace Context: the trace that a publication belongs to; on the answer to a claim, that of the intent.
pub const TRACEPARENT: &str = "traceparent";

/// A name for one request in logs and answers: the client's if [`crate::names::is_request_id`], else a new one.
pub const REQUEST_ID: &str = "x-request-id";
