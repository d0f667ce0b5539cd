//! Publishes many intents and works them off in this process: how many a second, with how much of the processor and of the
//! memory. The handler does nothing, so what is measured is the worker and the bus. Linux only, for its figures.
//!
//! ```text
//! INTENT_BUS_URL=http://127.0.0.1:5000 INTENT_API_KEY=… \
//!     cargo run --release -p intent-bus-client --example throughput -- 10000 64
//! ```

#![allow(clippy::print_stdout, reason = "what it is for")]

use std::{
    env, fs,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use intent_bus_client::{Error, IntentClient, Job, NewIntent, Worker, signing::random_hex};
use tokio::sync::Notify;

#[tokio::main(flavor = "current_thread")]
async fn main() -> intent_bus_client::Result<()> {
    let mut numbers = env::args().skip(1).filter_map(|text| text.parse().ok());
    let (count, concurrency) = (numbers.next().unwrap_or(10_000), numbers.next().unwrap_or(64));
    let bus = IntentClient::from_env()?;
    let goal = format!("throughput-{}", random_hex(8)?);
    for first in (0..count).step_by(1000) {
        let intents = (first..count.min(first + 1000)).map(|n| NewIntent::new(&goal, &serde_json::json!({"n": n})));
        for outcome in bus.publish_many(intents).await? {
            outcome.map_err(|refusal| Error::Config(format!("not published: {refusal}").into()))?;
        }
    }

    let handler = async |job: Job<serde_json::Value>| Ok::<_, Error>(job.payload);
    let (told, all) = (AtomicUsize::new(0), Arc::new(OnceLock::new()));
    let (last, over) = (Arc::clone(&all), Arc::new(Notify::new()));
    let stop = Arc::clone(&over);
    let (began, cpu) = (Instant::now(), cpu());
    let tell = move |_: &_| {
        if told.fetch_add(1, Ordering::Relaxed) + 1 == count {
            let _ = last.set(began.elapsed());
            stop.notify_one();
        }
    };
    Worker::new(bus).goal(goal, handler).concurrency(concurrency).on_end(tell).run_until(over.notified()).await?;
    // Until the bus knew of the last one: to stop takes a while more, since a claim may still be under way.
    let (took, used) = (all.get().copied().unwrap_or_default(), self::cpu().saturating_sub(cpu));
    let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64();
    println!("{count} intents, concurrency {concurrency}: {rate:.0} intents/s in {:.2} s", took.as_secs_f64());
    println!("processor: {:.2} s in all; memory at its highest: {} KiB", used.as_secs_f64(), peak_memory());
    Ok(())
}

/// The processor's time of this process so far, in the kernel's ticks of 10 ms.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in brackets, which may hold anything: user and system time are the 12th and 13th field.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).unwrap_or("?").to_owned()
}
