//! Answers to the operator about intents one by one, and about upkeep. None shows a key or a claim token.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::IntentStatus;

/// `POST /admin/purge`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Purged {
    /// Always true.
    pub ok: bool,
    /// There, and true, if nothing was deleted because that was asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// How many rows are gone; in a dry run, how many would be, as last counted.
    pub purged: PurgedCounts,
}

/// How many intents a purge has deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PurgedCounts {
    /// Open and claimed ones.
    pub unfinished: i64,
    /// Fulfilled and dead ones.
    pub finished: i64,
}

/// What one pass of maintenance has done, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CleanedUp {
    /// Intents that are dead now because the lease of their last attempt had ended.
    pub lapsed_claims: u64,
    /// Intents that are dead now because nobody had claimed them in time.
    pub expired_intents: u64,
    /// Payloads of long-lived intents that were moved out of an old partition.
    pub moved_payloads: u64,
    /// Expired values that were deleted.
    pub values: u64,
    /// Slots of nonces and idempotency keys that were emptied.
    pub emptied_slots: u64,
    /// Partitions past their retention that were dropped.
    pub dropped_partitions: u64,
}

/// An intent as operators see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntentDetail {
    /// What everybody sees of it.
    #[serde(flatten)]
    pub status: IntentStatus,
    /// Claims allowed.
    pub max_attempts: i32,
    /// The worker of the last claim, by its own word.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub worker_id: Option<String>,
    /// When it was published, unix seconds by the database's clock.
    pub created_at: f64,
    /// The publisher's number; 0 is root.
    pub tenant: i64,
    /// Who the publisher is.
    pub owner: String,
    /// When this was read, in unix seconds.
    pub now: f64,
    /// What was published; null once it is past its retention.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub payload: Option<Excerpt>,
    /// What the work brought, if it is done.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub result: Option<Excerpt>,
    /// `json` or `text`, if there is a result.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub result_type: Option<String>,
    /// The trace of the request that published it (W3C Trace Context).
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub traceparent: Option<String>,
    /// The id of that trace, to look for it.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub trace_id: Option<String>,
    /// What has happened to it, the oldest first; what is still to come stands last.
    pub timeline: Vec<TimelineEvent>,
    /// Why nobody claims it, if it is open.
    pub why: Vec<WhyNotClaimed>,
}

/// The beginning of a text that may be long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Excerpt {
    /// At most 65,536 bytes of it.
    pub text: String,
    /// Its whole length in bytes.
    pub bytes: i64,
    /// Whether there is more than is shown.
    pub cut: bool,
}

/// What happened to an intent at a moment, or will.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TimelineEvent {
    /// When, in unix seconds.
    pub at: f64,
    /// `published`, `claimed`, `failed`, `lapsed` (the lease ended), `fulfilled`, `dead`, `too_late` (a worker reported on a claim that
    /// it had lost; it changed nothing); still to come: `lease_ends`, `due`.
    pub event: String,
    /// Of which attempt, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub attempt: Option<i32>,
    /// The worker, by its own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub worker_id: Option<String>,
    /// The worker's tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub tenant: Option<i64>,
    /// What the worker or the bus said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub error: Option<String>,
    /// What came too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub result: Option<Excerpt>,
}

/// One thing that stands in the way of a claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WhyNotClaimed {
    /// `delayed`, `backing_off`, `namespace_paused`, `goal_paused`, `rate_limited`, `no_key`, `target_never_seen`,
    /// `target_away`, `no_capable_worker`, `nobody_asks`, `others_first`, `expired`; `ready`: nothing does.
    #[cfg_attr(feature = "openapi", schema(example = "nobody_asks"))]
    pub code: String,
    /// For people: what it is, and what to do.
    pub message: String,
    /// Until when, in unix seconds, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub until: Option<f64>,
}

/// One of `GET /admin/dead`: an intent that used up its attempts or was cancelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetter {
    /// The intent's id.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{32}$"))]
    pub intent_id: String,
    /// Its namespace.
    pub namespace: String,
    /// What kind of work it is.
    pub goal: String,
    /// How often it had been claimed.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 20))]
    pub attempts: i32,
    /// Why it died: what the last worker said, or what the bus did.
    pub reason: String,
    /// When it died, in unix seconds.
    #[cfg_attr(feature = "openapi", schema(example = 1_700_000_000.25))]
    pub created_at: f64,
}

/// `GET /admin/dead/{id}`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetterDetail {
    /// As in the list.
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// What there was to work on, byte for byte as it was published.
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub payload: Box<RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_keeps_its_payload_byte_for_byte() -> Result<(), serde_json::Error> {
        let sent = r#"{"intent_id":"a","namespace":"default","goal":"g","attempts":3,"reason":"r","created_at":1.5,"payload":{ "n":1e400, "s":"\ud800" }}"#;
        let detail: DeadLetterDetail = serde_json::from_str(sent)?;
        assert_eq!(detail.letter.attempts, 3);
        assert_eq!(serde_json::to_string(&detail)?, sent);
        Ok(())
    }
}
