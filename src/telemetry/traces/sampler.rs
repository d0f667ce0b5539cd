//! Which traces are recorded: as the settings say; and a flight, which is in no request's trace since it carries several, if
//! one of those that it carries is.

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

use crate::config::traces;

#[derive(Debug, Clone)]
pub(super) struct ByLinks(Sampler);

impl ByLinks {
    pub(super) fn of(settings: traces::Sampler) -> Self {
        let others = if settings.ratio >= 1.0 {
            Sampler::AlwaysOn
        } else if settings.ratio <= 0.0 {
            Sampler::AlwaysOff
        } else {
            Sampler::TraceIdRatioBased(settings.ratio)
        };
        Self(if settings.parent_based { Sampler::ParentBased(Box::new(others)) } else { others })
    }
}

impl ShouldSample for ByLinks {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let has_parent = parent.is_some_and(|parent| parent.span().span_context().is_valid());
        if has_parent || links.is_empty() {
            return self.0.should_sample(parent, trace, name, kind, attributes, links);
        }
        let recorded = links.iter().any(|link| link.span_context.is_sampled());
        let decision = if recorded { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}
