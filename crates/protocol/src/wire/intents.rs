//! Answers about intents, to those who publish them and to those who work on them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{ErrorBody, ErrorDetail};

/// `POST /intent`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Published {
    /// The new intent's id.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{32}$"))]
    pub id: String,
    /// Always `published`.
    #[cfg_attr(feature = "openapi", schema(pattern = "^published$", example = "published"))]
    pub status: String,
    /// The namespace it was published in.
    #[cfg_attr(feature = "openapi", schema(example = "default"))]
    pub namespace: String,
}

/// `POST /claim`: an intent, and the lease on it.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Claimed {
    /// The intent's id.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{32}$"))]
    pub id: String,
    /// Its namespace.
    pub namespace: String,
    /// What kind of work it is, 1 to 256 characters.
    pub goal: String,
    /// What to work on, byte for byte as it was published. Under protocol 1.1 an object.
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub payload: Box<RawValue>,
    /// How often it has been claimed, this claim included.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 20))]
    pub claim_attempts: i32,
    /// Its priority; the higher is claimed first.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 1000))]
    pub priority: i32,
    /// The only worker that may claim it, if its publisher named one.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub target_worker: Option<String>,
    /// What a worker must be able to do to claim it, if its publisher asked for something.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub required_capability: Option<String>,
    /// The secret of this claim: fulfill, fail and extend prove with it that the lease is still theirs.
    #[cfg_attr(feature = "openapi", schema(min_length = 32))]
    pub claim_token: String,
    /// How long the lease lasts, in seconds from now.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, example = 60))]
    pub claim_timeout: i32,
    /// The trace of its publication, as W3C Trace Context writes it. A worker's span links to it. Absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false,
        pattern = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"))]
    pub traceparent: Option<String>,
}

impl fmt::Debug for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, namespace, goal, payload, claim_attempts, priority, .. } = self;
        f.debug_struct("Claimed")
            .field("id", id)
            .field("namespace", namespace)
            .field("goal", goal)
            .field("payload", payload)
            .field("claim_attempts", claim_attempts)
            .field("priority", priority)
            .field("target_worker", &self.target_worker)
            .field("required_capability", &self.required_capability)
            .field("claim_token", &format_args!("[redacted]"))
            .field("claim_timeout", &self.claim_timeout)
            .field("traceparent", &self.traceparent)
            .finish()
    }
}

/// `POST /fulfill/{id}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finished {
    /// Always true.
    pub ok: bool,
    /// The intent's id.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{32}$"))]
    pub id: String,
}

/// `POST /fail/{id}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failed {
    /// Always true: the failure was recorded.
    pub ok: bool,
    /// The intent's id.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{32}$"))]
    pub id: String,
    /// `open` if it will be tried again; else `dead`, which protocol 1.1 calls `failed`.
    #[cfg_attr(feature = "openapi", schema(pattern = "^(open|dead|failed)$", example = "open"))]
    pub status: String,
}

/// `POST /extend_claim/{id}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Extended {
    /// Always true.
    pub ok: bool,
    /// The intent's id.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{32}$"))]
    pub id: String,
    /// By how many seconds the lease was extended.
    #[cfg_attr(feature = "openapi", schema(minimum = 10, maximum = 3600))]
    pub extended_by: i32,
}

/// What became of one intent of `POST /intents`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PublishOutcome {
    /// Published, and stored for good.
    Published(Published),
    /// Refused; the others are not concerned.
    Refused(ErrorBody),
}

/// `POST /intents`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublishedMany {
    /// One for each intent, in their order.
    pub outcomes: Vec<PublishOutcome>,
}

/// `POST /claim?limit=…`: intents, and the leases on them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimedMany {
    /// In the order in which they stood; one at least.
    pub intents: Vec<Claimed>,
}

/// A claim that could not be finished, of `POST /fulfill` or `POST /fail`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotFinished {
    /// The intent's id, as it was sent.
    pub id: String,
    /// Why not.
    pub error: ErrorDetail,
}

/// What became of one claim of `POST /fulfill`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FulfillOutcome {
    /// Fulfilled; the result is stored for good.
    Finished(Finished),
    /// Refused; the others are not concerned.
    Refused(NotFinished),
}

/// `POST /fulfill`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FinishedMany {
    /// One for each claim, in their order.
    pub outcomes: Vec<FulfillOutcome>,
}

/// What became of one claim of `POST /fail`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FailOutcome {
    /// Noted. The status says what becomes of the intent.
    Failed(Failed),
    /// Refused; the others are not concerned.
    Refused(NotFinished),
}

/// `POST /fail`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FailedMany {
    /// One for each claim, in their order.
    pub outcomes: Vec<FailOutcome>,
}

