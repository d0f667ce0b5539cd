//! One look for work: the claim statement, its parameters and what it brings.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::claim::{Claim, Earlier, Lease, Retryable};
use crate::{
    domain::{
        ids::IntentId,
        intent::Claimed,
        lanes::{Aim, Reach},
    },
    error::{Error, Result},
    store::{
        Store,
        admission::{Admission, Columns, OfAll, Verdict, prepare as prepare_now, run, run_all, run_once},
        coalesce::{Coalesced, Failure},
        marks::{Looked, Stood},
        session::Session,
        statements,
    },
    telemetry::events::{Changed, changed},
};

/// A look for the work of requests that reach for the same.
pub(super) struct Look {
    pub(super) asks: Vec<Ask>,
    /// With `Anyone`, requests of workers for whom there may be intents in particular are left out. With anything else there
    /// is one request only.
    pub(super) aim: Aim,
    /// So many intents more than are wanted are looked at, should others hold what stands in front.
    pub(super) ahead: i64,
    /// How it may be run.
    pub(super) way: Way,
}

/// How a look is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// First by the statement that lets all in or none: a transaction by itself, and the first try.
    Short,
    /// By itself.
    Long,
    /// In a transaction with others, which are sent without waiting: once, as nothing can follow in it.
    Together,
}

/// What a request asks of a look.
pub(super) struct Ask {
    /// Its number in the flight.
    pub(super) request: usize,
    /// Which of its tokens are to be used.
    pub(super) tokens: Vec<usize>,
    /// It was let in by an earlier look.
    pub(super) admitted: bool,
}

impl Ask {
    /// `served`: it has its claims already, and is only to be let in.
    pub(super) fn first(request: usize, claim: &Claim, served: bool) -> Self {
        let wanted = if served { 0 } else { claim.tokens.len() };
        Self { request, tokens: (0..wanted).collect(), admitted: false }
    }
}

/// What a look has brought.
pub(super) struct Found {
    /// By the number of the ask.
    pub(super) verdicts: Vec<Verdict>,
    /// Others held some of what was in front, so that there may be more.
    pub(super) short: bool,
    /// Each with the number of the ask.
    pub(super) leases: Leases,
    /// For the marks.
    looked: Looked,
    /// The lanes that it looked into, own and public.
    lanes: (Vec<i64>, Vec<i64>),
    /// What was paused when it began.
    of_pauses: u64,
}

/// Prepares what looks need.
pub(super) async fn prepare(store: &Store, client: &Session) -> std::result::Result<(), Failure> {
    for (one_goal, limits) in [(true, true), (true, false), (false, true), (false, false)] {
        prepare_now(store, client, |statements| statements.claim(one_goal, limits)).await?;
    }
    Ok(())
}

