//! Fulfilling: ending claims well, with their results.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{
    finish::{HeldClaim, Settled, claim_over},
    late::{self, Late, Outcome},
};
use crate::{
    domain::ids::IntentId,
    error::{Error, Result},
    store::{
        Store,
        admission::{Admission, Columns, OfAll, Verdict, run, run_all},
        coalesce::{Coalesced, Failure},
        session::Session,
        statements::{self, Admitting},
    },
    telemetry::events::{Changed, changed},
};

/// A request to fulfil.
#[derive(Debug)]
pub struct Fulfill {
    /// What has to be checked first.
    pub admission: Admission,
    /// The claims to end, each with its result: the bytes and the type, `json` or `text`.
    pub claims: Vec<(HeldClaim, Option<(Bytes, &'static str)>)>,
}

/// A claim that was fulfilled, and what it was for. Told where there are traces, since only they need it, and not of what a lost
/// first try has done.
#[derive(Debug)]
pub struct Done(pub Option<Settled>);

impl Store {
    /// Ends claims well and keeps their results.
    ///
    /// # Errors
    /// What admission refuses. For each claim: `not_found` when it is not held (any more).
    pub async fn fulfill(&self, request: Fulfill) -> Result<Vec<Result<Done>>> {
        let count = request.claims.len();
        let answer = self.fulfilments.ask(self, request).await;
        self.count_answers("fulfill", count, &answer);
        answer
    }
}

impl Coalesced for Fulfill {
    const KIND: &'static str = "fulfill";
    const FLIGHT: &'static str = "flight of fulfill";

    const EACH_FINDS_OUT: bool = true;

    type Answer = Vec<Result<Done>>;

    fn turn(&self) -> i64 {
        self.admission.tenant
    }

    fn items(&self) -> usize {
        self.claims.len()
    }

    fn bytes(&self) -> usize {
        self.claims.iter().filter_map(|(_, result)| result.as_ref()).map(|(bytes, _)| bytes.len()).sum()
    }

    fn once(&self) -> impl Iterator<Item = Uuid> {
        self.admission.signed.map(|signed| signed.nonce).into_iter()
    }

    fn attempt<'a>(
        store: &'a Store,
        client: &'a Session,
        requests: &'a [&'a Self],
        again: bool,
    ) -> BoxFuture<'a, std::result::Result<Vec<Result<Self::Answer>>, Failure>> {
        Box::pin(fulfill(store, client, requests, again))
    }
}

async fn fulfill(
    store: &Store,
    client: &Session,
    requests: &[&Fulfill],
    again: bool,
) -> std::result::Result<Vec<Result<Vec<Result<Done>>>>, Failure> {
    let admissions = Columns::of(requests.iter().map(|request| &request.admission)).counted_before(again);
    let each =
        || (1i32..).zip(requests).flat_map(|(number, request)| request.claims.iter().map(move |of| (number, of)));
    let numbers: Vec<i32> = each().map(|(number, _)| number).collect();
    let ids: Vec<Uuid> = each().map(|(_, (claim, _))| claim.id.0).collect();
    let tokens: Vec<Option<Uuid>> = each().map(|(_, (claim, _))| claim.token).collect();
    let results: Vec<Option<&[u8]>> = each().map(|(_, (_, of))| of.as_ref().map(|(bytes, _)| bytes.as_ref())).collect();
    let kinds: Vec<Option<&str>> = each().map(|(_, (_, of))| of.as_ref().map(|(_, kind)| *kind)).collect();
    let mut parameters: Vec<&(dyn ToSql + Sync)> = admissions.parameters().to_vec();
    parameters.extend([&numbers as &(dyn ToSql + Sync), &ids, &tokens, &results, &kinds]);
    let limits = admissions.are_limited();
    let of_all =
        if limits || again { OfAll::Each } else { run_all(store, client, Admitting::fulfill_all, &parameters).await? };
    let rows = match of_all {
        OfAll::Done(rows) => rows,
        _ => run(store, client, |statements| statements.fulfill(limits), &parameters).await?,
    };

    // From here on it has been done: whatever fails now concerns one request, and none is run again.
    let (row, rows) = rows.split_first().ok_or_else(|| Error::fault("a fulfilment has brought no verdicts"))?;
    let verdicts = Verdict::read(&row.try_get::<_, Vec<i16>>("verdicts").map_err(Error::fault)?, requests.len())?;
    store.leave_dead(rows.len());
    let mut done: Vec<Option<Done>> = ids.iter().map(|_| None).collect();
    for row in rows {
        let item: i32 = row.try_get("item").map_err(Error::fault)?;
        if let Some(item) = usize::try_from(item - 1).ok().filter(|item| *item < ids.len()) {
            done[item] = Some(note(store, ids[item], row).map_err(Error::fault)?);
        }
    }
    let mut done = done.into_iter();
    let (mut answers, mut too_late) = (Vec::with_capacity(requests.len()), Vec::new());
    for (request, verdict) in requests.iter().zip(verdicts) {
        let done: Vec<Option<Done>> = done.by_ref().take(request.claims.len()).collect();
        answers.push(answer_of(store, client, request, verdict, done, again, &mut too_late).await);
    }
    let kept = late::keep(client, &too_late).await;
    late::kept_or_busy(kept, answers.iter_mut().flatten().flatten());
    Ok(answers)
}

/// Counts what was fulfilled, and says so.
fn note(store: &Store, id: Uuid, row: &Row) -> std::result::Result<Done, tokio_postgres::Error> {
    let (namespace, goal) = (row.try_get("namespace")?, row.try_get("goal")?);
    store.flow.fulfilled(namespace, goal, row.try_get("worked")?, row.try_get("took")?);
    let (attempt, worker) = (row.try_get("claim_attempts")?, row.try_get("worker_id")?);
    changed("fulfilled", IntentId(id), Changed { namespace, goal, attempt, worker });
    Ok(Done(store.traces.are_on().then(|| Settled::read(row)).transpose()?))
}

async fn answer_of<'r>(
    store: &Store,
    client: &Session,
    request: &'r Fulfill,
    verdict: Verdict,
    done: Vec<Option<Done>>,
    again: bool,
    too_late: &mut Vec<Late<'r>>,
) -> Result<Vec<Result<Done>>> {
    // Its nonce was used by the lost first try, which was let in.
    let let_in = verdict == Verdict::LetIn || (again && verdict == Verdict::Replayed);
    let mut answers = Vec::with_capacity(done.len());
    for ((claim, result), done) in request.claims.iter().zip(done) {
        // By the lost first try, if this very claim has ended it.
        let done = match done {
            None if again && has_fulfilled(client, *claim).await? => Some(Done(None)),
            done => done,
        };
        if done.is_none() && let_in {
            let result = result.as_ref().map(|(bytes, kind)| (bytes.as_ref(), *kind));
            too_late.push(Late { claim: *claim, outcome: Outcome::Fulfilled(result) });
        }
        answers.push(done.ok_or_else(claim_over));
    }
    // A timestamp may have grown too old since the first try.
    if let_in || (again && verdict == Verdict::Stale && answers.iter().any(Result::is_ok)) {
        return Ok(answers);
    }
    Err(store.refused(request.admission.refusal(verdict, client).await?))
}

async fn has_fulfilled(client: &Session, claim: HeldClaim) -> Result<bool> {
    let statement = client.prepare_cached(statements::HAS_FULFILLED).await?;
    Ok(client.query_opt(&statement, &[&claim.id.0, &claim.tenant, &claim.token]).await?.is_some())
}
