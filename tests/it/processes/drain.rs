//! A replica that is told to stop loses no request, and is missed by nobody.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::json;

use super::{
    tell, until,
    wire::{Answer, Connection, request, signed},
    without_faults,
};
use crate::support::{TestDb, app::ROOT, factory::intent, process::Replica};

const CLIENTS: usize = 32;
/// Connections that are kept open and not used while the replica stops.
const IDLE: usize = 4;
/// For anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How clients know that they are to go elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// A load balancer asks `/readyz` ten times a second, and sends new connections where it is 200.
    WhenUnready,
    /// They have the addresses of both replicas, and go to the other when an answer says `Connection: close`.
    WhenToldToClose,
}

/// What the clients share.
struct Fleet {
    replicas: [SocketAddr; 2],
    leaving: Leaving,
    /// New connections go to the first replica.
    first_is_up: AtomicBool,
    /// The first replica has said that it is stopping.
    stopping: AtomicBool,
    over: AtomicBool,
    cycles: Mutex<[usize; 2]>,
    more_cycles: Condvar,
    /// Answers of the first replica that said they were its last on their connection.
    last_answers: AtomicUsize,
}

impl Fleet {
    /// Waits until so many cycles have been done since `since`, all in all.
    fn wait_for_cycles(&self, count: usize) {
        let done = self.cycles.lock().unwrap();
        let until =
            self.more_cycles.wait_timeout_while(done, PATIENCE, |done| done.iter().sum::<usize>() < count).unwrap();
        assert!(!until.1.timed_out(), "{count} cycles in {PATIENCE:?}: {:?}", until.0);
    }

    fn cycles(&self) -> [usize; 2] {
        *self.cycles.lock().unwrap()
    }
}

/// A client that keeps its connection alive for as long as it may.
struct Client<'f> {
    fleet: &'f Fleet,
    goal: String,
    connection: Option<Connection>,
    replica: usize,
}

impl Client<'_> {
    /// Publish, claim, fulfil, again and again. The error says what was lost.
    fn run(&mut self) -> Result<(), String> {
        while !self.fleet.over.load(Ordering::Relaxed) {
            self.exchange("/intent", &intent(&self.goal).to_string(), 201)?;
            let claim = self.exchange(&format!("/claim?goal={}", self.goal), "", 200)?.json();
            let (id, token) = (claim["id"].as_str().ok_or("no id")?, &claim["claim_token"]);
            self.exchange(&format!("/fulfill/{id}"), &json!({"claim_token": token, "result": 1}).to_string(), 200)?;
            self.fleet.cycles.lock().unwrap()[self.replica] += 1;
            self.fleet.more_cycles.notify_all();
        }
        Ok(())
    }

    fn exchange(&mut self, target: &str, body: &str, expected: u16) -> Result<Answer, String> {
        let lost = |error: std::io::Error| format!("{target}: {error:?}");
        let mut connection = match self.connection.take() {
            Some(open) if !open.is_closed().map_err(lost)? => open,
            _ => self.connect()?,
        };
        let was_stopping = self.replica == 0 && self.fleet.stopping.load(Ordering::SeqCst);
        let replica = self.replica;
        connection.send(&signed(ROOT, "POST", target, body.as_bytes())).map_err(lost)?;
        let answer = connection.answer().map_err(lost)?;
        if answer.status != expected {
            return Err(format!("{target}: {} {:?}", answer.status, String::from_utf8_lossy(&answer.body)));
        }
        if answer.closes() {
            if replica == 0 {
                self.fleet.last_answers.fetch_add(1, Ordering::Relaxed);
            }
            if replica == 0 && self.fleet.leaving == Leaving::WhenToldToClose {
                self.fleet.first_is_up.store(false, Ordering::SeqCst);
            }
        } else if was_stopping {
            return Err(format!("{target}: a replica that stops keeps a connection open"));
        } else {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    fn connect(&mut self) -> Result<Connection, String> {
        self.replica = usize::from(!self.fleet.first_is_up.load(Ordering::SeqCst));
        match Connection::open(self.fleet.replicas[self.replica]) {
            // Nothing was sent: nothing is lost.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused && self.replica == 0 => {
                self.replica = 1;
                Connection::open(self.fleet.replicas[1]).map_err(|error| format!("connecting: {error:?}"))
            }
            connected => connected.map_err(|error| format!("connecting: {error:?}")),
        }
    }
}

