//! One trace from the publisher over the bus to the worker and back.

use intent_bus_client::{Job, Worker};

use super::{client, fulfilled};
use crate::support::{Collector, TestApp, collector::Manner};

const TRACE: &str = "11111111111111111111111111111111";

#[tokio::test]
async fn what_a_worker_does_is_recorded_in_the_trace_of_the_publication() {
    let collector = Collector::grpc(Manner::Takes).await;
    let app = TestApp::with(&collector.settings()).await;
    let bus = client(&app);
    let id = bus.publish("greet", "Ada").traceparent(format!("00-{TRACE}-1111111111111111-01")).await.unwrap().id;
    let handler = |job: Job<String>| async move {
        // Below the work: a publication of its own, and the end.
        let next = job.client().publish("next", &job.payload).await.map_err(|error| error.to_string())?;
        assert_ne!(next.id, job.id());
        Ok::<_, String>(job.traceparent().map(ToOwned::to_owned))
    };
    let done = async { drop(fulfilled(&bus, std::slice::from_ref(&id)).await) };
    Worker::new(bus.clone()).goal("greet", handler).run_until(done).await.unwrap();
    let told: Option<Option<String>> = bus.result(&id).await.unwrap().value().unwrap();
    let traceparent = told.flatten().expect("the trace of the work");
    let work = traceparent.split('-').nth(2).expect("a span").to_owned();

    for name in ["publish next", "fulfill greet"] {
        collector.span(name).await;
    }
    let spans = collector.spans();
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"));
    assert_eq!(of("POST /fulfill/{id}").trace, TRACE);
    assert_eq!(of("POST /fulfill/{id}").parent, work);
    let published: Vec<_> = spans.iter().filter(|span| span.name == "POST /intent").map(|span| &span.parent).collect();
    assert!(published.contains(&&work), "{spans:#?}");
}
