//! How a request gets its answer: at most four at once, signed, tried again while it may help, its body read to the end.
//!
//! It is patient as pyODK is, the library of Central's own makers: 429, 500, 502, 503 and 504 and broken connections are
//! tried three times with 2 s between, then 4 s, or with what `Retry-After` says. A server has ten connections to its
//! database, which parallel clients exhaust.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use tributary_core::sink::Budget;
use tributary_core::{Error, Kind, Result};

use super::failure::{Refusal, Trouble, code};
use super::session::{Entry, Login, Pass, Session};
use crate::http::{Client, HeaderMap, Opened, Patience, Request, StatusCode, date, header, retry_after};

/// Requests to a server at once.
const AT_ONCE: usize = 4;
/// How long nothing may come from a server that was asked.
const SILENCE: Duration = Duration::from_secs(120);
/// A wait that a server asks for and nobody has time for.
const TOO_LONG: Duration = Duration::from_secs(300);
/// What must be left of the budget for a request.
const TIME_FOR_A_REQUEST: Duration = Duration::from_secs(1);
/// How much of an error's body is looked at.
const OF_AN_ERROR: usize = 64 * 1024;

/// As pyODK waits.
pub(super) const PATIENCE: Patience =
    Patience { attempts: 3, first: Duration::from_secs(2), longest: Duration::from_secs(8) };

/// The way to one server.
#[derive(Debug)]
pub(super) struct Line {
    http: Client,
    base_url: String,
    session: Session,
    lanes: Semaphore,
    patience: Patience,
}

/// A request, and what it is for.
#[derive(Debug)]
pub(super) struct Call {
    request: Request,
    doing: String,
    /// Statuses that are an answer too, beside those of success.
    takes: &'static [u16],
    /// Whether it goes with our pass: to the server itself and to nobody else.
    signed: bool,
    at_login: bool,
}

impl Call {
    pub(super) fn new(mut request: Request, doing: String) -> Self {
        request.timeout = SILENCE;
        Call { request, doing, takes: &[], signed: true, at_login: false }
    }

    pub(super) fn takes(mut self, statuses: &'static [u16]) -> Self {
        self.takes = statuses;
        self
    }

    pub(super) fn unsigned(mut self) -> Self {
        self.signed = false;
        self
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> Refusal {
        let (doing, at_login) = (self.doing.clone(), self.at_login);
        Refusal { status: status.as_u16(), code: code(body), doing, at_login }
    }
}

/// Reads a body as it comes.
pub(super) trait Gather: Default {
    /// What the body says.
    type Out;
    fn take(&mut self, part: &[u8]) -> Result<()>;
    /// `Unavailable` when the body isn't whole: then it is asked for again.
    fn finish(self) -> Result<Self::Out>;
}

/// An answer and the lane that it occupies until it is dropped.
pub(super) struct Reached<'l> {
    pub(super) answer: Opened,
    /// Whether it is the server's own.
    pub(super) signed: bool,
    _lane: SemaphorePermit<'l>,
}

/// An answer, its body read.
pub(super) struct Answer<T> {
    pub(super) headers: HeaderMap,
    /// When the server says that it answered, in microseconds since 1970.
    pub(super) date: i64,
    /// What the body says; `None` for a status without one.
    pub(super) said: Option<T>,
}

/// How often it was tried.
pub(super) struct Tries {
    patience: Patience,
    attempt: u32,
    longest: Duration,
}

impl Tries {
    /// Waits before the next attempt. `Err` when there is none: why this one failed, or that there is no time.
    async fn next(&mut self, failed: Trouble, asked: Option<Duration>, budget: &impl Budget) -> Result<(), Trouble> {
        let wait = asked.unwrap_or_else(|| self.longest.mul_f64(0.5 + fastrand::f64() / 2.0));
        if self.attempt >= self.patience.attempts || wait > TOO_LONG {
            return Err(failed);
        }
        if !budget.allows(wait + TIME_FOR_A_REQUEST) {
            return Err(if asked.is_some() { Trouble::OutOfTime } else { failed });
        }
        tracing::debug!(attempt = self.attempt, seconds = wait.as_secs_f64(), "asking ODK Central again");
        tokio::time::sleep(wait).await;
        self.longest = (self.longest * 2).min(self.patience.longest);
        self.attempt += 1;
        Ok(())
    }
}

impl Line {
    pub(super) fn new(base_url: &str, login: Login, patience: Patience) -> Self {
        let base_url = base_url.trim().trim_end_matches('/');
        // As it is written in the documentation of its API.
        let base_url = base_url.strip_suffix("/v1").unwrap_or(base_url).trim_end_matches('/').to_owned();
        let (session, lanes) = (Session::new(login), Semaphore::new(AT_ONCE));
        Line { http: Client::new(), base_url, session, lanes, patience }
    }

