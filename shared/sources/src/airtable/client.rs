//! The calls that we make, at the pace that Airtable allows.

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tributary_core::sink::Budget;
use tributary_core::{Error, Result};

use super::failure::{Action, Refusal, Trouble, code};
use super::gate::Gate;
pub use super::gate::Pace;
use super::payload::Payloads;
use super::record::Records;
use super::schema::MetaTable;
use crate::http::{Client, Method, Request, Response, StatusCode};

/// Records of a page, the most that Airtable gives.
pub const PAGE: usize = 100;
/// Payloads of a page, the most that Airtable gives.
const PAYLOADS: u32 = 50;
/// How often a request is sent that gets no answer or a 5xx.
const ATTEMPTS: u32 = 4;
/// The first wait between two attempts at most; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// A monthly quota's word, by which it differs from too many requests in a second.
const QUOTA: &str = "PUBLIC_API_BILLING_LIMIT_EXCEEDED";

const READ: (&str, &str) = ("data.records:read", "read-only");
const SCHEMA: (&str, &str) = ("schema.bases:read", "read-only");
const HOOKS: (&str, &str) = ("webhook:manage", "creator");
const PAYLOAD: (&str, &str) = ("webhook:manage", "read-only");

/// Airtable with one token.
#[derive(Debug)]
pub struct Airtable {
    http: Client,
    base_url: String,
    token: Token,
    gate: Gate,
}

struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What of a table is listed.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    /// The ids of the fields that are wanted.
    pub fields: Vec<String>,
    /// Only the records for which this is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_by_formula: Option<String>,
    /// By which fields they are sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sort: Vec<Sort>,
    /// Where the page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<String>,
}

/// A field to sort by, ascending.
#[derive(Clone, Debug, Serialize)]
pub struct Sort {
    /// Its id.
    pub field: String,
}

/// A webhook of a base, as a listing of them shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    /// The id, `ach…`.
    pub id: String,
    /// Whether it makes payloads.
    #[serde(default = "yes")]
    pub is_hook_enabled: bool,
    /// The number of the next payload.
    #[serde(default = "one")]
    pub cursor_for_next_payload: u64,
    /// When it ends unless it is read before; `None` for one that doesn't end.
    #[serde(default)]
    pub expiration_time: Option<String>,
    /// Whom it notifies.
    #[serde(default)]
    pub notification_url: Option<String>,
    /// What it watches.
    #[serde(default)]
    pub specification: serde_json::Value,
}

fn yes() -> bool {
    true
}

fn one() -> u64 {
    1
}

impl Hook {
    /// Whether it makes payloads at this time, in microseconds since 1970.
    pub fn is_alive(&self, now: i64) -> bool {
        let ends = self.expiration_time.as_deref().and_then(super::payload::micros);
        self.is_hook_enabled && ends.is_none_or(|end| end > now)
    }

    /// Whether it is one that [`Airtable::create_hook`] made for this table. Reading it takes nothing away from others, so
    /// it may be anybody's.
    pub fn is_for(&self, table: &str) -> bool {
        let watched = |specification: &serde_json::Value| {
            let filters = specification["options"]["filters"].as_object().into_iter().flatten();
            let said =
                filters.filter(|(_, value)| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
            said.map(|(name, value)| (name.clone(), value.clone())).collect::<serde_json::Map<_, _>>()
        };
        self.notification_url.is_none() && watched(&self.specification) == watched(&specification(table))
    }
}

fn specification(table: &str) -> serde_json::Value {
    serde_json::json!({ "options": { "filters": { "dataTypes": ["tableData"], "recordChangeScope": table } } })
}

/// A request, and what it is for.
struct Call<'c> {
    base: &'c str,
    request: Request,
    action: Action,
    /// Whether it may be sent twice.
    again: bool,
}

impl Airtable {
    /// Airtable at this address (`https://api.airtable.com`), with this token.
    pub fn new(base_url: &str, token: &str, pace: Pace) -> Self {
        let base_url = base_url.trim_end_matches('/').to_owned();
        Airtable { http: Client::new(), base_url, token: Token(token.trim().to_owned()), gate: Gate::new(pace) }
    }

