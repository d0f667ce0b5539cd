//! The network between the bus and Postgres, for tests that let it fail: it can go away, hang, and lose a COMMIT or the answer
//! to one. A statement that lets requests in and commits by itself counts as a COMMIT; what runs on a timer does not.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::{TcpListener, TcpStream, UnixStream},
    sync::{oneshot, watch},
};
use tokio_postgres::{Config, config::Host};

/// Codes of messages that come before a session begins, and are followed by another: for TLS and for GSS.
const BEFORE_STARTUP: [u32; 2] = [80_877_103, 80_877_104];
/// What Postgres says once a statement is done and no transaction is open.
const READY_FOR_QUERY: [u8; 6] = [b'Z', 0, 0, 0, 5, b'I'];
/// How long a late COMMIT is on its way: the bus has tried again by then, and waits for the locks of the first try.
const LATE: Duration = Duration::from_millis(300);

/// What becomes of a COMMIT. The connection is cut on both sides in each case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing: it is the next one that counts.
    None,
    /// It reaches Postgres, and the connection is cut before its answer.
    Answer,
    /// It takes place, and then the connection is cut.
    AnswerOnceCommitted,
    /// It reaches Postgres only when the bus has long tried again.
    CommitIsLate,
    /// It never reaches Postgres.
    Commit,
}

impl Loss {
    pub(super) const ALL: [Self; 4] = [Self::Answer, Self::AnswerOnceCommitted, Self::CommitIsLate, Self::Commit];
}

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Up,
    /// Nothing gets through, and nobody is told.
    Hung,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A running proxy. It ends with the runtime of its test.
pub(super) struct Proxy {
    /// The database by way of this proxy, as `DATABASE_URL` takes it.
    pub(super) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Mutex<Config>,
    /// For the next COMMITs, the first one last.
    losses: Mutex<Vec<Loss>>,
    /// For the next loss: to tell that it has come about, and what the bus's connection is kept for before it is cut.
    interlude: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
    link: watch::Sender<Link>,
    /// Part of the text of statements that count as a COMMIT.
    committing: &'static str,
}

impl Proxy {
    /// A proxy in front of the Postgres of this URL.
    pub(super) async fn start(url: &str) -> Self {
        Self::start_for(url, "verdicts").await
    }

    /// The same, where other statements count as a COMMIT: those with this in their text.
    pub(super) async fn start_for(url: &str, committing: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let upstream = parse(url);
        let url = with_address(&upstream, listener.local_addr().expect("an address"));
        let (losses, interlude, link) = (Mutex::default(), Mutex::default(), watch::channel(Link::Up).0);
        let shared = Arc::new(Shared { upstream: upstream.into(), losses, interlude, link, committing });
        let for_task = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&for_task);
                tokio::spawn(async move {
                    // Either side may end it at any time.
                    let _ = carry(client, &shared).await;
                });
            }
        });
        Self { url, shared }
    }

    /// Where new connections go from now on.
    pub(super) fn lead_to(&self, url: &str) {
        *self.shared.upstream.lock().unwrap() = parse(url);
    }

    /// Loses the next COMMITs in these ways, one after the other.
    pub(super) fn lose(&self, losses: &[Loss]) {
        *self.shared.losses.lock().unwrap() = losses.iter().rev().copied().collect();
    }

    /// Loses the next COMMITs. The first of what comes back tells when one is lost; the bus sees its connection cut only once the second is
    /// used or dropped.
    pub(super) fn lose_and_wait(&self, losses: &[Loss]) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((lost, when_lost), (go_on, when_to_go_on)) = (oneshot::channel(), oneshot::channel());
        *self.shared.interlude.lock().unwrap() = Some((lost, when_to_go_on));
        self.lose(losses);
        (when_lost, go_on)
    }

    /// Losses that have not come about yet.
    pub(super) fn still_to_lose(&self) -> usize {
        self.shared.losses.lock().unwrap().len()
    }

    pub(super) fn set(&self, link: Link) {
        self.shared.link.send_replace(link);
    }
}

fn parse(url: &str) -> Config {
    url.parse().expect("a connection string")
}

/// A connection string for the same user and database at another address.
fn with_address(config: &Config, address: SocketAddr) -> String {
    let (user, database) = (config.get_user().expect("a user"), config.get_dbname().expect("a database"));
    let password = config.get_password().map(|password| format!(" password='{}'", String::from_utf8_lossy(password)));
    let (host, port) = (address.ip(), address.port());
    format!("host={host} port={port} user={user} dbname={database} sslmode=disable{}", password.unwrap_or_default())
}

async fn connect(upstream: &Config) -> io::Result<Box<dyn Stream>> {
    let port = upstream.get_ports().first().copied().unwrap_or(5432);
    match upstream.get_hosts().first().expect("a host") {
        Host::Unix(folder) => Ok(Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await?)),
        Host::Tcp(host) => Ok(Box::new(TcpStream::connect((host.as_str(), port)).await?)),
    }
}

async fn carry(client: TcpStream, shared: &Shared) -> io::Result<()> {
    up(&mut shared.link.subscribe()).await;
    client.set_nodelay(true)?;
    let upstream = shared.upstream.lock().unwrap().clone();
    let (mut from_server, mut to_server) = split(connect(&upstream).await?);
    // The connection of the bus is closed when this returns.
    let late = relay(client, &mut from_server, &mut to_server, shared).await?;
    if let Some(commit) = late {
        tokio::time::sleep(LATE).await;
        to_server.write_all(&commit).await?;
        until_ready(&mut from_server).await?;
    }
    Ok(())
}

