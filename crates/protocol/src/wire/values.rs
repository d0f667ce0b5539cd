//! Answers about the values that clients share for a while: `/set` and `/get`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// `POST /set/{key}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stored {
    /// Always true.
    pub ok: bool,
}

/// `GET /get/{key}`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Value {
    /// The value as text: a string as it was stored, anything else as compact JSON in a string.
    // A JSON literal, since it may hold what no Rust string can: lone surrogates.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "active"))]
    pub value: Box<RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_what_no_rust_string_could_hold() -> Result<(), serde_json::Error> {
        let sent = r#"{"value":"\ud800\u0000\/"}"#;
        let value: Value = serde_json::from_str(sent)?;
        assert_eq!(serde_json::to_string(&value)?, sent);
        Ok(())
    }
}
