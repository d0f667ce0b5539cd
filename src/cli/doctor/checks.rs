//! What is looked at, in an order in which one thing stands on the other.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use intent_bus_client::{Error, Health, IntentClient, NewIntent, RetryPolicy};

use super::{Finding, network};
use crate::cli::{
    bus::{Bus, Operator},
    exit::{Exit, Failure},
};

/// How often the bus is asked for its latency.
const ASKED: usize = 5;
/// What a request may take until it is worth a word.
const SLOW: Duration = Duration::from_millis(500);
/// How far the clock may be off, in seconds, until it is worth a word, and until the bus refuses what is signed by it.
const SKEW: (f64, f64) = (30.0, 300.0);
/// What is needed of a key that nobody has: that it can be sent.
const NO_KEY: &str = "doctor";
/// What a key could be used for.
const SCOPES: [&str; 4] = ["publish", "work", "read", "values"];
/// A namespace that no bus takes: what is asked for in it is refused, and not done.
const NOWHERE: &str = "not a namespace";
/// The id of no intent.
const NOBODY: &str = "00000000000000000000000000000000";

/// Looks at everything that can be looked at.
pub(super) async fn all(bus: &Bus, operator: &Operator) -> Result<Vec<Finding>, Failure> {
    let key = bus.builder()?.retry(RetryPolicy::none()).build();
    let client = match &key {
        Ok(client) => client.clone(),
        // Without a key, or with one that cannot be used, the way to the bus can still be looked at.
        Err(_) => bus.builder()?.api_key(NO_KEY).retry(RetryPolicy::none()).build()?,
    };
    let url = &bus.url()?;
    let mut findings = Vec::new();
    let healths = match healths(&client).await {
        Ok(healths) => healths,
        Err(error) => {
            findings.push(unreachable(url, &error));
            return Ok(findings);
        }
    };
    let last = &healths[healths.len() - 1].health;
    findings.push(Finding::good("connection", format!("{url} answers")));
    findings.push(encryption(url));
    findings.push(version(last));
    findings.push(latency(&healths));
    let clock = clock(&healths);
    let off = clock.state == super::State::Bad;
    findings.push(clock);
    match key {
        Ok(client) => {
            let key = accepted(&client, bus, off).await;
            let known = key.state != super::State::Bad;
            findings.push(key);
            // A bus that does not say what it speaks might take for good what only asks whether it may be done.
            if known && last.protocol.is_some() {
                findings.extend(scopes(&client).await);
            }
        }
        Err(error) => {
            findings.push(Finding::bad(
                "key",
                Exit::Denied,
                error.to_string(),
                "Put the key into ~/.apikey, mode 600.",
            ));
        }
    }
    if operator.is_given() {
        findings.push(operators(operator, bus).await);
    }
    Ok(findings)
}

/// An answer about the health of the bus, and how this machine's clock stood.
struct Asked {
    health: Health,
    took: Duration,
    /// Seconds that this machine's clock is ahead, give or take half of what the request took.
    ahead: Option<f64>,
}

async fn healths(client: &IntentClient) -> Result<Vec<Asked>, Error> {
    let mut healths = Vec::with_capacity(ASKED);
    // The first opens the connection, which the others use.
    for _ in 0..=ASKED {
        let began = SystemTime::now();
        let health = client.health().await?;
        let took = began.elapsed().unwrap_or_default();
        let middle = began.duration_since(UNIX_EPOCH).unwrap_or_default() + took / 2;
        let ahead = health.ts.map(|ts| middle.as_secs_f64() - ts);
        healths.push(Asked { health, took, ahead });
    }
    Ok(healths)
}

fn unreachable(url: &str, error: &Error) -> Finding {
    match error {
        Error::Network(broken) => {
            let (message, advice) = network::why(url, broken);
            Finding::bad("connection", Exit::Unreachable, message, advice)
        }
        Error::Unavailable(refusal) => Finding::bad(
            "connection",
            Exit::Unreachable,
            format!("{url} answers that it is not well: {refusal}"),
            "Something answers, but it has no bus behind it, or the bus is stopping. Ask whoever runs it.",
        ),
        other => Finding::bad(
            "connection",
            Exit::Failed,
            format!("What answers at {url} is no bus: {other}"),
            "Is the address right? It has neither a path nor a query: a bus stands at the root of its host.",
        ),
    }
}

