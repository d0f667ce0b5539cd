//! The requests and what their answers say: targets, bodies and headers. Nothing is sent from here. They are signed as any client
//! of this bus signs them.

use std::fmt::Write;

use bytes::Bytes;
use http::{
    Method, Request,
    header::{HOST, HeaderValue},
};
pub(crate) use intent_bus_client::signing::Target;
use intent_bus_client::signing::{self, Signer, encoded};
use serde::Deserialize;

use crate::error::{Error, Result};

/// What every intent is fulfilled with.
const RESULT: &str = r#"{"ok":true}"#;

/// Reads a request target.
pub(crate) fn target_of(text: String) -> Result<Target> {
    Target::new(text).map_err(Error::fault)
}

/// Makes requests of one key.
pub(crate) struct Requests(Signer);

impl Requests {
    pub(crate) fn new(key: String, signed: bool) -> Result<Self> {
        let keyed = Signer::new(key).map_err(|error| Error::invalid(error.to_string()))?;
        Ok(Self(if signed { keyed } else { keyed.unsigned() }))
    }

    /// A `POST`, with a nonce and a signature of its own.
    pub(super) fn post(&self, host: &HeaderValue, target: &Target, body: Bytes) -> Request<Bytes> {
        self.request(Method::POST, host, target, body)
    }

    /// A request, likewise.
    pub(crate) fn request(&self, method: Method, host: &HeaderValue, target: &Target, body: Bytes) -> Request<Bytes> {
        let mut request = self.0.request(method, target, body);
        request.headers_mut().insert(HOST, host.clone());
        request
    }
}

/// 16 hexadecimal digits.
pub(crate) fn random_hex() -> Result<String> {
    signing::random_hex(8).map_err(Error::fault)
}

/// What intents are published with, and what workers ask for.
pub(super) struct Subject {
    goal: String,
    namespace: Option<String>,
    payload_bytes: usize,
}

impl Subject {
    pub(super) fn new(goal: String, namespace: Option<String>, payload_bytes: usize) -> Self {
        Self { goal, namespace, payload_bytes }
    }

    /// The same with a goal that does not match.
    pub(super) fn other(&self) -> Self {
        let goal = format!("{}-other", self.goal);
        Self { goal, namespace: self.namespace.clone(), payload_bytes: self.payload_bytes }
    }

    /// The body of `POST /intent`.
    pub(super) fn intent(&self) -> String {
        // An object, which both generations take. `{"pad":""}` has 10 bytes.
        let payload = serde_json::json!({"pad": "x".repeat(self.payload_bytes.saturating_sub(10))});
        let mut body = serde_json::json!({"goal": self.goal, "payload": payload});
        if let Some(namespace) = &self.namespace {
            body["namespace"] = namespace.as_str().into();
        }
        body.to_string()
    }

    /// The body of `POST /intents`.
    pub(super) fn intents(&self, count: u32) -> String {
        let one = self.intent();
        let mut body = String::with_capacity(16 + (one.len() + 1) * count as usize);
        body.push_str(r#"{"intents":["#);
        for index in 0..count {
            body.push_str(if index == 0 { "" } else { "," });
            body.push_str(&one);
        }
        body.push_str("]}");
        body
    }

    /// The target of a claim: of so many intents, if it is a batch, waiting so many seconds for one, if any.
    pub(super) fn claim(&self, limit: Option<u32>, wait: u32) -> Result<Target> {
        let mut text = format!("/claim?goal={}", encoded(&self.goal));
        if let Some(namespace) = &self.namespace {
            let _ = write!(text, "&namespace={}", encoded(namespace));
        }
        if let Some(limit) = limit {
            let _ = write!(text, "&limit={limit}");
        }
        if wait > 0 {
            let _ = write!(text, "&wait={wait}");
        }
        target_of(text)
    }
}

/// What a worker needs of an intent that it got. The rest is skipped over, not read.
#[derive(Deserialize)]
pub(super) struct Claim<'a> {
    pub(super) id: &'a str,
    claim_token: &'a str,
}

/// The answer to a claim: one intent.
pub(super) fn one_claim(body: &[u8]) -> Result<Claim<'_>> {
    serde_json::from_slice(body).map_err(|error| not_understood("a claim", body, error))
}

/// The answer to a claim of several.
pub(super) fn claims(body: &[u8]) -> Result<Vec<Claim<'_>>> {
    #[derive(Deserialize)]
    struct Claims<'a> {
        #[serde(borrow)]
        intents: Vec<Claim<'a>>,
    }
    let read = serde_json::from_slice::<Claims<'_>>(body);
    Ok(read.map_err(|error| not_understood("a claim of several", body, error))?.intents)
}

