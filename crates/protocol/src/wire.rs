//! What the bus answers, as it stands on the wire.
//!
//! The comments on the fields are the API's documentation: with the feature `openapi` they become its schemas. Which
//! answer a request gets is the server's business; what a request's fields may hold is in [`crate::limits`] and
//! [`crate::names`].
//!
//! Ids are 32 lowercase hex digits. Times are unix seconds with a fraction, by the database's clock. JSON that belongs to
//! a client is kept as text (`RawValue`), so that it goes out byte for byte as it came in.

mod admin;
mod intents;
mod keys;
mod operators;
mod values;

pub use admin::{
    CleanedUp, DeadLetter, DeadLetterDetail, Excerpt, IntentDetail, Purged, PurgedCounts, TimelineEvent, WhyNotClaimed,
};
pub use intents::{
    Claimed, ClaimedMany, Extended, FailOutcome, Failed, FailedMany, Finished, FinishedMany, FulfillOutcome,
    IntentResult, IntentStatus, NotFinished, PublishOutcome, Published, PublishedMany,
};
pub use keys::{GeneratedKey, KeyDetail, Keys, Revoked, TenantLimits};
pub use operators::{
    AuditLine, AuditLog, Flow, FoundIntent, FoundIntents, GoalDepth, GoalLatency, Overview, Pause, PauseChanged,
    Pauses, Percentiles, Redriven, Replica, Totals, Worker, Workers,
};
pub use values::{Stored, Value};

use serde::{Deserialize, Serialize};

/// Every refusal and every fault, on every path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorDetail {
    /// Stable, for programs: see the list of codes.
    #[cfg_attr(feature = "openapi", schema(example = "invalid_goal"))]
    pub code: String,
    /// For people: what to do next. Its wording may change.
    #[cfg_attr(feature = "openapi", schema(example = "goal must be 1 to 256 characters."))]
    pub message: String,
}

/// `GET /health`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// Always true: a bus that is not well answers with an error.
    pub ok: bool,
    /// Now, in unix seconds.
    #[cfg_attr(feature = "openapi", schema(example = 1_700_000_000.25))]
    pub ts: f64,
    /// The version of the server.
    #[cfg_attr(feature = "openapi", schema(example = "0.1.0"))]
    pub version: String,
}

#[cfg(all(test, feature = "openapi"))]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};
    use utoipa::PartialSchema;

    #[test]
    fn any_json_has_a_schema_without_a_type() -> serde_json::Result<()> {
        let claimed = serde_json::to_value(Claimed::schema())?;
        let result = serde_json::to_value(IntentResult::schema())?;
        let letter = serde_json::to_value(DeadLetterDetail::schema())?;
        let any = [
            &claimed["properties"]["payload"],
            &result["allOf"][1]["properties"]["result"],
            &letter["allOf"][1]["properties"]["payload"],
        ];
        for schema in any {
            assert_eq!(schema["type"], Json::Null, "{schema}");
            assert!(schema["description"].is_string(), "{schema}");
        }
        Ok(())
    }

    #[test]
    fn a_field_is_required_or_nullable_as_it_is_sent() -> serde_json::Result<()> {
        let status = serde_json::to_value(IntentStatus::schema())?;
        let fields = status["properties"].as_object().map(|fields| fields.keys().collect::<Vec<_>>());
        let mut required: Vec<String> = serde_json::from_value(status["required"].clone())?;
        required.sort();
        assert_eq!(fields, Some(required.iter().collect()), "a status leaves nothing out");
        assert_eq!(status["properties"]["last_error"]["type"], json!(["string", "null"]));

        let result = serde_json::to_value(IntentResult::schema())?;
        assert_eq!(result["allOf"][1]["required"], Json::Null, "a result leaves out what there is not");
        assert_eq!(result["allOf"][1]["properties"]["result_type"]["type"], json!("string"));
        Ok(())
    }
}
