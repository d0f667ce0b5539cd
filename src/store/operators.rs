//! What operators see and do: search, one intent in full, dead letters put back, pauses, workers, the overview, the audit log.
//! Their keys are in `store/keys`. Reads are bounded in rows; what changes something writes its line of the audit log in the
//! same transaction.

pub mod audit;
pub mod inspect;
pub mod overview;
pub mod pauses;
pub mod redrive;
pub mod search;
pub mod workers;
