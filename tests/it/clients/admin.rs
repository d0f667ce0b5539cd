//! What operators do, by the client.

use std::time::Duration;

use intent_bus_client::{
    Error, FailedAs, IntentClient, IntentState,
    admin::{NewKey, Page, Redrive, Search},
};

use super::client;
use crate::support::{TestApp, app::ADMIN};

#[tokio::test]
async fn keys_are_made_narrowed_rotated_and_revoked() {
    let app = TestApp::spawn().await;
    let url = format!("http://{}", app.address);
    let admin = IntentClient::builder().base_url(&url).build_admin(ADMIN).unwrap();
    let key = admin.create_key(&NewKey { owner: Some("ada".to_owned()), ..NewKey::default() }).await.unwrap();
    let second = NewKey { tenant: Some(key.tenant), scopes: Some(vec!["read".to_owned()]), ..NewKey::default() };
    let second = admin.create_key(&second).await.unwrap();
    let listed = admin.keys(&Page { limit: Some(1), before: None }).await.unwrap();
    assert_eq!((listed.keys[0].id, listed.keys[0].scopes.clone()), (second.id, Some(vec!["read".to_owned()])));
    assert!(listed.next.is_some());
    let rest = admin.keys(&Page { limit: None, before: listed.next }).await.unwrap();
    assert_eq!(rest.keys[0].id, key.id);
    let scoped = admin.scope_key(second.id, None, Some(&["n".to_owned()])).await.unwrap();
    assert_eq!((scoped.scopes, scoped.namespaces), (None, Some(vec!["n".to_owned()])));
    let rotated = admin.rotate_key(key.id, Duration::ZERO).await.unwrap();
    assert_eq!(rotated.tenant, key.tenant);
    let limits = admin.set_limits(key.tenant, Some(7), None).await.unwrap();
    assert_eq!((limits.rate_limit_per_minute, limits.max_open_intents), (Some(7), None));
    admin.revoke_key(second.id).await.unwrap();
    let gone = IntentClient::builder().base_url(&url).api_key(&second.api_key).build().unwrap();
    assert!(matches!(gone.get("a").await, Err(Error::Auth(_))));
    let audit = admin.audit(&Page::default()).await.unwrap();
    assert_eq!(audit.lines[0].action, "revoke_key");
    let wrong = IntentClient::builder().base_url(&url).build_admin("wrong").unwrap();
    assert!(matches!(wrong.overview().await, Err(Error::Auth(_))));
}

#[tokio::test]
async fn intents_are_found_cancelled_and_given_out_again() {
    let app = TestApp::spawn().await;
    let bus = client(&app);
    let admin = bus.admin(ADMIN).unwrap();
    let id = bus.publish("fragile", &1).max_attempts(1).await.unwrap().id;
    let claimed = bus.claim("fragile").await.unwrap().expect("an intent");
    assert_eq!(bus.fail(&claimed, "no such file").await.unwrap(), FailedAs::Dead);
    let dead = admin.dead().await.unwrap();
    assert_eq!((dead[0].intent_id.as_str(), dead[0].reason.as_str()), (id.as_str(), "no such file"));
    assert_eq!(admin.dead_letter(&id).await.unwrap().payload.get(), "1");
    let search = Search { goal: Some("fragile".to_owned()), state: Some("dead".to_owned()), ..Search::default() };
    assert_eq!(admin.search(&search).await.unwrap().intents[0].id, id);
    let which = Redrive { goal: Some("fragile".to_owned()), ..Redrive::default() };
    let dry = admin.redrive(&which).await.unwrap();
    assert_eq!((dry.dry_run, dry.count), (true, 1));
    assert_eq!(admin.redrive(&Redrive { dry_run: false, ..which }).await.unwrap().count, 1);
    assert_eq!(bus.status(&id).await.unwrap().state, IntentState::Open);
    admin.cancel(&id).await.unwrap();
    admin.retry(&id).await.unwrap();
    assert_eq!(admin.retry(&id).await.unwrap_err().code(), Some("conflict"));
    assert!(admin.pause("default", Some("fragile")).await.unwrap().paused);
    assert_eq!(admin.pauses().await.unwrap().pauses.len(), 1);
    let detail = admin.intent(&id).await.unwrap();
    assert!(detail.why.iter().any(|why| why.code == "goal_paused"), "{:?}", detail.why);
    assert!(!admin.resume("default", Some("fragile")).await.unwrap().paused);
    assert!(admin.workers(&Page::default()).await.is_ok() && admin.overview().await.is_ok());
    assert!(admin.clean_up().await.is_ok());
    assert!(admin.purge(None, true).await.unwrap().dry_run);
    assert_eq!(admin.purge(None, false).await.unwrap().purged.unfinished, 1);
}
