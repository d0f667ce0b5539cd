//! The overview, live. While somebody looks, one task of the replica reads the overview every two seconds and renders its
//! parts; every stream sends those that have changed. So a hundred readers cost the database what one does.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpResponse, http::header::CONTENT_TYPE};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Map, Value, json};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

use super::overview::parts;
use crate::{
    error::{Error, ErrorCode, Result},
    http::{Shared, auth::AdminRequest},
    store::Store,
};

/// From one look at the overview to the next.
const EVERY: Duration = Duration::from_secs(2);
/// A stream in which nothing happens says so, lest a proxy take it for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Streams of one replica.
const STREAMS: usize = 64;
/// Milliseconds after which a browser comes back when its stream has ended: to another replica, if this one stops.
const COME_BACK_MS: u32 = 2000;

/// The parts of the overview by name.
type Parts = Vec<(&'static str, String)>;

/// What streams know.
#[derive(Clone)]
enum Said {
    /// Nobody has looked yet.
    Nothing,
    /// The overview as last read.
    Overview(Arc<Parts>),
    /// It could not be read.
    Failed,
    /// The replica is about to stop.
    Closed,
}

/// What the streams of a replica share.
pub struct Live {
    places: Arc<Semaphore>,
    said: watch::Sender<Said>,
    /// Somebody has begun to look, or the replica is about to stop.
    stir: Notify,
}

impl Default for Live {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(STREAMS)), said: watch::Sender::new(Said::Nothing), stir: Notify::new() }
    }
}

impl Live {
    /// Reads the overview for as long as somebody looks. Ends when the replica is about to stop.
    pub async fn run(&self, store: &Store) {
        loop {
            while self.said.receiver_count() == 0 {
                // Whoever looks next shall not be shown what was long ago.
                if !self.say(Said::Nothing) {
                    return;
                }
                self.stir.notified().await;
            }
            let read = async { parts(&*store.overview().await?) };
            let said = match read.await {
                Ok(parts) => Said::Overview(Arc::new(parts)),
                Err(error) => {
                    tracing::warn!(?error, "the overview could not be read for those who look at the dashboard");
                    Said::Failed
                }
            };
            if !self.say(said) {
                return;
            }
            sleep(EVERY).await;
        }
    }

    /// Tells all streams. False: they are closed.
    fn say(&self, said: Said) -> bool {
        self.said.send_if_modified(|current| {
            let open = !matches!(current, Said::Closed);
            if open {
                *current = said;
            }
            open
        })
    }

    /// Ends all streams, and lets none begin: the replica is about to stop.
    pub fn close(&self) {
        self.said.send_replace(Said::Closed);
        self.stir.notify_one();
    }

    fn place(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Error::new(
                ErrorCode::DatabaseBusy,
                format!("{STREAMS} dashboards are open on this replica already. Close one, or look now and then."),
            )
            .retry_after(30)
        })
    }
}

/// A stream's own state.
struct Reader {
    said: watch::Receiver<Said>,
    sent: Arc<Parts>,
    begun: bool,
    ended: bool,
    /// Given back when the stream goes.
    _place: OwnedSemaphorePermit,
}

impl Reader {
    /// What is sent next. None: the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if !self.begun {
            self.begun = true;
            return Some(format!("retry: {COME_BACK_MS}\n\n").into());
        }
        match timeout(HEARTBEAT, self.said.changed()).await {
            Err(_) => Some(Bytes::from_static(b": still here\n\n")),
            Ok(Err(_)) => None,
            Ok(Ok(())) => {
                let said = self.said.borrow_and_update().clone();
                match said {
                    Said::Nothing => Some(Bytes::from_static(b":\n\n")),
                    Said::Failed => Some(Bytes::from_static(b"event: trouble\ndata: {}\n\n")),
                    Said::Closed => {
                        self.ended = true;
                        Some(Bytes::from_static(b"event: over\ndata: {}\n\n"))
                    }
                    Said::Overview(parts) => {
                        let changed = changed(&self.sent, &parts);
                        self.sent = parts;
                        Some(format!("event: overview\ndata: {changed}\n\n").into())
                    }
                }
            }
        }
    }
}

/// The parts that are not as they were, as one line of JSON.
fn changed(before: &Parts, now: &Parts) -> Value {
    let is_new = |part: &&(&'static str, String)| !before.contains(part);
    Value::Object(
        now.iter().filter(is_new).map(|(name, html)| ((*name).to_owned(), json!(html))).collect::<Map<_, _>>(),
    )
}

/// `GET /admin/events`: the parts of the overview as they change.
pub async fn events(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let place = state.live.place()?;
    let mut said = state.live.said.subscribe();
    // What has been read for others is news to this one.
    said.mark_changed();
    state.live.stir.notify_one();
    let reader = Reader { said, sent: Arc::default(), begun: false, ended: false, _place: place };
    let stream = stream::unfold(reader, async |mut reader| {
        let next = reader.next().await?;
        Some((Ok::<_, Error>(next), reader))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        // nginx would keep it back until it has a buffer full.
        .insert_header(("X-Accel-Buffering", "no"))
        // Where it ends, the browser shall not come back by the connection to a replica that stops.
        .force_close()
        .streaming(stream))
}

/// `GET /admin/dashboard/parts`: the same once, for those who cannot hold a stream open.
pub async fn fragments(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let parts = parts(&*state.store.overview().await?)?;
    crate::http::ok(&changed(&Parts::new(), &parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_sent() {
        let before = vec![("a", "1".to_owned()), ("b", "2".to_owned())];
        let now = vec![("a", "1".to_owned()), ("b", "3\n".to_owned())];
        assert_eq!(changed(&before, &now).to_string(), r#"{"b":"3\n"}"#);
        assert_eq!(changed(&now, &now).to_string(), "{}");
    }
}
