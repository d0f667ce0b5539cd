//! `POST /intent`

use crate::support::{TestApp, factory::intent};

#[tokio::test]
async fn a_published_intent_can_be_claimed_and_fulfilled() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let id = root.published(intent("greet")).await;
    let claim = root.claimed("greet").await;
    assert_eq!(claim.id, id);
    root.fulfill(&claim, serde_json::json!("hello")).await.expect(200);
    let result = root.result(&id).await.expect(200);
    assert_eq!((result["status"].as_str(), result["result"].as_str()), (Some("fulfilled"), Some("hello")));
}

#[tokio::test]
async fn a_real_process() {
    let db = crate::support::TestDb::create().await;
    let mut replica = crate::support::process::Replica::start(&db, &[]);
    replica.root().published(intent("greet")).await;
    replica.terminate();
    assert!(replica.wait().success());
}

#[tokio::test]
async fn zz_timing() {
    let began = std::time::Instant::now();
    let db = crate::support::TestDb::create().await;
    eprintln!("first {:?}", began.elapsed());
    for _ in 0..5 {
        let began = std::time::Instant::now();
        let db = crate::support::TestDb::create().await;
        eprintln!("create {:?}", began.elapsed());
        let size: String = db.value("select pg_size_pretty(pg_database_size(current_database()))", &[]).await;
        eprintln!("connect {:?} {size}", began.elapsed());
        let app = TestApp::on(db.into(), &[]).await;
        eprintln!("app {:?}", began.elapsed());
        app.root().published(intent("greet")).await;
        eprintln!("publish {:?}", began.elapsed());
    }
    let v: String = db.value("select version()", &[]).await;
    eprintln!("{v}");
}