/// Asks `/readyz`. None: there is nobody any more.
fn readyz(address: SocketAddr) -> Option<Answer> {
    let mut connection = Connection::open(address).ok()?;
    connection.send(&request("GET", "/readyz", &[("connection", "close")], b"")).ok()?;
    connection.answer().ok()
}

/// While it drains, the replica goes on serving whoever has not noticed yet.
fn serves_new_connections(address: SocketAddr) {
    for number in 0..5 {
        let mut connection = Connection::open(address).expect("it listens while it drains");
        let body = json!({"value": number}).to_string();
        connection.send(&signed(ROOT, "POST", "/set/late", body.as_bytes())).expect("the request is taken");
        let answer = connection.answer().expect("an answer");
        assert_eq!((answer.status, answer.closes()), (200, true));
    }
}

/// Looks after the fleet as a load balancer does, until the replica is unready; gives that answer.
fn balance(fleet: &Fleet) -> Answer {
    loop {
        let answer = readyz(fleet.replicas[0]).expect("/readyz is answered while the replica serves");
        if answer.status != 200 {
            fleet.stopping.store(true, Ordering::SeqCst);
            fleet.first_is_up.store(false, Ordering::SeqCst);
            return answer;
        }
        assert!(!fleet.over.load(Ordering::Relaxed), "never unready");
        // The interval of the probe, not a wait for something.
        thread::sleep(Duration::from_millis(100));
    }
}

/// A signed publish of which the second half is still to come.
struct Slow {
    connection: Connection,
    rest: Vec<u8>,
}

impl Slow {
    fn start(address: SocketAddr) -> Self {
        let body = intent("slow").to_string();
        let bytes = signed(ROOT, "POST", "/intent", body.as_bytes());
        let (sent, rest) = bytes.split_at(bytes.len() - body.len() / 2);
        let mut connection = Connection::open(address).expect("a connection");
        connection.send(sent).expect("the first half is taken");
        Self { connection, rest: rest.to_owned() }
    }

    fn finish(mut self) -> Answer {
        self.connection.send(&self.rest).expect("the second half is taken");
        self.connection.answer().expect("an answer")
    }
}

/// A connection that has been used once.
fn idle(address: SocketAddr) -> Connection {
    let mut connection = Connection::open(address).expect("a connection");
    connection.send(&request("GET", "/livez", &[], b"")).expect("taken");
    assert_eq!(connection.answer().expect("an answer").status, 200);
    connection
}

async fn stop_under_load(signal: Signal, leaving: Leaving) {
    let db = TestDb::create().await;
    // Dropped before the database.
    let [first, second] = [(); 2].map(|()| {
        let settings = [("BUS_DRAIN_SECONDS", "1"), ("BUS_SHUTDOWN_SECONDS", "20"), ("BUS_WORKERS", "2")];
        Replica::start(&db, &settings)
    });
    let fleet = Arc::new(Fleet {
        replicas: [first.address, second.address],
        leaving,
        first_is_up: true.into(),
        stopping: false.into(),
        over: false.into(),
        cycles: Mutex::default(),
        more_cycles: Condvar::new(),
        last_answers: 0.into(),
    });
    let for_thread = Arc::clone(&fleet);
    let done = tokio::task::spawn_blocking(move || drive(first, &for_thread, signal)).await;
    let figures = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    without_faults(&second);
    let [on_first, on_second] = fleet.cycles();
    let fulfilled: i64 = db.value("SELECT count(*) FROM finished WHERE state = 'fulfilled'", &[]).await;
    assert_eq!(usize::try_from(fulfilled), Ok(on_first + on_second));
    assert_eq!(db.count("intents").await, 1, "the slow one, and none that was left half done");
    tell(&format!("{signal:?} under load: {figures}"));
}

