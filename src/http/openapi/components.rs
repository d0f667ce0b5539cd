//! What operations refer to by name: headers of answers, headers and path parameters of requests, kinds of keys.

use intent_bus_protocol::names::REQUEST_ID_PATTERN;
use serde_json::{Value, json};

use crate::http::{auth::IDEMPOTENCY_KEY_MAX, values::get::KEY_MAX};

/// Headers of every answer.
pub(super) const ON_EVERY_ANSWER: [&str; 6] = [
    "X-Frame-Options",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Cache-Control",
    "X-Intent-Version",
    "X-Request-ID",
];

/// Headers that any request may have.
pub(super) const ON_ANY_REQUEST: [&str; 2] = ["X-Request-ID", "X-Intent-Version"];

/// Headers of a signed request.
pub(super) const OF_A_SIGNATURE: [&str; 3] = ["X-Timestamp", "X-Nonce", "X-Signature"];

/// Headers of answers.
pub(super) fn headers() -> Value {
    let text =
        |description: &str, schema: Value| json!({"description": description, "required": true, "schema": schema});
    let always = |value: &str| text("Always the same.", json!({"type": "string", "const": value}));
    json!({
        "X-Frame-Options": always("DENY"),
        "X-Content-Type-Options": always("nosniff"),
        "Referrer-Policy": always("no-referrer"),
        "Cache-Control": always("no-store"),
        "X-Intent-Version": text(
            "The protocol the request was treated by; 7.61 if it declared 7.x.",
            json!({"type": "string", "enum": ["1.1", "2.1", "7.61"]}),
        ),
        "X-Request-ID": text(
            "Finds the request in the log: the client's own id if it is a good one, else a new one.",
            json!({"type": "string", "pattern": REQUEST_ID_PATTERN}),
        ),
        "Retry-After": text("Seconds to wait before the next try.", json!({"type": "integer", "minimum": 1})),
        "Preference-Applied": {
            "description": "`wait=20` if a header `Prefer: wait=20` was followed: for how long, in seconds.",
            "required": false,
            "schema": {"type": "string", "pattern": "^wait=[0-9]{1,2}$"},
        },
        "Allow": text("The methods of this path.", json!({"type": "string", "enum": ["GET, HEAD", "POST"]})),
        "WWW-Authenticate": text(
            "Makes a browser ask for user and password.",
            json!({"type": "string", "const": "Basic realm=\"intent-bus\", charset=\"UTF-8\""}),
        ),
    })
}

/// Parameters of requests.
pub(super) fn parameters() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema});
    let path = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema});
    json!({
        "id": path("id", "The intent's id.", json!({"type": "string", "pattern": "^[0-9A-Fa-f]{32}$"})),
        "number": path("number", "The number of the key or tenant.", json!({"type": "integer", "minimum": 1})),
        "key": path(
            "key",
            "The value's name, private to the tenant: any text without NUL, slashes included.",
            json!({"type": "string", "minLength": 1, "maxLength": KEY_MAX, "pattern": "^[^\\u0000]+$"}),
        ),
        // Any value is taken, so none of these has a pattern: an id that is not a good one is replaced, a version that
        // means nothing counts as none, and the parts of a signature count only where there is one.
        "X-Request-ID": header(
            "X-Request-ID",
            &format!("Your name for this request, `{REQUEST_ID_PATTERN}`. Any other is replaced by a new one."),
            json!({"type": "string"}),
        ),
        "X-Intent-Version": header(
            "X-Intent-Version",
            "The protocol that you speak: 7.x or 2.x for 2.1, 1.x for 1.1. Without it, what this bus is set to.",
            json!({"type": "string"}),
        ),
        "X-Timestamp": header(
            "X-Timestamp",
            "Of a signed request: when it was signed, in whole unix seconds, at most 300 s off the bus's clock.",
            json!({"type": "string"}),
        ),
        "X-Nonce": header(
            "X-Nonce",
            "Of a signed request: 1 to 256 bytes that this key has not used before.",
            json!({"type": "string"}),
        ),
        "X-Signature": header(
            "X-Signature",
            "Of a signed request: its signature, 64 lowercase hex digits. With this header the request counts as signed.",
            json!({"type": "string"}),
        ),
        "Idempotency-Key": header(
            "Idempotency-Key",
            "Makes a repeated request (same key, same JSON, within 24 hours) give the first answer and do nothing more.",
            json!({"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_MAX}),
        ),
    })
}

/// Kinds of keys.
pub(super) fn security_schemes() -> Value {
    json!({
        "api_key": {
            "type": "apiKey", "in": "header", "name": "X-API-KEY",
            "description": "A tenant's key (`tk_…`) or the root key. Under protocol 1.1 the root key opens the operators' paths too.",
        },
        "admin_token": {"type": "apiKey", "in": "header", "name": "X-Admin-Token", "description": "`BUS_ADMIN_SECRET`."},
        "dashboard": {
            "type": "http", "scheme": "basic",
            "description": "User `admin` with `DASHBOARD_PASSWORD`. Requests that change something must come from the bus's own pages.",
        },
        "metrics_token": {"type": "http", "scheme": "bearer", "description": "`BUS_METRICS_TOKEN`."},
    })
}
