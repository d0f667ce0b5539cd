//! `GET /admin/dashboard`: everything at a glance, in parts that are also sent when they change (`live`).

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::{
    Frame,
    attention::{Notice, notices},
    chart::{Chart, HEIGHT, WIDTH, round_up},
    filters, links, render,
};
use crate::{
    domain::intent::State as Stands,
    error::{Error, Result},
    http::{Shared, auth::AdminRequest},
    store::{
        bus::GoalDepth,
        operators::{
            overview::{Flow, GoalLatency, Overview, Percentiles, Replica, STEP},
            pauses::Pause,
            workers::Worker,
        },
    },
};

/// Lines of each list. The pages behind them have more.
const LINES: usize = 15;
/// Steps of the flow that make one point of a chart: half a minute.
const STEPS_TO_A_POINT: usize = 3;
/// Steps at the end that are not drawn: replicas write each when it is over.
const STEPS_UNDER_WAY: usize = 2;

/// A number with a name.
struct Tile {
    name: &'static str,
    value: i64,
    /// The class that colours it.
    class: &'static str,
    link: &'static str,
    hint: &'static str,
}

/// The overview as the templates show it.
pub(super) struct View<'a> {
    at: f64,
    notices: Vec<Notice>,
    tiles: Vec<Tile>,
    charts: Vec<Chart>,
    goals: &'a [GoalDepth],
    /// Goals that are not shown.
    more_goals: usize,
    latencies: Vec<&'a GoalLatency>,
    replicas: &'a [Replica],
    workers: &'a [Worker],
    workers_seen: i64,
    pauses: &'a [Pause],
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Page<'a> {
    frame: Frame,
    view: &'a View<'a>,
}

/// Declares the parts of the page, each a template of its own.
macro_rules! parts {
    ($($name:literal $template:ident $path:literal),+ $(,)?) => {
        $(
            #[derive(Template)]
            #[template(path = $path)]
            struct $template<'a> {
                view: &'a View<'a>,
            }
        )+

        /// The parts by name, rendered.
        ///
        /// # Errors
        /// When a template fails.
        pub(super) fn parts(overview: &Overview) -> Result<Vec<(&'static str, String)>> {
            let view = &View::of(overview);
            Ok(vec![$(($name, $template { view }.render().map_err(Error::fault)?)),+])
        }
    };
}

parts! {
    "attention" Attention "overview/attention.html",
    "tiles" Tiles "overview/tiles.html",
    "flow" FlowCharts "overview/flow.html",
    "goals" Goals "overview/goals.html",
    "latency" Latency "overview/latency.html",
    "workers" Workers "overview/workers.html",
    "replicas" Replicas "overview/replicas.html",
    "pauses" Pauses "overview/pauses.html",
}

/// Shows the dashboard's first page.
///
/// The other pages are linked from it; they are for people, and what they do is in this document as JSON.
#[utoipa::path(
    get,
    path = "/admin/dashboard",
    tag = "operators",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")),
)]
pub async fn dashboard(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let frame = Frame::of(&http, &state, "/admin/dashboard", "Overview")?;
    let overview = state.store.overview().await?;
    render(&Page { frame, view: &View::of(&overview) })
}

