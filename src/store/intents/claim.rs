//! Claiming. Claims that reach for the same are one statement, each with the intents that stood first when its turn came;
//! claims of different kinds go down one connection together and are committed together.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Instant,
};

use futures_util::future::{BoxFuture, join_all, join3};
use tokio_postgres::error::DbError;
use uuid::Uuid;

use super::work::{self, Ask, Found, Look, Way};
use crate::{
    domain::{
        hash::hash64,
        ids::RequestKey,
        intent::Claimed,
        lanes::{Aim, Reach},
    },
    error::{Error, Result},
    store::{
        Store,
        admission::{Admission, Verdict},
        coalesce::{Coalesced, Failure},
        session::Session,
        statements,
        transaction::in_time,
    },
    telemetry::events::{Changed, changed},
};

/// Looks that a request gets while others hold what it finds.
const LOOKS: usize = 3;
/// Intents that a first look looks at beyond those it wants, where it has several lanes or priorities to look into. With each
/// further look it is as many times more.
const AHEAD: i64 = 32;

/// Tries of a flight whose claims another replica has made meanwhile.
const TRIES: usize = 3;
/// The index that holds a request to one set of claims.
const CLAIM_REQUEST: &str = "intents_claim_request";

/// For each so many claims that wait for the database, those who found nothing are asked to stay away a second longer.
const CLAIMS_A_SECOND: usize = 500;
/// Longest time for which they are.
const RETRY_AFTER_MOST: u32 = 10;

/// A request to claim.
#[derive(Debug)]
pub struct Claim {
    /// What has to be checked first.
    pub admission: Admission,
    /// What may be claimed. Shared with whoever notes which workers were seen, and with the looks that follow.
    pub reach: Arc<Reach>,
    /// Who claims.
    pub tenant: i64,
    /// Hashes of the tokens of as many claims as are wanted. Made before the statement, so that the claims can be found again.
    pub tokens: Vec<Uuid>,
    /// Seconds.
    pub lease: f64,
    /// The client gave an id to this request: asked again with it, it gets the claims that it has.
    pub retryable: Option<Arc<Retryable>>,
    /// New for each time that it is asked for, and the same when the answer to that was lost.
    pub round: Uuid,
    /// Whoever finds nothing waits, and is let in by that from then on.
    pub waits: bool,
}

/// What a request that may come again is known by.
#[derive(Debug)]
pub struct Retryable {
    /// The request.
    pub key: RequestKey,
    /// What each of its claims is found by.
    pub places: Vec<Uuid>,
    /// What the tokens of this try are made of.
    pub salt: Uuid,
}

impl Retryable {
    /// For so many claims, with a new salt.
    #[must_use]
    pub fn new(key: RequestKey, claims: usize) -> Self {
        Self { places: (0..claims).map(|number| key.place(number)).collect(), key, salt: Uuid::new_v4() }
    }
}

/// A claim that was made.
#[derive(Debug)]
pub struct Lease {
    /// Which of the tokens it has.
    pub token: usize,
    /// On what.
    pub claimed: Claimed,
    /// It was made by an earlier try.
    pub earlier: Option<Earlier>,
}

/// What is different about a claim that an earlier try has made.
#[derive(Debug)]
pub struct Earlier {
    /// What its token was made of, if not of what this request's are.
    pub salt: Option<Uuid>,
    /// Whole seconds that are left of its lease.
    pub left: i32,
}

impl Store {
    /// Claims the next intents within reach, as many as there are tokens or fewer.
    ///
    /// # Errors
    /// What admission refuses; `database_busy`.
    pub async fn claim(&self, mut request: Claim) -> Result<Vec<Lease>> {
        if !self.pauses.are_known() {
            let began = Instant::now();
            // Boxed: waiting claims are kept by the thousand, and seldom get here.
            self.learn_pauses(Box::pin(self.changes()).await?.1, began);
        }
        if self.pauses.is_paused(&request.reach.namespace, request.reach.goal.as_deref()) {
            // Let in with others, and looks into no lane.
            let reach = Arc::make_mut(&mut request.reach);
            (reach.publisher, reach.public) = (None, false);
            // A request that comes again may hold what it claimed before the pause.
            if request.admission.is_free() && request.retryable.is_none() {
                self.flow.found_nothing();
                return Ok(Vec::new());
            }
        }
        let count = request.tokens.len();
        let answer = self.claims.ask(self, request).await;
        match &answer {
            Ok(leases) if leases.is_empty() => self.flow.found_nothing(),
            Ok(leases) => self.flow.outcome("claim", Ok(()), leases.len()),
            Err(error) => self.flow.outcome("claim", Err(error.code()), count),
        }
        answer
    }
}

