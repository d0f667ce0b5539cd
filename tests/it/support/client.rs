//! A client of the bus whose methods are named like the API's verbs, and the answers it gets.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use intent_bus::domain::ids::random_bytes;
use intent_bus_protocol::signature::{SignedParts, sign};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

/// Who asks, and how: with which key, signed or not, declaring which version.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
    signed: bool,
    headers: Vec<(String, Vec<u8>)>,
}

impl Client {
    /// A client without a key.
    pub(crate) fn new(http: reqwest::Client, base: String) -> Self {
        Self { http, base, key: None, signed: false, headers: Vec::new() }
    }

    /// The same with this key.
    pub(crate) fn key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The key it sends.
    pub(crate) fn api_key(&self) -> &str {
        self.key.as_deref().expect("a client with a key")
    }

    /// The same, signing its requests.
    pub(crate) fn signing(&self) -> Self {
        Self { signed: true, ..self.clone() }
    }

    /// The same, declaring a version as the SDKs do.
    pub(crate) fn declaring(&self, version: &str) -> Self {
        self.with("x-intent-version", version)
    }

    /// The same with one more header.
    pub(crate) fn with(&self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let mut headers = self.headers.clone();
        headers.push((name.to_owned(), value.as_ref().to_owned()));
        Self { headers, ..self.clone() }
    }

    /// The same without this header.
    pub(crate) fn without(&self, name: &str) -> Self {
        let headers = self.headers.iter().filter(|(other, _)| other != name).cloned().collect();
        Self { headers, ..self.clone() }
    }

    /// The same, showing redirects instead of going where they lead.
    pub(crate) fn not_following(&self) -> Self {
        let http = super::http().redirect(reqwest::redirect::Policy::none()).build();
        Self { http: http.expect("an HTTP client"), ..self.clone() }
    }

    /// The same with the headers that sign one request, which can be sent as often as one likes and is let in once.
    pub(crate) fn signed_once(&self, method: &str, target: &str, body: &str, timestamp: i64) -> Self {
        let headers = sign_as(self.api_key(), method, target, body.as_bytes(), timestamp, &nonce());
        headers.iter().fold(self.clone(), |client, (name, value)| client.with(name, value))
    }

    /// Sends a request with a body of these bytes.
    pub(crate) async fn send(&self, method: &str, target: &str, body: impl Into<Bytes>) -> Answer {
        let what = format!("{method} {target}");
        self.try_send(method, target, body).await.unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }

