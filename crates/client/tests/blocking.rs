//! The client for programs without async, against the same kind of server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use intent_bus_client::{Error, blocking::IntentClient};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

#[test]
fn calls_are_waited_for() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(async {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(200).set_body_string(r#"{"id":"0a","value":"x","status":"published"}"#);
        Mock::given(any()).respond_with(answer).mount(&server).await;
        server
    });
    let client = intent_bus_client::IntentClient::builder().base_url(server.uri()).api_key("tk_0").build().unwrap();
    let bus = IntentClient::new(client).unwrap();
    assert_eq!(bus.wait(|bus| bus.publish("greet", "Ada").priority(1)).unwrap().id, "0a");
    assert_eq!(bus.wait(|bus| bus.get("a")).unwrap().as_deref(), Some("x"));
    let job = bus.wait(|bus| bus.claim("greet")).unwrap().unwrap();
    bus.wait(|bus| bus.fulfill(&job, "done")).unwrap();
    assert!(matches!(bus.wait(|bus| bus.get("")), Err(Error::Config(_))));
}
