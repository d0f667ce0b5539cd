//! Adds to the described operations what many have in common, by the route table.

use intent_bus_protocol::errors::ErrorCode;
use serde_json::{Map, Value, json};

use super::{
    components::{self, OF_A_SIGNATURE, ON_ANY_REQUEST, ON_EVERY_ANSWER},
    documented_path, links, refusals, together,
};
use crate::http::routes::{Access, ROUTES, Route};

/// Routes whose requests may carry an idempotency key.
const IDEMPOTENT: [&str; 3] = ["/intent", "/intents", "/set/{key:.*}"];

/// The document as it is served.
pub(super) fn complete(described: &utoipa::openapi::OpenApi) -> Value {
    let mut document = json!(described);
    let mut responses = Map::new();
    for route in ROUTES {
        let method = route.method.to_lowercase();
        let operation = &mut document["paths"][documented_path(route.path)][method];
        if operation.is_object() {
            add_parameters(operation, route);
            mend_body(operation);
            operation["security"] = security(route.access);
            add_responses(operation, route, &mut responses);
        }
    }
    let shared = &mut document["components"];
    together::complete(&mut shared["schemas"]);
    shared["responses"] = Value::Object(responses);
    shared["headers"] = components::headers();
    shared["parameters"] = components::parameters();
    shared["securitySchemes"] = components::security_schemes();
    document
}

fn add_parameters(operation: &mut Value, route: &Route) {
    let mut names: Vec<&str> =
        ["id", "key", "number"].into_iter().filter(|name| route.path.contains(&format!("{{{name}"))).collect();
    if IDEMPOTENT.contains(&route.path) {
        names.push("Idempotency-Key");
    }
    names.extend(ON_ANY_REQUEST);
    if route.access != Access::Open {
        names.extend(OF_A_SIGNATURE);
    }
    let common = names.iter().map(|name| refer_to("parameters", name));
    let own = operation["parameters"].as_array().cloned().unwrap_or_default();
    operation["parameters"] = own.into_iter().chain(common).collect();
}

/// A body that may be missing is described as one that may be null, which none may.
fn mend_body(operation: &mut Value) {
    let Some(body) = operation.get_mut("requestBody") else { return };
    let schema = &mut body["content"]["application/json"]["schema"];
    let optional = schema["oneOf"].as_array().filter(|either| either.contains(&json!({"type": "null"}))).cloned();
    if let Some(either) = &optional {
        *schema = either.iter().find(|schema| schema.get("$ref").is_some()).cloned().unwrap_or_default();
    }
    body["required"] = json!(optional.is_none());
}

fn security(access: Access) -> Value {
    match access {
        Access::Open => json!([]),
        Access::Client(_) => json!([{"api_key": []}]),
        Access::Admin => json!([{"admin_token": []}, {"dashboard": []}, {"api_key": []}]),
        Access::Metrics => json!([{"metrics_token": []}, {"admin_token": []}, {"dashboard": []}, {"api_key": []}]),
    }
}

/// Gives the described answers their headers, and makes responses of the codes: those that the handler's description names and
/// those that the route's access brings with it.
fn add_responses(operation: &mut Value, route: &Route, shared: &mut Map<String, Value>) {
    let mut codes = refusals::common(route.access, route.path);
    let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    responses.retain(|status, response| {
        let is_refusal = status.starts_with(['4', '5']);
        if is_refusal {
            codes.extend(refusals::named_in(response["description"].as_str().unwrap_or_default()));
        } else {
            response["headers"] = headers(status.parse().unwrap_or_default(), route);
            let links = links::of(&name, status);
            if !links.is_empty() {
                response["links"] = Value::Object(links);
            }
        }
        !is_refusal
    });
    let mut statuses: Vec<u16> = codes.iter().map(|code| code.http_status()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let of_status: Vec<ErrorCode> =
            ErrorCode::ALL.into_iter().filter(|code| code.http_status() == status && codes.contains(code)).collect();
        let mut name = status.to_string();
        name.extend(of_status.iter().map(|code| format!(".{code}")));
        name.extend(special_header(status, route).map(|header| format!(".{header}")));
        responses.insert(status.to_string(), refer_to("responses", &name));
        shared.insert(name, refusals::response(&of_status, &headers(status, route)));
    }
}

fn special_header(status: u16, route: &Route) -> Option<&'static str> {
    match status {
        204 | 429 | 503 => Some("Retry-After"),
        405 => Some("Allow"),
        401 if route.access == Access::Admin => Some("WWW-Authenticate"),
        _ => None,
    }
}

fn headers(status: u16, route: &Route) -> Value {
    let waited = (route.path == "/claim" && status < 300).then_some("Preference-Applied");
    let all = ON_EVERY_ANSWER.into_iter().chain(special_header(status, route)).chain(waited);
    all.map(|name| (name.to_owned(), refer_to("headers", name))).collect()
}

fn refer_to(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}