/// Carries messages until one side closes, or until a COMMIT is to be lost; gives the COMMIT that is to come late.
async fn relay(
    client: TcpStream,
    from_server: &mut ReadHalf<Box<dyn Stream>>,
    to_server: &mut WriteHalf<Box<dyn Stream>>,
    shared: &Shared,
) -> io::Result<Option<BytesMut>> {
    let mut link = shared.link.subscribe();
    let (from_client, mut to_client) = split(client);
    let mut messages = Messages {
        from: from_client,
        buffer: BytesMut::new(),
        started: false,
        text: shared.committing,
        committing: HashSet::new(),
        in_transaction: false,
        in_background: false,
    };
    let mut answers = BytesMut::new();
    loop {
        up(&mut link).await;
        tokio::select! {
            _ = link.changed() => {}
            message = messages.next() => {
                let message = message?;
                let loss = if messages.commits(&message) { shared.losses.lock().unwrap().pop() } else { None };
                let loss = loss.filter(|loss| *loss != Loss::None);
                if loss == Some(Loss::CommitIsLate) {
                    return Ok(Some(message));
                }
                if loss != Some(Loss::Commit) {
                    to_server.write_all(&message).await?;
                }
                if loss == Some(Loss::AnswerOnceCommitted) {
                    until_ready(from_server).await?;
                }
                if loss.is_some() {
                    let interlude = shared.interlude.lock().unwrap().take();
                    if let Some((lost, go_on)) = interlude {
                        to_server.shutdown().await?;
                        // Nobody waits for them if the test has failed meanwhile.
                        let _ = lost.send(());
                        let _ = go_on.await;
                    }
                    return Ok(None);
                }
            }
            read = from_server.read_buf(&mut answers) => {
                if read? == 0 {
                    return Ok(None);
                }
                to_client.write_all_buf(&mut answers).await?;
            }
        }
    }
}

/// Reads until the statement is done.
async fn until_ready(from_server: &mut ReadHalf<Box<dyn Stream>>) -> io::Result<()> {
    let mut answers = BytesMut::new();
    while !answers.ends_with(&READY_FOR_QUERY) {
        if from_server.read_buf(&mut answers).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Waits until something gets through.
async fn up(link: &mut watch::Receiver<Link>) {
    let _ = link.wait_for(|link| *link == Link::Up).await;
}

/// Messages from the bus, one by one.
struct Messages {
    from: ReadHalf<TcpStream>,
    buffer: BytesMut,
    /// The startup message, which has no type, has gone by.
    started: bool,
    /// Part of the text of statements that count as a COMMIT.
    text: &'static str,
    /// The names under which they are prepared.
    committing: HashSet<Vec<u8>>,
    in_transaction: bool,
    /// It is none of a request's: what counts or looks on a timer sets its own timeouts.
    in_background: bool,
}

impl Messages {
    /// Whether something is committed by this. Follows what goes by for it.
    fn commits(&mut self, message: &[u8]) -> bool {
        match message.first() {
            Some(b'Q') => {
                let text = message.get(5..).unwrap_or_default();
                self.in_transaction = text.starts_with(b"BEGIN")
                    || text.starts_with(b"START TRANSACTION")
                    || (self.in_transaction && !text.starts_with(b"COMMIT") && !text.starts_with(b"ROLLBACK\0"));
                if !self.in_transaction || text.starts_with(b"BEGIN") || text.starts_with(b"START TRANSACTION") {
                    self.in_background &= text == b"COMMIT\0";
                }
                self.in_background |= text.starts_with(b"SET LOCAL");
                text == b"COMMIT\0" && !std::mem::take(&mut self.in_background)
            }
            Some(b'P') => {
                let name = message[5..].split(|byte| *byte == 0).next().unwrap_or_default();
                if message.windows(self.text.len()).any(|window| window == self.text.as_bytes()) {
                    self.committing.insert(name.to_vec());
                }
                false
            }
            // Begins with the portal's name, then comes the statement's.
            Some(b'B') => {
                let statement = message[5..].split(|byte| *byte == 0).nth(1).unwrap_or_default();
                !self.in_transaction && self.committing.contains(statement)
            }
            _ => false,
        }
    }

    /// The next one, as its bytes; a statement that is executed with all that belongs to it. May be cancelled and called again.
    async fn next(&mut self) -> io::Result<BytesMut> {
        loop {
            if let Some(message) = self.split() {
                return Ok(message);
            }
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The length of the message that begins here, if all of it is there.
    fn length(&self, at: usize) -> Option<usize> {
        let type_bytes = usize::from(self.started);
        let mut length = self.buffer.get(at + type_bytes..at + type_bytes + 4)?;
        let length = type_bytes + usize::try_from(length.get_u32()).expect("a length");
        (self.buffer.len() >= at + length).then_some(length)
    }

    fn split(&mut self) -> Option<BytesMut> {
        let mut length = self.length(0)?;
        if self.started && self.buffer[0] == b'B' {
            let mut last = 0;
            while self.buffer[last] != b'S' {
                last = length;
                length += self.length(length)?;
            }
        }
        let message = self.buffer.split_to(length);
        if !self.started {
            let mut code = message.get(4..8)?;
            self.started = !BEFORE_STARTUP.contains(&code.get_u32());
        }
        Some(message)
    }
}
