//! Bytes that no client sends, or not so slowly, or not so many at once. The bus refuses them, and serves everybody else.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    tell, until,
    wire::{Connection, request, signed},
    without_faults,
};
use crate::support::{TestDb, app::ROOT, factory::intent, process::Replica};

/// Of the servers here, for a request to be sent.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// What a server may take on top of its timeouts, on a machine that is busy with other tests.
const SLACK: Duration = Duration::from_secs(8);

/// A bus that is attacked while others use it.
struct Target {
    // Dropped before the database.
    replica: Replica,
    db: TestDb,
}

impl Target {
    async fn start() -> Self {
        let db = TestDb::create().await;
        let settings = [("BUS_REQUEST_TIMEOUT_SECONDS", "1"), ("BUS_KEEP_ALIVE_SECONDS", "2"), ("BUS_WORKERS", "2")];
        Self { replica: Replica::start(&db, &settings), db }
    }

    /// Attacks it, and sees that meanwhile and afterwards it serves others and commits no fault.
    /// How long each of their requests took.
    fn attack(&self, attack: impl FnOnce(SocketAddr)) -> Vec<Duration> {
        let address = self.replica.address;
        let over = AtomicBool::new(false);
        let served = tokio::task::block_in_place(|| {
            thread::scope(|scope| {
                let others = scope.spawn(|| be_served(address, &over));
                let over = SetOnDrop(&over);
                attack(address);
                drop(over);
                others.join().expect("the others are served")
            })
        });
        without_faults(&self.replica);
        let failed: Vec<_> = self
            .replica
            .logs()
            .into_iter()
            .filter(|line| line["status"].as_u64().is_some_and(|status| status >= 500))
            .collect();
        assert!(failed.is_empty(), "{failed:#?}");
        served
    }

    /// What it has in memory, in MiB.
    async fn memory(&self) -> f64 {
        let answer = self.replica.admin().get("/metrics").await;
        let bytes = answer.text().lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        bytes.and_then(|bytes| bytes.parse::<f64>().ok()).expect("its memory is measured") / 1_048_576.0
    }

    /// Nothing that was hidden in another request's body has been done.
    async fn nothing_was_smuggled(&self) {
        self.replica.root().value("smuggled").await.refused(404, "not_found");
    }
}

/// Ends the other clients however the attack ends.
struct SetOnDrop<'o>(&'o AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Publishes over a connection of its own until it is over, once at least; how long each took.
fn be_served(address: SocketAddr, over: &AtomicBool) -> Vec<Duration> {
    let mut connection = Connection::open(address).expect("a connection");
    let mut took = Vec::new();
    loop {
        let began = Instant::now();
        let body = intent("others").to_string();
        connection.send(&signed(ROOT, "POST", "/intent", body.as_bytes())).expect("the request is taken");
        assert_eq!(connection.answer().expect("an answer").status, 201);
        took.push(began.elapsed());
        assert!(began.elapsed() < SLACK, "others wait for {:?}", began.elapsed());
        if over.load(Ordering::Relaxed) {
            return took;
        }
        // Often enough to notice, seldom enough not to be an attack itself.
        thread::sleep(Duration::from_millis(20));
    }
}

/// A request with the root key.
fn as_root(method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    request(method, target, &[("x-api-key", ROOT)], body)
}

/// A whole request that must never be seen as one.
fn smuggled(how: &str) -> String {
    let bytes = as_root("POST", "/set/smuggled", json!({"value": how}).to_string().as_bytes());
    String::from_utf8(bytes).expect("text")
}

/// Sends bytes on a connection of their own and gives the answers until it is closed, as text. What is sent after an early
/// refusal may be refused by the socket.
fn send(address: SocketAddr, bytes: &[u8]) -> String {
    let mut connection = Connection::open(address).expect("a connection");
    let _ = connection.send(bytes);
    // Not before there is an answer: who ends sending is taken to have hung up.
    connection.wait_for_answer();
    let _ = connection.end_sending();
    connection.rest()
}

