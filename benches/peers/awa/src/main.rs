//! `awa`, end to end, with what its documents name for high rates: its queue storage (the default of 0.6) set as in its
//! throughput benchmark, jobs added by COPY, no deadline per job (the short path for receipts), 256 workers on one queue
//! or, with `--workers 1024 --partitions 2`, 1,024 over a partitioned queue, which also gives it four completion shards.

use std::time::Duration;

use awa::model::insert::params_with;
use awa::model::migrations;
use awa::{
    Client, InsertOpts, InsertParams, JobArgs, JobContext, JobError, JobResult, PartitionedQueue, QueueConfig,
    QueueStorage, QueueStorageConfig, Worker,
};
use peer_harness::{Arguments, Handled, Result, Run};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

const BATCH: u64 = 2_000;
const AHEAD: u64 = 10_000;
const POLL: Duration = Duration::from_millis(50);
const ROTATE_QUEUE: Duration = Duration::from_secs(1);
const ROTATE_LEASES: Duration = Duration::from_millis(250);

#[derive(Serialize, Deserialize, JobArgs)]
struct BenchJob {
    n: u64,
}

struct Count(Handled);

#[async_trait::async_trait]
impl Worker for Count {
    fn kind(&self) -> &'static str {
        "bench_job"
    }

    async fn perform(&self, _context: &JobContext) -> std::result::Result<JobResult, JobError> {
        self.0.add();
        Ok(JobResult::Completed)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::read(256)?;
    // Its rule: four for each queue and twenty.
    let connections = 4 * u32::try_from(arguments.partitions)? + 20;
    let pool = PgPoolOptions::new().max_connections(connections).connect(&arguments.url).await?;
    migrations::run(&pool).await?;
    let storage = QueueStorageConfig::default();
    let store = QueueStorage::new(storage.clone())?;
    store.install(&pool).await?;

    let queue = PartitionedQueue::new("bench", arguments.partitions)?;
    let handled = Handled::default();
    let client = Client::builder(pool.clone())
        .partitioned_queue(
            &queue,
            QueueConfig {
                max_workers: arguments.workers / u32::try_from(arguments.partitions)?,
                poll_interval: POLL,
                deadline_duration: Duration::ZERO,
                ..QueueConfig::default()
            },
        )
        .queue_storage(storage, ROTATE_QUEUE, ROTATE_LEASES)
        .register_worker(Count(handled.clone()))
        .build()?;
    client.start().await?;

    let mut run = Run::start(arguments.window, handled.clone());
    while run.may_add(AHEAD).await {
        let jobs = (run.added..run.added + BATCH).map(|n| job(&queue, n)).collect::<Result<Vec<_>>>()?;
        store.enqueue_params_copy(&pool, &jobs).await?;
        run.added += BATCH;
    }
    // The clock stops here, a flush of completions (1 ms, 512 of them) early: its exact count takes seconds.
    while handled.get() < run.added {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    run.stop();
    client.shutdown(Duration::from_secs(10)).await;
    if arguments.check {
        let finished = finished(&store, &pool, &queue).await?;
        if finished != run.added {
            return Err(format!("{} jobs added, {finished} finished", run.added).into());
        }
    }
    let mode =
        format!("end to end, COPY adds of {BATCH}, {} workers, {} partitions", arguments.workers, arguments.partitions);
    run.report("awa", "0.6.9", &mode)
}

/// Jobs go to the partitions in turn, half of a batch to each of two.
fn job(queue: &PartitionedQueue, n: u64) -> Result<InsertParams> {
    let options = queue.route_opts_by_index(InsertOpts::default(), usize::try_from(n)?);
    Ok(params_with(&BenchJob { n }, options)?)
}

/// Jobs that the database holds as finished.
async fn finished(store: &QueueStorage, pool: &PgPool, queue: &PartitionedQueue) -> Result<u64> {
    let mut finished = 0;
    for physical in queue.physical_queues() {
        finished += u64::try_from(store.queue_counts(pool, physical).await?.terminal)?;
    }
    Ok(finished)
}
