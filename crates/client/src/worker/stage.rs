//! How far a worker has come on its way to its end, and what signals have to do with it.

use tokio::sync::watch;

use super::signals::Signals;

/// How far a worker has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It claims and works.
    Run,
    /// It works on what it has.
    Drain,
    /// It cancels what it has.
    Stop,
}

/// The first signal lets the worker drain, whether or not it does so already, and the second makes it hurry.
pub(super) async fn follow_signals(stage: &watch::Sender<Stage>) -> std::io::Result<()> {
    let mut signals = Signals::listen()?;
    signals.next().await?;
    tracing::info!(
        "told to stop: what runs may come to its end, and nothing more is claimed; told once more, it is cancelled"
    );
    advance(stage, Stage::Drain);
    signals.next().await?;
    advance(stage, Stage::Stop);
    Ok(())
}

/// A stage never goes back.
pub(super) fn advance(stage: &watch::Sender<Stage>, to: Stage) {
    stage.send_if_modified(|stage| {
        let later = *stage < to;
        *stage = to.max(*stage);
        later
    });
}