/// Runs the statement. None: it was not its time, which only happens to those that are together with others.
pub(super) async fn look(
    store: &Store,
    client: &Session,
    requests: &[&Claim],
    look: &Look,
) -> std::result::Result<Option<Found>, Failure> {
    let request = requests[look.asks[0].request];
    let reach = &request.reach;
    let (own, public) = (reach.own_lanes(look.aim), reach.public_lanes(look.aim));
    let free: Vec<Admission> =
        look.asks.iter().map(|_| Admission { tenant: request.tenant, ..Admission::default() }).collect();
    let admissions = Columns::of(
        look.asks.iter().zip(&free).map(
            |(ask, free)| {
                if ask.admitted { free } else { &requests[ask.request].admission }
            },
        ),
    );
    let wanted =
        || (1i32..).zip(&look.asks).flat_map(|(number, ask)| ask.tokens.iter().map(move |token| (number, ask, *token)));
    let numbers: Vec<i32> = wanted().map(|(number, ..)| number).collect();
    let tokens: Vec<Uuid> = wanted().map(|(_, ask, token)| requests[ask.request].tokens[token]).collect();
    let workers: Vec<Option<&str>> =
        wanted().map(|(_, ask, _)| requests[ask.request].reach.worker.as_deref()).collect();
    let retryable = |ask: &Ask| requests[ask.request].retryable.as_ref();
    let places: Vec<Option<Uuid>> = wanted().map(|(_, ask, token)| Some(retryable(ask)?.places[token])).collect();
    let salts: Vec<Option<Uuid>> = wanted().map(|(_, ask, _)| Some(retryable(ask)?.salt)).collect();
    let (aimed, aimed_lanes) = aimed_lanes(requests, look);
    // Later looks are not tried again.
    let first_look = look.aim == Aim::Anyone && look.asks.iter().all(|ask| !ask.admitted);
    let (one_goal, limits, kind) = (reach.goal.is_some(), admissions.are_limited(), request.turn());
    let all = look.way == Way::Short && first_look && !limits && !store.several_lanes.contains(kind);
    // Where each request has a nonce, tries know each other by those.
    let signed = look.asks.iter().all(|ask| requests[ask.request].admission.signed.is_some());
    let gate: Option<Uuid> = (first_look && !(all && signed)).then_some(request.round);
    let marks = store.marks.of(own.iter().chain(&public));
    let of_pauses = store.pauses.version();
    let paused = if reach.goal.is_some() { Vec::new() } else { store.pauses.goals_of(&reach.namespace) };
    let mut parameters: Vec<&(dyn ToSql + Sync)> = admissions.parameters().to_vec();
    parameters.extend([
        &own as &(dyn ToSql + Sync),
        &public,
        &reach.namespace,
        &reach.goal,
        &reach.capabilities,
        &reach.publisher,
        &request.lease,
        &store.intent_ttl,
        &numbers,
        &tokens,
        &workers,
        &aimed,
        &aimed_lanes,
        &marks.lanes,
        &marks.priorities,
        &marks.marks,
        &look.ahead,
        &gate,
        &paused,
        &places,
        &salts,
    ]);
    let began = Instant::now();
    let of_all = if all {
        run_all(store, client, |statements| statements.claim_all(one_goal), &parameters).await?
    } else {
        OfAll::Each
    };
    if matches!(of_all, OfAll::Unfit) {
        store.several_lanes.add(kind);
    }
    let rows = match of_all {
        OfAll::Done(rows) => rows,
        _ if look.way == Way::Together => {
            match run_once(store, client, |statements| statements.claim(one_goal, limits), &parameters).await? {
                Some(rows) => rows,
                None => return Ok(None),
            }
        }
        _ => run(store, client, |statements| statements.claim(one_goal, limits), &parameters).await?,
    };
    let took = began.elapsed();
    let wanted: Vec<(usize, usize)> = look
        .asks
        .iter()
        .enumerate()
        .flat_map(|(number, ask)| ask.tokens.iter().map(move |token| (number, *token)))
        .collect();
    let (first, rows) =
        rows.split_first().ok_or_else(|| Failure::Refused(Error::fault("a claim has brought no verdicts")))?;
    let (leases, places) = read(rows, &wanted).map_err(Failure::Refused)?;
    store.leave_dead(leases.len());
    let verdicts = first.try_get::<_, Vec<i16>>("verdicts").map_err(Error::fault)?;
    let verdicts = Verdict::read(&verdicts, look.asks.len())?;
    let short: bool = first.try_get("short").map_err(Error::fault)?;
    // Those who were refused or left out have taken nothing, whatever is there.
    let let_in = wanted.iter().filter(|(ask, _)| verdicts[*ask] == Verdict::LetIn).count();
    let drained = !short && places.len() < let_in;
    let looked = Looked { now: first.try_get("now").map_err(Error::fault)?, took, places, drained };
    Ok(Some(Found { verdicts, short, leases, looked, lanes: (own, public), of_pauses }))
}

