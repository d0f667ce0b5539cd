//! `GET /admin/overview`: everything at a glance.

use actix_web::HttpResponse;
use intent_bus_protocol::wire;

use super::{pauses::pause_of, workers::worker_of};
use crate::{
    domain::intent::State,
    error::Result,
    http::{Shared, auth::AdminRequest, ok},
    store::{
        bus::GoalDepth,
        operators::overview::{self, GoalLatency, Overview, Percentiles, Replica},
    },
};

/// Shows depth, flow, latencies, replicas and workers.
///
/// A replica reads it at most once a second, however many ask.
#[utoipa::path(
    get,
    path = "/admin/overview",
    operation_id = "overview",
    tag = "operators",
    responses((status = 200, description = "At most a second old.", body = wire::Overview)),
)]
pub async fn show(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    ok(&overview_of(&*state.store.overview().await?))
}

/// The overview as it stands on the wire.
pub(in crate::http) fn overview_of(overview: &Overview) -> wire::Overview {
    let total =
        |wanted: State| overview.totals.iter().filter(|total| total.state == wanted).map(|total| total.count).sum();
    let flow = &overview.flow;
    wire::Overview {
        at: overview.at,
        totals: wire::Totals {
            open: total(State::Open),
            claimed: total(State::Claimed),
            fulfilled: total(State::Fulfilled),
            dead: total(State::Dead),
        },
        goals: overview.goals.iter().map(depth).collect(),
        flow: wire::Flow {
            from: flow.from,
            step: overview::STEP,
            published: flow.published.clone(),
            claimed: flow.claimed.clone(),
            fulfilled: flow.fulfilled.clone(),
            failed: flow.failed.clone(),
            dead: flow.dead.clone(),
        },
        latencies: flow.latencies.iter().map(latency).collect(),
        replicas: overview.replicas.iter().map(replica).collect(),
        workers: overview.workers.iter().map(worker_of).collect(),
        workers_seen: overview.workers_seen,
        pauses: overview.pauses.iter().map(pause_of).collect(),
    }
}

fn depth(goal: &GoalDepth) -> wire::GoalDepth {
    wire::GoalDepth {
        namespace: goal.namespace.clone(),
        goal: goal.goal.clone(),
        claimable: goal.claimable,
        waiting: goal.waiting,
        claimed: goal.claimed,
        past_lease: goal.past_lease,
        oldest_age: goal.oldest_age,
    }
}

fn latency(goal: &GoalLatency) -> wire::GoalLatency {
    let percentiles = |of: Percentiles| wire::Percentiles { count: of.count, p50: of.p50, p90: of.p90, p99: of.p99 };
    wire::GoalLatency {
        namespace: goal.namespace.clone(),
        goal: goal.goal.clone(),
        waited: percentiles(goal.waited),
        worked: percentiles(goal.worked),
        took: percentiles(goal.took),
    }
}

fn replica(replica: &Replica) -> wire::Replica {
    wire::Replica {
        id: replica.id.simple().to_string(),
        host: replica.host.clone(),
        version: replica.version.clone(),
        started_at: replica.started_at,
        seen_at: replica.seen_at,
        alive: replica.alive,
    }
}