impl Store {
    /// What tokens of claims are made of, beside the bus's secret.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn token_salt(&self) -> Result<Vec<u8>> {
        in_time(async {
            let client = self.client().await?;
            let statement = client.prepare_cached(statements::TOKEN_SALT).await?;
            Ok(client.query_one(&statement, &[]).await?.try_get("salt")?)
        })
        .await
    }

    /// When somebody who has found nothing may ask again, in seconds: later when many ask.
    #[must_use]
    pub fn seconds_between_claims(&self) -> u32 {
        let waves = self.claims.waiting() / CLAIMS_A_SECOND;
        u32::try_from(waves).map_or(RETRY_AFTER_MOST, |waves| waves.saturating_add(1).min(RETRY_AFTER_MOST))
    }
}

impl Coalesced for Claim {
    const KIND: &'static str = "claim";
    const FLIGHT: &'static str = "flight of claim";

    // Of several that were made by one statement only the first knows its round again.
    const EACH_FINDS_OUT: bool = false;

    type Answer = Vec<Lease>;

    fn turn(&self) -> i64 {
        hash64(&[&self.tenant.to_be_bytes(), &self.reach.kind().to_be_bytes()])
    }

    fn items(&self) -> usize {
        self.tokens.len()
    }

    fn bytes(&self) -> usize {
        0
    }

    fn once(&self) -> impl Iterator<Item = Uuid> {
        let places = self.retryable.iter().flat_map(|request| &request.places);
        self.admission.signed.map(|signed| signed.nonce).into_iter().chain(places.copied())
    }

    fn attempt<'a>(
        store: &'a Store,
        client: &'a Session,
        requests: &'a [&'a Self],
        again: bool,
    ) -> BoxFuture<'a, std::result::Result<Vec<Result<Self::Answer>>, Failure>> {
        Box::pin(claim(store, client, requests, again))
    }

    /// Nobody took the answer: others may have what was claimed.
    async fn unheard(&self, store: &Store, answer: Result<Vec<Lease>>) {
        if let Ok(leases) = answer {
            give_back(store, self, &leases).await;
        }
    }
}

/// Undoes claims: others may have what they hold.
async fn give_back(store: &Store, request: &Claim, leases: &[Lease]) {
    let (ids, tokens): (Vec<Uuid>, Vec<Uuid>) =
        leases.iter().map(|lease| (lease.claimed.id.0, request.tokens[lease.token])).unzip();
    if ids.is_empty() {
        return;
    }
    let released = match store.release(&ids, &tokens).await {
        Ok(released) => released,
        Err(error) => {
            tracing::warn!(?error, "claims that nobody waited for stay until their leases end");
            return;
        }
    };
    for lease in leases.iter().filter(|lease| released.contains(&lease.claimed.id.0)) {
        let worker = request.reach.worker.as_deref();
        changed("given back", lease.claimed.id, Changed { worker, ..(&lease.claimed).into() });
    }
}

impl Store {
    /// Which of them were given back.
    async fn release(&self, ids: &[Uuid], tokens: &[Uuid]) -> Result<Vec<Uuid>> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::RELEASE).await?;
        let rows = client.query(&statement, &[&ids, &tokens]).await?;
        rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
    }
}

/// What has become of one request of a flight.
#[derive(Default)]
struct Progress {
    leases: Vec<Lease>,
    refused: Option<Verdict>,
    /// A later look has failed.
    failed: Option<Error>,
}

