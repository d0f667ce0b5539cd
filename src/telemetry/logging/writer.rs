//! Standard output, written by a thread of its own: whoever reads it slowly, or not at all, holds up that thread and no
//! request. What does not fit into the queue is lost, and counted.
//!
//! `tracing-appender` does the same, but for one thing: when it is to end while nobody reads, it says so on standard output,
//! and waits there for ever.

use std::{
    io::{self, Write},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait. A line has a few hundred bytes.
const WAITING: usize = 8192;
/// Bytes that are written at once.
const AT_ONCE: usize = 64 << 10;
/// Longest time that is waited for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);
/// Pause before the last word is said again to a queue that is full.
const BEFORE_ANOTHER_TRY: Duration = Duration::from_millis(5);

static LOST: AtomicU64 = AtomicU64::new(0);

/// Lines of this process that are lost.
pub(super) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// The way to standard output.
#[derive(Clone)]
pub(super) struct Writer(SyncSender<Sent>);

enum Sent {
    Line(Vec<u8>),
    /// Everything before this is to be written, and then said to be.
    Flush(SyncSender<()>),
}

impl Writer {
    /// Starts the thread, which ends with the process.
    pub(super) fn start() -> io::Result<Self> {
        Self::to(io::stdout())
    }

    fn to(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, lines) = sync_channel(WAITING);
        thread::Builder::new().name("log".to_owned()).spawn(move || write(&lines, output))?;
        Ok(Self(sender))
    }

    /// Waits until what has been said is written, or for as long as one should.
    pub(super) fn flush(&self) {
        let until = Instant::now() + LAST_LINES;
        let (written, done) = sync_channel(1);
        let mut flush = Sent::Flush(written);
        // A queue that stays full is one that nobody reads.
        while let Err(full) = self.0.try_send(flush) {
            let TrySendError::Full(back) = full else { return };
            if Instant::now() >= until {
                return;
            }
            flush = back;
            thread::sleep(BEFORE_ANOTHER_TRY);
        }
        let _ = done.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

fn write(lines: &Receiver<Sent>, mut output: impl Write) {
    let mut text = Vec::with_capacity(AT_ONCE);
    let mut known = lost();
    while let Ok(first) = lines.recv() {
        let mut done = None;
        let mut next = Some(first);
        while let Some(sent) = next {
            match sent {
                Sent::Line(line) => text.extend_from_slice(&line),
                Sent::Flush(written) => done = Some(written),
            }
            next = if text.len() < AT_ONCE && done.is_none() { lines.try_recv().ok() } else { None };
        }
        // There is nobody to tell of an output that is closed.
        let _ = output.write_all(&text).and_then(|()| output.flush());
        text.clear();
        if let Some(done) = done {
            let _ = done.try_send(());
        }
        let lost = lost();
        if lost > known {
            tracing::warn!(lines = lost - known, "log lines were lost: whoever reads standard output is too slow");
            known = lost;
        }
    }
}

impl Write for &Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.try_send(Sent::Line(line.to_vec())).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use super::*;

    /// An output that nobody reads until it is let go, and that shows then what it has got.
    struct Stuck(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_output_that_nobody_reads_holds_nobody_up_and_what_is_lost_is_counted() {
        let (go, stuck) = mpsc::channel();
        let written = Arc::default();
        let writer = Writer::to(Stuck(stuck, Arc::clone(&written))).unwrap();
        let before = lost();
        // Some more than one write takes, and the queue.
        let said = WAITING + AT_ONCE + 10;
        for _ in 0..said {
            (&writer).write_all(b"\n").unwrap();
        }
        let lost = lost() - before;
        assert!(lost >= 10, "{lost}");
        drop(go);
        writer.flush();
        assert_eq!(written.lock().unwrap().len() as u64, said as u64 - lost);
    }
}
