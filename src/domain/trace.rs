//! W3C Trace Context: the header `traceparent`, as far as the bus hands it on.

use std::fmt;

/// A `traceparent` that is good: the trace and the span that a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// Not zero.
    pub trace: [u8; 16],
    /// Not zero.
    pub span: [u8; 8],
    /// Bit 0: the trace is recorded.
    pub flags: u8,
}

impl TraceParent {
    /// Reads `00-<32 hex digits>-<16>-<2>`, in lower case. Later versions may go on after that with a hyphen; what they add
    /// is not kept. Anything else is no trace, and is ignored, as the standard wants it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let version: [u8; 1] = bytes(parts.next()?)?;
        let (trace, span, flags) = (bytes(parts.next()?)?, bytes(parts.next()?)?, bytes(parts.next()?)?);
        let goes_on = parts.next().is_some();
        let [flags] = flags;
        let known = version != [0xff] && !(version == [0] && goes_on);
        (known && trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span, flags })
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The trace as log lines and tools name it.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex::encode(self.trace)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", hex::encode(self.trace), hex::encode(self.span), self.flags)
    }
}

/// Exactly `N` bytes as lower-case hex digits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_good_traceparent_reads_back() {
        let read = TraceParent::parse(GOOD).unwrap();
        assert_eq!(read.to_string(), GOOD);
        assert!(read.is_sampled());
        assert_eq!(read.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(!TraceParent::parse(&GOOD.replace("-01", "-00")).unwrap().is_sampled());
    }

    #[test]
    fn of_a_later_version_what_is_known_is_kept() {
        for later in [GOOD.replacen("00", "01", 1), format!("{}-more", GOOD.replacen("00", "cc", 1))] {
            assert_eq!(TraceParent::parse(&later).unwrap().to_string(), GOOD);
        }
    }

    #[test]
    fn what_is_not_as_the_standard_wants_it_is_no_trace() {
        for bad in [
            String::new(),
            "x".to_owned(),
            GOOD.to_uppercase(),
            format!("{GOOD}-more"),
            format!("{GOOD}0"),
            format!(" {GOOD}"),
            GOOD.replacen("00", "ff", 1),
            GOOD.replacen("00", "0", 1),
            GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace('4', "g"),
            GOOD.replace('-', "_"),
            GOOD[..52].to_owned(),
        ] {
            assert_eq!(TraceParent::parse(&bad), None, "{bad}");
        }
    }
}
