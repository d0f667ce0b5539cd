//! Goals and namespaces that are not handed out for now. Claims look at the table by themselves.

use super::audit::By;
use crate::{
    error::{Error, Result},
    store::{Store, admission::Admission},
};

/// What is paused.
#[derive(Debug, Clone, PartialEq)]
pub struct Pause {
    /// In which namespace.
    pub namespace: String,
    /// Which goal. None: all of the namespace.
    pub goal: Option<String>,
    /// Since when, unix seconds.
    pub paused_at: f64,
}

impl Store {
    /// Stops handing out a goal, or all of a namespace. False: it was paused already.
    ///
    /// # Errors
    /// What admission refuses.
    pub async fn pause(&self, admission: &Admission, by: &By, namespace: &str, goal: Option<&str>) -> Result<bool> {
        let _ = (admission, by, namespace, goal);
        Err(Error::fault("not there yet"))
    }

    /// Hands it out again. False: it was not paused. A goal stays paused while its namespace is.
    ///
    /// # Errors
    /// What admission refuses.
    pub async fn resume(&self, admission: &Admission, by: &By, namespace: &str, goal: Option<&str>) -> Result<bool> {
        let _ = (admission, by, namespace, goal);
        Err(Error::fault("not there yet"))
    }

    /// Everything that is paused, at most 1000 lines.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn pauses(&self) -> Result<Vec<Pause>> {
        Err(Error::fault("not there yet"))
    }
}
