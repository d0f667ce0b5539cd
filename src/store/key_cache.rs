//! The keys that a replica has seen lately, so that a request need not ask for its key. Revocation takes effect within a
//! second: `watch` asks every 750 ms which keys have changed and forgets them. While that fails, nothing that is
//! cached is believed, and each request asks the database itself.

use std::{
    collections::HashMap,
    sync::RwLock,
    time::{Duration, Instant},
};

use super::{Store, keys::Key};
use crate::error::{Error, Result};

/// Pause after a look for changed keys, less three times what the look took: the slower looks are, the earlier the next one begins.
const LOOK_EVERY: Duration = Duration::from_millis(750);
/// The shortest pause, and the one after a look that failed.
const LOOK_AT_LEAST: Duration = Duration::from_millis(300);
/// How long cached keys are believed after the last look that succeeded, counted from its beginning.
const BELIEVED_FOR: Duration = Duration::from_millis(950);
/// Keys kept; when there are more, all are forgotten and learnt again.
const CAPACITY: usize = 100_000;

/// Keys by hash.
pub struct KeyCache {
    store: Store,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<[u8; 32], Key>,
    looked_at: Option<Instant>,
}

impl KeyCache {
    /// An empty cache over a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, known: RwLock::default() }
    }

    /// The key of this hash, unless it is revoked, has ended or there is none. Unknown keys are not remembered, so a new key works at
    /// once on every replica.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn find(&self, hash: &[u8; 32]) -> Result<Option<Key>> {
        if let Some(key) = self.cached(hash) {
            return Ok(Some(key));
        }
        // Boxed, as whoever asks for a key lives for as long as a request, and seldom gets here.
        let found = Box::pin(self.store.find_key(hash)).await?;
        if let (Some(key), Ok(mut known)) = (&found, self.known.write()) {
            if known.keys.len() >= CAPACITY {
                known.keys.clear();
            }
            // A revocation that was committed since is still listed as recent when the next look comes.
            known.keys.insert(*hash, key.clone());
        }
        Ok(found)
    }

    /// Forgets a key, after this replica has revoked it.
    pub fn forget(&self, hash: &[u8; 32]) {
        if let Ok(mut known) = self.known.write() {
            known.keys.remove(hash);
        }
    }

    /// Forgets a key by its number, after this replica has given it an end or another reach.
    pub fn forget_number(&self, number: i64) {
        if let Ok(mut known) = self.known.write() {
            known.keys.retain(|_, key| key.id != number);
        }
    }

    fn cached(&self, hash: &[u8; 32]) -> Option<Key> {
        let known = self.known.read().ok()?;
        let fresh = known.looked_at.is_some_and(|at| at.elapsed() < BELIEVED_FOR);
        let lasts = |key: &&Key| key.ends.is_none_or(|ends| Instant::now() < ends);
        if fresh { known.keys.get(hash).filter(lasts).cloned() } else { None }
    }

    /// Looks for changed keys for as long as the process runs, by connections of its own: when requests have to wait for
    /// theirs, the cache must not be given up as well, or each request would need one more.
    pub async fn watch(&self, own: &Store) {
        let mut failing = false;
        loop {
            let began = Instant::now();
            // A look that hangs must not be believed for longer than one that fails.
            let looked = tokio::time::timeout(BELIEVED_FOR, own.changes()).await;
            let looked = looked.unwrap_or_else(|_| Err(Error::busy("the look for changed keys took too long")));
            match &looked {
                Ok((changed, paused)) => {
                    self.forget_changed(changed, began);
                    self.store.learn_pauses(paused.clone(), began);
                }
                Err(error) if !failing => {
                    tracing::warn!(?error, "cannot look for revoked keys; asking for each request");
                }
                Err(_) => {}
            }
            failing = looked.is_err();
            let pause = if failing { LOOK_AT_LEAST } else { LOOK_EVERY.saturating_sub(3 * began.elapsed()) };
            tokio::time::sleep(pause.max(LOOK_AT_LEAST)).await;
        }
    }

    fn forget_changed(&self, changed: &[[u8; 32]], began: Instant) {
        if let Ok(mut known) = self.known.write() {
            for hash in changed {
                known.keys.remove(hash);
            }
            known.looked_at = Some(began);
        }
    }
}
