//! Who asks: a session's token, kept and renewed once when it is refused, or email and password with each request.
//!
//! `POST /v1/sessions`. A session ends 24 hours after the login, used or not. A login costs the server a slow hash and an
//! entry in its audit log, so one is shared by all requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tributary_core::{Error, Result};

use super::failure::Refusal;
use crate::http::{HeaderValue, Request, header};

/// How long a refused login is believed: requests that waited for it shall not each try the same password again.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// A web user of a server.
#[derive(Clone)]
pub struct Login {
    /// The address by which the user logs in.
    pub email: String,
    /// The password.
    pub password: String,
    /// Whether both are sent with each request, instead of a session's token. It costs the server a slow hash each time.
    pub basic: bool,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("basic", &self.basic).finish_non_exhaustive()
    }
}

/// The value of an `Authorization` header.
#[derive(Clone)]
pub(super) struct Pass(Arc<HeaderValue>);

impl Pass {
    fn new(text: &str) -> Result<Self> {
        let mut value = HeaderValue::from_str(text).map_err(|_| {
            Error::config("the login has characters that a header cannot carry")
                .with_hint("look for a line break around the email or the password")
        })?;
        value.set_sensitive(true);
        Ok(Pass(Arc::new(value)))
    }

    pub(super) fn sign(&self, request: Request) -> Request {
        request.header(header::AUTHORIZATION, (*self.0).clone())
    }

    fn is(&self, other: &Pass) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The pass that is used now.
#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    Pass(Pass),
    Refused(Refusal, Instant),
}

/// The login with its session.
pub(super) struct Session {
    login: Login,
    kept: Mutex<Kept>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.login.fmt(f)
    }
}

/// The one who is allowed to log in now: all others wait until it is done.
pub(super) struct Turn<'s> {
    kept: tokio::sync::MutexGuard<'s, Kept>,
}

/// What a request goes with.
pub(super) enum Entry<'s> {
    Pass(Pass),
    Refused(Refusal),
    /// Somebody has to log in.
    Turn(Turn<'s>),
}

impl Session {
    pub(super) fn new(login: Login) -> Self {
        Session { login, kept: Mutex::default() }
    }

    /// A pass other than the one that was refused.
    pub(super) async fn enter(&self, refused: Option<&Pass>) -> Result<Entry<'_>> {
        if self.login.basic {
            let pair = format!("{}:{}", self.login.email, self.login.password);
            return Ok(Entry::Pass(Pass::new(&format!("Basic {}", STANDARD.encode(pair)))?));
        }
        let kept = self.kept.lock().await;
        Ok(match &*kept {
            Kept::Pass(pass) if refused.is_none_or(|refused| !refused.is(pass)) => Entry::Pass(pass.clone()),
            Kept::Refused(refusal, at) if at.elapsed() < REFUSED_FOR => Entry::Refused(refusal.clone()),
            _ => Entry::Turn(Turn { kept }),
        })
    }

    /// Whether another pass can be had.
    pub(super) fn is_renewable(&self) -> bool {
        !self.login.basic
    }

    /// The request that opens a session.
    pub(super) fn request(&self, url: String) -> Result<Request> {
        let Login { email, password, .. } = &self.login;
        Request::post_json(url, &serde_json::json!({ "email": email, "password": password }))
    }
}

impl Turn<'_> {
    /// The login succeeded; this is the answer's body.
    pub(super) fn accepted(mut self, body: &[u8]) -> Result<Pass> {
        #[derive(Deserialize)]
        struct Answer {
            token: String,
        }
        let answer: Answer = serde_json::from_slice(body).map_err(|_| {
            Error::config("the answer to the login has no token")
                .with_hint("check that `base_url` is the address of an ODK Central")
        })?;
        let pass = Pass::new(&format!("Bearer {}", answer.token))?;
        *self.kept = Kept::Pass(pass.clone());
        Ok(pass)
    }

    /// The login was refused.
    pub(super) fn refused(mut self, refusal: Refusal) {
        // What may pass is not kept: the next one tries again.
        if matches!(refusal.status, 401 | 403 | 404) {
            *self.kept = Kept::Refused(refusal, Instant::now());
        }
    }
}
