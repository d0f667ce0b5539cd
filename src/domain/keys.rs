//! What a key and its tenant are made with: whose it is, what it reaches, and limits. The API and the dashboard read theirs here.

use std::ops::RangeInclusive;

use super::{names::Namespace, scopes::Scope};
use crate::error::{Error, Result};

/// Longest name of an owner, in characters.
const OWNER_MAX: usize = 128;
/// Most namespaces of one key.
const NAMESPACES_MAX: usize = 100;
/// A tenant's own limits: requests in any 60 s, unfinished intents.
pub const LIMITS: RangeInclusive<i32> = 1..=1_000_000_000;

/// Whose a key is: 1 to 128 characters, trimmed, without NUL.
///
/// # Errors
/// `invalid_request`.
pub fn owner(text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > OWNER_MAX || text.contains('\0') {
        return Err(no_owner());
    }
    Ok(text.to_owned())
}

/// What is said where there is no owner, or none that can be.
#[must_use]
pub fn no_owner() -> Error {
    Error::invalid(format!("owner must be a text of 1 to {OWNER_MAX} characters."))
}

/// One or more scopes by their names, each once.
///
/// # Errors
/// `invalid_request`: none, or an unknown one.
pub fn scopes<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Scope>> {
    let mut scopes = Vec::with_capacity(Scope::ALL.len());
    for name in names {
        let scope = Scope::parse(name).ok_or_else(no_scopes)?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if scopes.is_empty() { Err(no_scopes()) } else { Ok(scopes) }
}

/// What is said where scopes are no list of them.
#[must_use]
pub fn no_scopes() -> Error {
    let known = Scope::ALL.map(Scope::as_str).join(", ");
    Error::invalid(format!("scopes must list one or more of {known}; null or nothing stands for all."))
}

/// 1 to 100 namespaces, in order, each once.
///
/// # Errors
/// `invalid_request`: none, or too many; `invalid_namespace`.
pub fn namespaces<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>> {
    let mut read = Vec::new();
    for name in names {
        if read.len() == NAMESPACES_MAX {
            return Err(no_namespaces());
        }
        read.push(Namespace::parse(name)?.as_str().to_owned());
    }
    if read.is_empty() {
        return Err(no_namespaces());
    }
    read.sort_unstable();
    read.dedup();
    Ok(read)
}

/// What is said where namespaces are no list of them.
#[must_use]
pub fn no_namespaces() -> Error {
    Error::invalid(format!("namespaces must list 1 to {NAMESPACES_MAX} names; null or nothing stands for all."))
}
