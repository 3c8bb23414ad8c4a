//! A bad network between a client and a Postgres: it counts, delays, stalls, refuses and cuts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_postgres::config::{Config, Host};

use crate::frames::Conversation;

/// When to cut a connection next.
#[derive(Debug, Default)]
enum Cut {
    #[default]
    Never,
    /// As soon as the client has sent so many more bytes; these still arrive.
    AfterClientBytes(usize),
    /// When the client has sent this: the server gets it and answers, and the answer gets lost.
    BeforeAnswerTo(Vec<u8>),
}

#[derive(Debug, Default)]
struct Delays {
    up: Duration,
    down: Duration,
}

struct State {
    target: SocketAddr,
    trips: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicU64,
    cuts: AtomicU64,
    refuse: AtomicBool,
    delays: Mutex<Delays>,
    cut: Mutex<Cut>,
    /// What is put in place of what, once, and is as long.
    garble: Mutex<Option<(Vec<u8>, Vec<u8>)>>,
    /// Raised to end all connections.
    generation: watch::Sender<u64>,
    stalled: watch::Sender<bool>,
}

/// A proxy on 127.0.0.1 in front of a database. It and its connections end when it is dropped.
pub struct Proxy {
    url: String,
    state: Arc<State>,
    listener: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port in front of the database of this URL, which names one host by number or name.
    pub async fn start(url: &str) -> Self {
        let config: Config = url.parse().expect("a libpq URL");
        let Some(Host::Tcp(host)) = config.get_hosts().first() else { panic!("the URL names no host") };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let mut found = tokio::net::lookup_host((host.as_str(), port)).await.expect("resolve the host");
        let state = Arc::new(State {
            target: found.next().expect("an address"),
            trips: AtomicU64::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            refuse: AtomicBool::new(false),
            delays: Mutex::default(),
            cut: Mutex::default(),
            garble: Mutex::default(),
            generation: watch::Sender::new(0),
            stalled: watch::Sender::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address = listener.local_addr().expect("an address");
        let listener = tokio::spawn(accept(listener, Arc::clone(&state)));
        Proxy { url: url_through(&config, address), state, listener }
    }

    /// The same database, user and password through this proxy, without TLS.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How often a client has sent something after it had got the answers to all it had sent before, which is how often
    /// it has waited for the network. Logging in with a password counts once.
    ///
    /// A client that sends in several parts without waiting may be overtaken by a quick server, which then looks like
    /// waiting: with a delay ([`Proxy::delay`]) longer than the client's pauses the count is exact.
    pub fn round_trips(&self) -> u64 {
        self.state.trips.load(Ordering::SeqCst)
    }

    /// Bytes from clients so far.
    pub fn bytes_up(&self) -> u64 {
        self.state.up.load(Ordering::SeqCst)
    }

    /// Bytes to clients so far.
    pub fn bytes_down(&self) -> u64 {
        self.state.down.load(Ordering::SeqCst)
    }

    /// Connections made so far, refused ones left out.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How often a rule of [`Proxy::cut_after`] or [`Proxy::cut_before_answer_to`] has been carried out.
    pub fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::SeqCst)
    }

    /// Cuts all connections now.
    pub fn cut(&self) {
        self.state.generation.send_modify(|generation| *generation += 1);
    }

    /// Closes new connections at once, or takes them again.
    pub fn refuse(&self, refuse: bool) {
        self.state.refuse.store(refuse, Ordering::SeqCst);
    }

    /// Delivers nothing any more, and tells nobody, as a network does that has forgotten a connection; or delivers all
    /// that has been held back.
    pub fn stall(&self, stall: bool) {
        self.state.stalled.send_replace(stall);
    }

    /// Delivers everything so much later, to the server (`up`) and to the client (`down`).
    pub fn delay(&self, up: Duration, down: Duration) {
        *lock(&self.state.delays) = Delays { up, down };
    }

    /// Cuts the connection on which the so-manieth byte from a client passes, counted from now over all connections. The
    /// bytes up to there still arrive at the server. Happens once; a later call replaces it.
    pub fn cut_after(&self, bytes: usize) {
        *lock(&self.state.cut) = Cut::AfterClientBytes(bytes);
    }

    /// Lets the server get and carry out all up to this piece of a client's bytes and what follows it in the same
    /// flush, then cuts the connection without delivering the answer. Happens once; a later call replaces it.
    pub fn cut_before_answer_to(&self, piece: impl Into<Vec<u8>>) {
        *lock(&self.state.cut) = Cut::BeforeAnswerTo(piece.into());
    }

    /// Puts `other` in place of this piece of a client's bytes, as long as it, so that the server refuses one statement of a
    /// flush. Happens once; a piece that comes in two halves is overlooked.
    pub fn garble(&self, piece: &str, other: &str) {
        assert_eq!(piece.len(), other.len(), "lengths are part of the protocol");
        *lock(&self.state.garble) = Some((piece.into(), other.into()));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic while it was held")
}

fn url_through(config: &Config, address: SocketAddr) -> String {
    let encoded = |bytes: &[u8]| {
        let hex = |&byte: &u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        bytes.iter().map(hex).collect::<String>()
    };
    let user = config.get_user().map(str::as_bytes).map(encoded).unwrap_or_default();
    let password = config.get_password().map(|password| format!(":{}", encoded(password))).unwrap_or_default();
    let database = config.get_dbname().map(str::as_bytes).map(encoded).unwrap_or_default();
    format!("postgres://{user}{password}@{address}/{database}?sslmode=disable")
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Connections end with this task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if state.refuse.load(Ordering::SeqCst) {
            continue;
        }
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let Ok(server) = TcpStream::connect(state.target).await else { return };
            state.connections.fetch_add(1, Ordering::SeqCst);
            connection(client, server, &state).await;
        });
    }
}