impl<'a> View<'a> {
    fn of(overview: &'a Overview) -> Self {
        Self {
            at: overview.at,
            notices: notices(overview),
            tiles: tiles(overview),
            charts: charts(&overview.flow),
            goals: first(&overview.goals),
            more_goals: overview.goals.len().saturating_sub(LINES),
            latencies: overview.flow.latencies.iter().filter(|latency| is_measured(latency)).take(LINES).collect(),
            replicas: first(&overview.replicas),
            workers: first(&overview.workers),
            workers_seen: overview.workers_seen,
            pauses: first(&overview.pauses),
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    fn ago(&self, then: &f64) -> f64 {
        self.at - then
    }

    #[allow(clippy::unused_self, reason = "called by the template")]
    fn three(&self, latency: &GoalLatency) -> [Percentiles; 3] {
        [latency.waited, latency.worked, latency.took]
    }

    /// The search for the intents of a goal.
    #[allow(clippy::unused_self, reason = "called by the template")]
    fn goal_link(&self, namespace: &str, goal: &str, state: &str) -> String {
        let pairs = [("state", state), ("namespace", namespace), ("goal", goal)];
        format!("/admin/dashboard/intents{}", links::query(&pairs))
    }
}

fn is_measured(latency: &GoalLatency) -> bool {
    latency.waited.count + latency.worked.count + latency.took.count > 0
}

fn first<T>(list: &[T]) -> &[T] {
    &list[..list.len().min(LINES)]
}

fn tiles(overview: &Overview) -> Vec<Tile> {
    let of_goals = |count: fn(&GoalDepth) -> i64| overview.goals.iter().map(count).sum();
    let in_state =
        |state: Stands| overview.totals.iter().filter(|total| total.state == state).map(|total| total.count).sum();
    let alive = overview.replicas.iter().filter(|replica| replica.alive).count();
    let search = |state| match state {
        "claimable" => "/admin/dashboard/intents?state=claimable",
        "waiting" => "/admin/dashboard/intents?state=waiting",
        "claimed" => "/admin/dashboard/intents?state=claimed",
        _ => "/admin/dashboard/intents?state=fulfilled",
    };
    let tile = |name, value, class, link, hint| Tile { name, value, class, link, hint };
    vec![
        tile("claimable", of_goals(|goal| goal.claimable), "open", search("claimable"), "due and held by nobody"),
        tile("waiting", of_goals(|goal| goal.waiting), "open", search("waiting"), "delayed or backing off"),
        tile("claimed", of_goals(|goal| goal.claimed), "claimed", search("claimed"), "held by a worker"),
        tile("past lease", of_goals(|goal| goal.past_lease), "late", search("claimed"), "the worker has not answered"),
        tile("fulfilled", in_state(Stands::Fulfilled), "fulfilled", search("fulfilled"), "done, and still kept"),
        tile("dead", in_state(Stands::Dead), "dead", "/admin/dashboard/dead", "given up, and still kept"),
        tile("workers", overview.workers_seen, "plain", "/admin/dashboard/workers", "asked in the last 5 minutes"),
        tile("replicas", i64::try_from(alive).unwrap_or(i64::MAX), "plain", "#replicas", "alive"),
    ]
}

fn charts(flow: &Flow) -> Vec<Chart> {
    let whole = |steps: &[i64]| steps.len().saturating_sub(STEPS_UNDER_WAY) / STEPS_TO_A_POINT * STEPS_TO_A_POINT;
    let points = whole(&flow.published);
    let step = STEP * i64::try_from(STEPS_TO_A_POINT).unwrap_or(1);
    #[allow(clippy::cast_precision_loss, reason = "counts of half a minute")]
    let rates = |steps: &[i64]| -> Vec<f64> {
        let end = steps.len().saturating_sub(STEPS_UNDER_WAY);
        let drawn = &steps[end - whole(steps)..end];
        drawn.chunks(STEPS_TO_A_POINT).map(|few| few.iter().sum::<i64>() as f64 / step as f64).collect()
    };
    let top = |rates: &[&Vec<f64>]| round_up(rates.iter().copied().flatten().copied().fold(0.0, f64::max));
    let (published, claimed) = (rates(&flow.published), rates(&flow.claimed));
    let (fulfilled, failed) = (rates(&flow.fulfilled), rates(&flow.failed));
    // What ought to be alike is drawn to one scale, so that a gap shows.
    let common = top(&[&published, &claimed, &fulfilled]);
    let left_out = flow.published.len().saturating_sub(STEPS_UNDER_WAY) - points;
    #[allow(clippy::cast_possible_truncation, reason = "whole seconds")]
    let from = flow.from as i64 + i64::try_from(left_out).unwrap_or_default() * STEP;
    vec![
        Chart::new("published", "Published", &published, common, from, step),
        Chart::new("claimed", "Claimed", &claimed, common, from, step),
        Chart::new("fulfilled", "Fulfilled", &fulfilled, common, from, step),
        Chart::new("failed", "Failed attempts", &failed, top(&[&failed]), from, step),
    ]
}
