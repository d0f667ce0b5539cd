//! Signals between replicas: "so many intents have come into these lanes". They go by NOTIFY on a connection of their own, never
//! in a transaction that publishes, and at most one for the same lanes in 50 ms. Nothing depends on them: whoever waits is
//! also served by `waiting`, which looks every 0.85 to 0.95 s.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::pin,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use tokio::sync::{Notify, mpsc};
use tokio_postgres::AsyncMessage;

use super::{Store, connect::Address};
use crate::{
    domain::{ids::random_bytes, lanes::Lanes},
    error::Result,
};

const CHANNEL: &str = "intent_bus";
/// Least time between two signals for the same lanes.
const EVERY: Duration = Duration::from_millis(50);
/// Pause before a lost connection is made anew.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest text of one signal, in bytes. The server takes 7,999.
const TEXT_MAX: usize = 7_500;

/// What other replicas have not been told yet.
#[derive(Default)]
pub(super) struct Signals {
    pending: Mutex<HashMap<Lanes, usize>>,
    fresh: Notify,
}

impl Signals {
    /// Tells the other replicas, soon.
    pub(super) fn send(&self, lanes: Lanes, count: usize) {
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner).entry(lanes).or_default() += count;
        self.fresh.notify_one();
    }

    /// What may be told now, and when more may be.
    fn due(&self, told: &mut HashMap<Lanes, Instant>) -> (Vec<(Lanes, usize)>, Option<Instant>) {
        let now = Instant::now();
        told.retain(|_, at| now.duration_since(*at) < EVERY);
        let mut due = Vec::new();
        let mut next: Option<Instant> = None;
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).retain(|lanes, count| {
            if let Some(at) = told.get(lanes) {
                let then = *at + EVERY;
                next = Some(next.map_or(then, |next| next.min(then)));
                return true;
            }
            due.push((*lanes, *count));
            false
        });
        told.extend(due.iter().map(|(lanes, _)| (*lanes, now)));
        (due, next)
    }
}

impl Store {
    /// Sends and receives signals for as long as the process runs.
    pub async fn signal(&self, address: &Address) {
        let me = hex::encode(random_bytes::<8>());
        let mut failing = false;
        loop {
            if let Err(error) = self.signal_until_lost(address, &me).await
                && !failing
            {
                tracing::warn!(?error, "no signals between replicas; those who wait are served by looking");
            }
            failing = true;
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn signal_until_lost(&self, address: &Address, me: &str) -> Result<()> {
        let (client, mut connection) = address.connect_raw().await?;
        let (heard, mut incoming) = mpsc::unbounded_channel();
        let driven = async {
            let mut messages = pin!(stream::poll_fn(|context| connection.poll_message(context)));
            while let Some(message) = messages.next().await {
                if let AsyncMessage::Notification(signal) = message? {
                    let _ = heard.send(signal.payload().to_owned());
                }
            }
            Ok::<(), tokio_postgres::Error>(())
        };
        let sending = async {
            // A signal that is lost with the server is not worth waiting for its disk.
            client.batch_execute(&format!("SET synchronous_commit = off; LISTEN {CHANNEL}")).await?;
            // Prepared once: a text would take a round trip more each time.
            let notify = client.prepare("SELECT pg_notify($1, $2)").await?;
            let mut told = HashMap::new();
            loop {
                let (due, next) = self.signals.due(&mut told);
                for text in texts(me, &due) {
                    client.execute(&notify, &[&CHANNEL, &text.as_str()]).await?;
                }
                let fresh = self.signals.fresh.notified();
                match next {
                    Some(next) => drop(tokio::time::timeout_at(next.into(), fresh).await),
                    None => fresh.await,
                }
            }
        };
        let hearing = async {
            while let Some(text) = incoming.recv().await {
                for (lanes, count) in read(me, &text) {
                    self.waiters.wake(lanes, count);
                }
            }
            poll_fn(|_| std::task::Poll::<()>::Pending).await;
        };
        tokio::select! {
            ended = driven => ended?,
            ended = sending => { let _: Result<std::convert::Infallible> = ended; ended?; }
            () = hearing => {}
        }
        Ok(())
    }
}

/// Who says it, then the lanes and the count of each signal: numbers in hex.
fn texts(me: &str, signals: &[(Lanes, usize)]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for (lanes, count) in signals {
        let public = |lane: Option<i64>| lane.map(|lane| format!("{lane:x}")).unwrap_or_default();
        let signal = format!(
            " {:x},{:x},{},{},{count:x}",
            lanes.own_goal,
            lanes.own,
            public(lanes.public_goal),
            public(lanes.public)
        );
        match texts.last_mut() {
            Some(text) if text.len() + signal.len() <= TEXT_MAX => text.push_str(&signal),
            _ => texts.push(format!("{me}{signal}")),
        }
    }
    texts
}

/// The signals of a text, unless they are one's own. What cannot be read is another version's, and left alone.
fn read(me: &str, text: &str) -> Vec<(Lanes, usize)> {
    let mut words = text.split(' ');
    if words.next() == Some(me) {
        return Vec::new();
    }
    words.filter_map(read_one).collect()
}

fn read_one(word: &str) -> Option<(Lanes, usize)> {
    #[allow(clippy::cast_possible_wrap, reason = "the bits are the lane")]
    let lane = |text: &str| u64::from_str_radix(text, 16).ok().map(|lane| lane as i64);
    let parts: Vec<&str> = word.split(',').collect();
    let [own_goal, own, public_goal, public, count] = parts[..] else { return None };
    let lanes =
        Lanes { own_goal: lane(own_goal)?, own: lane(own)?, public_goal: lane(public_goal), public: lane(public) };
    Some((lanes, usize::from_str_radix(count, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(goal: &str, public: bool) -> Lanes {
        Lanes::of_intent(7, public, "default", goal, None, None)
    }

    #[test]
    fn a_signal_is_read_as_it_was_written_and_ones_own_is_passed_over() {
        let signals: Vec<(Lanes, usize)> = (0..300).map(|n| (lanes(&n.to_string(), n % 2 == 0), n)).collect();
        let texts = texts("me", &signals);
        assert!(texts.len() > 1 && texts.iter().all(|text| text.len() < 8000));
        let heard: Vec<_> = texts.iter().flat_map(|text| read("other", text)).collect();
        assert_eq!(heard, signals);
        assert!(texts.iter().all(|text| read("me", text).is_empty()));
        assert!(read("me", "other nonsense 1,2,3").is_empty());
    }

    #[test]
    fn the_same_lanes_are_told_at_once_and_then_not_again_for_a_while() {
        let signals = Signals::default();
        let mut told = HashMap::new();
        signals.send(lanes("a", false), 1);
        assert_eq!(signals.due(&mut told), (vec![(lanes("a", false), 1)], None));
        signals.send(lanes("a", false), 2);
        signals.send(lanes("a", false), 3);
        signals.send(lanes("b", false), 1);
        let (due, next) = signals.due(&mut told);
        assert_eq!(due, [(lanes("b", false), 1)]);
        assert!(next.is_some());
        told.insert(lanes("a", false), Instant::now().checked_sub(EVERY).unwrap_or_else(Instant::now));
        assert_eq!(signals.due(&mut told).0, [(lanes("a", false), 5)]);
    }
}
