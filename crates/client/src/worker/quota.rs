//! How many intents a worker may still claim, in all.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// No limit.
pub(super) const UNLIMITED: usize = Semaphore::MAX_PERMITS;

/// A claim reserves as many as it may bring, before it asks, and gives back what it has not brought.
pub(super) struct Quota {
    free: Arc<Semaphore>,
    left: AtomicUsize,
}

/// One intent that may be claimed.
pub(super) struct Reserved(OwnedSemaphorePermit);

impl Quota {
    pub(super) fn new(limit: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(limit)), left: AtomicUsize::new(limit) }
    }

    /// How many there are, reserved or not.
    pub(super) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Waits for one. `None`: all are used up.
    pub(super) async fn reserve(&self) -> Option<Reserved> {
        Arc::clone(&self.free).acquire_owned().await.ok().map(Reserved)
    }

    /// One, if there is one at once.
    pub(super) fn try_reserve(&self) -> Option<Reserved> {
        Arc::clone(&self.free).try_acquire_owned().ok().map(Reserved)
    }

    /// It was claimed.
    pub(super) fn use_up(&self, reserved: Reserved) {
        reserved.0.forget();
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.free.close();
        }
    }
}