/// Counts and tells what a look has brought, and notes it for the marks, once it is committed.
pub(super) fn tell(store: &Store, requests: &[&Claim], look: &Look, found: &Found) {
    for ((ask, lease), stood) in found.leases.iter().zip(&found.looked.places) {
        let claimed = &lease.claimed;
        let worker = requests[look.asks[*ask].request].reach.worker.as_deref();
        changed("claimed", claimed.id, Changed { worker, ..claimed.into() });
        let due_for = found.looked.now.duration_since(stood.at).unwrap_or_default();
        store.flow.claimed(&claimed.namespace, &claimed.goal, due_for, claimed.lapsed);
    }
    // Marks pass over what is paused. When something is resumed they are forgotten, and what was looked at before says nothing.
    if store.pauses.version() == found.of_pauses {
        let one_goal = requests[look.asks[0].request].reach.goal.is_some();
        store.marks.note(one_goal, &found.lanes.0, &found.lanes.1, &found.looked);
    }
}

/// The lanes of intents that may be meant for the workers of these requests in particular.
fn aimed_lanes(requests: &[&Claim], look: &Look) -> (Vec<i32>, Vec<i64>) {
    if look.aim != Aim::Anyone {
        return (Vec::new(), Vec::new());
    }
    let lanes = |reach: &Reach| [reach.own_lanes(Aim::Worker), reach.public_lanes(Aim::Worker)].concat();
    (1..)
        .zip(&look.asks)
        .filter(|(_, ask)| !ask.admitted && !ask.tokens.is_empty())
        .flat_map(|(number, ask)| lanes(&requests[ask.request].reach).into_iter().map(move |lane| (number, lane)))
        .unzip()
}

/// Each lease with the number of its ask.
type Leases = Vec<(usize, Lease)>;

fn read(rows: &[Row], wanted: &[(usize, usize)]) -> Result<(Leases, Vec<Stood>)> {
    let fault = |error: tokio_postgres::Error| Error::fault(error);
    let (mut leases, mut places) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in rows {
        let item: i32 = row.try_get("item").map_err(fault)?;
        let (ask, token) = usize::try_from(item - 1)
            .ok()
            .and_then(|item| wanted.get(item))
            .copied()
            .ok_or_else(|| Error::fault("a claim was made for nobody"))?;
        let lane = row.try_get("lane").map_err(fault)?;
        let claimed = read_claimed(row).map_err(fault)?;
        places.push(Stood { lane, priority: claimed.priority, at: row.try_get("stood_at").map_err(fault)? });
        leases.push((ask, Lease { token, claimed, earlier: None }));
    }
    Ok((leases, places))
}

fn read_claimed(row: &Row) -> std::result::Result<Claimed, tokio_postgres::Error> {
    Ok(Claimed {
        id: IntentId(row.try_get("id")?),
        namespace: row.try_get("namespace")?,
        goal: row.try_get("goal")?,
        payload: row.try_get::<_, Option<Vec<u8>>>("payload")?,
        payload_day: row.try_get("payload_day")?,
        claim_attempts: row.try_get("claim_attempts")?,
        priority: row.try_get("priority")?,
        target_worker: row.try_get("target_worker")?,
        required_capability: row.try_get("required_capability")?,
        traceparent: row.try_get("traceparent")?,
        lapsed: row.try_get::<_, Option<bool>>("lapsed")?.unwrap_or_default(),
    })
}

/// The payloads that did not come with their claims: those of other days, and what was moved to another meanwhile.
pub(super) async fn find_payloads(client: &Session, leases: &mut [Lease]) -> Result<()> {
    let missing = || leases.iter().map(|lease| &lease.claimed).filter(|claimed| claimed.payload.is_none());
    let ids: Vec<Uuid> = missing().map(|claimed| claimed.id.0).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let days: Vec<&str> = missing().map(|claimed| claimed.payload_day.as_str()).collect();
    let statement = client.prepare_cached(statements::FIND_PAYLOADS).await?;
    let rows = client.query(&statement, &[&ids, &days]).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        found.insert(row.try_get::<_, Uuid>("id")?, row.try_get::<_, Vec<u8>>("payload")?);
    }
    for claimed in leases.iter_mut().map(|lease| &mut lease.claimed) {
        if claimed.payload.is_none() {
            claimed.payload = found.remove(&claimed.id.0);
        }
    }
    Ok(())
}