/// The statuses of answers that stand one after the other.
fn statuses(answers: &str) -> Vec<u16> {
    let heads = answers.split("HTTP/1.").skip(1);
    heads.map(|head| head[2..5].parse().unwrap_or_else(|error| panic!("{error}: {answers:?}"))).collect()
}

/// All of them are refusals of the client's doing; none at all if the connection was just closed.
#[track_caller]
fn refused(what: &str, answers: &str) {
    let statuses = statuses(answers);
    assert!(statuses.iter().all(|status| (400..500).contains(status)), "{what}: {statuses:?} {answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_drip_are_cut_off() {
    let target = Target::start().await;
    target.attack(|address| {
        let began = Instant::now();
        let mut open: Vec<_> = (0..50).map(|_| Connection::open(address).expect("a connection")).collect();
        let mut drip = b"GET /livez HTTP/1.1\r\nhost: bus\r\nx-endless: ".iter().chain([b'a'].iter().cycle());
        while !open.is_empty() {
            let byte = [*drip.next().expect("endless")];
            // A reset is how a server closes on somebody who goes on sending.
            open.retain_mut(|connection| connection.send(&byte).is_ok() && !connection.has_answered());
            assert!(began.elapsed() < REQUEST_TIMEOUT + SLACK, "{} still drip after {:?}", open.len(), began.elapsed());
            // The drip itself.
            thread::sleep(Duration::from_millis(50));
        }
        assert!(began.elapsed() >= REQUEST_TIMEOUT, "cut off before their time: {:?}", began.elapsed());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_refused_at_its_deadline() {
    let target = Target::start().await;
    target.attack(|address| {
        let began = Instant::now();
        let mut connection = Connection::open(address).expect("a connection");
        let head = format!("POST /intent HTTP/1.1\r\nhost: bus\r\nx-api-key: {ROOT}\r\ncontent-length: 1000\r\n\r\n");
        connection.send(head.as_bytes()).expect("the head is taken");
        while !connection.has_answered() {
            connection.send(b" ").expect("it listens until it answers");
            assert!(began.elapsed() < REQUEST_TIMEOUT + SLACK, "no answer after {:?}", began.elapsed());
            // The drip itself.
            thread::sleep(Duration::from_millis(50));
        }
        let answer = connection.answer().expect("an answer");
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (400, Some("invalid_request")));
        assert!(began.elapsed() >= REQUEST_TIMEOUT);
        // What still comes belongs to the body that was refused.
        let _ = connection.send(smuggled("after the deadline").as_bytes());
        assert_eq!(connection.rest(), "");
    });
    target.nothing_was_smuggled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lengths_or_a_doubtful_one_are_refused_and_nothing_is_smuggled() {
    let target = Target::start().await;
    target.attack(|address| {
        // Each is a length by which the hidden request may seem to stand outside of the body.
        for (what, headers, body) in [
            ("both, chunked first", "transfer-encoding: chunked\r\ncontent-length: 5", "0\r\n\r\n"),
            ("both, length first", "content-length: 5\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
            ("two different lengths", "content-length: 0\r\ncontent-length: 2", "{}"),
            ("a list of lengths", "content-length: 0, 2", "{}"),
            ("a signed length", "content-length: +2", "{}"),
            ("a negative length", "content-length: -1", ""),
            ("an empty length", "content-length: ", ""),
            ("a hexadecimal length", "content-length: 0x2", "{}"),
            ("an unknown coding", "transfer-encoding: xchunked", "0\r\n\r\n"),
            ("chunked, then another", "transfer-encoding: chunked, identity", "0\r\n\r\n"),
            ("chunked twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
            ("a coding that changes nothing", "transfer-encoding: identity", ""),
            ("a blank before the colon", "transfer-encoding : chunked\r\ncontent-length: 5", "0\r\n\r\n"),
            ("a folded header", "x-a: b\r\n transfer-encoding: chunked", "0\r\n\r\n"),
            ("a bare carriage return", "x-a: b\rcontent-length: 2\r\nx-b: c", "{}"),
        ] {
            let head = format!("POST /intent HTTP/1.1\r\nhost: bus\r\nx-api-key: {ROOT}\r\n{headers}\r\n\r\n");
            let answers = send(address, format!("{head}{body}{}", smuggled(what)).as_bytes());
            let first = statuses(&answers).first().copied();
            assert!(first.is_some_and(|status| (400..500).contains(&status)), "{what}: {answers:?}");
        }
    });
    target.nothing_was_smuggled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_of_a_request_that_is_refused_early_is_not_read_as_the_next_one() {
    let target = Target::start().await;
    target.attack(|address| {
        for (what, method, path, key) in [
            ("an unknown key", "POST", "/intent", "nobody"),
            ("a path that is not there", "POST", "/nowhere", ROOT),
            ("a method that is not taken", "PUT", "/intent", ROOT),
            ("a body where none is expected", "GET", "/livez", ROOT),
            ("no admin", "POST", "/admin/purge", "nobody"),
        ] {
            let first = request(method, path, &[("x-api-key", key)], smuggled(what).as_bytes());
            let next = request("GET", "/livez", &[("connection", "close")], b"");
            let statuses = statuses(&send(address, &[first, next].concat()));
            // The next request is answered, or the connection is closed before it.
            assert!(statuses.len() <= 2 && statuses.get(1).is_none_or(|status| *status == 200), "{what}: {statuses:?}");
            assert!(!statuses.is_empty(), "{what}: no answer");
        }
        // Announced to be larger than any body: refused before it comes.
        let head =
            format!("POST /intent HTTP/1.1\r\nhost: bus\r\nx-api-key: {ROOT}\r\ncontent-length: 99999999\r\n\r\n");
        let answers = send(address, [head, smuggled("too large")].concat().as_bytes());
        assert_eq!(statuses(&answers), [413], "{answers}");
    });
    target.nothing_was_smuggled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunked_bodies_are_taken_and_broken_chunks_are_refused() {
    let target = Target::start().await;
    target.attack(|address| {
        let publish = |body: &str| {
            let head = format!(
                "POST /intent HTTP/1.1\r\nhost: bus\r\nx-api-key: {ROOT}\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            send(address, format!("{head}{body}").as_bytes())
        };
        let json = intent("chunked").to_string();
        let half = json.len() / 2;
        let chunk = |text: &str, extension: &str| format!("{:x}{extension}\r\n{text}\r\n", text.len());
        let whole = format!("{}{}0\r\n\r\n", chunk(&json[..half], ""), chunk(&json[half..], ""));
        assert_eq!(statuses(&publish(&whole)), [201]);
        let bytes: String = json.chars().fold(String::new(), |text, letter| text + &chunk(&letter.to_string(), ""));
        assert_eq!(statuses(&publish(&format!("{bytes}0\r\n\r\n"))), [201]);
        // Extensions and trailers are legal, and mean nothing here.
        let extended = format!("{}0;last=\"1\"\r\nx-trailer: 1\r\n\r\n", chunk(&json, ";name=value"));
        let answers = publish(&extended);
        assert_eq!(statuses(&answers), [201], "{answers}");
        for broken in [
            "-1\r\n{}\r\n0\r\n\r\n",
            "0x2\r\n{}\r\n0\r\n\r\n",
            "g\r\n",
            "ffffffffffffffffff\r\n{}",
            "2\r\n{}garbage",
            "\r\n\r\n",
        ] {
            refused(broken, &publish(broken));
        }
        refused("no last chunk", &publish(&chunk(&json, "")));
        let huge = format!("{:x}\r\n{}", 50_000_000, "a".repeat(1_000_000));
        refused("a chunk larger than any body", &publish(&huge));
    });
    assert_eq!(count_of(&target, "chunked").await, 3);
}

/// Unfinished intents of a goal.
async fn count_of(target: &Target, goal: &str) -> i64 {
    target.db.value("SELECT count(*) FROM intents WHERE goal = $1", &[&goal]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_their_order() {
    const REQUESTS: usize = 100;
    let target = Target::start().await;
    target.attack(|address| {
        let mut connection = Connection::open(address).expect("a connection");
        let requests: Vec<u8> = (0..REQUESTS)
            .flat_map(|number| {
                let headers = [("x-api-key", ROOT), ("x-request-id", &*number.to_string())];
                match number % 3 {
                    0 => request("POST", "/intent", &headers, intent("piped").to_string().as_bytes()),
                    1 => request("GET", "/status/00000000000000000000000000000000", &headers, b""),
                    _ => request("POST", "/intent", &headers, b"not JSON"),
                }
            })
            .collect();
        connection.send(&requests).expect("all are taken");
        for number in 0..REQUESTS {
            let answer = connection.answer().unwrap_or_else(|error| panic!("answer {number}: {error}"));
            assert_eq!(answer.header("x-request-id"), Some(&*number.to_string()));
            assert_eq!(answer.status, [201, 404, 400][number % 3], "answer {number}");
        }
    });
    assert_eq!(count_of(&target, "piped").await, 34);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_of_headers_is_refused() {
    let target = Target::start().await;
    target.attack(|address| {
        let many = (0..20_000).fold(String::new(), |mut text, number| {
            let _ = write!(text, "x-{number}: {}\r\n", "a".repeat(40));
            text
        });
        for (what, head) in [
            ("one header", format!("GET /livez HTTP/1.1\r\nhost: bus\r\nx-a: {}\r\n\r\n", "a".repeat(1 << 20))),
            ("many headers", format!("GET /livez HTTP/1.1\r\nhost: bus\r\n{many}\r\n")),
            ("a path", format!("GET /{} HTTP/1.1\r\nhost: bus\r\n\r\n", "a".repeat(1 << 20))),
            ("a query", format!("GET /livez?{} HTTP/1.1\r\nhost: bus\r\n\r\n", "a=b&".repeat(1 << 18))),
            ("a method", format!("{} /livez HTTP/1.1\r\nhost: bus\r\n\r\n", "A".repeat(1 << 20))),
            ("nothing but line feeds", "\r\n".repeat(1 << 19)),
        ] {
            refused(what, &send(address, head.as_bytes()));
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_length_than_announced_does_no_harm() {
    let target = Target::start().await;
    target.attack(|address| {
        let body = intent("longer").to_string();
        // Longer: what goes beyond is no request, and ends the connection, perhaps before the answer.
        let longer = [as_root("POST", "/intent", body.as_bytes()), b"and more".repeat(1000)].concat();
        let statuses_of_longer = statuses(&send(address, &longer));
        assert!(matches!(statuses_of_longer[..], [] | [201] | [201, 400]), "{statuses_of_longer:?}");
        // Shorter, and then nothing: the client has broken off.
        let announced = format!("content-length: {}", body.len());
        let shorter = String::from_utf8(as_root("POST", "/intent", body.as_bytes())).expect("text");
        let shorter = shorter.replace(&announced, &format!("content-length: {}", body.len() + 100));
        let began = Instant::now();
        refused("shorter", &send(address, shorter.as_bytes()));
        assert!(began.elapsed() < REQUEST_TIMEOUT + SLACK);
        // Shorter by half of the JSON.
        let halved = String::from_utf8(as_root("POST", "/intent", body.as_bytes())).expect("text");
        let halved = halved.replace(&announced, &format!("content-length: {}", body.len() / 2));
        refused("halved", &send(address, halved.as_bytes()));
    });
    assert!(count_of(&target, "longer").await <= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_is_served_and_other_protocols_are_refused() {
    let target = Target::start().await;
    target.attack(|address| {
        let answers = send(address, b"GET /health HTTP/1.0\r\n\r\n");
        assert_eq!(statuses(&answers), [200], "{answers}");
        let body = intent("old").to_string();
        let publish = String::from_utf8(as_root("POST", "/intent", body.as_bytes())).expect("text");
        let old = publish.replace("HTTP/1.1", "HTTP/1.0");
        let mut connection = Connection::open(address).expect("a connection");
        connection.send(old.as_bytes()).expect("the request is taken");
        assert_eq!(connection.answer().expect("an answer").status, 201);
        assert_eq!(connection.rest(), "", "closed without being told, as 1.0 has it");

        for (what, bytes) in [
            ("HTTP/0.9", &b"GET /health\r\n"[..]),
            ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
            ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
            ("HTTP/9.9", b"GET /health HTTP/9.9\r\nhost: bus\r\n\r\n"),
            ("the protocol of Postgres", b"\0\0\0\x08\x04\xd2\x16\x2f"),
            ("nothing", b""),
        ] {
            refused(what, &send(address, bytes));
        }
    });
    assert_eq!(count_of(&target, "old").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let target = Target::start().await;
    target.attack(|address| {
        let body = intent("asked").to_string();
        let bytes = request("POST", "/intent", &[("x-api-key", ROOT), ("expect", "100-continue")], body.as_bytes());
        let (head, body) = bytes.split_at(bytes.len() - body.len());
        let mut connection = Connection::open(address).expect("a connection");
        connection.send(head).expect("the head is taken");
        assert_eq!(connection.answer().expect("word").status, 100);
        connection.send(body).expect("the body is taken");
        assert_eq!(connection.answer().expect("an answer").status, 201);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_idle_connections_keep_nobody_out_and_are_closed_in_the_end() {
    let target = Target::start().await;
    target.attack(|address| {
        let silent: Vec<_> = (0..200).map(|_| Connection::open(address).expect("a connection")).collect();
        let used: Vec<_> = (0..200)
            .map(|_| {
                let mut connection = Connection::open(address).expect("a connection");
                connection.send(&request("GET", "/livez", &[], b"")).expect("taken");
                assert_eq!(connection.answer().expect("an answer").status, 200);
                connection
            })
            .collect();
        for mut connection in silent.into_iter().chain(used) {
            refused("idle", &connection.rest());
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_up_while_they_are_served_leave_nothing_behind() {
    let target = Target::start().await;
    target.attack(|address| {
        for round in 0..300 {
            let body = intent("hung up").to_string();
            let bytes = signed(ROOT, "POST", "/intent", body.as_bytes());
            let mut connection = Connection::open(address).expect("a connection");
            connection.send(&bytes).expect("the request is taken");
            // At once, or a little into the work on it.
            thread::sleep(Duration::from_micros(round * 20));
        }
    });
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    until("no transaction is left open", SLACK, async || target.db.value::<i64>(idle, &[]).await == 0).await;
    // Each was done as a whole or not at all.
    let halves =
        "SELECT count(*) FROM intents FULL JOIN payloads USING (id) WHERE intents.id IS NULL OR payloads.id IS NULL";
    assert_eq!(target.db.value::<i64>(halves, &[]).await, 0);
    let root = target.replica.root();
    for _ in 0..20 {
        root.set("after", json!("all is well")).await.expect(200);
    }
}

/// Slow connections that are kept open at once.
const SLOW: usize = 1_000;
/// How long others are watched in calm, and then under attack.
const WATCHED: Duration = Duration::from_secs(5);
/// MiB by which a replica may grow while it is attacked.
const GROWTH: f64 = 64.0;
/// Requests of which each is a nuisance in its own way.
fn nuisances() -> Vec<(&'static str, Vec<u8>)> {
    let post = |headers: &str, body: &str| {
        let head = format!("POST /intent HTTP/1.1\r\nhost: bus\r\nx-api-key: {ROOT}\r\n{headers}\r\n\r\n");
        [head.as_bytes(), body.as_bytes()].concat()
    };
    let of_length = |headers: &str, body: &str| post(&format!("{headers}content-length: {}", body.len()), body);
    let body = intent("nuisance").to_string();
    let twice = |name: &str| of_length(&format!("{name}: a\r\n{name}: b\r\n"), &body);
    let deep = |open: &str, close: &str| {
        format!(r#"{{"goal":"g","payload":{}{}}}"#, open.repeat(60_000), close.repeat(60_000))
    };
    let chunk = format!("{:x};{}\r\n{body}\r\n0\r\n\r\n", body.len(), "a=b;".repeat(15_000));
    vec![
        ("what would unpack to gigabytes", of_length("content-encoding: gzip\r\n", &"\u{1f}".repeat(200_000))),
        ("two kinds of coding", of_length("content-encoding: gzip, br\r\n", &body)),
        ("two lengths", post("content-length: 4\r\ntransfer-encoding: chunked", "0\r\n\r\n")),
        ("a long extension of a chunk", post("transfer-encoding: chunked", &chunk)),
        ("many at once", request("GET", "/livez", &[], b"").repeat(500)),
        ("a megabyte of one header", post(&format!("x-a: {}", "a".repeat(1 << 20)), "")),
        ("a megabyte of headers", post(&"x-a: b\r\n".repeat(1 << 17), "")),
        ("deep arrays", of_length("", &deep("[", "]"))),
        ("deep objects", of_length("", &deep(r#"{"a":"#, "}"))),
        ("arrays without an end", of_length("", &"[".repeat(250_000))),
        ("two keys", twice("x-api-key")),
        ("two signatures", twice("x-signature")),
        ("two nonces", twice("x-nonce")),
        ("two idempotency keys", twice("idempotency-key")),
        ("two versions", twice("x-intent-version")),
        ("two hosts", twice("host")),
    ]
}

/// Opens slow connections, sends a byte on each every fifth of a second, and opens others in place of those that are cut off.
fn drip(address: SocketAddr, until: Instant) -> usize {
    let mut open: Vec<Connection> = Vec::new();
    let mut opened = 0;
    while Instant::now() < until {
        open.retain_mut(|connection| connection.send(b"a").is_ok() && !connection.has_answered());
        while open.len() < SLOW && Instant::now() < until {
            // Refused while it is busy closing others: the next round will see.
            let Ok(mut connection) = Connection::open(address) else { break };
            if connection.send(b"POST /intent HTTP/1.1\r\nhost: bus\r\nx-endless: ").is_ok() {
                opened += 1;
                open.push(connection);
            }
        }
        // The drip itself.
        thread::sleep(Duration::from_millis(200));
    }
    opened
}

fn percentile(latencies: &mut [Duration], percent: usize) -> Duration {
    latencies.sort_unstable();
    latencies[(latencies.len() * percent / 100).min(latencies.len() - 1)]
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_served_beside_a_thousand_slow_clients_and_every_nuisance_and_memory_stays() {
    let target = Target::start().await;
    // The calm.
    let mut calm = target.attack(|_| thread::sleep(WATCHED));
    let memory = target.memory().await;
    let (mut opened, mut rounds) = (0, 0);
    let mut attacked = target.attack(|address| {
        let until = Instant::now() + WATCHED;
        thread::scope(|scope| {
            let slow = scope.spawn(move || drip(address, until));
            while Instant::now() < until {
                for (what, bytes) in nuisances() {
                    let answers = send(address, &bytes);
                    assert!(statuses(&answers).iter().all(|status| *status < 500), "{what}: {answers}");
                }
                rounds += 1;
            }
            opened = slow.join().expect("the slow ones");
        });
    });
    let grown = target.memory().await - memory;
    let [before, meanwhile] = [&mut calm, &mut attacked].map(|latencies| percentile(latencies, 99));
    tell(&format!(
        "{opened} slow connections, {rounds} rounds of {} nuisances: 99 of 100 requests of others took {before:?} before and \
         {meanwhile:?} meanwhile; it has grown by {grown:.1} MiB",
        nuisances().len()
    ));
    // How long others took is told and not judged: the attackers share the machine with the bus, and so do other tests. On 2 cores
    // with nothing else, a debug build: 17 ms in calm, 91 ms meanwhile.
    assert!(opened >= SLOW && rounds > 0, "{opened} slow connections, {rounds} rounds");
    assert!(grown <= GROWTH, "it has grown by {grown:.1} MiB");
}
