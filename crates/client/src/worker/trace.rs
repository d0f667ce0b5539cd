//! The publisher's trace, continued: an identity for the span of the work, below that of the publication, as W3C Trace Context
//! writes it. What is published, finished or extended from within the handler carries it.

use std::fmt::Write;

tokio::task_local! {
    /// The `traceparent` of the handler that runs in this task.
    static CURRENT: Option<String>;
}

/// A span of ours within somebody else's trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) span: String,
    flags: String,
}

impl Trace {
    /// A new span below this one. `None` if it is no `traceparent`.
    pub(crate) fn below(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let good = version == "00"
            && parts.next().is_none()
            && [(trace_id, 32), (parent_id, 16), (flags, 2)].iter().all(|(part, length)| is_hex(part, *length))
            && [trace_id, parent_id].iter().all(|id| id.bytes().any(|digit| digit != b'0'));
        good.then(|| {
            let mut span = String::with_capacity(16);
            // An id of zeros only stands for none.
            let _ = write!(span, "{:016x}", fastrand::u64(1..));
            Self { id: trace_id.to_owned(), parent: parent_id.to_owned(), span, flags: flags.to_owned() }
        })
    }

    /// What requests of this span carry.
    pub(crate) fn traceparent(&self) -> String {
        format!("00-{}-{}-{}", self.id, self.span, self.flags)
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// Runs this as part of a trace.
pub(crate) async fn within<T>(traceparent: Option<String>, work: impl Future<Output = T>) -> T {
    CURRENT.scope(traceparent, work).await
}

/// The trace of the handler from which this is called.
pub(crate) fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const PUBLISHED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_work_is_a_span_of_its_own_in_the_trace_of_the_publication() {
        let trace = Trace::below(PUBLISHED).unwrap();
        assert_eq!(trace.parent, "00f067aa0ba902b7");
        assert_ne!(trace.span, trace.parent);
        assert_eq!(trace.traceparent(), format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", trace.span));
        assert!(Trace::below(&trace.traceparent()).is_some(), "which can be continued in turn");
    }

    #[test]
    fn what_is_no_traceparent_is_not_continued() {
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        for text in ["", "00", "01-a-b-c", &PUBLISHED.to_uppercase(), &format!("{PUBLISHED}-x"), zeros] {
            assert_eq!(Trace::below(text), None, "{text}");
        }
    }
}