/// Claims. Of two tries of one request that run at once, on two replicas, one meets what the other has claimed: then nothing was
/// done, and the next time around it is found.
async fn claim(
    store: &Store,
    client: &Session,
    requests: &[&Claim],
    again: bool,
) -> std::result::Result<Vec<Result<Vec<Lease>>>, Failure> {
    for _ in 1..TRIES {
        match claim_once(store, client, requests, again).await {
            Err(Failure::Refused(error)) if was_overtaken(&error) => {}
            outcome => return outcome,
        }
    }
    match claim_once(store, client, requests, again).await {
        Err(Failure::Refused(error)) if was_overtaken(&error) => Err(Failure::Refused(Error::busy(error))),
        outcome => outcome,
    }
}

fn was_overtaken(error: &Error) -> bool {
    let error = error.cause::<tokio_postgres::Error>().and_then(tokio_postgres::Error::as_db_error);
    error.and_then(DbError::constraint) == Some(CLAIM_REQUEST)
}

async fn claim_once(
    store: &Store,
    client: &Session,
    requests: &[&Claim],
    again: bool,
) -> std::result::Result<Vec<Result<Vec<Lease>>>, Failure> {
    let mut progress: Vec<Progress> = requests.iter().map(|_| Progress::default()).collect();
    let mut served = work::served(client, requests).await?;
    // By tenant: several looks are one transaction, and another replica's must lock the same rate windows in the same order.
    let mut kinds: BTreeMap<(i64, i64), Vec<Ask>> = BTreeMap::new();
    for (number, request) in requests.iter().enumerate() {
        kinds.entry((request.tenant, request.turn())).or_default().push(Ask::first(
            number,
            request,
            served.contains(&number),
        ));
    }
    let way = match kinds.len() {
        1 if again => Way::Long,
        1 => Way::Short,
        _ => Way::Together,
    };
    let looks: Vec<Look> = kinds.into_values().map(|asks| Look { asks, aim: Aim::Anyone, ahead: AHEAD, way }).collect();
    let found = together(store, client, requests, &looks).await?;

    // From here on some of it has been done: what fails now leaves everybody the claims that he has, and nothing is run again.
    let mut later = Vec::new();
    for (look, found) in looks.into_iter().zip(found) {
        // The transaction has ended; what was not its time is looked for now, like what is looked for again.
        let Some(found) = found else {
            later.push(Look { way: Way::Long, ..look });
            continue;
        };
        work::tell(store, requests, &look, &found);
        later.extend(note(&mut progress, look, found));
    }
    for _ in 1..LOOKS {
        let mut next = Vec::new();
        for mut look in later {
            match look_again(store, client, requests, &mut look, &mut served).await {
                Ok(found) => {
                    let Some(found) = found else { continue };
                    work::tell(store, requests, &look, &found);
                    next.extend(note(&mut progress, look, found));
                }
                Err(error) => {
                    let error = error.into_error();
                    tracing::warn!(?error, "a second look for work has failed");
                    for ask in look.asks.iter().filter(|ask| !ask.admitted) {
                        progress[ask.request].failed = Some(Error::busy("a look for work has failed"));
                    }
                }
            }
        }
        later = next;
    }
    let mut answers = Vec::with_capacity(requests.len());
    for (number, (request, mut progress)) in requests.iter().zip(progress).enumerate() {
        let served = served.contains(&number);
        // By an earlier try of the same flight, whoever has made it.
        let again = again || progress.refused == Some(Verdict::DoneBefore);
        if progress.refused == Some(Verdict::DoneBefore) && served {
            progress.refused = None;
        }
        if served && progress.refused.is_none() {
            match work::repeat(client, request).await {
                Ok(leases) => progress.leases = leases,
                Err(error) => progress.failed = Some(error.into_error()),
            }
        } else if again && !served && progress.leases.is_empty() && progress.refused.is_some() {
            // By the lost first try, perhaps. What it has claimed is held by these tokens.
            match work::lost(client, request).await {
                Ok(leases) => progress.leases = leases,
                Err(error) => progress.failed = Some(error.into_error()),
            }
            let found = !progress.leases.is_empty();
            if !found && request.waits && progress.failed.is_none() {
                // Nobody knows whether the first try was let in.
                progress.failed = Some(Error::busy("what became of a claim is not known"));
            }
            if found || request.waits || progress.refused == Some(Verdict::DoneBefore) {
                progress.refused = None;
            }
        }
        answers.push(answer(store, client, request, progress, again && !served).await);
    }
    Ok(answers)
}

