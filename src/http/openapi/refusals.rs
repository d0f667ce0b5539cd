//! Refusals: which codes a route's access brings with it, and each set of codes as a response.

use intent_bus_protocol::errors::ErrorCode as Code;
use serde_json::{Value, json};

use crate::http::routes::{Access, is_probe};

/// What any request to a route may be refused with, whatever its handler does.
pub(super) fn common(access: Access, path: &str) -> Vec<Code> {
    let mut codes = vec![Code::InvalidRequest, Code::MethodNotAllowed, Code::UnsupportedMediaType, Code::InternalError];
    if !is_probe(path) {
        codes.push(Code::HttpsRequired);
    }
    codes.extend_from_slice(match access {
        Access::Open => &[],
        Access::Client(_) => &[
            Code::Unauthorized,
            Code::Forbidden,
            Code::InvalidSignature,
            Code::PayloadTooLarge,
            Code::RateLimited,
            Code::Maintenance,
            Code::DatabaseBusy,
        ],
        Access::Admin | Access::Metrics => {
            &[Code::Unauthorized, Code::Forbidden, Code::InvalidSignature, Code::PayloadTooLarge, Code::DatabaseBusy]
        }
    });
    codes
}

/// The codes that a text names in back quotes.
pub(super) fn named_in(text: &str) -> impl Iterator<Item = Code> {
    Code::ALL.into_iter().filter(move |code| text.contains(&format!("`{code}`")))
}

/// Codes of one status as a reusable response.
pub(super) fn response(codes: &[Code], headers: &Value) -> Value {
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

fn meaning(code: Code) -> &'static str {
    match code {
        Code::Unauthorized => "no key or token, or one that is unknown, revoked or expired.",
        Code::Forbidden => "the key is good but does not reach this far.",
        Code::InvalidSignature => {
            "a stale timestamp, a used nonce, a wrong digest, or a header of a signed request is missing."
        }
        Code::HttpsRequired => "this bus takes HTTPS only.",
        Code::InvalidJson => "the body is not JSON.",
        Code::InvalidRequest => "a value is missing, of the wrong type or out of range.",
        Code::InvalidPayload => "the payload, result or value is missing, of the wrong kind or nested too deeply.",
        Code::InvalidNamespace => "not a namespace's name.",
        Code::InvalidGoal => "the goal is missing, blank or too long.",
        Code::InvalidTargetWorker => "not a worker's name.",
        Code::InvalidRequiredCapability => "not a capability's name.",
        Code::PayloadTooLarge => "more bytes than this bus takes.",
        Code::Conflict => "not in this state; or, under protocol 1.1, the idempotency key was used with another body.",
        Code::IdempotencyConflict => "protocol 2.1: the idempotency key was used with another body.",
        Code::NotFound => "no such thing, or the claim is over.",
        Code::MethodNotAllowed => "the path takes another method, see `Allow`.",
        Code::UnsupportedMediaType => "the body has a `Content-Encoding`.",
        Code::RateLimited => "too many requests in this minute.",
        Code::LimitExceeded => "too many unfinished intents.",
        Code::Maintenance => "the operator has paused the bus.",
        Code::DatabaseBusy => "the database did not answer in time.",
        _ => "a fault of the bus; its log has it under the request id.",
    }
}
