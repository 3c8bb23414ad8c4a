//! The server on its port, beside it the host of files, and what goes wrong on the way.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, DATE, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::answer::Answer;
use super::clock::http_date;
use super::fault::{Fault, Plans};
use super::query::{decode, options};
use super::route::{self, Asked};
use super::world::World;

type Body = BoxBody<Bytes, io::Error>;

/// How much of a body is sent at once.
const CHUNK: usize = 64 * 1024;

/// What both listeners share with the handle.
pub(super) struct Shared {
    pub(super) world: Mutex<World>,
    pub(super) plans: Mutex<Plans>,
    pub(super) seen: Mutex<Seen>,
    /// The address of the host of files.
    pub(super) s3: String,
}

/// What came so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) requests: Vec<String>,
    pub(super) kinds: BTreeMap<&'static str, usize>,
    pub(super) now: usize,
    pub(super) peak: usize,
    /// Requests to the other host that brought a token along.
    pub(super) leaks: usize,
    /// Requests to the other host that were not for a file.
    pub(super) strays: usize,
    pub(super) files: usize,
}

impl Shared {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn plans(&self) -> MutexGuard<'_, Plans> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is served, until its body was sent.
struct Served(Arc<Shared>);

impl Served {
    fn begin(shared: &Arc<Shared>) -> Self {
        let mut seen = shared.seen();
        seen.now += 1;
        seen.peak = seen.peak.max(seen.now);
        Served(Arc::clone(shared))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.seen().now -= 1;
    }
}

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, is_s3: bool) {
    // The connections end with this task, so that a dropped server answers nobody.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // A small answer must not wait for an acknowledgement of its head.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        let service = hyper::service::service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move {
                if is_s3 { Ok::<_, Infallible>(file(&shared, &request)) } else { Ok(central(&shared, request).await) }
            }
        });
        connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

async fn central(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let served = Served::begin(shared);
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let kind = route::kind(&head.method, path, query);
    {
        let mut seen = shared.seen();
        *seen.kinds.entry(kind).or_default() += 1;
        let options = if query.is_empty() { String::new() } else { format!("?{}", decode(query, true)) };
        let asked = format!("{}{options}", decode(path, false));
        seen.requests.push(format!("{} {asked}", head.method));
    }
    let fault = shared.plans().take(kind);
    let asked = Asked { method: &head.method, path, query, headers: &head.headers, body: &body };
    let (mut answer, date, latency) = {
        let mut world = shared.world();
        if matches!(fault, Some(Fault::Expired)) {
            world.expire_sessions();
        }
        let answer = match &fault {
            Some(Fault::Problem(status, code)) => Answer::problem(*status, *code, "Words about \"hunter2\""),
            Some(Fault::Busy(status, seconds)) => {
                let code = f64::from(*status) + 0.1;
                let busy = Answer::problem(*status, code, "Please come again");
                seconds.map_or(busy.clone(), |seconds| busy.with(RETRY_AFTER.as_str(), seconds.to_string()))
            }
            Some(Fault::Html(status)) => Answer::html(*status),
            Some(Fault::Short(rows)) => route::answer(&mut world, &asked, *rows, &shared.s3),
            _ => route::answer(&mut world, &asked, 0, &shared.s3),
        };
        let date = http_date(world.now());
        for act in shared.plans().due(kind) {
            act(&mut world);
        }
        (answer, date, world.latency)
    };
    let late = if let Some(Fault::Late(time)) = fault { time } else { Duration::ZERO };
    if late + latency > Duration::ZERO {
        tokio::time::sleep(late + latency).await;
    }
    answer.headers.push((DATE.as_str(), date));
    let end = match fault {
        Some(Fault::Cut(part)) => End::Torn(answer.body.len() * part / 100),
        Some(Fault::CutClean(part)) => {
            answer.body.truncate(answer.body.len() * part / 100);
            End::Whole
        }
        Some(Fault::Lost) => End::Torn(0),
        _ => End::Whole,
    };
    respond(answer, &head.method, &end, served)
}

/// How a body ends.
enum End {
    Whole,
    /// The connection breaks after so many bytes.
    Torn(usize),
}

fn respond(answer: Answer, method: &Method, end: &End, served: impl Send + Sync + 'static) -> Response<Body> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let bodiless = method == Method::HEAD || answer.status == StatusCode::NOT_MODIFIED;
    if answer.sized && answer.status != StatusCode::NOT_MODIFIED {
        let length = if matches!(end, End::Torn(_)) { answer.body.len().max(1) } else { answer.body.len() };
        response = response.header(CONTENT_LENGTH, length);
    }
    let sent = match end {
        End::Whole if bodiless => Bytes::new(),
        End::Whole => answer.body,
        End::Torn(at) => answer.body.slice(..*at),
    };
    let torn = matches!(end, End::Torn(_));
    let chunks: Vec<Bytes> =
        (0..sent.len()).step_by(CHUNK).map(|from| sent.slice(from..sent.len().min(from + CHUNK))).collect();
    let chunks = stream::iter(chunks.into_iter().map(|chunk| Ok(Frame::data(chunk))));
    let last = stream::once(async move {
        if torn {
            // Until what was sent is on its way.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        torn.then(|| Err(io::Error::from(io::ErrorKind::ConnectionReset)))
    });
    // It is served as long as its body is being sent.
    let frames = chunks.chain(last.filter_map(std::future::ready)).map(move |frame| {
        let _ = &served;
        frame
    });
    response.body(BoxBody::new(StreamBody::new(frames))).expect("a valid response")
}

/// The host that files are redirected to. Whoever brings Central's token along is refused, as by S3, and counted.
fn file(shared: &Arc<Shared>, request: &Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    let kind = "s3";
    let mut seen = shared.seen();
    if request.headers().contains_key(AUTHORIZATION) {
        seen.leaks += 1;
        let answer = Answer::new(400, Vec::new(), "<Error><Code>InvalidArgument</Code></Error>");
        return respond(answer, request.method(), &End::Whole, ());
    }
    let Some(md5) = path.strip_prefix("/blobs/") else {
        seen.strays += 1;
        return respond(Answer::html(404), request.method(), &End::Whole, ());
    };
    seen.files += 1;
    drop(seen);
    let fault = shared.plans().take(kind);
    let found = shared.world().file_of(md5);
    let answer = match (&fault, found) {
        (Some(Fault::Html(status) | Fault::Problem(status, _) | Fault::Busy(status, _)), _) => Answer::html(*status),
        (_, None) => Answer::html(404),
        (_, Some(file)) => {
            let kind = options(request.uri().query().unwrap_or_default())
                .into_iter()
                .find(|(name, _)| name == "response-content-type");
            let kind = kind.map_or(file.content_type, |(_, value)| value);
            Answer::new(200, vec![("content-type", kind), ("etag", format!("\"{}\"", file.md5))], file.bytes)
        }
    };
    let end = match fault {
        Some(Fault::Cut(part)) => End::Torn(answer.body.len() * part / 100),
        Some(Fault::Lost) => End::Torn(0),
        _ => End::Whole,
    };
    respond(answer, request.method(), &end, ())
}
