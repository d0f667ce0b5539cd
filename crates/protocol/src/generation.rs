//! Which of the two protocol generations a request speaks, and where they differ.
//!
//! The differences are plain questions with an answer for each generation; what the server does with the answer belongs
//! to the server. Clients that declare nothing (curl, SDK 1.x) get the generation that the operator chose.

use std::str::FromStr;

use crate::errors::ErrorCode;

/// A generation of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// Protocol 1.1: SDK 1.x and plain curl.
    V1,
    /// Protocol 2.0 and 2.1: SDK 2.x.
    V2,
}

/// The setting that chooses a generation holds neither `1.1` nor `2.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the protocol must be \"1.1\" or \"2.1\"")]
pub struct UnknownProtocol;

impl FromStr for Generation {
    type Err = UnknownProtocol;

    fn from_str(setting: &str) -> Result<Self, UnknownProtocol> {
        match setting {
            "1.1" => Ok(Self::V1),
            "2.1" => Ok(Self::V2),
            _ => Err(UnknownProtocol),
        }
    }
}

impl Generation {
    /// The protocol's own version number.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::V1 => "1.1",
            Self::V2 => "2.1",
        }
    }

    /// Whether a payload other than a JSON object is refused.
    #[must_use]
    pub const fn payload_must_be_object(self) -> bool {
        matches!(self, Self::V1)
    }

    /// Whether one failure ends an intent whose publisher, speaking this generation, gave it no retry policy
    /// (`max_attempts` or `backoff_base`). In 2.x the defaults are a policy.
    #[must_use]
    pub const fn fail_is_terminal_without_policy(self) -> bool {
        matches!(self, Self::V1)
    }

    /// How the answer to `/fail` names the state that has no way back. Everywhere else it is `dead`.
    #[must_use]
    pub const fn terminal_name(self) -> &'static str {
        match self {
            Self::V1 => "failed",
            Self::V2 => "dead",
        }
    }

    /// What a publish gets whose idempotency key was used with another body.
    #[must_use]
    pub const fn idempotency_clash(self) -> ErrorCode {
        match self {
            Self::V1 => ErrorCode::Conflict,
            Self::V2 => ErrorCode::IdempotencyConflict,
        }
    }

    /// Whether the root key in `X-API-KEY` opens the admin endpoints.
    #[must_use]
    pub const fn root_key_is_admin(self) -> bool {
        matches!(self, Self::V1)
    }
}

/// What a request says about itself in `X-Intent-Version`, completed by the operator's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    generation: Generation,
    /// SDK 2.0.x, 2.1.0 and 2.1.2 number the server (7.5, 7.61) instead of the protocol.
    counts_by_server: bool,
    /// 7.5 exactly: SDK 2.0.x, which has never heard of claim tokens.
    knows_no_tokens: bool,
}

impl Declared {
    /// Reads the header's value, if there is one. A value that means nothing to us counts as none.
    ///
    /// `7.x` is what SDK 2.x sends, except 2.1.1, which sends `2.1`.
    #[must_use]
    pub fn parse(header: Option<&str>, default: Generation) -> Self {
        let (major, minor) = header.map_or((None, None), numbers);
        let generation = match major {
            Some(7 | 2) => Generation::V2,
            Some(1) => Generation::V1,
            _ => default,
        };
        Self { generation, counts_by_server: major == Some(7), knows_no_tokens: (major, minor) == (Some(7), Some(5)) }
    }

    /// The generation whose rules the request is treated by.
    #[must_use]
    pub const fn generation(self) -> Generation {
        self.generation
    }

    /// Whether fulfill, fail and extend are refused without a claim token. Where they are not, the token is still
    /// checked when there is one, and the key that holds the claim decides when there is none.
    #[must_use]
    pub const fn token_required_to_finish(self) -> bool {
        matches!(self.generation, Generation::V2) && !self.knows_no_tokens
    }

    /// What the answer carries in `X-Intent-Version`. SDK 2.x warns when the part before the first dot is not its own.
    #[must_use]
    pub const fn answer_version(self) -> &'static str {
        if self.counts_by_server { "7.61" } else { self.generation.version() }
    }
}

/// The first two numbers of a dotted version.
fn numbers(version: &str) -> (Option<u32>, Option<u32>) {
    let mut parts = version.trim().split('.').map(|part| {
        // `u32::from_str` would take "+7" for a 7.
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
    });
    (parts.next().flatten(), parts.next().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Generation::{V1, V2};

    #[test]
    fn the_setting_takes_the_two_protocol_versions_only() {
        assert_eq!("1.1".parse(), Ok(V1));
        assert_eq!("2.1".parse(), Ok(V2));
        for wrong in ["", "1", "2", "2.0", "7.61", "v1.1", " 1.1"] {
            assert_eq!(wrong.parse::<Generation>(), Err(UnknownProtocol), "{wrong:?}");
        }
    }

    #[test]
    fn each_sdk_gets_its_generation_whatever_the_operator_chose() {
        // Header, generation, token required, version in the answer.
        let sdks = [
            ("7.5", V2, false, "7.61"), // 2.0.3, 2.0.4
            ("7.61", V2, true, "7.61"), // 2.1.0, 2.1.2
            ("2.1", V2, true, "2.1"),   // 2.1.1
            ("1.1", V1, false, "1.1"),  // none does, but a careful client may
            ("7.5.3", V2, false, "7.61"),
            ("7", V2, true, "7.61"),
            ("7.50", V2, true, "7.61"),
            ("7.x", V2, true, "7.61"),
            (" 7.5 ", V2, false, "7.61"),
            ("2", V2, true, "2.1"),
            ("2.0", V2, true, "2.1"),
            ("2.5", V2, true, "2.1"),
            ("1.0", V1, false, "1.1"),
            ("1.5", V1, false, "1.1"),
        ];
        for default in [V1, V2] {
            for (header, generation, token, answer) in sdks {
                let declared = Declared::parse(Some(header), default);
                assert_eq!(declared.generation(), generation, "{header:?}");
                assert_eq!(declared.token_required_to_finish(), token, "{header:?}");
                assert_eq!(declared.answer_version(), answer, "{header:?}");
            }
        }
    }

    #[test]
    fn without_a_version_we_know_the_operator_decides() {
        let unknown =
            [None, Some(""), Some("3.0"), Some("77"), Some("+7.5"), Some("-1.1"), Some("latest"), Some("7,5")];
        for header in unknown {
            let old = Declared::parse(header, V1);
            assert_eq!((old.generation(), old.token_required_to_finish(), old.answer_version()), (V1, false, "1.1"));
            let new = Declared::parse(header, V2);
            assert_eq!((new.generation(), new.token_required_to_finish(), new.answer_version()), (V2, true, "2.1"));
        }
    }

    #[test]
    fn a_number_too_large_to_read_is_an_unknown_version() {
        let declared = Declared::parse(Some("99999999999999999999.1"), V2);
        assert_eq!(declared, Declared::parse(None, V2));
    }

    #[test]
    fn the_generations_differ_where_the_protocol_says() {
        assert!(V1.payload_must_be_object() && !V2.payload_must_be_object());
        assert!(V1.fail_is_terminal_without_policy() && !V2.fail_is_terminal_without_policy());
        assert_eq!((V1.terminal_name(), V2.terminal_name()), ("failed", "dead"));
        assert_eq!(V1.idempotency_clash(), ErrorCode::Conflict);
        assert_eq!(V2.idempotency_clash(), ErrorCode::IdempotencyConflict);
        assert!(V1.root_key_is_admin() && !V2.root_key_is_admin());
    }
}
