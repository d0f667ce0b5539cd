//! `POST /admin/dead/redrive`: dead letters back by filter.

use actix_web::HttpResponse;
use intent_bus_protocol::wire;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    fields::{flag, moment_in, plain},
    search::found,
};
use crate::{
    domain::names::{Goal, Namespace},
    error::{ErrorCode, Result},
    http::{
        Shared,
        auth::AdminRequest,
        body::{self, integer, text},
        ok,
    },
    store::operators::{redrive::Redrive, search::Filter},
};

/// Which dead letters to put back, and how fast.
#[derive(Deserialize, ToSchema)]
#[schema(as = Redrive)]
struct Body<'a> {
    /// False: do it. Otherwise nothing is changed, and the answer says what would be.
    #[schema(value_type = Option<bool>, default = true)]
    #[serde(borrow, default)]
    dry_run: Option<&'a RawValue>,
    /// Only those of this namespace.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_.-]{1,64}$")]
    #[serde(borrow, default)]
    namespace: Option<&'a RawValue>,
    /// Only those of this kind.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256, pattern = r"^[^\u0000]*[^\s\u0000][^\u0000]*$")]
    #[serde(borrow, default)]
    goal: Option<&'a RawValue>,
    /// Only those that this tenant has published; 0 is root.
    #[schema(value_type = Option<i32>, minimum = 0)]
    #[serde(borrow, default)]
    tenant: Option<&'a RawValue>,
    /// Only those with this in their last error, whatever its case.
    #[schema(value_type = Option<String>, max_length = 256, pattern = r"^[^\u0000]*$")]
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    /// Only those that died at this moment or later, in unix seconds.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 253_402_300_799_i64)]
    #[serde(borrow, default)]
    since: Option<&'a RawValue>,
    /// Only those that died before this moment.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 253_402_300_799_i64)]
    #[serde(borrow, default)]
    until: Option<&'a RawValue>,
    /// At most so many, those that died first.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 10_000, default = 10_000)]
    #[serde(borrow, default)]
    limit: Option<&'a RawValue>,
    /// How many become due in each second, so that workers and what they call are not overrun.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 1000, default = 100)]
    #[serde(borrow, default)]
    per_second: Option<&'a RawValue>,
}

/// Puts dead letters back: open, with all their attempts before them.
///
/// Those that died first come first; the n-th becomes due n / `per_second` seconds from now. They count in their tenants'
/// unfinished intents, but none is refused for that. Without `"dry_run": false` nothing is changed.
#[utoipa::path(
    post,
    path = "/admin/dead/redrive",
    operation_id = "redrive_dead_letters",
    tag = "operators",
    request_body(content = Body, example = json!({"goal": "send-mail", "error": "timed out", "per_second": 20, "dry_run": true})),
    responses(
        (status = 200, description = "What was put back, or would be.", body = wire::Redriven),
        (status = 400, description = "`invalid_json`, `invalid_namespace`, `invalid_goal`"),
    ),
)]
pub async fn redrive(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    let body: Body<'_> = body::object(&request.body)?;
    let dry_run = flag(body.dry_run, "dry_run", true)?;
    let redrive = read(&body)?;
    if dry_run {
        state.store.admit(&request.admission).await?;
        let candidates = state.store.redrive_candidates(&redrive).await?;
        return ok(&wire::Redriven {
            ok: true,
            dry_run,
            count: candidates.count,
            sample: candidates.sample.into_iter().map(found).collect(),
            more: candidates.more,
            searched_until: candidates.searched_until,
            last_due_at: None,
        });
    }
    let redriven = state.store.redrive(&request.admission, &request.by, &redrive).await?;
    ok(&wire::Redriven {
        ok: true,
        dry_run,
        count: redriven.count,
        sample: Vec::new(),
        more: redriven.more,
        searched_until: redriven.searched_until,
        last_due_at: redriven.last_due_at,
    })
}

fn read(body: &Body<'_>) -> Result<Redrive> {
    let namespace = text(body.namespace, "namespace", ErrorCode::InvalidNamespace)?;
    let goal = text(body.goal, "goal", ErrorCode::InvalidGoal)?;
    let error = text(body.error, "error", ErrorCode::InvalidRequest)?;
    Ok(Redrive {
        filter: Filter {
            namespace: namespace.map(|text| Namespace::parse(&text)).transpose()?.map(|name| name.as_str().to_owned()),
            goal: goal.map(|text| Goal::parse(&text)).transpose()?.map(|goal| goal.as_str().to_owned()),
            tenant: integer(body.tenant, "tenant", 0..=i32::MAX)?.map(i64::from),
            error: error.map(|text| plain(&text, "error")).transpose()?,
            since: moment_in(body.since, "since")?,
            until: moment_in(body.until, "until")?,
            ..Filter::default()
        },
        limit: integer(body.limit, "limit", 1..=10_000)?.unwrap_or(10_000).into(),
        per_second: integer(body.per_second, "per_second", 1..=1000)?.unwrap_or(100),
    })
}
