//! Webhooks: what they are told of, how long they keep it, and how they die.

use serde_json::{Map, Value as Json, json};

use super::cells::rfc3339;
use super::http::Answer;
use super::world::World;

/// A week, in milliseconds: how long a hook lives unread, and how long payloads are kept.
const WEEK: i64 = 7 * 86_400_000;
/// Most hooks of a base.
const MOST: usize = 10;
/// Most payloads of an answer.
const PAGE: u64 = 50;
/// Most records of a payload; an action of more is split.
const RECORDS: usize = 60;

/// A webhook.
#[derive(Clone, Debug)]
pub(super) struct Hook {
    pub(super) id: String,
    specification: Json,
    url: Option<String>,
    /// With the time at which it was made. The first has the number `next - payloads.len()`.
    payloads: Vec<(i64, Json)>,
    next: u64,
    expires: i64,
    pub(super) enabled: bool,
}

/// What somebody did at once, with cells as they are listed.
#[derive(Debug, Default)]
pub(super) struct Action {
    pub(super) created: Vec<(String, i64, Json)>,
    pub(super) changed: Vec<(String, Json)>,
    pub(super) destroyed: Vec<String>,
}

impl Hook {
    pub(super) fn is_alive(&self, now: i64) -> bool {
        self.enabled && now < self.expires
    }

    fn filters(&self) -> &Json {
        &self.specification["options"]["filters"]
    }

    pub(super) fn watches(&self, field: &str) -> bool {
        let watched = self.filters()["watchDataInFieldIds"].as_array();
        watched.is_some_and(|fields| fields.iter().any(|watched| watched == field))
    }

    fn hears_of(&self, table: &str) -> bool {
        let filters = self.filters();
        let data = filters["dataTypes"].as_array().is_some_and(|types| types.iter().any(|kind| kind == "tableData"));
        data && filters["recordChangeScope"].as_str().is_none_or(|scope| scope == table)
    }

    fn push(&mut self, now: i64, payload: Json) {
        self.payloads.push((now, payload));
        self.next += 1;
    }

    fn shown(&self, now: i64) -> Json {
        json!({
            "id": self.id,
            "isHookEnabled": self.enabled,
            "areNotificationsEnabled": true,
            "cursorForNextPayload": self.next,
            "notificationUrl": self.url,
            "expirationTime": rfc3339(self.expires),
            "lastSuccessfulNotificationTime": null,
            "lastNotificationResult": null,
            "specification": self.specification,
            "createdTime": rfc3339(now),
        })
    }
}

impl World {
    /// Tells the hooks.
    pub(super) fn tell(&mut self, table: &str, action: &Action) {
        self.transaction += 1;
        let (now, transaction) = (self.now(), self.transaction);
        let Some(there) = self.tables.iter().find(|known| known.id == table || known.name == table) else { return };
        let id = there.id.clone();
        let cells = |listed: &Json| -> Json {
            let told = listed.as_object().into_iter().flatten();
            let told = told.filter_map(|(field, cell)| Some((field.clone(), there.field(field)?.told(cell))));
            json!({ "cellValuesByFieldId": told.collect::<Map<String, Json>>() })
        };
        // An action of many records is several payloads of one transaction.
        let created = action.created.chunks(RECORDS).map(|some| {
            let all: Map<String, Json> = some
                .iter()
                .map(|(id, created, listed)| {
                    let mut made = cells(listed);
                    made["createdTime"] = json!(rfc3339(*created));
                    (id.clone(), made)
                })
                .collect();
            json!({ "createdRecordsById": all })
        });
        let changed = action.changed.chunks(RECORDS).map(|some| {
            let all: Map<String, Json> =
                some.iter().map(|(id, listed)| (id.clone(), json!({ "current": cells(listed) }))).collect();
            json!({ "changedRecordsById": all })
        });
        let destroyed = action.destroyed.chunks(RECORDS).map(|some| json!({ "destroyedRecordIds": some }));
        let payloads: Vec<Json> = created.chain(changed).chain(destroyed).map(|of_table| {
            json!({
                "timestamp": rfc3339(now),
                "baseTransactionNumber": transaction,
                "payloadFormat": "v0",
                "actionMetadata": { "source": "client", "sourceMetadata": { "user": { "id": "usrTEST0000000001" } } },
                "changedTablesById": { id.clone(): of_table },
            })
        }).collect();
        for hook in self.hooks.iter_mut().filter(|hook| hook.is_alive(now) && hook.hears_of(&id)) {
            for payload in &payloads {
                hook.push(now, payload.clone());
            }
        }
    }

    pub(super) fn add_hook_of(&mut self, table: &str, fields: &[&str]) -> String {
        let filters = json!({ "dataTypes": ["tableData"], "recordChangeScope": table, "watchDataInFieldIds": fields });
        self.new_hook(json!({ "options": { "filters": filters } }), None)
    }