/// Loads the replica, stops it, and sees its end. Blocks.
fn drive(mut replica: Replica, fleet: &Fleet, signal: Signal) -> String {
    let address = replica.address;
    let (lost, figures) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let mut client = Client { fleet, goal: format!("goal-{number}"), connection: None, replica: 0 };
                scope.spawn(move || client.run())
            })
            .collect();
        let over = SetOnDrop(&fleet.over);
        let balancer = (fleet.leaving == Leaving::WhenUnready).then(|| scope.spawn(|| balance(fleet)));
        fleet.wait_for_cycles(200);
        let slow = Slow::start(address);
        let idle: Vec<_> = (0..IDLE).map(|_| idle(address)).collect();
        let told = Instant::now();
        replica.signal(signal);
        if let Some(balancer) = balancer {
            let answer = balancer.join().expect("the load balancer");
            let noticed = told.elapsed();
            assert_eq!((answer.status, answer.closes()), (503, true));
            assert_eq!(answer.json()["error"]["code"], "database_busy");
            assert!(noticed < Duration::from_millis(900), "unready only after {noticed:?}, of a drain of 1 s");
            serves_new_connections(address);
        }
        let deadline = Instant::now() + PATIENCE;
        while Connection::open(address).is_ok() {
            assert!(Instant::now() < deadline, "it listens for ever");
            thread::sleep(Duration::from_millis(5));
        }
        let refused = told.elapsed();
        // All the others are done, and the replica waits for this one.
        let answer = slow.finish();
        assert_eq!((answer.status, answer.closes()), (201, true), "{answer:?}");
        assert!(replica.wait().success());
        let ended = told.elapsed();
        assert_eq!(replica.logs().last().map(|line| line["message"] == "stopped"), Some(true));
        for connection in idle {
            assert!(connection.is_closed().expect("closed in order"), "an idle connection was left open");
        }
        fleet.wait_for_cycles(fleet.cycles().iter().sum::<usize>() + 200);
        drop(over);
        let lost: Vec<_> = clients.into_iter().filter_map(|client| client.join().expect("a client").err()).collect();
        let [on_first, on_second] = fleet.cycles();
        let last_answers = fleet.last_answers.load(Ordering::Relaxed);
        // After SIGINT there is less time, and a client that sends nothing meanwhile is not told; its connection is closed.
        assert!(signal == Signal::INT || last_answers >= CLIENTS, "{last_answers} of {CLIENTS} were told");
        let figures = format!(
            "{} requests lost of {on_first} cycles on the first replica and {on_second} on the second; {last_answers} answers \
             said that they were the last; connections refused after {} ms, ended after {} ms",
            lost.len(),
            refused.as_millis(),
            ended.as_millis()
        );
        (lost, figures)
    });
    without_faults(&replica);
    assert!(lost.is_empty(), "{figures}: {lost:#?}");
    figures
}

/// Ends the clients however the test ends.
struct SetOnDrop<'f>(&'f AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn sigterm_under_load_loses_no_request_behind_a_load_balancer() {
    stop_under_load(Signal::TERM, Leaving::WhenUnready).await;
}

#[tokio::test]
async fn sigint_under_load_loses_no_request_of_clients_that_heed_connection_close() {
    stop_under_load(Signal::INT, Leaving::WhenToldToClose).await;
}

/// Waits until so many replicas have given a sign of life.
async fn alive(db: &TestDb, count: i64) {
    until("the replicas' signs of life", PATIENCE, async || db.count("replicas").await == count).await;
}

#[tokio::test]
async fn a_replica_that_is_stopped_signs_off_with_its_last_deeds_and_one_that_is_killed_is_missed() {
    let db = TestDb::create().await;
    let [mut stopped, mut killed] = [(); 2].map(|()| Replica::start(&db, &[("BUS_DRAIN_SECONDS", "0")]));
    alive(&db, 2).await;
    stopped.root().published(intent("last")).await;
    stopped.terminate();
    assert!(stopped.wait().success());
    assert_eq!(db.count("replicas").await, 1);
    let told = "SELECT coalesce(sum(published), 0)::bigint FROM activity WHERE goal = 'last'";
    assert_eq!(db.value::<i64>(told, &[]).await, 1, "what it did after the sign of life before");
    killed.kill();
    assert_eq!(db.count("replicas").await, 1, "it had no time for that");
    without_faults(&stopped);
}

#[tokio::test]
async fn a_database_that_does_not_answer_holds_up_no_end() {
    let db = TestDb::create().await;
    let mut replica = Replica::start(&db, &[("BUS_DRAIN_SECONDS", "0")]);
    alive(&db, 1).await;
    let holder = db.session().await;
    holder.batch_execute("BEGIN; LOCK TABLE replicas IN ACCESS EXCLUSIVE MODE").await.expect("the lock");
    let told = Instant::now();
    replica.terminate();
    assert!(replica.wait().success());
    // A statement waits for 5 s.
    assert!(told.elapsed() < Duration::from_secs(4), "{:?}", told.elapsed());
    let said =
        |text: &str| replica.logs().iter().any(|line| line["message"].as_str().is_some_and(|said| said.contains(text)));
    assert!(said("shown as gone") && said("stopped"), "{:#?}", replica.logs());
    holder.batch_execute("ROLLBACK").await.expect("the end of the lock");
    assert_eq!(db.count("replicas").await, 1);
}