    /// The same where the connection may fail.
    pub(crate) async fn try_send(&self, method: &str, target: &str, body: impl Into<Bytes>) -> reqwest::Result<Answer> {
        let body = body.into();
        let verb = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(verb, format!("{}{target}", self.base)).body(body.clone()).build()?;
        let url = request.url();
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        if let Some(key) = &self.key {
            headers.push(("x-api-key".to_owned(), key.clone().into_bytes()));
        }
        if self.signed {
            headers.extend(sign_as(self.api_key(), method, &path, &body, unix_now(), &nonce()));
        }
        for (name, value) in headers.iter().chain(&self.headers) {
            let name = reqwest::header::HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            request.headers_mut().insert(name, value.as_slice().try_into().expect("a header's value"));
        }
        let answer = self.http.execute(request).await?;
        Ok(Answer {
            what: format!("{method} {target}"),
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.bytes().await?,
        })
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, "").await
    }

    pub(crate) async fn post(&self, target: &str, body: impl IntoBody) -> Answer {
        self.send("POST", target, body.into_body()).await
    }

    /// `POST /intent`
    pub(crate) async fn publish(&self, body: impl IntoBody) -> Answer {
        self.post("/intent", body).await
    }

    /// `POST /intent`, which has to succeed, and the new id.
    pub(crate) async fn published(&self, body: impl IntoBody) -> String {
        self.publish(body).await.expect(201)["id"].as_str().expect("an id").to_owned()
    }

    /// `POST /claim` of one goal.
    pub(crate) async fn claim(&self, goal: &str) -> Answer {
        self.post(&format!("/claim?goal={goal}"), "").await
    }

    /// `POST /claim` of one goal, which has to succeed.
    pub(crate) async fn claimed(&self, goal: &str) -> Claim {
        self.claim(goal).await.claim()
    }

    /// `POST /{verb}/{id}` by this claim's token, with these fields.
    pub(crate) async fn finish(&self, verb: &str, claim: &Claim, mut fields: Value) -> Answer {
        fields["claim_token"] = json!(claim.token);
        self.post(&format!("/{verb}/{}", claim.id), fields).await
    }

    /// `POST /intents`
    pub(crate) async fn publish_many(&self, intents: &[Value]) -> Answer {
        self.post("/intents", json!({"intents": intents})).await
    }

    /// `POST /intents`, all of which have to be stored, and the new ids.
    pub(crate) async fn published_many(&self, intents: &[Value]) -> Vec<String> {
        let id = |outcome: &Value| outcome["id"].as_str().unwrap_or_else(|| panic!("{outcome}")).to_owned();
        self.publish_many(intents).await.outcomes().iter().map(id).collect()
    }

    /// `POST /claim` of at most so many intents of one goal.
    pub(crate) async fn claim_many(&self, goal: &str, limit: usize) -> Vec<Claim> {
        let answer = self.post(&format!("/claim?goal={goal}&limit={limit}"), "").await;
        if answer.status == 204 { Vec::new() } else { answer.claims() }
    }

    /// `POST /claim` of one goal that waits for so many seconds.
    pub(crate) async fn claim_waiting(&self, goal: &str, seconds: u32) -> Answer {
        self.post(&format!("/claim?goal={goal}&wait={seconds}"), "").await
    }

    /// `POST /fulfill` of all these with one result.
    pub(crate) async fn fulfill_many(&self, claims: &[Claim], result: Value) -> Answer {
        self.finish_many("fulfill", claims, &json!({"result": result})).await
    }

    /// `POST /fail` of all these with one error.
    pub(crate) async fn fail_many(&self, claims: &[Claim], error: &str) -> Answer {
        self.finish_many("fail", claims, &json!({"error": error})).await
    }

    /// `POST /{verb}` of these claims, each with these fields.
    pub(crate) async fn finish_many(&self, verb: &str, claims: &[Claim], fields: &Value) -> Answer {
        let named = claims.iter().map(|claim| {
            let mut element = fields.clone();
            element["id"] = json!(claim.id);
            element["claim_token"] = json!(claim.token);
            element
        });
        self.post(&format!("/{verb}"), json!({"claims": named.collect::<Vec<_>>()})).await
    }

    /// `POST /fulfill/{id}` with a result.
    pub(crate) async fn fulfill(&self, claim: &Claim, result: Value) -> Answer {
        self.finish("fulfill", claim, json!({"result": result})).await
    }

    /// `POST /fail/{id}`
    pub(crate) async fn fail(&self, claim: &Claim, error: &str) -> Answer {
        self.finish("fail", claim, json!({"error": error})).await
    }

    /// `POST /extend_claim/{id}`
    pub(crate) async fn extend(&self, claim: &Claim, seconds: i64) -> Answer {
        self.finish("extend_claim", claim, json!({"seconds": seconds})).await
    }

    /// `GET /status/{id}`
    pub(crate) async fn status(&self, id: &str) -> Answer {
        self.get(&format!("/status/{id}")).await
    }

    /// `GET /result/{id}`
    pub(crate) async fn result(&self, id: &str) -> Answer {
        self.get(&format!("/result/{id}")).await
    }

    /// `POST /set/{key}`
    pub(crate) async fn set(&self, key: &str, value: Value) -> Answer {
        self.post(&format!("/set/{key}"), json!({"value": value})).await
    }

    /// `GET /get/{key}`
    pub(crate) async fn value(&self, key: &str) -> Answer {
        self.get(&format!("/get/{key}")).await
    }

    /// `POST /admin/generate_key`
    pub(crate) async fn generate_key(&self, owner: &str) -> Answer {
        self.post("/admin/generate_key", json!({"owner": owner})).await
    }

    /// `POST /admin/revoke_key`
    pub(crate) async fn revoke_key(&self, key: &str) -> Answer {
        self.post("/admin/revoke_key", json!({"api_key": key})).await
    }

    /// `POST /admin/cleanup`
    pub(crate) async fn cleanup(&self) -> Answer {
        self.post("/admin/cleanup", "").await
    }

    /// `POST /admin/intents/{id}/cancel`
    pub(crate) async fn cancel(&self, id: &str) -> Answer {
        self.post(&format!("/admin/intents/{id}/cancel"), "").await
    }

    /// `POST /admin/intents/{id}/retry`
    pub(crate) async fn retry(&self, id: &str) -> Answer {
        self.post(&format!("/admin/intents/{id}/retry"), "").await
    }
}

