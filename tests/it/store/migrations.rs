//! The schema: every file is a migration, they are applied once, and one that has changed since is not.

use std::{collections::BTreeSet, fs, path::Path};

use intent_bus::{
    error::ErrorCode,
    store::{connect, connect::Address, migrations},
};

use crate::support::TestDb;

#[test]
fn every_file_is_a_migration_numbered_without_gaps() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".sql").map(str::to_owned))
        .collect();
    let listed: BTreeSet<String> = migrations::ALL.iter().map(|migration| migration.name.to_owned()).collect();
    assert_eq!(files, listed);
    for (index, migration) in migrations::ALL.iter().enumerate() {
        assert_eq!(usize::try_from(migration.number).unwrap(), index + 1);
        assert!(migration.name.starts_with(&format!("{:04}_", migration.number)), "{}", migration.name);
    }
}

#[tokio::test]
async fn an_empty_database_is_migrated_once_by_whoever_comes_first() {
    let db = TestDb::create_bare().await;
    let address = Address::parse(&db.url).unwrap();
    let apply = async || {
        let client = connect(&address).await.unwrap();
        migrations::apply(&client).await.unwrap().len()
    };
    let applied = futures_util::future::join_all((0..6).map(|_| apply())).await;
    let mut sorted = applied.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 0, 0, 0, 0, migrations::ALL.len()], "{applied:?}");
    let client = connect(&address).await.unwrap();
    assert!(!migrations::pending(&client).await.unwrap());
    let journal = migrations::journal(&client).await.unwrap();
    for (entry, migration) in journal.iter().zip(migrations::ALL) {
        assert_eq!(
            (entry.number, entry.name.as_str(), entry.checksum.as_str()),
            (migration.number, migration.name, migration.checksum().as_str())
        );
        assert!(entry.applied_at > 1.7e9);
    }
    assert_eq!(journal.len(), migrations::ALL.len());
}

#[tokio::test]
async fn a_migration_that_was_applied_with_another_text_stops_the_start() {
    let db = TestDb::create().await;
    db.batch("UPDATE schema_migrations SET checksum = repeat('0', 64) WHERE number = 2").await;
    let client = connect(&Address::parse(&db.url).unwrap()).await.unwrap();
    let error = migrations::apply(&client).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InternalError);
    assert!(error.internal().unwrap().contains("0002_intents"), "{error:?}");
}

#[tokio::test]
async fn what_is_missing_is_applied_and_what_is_there_is_left() {
    let db = TestDb::create().await;
    db.batch(
        "DROP TABLE totals_progress, open_totals_progress, finished_totals, open_totals; DELETE FROM schema_migrations WHERE number = 5",
    )
    .await;
    let client = connect(&Address::parse(&db.url).unwrap()).await.unwrap();
    assert!(migrations::pending(&client).await.unwrap());
    assert_eq!(migrations::apply(&client).await.unwrap(), ["0005_totals"]);
    assert!(!migrations::pending(&client).await.unwrap());
}

#[tokio::test]
async fn partitions_of_before_leave_their_summaries_to_the_bus() {
    let db = TestDb::create().await;
    let by_itself = "SELECT count(*) FROM pg_class WHERE reloptions @> ARRAY['autosummarize=on'] AND relkind = 'i'";
    db.batch(
        "DO $$ BEGIN EXECUTE format('ALTER INDEX %s SET (autosummarize = on)', (
             SELECT min(relname) FROM pg_class WHERE reloptions @> ARRAY['autosummarize=off'] AND relkind = 'i'
         )); END $$;
         DELETE FROM schema_migrations WHERE number = 11",
    )
    .await;
    assert_eq!(db.value::<i64>(by_itself, &[]).await, 1);
    let client = connect(&Address::parse(&db.url).unwrap()).await.unwrap();
    assert_eq!(migrations::apply(&client).await.unwrap(), ["0011_block_ranges"]);
    assert_eq!(db.value::<i64>(by_itself, &[]).await, 0);
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let db = TestDb::create_bare().await;
    // The second migration meets a table of its own name.
    db.batch("CREATE TABLE finished ()").await;
    let client = connect(&Address::parse(&db.url).unwrap()).await.unwrap();
    migrations::apply(&client).await.unwrap_err();
    let client = connect(&Address::parse(&db.url).unwrap()).await.unwrap();
    assert_eq!(migrations::journal(&client).await.unwrap().len(), 1);
    assert!(db.value::<bool>("SELECT to_regclass('intents') IS NULL", &[]).await);
    db.batch("DROP TABLE finished").await;
    assert_eq!(migrations::apply(&client).await.unwrap().len(), migrations::ALL.len() - 1);
}
