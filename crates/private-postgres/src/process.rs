//! A child process of the guard, ended when dropped.

use std::{
    io,
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::events::{Event, Events};

/// Signals from the polite to the last one, each with the time it is given to work.
pub(crate) type Escalation = &'static [(Signal, Duration)];

/// A running program.
pub(crate) struct Process<'e> {
    child: Child,
    events: &'e Events,
    escalation: Escalation,
    ended: Option<ExitStatus>,
}

impl<'e> Process<'e> {
    pub(crate) fn new(child: Child, events: &'e Events, escalation: Escalation) -> Self {
        Self { child, events, escalation, ended: None }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Waits for its end or for the order to stop.
    pub(crate) fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Waited> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(Waited::Ended(status));
            }
            let left = deadline.map_or(Duration::from_secs(3600), |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(Waited::TimedOut);
            }
            if self.events.wait(left) == Event::Stop {
                return Ok(Waited::Stopped);
            }
        }
    }

    /// Ends it, at the latest by SIGKILL. Orders to stop that come meanwhile add nothing.
    pub(crate) fn stop(&mut self) {
        // Only this process waits for the child, so the id cannot be another's before `ended` has said so.
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else {
            return;
        };
        for &(signal, patience) in self.escalation {
            if !matches!(self.ended(), Ok(None)) || kill_process(pid, signal).is_err() {
                return;
            }
            let deadline = Instant::now() + patience;
            while matches!(self.wait(Some(deadline)), Ok(Waited::Stopped)) {}
        }
    }
}

/// Why a wait is over.
pub(crate) enum Waited {
    Ended(ExitStatus),
    Stopped,
    TimedOut,
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}
