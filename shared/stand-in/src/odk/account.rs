//! Who may ask: users, what they may do, and sessions that end.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::answer::Answer;
use super::clock::rfc3339;
use super::world::World;

/// A session lives 24 h, however much it is used.
const SESSION: i64 = 86_400_000;

/// What a user may do in the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Read everything: Project Viewer.
    Viewer,
    /// Submit, and nothing else.
    AppUser,
    /// Nothing.
    Nobody,
}

#[derive(Debug)]
struct User {
    email: String,
    password: String,
    right: Right,
}

/// All users and sessions.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    users: Vec<User>,
    /// Until when, by token, and whose.
    sessions: HashMap<String, (i64, usize)>,
    /// The server is asked over HTTP, without a proxy that speaks HTTPS before it.
    pub(super) plain_http: bool,
    pub(super) logins: u64,
}

impl World {
    /// Adds a user, or changes one.
    pub fn set_user(&mut self, email: &str, password: &str, right: Right) {
        let user = User { email: email.to_owned(), password: password.to_owned(), right };
        match self.accounts.users.iter_mut().find(|known| known.email == email) {
            Some(known) => *known = user,
            None => self.accounts.users.push(user),
        }
    }

    /// Ends all sessions.
    pub fn expire_sessions(&mut self) {
        self.accounts.sessions.clear();
    }

    /// Whether requests come over plain HTTP, so that passwords in each of them are refused.
    pub fn set_plain_http(&mut self, plain: bool) {
        self.accounts.plain_http = plain;
    }

    /// How often somebody logged in, by a session or with a request.
    pub fn logins(&self) -> u64 {
        self.accounts.logins
    }

    pub(super) fn log_in(&mut self, body: &[u8]) -> Answer {
        let body: Json = serde_json::from_slice(body).unwrap_or(Json::Null);
        let user = self.user(body["email"].as_str().unwrap_or_default(), body["password"].as_str().unwrap_or_default());
        let Some(user) = user else { return Answer::unknown_user() };
        let now = self.now();
        let token = format!("{}{}", self.secret(), self.secret());
        let csrf = self.secret();
        self.accounts.logins += 1;
        self.accounts.sessions.insert(token.clone(), (now + SESSION, user));
        let session = json!({
            "token": token, "csrf": csrf, "expiresAt": rfc3339(now + SESSION), "createdAt": rfc3339(now),
        });
        Answer::json(200, &session)
    }

    pub(super) fn log_out(&mut self, authorization: Option<&str>) -> Answer {
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        match token.and_then(|token| self.accounts.sessions.remove(token)) {
            Some(_) => Answer::json(200, &json!({ "success": true })),
            None => Answer::unknown_user(),
        }
    }

    fn user(&self, email: &str, password: &str) -> Option<usize> {
        self.accounts.users.iter().position(|user| user.email == email && user.password == password)
    }

    /// What the sender of a request may do, or the refusal. `secure` is whether a proxy says that it came over HTTPS.
    pub(super) fn right(&mut self, authorization: Option<&str>, secure: bool) -> Result<Right, Answer> {
        let header = authorization.ok_or_else(Answer::unknown_user)?;
        let user = if let Some(token) = header.strip_prefix("Bearer ") {
            let now = self.now();
            let session = self.accounts.sessions.get(token);
            session.filter(|(until, _)| now < *until).map(|(_, user)| *user)
        } else if let Some(basic) = header.strip_prefix("Basic ") {
            if self.accounts.plain_http && !secure {
                return Err(Answer::basic_over_http());
            }
            let text = STANDARD.decode(basic).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let user = text.as_deref().and_then(|text| text.split_once(':'));
            self.accounts.logins += 1;
            user.and_then(|(email, password)| self.user(email, password))
        } else {
            None
        };
        user.map(|user| self.accounts.users[user].right).ok_or_else(Answer::unknown_user)
    }

    fn secret(&mut self) -> String {
        (0..32).map(|_| self.dice.alphanumeric()).collect()
    }
}