    /// The tables of a base with their fields.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn tables(&self, base: &str, budget: &impl Budget) -> Result<Vec<MetaTable>, Trouble> {
        #[derive(Deserialize)]
        struct Answer {
            tables: Vec<MetaTable>,
        }
        let url = self.url(&["v0", "meta", "bases", base, "tables"]);
        let call = call(base, Request::get(url), format!("read the tables of the base {base}"), SCHEMA);
        Ok(read::<Answer>(&self.send(call, budget).await?)?.tables)
    }

    /// A page of a table's records.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn list(&self, base: &str, table: &str, query: &Query, budget: &impl Budget) -> Result<Records, Trouble> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'q> {
            page_size: usize,
            return_fields_by_field_id: bool,
            #[serde(flatten)]
            query: &'q Query,
        }
        let body = Body { page_size: PAGE, return_fields_by_field_id: true, query };
        // By POST, because an address has no room for a hundred ids.
        let request = Request::post_json(self.url(&["v0", base, table, "listRecords"]), &body)?;
        let call = call(base, request, format!("list the records of {table} in {base}"), READ);
        Ok(Records::read(&self.send(call, budget).await?)?)
    }

    /// The webhooks of a base that this token may see.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn hooks(&self, base: &str, budget: &impl Budget) -> Result<Vec<Hook>, Trouble> {
        #[derive(Deserialize)]
        struct Answer {
            webhooks: Vec<Hook>,
        }
        let url = self.url(&["v0", "bases", base, "webhooks"]);
        let call = call(base, Request::get(url), format!("list the webhooks of {base}"), HOOKS);
        Ok(read::<Answer>(&self.send(call, budget).await?)?.webhooks)
    }

    /// Makes a webhook that watches the records of a table and notifies nobody. Gives its id.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn create_hook(&self, base: &str, table: &str, budget: &impl Budget) -> Result<String, Trouble> {
        #[derive(Deserialize)]
        struct Answer {
            id: String,
        }
        let body = serde_json::json!({ "specification": specification(table) });
        let request = Request::post_json(self.url(&["v0", "bases", base, "webhooks"]), &body)?;
        let mut call = call(base, request, format!("make a webhook in {base}"), HOOKS);
        call.again = false;
        Ok(read::<Answer>(&self.send(call, budget).await?)?.id)
    }

    /// Deletes a webhook. That it isn't there is as good.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn delete_hook(&self, base: &str, hook: &str, budget: &impl Budget) -> Result<(), Trouble> {
        let request = Request::new(Method::DELETE, self.url(&["v0", "bases", base, "webhooks", hook]));
        match self.send(call(base, request, format!("delete the webhook {hook} of {base}"), HOOKS), budget).await {
            Err(Trouble::Refused(refusal)) if refusal.is_missing() => Ok(()),
            other => other.map(drop),
        }
    }

    /// A page of a webhook's payloads, from this number on. Reading them prolongs the hook's life by a week.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn payloads(
        &self,
        base: &str,
        hook: &str,
        table: &str,
        cursor: u64,
        budget: &impl Budget,
    ) -> Result<Payloads, Trouble> {
        let url = self.url(&["v0", "bases", base, "webhooks", hook, "payloads"]);
        let request = Request::get(format!("{url}?cursor={cursor}&limit={PAYLOADS}"));
        let call = call(base, request, format!("read the payloads of the webhook {hook} of {base}"), PAYLOAD);
        Ok(Payloads::read(&self.send(call, budget).await?, table)?)
    }

    fn url(&self, path: &[&str]) -> String {
        let mut url = self.base_url.clone();
        for part in path {
            url.push('/');
            for byte in part.bytes() {
                match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
                    _ => url.push_str(&format!("%{byte:02X}")),
                }
            }
        }
        url
    }

    /// Sends a request until it is answered, and gives the body of a success.
    async fn send(&self, call: Call<'_>, budget: &impl Budget) -> Result<Bytes, Trouble> {
        let Call { base, request, action, again } = call;
        let request = request.bearer(&self.token.0)?;
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        loop {
            let sent = self.gate.enter(base, budget).await?;
            let answer = self.http.send(&request, budget).await;
            self.gate.answered(base, sent);
            let failed = match answer {
                Ok(answer) if answer.status.is_success() => return Ok(answer.body),
                Ok(answer) => {
                    let refusal = refused(&answer, &action);
                    match answer.status {
                        StatusCode::TOO_MANY_REQUESTS if refusal.code == QUOTA => return Err(Trouble::Quota),
                        StatusCode::TOO_MANY_REQUESTS => {
                            let pause = self.gate.pause(base, answer.retry_after());
                            tracing::warn!(
                                base,
                                seconds = pause.as_secs_f64(),
                                "too many requests; leaving the base alone"
                            );
                            // The gate waits, or says that there is no time to.
                            continue;
                        }
                        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                            Trouble::Refused(refusal)
                        }
                        _ => return Err(Trouble::Refused(refusal)),
                    }
                }
                Err(error) if error.retry() => Trouble::Failed(error),
                Err(error) => return Err(error.into()),
            };
            let pause = wait.mul_f64(fastrand::f64());
            if !again || attempt == ATTEMPTS || !budget.allows(pause + Duration::from_secs(1)) {
                return Err(failed);
            }
            tracing::debug!(base, attempt, "asking again");
            tokio::time::sleep(pause).await;
            wait *= 2;
            attempt += 1;
        }
    }
}

