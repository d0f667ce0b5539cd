//! The bus goes away while a worker has work, and comes back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use intent_bus_client::{Job, Worker};
use tokio::sync::Semaphore;

use super::{client_at, fulfilled};
use crate::{
    processes::tell,
    support::{TestDb, process::Replica},
};

/// How long the bus is away. `TEST_OUTAGE_SECONDS` makes it longer.
fn away() -> Duration {
    let seconds = std::env::var("TEST_OUTAGE_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(4))
}

#[tokio::test]
async fn what_was_under_way_when_the_bus_went_away_is_recovered_and_runs_once() {
    let db = TestDb::create().await;
    let mut replica = Replica::start(&db, &[]);
    let listen = replica.address.to_string();
    let bus = client_at(replica.address);
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(bus.publish("work", &n).await.unwrap().id);
    }
    let (runs, started, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let handler = {
        let (runs, started, go) = (Arc::clone(&runs), Arc::clone(&started), Arc::clone(&go));
        move |job: Job<u32>| {
            runs.fetch_add(1, Ordering::SeqCst);
            started.add_permits(1);
            let go = Arc::clone(&go);
            async move {
                go.acquire().await.map_err(|error| error.to_string())?.forget();
                Ok::<_, String>(job.payload)
            }
        }
    };
    let attempts = std::sync::Mutex::new(Vec::new());
    let story = async {
        // Four are in their handlers, two still wait.
        started.acquire_many(4).await.unwrap().forget();
        replica.kill();
        // Their ends fall into the outage, and so does a publication.
        go.add_permits(6);
        let publisher = bus.clone();
        let meanwhile = tokio::spawn(async move { publisher.publish("work", &6).await });
        tokio::time::sleep(away()).await;
        replica = Replica::start(&db, &[("BUS_LISTEN", &listen)]);
        go.add_permits(1);
        ids.push(meanwhile.await.expect("no panic").expect("published when it is back").id);
        *attempts.lock().unwrap() = fulfilled(&bus, &ids).await;
    };
    Worker::new(bus.clone()).goal("work", handler).concurrency(4).run_until(story).await.unwrap();
    assert_eq!(attempts.into_inner().unwrap(), [1; 7]);
    assert_eq!(runs.load(Ordering::SeqCst), 7, "each ran once");
    tell(&format!("the bus was away for {:?}: 7 intents, 7 runs", away()));
    replica.kill();
}