fn garble(rule: &mut Option<(Vec<u8>, Vec<u8>)>, bytes: &mut [u8]) {
    let Some((piece, other)) = rule else { return };
    if let Some(at) = bytes.windows(piece.len()).position(|window| window == *piece) {
        bytes[at..at + other.len()].copy_from_slice(other);
        *rule = None;
    }
}

/// A piece on its way, with the moment when it set out.
enum Piece {
    Bytes(Instant, Vec<u8>),
    Cut,
}

/// What both directions of a connection know.
struct Session<'a> {
    state: &'a State,
    conversation: Mutex<Conversation>,
    withhold: AtomicBool,
}

async fn connection(client: TcpStream, server: TcpStream, state: &State) {
    // Small pieces must not wait for each other, or a delay of our own making would be measured.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let mut generation = state.generation.subscribe();
    generation.mark_unchanged();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let session = Session { state, conversation: Mutex::new(Conversation::new()), withhold: AtomicBool::new(false) };
    // Whichever side ends first ends both, once all that it has said is delivered.
    tokio::select! {
        () = session.up(from_client, to_server) => {}
        () = session.down(from_server, to_client) => {}
        _ = generation.changed() => {}
    }
}

impl Session<'_> {
    async fn up(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (pieces, mut queue) = mpsc::unbounded_channel();
        let read = async move {
            let mut tail = Vec::new();
            while let Some(bytes) = read(&mut from).await {
                for piece in self.sent_by_client(bytes, &mut tail) {
                    // The writer ends before us only when the connection does.
                    let _ = pieces.send(piece);
                }
            }
        };
        let write = async move {
            while let Some(Piece::Bytes(since, bytes)) = queue.recv().await {
                let delay = lock(&self.state.delays).up;
                self.wait(since + delay).await;
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        // The writer goes on after the reader, to deliver the rest.
        let mut write = std::pin::pin!(write);
        tokio::select! {
            () = read => write.await,
            () = &mut write => {}
        }
    }

    /// Counts what a client sends, and applies the rule for the next cut.
    fn sent_by_client(&self, mut bytes: Vec<u8>, tail: &mut Vec<u8>) -> Vec<Piece> {
        let state = self.state;
        garble(&mut lock(&state.garble), &mut bytes);
        let mut rule = lock(&state.cut);
        let mut cut = false;
        match &mut *rule {
            Cut::Never => {}
            Cut::AfterClientBytes(left) if *left > bytes.len() => *left -= bytes.len(),
            Cut::AfterClientBytes(left) => {
                bytes.truncate(*left);
                cut = true;
            }
            Cut::BeforeAnswerTo(piece) => {
                tail.extend_from_slice(&bytes);
                if tail.windows(piece.len().max(1)).any(|window| window == piece) {
                    self.withhold.store(true, Ordering::SeqCst);
                    state.cuts.fetch_add(1, Ordering::SeqCst);
                    *rule = Cut::Never;
                } else {
                    // The piece may come in two halves.
                    tail.drain(..tail.len().saturating_sub(piece.len()));
                }
            }
        }
        if cut {
            state.cuts.fetch_add(1, Ordering::SeqCst);
            *rule = Cut::Never;
        }
        drop(rule);
        state.up.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        if lock(&self.conversation).client(&bytes) {
            state.trips.fetch_add(1, Ordering::SeqCst);
        }
        let mut pieces = vec![Piece::Bytes(Instant::now(), bytes)];
        pieces.extend(cut.then_some(Piece::Cut));
        pieces
    }

    async fn down(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (pieces, mut queue) = mpsc::unbounded_channel();
        let read = async move {
            while let Some(bytes) = read(&mut from).await {
                let _ = pieces.send(Piece::Bytes(Instant::now(), bytes));
            }
        };
        let write = async move {
            while let Some(Piece::Bytes(since, bytes)) = queue.recv().await {
                let delay = lock(&self.state.delays).down;
                self.wait(since + delay).await;
                lock(&self.conversation).server(&bytes);
                if self.withhold.load(Ordering::SeqCst) {
                    if lock(&self.conversation).settled() {
                        return;
                    }
                    continue;
                }
                self.state.down.fetch_add(bytes.len() as u64, Ordering::SeqCst);
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        let mut write = std::pin::pin!(write);
        tokio::select! {
            () = read => write.await,
            () = &mut write => {}
        }
    }

    async fn wait(&self, until: Instant) {
        if until > Instant::now() {
            tokio::time::sleep_until(until).await;
        }
        // The sender lives as long as we do.
        let _ = self.state.stalled.subscribe().wait_for(|stalled| !stalled).await;
    }
}

async fn read(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(64 * 1024);
    match from.read_buf(&mut bytes).await {
        Ok(1..) => Some(bytes),
        _ => None,
    }
}
