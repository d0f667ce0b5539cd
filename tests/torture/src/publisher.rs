//! A publisher.

use std::{sync::Arc, time::Duration};

use hyper::Method;
use intent_bus_protocol::headers;
use rand::{RngExt, rngs::StdRng};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    bus::{Bus, Tenant},
    http::Request,
    load::{GOAL, Habits, PAUSE, Signs},
    log::{Outcome, What},
};

/// What is left to try for somebody who was told to stop.
const LAST_TRIES: usize = 40;

/// Publishes at its share of the rate until it is told to stop.
pub(crate) async fn publish(
    bus: Bus,
    tenants: Arc<Vec<Tenant>>,
    me: usize,
    habits: Arc<Habits>,
    signs: Signs,
    mut random: StdRng,
) {
    let tenant = &tenants[me];
    let all = f64::from(u32::try_from(tenants.len() * habits.publishers).unwrap_or(u32::MAX));
    let pause = all / habits.rate.max(0.001);
    let mut next = Instant::now() + Duration::from_secs_f64(random.random_range(0.0..=pause));
    while signs.publish() {
        sleep_until(next).await;
        // Whoever was held up does not make up for it by a flood.
        next = (next + Duration::from_secs_f64(pause)).max(Instant::now());
        let key = format!("{:032x}", random.random::<u128>());
        let public = random.random_bool(habits.public);
        let what = What::Publish { tenant: tenant.name.clone(), key: key.clone(), public };
        let priority = [50, 100, 500][random.random_range(0..3)];
        let mut body = json!({
            "goal": GOAL,
            "payload": {"key": key, "owner": tenant.name, "public": public},
            "visibility": if public { "public" } else { "private" },
            "priority": priority,
            "max_attempts": 12,
            "backoff_base": 1,
        });
        if random.random_bool(0.1) {
            body["delay"] = json!(random.random_range(0.0..1.5));
        }
        let make = |random: &mut StdRng| tenant.request(random, Method::POST, "/intent".to_owned(), body.to_string());
        let request = make(&mut random);
        if random.random_bool(habits.keyed) {
            let keyed = |mut request: Request| {
                request.headers.push((headers::IDEMPOTENCY_KEY, key.clone()));
                request
            };
            let (first, second) = (keyed(request), keyed(make(&mut random)));
            let hasty = random.random_bool(habits.hasty);
            let [to, other] = bus.targets.two(&mut random);
            let outcome = if hasty {
                // Once more at the same moment, wherever it may be.
                let both = futures_util::future::join(
                    bus.ask(to, what.clone(), &first),
                    bus.ask(other, what.clone(), &second),
                );
                both.await.0
            } else {
                bus.ask(to, what.clone(), &first).await
            };
            let mut open = matches!(outcome, Outcome::Unknown(_));
            let mut tries = 0;
            while open && (signs.publish() || tries < LAST_TRIES) {
                sleep(Duration::from_secs_f64(random.random_range(PAUSE))).await;
                let to = bus.targets.any(&mut random);
                let again = keyed(make(&mut random));
                open = matches!(bus.ask(to, what.clone(), &again).await, Outcome::Unknown(_));
                tries = if signs.publish() { 0 } else { tries + 1 };
            }
        } else {
            let to = bus.targets.any(&mut random);
            let outcome = bus.ask(to, what, &request).await;
            if tenant.signs && matches!(outcome, Outcome::Published(_)) && random.random_bool(habits.replays) {
                let what = What::Replay { tenant: tenant.name.clone(), key };
                let to = bus.targets.any(&mut random);
                bus.ask(to, what, &request).await;
            }
        }
    }
}
