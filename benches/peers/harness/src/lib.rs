//! What every peer's program does alike: its command line, how far its producer may run ahead, and the line it prints.
//! Nothing about any one peer.
//!
//! End to end means: for `--seconds` a producer adds jobs while the worker runs them, then the worker empties the queue.
//! The clock stops when nothing is left to do. All that was added must then have run.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The one error of these programs: whatever went wrong ends the run.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What the command line and the environment say.
pub struct Arguments {
    /// `DATABASE_URL`: an empty database.
    pub url: String,
    /// `--seconds`: how long jobs are added.
    pub window: Duration,
    /// `--workers`: jobs that may run at once.
    pub workers: u32,
    /// `--partitions`: physical queues behind the one logical queue, where the peer has such a thing.
    pub partitions: usize,
    /// `--check true`: compare with the database's own count at the end. Off in the comparison, where a count that reads
    /// every finished job would be charged to the jobs.
    pub check: bool,
}

impl Arguments {
    /// Reads them. `workers` is the peer's default.
    pub fn read(workers: u32) -> Result<Self> {
        let url = std::env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set")?;
        let mut read = Self { url, window: Duration::from_secs(10), workers, partitions: 1, check: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--seconds" => read.window = Duration::try_from_secs_f64(value.parse()?)?,
                "--workers" => read.workers = value.parse()?,
                "--partitions" => read.partitions = value.parse()?,
                "--check" => read.check = value.parse()?,
                _ => return Err(format!("unknown argument {name}").into()),
            }
        }
        Ok(read)
    }
}

/// Jobs that handlers have run. A clone counts into the same number.
#[derive(Clone, Debug, Default)]
pub struct Handled(Arc<AtomicU64>);

impl Handled {
    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One run: when it began and what was added.
pub struct Run {
    began: Instant,
    window: Duration,
    handled: Handled,
    /// Jobs added so far.
    pub added: u64,
    took: Option<Duration>,
}

impl Run {
    /// Starts the clock.
    #[must_use]
    pub fn start(window: Duration, handled: Handled) -> Self {
        Self { began: Instant::now(), window, handled, added: 0, took: None }
    }

    /// Waits until the worker is at most `ahead` jobs behind. False once the window is over: add no more.
    pub async fn may_add(&self, ahead: u64) -> bool {
        while self.added.saturating_sub(self.handled.get()) > ahead && self.began.elapsed() < self.window {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.began.elapsed() < self.window
    }

    /// Stops the clock: the last job is done.
    pub fn stop(&mut self) {
        self.took = Some(self.began.elapsed());
    }

    /// Prints the result as one line of JSON.
    pub fn report(self, peer: &str, version: &str, mode: &str) -> Result<()> {
        let handled = self.handled.get();
        if handled < self.added {
            return Err(format!("{} jobs added, only {handled} run", self.added).into());
        }
        let seconds = self.took.unwrap_or_else(|| self.began.elapsed()).as_secs_f64();
        let rate = self.added as f64 / seconds;
        let line = serde_json::json!({
            "peer": peer, "version": version, "mode": mode,
            "jobs": self.added, "seconds": seconds, "jobs_per_second": rate,
        });
        writeln!(std::io::stdout(), "{line}")?;
        Ok(())
    }
}
