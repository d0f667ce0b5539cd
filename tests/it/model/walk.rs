//! One random walk: a step is taken on the bus and in the model, and the two are compared.

use std::{collections::BTreeMap, thread};

use lease_model::machine::{Life, Seen, Stored};
use serde_json::{Value, json};
use uuid::Uuid;

use super::rules::{Ask, Intent, JITTER, LEASE, MAX_OPEN, TTL, next};
use crate::support::{Answer, Client, TestApp};

/// A step takes less than this many seconds. Nothing may change by itself while it is under way.
const STEP: f64 = 5.0;
/// Versions that a request may declare: the first generation, the second, and the second without tokens.
const VERSIONS: [Option<&str>; 3] = [None, Some("7.61"), Some("7.5")];

pub(super) struct Walk<'a> {
    app: &'a TestApp,
    /// Root is the first.
    tenants: [Client; 3],
    namespace: String,
    seed: u64,
    random: u64,
    intents: Vec<Intent>,
    steps: Vec<String>,
    /// How often each kind of step has changed something.
    done: BTreeMap<&'static str, usize>,
}

impl<'a> Walk<'a> {
    pub(super) async fn begin(app: &'a TestApp, seed: u64) -> Self {
        let tenants =
            [app.root(), app.tenant(&format!("alice {seed}")).await, app.tenant(&format!("bob {seed}")).await];
        let namespace = format!("walk-{seed}");
        Self {
            app,
            tenants,
            namespace,
            seed,
            random: seed,
            intents: Vec::new(),
            steps: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    /// All states once more, the quotas, and nothing stays behind. How often each kind of step has changed something.
    pub(super) async fn end(mut self) -> BTreeMap<&'static str, usize> {
        for index in 0..self.intents.len() {
            self.compare(index, 0).await;
        }
        for (number, tenant) in self.tenants.iter().enumerate().skip(1) {
            let sql = "SELECT coalesce(sum(open_intents), 0)::bigint FROM quotas JOIN api_keys USING (tenant_id) WHERE key_hash = $1";
            let hash = intent_bus::domain::hash::key_hash(tenant.api_key());
            let counted: i64 = self.app.db.value(sql, &[&&hash[..]]).await;
            assert_eq!(usize::try_from(counted).unwrap(), self.unfinished_of(number));
        }
        let purged = self.app.admin().post("/admin/purge", json!({"confirm": true, "namespace": self.namespace})).await;
        let unfinished = self.intents.iter().filter(|intent| intent.is_unfinished()).count();
        let counts = json!({"unfinished": unfinished, "finished": self.intents.len() - unfinished});
        assert_eq!(purged.expect(200)["purged"], counts);
        std::mem::take(&mut self.done)
    }

    pub(super) async fn step(&mut self) {
        self.pass_boundaries().await;
        let began = self.now().await;
        let touched = match self.below(20) {
            0..3 => self.publish().await,
            3..9 => self.claim(began).await,
            9..11 => self.fulfill(began).await,
            11..13 => self.fail(began).await,
            13 => self.extend(began).await,
            14 => self.cancel().await,
            15 => self.retry(began).await,
            16 => self.maintain(began).await,
            _ => self.jump(began).await,
        };
        assert!(self.now().await - began < STEP, "the machine is too slow for this test to tell what came first");
        let looked_at = touched.or_else(|| self.any());
        if let Some(index) = looked_at {
            let reader = self.below(3);
            self.compare(index, reader).await;
        }
    }

    // Random choices, by splitmix64.

    fn below(&mut self, limit: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn any(&mut self) -> Option<usize> {
        if self.intents.is_empty() { None } else { Some(self.below(self.intents.len())) }
    }

    /// More often than not one that is claimed.
    fn any_claimed(&mut self) -> Option<usize> {
        let claimed = |intent: &Intent| matches!(intent.stored, Stored::Claimed { .. });
        let held: Vec<usize> = (0..self.intents.len()).filter(|&index| claimed(&self.intents[index])).collect();
        if held.is_empty() || self.below(4) == 0 { self.any() } else { Some(self.one_of(&held)) }
    }

    fn count(&mut self, kind: &'static str) {
        *self.done.entry(kind).or_default() += 1;
    }

    fn note(&mut self, what: impl Into<String>) {
        self.steps.push(what.into());
    }

    // The clock.

    async fn now(&self) -> f64 {
        self.app.db.value("SELECT extract(epoch FROM clock_timestamp())::float8", &[]).await
    }

    async fn age(&mut self, seconds: f64) {
        let unfinished = "UPDATE intents SET created_at = created_at - make_interval(secs => $2),
                run_at = run_at - make_interval(secs => $2), visible_at = visible_at - make_interval(secs => $2),
                lease_until = lease_until - make_interval(secs => $2) WHERE namespace = $1";
        let finished = "UPDATE finished SET created_at = created_at - make_interval(secs => $2) WHERE namespace = $1";
        for sql in [unfinished, finished] {
            self.app.db.execute(sql, &[&self.namespace, &seconds]).await;
        }
        for intent in &mut self.intents {
            intent.age(seconds);
        }
        self.note(format!("{seconds} s go by"));
    }

    /// Lets time pass until nothing changes by itself during the next step.
    async fn pass_boundaries(&mut self) {
        loop {
            let now = self.now().await;
            let soon =
                self.intents.iter().flat_map(Intent::boundaries).filter(|at| *at > now && *at < now + 2.0 * STEP);
            let Some(last) = soon.max_by(f64::total_cmp) else { return };
            self.age(last - now + 0.001).await;
        }
    }

    async fn jump(&mut self, now: f64) -> Option<usize> {
        let ahead = self.intents.iter().flat_map(Intent::boundaries).filter(|at| *at > now && at.is_finite());
        let next = ahead.min_by(f64::total_cmp).map_or(1.0, |at| at - now + 0.001);
        let seconds = match self.below(6) {
            0..4 => next,
            4 => 70.0,
            _ => TTL + 10.0,
        };
        self.age(seconds).await;
        self.pass_boundaries().await;
        None
    }

    // The steps.

    async fn publish(&mut self) -> Option<usize> {
        let owner = self.one_of(&[0, 1, 1, 2]);
        let version = self.one_of(&VERSIONS);
        let (goal, public) = (self.one_of(&["resize", "resize", "print"]), self.below(3) > 0);
        let (priority, target) = (self.one_of(&[0, 100]), self.one_of(&[None, None, None, Some("pi")]));
        let (max_attempts, backoff) =
            (self.one_of(&[None, Some(1_i64), Some(2)]), self.one_of(&[None, None, Some(1.0)]));
        let delay = self.one_of(&[0.0, 0.0, 30.0]);
        let mut body = json!({
            "goal": goal, "payload": {"n": self.intents.len()}, "namespace": self.namespace, "priority": priority, "delay": delay,
            "visibility": if public { "public" } else { "private" }, "target_worker": target,
        });
        if let Some(max_attempts) = max_attempts {
            body["max_attempts"] = json!(max_attempts);
        }
        if let Some(backoff) = backoff {
            body["backoff_base"] = json!(backoff);
        }
        self.note(format!("{owner} publishes by {version:?}: {body}"));
        let before = self.now().await;
        let answer = self.declaring(owner, version).publish(&body).await;
        if owner > 0 && self.unfinished_of(owner) >= MAX_OPEN {
            answer.refused(429, "limit_exceeded");
            self.count("publish beyond the cap");
            return None;
        }
        let intent = Intent {
            id: answer.expect(201)["id"].as_str().unwrap().to_owned(),
            owner,
            goal,
            public,
            priority,
            target,
            backoff: backoff.unwrap_or(5.0),
            has_policy: version.is_some() || max_attempts.is_some() || backoff.is_some(),
            created_at: before,
            life: Life::published(before + delay, max_attempts.unwrap_or(3)),
            claimed_by: None,
            tokens: Vec::new(),
            last_error: None,
            result: None,
        };
        self.intents.push(intent);
        self.count("publish");
        self.adopt(self.intents.len() - 1, 0.0).await;
        Some(self.intents.len() - 1)
    }

    async fn claim(&mut self, now: f64) -> Option<usize> {
        let tenant = self.below(3);
        let goal = self.one_of(&[None, None, Some("resize"), Some("print")]);
        let (worker, own_only) = (self.one_of(&[None, Some("pi"), Some("PI")]), self.below(4) == 0);
        let ask = Ask { tenant, goal, worker, own_only };
        self.note(format!("claim: {ask:?}"));
        let mut target = format!("/claim?namespace={}", self.namespace);
        for (name, value) in
            [("goal", goal), ("worker_id", worker), ("publisher", own_only.then(|| self.tenants[tenant].api_key()))]
        {
            target += &value.map_or_else(String::new, |value| format!("&{name}={value}"));
        }
        let answer = self.tenants[tenant].post(&target, "").await;
        let Some(intent) = next(&mut self.intents, &ask, now) else {
            answer.empty();
            return None;
        };
        let claim = answer.claim();
        let backoff = intent.backoff_after(intent.attempts + 1);
        intent.claim(claim.token.clone(), now, LEASE, backoff);
        assert_eq!((&claim.id, &claim.body["claim_attempts"]), (&intent.id, &json!(intent.attempts)));
        intent.tokens.push(claim.token);
        intent.claimed_by = Some(tenant);
        let index = self.intents.iter().position(|intent| intent.id == claim.id).unwrap();
        self.count(if self.intents[index].attempts > 1 { "claim again" } else { "claim" });
        self.adopt(index, JITTER).await;
        Some(index)
    }

    /// A tenant, a version and a token, right or wrong, for a finish of this intent; and whether a token has to be there.
    fn finisher(&mut self, index: usize) -> (usize, Option<&'static str>, Option<String>) {
        let holder = self.intents[index].claimed_by.unwrap_or(0);
        let stranger = self.below(3);
        let tenant = self.one_of(&[holder, holder, holder, stranger]);
        let tokens = self.intents[index].tokens.clone();
        let token = match self.below(8) {
            0 => None,
            1 => Some("0".repeat(32)),
            2 if !tokens.is_empty() => Some(tokens[self.below(tokens.len())].clone()),
            _ => tokens.last().cloned(),
        };
        (tenant, self.one_of(&VERSIONS), token)
    }

    /// Sends a finish. Whether it has to be done; if not, the refusal has been compared.
    async fn finish(
        &mut self,
        verb: &str,
        index: usize,
        mut body: Value,
        alive: bool,
    ) -> Option<(Answer, Option<&'static str>)> {
        let (tenant, version, token) = self.finisher(index);
        let intent = &self.intents[index];
        let held = intent.is_finished_by(tenant, token.as_ref()) && alive;
        if let Some(token) = &token {
            body["claim_token"] = json!(token);
        }
        let target = format!("/{verb}/{}", intent.id);
        self.steps.push(format!(
            "{tenant} by {version:?}: {target} {body}, which {}",
            if held { "holds it" } else { "does not" }
        ));
        let answer = self.declaring(tenant, version).post(&target, body).await;
        if token.is_none() && version == Some("7.61") {
            answer.refused(400, "invalid_request");
            None
        } else if held {
            Some((answer, version))
        } else {
            answer.refused(404, "not_found");
            None
        }
    }

    async fn fulfill(&mut self, now: f64) -> Option<usize> {
        let index = self.any_claimed()?;
        let result = self.below(1000) as u64;
        let (answer, _) = self.finish("fulfill", index, json!({"result": result}), true).await?;
        answer.expect(200);
        self.count(if self.intents[index].lease_runs(now) { "fulfil" } else { "fulfil late" });
        let intent = &mut self.intents[index];
        intent.fulfill();
        intent.result = Some(result);
        Some(index)
    }

    async fn fail(&mut self, now: f64) -> Option<usize> {
        let index = self.any_claimed()?;
        let error = format!("error {}", self.steps.len());
        let (answer, version) = self.finish("fail", index, json!({"error": error}), true).await?;
        let status = answer.expect(200)["status"].clone();
        let last = self.intents[index].failure_is_final(version.is_some());
        self.count(if last { "fail for good" } else { "fail" });
        let intent = &mut self.intents[index];
        if last {
            intent.die(&error);
            assert_eq!(status, if version.is_some() { "dead" } else { "failed" });
        } else {
            assert_eq!(status, "open");
            intent.last_error = Some(error);
            let due_at = now + intent.backoff_after(intent.attempts);
            intent.requeue(due_at);
            self.adopt(index, JITTER).await;
        }
        Some(index)
    }

    async fn extend(&mut self, now: f64) -> Option<usize> {
        let index = self.any_claimed()?;
        let alive = self.intents[index].lease_runs(now);
        let (answer, _) = self.finish("extend_claim", index, json!({"seconds": 100}), alive).await?;
        answer.expect(200);
        self.count("extend");
        self.intents[index].extend(100.0);
        Some(index)
    }

    async fn cancel(&mut self) -> Option<usize> {
        let index = self.any()?;
        self.note(format!("cancel {}", self.intents[index].id));
        self.app.admin().cancel(&self.intents[index].id).await.expect(200);
        self.intents[index].cancel();
        self.count("cancel");
        Some(index)
    }

    async fn retry(&mut self, now: f64) -> Option<usize> {
        let index = self.any()?;
        self.note(format!("retry {}", self.intents[index].id));
        let answer = self.app.admin().retry(&self.intents[index].id).await;
        if self.intents[index].seen(now, TTL) == Seen::Dead {
            answer.expect(200);
            self.count(if self.intents[index].is_unfinished() { "retry the unburied" } else { "retry" });
            self.intents[index].bring_back(now);
            self.adopt(index, 0.0).await;
        } else {
            answer.refused(409, "conflict");
        }
        Some(index)
    }

    async fn maintain(&mut self, now: f64) -> Option<usize> {
        self.note("a pass of maintenance");
        self.app.admin().cleanup().await.expect(200);
        let before = self.intents.iter().filter(|intent| intent.is_unfinished()).count();
        for intent in &mut self.intents {
            intent.note_end(now);
        }
        if self.intents.iter().filter(|intent| intent.is_unfinished()).count() < before {
            self.count("bury");
        }
        None
    }

    // Comparisons.

    fn declaring(&self, tenant: usize, version: Option<&str>) -> Client {
        let client = &self.tenants[tenant];
        version.map_or_else(|| client.clone(), |version| client.declaring(version))
    }

    fn unfinished_of(&self, owner: usize) -> usize {
        self.intents.iter().filter(|intent| intent.owner == owner && intent.is_unfinished()).count()
    }

    /// Takes over the times that the bus has chosen, which must be those of the model but for the jitter and the moment that
    /// the step has taken.
    async fn adopt(&mut self, index: usize, jitter: f64) {
        let id = Uuid::try_parse(&self.intents[index].id).unwrap();
        let sql = "SELECT extract(epoch FROM created_at)::float8, extract(epoch FROM visible_at)::float8,
                       extract(epoch FROM lease_until)::float8 FROM intents WHERE id = $1";
        let rows = self.app.db.rows(sql, &[&id]).await;
        let (created_at, due_at, until): (f64, f64, Option<f64>) = (rows[0].get(0), rows[0].get(1), rows[0].get(2));
        let intent = &mut self.intents[index];
        let late = |real: f64, model: f64| real - model;
        assert!((-0.001..STEP).contains(&late(created_at, intent.created_at)), "created at {created_at}: {intent:?}");
        let never = due_at.is_infinite() && intent.due_at.is_infinite();
        assert!(never || (-0.001..STEP + jitter).contains(&late(due_at, intent.due_at)), "due at {due_at}: {intent:?}");
        (intent.created_at, intent.due_at) = (created_at, due_at);
        match (&mut intent.stored, until) {
            (Stored::Claimed { until: model, .. }, Some(real)) => {
                assert!((-0.001..STEP).contains(&late(real, *model)), "until {real}: {intent:?}");
                *model = real;
            }
            (Stored::Open, None) => {}
            (stored, until) => panic!("{stored:?} against {until:?}"),
        }
    }

    /// Compares what one tenant sees of an intent with the model, by its status or by its result.
    async fn compare(&self, index: usize, reader: usize) {
        let (intent, now) = (&self.intents[index], self.now().await);
        if self.steps.len().is_multiple_of(2) {
            let status = self.tenants[reader].status(&intent.id).await;
            if intent.status_is_for(reader) {
                self.compare_status(intent, &status.expect(200), now);
            } else {
                status.refused(403, "forbidden");
            }
            return;
        }
        let result = self.tenants[reader].result(&intent.id).await;
        if !intent.result_is_for(reader) {
            result.refused(403, "forbidden");
            return;
        }
        let seen = result.expect(200);
        self.compare_status(intent, &seen, now);
        assert_eq!(seen.get("result").cloned(), intent.result.map(Value::from), "{intent:?}");
        let error = intent.last_error.as_deref().filter(|_| intent.stored != Stored::Fulfilled);
        assert_eq!(seen.get("error").and_then(Value::as_str), error, "{intent:?}");
    }

    fn compare_status(&self, intent: &Intent, seen: &Value, now: f64) {
        let state = intent.state(now);
        assert_eq!(seen["status"], state, "{intent:?}");
        assert_eq!(
            (&seen["claim_attempts"], &seen["namespace"]),
            (&json!(intent.attempts), &json!(self.namespace)),
            "{intent:?}"
        );
        assert_eq!(seen["last_error"].as_str(), intent.last_error.as_deref(), "{intent:?}");
        assert_eq!(seen["claim_expires_at"].is_f64(), state == "claimed", "{intent:?}");
        assert_eq!(seen["completed_at"].is_f64(), !intent.is_unfinished(), "{intent:?}");
        if state == "open" {
            assert!((seen["run_at"].as_f64().unwrap() - intent.due_at).abs() < 0.001, "{seen}: {intent:?}");
        }
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("MODEL_SEED={} MODEL_WALKS=1, after:\n  {}", self.seed, self.steps.join("\n  "));
        }
    }
}
