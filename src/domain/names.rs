//! Names that requests carry, read once and then known to be good.

use intent_bus_protocol::{
    limits,
    names::{is_label, is_namespace},
};

use crate::error::{Error, ErrorCode, Result};

/// What kind of work an intent is: 1 to 256 characters, trimmed, without NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal(String);

impl Goal {
    /// Reads a goal.
    ///
    /// # Errors
    /// `invalid_goal`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let long = text.chars().count() > limits::GOAL_MAX;
        if text.is_empty() || long || text.contains('\0') {
            return Err(Error::new(
                ErrorCode::InvalidGoal,
                format!("A goal has 1 to {} characters, none of them NUL.", limits::GOAL_MAX),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A partition of the intents: `[A-Za-z0-9_.-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// Reads a namespace.
    ///
    /// # Errors
    /// `invalid_namespace`.
    pub fn parse(text: &str) -> Result<Self> {
        if is_namespace(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(
            ErrorCode::InvalidNamespace,
            "A namespace has 1 to 64 letters, digits, dots, underscores or hyphens.",
        ))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self(limits::NAMESPACE_DEFAULT.to_owned())
    }
}

/// The name of a worker or capability that an intent asks for: `[A-Za-z0-9_.:-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    /// Reads a target worker or a required capability.
    ///
    /// # Errors
    /// The given code.
    pub fn parse(text: &str, what: &str, code: ErrorCode) -> Result<Self> {
        if is_label(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(
            code,
            format!(
                "{what} has 1 to 64 letters, digits, dots, underscores, colons or hyphens. Leave it out if it does not matter."
            ),
        ))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
