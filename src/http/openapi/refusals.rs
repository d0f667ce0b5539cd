//! Refusals: which codes a route's access brings with it, and each set of codes as a response.

use intent_bus_protocol::errors::ErrorCode::{self, *};
use serde_json::{Value, json};

use crate::http::routes::{Access, is_probe};

/// What any request to a route may be refused with, whatever its handler does.
pub(super) fn common(access: Access, path: &str) -> Vec<ErrorCode> {
    let mut codes = vec![InvalidRequest, MethodNotAllowed, UnsupportedMediaType, InternalError];
    if !is_probe(path) {
        codes.push(HttpsRequired);
    }
    codes.extend_from_slice(match access {
        Access::Open => &[],
        Access::Client => &[Unauthorized, InvalidSignature, PayloadTooLarge, RateLimited, Maintenance, DatabaseBusy],
        Access::Admin | Access::Metrics => &[Unauthorized, Forbidden, InvalidSignature, PayloadTooLarge, DatabaseBusy],
    });
    codes
}

/// The codes that a text names in back quotes.
pub(super) fn named_in(text: &str) -> impl Iterator<Item = ErrorCode> {
    ErrorCode::ALL.into_iter().filter(move |code| text.contains(&format!("`{code}`")))
}

/// Codes of one status as a reusable response.
pub(super) fn response(codes: &[ErrorCode], headers: Value) -> Value {
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let lines: Vec<String> = codes.iter().map(|&code| format!("- `{code}`: {}", meaning(code))).collect();
    let schema = json!({"allOf": [
        {"$ref": "#/components/schemas/ErrorBody"},
        {"properties": {"error": {"properties": {"code": {"enum": names}}}}},
    ]});
    json!({
        "description": lines.join("\n"),
        "headers": headers,
        "content": {"application/json": {"schema": schema}},
    })
}

fn meaning(code: ErrorCode) -> &'static str {
    match code {
        Unauthorized => "no key or token, or one that is unknown or revoked.",
        Forbidden => "the key is good but does not reach this far.",
        InvalidSignature => "a stale timestamp, a used nonce, a wrong digest, or a header of a signed request is missing.",
        HttpsRequired => "this bus takes HTTPS only.",
        InvalidJson => "the body is not JSON.",
        InvalidRequest => "a value is missing, of the wrong type or out of range.",
        InvalidPayload => "the payload, result or value is missing, of the wrong kind or nested too deeply.",
        InvalidNamespace => "not a namespace's name.",
        InvalidGoal => "the goal is missing, blank or too long.",
        InvalidTargetWorker => "not a worker's name.",
        InvalidRequiredCapability => "not a capability's name.",
        PayloadTooLarge => "more bytes than this bus takes.",
        Conflict => "not in this state; or, under protocol 1.1, the idempotency key was used with another body.",
        IdempotencyConflict => "protocol 2.1: the idempotency key was used with another body.",
        NotFound => "no such thing, or the claim is over.",
        MethodNotAllowed => "the path takes another method, see `Allow`.",
        UnsupportedMediaType => "the body has a `Content-Encoding`.",
        RateLimited => "too many requests in this minute.",
        LimitExceeded => "too many unfinished intents.",
        Maintenance => "the operator has paused the bus.",
        DatabaseBusy => "the database did not answer in time.",
        _ => "a fault of the bus; its log has it under the request id.",
    }
}
