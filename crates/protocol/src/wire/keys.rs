//! Answers to the operator about keys and tenants. Only the answer that makes a key shows it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `POST /admin/generate_key` and `POST /admin/keys/{number}/rotate`: the only answers that ever contain the key.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GeneratedKey {
    /// The new key. The bus keeps only a hash of it, so it cannot be shown again.
    #[cfg_attr(feature = "openapi", schema(pattern = "^tk_"))]
    pub api_key: String,
    /// Whose key it is.
    pub owner: String,
    /// The key's number, by which it can be rotated, scoped and revoked.
    pub id: i64,
    /// The tenant's number.
    pub tenant: i64,
    /// When it ends by itself, in unix seconds.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub expires_at: Option<f64>,
}

impl fmt::Debug for GeneratedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeneratedKey")
            .field("api_key", &format_args!("[redacted]"))
            .field("owner", &self.owner)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// `POST /admin/revoke_key` and `POST /admin/keys/{number}/revoke`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Revoked {
    /// Always true: within a second no replica takes the key any more.
    pub ok: bool,
}

/// `GET /admin/keys`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Keys {
    /// The newest first.
    pub keys: Vec<KeyDetail>,
    /// Send this as `before` for the next page; null: this was the last.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub next: Option<String>,
}

/// A key as operators see it: never the key itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyDetail {
    /// The key's number.
    pub id: i64,
    /// Its tenant's number.
    pub tenant: i64,
    /// Who that is.
    pub owner: String,
    /// When it was made, in unix seconds.
    pub created_at: f64,
    /// When it was revoked.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub revoked_at: Option<f64>,
    /// When it ends, or ended, by itself.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub expires_at: Option<f64>,
    /// Whether it can be used: neither revoked nor over.
    pub valid: bool,
    /// What it may be used for, of `publish`, `work`, `read`, `values`; null: everything.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub scopes: Option<Vec<String>>,
    /// In which namespaces; null: in all.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub namespaces: Option<Vec<String>>,
    /// Its tenant's requests in any 60 s; null: the bus's setting.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub rate_limit_per_minute: Option<i32>,
    /// Its tenant's unfinished intents allowed; null: the bus's setting.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub max_open_intents: Option<i32>,
    /// Its tenant's unfinished intents.
    pub open_intents: i64,
}

/// `POST /admin/tenants/{number}/limits`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TenantLimits {
    /// The tenant's number.
    pub tenant: i64,
    /// Who that is.
    pub owner: String,
    /// Requests in any 60 s; null: the bus's setting.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub rate_limit_per_minute: Option<i32>,
    /// Unfinished intents allowed; null: the bus's setting.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub max_open_intents: Option<i32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_not_in_debug_output() {
        let key = GeneratedKey {
            api_key: "tk_s3cr3t".to_owned(),
            owner: "alice".to_owned(),
            id: 7,
            tenant: 3,
            expires_at: None,
        };
        assert_eq!(format!("{key:?}"), r#"GeneratedKey { api_key: [redacted], owner: "alice", id: 7, .. }"#);
    }
}
