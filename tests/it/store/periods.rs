//! The rings at the end of a period, which the clock brings once in ten minutes or once a day: the statements as they are,
//! with the last seconds of the period moved to its beginning.

use intent_bus::store::statements;
use tokio_postgres::{Client, types::ToSql};
use uuid::Uuid;

use crate::support::postgres::TestDb;

/// The text of a statement in which every moment is at the end of its period.
fn at_the_end(file: &str, last_seconds: &str) -> String {
    let (_, text) = statements::all().into_iter().find(|(name, _)| *name == file).unwrap();
    assert!(text.contains(last_seconds), "{file} has no {last_seconds} any more");
    text.replace(last_seconds, ">= 0 ")
}

fn in_the_middle(file: &str) -> String {
    let (_, text) = statements::all().into_iter().find(|(name, _)| *name == file).unwrap();
    text.to_owned()
}

async fn reserve(session: &Client, text: &str, key: Uuid, request: Uuid) -> (bool, bool) {
    let row = session.query_one(text, &[&key, &request]).await.unwrap();
    (row.get("taken"), row.get("stored"))
}

#[tokio::test]
async fn an_idempotency_key_of_this_period_is_not_free_again_at_its_end() {
    let db = TestDb::create().await;
    let session = db.session().await;
    let (middle, end) = (in_the_middle("idempotency/reserve.sql"), at_the_end("idempotency/reserve.sql", ">= 86370"));
    let key = Uuid::from_u128(1);
    let (taken, _) = reserve(&session, &middle, key, Uuid::from_u128(2)).await;
    assert!(taken);
    assert_eq!(reserve(&session, &end, key, Uuid::from_u128(3)).await, (false, false));
    assert_eq!(db.count("idempotency_keys").await, 1);
}

#[tokio::test]
async fn a_key_that_is_first_used_at_the_end_of_a_period_is_taken_in_the_next_one_too() {
    let db = TestDb::create().await;
    let session = db.session().await;
    let end = at_the_end("idempotency/reserve.sql", ">= 86370");
    let key = Uuid::from_u128(1);
    assert_eq!(reserve(&session, &end, key, Uuid::from_u128(2)).await, (true, true));
    assert_eq!(db.count("idempotency_keys").await, 2);
    assert_eq!(reserve(&session, &end, key, Uuid::from_u128(2)).await, (false, false));
    // Somebody in the next period was faster: this one has stored, but must not be committed.
    let now: i16 =
        db.value("SELECT (floor(extract(epoch FROM clock_timestamp()) / 86400)::bigint % 4)::smallint", &[]).await;
    db.execute("DELETE FROM idempotency_keys WHERE slot = $1", &[&now]).await;
    assert_eq!(reserve(&session, &end, key, Uuid::from_u128(2)).await, (false, true));
}

#[tokio::test]
async fn a_nonce_that_is_used_at_the_end_of_a_period_is_used_in_the_next_one_too() {
    let db = TestDb::create().await;
    let session = db.session().await;
    let (middle, end) = (in_the_middle("admission/admit.sql"), at_the_end("admission/admit.sql", ">= 570"));
    let (nonces, tenants, rates) = (vec![Uuid::from_u128(1)], vec![0_i64], vec![None::<i32>]);
    let now: i64 = db.value("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint", &[]).await;
    let times = vec![now];
    let parameters: [&(dyn ToSql + Sync); 4] = [&tenants, &nonces, &times, &rates];
    let verdict =
        async |text: &str| session.query_one(text, &parameters).await.unwrap().get::<_, Vec<i16>>("verdicts")[0];
    let (let_in, replayed) = (0, 2);
    assert_eq!(verdict(&end).await, let_in);
    assert_eq!(db.count("nonces").await, 2);
    for text in [&middle, &end] {
        assert_eq!(verdict(text).await, replayed);
    }
    // Also when only the entry made ahead is left, as it is for those who ask in the next period.
    let slot: i16 = db.value("SELECT ((($1::bigint / 600) % 4))::smallint", &[&now]).await;
    db.execute("DELETE FROM nonces WHERE slot = $1", &[&slot]).await;
    assert_eq!(verdict(&end).await, replayed);
}