/// `GET /status/{id}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntentStatus {
    /// The intent's id.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{32}$"))]
    pub id: String,
    /// Its namespace.
    pub namespace: String,
    /// What kind of work it is.
    pub goal: String,
    /// `open`, `claimed`, `fulfilled` or `dead`.
    #[cfg_attr(feature = "openapi", schema(pattern = "^(open|claimed|fulfilled|dead)$", example = "claimed"))]
    pub status: String,
    /// Its priority; the higher is claimed first.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 1000))]
    pub priority: i32,
    /// `private`, or `public` if any worker may claim it.
    #[cfg_attr(feature = "openapi", schema(pattern = "^(private|public)$", example = "private"))]
    pub visibility: String,
    /// How often it has been claimed.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 20))]
    pub claim_attempts: i32,
    /// From when it may be claimed, in unix seconds: the delay or the backoff is counted in.
    #[cfg_attr(feature = "openapi", schema(example = 1_700_000_000.25))]
    pub run_at: f64,
    /// When the lease on it ends, in unix seconds, while there is one.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub claim_expires_at: Option<f64>,
    /// The only worker that may claim it, if its publisher named one.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub target_worker: Option<String>,
    /// What a worker must be able to do to claim it, if its publisher asked for something.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub required_capability: Option<String>,
    /// When it was fulfilled or died, in unix seconds.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub completed_at: Option<f64>,
    /// What the last worker that failed said, up to 500 characters.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub last_error: Option<String>,
}

/// `GET /result/{id}`: the status, and what the work brought.
///
/// What there is not is left out and not null: SDK 2.1 takes a null `result_type` for a fault of the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntentResult {
    /// As `GET /status/{id}` answers.
    #[serde(flatten)]
    pub status: IntentStatus,
    /// What the worker fulfilled the intent with, byte for byte; it may be `null`. Absent if it gave nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub result: Option<Box<RawValue>>,
    /// `json`, or `text` if the result is a string that is meant as such. Absent without a result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false, pattern = "^(json|text)$", example = "json"))]
    pub result_type: Option<String>,
    /// Why the intent failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false))]
    pub error: Option<String>,
}

/// A result that is `null` is still a result: serde alone would read it as none.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<(), serde_json::Error>;

    fn raw(json: &str) -> serde_json::Result<Box<RawValue>> {
        RawValue::from_string(json.to_owned())
    }

    fn status() -> IntentStatus {
        IntentStatus {
            id: "0123456789abcdef0123456789abcdef".to_owned(),
            namespace: "default".to_owned(),
            goal: "resize".to_owned(),
            status: "fulfilled".to_owned(),
            priority: 100,
            visibility: "private".to_owned(),
            claim_attempts: 1,
            run_at: 1_700_000_000.25,
            claim_expires_at: None,
            target_worker: None,
            required_capability: Some("gpu:a100".to_owned()),
            completed_at: Some(1_700_000_009.0),
            last_error: None,
        }
    }

    fn claimed(payload: &str) -> serde_json::Result<Claimed> {
        Ok(Claimed {
            id: "0123456789abcdef0123456789abcdef".to_owned(),
            namespace: "default".to_owned(),
            goal: "resize".to_owned(),
            payload: raw(payload)?,
            claim_attempts: 1,
            priority: 100,
            target_worker: None,
            required_capability: None,
            claim_token: "s3cr3t".to_owned(),
            claim_timeout: 60,
            traceparent: None,
        })
    }

    /// What a parse into numbers and strings, and back, would change or refuse.
    const HOSTILE: &str =
        r#"{ "z":1e400, "a":1234567890123456789012345678901,"n":0.10, "s":"\u0000\ud800\/", "z":[ ] }"#;

    #[test]
    fn a_payload_leaves_and_arrives_byte_for_byte() -> Outcome {
        let sent = serde_json::to_string(&claimed(HOSTILE)?)?;
        assert!(sent.contains(&format!(r#""payload":{HOSTILE},"#)), "{sent}");
        let received: Claimed = serde_json::from_str(&sent)?;
        assert_eq!(received.payload.get(), HOSTILE);
        assert_eq!(serde_json::to_string(&received)?, sent);
        Ok(())
    }

    #[test]
    fn a_result_leaves_and_arrives_byte_for_byte_beside_the_status() -> Outcome {
        for result in [HOSTILE, "null", "\"text\"", "1e400"] {
            let answer = IntentResult {
                status: status(),
                result: Some(raw(result)?),
                result_type: Some("json".to_owned()),
                error: None,
            };
            let sent = serde_json::to_string(&answer)?;
            assert!(sent.contains(&format!(r#""result":{result},"#)), "{sent}");
            let received: IntentResult = serde_json::from_str(&sent)?;
            assert_eq!(received.status, status());
            assert_eq!(received.result.as_deref().map(RawValue::get), Some(result));
        }
        Ok(())
    }

    #[test]
    fn what_a_result_lacks_is_left_out_and_what_a_status_lacks_is_null() -> Outcome {
        let bare = IntentResult { status: status(), result: None, result_type: None, error: None };
        let result = serde_json::to_string(&bare)?;
        assert_eq!(result, serde_json::to_string(&status())?);
        let received: IntentResult = serde_json::from_str(&result)?;
        assert!(received.result.is_none() && received.result_type.is_none() && received.error.is_none());
        for field in ["claim_expires_at", "target_worker", "last_error"] {
            assert!(result.contains(&format!(r#""{field}":null"#)), "{result}");
        }
        Ok(())
    }

    #[test]
    fn a_claim_token_is_not_in_debug_output() -> Outcome {
        let shown = format!("{:?}", claimed("{}")?);
        assert!(!shown.contains("s3cr3t"), "{shown}");
        assert!(shown.contains("0123456789abcdef"), "{shown}");
        Ok(())
    }
}
