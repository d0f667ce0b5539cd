//! What the guard waits for: the end of its caller, a signal, the end of its child. One channel, so one place to wait.

use std::{
    io::{self, Read},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::Error;

/// Something to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The caller closed the pipe or died, or somebody signalled the guard.
    Stop,
    /// A child changed: look at it. A wait that timed out says the same, as looking once more does no harm.
    Look,
}

/// The receiving end.
pub(crate) struct Events(Receiver<Event>);

impl Events {
    /// Starts to listen, from now on and for the life of the process.
    pub(crate) fn listen() -> Result<Self, Error> {
        let (sender, receiver) = mpsc::channel();
        let mut signals =
            Signals::new([SIGCHLD, SIGTERM, SIGINT, SIGHUP]).map_err(Error::io("listening for signals"))?;
        let on_signal = sender.clone();
        thread::spawn(move || {
            for signal in signals.forever() {
                let event = if signal == SIGCHLD { Event::Look } else { Event::Stop };
                if on_signal.send(event).is_err() {
                    break;
                }
            }
        });
        thread::spawn(move || {
            // The orders have been read; nothing but the end comes now. The caller's end of the pipe is close-on-exec
            // (std makes all its pipes so), hence no other child of the caller keeps it open.
            let mut rest = [0; 64];
            loop {
                match io::stdin().read(&mut rest) {
                    Ok(1..) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => break,
                }
            }
            let _ = sender.send(Event::Stop);
        });
        Ok(Self(receiver))
    }

    /// The next event, or `Look` after `patience`.
    pub(crate) fn wait(&self, patience: Duration) -> Event {
        match self.0.recv_timeout(patience) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => Event::Look,
            Err(RecvTimeoutError::Disconnected) => Event::Stop,
        }
    }
}