/// Target and body that fulfil one intent.
pub(super) fn fulfil_one(claim: &Claim<'_>) -> Result<(Target, String)> {
    let body = format!(r#"{{"claim_token":"{}","result":{RESULT}}}"#, claim.claim_token);
    Ok((target_of(format!("/fulfill/{}", claim.id))?, body))
}

/// The body that fulfils several.
pub(super) fn fulfil_several(claims: &[Claim<'_>]) -> String {
    let mut body = String::with_capacity(16 + claims.len() * 128);
    body.push_str(r#"{"claims":["#);
    for (index, Claim { id, claim_token }) in claims.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(body, r#"{comma}{{"id":"{id}","claim_token":"{claim_token}","result":{RESULT}}}"#);
    }
    body.push_str("]}");
    body
}

/// The codes of those of a batch that were refused, and how many were not.
pub(super) fn outcomes(body: &[u8]) -> Result<(u32, Vec<&str>)> {
    #[derive(Deserialize)]
    struct Outcomes<'a> {
        #[serde(borrow)]
        outcomes: Vec<Outcome<'a>>,
    }
    #[derive(Deserialize)]
    struct Outcome<'a> {
        #[serde(borrow)]
        error: Option<Refused<'a>>,
    }
    #[derive(Deserialize)]
    struct Refused<'a> {
        code: &'a str,
    }
    let read = serde_json::from_slice::<Outcomes<'_>>(body);
    let outcomes = read.map_err(|error| not_understood("a batch", body, error))?.outcomes;
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| Some(outcome.error.as_ref()?.code)).collect();
    let done = u32::try_from(outcomes.len() - refused.len()).unwrap_or(u32::MAX);
    Ok((done, refused))
}

/// What a refusal says, for the person who runs this.
pub(crate) fn refusal(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: Said,
    }
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    serde_json::from_slice::<Refusal>(body).map_or_else(|_| beginning(body), |refusal| refusal.error.message)
}

fn not_understood(what: &str, body: &[u8], error: serde_json::Error) -> Error {
    Error::invalid(format!("The answer to {what} is not of this protocol: {}", beginning(body))).because(error)
}

fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn a_claim_is_read_without_what_the_worker_does_not_need() -> Outcome {
        let body = br#"{"id":"0a","namespace":"d","goal":"g","payload":{"n": 1e400, "s":"\ud800"},"claim_token":"t","claim_timeout":60}"#;
        let (target, body) = fulfil_one(&one_claim(body)?)?;
        assert_eq!(target.as_str(), "/fulfill/0a");
        assert_eq!(serde_json::from_str::<Value>(&body)?, json!({"claim_token": "t", "result": {"ok": true}}));
        Ok(())
    }

    #[test]
    fn several_claims_are_fulfilled_in_one_body() -> Outcome {
        let body =
            br#"{"intents":[{"id":"0a","payload":{},"claim_token":"t"},{"id":"0b","payload":[1],"claim_token":"u"}]}"#;
        let claims = claims(body)?;
        let ids: Vec<_> = claims.iter().map(|claim| claim.id).collect();
        assert_eq!(ids, ["0a", "0b"]);
        let expected = json!({"claims": [
            {"id": "0a", "claim_token": "t", "result": {"ok": true}},
            {"id": "0b", "claim_token": "u", "result": {"ok": true}},
        ]});
        assert_eq!(serde_json::from_str::<Value>(&fulfil_several(&claims))?, expected);
        Ok(())
    }

    #[test]
    fn outcomes_tell_what_was_done_and_why_the_rest_was_not() -> Outcome {
        let published = br#"{"outcomes":[{"id":"0a","status":"published","namespace":"d"},{"error":{"code":"limit_exceeded","message":"a \"b\""}}]}"#;
        assert_eq!(outcomes(published)?, (1, vec!["limit_exceeded"]));
        let fulfilled = br#"{"outcomes":[{"ok":true,"id":"0a"},{"id":"0b","error":{"code":"not_found","message":"m"}},{"ok":true,"id":"0c"}]}"#;
        assert_eq!(outcomes(fulfilled)?, (2, vec!["not_found"]));
        Ok(())
    }

    #[test]
    fn what_is_not_of_the_protocol_is_shown() {
        let said = one_claim(b"<html>a proxy</html>").err().map(|error| error.message().to_owned());
        assert!(said.as_deref().is_some_and(|said| said.contains("<html>a proxy")), "{said:?}");
        assert_eq!(refusal(br#"{"error":{"code":"c","message":"Say this."}}"#), "Say this.");
        assert_eq!(refusal(b"Bad Gateway"), "Bad Gateway");
    }

    #[test]
    fn bodies_hold_the_goal_and_as_many_bytes_of_payload_as_asked() -> Outcome {
        let subject = Subject::new("say \"hi\"".to_owned(), Some("n".to_owned()), 32);
        let one: Value = serde_json::from_str(&subject.intent())?;
        assert_eq!((&one["goal"], &one["namespace"]), (&json!("say \"hi\""), &json!("n")));
        assert_eq!(one["payload"].to_string().len(), 32);
        let several: Value = serde_json::from_str(&subject.intents(3))?;
        assert_eq!(several, json!({"intents": [one, one, one]}));
        assert_eq!(subject.claim(Some(5), 20)?.as_str(), "/claim?goal=say%20%22hi%22&namespace=n&limit=5&wait=20");
        Ok(())
    }
}