/// Those of the requests that hold claims of earlier tries. What they held until its lease ended is forgotten.
pub(super) async fn served(client: &Session, requests: &[&Claim]) -> std::result::Result<HashSet<usize>, Failure> {
    let asked: HashMap<Uuid, usize> = requests
        .iter()
        .enumerate()
        .filter_map(|(number, request)| Some((number, request.retryable.as_ref()?)))
        .flat_map(|(number, request)| request.places.iter().map(move |place| (*place, number)))
        .collect();
    let (mut served, mut over) = (HashSet::new(), Vec::new());
    if asked.is_empty() {
        return Ok(served);
    }
    let places: Vec<Uuid> = asked.keys().copied().collect();
    let statement = client.prepare_cached(statements::FIND_RETRIED).await?;
    for row in client.query(&statement, &[&places]).await? {
        let place: Uuid = row.try_get("claim_request").map_err(Error::fault)?;
        if row.try_get::<_, bool>("lasts").map_err(Error::fault)? {
            served.extend(asked.get(&place));
        } else {
            over.push(place);
        }
    }
    if !over.is_empty() {
        let statement = client.prepare_cached(statements::FORGET_RETRIED).await?;
        client.execute(&statement, &[&over]).await?;
    }
    Ok(served)
}

/// Gives a request that came again, and was let in, the claims that it holds.
pub(super) async fn repeat(client: &Session, request: &Claim) -> std::result::Result<Vec<Lease>, Failure> {
    let Some(Retryable { key, places, .. }) = request.retryable.as_deref() else { return Ok(Vec::new()) };
    let statement = client.prepare_cached(statements::REPEAT_CLAIMS).await?;
    let mut leases = Vec::new();
    for row in client.query(&statement, &[places]).await? {
        let read = |name: &str| row.try_get::<_, Uuid>(name).map_err(Error::fault);
        let (place, salt, hash) = (read("claim_request")?, read("claim_salt")?, read("claim_hash")?);
        // A replica of an older release claims without a word of these columns: what they say is then of the claim before.
        let held = |number: &usize| key.token(*number, salt).hash() == hash;
        if let Some(token) = places.iter().position(|of| *of == place).filter(held) {
            let left = row.try_get("left").map_err(Error::fault)?;
            let claimed = read_claimed(&row).map_err(Error::fault)?;
            leases.push(Lease { token, claimed, earlier: Some(Earlier { salt: Some(salt), left }) });
        }
    }
    leases.sort_by_key(|lease| lease.token);
    Ok(leases)
}

/// The claims of a request whose answer was lost.
pub(super) async fn lost(client: &Session, request: &Claim) -> std::result::Result<Vec<Lease>, Failure> {
    let reach = &request.reach;
    let (own, public) = (reach.own_lanes(Aim::Either), reach.public_lanes(Aim::Either));
    let statement = client.prepare_cached(statements::FIND_CLAIMS.text(reach.goal.is_some())).await?;
    let rows = client.query(&statement, &[&own, &public, &request.tokens]).await?;
    let mut leases = Vec::with_capacity(rows.len());
    for row in rows {
        let hash: Uuid = row.try_get("claim_hash").map_err(Error::fault)?;
        if let Some(token) = request.tokens.iter().position(|token| *token == hash) {
            let left = row.try_get("left").map_err(Error::fault)?;
            let claimed = read_claimed(&row).map_err(Error::fault)?;
            leases.push(Lease { token, claimed, earlier: Some(Earlier { salt: None, left }) });
        }
    }
    Ok(leases)
}
