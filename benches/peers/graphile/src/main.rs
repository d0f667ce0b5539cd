//! `graphile_worker`, end to end, set as in its own throughput benchmark (`benches/perf_test.rs` of the crate): a local
//! queue of 5,000, completions batched over 5 ms, 500 jobs at once, a poll every 5 ms. Jobs are added 10,000 a call.

use std::sync::Arc;
use std::time::Duration;

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, RawJobSpec, TaskHandler, WorkerContext, WorkerOptions,
};
use peer_harness::{Arguments, Handled, Result, Run};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

const BATCH: u64 = 10_000;
const LOCAL_QUEUE: usize = 5_000;
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Serialize, Deserialize)]
struct Job {
    n: u64,
}

impl TaskHandler for Job {
    const IDENTIFIER: &'static str = "bench";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        if let Some(handled) = context.get_ext::<Handled>() {
            handled.add();
        }
        Ok::<(), String>(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::read(500)?;
    let pool = PgPoolOptions::new().max_connections(20).connect(&arguments.url).await?;
    let handled = Handled::default();
    let worker = Arc::new(
        WorkerOptions::default()
            .pg_pool(pool.clone())
            .concurrency(usize::try_from(arguments.workers)?)
            .poll_interval(PAUSE)
            .complete_job_batch_delay(PAUSE)
            .local_queue(LocalQueueConfig::default().with_size(LOCAL_QUEUE))
            .add_extension(handled.clone())
            .define_job::<Job>()
            .init()
            .await?,
    );
    let utils = worker.create_utils();
    let running = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.run().await }
    });

    let mut run = Run::start(arguments.window, handled);
    while run.may_add(2 * BATCH).await {
        let jobs: Vec<RawJobSpec> = (run.added..run.added + BATCH)
            .map(|n| RawJobSpec {
                identifier: Job::IDENTIFIER.to_owned(),
                payload: serde_json::json!({ "n": n }),
                spec: JobSpec::default(),
            })
            .collect();
        utils.add_raw_jobs(&jobs).await?;
        run.added += BATCH;
    }
    while !is_empty(&pool).await? {
        tokio::time::sleep(PAUSE).await;
    }
    run.stop();
    worker.request_shutdown();
    running.await??;
    run.report("graphile_worker", "0.14.1", "end to end, local queue 5000, adds of 10000")
}

async fn is_empty(pool: &PgPool) -> Result<bool> {
    let empty = "SELECT NOT EXISTS (SELECT FROM graphile_worker._private_jobs)";
    Ok(sqlx::query_scalar(empty).fetch_one(pool).await?)
}
