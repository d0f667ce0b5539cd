//! Which answer leads to which request: what a publisher, a worker or an operator does next.

use serde_json::{Map, Value, json};

/// From an operation's answer to the next operation.
struct Link {
    from: (&'static str, &'static str),
    to: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    body: &'static [(&'static str, &'static str)],
}

const ID: &[(&str, &str)] = &[("id", "$response.body#/id")];
const FIRST_ID: &[(&str, &str)] = &[("id", "$response.body#/outcomes/0/id")];
const NUMBER: &[(&str, &str)] = &[("number", "$response.body#/id")];
const TOKEN: &[(&str, &str)] = &[("claim_token", "$response.body#/claim_token")];

/// None from the first of a list that may be empty: it would lead nowhere then.
const LINKS: &[Link] = &[
    Link { from: ("publish", "201"), to: "status", parameters: ID, body: &[] },
    Link { from: ("publish", "201"), to: "result", parameters: ID, body: &[] },
    Link { from: ("publish", "201"), to: "show_intent", parameters: ID, body: &[] },
    Link { from: ("publish", "201"), to: "cancel_intent", parameters: ID, body: &[] },
    Link {
        from: ("publish", "201"),
        to: "claim",
        parameters: &[("goal", "$request.body#/goal"), ("namespace", "$response.body#/namespace")],
        body: &[],
    },
    Link { from: ("publish_many", "200"), to: "status", parameters: FIRST_ID, body: &[] },
    Link { from: ("publish_many", "200"), to: "result", parameters: FIRST_ID, body: &[] },
    Link { from: ("claim", "200"), to: "fulfill", parameters: ID, body: TOKEN },
    Link { from: ("claim", "200"), to: "fail", parameters: ID, body: TOKEN },
    Link { from: ("claim", "200"), to: "extend", parameters: ID, body: TOKEN },
    Link { from: ("fulfill", "200"), to: "result", parameters: ID, body: &[] },
    Link { from: ("fail", "200"), to: "status", parameters: ID, body: &[] },
    Link { from: ("fulfill_many", "200"), to: "result", parameters: FIRST_ID, body: &[] },
    Link { from: ("fail_many", "200"), to: "status", parameters: FIRST_ID, body: &[] },
    Link { from: ("extend", "200"), to: "status", parameters: ID, body: &[] },
    Link { from: ("cancel_intent", "200"), to: "show_dead_letter", parameters: ID, body: &[] },
    Link { from: ("cancel_intent", "200"), to: "retry_intent", parameters: ID, body: &[] },
    Link { from: ("set_value", "200"), to: "get_value", parameters: &[("key", "$request.path.key")], body: &[] },
    Link { from: ("generate_key", "201"), to: "rotate_key", parameters: NUMBER, body: &[] },
    Link { from: ("generate_key", "201"), to: "set_scopes", parameters: NUMBER, body: &[] },
    Link { from: ("generate_key", "201"), to: "revoke_key_by_number", parameters: NUMBER, body: &[] },
    Link {
        from: ("generate_key", "201"),
        to: "set_limits",
        parameters: &[("number", "$response.body#/tenant")],
        body: &[],
    },
    Link { from: ("rotate_key", "201"), to: "revoke_key_by_number", parameters: NUMBER, body: &[] },
    Link {
        from: ("generate_key", "201"),
        to: "revoke_key",
        parameters: &[],
        body: &[("api_key", "$response.body#/api_key")],
    },
];

/// The links of one answer of an operation.
pub(super) fn of(operation: &str, status: &str) -> Map<String, Value> {
    let links = LINKS.iter().filter(|link| link.from == (operation, status));
    links.map(|link| (link.to.to_owned(), describe(link))).collect()
}

fn describe(link: &Link) -> Value {
    let object =
        |pairs: &[(&str, &str)]| pairs.iter().map(|&(name, value)| (name.to_owned(), json!(value))).collect::<Value>();
    let mut described = json!({"operationId": link.to});
    for (name, pairs) in [("parameters", link.parameters), ("requestBody", link.body)] {
        if !pairs.is_empty() {
            described[name] = object(pairs);
        }
    }
    described
}