/// The headers that sign a request.
pub(crate) fn sign_as(
    key: &str,
    method: &str,
    target: &str,
    body: &[u8],
    timestamp: i64,
    nonce: &str,
) -> Vec<(String, Vec<u8>)> {
    let timestamp = timestamp.to_string();
    let parts = SignedParts { method, path_and_query: target, timestamp: &timestamp, nonce, body };
    let pairs = [("x-signature", sign(key, &parts)), ("x-timestamp", timestamp.clone()), ("x-nonce", nonce.to_owned())];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect()
}

/// A nonce that nobody has used.
pub(crate) fn nonce() -> String {
    hex::encode(random_bytes::<12>().expect("random bytes"))
}

/// Unix seconds by this machine's clock.
pub(crate) fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock before the year 292277026596")
}

/// What may be sent as a body: text as it is, JSON as its text.
pub(crate) trait IntoBody {
    fn into_body(self) -> Bytes;
}

impl IntoBody for Value {
    fn into_body(self) -> Bytes {
        self.to_string().into()
    }
}

impl IntoBody for &Value {
    fn into_body(self) -> Bytes {
        self.to_string().into()
    }
}

impl IntoBody for &'static str {
    fn into_body(self) -> Bytes {
        self.into()
    }
}

impl IntoBody for String {
    fn into_body(self) -> Bytes {
        self.into()
    }
}

/// A claim that a worker holds.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) id: String,
    pub(crate) token: String,
    /// The whole answer.
    pub(crate) body: Value,
}

impl Claim {
    #[track_caller]
    fn read(body: Value) -> Self {
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned();
        Self { id: text("id"), token: text("claim_token"), body }
    }
}

/// An answer of the bus.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    what: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("an answer in UTF-8")
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}: {:?}", self.what, self.body))
    }

    /// The status must be this one; the body as JSON.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// It must be a refusal with this status and this code; the message.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        let body = self.expect(status);
        assert_eq!(body["error"]["code"], code, "{}: {body}", self.what);
        body["error"]["message"].as_str().expect("a message").to_owned()
    }

    /// A claim must have found nothing.
    #[track_caller]
    pub(crate) fn empty(&self) {
        assert_eq!(self.status, 204, "{}: {}", self.what, String::from_utf8_lossy(&self.body));
        assert!(self.body.is_empty(), "{}: {:?}", self.what, self.body);
    }

    /// A claim must have found something.
    #[track_caller]
    pub(crate) fn claim(&self) -> Claim {
        Claim::read(self.expect(200))
    }

    /// A claim of many must have found something.
    #[track_caller]
    pub(crate) fn claims(&self) -> Vec<Claim> {
        let body = self.expect(200);
        body["intents"].as_array().expect("a list").iter().cloned().map(Claim::read).collect()
    }

    /// What became of each element of a batch.
    #[track_caller]
    pub(crate) fn outcomes(&self) -> Vec<Value> {
        self.expect(200)["outcomes"].as_array().expect("a list").clone()
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header in ASCII"))
    }
}
