//! Whose request it is, as its log line and its span have it: never by the key.

use std::fmt;

use actix_web::{HttpMessage, HttpRequest};

use super::Caller;

/// Whose request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The root key's.
    Root,
    /// A tenant's.
    Tenant {
        /// The number of the key.
        key: i64,
        /// The number of the tenant.
        tenant: i64,
    },
    /// An operator's: the admin token, or the dashboard's password.
    Operator,
}

impl Who {
    /// The tenant, if it is a client's.
    #[must_use]
    pub fn tenant(self) -> Option<i64> {
        match self {
            Self::Root => Some(0),
            Self::Tenant { tenant, .. } => Some(tenant),
            Self::Operator => None,
        }
    }

    /// Leaves it with the request.
    pub(super) fn note(self, request: &HttpRequest) {
        request.extensions_mut().insert(self);
    }
}

impl From<&Caller> for Who {
    fn from(caller: &Caller) -> Self {
        caller.key.map_or(Self::Root, |key| Self::Tenant { key, tenant: caller.tenant })
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::Tenant { key, .. } => write!(f, "key {key}"),
            Self::Operator => f.write_str("operator"),
        }
    }
}