    /// The address of this path, which begins with a slash.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    pub(super) fn tries(&self) -> Tries {
        Tries { patience: self.patience, attempt: 1, longest: self.patience.first }
    }

    /// Asks until there is a whole answer.
    pub(super) async fn ask<G: Gather>(&self, call: &Call, budget: &impl Budget) -> Result<Answer<G::Out>, Trouble> {
        let mut tries = self.tries();
        loop {
            let mut reached = self.reach(call, &mut tries, budget).await?;
            match gathered::<G>(call, &mut reached.answer, budget).await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.retry() => {
                    drop(reached);
                    tries.next(out_of_time(error, budget), None, budget).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Asks until there is an answer worth reading: a success, or what the call takes.
    pub(super) async fn reach(
        &self,
        call: &Call,
        tries: &mut Tries,
        budget: &impl Budget,
    ) -> Result<Reached<'_>, Trouble> {
        let mut refused: Option<Pass> = None;
        loop {
            let pass = if call.signed { Some(self.pass(refused.as_ref(), budget).await?) } else { None };
            let lane = self.lane(budget).await?;
            let request = match &pass {
                Some(pass) => pass.sign(call.request.clone()),
                None => call.request.clone(),
            };
            let mut answer = match self.http.open(&request, budget).await {
                Ok(answer) => answer,
                Err(error) if error.retry() => {
                    drop(lane);
                    tries.next(out_of_time(error, budget), None, budget).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let status = answer.status;
            if status.is_success() || call.takes.contains(&status.as_u16()) {
                return Ok(Reached { answer, signed: call.signed, _lane: lane });
            }
            let refusal = call.refusal(status, &read_error(&mut answer, budget).await);
            let asked = retry_after(&answer.headers);
            drop((answer, lane));
            if !call.signed && !call.at_login {
                let message = format!("the store that ODK Central names for its files answers with status {status}");
                return Err(Error::unavailable(message).with_hint("the next tick asks for a new address").into());
            }
            let is_first = refused.is_none();
            match pass {
                // The session has ended, or another server process has never heard of it. One renewal settles it.
                Some(pass) if status == StatusCode::UNAUTHORIZED && is_first && self.session.is_renewable() => {
                    tracing::debug!("the session has ended; logging in again");
                    refused = Some(pass);
                }
                _ if matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504) => {
                    tries.next(Trouble::Refused(refusal), asked, budget).await?;
                }
                _ => return Err(Trouble::Refused(refusal)),
            }
        }
    }

    /// A pass other than the one that was refused. One request logs in, others wait for it.
    async fn pass(&self, refused: Option<&Pass>, budget: &impl Budget) -> Result<Pass, Trouble> {
        let turn = match within(budget, self.session.enter(refused)).await?? {
            Entry::Pass(pass) => return Ok(pass),
            Entry::Refused(refusal) => return Err(Trouble::Refused(refusal)),
            Entry::Turn(turn) => turn,
        };
        let request = self.session.request(self.url("/v1/sessions"))?;
        let call = Call { at_login: true, ..Call::new(request, "log in".to_owned()).unsigned() };
        // Boxed, because it goes the way that led here.
        match Box::pin(self.ask::<Whole>(&call, budget)).await {
            Ok(answer) => Ok(turn.accepted(&answer.said.unwrap_or_default())?),
            Err(Trouble::Refused(refusal)) => {
                turn.refused(refusal.clone());
                Err(Trouble::Refused(refusal))
            }
            Err(other) => Err(other),
        }
    }

    async fn lane(&self, budget: &impl Budget) -> Result<SemaphorePermit<'_>, Trouble> {
        if !budget.allows(TIME_FOR_A_REQUEST) {
            return Err(Trouble::OutOfTime);
        }
        let closed = |e| Error::new(Kind::Bug, "the lanes to a server are closed").with_source(e);
        Ok(within(budget, self.lanes.acquire()).await?.map_err(closed)?)
    }
}

/// Waits no longer than the budget does.
async fn within<T>(budget: &impl Budget, work: impl Future<Output = T>) -> Result<T, Trouble> {
    match budget.remaining() {
        None => Ok(work.await),
        Some(left) => tokio::time::timeout(left, work).await.map_err(|_| Trouble::OutOfTime),
    }
}

/// A failure that a longer budget might have helped against is no failure of the server.
fn out_of_time(error: Error, budget: &impl Budget) -> Trouble {
    if budget.allows(TIME_FOR_A_REQUEST) { Trouble::Failed(error) } else { Trouble::OutOfTime }
}

async fn gathered<G: Gather>(call: &Call, answer: &mut Opened, budget: &impl Budget) -> Result<Answer<G::Out>> {
    let headers = std::mem::take(&mut answer.headers);
    let date = date(&headers).map(jiff::Timestamp::as_microsecond).ok_or_else(|| {
        Error::data("the answer of ODK Central doesn't say when it was given")
            .with_hint("a proxy before it takes the header `Date` away; let it through")
    })?;
    if !answer.status.is_success() {
        return Ok(Answer { headers, date, said: None });
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.contains("json") {
        return Err(Error::config("what answers is no ODK Central: it sends something else than JSON")
            .with_hint("check `base_url`: it is the address of the site, as https://odk.example.org"));
    }
    let (mut gather, mut length) = (G::default(), 0_usize);
    while let Some(part) = answer.chunk(budget).await? {
        length += part.len();
        if length > call.request.limit {
            let message = format!("the answer of ODK Central is longer than {} bytes", call.request.limit);
            return Err(Error::data(message).with_hint("ask for smaller pages"));
        }
        gather.take(&part)?;
    }
    Ok(Answer { headers, date, said: Some(gather.finish()?) })
}

/// As much of an error's body as is looked at. That it cannot be read is no error beside the one that it tells.
async fn read_error(answer: &mut Opened, budget: &impl Budget) -> Vec<u8> {
    let mut body = Vec::new();
    while let (true, Ok(Some(part))) = (body.len() < OF_AN_ERROR, answer.chunk(budget).await) {
        body.extend_from_slice(&part);
    }
    body
}

/// A body in one piece.
#[derive(Default)]
pub(super) struct Whole(Vec<u8>);

impl Gather for Whole {
    type Out = Bytes;

    fn take(&mut self, part: &[u8]) -> Result<()> {
        self.0.extend_from_slice(part);
        Ok(())
    }

    fn finish(self) -> Result<Bytes> {
        Ok(self.0.into())
    }
}
