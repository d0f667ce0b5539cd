//! `POST /extend_claim/{id}`. What it does to a lease is in `lease`.

use serde_json::json;

use crate::support::{TestApp, factory::intent};

#[tokio::test]
async fn seconds_are_a_whole_number_from_10_to_3600() {
    let app = TestApp::spawn().await;
    let root = app.root();
    root.published(intent("greet")).await;
    let claim = root.claimed("greet").await;
    for seconds in [json!(9), json!(3601), json!(0), json!(-60), json!("60"), json!(60.5), json!(null), json!(true)] {
        root.finish("extend_claim", &claim, json!({"seconds": seconds})).await.refused(400, "invalid_request");
    }
    root.finish("extend_claim", &claim, json!({})).await.refused(400, "invalid_request");
    for seconds in [10, 3600] {
        assert_eq!(root.extend(&claim, seconds).await.expect(200)["extended_by"], seconds);
    }
}

#[tokio::test]
async fn only_the_claim_itself_can_be_extended() {
    let app = TestApp::spawn().await;
    let (root, alice) = (app.root(), app.tenant("alice").await);
    root.published(intent("greet")).await;
    let claim = root.claimed("greet").await;
    alice.extend(&claim, 60).await.refused(404, "not_found");
    let forged = crate::support::Claim { token: "0".repeat(32), ..claim.clone() };
    root.extend(&forged, 60).await.refused(404, "not_found");
    root.extend(&claim, 60).await.expect(200);
}