fn encryption(url: &str) -> Finding {
    if url.trim().to_ascii_lowercase().starts_with("https:") {
        return Finding::good("encryption", "TLS, and the certificate is one that this machine trusts");
    }
    if is_here(url) {
        return Finding::good("encryption", "none, and none is needed: the bus is on this machine");
    }
    let advice = "Whoever is on the way can read the key and all payloads. Use https, or a tunnel.";
    Finding::careful("encryption", "none: plain http", advice)
}

/// Whether an address is one of this machine alone.
fn is_here(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn version(health: &Health) -> Finding {
    let bus = health.version.as_deref().unwrap_or("of a version that it does not tell");
    match health.protocol.as_deref() {
        Some(protocol) => Finding::good("version", format!("bus {bus}, which speaks protocol {protocol}")),
        None => Finding::careful(
            "version",
            format!("bus {bus}, which does not say what protocol it speaks"),
            "An old server: it may know no claim tokens and no waiting. Workers ask it again and again instead.",
        ),
    }
}

fn latency(healths: &[Asked]) -> Finding {
    let mut took: Vec<Duration> = healths.iter().skip(1).map(|asked| asked.took).collect();
    took.sort_unstable();
    let median = took[took.len() / 2];
    let first = healths[0].took;
    let message = format!("{:.1} ms for a request, {:.1} ms with a new connection", millis(median), millis(first));
    if median > SLOW {
        return Finding::careful("latency", message, "Slow: a worker gets more done with --concurrency.");
    }
    Finding::good("latency", message)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn clock(healths: &[Asked]) -> Finding {
    // The quickest answer says it best.
    let best = healths.iter().min_by_key(|asked| asked.took);
    let Some((ahead, took)) = best.and_then(|asked| Some((asked.ahead?, asked.took))) else {
        let advice = "An old server. If signed requests are refused as stale, compare the clocks by hand.";
        return Finding::careful("clock", "the bus does not tell its time", advice);
    };
    let direction = if ahead < 0.0 { "behind" } else { "ahead of" };
    // An answer that took its time says less of the clock.
    let off = (ahead.abs() - took.as_secs_f64() / 2.0).max(0.0);
    let message = format!("{:.1} s {direction} the bus", ahead.abs());
    let advice =
        "Set this machine's clock, by `timedatectl set-ntp true` for one. If it is right, that of the bus is wrong.";
    if off > SKEW.1 {
        let message = format!("{message}: what is signed by it is refused, since it may be off by {:.0} s", SKEW.1);
        return Finding::bad("clock", Exit::Denied, message, advice);
    }
    if off > SKEW.0 {
        return Finding::careful("clock", message, advice);
    }
    Finding::good("clock", format!("right, to within {:.1} s", ahead.abs().max(0.1)))
}

/// A signed request that changes nothing.
async fn accepted(client: &IntentClient, bus: &Bus, clock_is_off: bool) -> Finding {
    let whose = bus.key_source();
    // Nobody has such a value; that there is none is the answer of a bus that takes the key.
    let Err(error) = client.get("intent-bus-doctor").await else {
        return Finding::good("key", format!("that of {whose} is accepted, and its signature"));
    };
    let said = error.refusal().map_or_else(|| error.to_string(), |refusal| refusal.message().to_owned());
    match error.code() {
        Some("unauthorized") => Finding::bad(
            "key",
            Exit::Denied,
            format!("that of {whose} is refused: {said}"),
            "Ask whoever runs the bus for a new one: `intent-bus keys create OWNER`.",
        ),
        Some("invalid_signature") if clock_is_off => Finding::bad(
            "signature",
            Exit::Denied,
            format!("refused: {said}"),
            "The clock is the cause, as said above.",
        ),
        Some("invalid_signature") => Finding::bad(
            "signature",
            Exit::Denied,
            format!("refused: {said}"),
            "Something on the way changes what is sent, or the database of the bus has another time than the bus itself.",
        ),
        Some("https_required") => {
            Finding::bad("key", Exit::Denied, said, "Use the address of the bus that begins with https.")
        }
        // A bus that knows this key, and does not let it see values.
        Some("forbidden") => Finding::good("key", format!("that of {whose} is accepted, and its signature")),
        Some("rate_limited") => {
            let message = format!("that of {whose} is accepted, but its tenant asks too often just now");
            Finding::careful("key", message, "Fewer workers, or a higher limit by whoever runs the bus.")
        }
        _ => Finding::bad("key", Exit::Unreachable, said, "Try again; if it stays so, ask whoever runs the bus."),
    }
}

/// What the key may be used for: no route tells, so for each there is a request that changes nothing whatever is answered.
async fn scopes(client: &IntentClient) -> Option<Finding> {
    let publish = NewIntent::new("intent-bus-doctor", &()).namespace(NOWHERE);
    let tried = [
        client.publish_many([publish]).await.err(),
        client.claim("intent-bus-doctor").namespace(NOWHERE).await.err(),
        client.status(NOBODY).await.err(),
        client.get("intent-bus-doctor").await.err(),
    ];
    // What could not be asked is not known.
    if tried.iter().flatten().any(Error::is_retryable) {
        return None;
    }
    let lacks = |error: &Option<Error>| error.as_ref().and_then(Error::code) == Some("forbidden");
    let (lacking, has): (Vec<_>, Vec<_>) = SCOPES.into_iter().zip(&tried).partition(|(_, error)| lacks(error));
    let list =
        |scopes: Vec<(&'static str, _)>| scopes.into_iter().map(|(scope, _)| scope).collect::<Vec<_>>().join(", ");
    Some(Finding::good(
        "scopes",
        match (lacking.is_empty(), has.is_empty()) {
            (true, _) => format!("{}: everything", list(has)),
            (false, true) => format!("none of {}", list(lacking)),
            (false, false) => format!("{}; not {}", list(has), list(lacking)),
        },
    ))
}

/// Whether the bus takes the token of operators.
async fn operators(operator: &Operator, bus: &Bus) -> Finding {
    let admin = match operator.admin(bus) {
        Ok(admin) => admin,
        Err(failure) => return Finding::bad("operators", Exit::Denied, failure.message(), "Set the token anew."),
    };
    match admin.pauses().await {
        Ok(_) => Finding::good("operators", format!("their token of {} is accepted", operator.source())),
        Err(error) if error.code() == Some("unauthorized") => Finding::bad(
            "operators",
            Exit::Denied,
            operator.refused(),
            "It is needed for `keys` and `dead` alone. Without them, unset it.",
        ),
        Err(error) => {
            Finding::careful("operators", error.to_string(), "Try again; if it stays so, ask whoever runs the bus.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State;

    #[test]
    fn only_an_address_of_this_machine_needs_no_encryption() {
        for url in ["http://127.0.0.1:5000", "http://localhost", "http://[::1]:5000/", "https://bus.example"] {
            assert_eq!(encryption(url).state, State::Good, "{url}");
        }
        for url in
            ["http://10.0.0.7:5000", "http://localhost.example", "http://127.0.0.1.example:1", "http://[fe80::1]"]
        {
            assert_eq!(encryption(url).state, State::Careful, "{url}");
        }
    }

    #[test]
    fn a_clock_is_judged_by_what_the_quickest_answer_says() {
        let asked = |ahead, took| Asked { health: Health::default(), took: Duration::from_secs_f64(took), ahead };
        let judged = |ahead, took| clock(&[asked(Some(1000.0), 9.0), asked(ahead, took)]).state;
        assert_eq!(judged(Some(0.2), 0.1), State::Good);
        assert_eq!(judged(Some(-31.0), 0.1), State::Careful);
        assert_eq!(judged(Some(31.0), 8.0), State::Good);
        assert_eq!(judged(Some(301.0), 0.1), State::Bad);
        assert_eq!(judged(Some(-4000.0), 0.1), State::Bad);
        assert_eq!(judged(None, 0.1), State::Careful);
    }
}