/// A look that follows another. What a request has been given by another replica meanwhile is not looked for any more.
async fn look_again(
    store: &Store,
    client: &Session,
    requests: &[&Claim],
    look: &mut Look,
    served: &mut HashSet<usize>,
) -> std::result::Result<Option<Found>, Failure> {
    for _ in 1..TRIES {
        match work::look(store, client, requests, look).await {
            Err(Failure::Refused(error)) if was_overtaken(&error) => {}
            outcome => return outcome,
        }
        let have = work::served(client, requests).await?;
        for ask in look.asks.iter_mut().filter(|ask| have.contains(&ask.request)) {
            ask.tokens.clear();
            served.insert(ask.request);
        }
    }
    work::look(store, client, requests, look).await
}

/// The looks of a flight: one is a transaction by itself, several are one together, sent without waiting in between.
async fn together(
    store: &Store,
    client: &Session,
    requests: &[&Claim],
    looks: &[Look],
) -> std::result::Result<Vec<Option<Found>>, Failure> {
    let all = join_all(looks.iter().map(|look| work::look(store, client, requests, look)));
    if looks.len() < 2 {
        return all.await.into_iter().collect();
    }
    // Prepared before, since that waits for an answer.
    work::prepare(store, client).await?;
    let (begun, found, committed) = join3(client.batch_execute("BEGIN"), all, client.batch_execute("COMMIT")).await;
    begun?;
    // If one has failed, COMMIT has rolled back.
    let found = found.into_iter().collect::<std::result::Result<_, Failure>>()?;
    committed?;
    Ok(found)
}

/// Notes what a look has brought, and says which looks have to follow.
fn note(progress: &mut [Progress], look: Look, found: Found) -> Vec<Look> {
    let mut later = Vec::new();
    for (ask, lease) in found.leases {
        progress[look.asks[ask].request].leases.push(lease);
    }
    let mut short = Vec::new();
    for (ask, verdict) in look.asks.into_iter().zip(found.verdicts) {
        let progress = &mut progress[ask.request];
        match verdict {
            Verdict::LetIn => {
                let held = |token: &usize| progress.leases.iter().any(|lease| lease.token == *token);
                let tokens: Vec<usize> = ask.tokens.into_iter().filter(|token| !held(token)).collect();
                if found.short && !tokens.is_empty() {
                    short.push(Ask { tokens, admitted: true, ..ask });
                }
            }
            Verdict::LeftOut => later.push(Look { asks: vec![ask], aim: Aim::Either, ahead: AHEAD, way: Way::Long }),
            refused => progress.refused = Some(refused),
        }
    }
    if !short.is_empty() {
        later.push(Look { asks: short, aim: look.aim, ahead: AHEAD * look.ahead, way: Way::Long });
    }
    later
}

async fn answer(
    store: &Store,
    client: &Session,
    request: &Claim,
    progress: Progress,
    again: bool,
) -> Result<Vec<Lease>> {
    match progress {
        Progress { refused: None, failed: Some(error), .. } => Err(error),
        // The lost first try had found nothing to claim and stored no more than the nonce; so it is answered now.
        Progress { refused: Some(Verdict::Replayed), leases, .. } if again => Ok(leases),
        Progress { refused: Some(refused), .. } => {
            Err(store.refused(request.admission.refusal(refused, client).await?))
        }
        Progress { mut leases, .. } => {
            leases.sort_by_key(|lease| lease.token);
            match work::find_payloads(client, &mut leases).await {
                Ok(()) => Ok(leases),
                Err(error) => {
                    give_back(store, request, &leases).await;
                    Err(error)
                }
            }
        }
    }
}
