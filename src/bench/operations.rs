//! The requests and what their answers say: targets, bodies, headers and signatures. Nothing is sent from here.
//!
//! What is the same in every request is made once. A request costs a signature and a handful of small buffers.

use std::{
    cell::{Cell, RefCell},
    fmt::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    header::{HOST, HeaderName, HeaderValue},
};
use intent_bus_protocol::{
    headers,
    signature::{SignedParts, sign},
};
use serde::Deserialize;

use crate::error::{Error, Result};

const API_KEY: HeaderName = HeaderName::from_static(headers::API_KEY);
const TIMESTAMP: HeaderName = HeaderName::from_static(headers::TIMESTAMP);
const NONCE: HeaderName = HeaderName::from_static(headers::NONCE);
const SIGNATURE: HeaderName = HeaderName::from_static(headers::SIGNATURE);
const INTENT_VERSION: HeaderName = HeaderName::from_static(headers::INTENT_VERSION);
/// What SDK 2.1 declares: generation 2.x.
const VERSION: HeaderValue = HeaderValue::from_static("7.61");
/// What every intent is fulfilled with.
const RESULT: &str = r#"{"ok":true}"#;

/// A request target, in the writing that is signed and in the one that is sent.
pub(crate) struct Target {
    text: String,
    uri: Uri,
}

impl Target {
    pub(crate) fn new(text: String) -> Result<Self> {
        let uri = text.parse().map_err(|error| Error::fault(format!("the target {text:?}: {error}")))?;
        Ok(Self { text, uri })
    }
}

/// Makes requests: holds the key, and what nonces are made of.
pub(crate) struct Requests {
    key: String,
    key_header: HeaderValue,
    signed: bool,
    /// Random, so that no two runs share a nonce. The rest of it is a count.
    nonce_prefix: String,
    nonces: Cell<u64>,
    /// The last second for which there was a request, and its header.
    second: RefCell<(u64, String, HeaderValue)>,
}

impl Requests {
    pub(crate) fn new(key: String, signed: bool) -> Result<Self> {
        let mut key_header = HeaderValue::from_str(&key)
            .map_err(|_| Error::invalid("The key has characters that no header can carry."))?;
        key_header.set_sensitive(true);
        let nonce_prefix = random_hex()?;
        let second = RefCell::new((0, String::new(), HeaderValue::from_static("")));
        Ok(Self { key, key_header, signed, nonce_prefix, nonces: Cell::new(0), second })
    }

    /// A `POST`, with a nonce and a signature of its own.
    pub(super) fn post(&self, host: &HeaderValue, target: &Target, body: Bytes) -> Result<Request<Full<Bytes>>> {
        self.request(Method::POST, host, target, body)
    }

    /// A request, likewise.
    pub(crate) fn request(
        &self,
        method: Method,
        host: &HeaderValue,
        target: &Target,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>> {
        let signature = if self.signed { Some(self.signature(&method, target, &body)?) } else { None };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target.uri.clone();
        let headers = request.headers_mut();
        headers.reserve(8);
        headers.insert(HOST, host.clone());
        headers.insert(API_KEY, self.key_header.clone());
        headers.insert(INTENT_VERSION, VERSION);
        if let Some([timestamp, nonce, signature]) = signature {
            headers.insert(TIMESTAMP, timestamp);
            headers.insert(NONCE, nonce);
            headers.insert(SIGNATURE, signature);
        }
        Ok(request)
    }

    /// Timestamp, nonce and signature.
    fn signature(&self, method: &Method, target: &Target, body: &[u8]) -> Result<[HeaderValue; 3]> {
        let count = self.nonces.replace(self.nonces.get() + 1);
        let mut nonce = String::with_capacity(self.nonce_prefix.len() + 17);
        let _ = write!(nonce, "{}-{count:x}", self.nonce_prefix);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut second = self.second.borrow_mut();
        if second.0 != now {
            let text = now.to_string();
            let header = ascii(&text)?;
            *second = (now, text, header);
        }
        let path_and_query = target.text.as_str();
        let parts = SignedParts { method: method.as_str(), path_and_query, timestamp: &second.1, nonce: &nonce, body };
        Ok([second.2.clone(), ascii(&nonce)?, ascii(&sign(&self.key, &parts))?])
    }
}

fn ascii(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(Error::fault)
}

/// 16 hexadecimal digits.
pub(crate) fn random_hex() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| Error::fault(error.to_string()))?;
    Ok(hex::encode(bytes))
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
        Target::new(text)
    }
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
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
    Ok((Target::new(format!("/fulfill/{}", claim.id))?, body))
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
    use intent_bus_protocol::signature::verify;
    use serde_json::{Value, json};

    use super::*;

    type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn a_claim_is_read_without_what_the_worker_does_not_need() -> Outcome {
        let body = br#"{"id":"0a","namespace":"d","goal":"g","payload":{"n": 1e400, "s":"\ud800"},"claim_token":"t","claim_timeout":60}"#;
        let (target, body) = fulfil_one(&one_claim(body)?)?;
        assert_eq!(target.text, "/fulfill/0a");
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
        assert_eq!(subject.claim(Some(5), 20)?.text, "/claim?goal=say%20%22hi%22&namespace=n&limit=5&wait=20");
        Ok(())
    }

    #[test]
    fn every_request_has_a_nonce_of_its_own_and_a_signature_that_holds() -> Outcome {
        let requests = Requests::new("tk_one".to_owned(), true)?;
        let target = Target::new("/claim?goal=a%20b".to_owned())?;
        let mut nonces = Vec::new();
        for _ in 0..2 {
            let request = requests.post(&HeaderValue::from_static("h"), &target, Bytes::from_static(b"{}"))?;
            let header = |name: &HeaderName| request.headers()[name].to_str().unwrap_or_default().to_owned();
            let (timestamp, nonce) = (header(&TIMESTAMP), header(&NONCE));
            let path_and_query = "/claim?goal=a%20b";
            let parts =
                SignedParts { method: "POST", path_and_query, timestamp: &timestamp, nonce: &nonce, body: b"{}" };
            assert!(verify("tk_one", &parts, &header(&SIGNATURE)));
            nonces.push(nonce);
        }
        assert_ne!(nonces[0], nonces[1]);
        Ok(())
    }
}
