//! A replica whose way to the database leads through a pool in transaction mode: sessions get their settings from the role.
//! (The pool itself is not here. What it takes away is: the settings that are sent with a connection.)

use crate::support::{TestDb, factory::intent, process::Replica};

#[tokio::test]
async fn with_a_direct_address_the_role_has_the_settings_that_sessions_need() {
    let db = TestDb::create().await;
    let setting = "SELECT current_setting('statement_timeout') || ' ' || current_setting('enable_seqscan')";
    let before: String = db.session().await.query_one(setting, &[]).await.unwrap().get(0);
    assert_ne!(before, "5s off");
    // Two at once: they do not get in each other's way.
    let settings = [("DATABASE_DIRECT_URL", db.url.as_str())];
    let (replica, other) = (Replica::start(&db, &settings), Replica::start(&db, &settings));
    let after: String = db.session().await.query_one(setting, &[]).await.unwrap().get(0);
    assert_eq!(after, "5s off");
    let id = replica.root().published(intent("greet")).await;
    assert_eq!(other.root().claimed("greet").await.id, id);
}

#[tokio::test]
async fn without_one_the_role_is_left_alone() {
    let db = TestDb::create().await;
    let _replica = Replica::start(&db, &[]);
    let kept = "SELECT count(*) FROM pg_db_role_setting JOIN pg_database ON setdatabase = pg_database.oid
         WHERE datname = current_database()";
    assert_eq!(db.value::<i64>(kept, &[]).await, 0);
}
