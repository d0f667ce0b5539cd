//! Dead letters put back by filter: open again, with all their attempts before them, so many a second.

use super::{
    audit::By,
    search::{Filter, Found},
};
use crate::{
    error::{Error, Result},
    store::{Store, admission::Admission},
};

/// What to put back, and how fast.
#[derive(Debug, Clone)]
pub struct Redrive {
    /// Which dead letters: namespace, goal, tenant, error, since, until (when they died). The rest of it is not looked at.
    pub filter: Filter,
    /// At most so many, 1 to 10,000, those that died first.
    pub limit: i64,
    /// How many become due in each second, 1 to 1000.
    pub per_second: i32,
}

/// What would be put back.
#[derive(Debug, Default)]
pub struct Candidates {
    /// How many match, as far as was looked.
    pub count: i64,
    /// The first ten of them.
    pub sample: Vec<Found>,
    /// There may be more: the limit was reached, or as many dead letters were looked at as may be.
    pub more: bool,
    /// Where to go on if there are more, unix seconds: `since` of the next one.
    pub searched_until: Option<f64>,
}

/// What was put back.
#[derive(Debug, Default, Clone, Copy)]
pub struct Redriven {
    /// How many.
    pub count: i64,
    /// There may be more.
    pub more: bool,
    /// Where to go on if there are more.
    pub searched_until: Option<f64>,
    /// When the last one becomes due, unix seconds.
    pub last_due_at: Option<f64>,
}

impl Store {
    /// What a redrive would put back. Changes nothing.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn redrive_candidates(&self, redrive: &Redrive) -> Result<Candidates> {
        let _ = redrive;
        Err(Error::fault("not there yet"))
    }

    /// Puts dead letters back.
    ///
    /// # Errors
    /// What admission refuses; `database_busy`: what was put back until then stays so.
    pub async fn redrive(&self, admission: &Admission, by: &By, redrive: &Redrive) -> Result<Redriven> {
        let _ = (admission, by, redrive);
        Err(Error::fault("not there yet"))
    }
}