fn call<'c>(base: &'c str, request: Request, doing: String, (scope, role): (&'static str, &'static str)) -> Call<'c> {
    Call { base, request, action: Action { doing, scope, role }, again: true }
}

fn refused(answer: &Response, action: &Action) -> Refusal {
    Refusal { status: answer.status.as_u16(), code: code(&answer.body), action: action.clone() }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T> {
    serde_json::from_slice(body).map_err(|e| {
        let place = format!("line {}, column {}", e.line(), e.column());
        Error::data(format!("cannot read an answer of Airtable: another form at {place}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_ours_to_read_when_it_watches_just_our_table() {
        let check = |filters: &str, url: &str, expect: bool| {
            let text = format!(
                r#"{{"id":"ach1","notificationUrl":{url},"specification":{{"options":{{"filters":{filters},"includes":null}}}}}}"#
            );
            let hook: Hook = serde_json::from_str(&text).unwrap();
            assert_eq!(hook.is_for("tbl1"), expect, "{filters} {url}");
        };
        check(r#"{"dataTypes":["tableData"],"recordChangeScope":"tbl1"}"#, "null", true);
        let spelled =
            r#"{"recordChangeScope":"tbl1","dataTypes":["tableData"],"changeTypes":null,"watchDataInFieldIds":[]}"#;
        check(spelled, "null", true);
        check(spelled, r#""https://example.org""#, false);
        check(r#"{"dataTypes":["tableData"],"recordChangeScope":"tbl2"}"#, "null", false);
        check(r#"{"dataTypes":["tableData"]}"#, "null", false);
        check(r#"{"dataTypes":["tableData"],"recordChangeScope":"tbl1","changeTypes":["add"]}"#, "null", false);
        check(
            r#"{"dataTypes":["tableData"],"recordChangeScope":"tbl1","watchDataInFieldIds":["fld1"]}"#,
            "null",
            false,
        );
    }

    #[test]
    fn a_hook_lives_while_it_is_enabled_and_not_over() {
        let check = |text: &str, expect: bool| {
            let hook: Hook = serde_json::from_str(text).unwrap();
            assert_eq!(hook.is_alive(1_769_981_105_000_000), expect, "{text}");
        };
        check(r#"{"id":"ach1"}"#, true);
        check(r#"{"id":"ach1","isHookEnabled":true,"expirationTime":"2026-02-08T00:00:00.000Z"}"#, true);
        check(r#"{"id":"ach1","isHookEnabled":true,"expirationTime":"2026-02-01T00:00:00.000Z"}"#, false);
        check(r#"{"id":"ach1","isHookEnabled":false}"#, false);
    }

    #[test]
    fn names_are_safe_in_an_address_and_a_token_shows_nowhere() {
        let airtable = Airtable::new("https://api.airtable.com/", "patSECRET\n", Pace::default());
        assert_eq!(airtable.url(&["v0", "app1", "a/b c"]), "https://api.airtable.com/v0/app1/a%2Fb%20c");
        assert!(!format!("{airtable:?}").contains("SECRET"));
    }
}
