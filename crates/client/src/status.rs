//! What the bus tells of an intent. Fields that an older server leaves out are `None`.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::error::Result;

/// The state of an intent.
///
/// ```
/// use intent_bus_client::IntentState;
///
/// assert!(IntentState::Dead.is_final() && !IntentState::Claimed.is_final());
/// assert_eq!(IntentState::Open.to_string(), "open");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntentState {
    /// Waiting to be claimed, maybe for its delay or its backoff.
    Open,
    /// Held by a worker.
    Claimed,
    /// Done.
    Fulfilled,
    /// Given up: attempts used up, cancelled or expired.
    Dead,
    /// A word that this client does not know.
    Other(String),
}

impl IntentState {
    /// Whether it will not change any more by itself.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Fulfilled | Self::Dead)
    }

    pub(crate) fn parse(word: &str) -> Self {
        match word {
            "open" => Self::Open,
            "claimed" => Self::Claimed,
            "fulfilled" => Self::Fulfilled,
            // As protocol 1.1 calls it.
            "dead" | "failed" => Self::Dead,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl std::fmt::Display for IntentState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::Fulfilled => "fulfilled",
            Self::Dead => "dead",
            Self::Other(word) => word,
        })
    }
}

impl<'de> Deserialize<'de> for IntentState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

/// What has become of an intent. Times are unix seconds by the clock of the bus.
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
/// let status = bus.status("01a2046cc299778fa0253dd9c02d09ba").await?;
/// println!("{}: {} ({:?})", status.id, status.state, status.last_error);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct IntentStatus {
    /// Its id.
    pub id: String,
    /// Its state.
    #[serde(rename = "status")]
    pub state: IntentState,
    /// Its namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// What kind of work it is.
    #[serde(default)]
    pub goal: Option<String>,
    /// 0 to 1000; the higher is claimed first.
    #[serde(default)]
    pub priority: Option<i32>,
    /// `private`, or `public` if any worker may claim it.
    #[serde(default)]
    pub visibility: Option<String>,
    /// How often it has been claimed.
    #[serde(default, rename = "claim_attempts")]
    pub attempts: Option<i32>,
    /// From when it may be claimed, its delay or its backoff counted in.
    #[serde(default)]
    pub run_at: Option<f64>,
    /// When the lease on it ends.
    #[serde(default)]
    pub claim_expires_at: Option<f64>,
    /// The only worker that may claim it.
    #[serde(default)]
    pub target_worker: Option<String>,
    /// What a worker must be able to do to claim it.
    #[serde(default)]
    pub required_capability: Option<String>,
    /// When it was fulfilled or died.
    #[serde(default)]
    pub completed_at: Option<f64>,
    /// What the last worker that failed said, or why it is dead.
    #[serde(default)]
    pub last_error: Option<String>,
}

/// What has become of an intent, and what the work brought.
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
/// let result = bus.result("01a2046cc299778fa0253dd9c02d09ba").await?;
/// println!("{}: {:?}, or {:?}", result.status.state, result.json(), result.error);
/// let width: Option<u32> = result.value()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IntentResult {
    /// Its status.
    pub status: IntentStatus,
    /// What it was fulfilled with, byte for byte. `None` if there is nothing, or nothing yet.
    pub result: Option<Box<RawValue>>,
    /// `json`, or `text` if the result is a string that is meant as such.
    pub result_type: Option<String>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

impl IntentResult {
    /// The result read as a type. `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Json`](crate::Error::Json) if it is not of this type.
    pub fn value<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.result.as_deref().map(|raw| Ok(serde_json::from_str(raw.get())?)).transpose()
    }

    /// The result as JSON, byte for byte as the worker sent it.
    #[must_use]
    pub fn json(&self) -> Option<&str> {
        self.result.as_deref().map(RawValue::get)
    }
}

impl<'de> Deserialize<'de> for IntentResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        use serde::de::Error;
        // Twice over the same text, since a flattened struct could not keep the result byte for byte.
        let text = <&RawValue>::deserialize(deserializer)?.get();
        let status: IntentStatus = serde_json::from_str(text).map_err(D::Error::custom)?;
        let brought: Brought = serde_json::from_str(text).map_err(D::Error::custom)?;
        Ok(Self { status, result: brought.result, result_type: brought.result_type, error: brought.error })
    }
}

#[derive(Deserialize)]
struct Brought {
    // A result that is `null` is a result.
    #[serde(default, deserialize_with = "present")]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    result_type: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Box<RawValue>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_kept_byte_for_byte_beside_the_status() {
        for json in [r#"{ "n":1e400, "s":"\ud800" }"#, "null", "\"text\"", "12345678901234567890123"] {
            let answer = format!(
                r#"{{"id":"0a","status":"fulfilled","claim_attempts":2,"result":{json},"result_type":"json"}}"#
            );
            let result: IntentResult = serde_json::from_str(&answer).unwrap();
            assert_eq!((result.json(), result.status.attempts), (Some(json), Some(2)));
        }
    }

    #[test]
    fn what_an_older_server_leaves_out_is_none() {
        let result: IntentResult = serde_json::from_str(r#"{"id":"0a","status":"failed"}"#).unwrap();
        assert_eq!(result.status.state, IntentState::Dead);
        assert!(result.result.is_none() && result.status.attempts.is_none() && result.value::<u8>().unwrap().is_none());
    }

    #[test]
    fn a_state_of_the_future_can_still_be_read() {
        let status: IntentStatus = serde_json::from_str(r#"{"id":"0a","status":"paused"}"#).unwrap();
        assert_eq!(status.state, IntentState::Other("paused".to_owned()));
        assert_eq!(status.state.to_string(), "paused");
    }
}
