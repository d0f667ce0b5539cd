//! Answers to the operator. None shows a claim token, and only the one that makes a key shows it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::IntentStatus;

/// `POST /admin/generate_key`: the only answer that ever contains the key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GeneratedKey {
    /// The new key. The bus keeps only a hash of it, so it cannot be shown again.
    #[cfg_attr(feature = "openapi", schema(pattern = "^tk_"))]
    pub api_key: String,
    /// Whose key it is, as given.
    pub owner: String,
}

impl fmt::Debug for GeneratedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeneratedKey")
            .field("api_key", &format_args!("[redacted]"))
            .field("owner", &self.owner)
            .finish()
    }
}

/// `POST /admin/revoke_key`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Revoked {
    /// Always true: within a second no replica takes the key any more.
    pub ok: bool,
}

/// `POST /admin/purge`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Purged {
    /// Always true.
    pub ok: bool,
    /// How many rows are gone.
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
    fn a_new_key_is_not_in_debug_output() {
        let key = GeneratedKey { api_key: "tk_s3cr3t".to_owned(), owner: "alice".to_owned() };
        assert_eq!(format!("{key:?}"), r#"GeneratedKey { api_key: [redacted], owner: "alice" }"#);
    }

    #[test]
    fn a_dead_letter_keeps_its_payload_byte_for_byte() -> Result<(), serde_json::Error> {
        let sent = r#"{"intent_id":"a","namespace":"default","goal":"g","attempts":3,"reason":"r","created_at":1.5,"payload":{ "n":1e400, "s":"\ud800" }}"#;
        let detail: DeadLetterDetail = serde_json::from_str(sent)?;
        assert_eq!(detail.letter.attempts, 3);
        assert_eq!(serde_json::to_string(&detail)?, sent);
        Ok(())
    }
}
