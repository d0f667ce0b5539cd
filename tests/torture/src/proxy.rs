//! A TCP proxy of ours, in front of a replica or between one and Postgres: it loses answers, lets a direction hang, and rewrites
//! statements on their way to Postgres.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Result;
use bytes::{Buf, BytesMut};
use rand::{RngExt, rngs::StdRng};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
};

/// Codes of messages that come before a session begins, and are followed by another: for TLS and for GSS.
const BEFORE_STARTUP: [u32; 2] = [80_877_103, 80_877_104];

/// Where connections lead to.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// A port.
    Tcp(SocketAddr),
    /// A socket of the file system.
    Unix(PathBuf),
}

/// What gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Everything.
    Up,
    /// Nothing from the client; it can connect.
    DeafServer,
    /// Nothing to the client.
    DeafClient,
}

/// A change of a statement: a part of its text, and what stands there instead.
pub type Rewrite = (&'static str, &'static str);

/// A running proxy. It ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: Mutex<Upstream>,
    link: watch::Sender<Link>,
    /// Goes up when all connections are to be closed.
    closed: watch::Sender<u64>,
    /// The chance that an answer is cut off, and what decides.
    cut: Mutex<(f64, StdRng)>,
    cuts: AtomicUsize,
    rewrites: Vec<Rewrite>,
    /// Of each of them.
    rewritten: Vec<AtomicUsize>,
}

impl Proxy {
    /// A proxy that lets everything through.
    pub async fn start(upstream: Upstream, random: StdRng) -> Result<Self> {
        Self::rewriting(upstream, random, Vec::new()).await
    }

    /// A proxy in front of Postgres that changes statements.
    pub async fn rewriting(upstream: Upstream, random: StdRng, rewrites: Vec<Rewrite>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream),
            link: watch::channel(Link::Up).0,
            closed: watch::channel(0).0,
            cut: Mutex::new((0.0, random)),
            cuts: AtomicUsize::new(0),
            rewritten: rewrites.iter().map(|_| AtomicUsize::new(0)).collect(),
            rewrites,
        });
        let for_task = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&for_task);
                tokio::spawn(async move {
                    let mut closed = shared.closed.subscribe();
                    tokio::select! {
                        // Either side may end it at any time.
                        _ = carry(client, &shared) => {}
                        _ = closed.changed() => {}
                    }
                });
            }
        });
        Ok(Self { address, shared, task })
    }

    /// Where new connections go from now on.
    pub fn lead_to(&self, upstream: Upstream) {
        *self.shared.upstream.lock().unwrap_or_else(PoisonError::into_inner) = upstream;
    }

    /// What gets through from now on, on connections that there are and new ones.
    pub fn set(&self, link: Link) {
        self.shared.link.send_replace(link);
    }

    /// Closes all connections.
    pub fn close(&self) {
        self.shared.closed.send_modify(|closed| *closed += 1);
    }

    /// From now on answers are cut off with this chance, once the server has given them.
    pub fn cut(&self, chance: f64) {
        self.shared.cut.lock().unwrap_or_else(PoisonError::into_inner).0 = chance;
    }

    /// Answers that were cut off.
    #[must_use]
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::Relaxed)
    }

    /// How often each text was changed.
    #[must_use]
    pub fn rewritten(&self) -> Vec<usize> {
        self.shared.rewritten.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.close();
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn carry(client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let upstream = shared.upstream.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let server: Box<dyn Stream> = match upstream {
        Upstream::Tcp(address) => {
            let server = TcpStream::connect(address).await?;
            server.set_nodelay(true)?;
            Box::new(server)
        }
        Upstream::Unix(path) => Box::new(UnixStream::connect(path).await?),
    };
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = split(server);
    let there = async {
        let (mut link, mut messages) = (shared.link.subscribe(), Messages::default());
        let mut buffer = BytesMut::new();
        while from_client.read_buf(&mut buffer).await? > 0 {
            let _ = link.wait_for(|link| *link != Link::DeafServer).await;
            if shared.rewrites.is_empty() {
                to_server.write_all_buf(&mut buffer).await?;
            } else {
                messages.buffer.extend_from_slice(&buffer.split());
                while let Some(message) = messages.next(shared) {
                    to_server.write_all(&message).await?;
                }
            }
        }
        to_server.shutdown().await
    };
    let back = async {
        let (mut link, mut buffer) = (shared.link.subscribe(), BytesMut::new());
        while from_server.read_buf(&mut buffer).await? > 0 {
            let _ = link.wait_for(|link| *link != Link::DeafClient).await;
            if buffer.starts_with(b"HTTP/1.1 ") && shared.cuts_this() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            to_client.write_all_buf(&mut buffer).await?;
        }
        to_client.shutdown().await
    };
    tokio::try_join!(there, back).map(drop)
}

impl Shared {
    fn cuts_this(&self) -> bool {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        let chance = cut.0;
        let cuts = chance > 0.0 && cut.1.random_bool(chance);
        self.cuts.fetch_add(usize::from(cuts), Ordering::Relaxed);
        cuts
    }

    fn rewrite(&self, text: &[u8]) -> Vec<u8> {
        let mut changed = text.to_vec();
        for ((part, instead), count) in self.rewrites.iter().zip(&self.rewritten) {
            let mut from = 0;
            while let Some(at) = changed[from..].windows(part.len()).position(|window| window == part.as_bytes()) {
                let at = from + at;
                changed.splice(at..at + part.len(), instead.bytes());
                from = at + instead.len();
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        changed
    }
}

/// Messages of the bus to Postgres.
#[derive(Default)]
struct Messages {
    buffer: BytesMut,
    /// The startup message, which has no type, has gone by.
    started: bool,
}

impl Messages {
    /// The next one that is there in whole; changed, if it brings a text that is to be changed.
    fn next(&mut self, shared: &Shared) -> Option<Vec<u8>> {
        let type_bytes = usize::from(self.started);
        let mut length = self.buffer.get(type_bytes..type_bytes + 4)?;
        let length = type_bytes + usize::try_from(length.get_u32()).ok()?;
        if self.buffer.len() < length {
            return None;
        }
        let message = self.buffer.split_to(length);
        let mut changed = Vec::with_capacity(length);
        if self.started {
            if !matches!(message[0], b'P' | b'Q') {
                return Some(message.to_vec());
            }
            changed.push(message[0]);
        } else {
            // It brings the settings of the session.
            let mut code = message.get(4..8)?;
            self.started = !BEFORE_STARTUP.contains(&code.get_u32());
        }
        let text = shared.rewrite(&message[type_bytes + 4..]);
        changed.extend(u32::try_from(text.len() + 4).ok()?.to_be_bytes());
        changed.extend(text);
        Some(changed)
    }
}
