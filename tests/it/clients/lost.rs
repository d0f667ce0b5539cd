//! Answers to claims get lost between a real bus and a real worker.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use intent_bus_client::{Job, Worker};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{client, client_at};
use crate::support::TestApp;

/// Hands on what is said, but hangs up instead of every third answer that has a claim in it. Counts those.
async fn loses_claims(bus: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (claims, lost) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&lost);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (claims, lost) = (Arc::clone(&claims), Arc::clone(&lost));
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_bus, mut to_bus) = TcpStream::connect(bus).await.unwrap().into_split();
                let asking = async { tokio::io::copy(&mut from_client, &mut to_bus).await.map(drop) };
                let answering = async {
                    let mut answer = vec![0; 65_536];
                    loop {
                        let length = from_bus.read(&mut answer).await?;
                        let is_claim = answer[..length].windows(11).any(|bytes| bytes == b"claim_token");
                        if length == 0 || (is_claim && claims.fetch_add(1, Ordering::SeqCst) % 3 == 1) {
                            lost.fetch_add(usize::from(length > 0), Ordering::SeqCst);
                            return Ok(());
                        }
                        to_client.write_all(&answer[..length]).await?;
                    }
                };
                let _: std::io::Result<()> = tokio::select! { done = asking => done, done = answering => done };
            });
        }
    });
    (address, counted)
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_asked_for_again_and_costs_no_attempt() {
    let app = TestApp::spawn().await;
    let (address, lost) = loses_claims(app.address).await;
    let bus = client(&app);
    for number in 0..60 {
        bus.publish("greet", &number).await.unwrap();
    }
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&attempts);
    // The first answer, which is not lost, tells that the bus gives claims again.
    Worker::new(client_at(address))
        .concurrency(2)
        .until_empty()
        .goal("greet", move |job: Job<u32>| {
            seen.lock().unwrap().push((job.payload, job.attempt()));
            async { Ok::<_, String>(()) }
        })
        .run()
        .await
        .unwrap();
    let mut attempts = attempts.lock().unwrap().clone();
    attempts.sort_unstable();
    assert_eq!(attempts, (0..60).map(|number| (number, 1)).collect::<Vec<_>>());
    assert!(lost.load(Ordering::SeqCst) > 3, "{lost:?}");
}
