//! What ends a worker from outside: SIGTERM, as supervisors send it, and SIGINT, as Ctrl-C does.

/// Waits for the next one.
#[cfg(unix)]
pub(super) async fn stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) async fn stop() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
