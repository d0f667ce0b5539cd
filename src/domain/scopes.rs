//! What a key may be used for, and where: a key may be narrower than its tenant.

use std::sync::Arc;

use crate::error::{Error, Result};

/// One kind of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Publishing intents.
    Publish,
    /// Claiming intents and finishing them.
    Work,
    /// Looking at intents and results.
    Read,
    /// Small values.
    Values,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Publish, Self::Work, Self::Read, Self::Values];

    /// The scope's name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Work => "work",
            Self::Read => "read",
            Self::Values => "values",
        }
    }

    /// Reads the name back.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// What a key reaches. Cheap to clone: each request has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reaches {
    /// Kinds of use. None: all.
    scopes: Option<u8>,
    /// Namespaces. None: all.
    namespaces: Option<Arc<[String]>>,
}

impl Reaches {
    /// From what is stored of a key. None: all.
    ///
    /// # Errors
    /// When a scope has no such name.
    pub fn of(scopes: Option<&[String]>, namespaces: Option<Vec<String>>) -> Result<Self> {
        let bit = |name: &String| {
            Scope::parse(name)
                .map(|scope| 1 << scope as u8)
                .ok_or_else(|| Error::fault(format!("unknown scope {name:?}")))
        };
        let scopes =
            scopes.map(|names| names.iter().try_fold(0, |all, name| Ok::<u8, Error>(all | bit(name)?))).transpose()?;
        Ok(Self { scopes, namespaces: namespaces.map(Arc::from) })
    }

    /// Lets uses of this kind pass.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn allow(&self, scope: Scope) -> Result<()> {
        if self.scopes.is_none_or(|scopes| scopes & 1 << scope as u8 != 0) {
            return Ok(());
        }
        let name = scope.as_str();
        Err(Error::forbidden(format!(
            "This key lacks the scope {name}. Use a key that has it, or ask an operator to add it."
        )))
    }

    /// Whether it reaches into every namespace.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.namespaces.is_none()
    }

    /// Whether it reaches into a namespace.
    #[must_use]
    pub fn includes(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|all| all.iter().any(|name| name == namespace))
    }

    /// Lets uses of this namespace pass.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn allow_in(&self, namespace: &str) -> Result<()> {
        if self.includes(namespace) {
            return Ok(());
        }
        Err(Error::forbidden(format!(
            "This key does not reach into namespace {namespace}. Use a key that does, or ask an operator to add it."
        )))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_key_reaches_what_it_names_and_all_where_it_names_nothing() {
        let all = Reaches::default();
        let narrow =
            Reaches::of(Some(&["read".to_owned(), "values".to_owned()]), Some(vec!["east".to_owned()])).unwrap();
        let none = Reaches::of(Some(&[]), Some(Vec::new())).unwrap();
        for scope in Scope::ALL {
            assert!(all.allow(scope).is_ok() && none.allow(scope).is_err());
            assert_eq!(narrow.allow(scope).is_ok(), [Scope::Read, Scope::Values].contains(&scope), "{scope:?}");
        }
        assert!(all.includes("west") && !narrow.includes("west") && narrow.includes("east") && !none.includes("east"));
        assert!(narrow.allow(Scope::Work).unwrap_err().message().contains("scope work"));
    }

    #[test]
    fn a_scope_that_this_release_does_not_know_is_a_fault_and_not_a_permission() {
        assert!(Reaches::of(Some(&["everything".to_owned()]), None).is_err());
    }
}