    fn new_hook(&mut self, specification: Json, url: Option<String>) -> String {
        let (id, expires) = (self.fresh("ach"), self.now() + WEEK);
        self.hooks.push(Hook {
            id: id.clone(),
            specification,
            url,
            payloads: Vec::new(),
            next: 1,
            expires,
            enabled: true,
        });
        id
    }

    pub(super) fn kill_hook(&mut self, hook: &str, code: &str) {
        let now = self.now();
        if let Some(hook) = self.hooks.iter_mut().find(|known| known.id == hook) {
            hook.push(now, json!({ "error": true, "code": code }));
            // It still says that it is enabled, and hears of nothing any more.
            hook.specification["options"]["filters"]["dataTypes"] = json!([]);
        }
    }

    pub(super) fn lose_payloads(&mut self, hook: &str, count: usize) {
        if let Some(hook) = self.hooks.iter_mut().find(|known| known.id == hook) {
            hook.payloads.drain(..count.min(hook.payloads.len()));
        }
    }

    pub(super) fn age_hooks(&mut self, milliseconds: i64) {
        for hook in &mut self.hooks {
            hook.expires -= milliseconds;
            hook.payloads.iter_mut().for_each(|(at, _)| *at -= milliseconds);
        }
    }

    pub(super) fn list_hooks(&mut self) -> Answer {
        let now = self.now();
        self.hooks.retain(|hook| now < hook.expires + WEEK);
        let shown: Vec<Json> = self.hooks.iter().map(|hook| hook.shown(now)).collect();
        Answer::ok(&json!({ "webhooks": shown }))
    }

    pub(super) fn create_hook(&mut self, body: &Json) -> Answer {
        let filters = &body["specification"]["options"]["filters"];
        let types = filters["dataTypes"].as_array();
        if types.is_none_or(|types| types.is_empty()) {
            return Answer::invalid("INVALID_REQUEST_UNKNOWN");
        }
        let scope = filters["recordChangeScope"].as_str();
        if scope.is_some_and(|scope| !self.tables.iter().any(|table| table.id == scope)) {
            return Answer::invalid("INVALID_REQUEST_UNKNOWN");
        }
        if self.hooks.len() >= MOST {
            return Answer::invalid("TOO_MANY_WEBHOOKS_IN_BASE");
        }
        let url = body["notificationUrl"].as_str().map(str::to_owned);
        let id = self.new_hook(body["specification"].clone(), url);
        let expires = self.hooks.last().map(|hook| rfc3339(hook.expires));
        Answer::ok(
            &json!({ "id": id, "macSecretBase64": "dmVyc3luYy10ZXN0LW1hYy1zZWNyZXQ=", "expirationTime": expires }),
        )
    }

    pub(super) fn delete_hook(&mut self, id: &str) -> Answer {
        let before = self.hooks.len();
        self.hooks.retain(|hook| hook.id != id);
        if self.hooks.len() < before { Answer::ok(&json!({})) } else { Answer::not_found() }
    }

    pub(super) fn refresh_hook(&mut self, id: &str) -> Answer {
        let now = self.now();
        match self.hooks.iter_mut().find(|hook| hook.id == id && hook.is_alive(now)) {
            Some(hook) => {
                hook.expires = now + WEEK;
                Answer::ok(&json!({ "expirationTime": rfc3339(hook.expires) }))
            }
            None => Answer::not_found(),
        }
    }

    pub(super) fn payloads(&mut self, id: &str, cursor: Option<u64>, limit: Option<u64>) -> Answer {
        let now = self.now();
        let (cursor, limit) = (cursor.unwrap_or(1), limit.unwrap_or(PAGE));
        if limit == 0 || limit > PAGE || cursor == 0 {
            return Answer::invalid("INVALID_REQUEST_UNKNOWN");
        }
        self.hooks.retain(|hook| now < hook.expires + WEEK);
        let Some(hook) = self.hooks.iter_mut().find(|hook| hook.id == id) else { return Answer::missing() };
        // Reading lets one that is alive live on, and revives none.
        if hook.is_alive(now) {
            hook.expires = now + WEEK;
        }
        hook.payloads.retain(|(at, _)| now - at < WEEK);
        let first = hook.next - hook.payloads.len() as u64;
        let skip = usize::try_from(cursor.saturating_sub(first)).unwrap_or(usize::MAX);
        let page: Vec<Json> =
            hook.payloads.iter().skip(skip).take(limit as usize).map(|(_, payload)| payload.clone()).collect();
        let next = if cursor > hook.next { hook.next } else { cursor.max(first) + page.len() as u64 };
        Answer::ok(&json!({ "payloads": page, "cursor": next, "mightHaveMore": next < hook.next }))
    }
}
