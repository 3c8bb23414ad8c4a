//! An Airtable that isn't one: bases with typed cells, listings, webhooks and limits, as the Web API's reference and those
//! who use it describe them. It holds state and answers by it; nothing is canned.
//!
//! What it does on purpose, because the real one does: a listing's order is frozen at its first page while cells are live;
//! its place expires; empty cells are left out; payloads have partial cells of another form; computed cells drift without
//! moving any time; addresses of attachments change with every reading.

mod cells;
mod formula;
mod hooks;
mod http;
mod limits;
mod list;
mod world;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use http::Fault;
pub use limits::Limits;
use world::World;
pub use world::{Field, Table};

/// A running fake of Airtable. It ends when it is dropped.
pub struct Airtable {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    listener: JoinHandle<()>,
}

impl Airtable {
    /// The token that it takes.
    pub const TOKEN: &str = "patTEST.0123456789abcdef";
    /// Its one base.
    pub const BASE: &str = "appTEST0000000001";

    /// Listens on a free port, with an empty base and no limit of requests.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address = listener.local_addr().expect("an address");
        let world = Arc::new(Mutex::new(World::default()));
        let listener = tokio::spawn(http::serve(listener, Arc::clone(&world)));
        Airtable { address, world, listener }
    }

    /// Its address, as a datastore's `base_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a table.
    pub fn add_table(&self, table: Table) {
        self.world().tables.push(table);
    }

    /// Creates records at once, as one action; gives their ids.
    pub fn create(&self, table: &str, records: Vec<Json>) -> Vec<String> {
        self.world().create(table, records)
    }

    /// Changes cells of a record, by field id; null empties one. False when it isn't there.
    pub fn edit(&self, table: &str, record: &str, cells: &Json) -> bool {
        self.world().edit(table, record, cells)
    }

    /// Destroys records as one action.
    pub fn destroy(&self, table: &str, records: &[String]) {
        self.world().destroy(table, records);
    }

    /// Takes a record out of the trash: it has its id and cells again. False when it isn't there.
    pub fn restore(&self, table: &str, record: &str) -> bool {
        self.world().restore(table, record)
    }

    /// Changes a computed cell: no time moves, no webhook tells.
    pub fn drift(&self, table: &str, record: &str, field: &str, value: Json) {
        self.world().drift(table, record, field, value);
    }

    /// Changes a record without anybody being told: what a lost payload looks like.
    pub fn edit_silently(&self, table: &str, record: &str, cells: &Json) {
        self.world().apply(table, record, cells);
    }

    /// Destroys a record without anybody being told.
    pub fn destroy_silently(&self, table: &str, record: &str) {
        self.world().forget(table, record);
    }

    /// Gives a field another name.
    pub fn rename_field(&self, table: &str, field: &str, name: &str) {
        self.world().table(table).field_mut(field).expect("the field").name = name.to_owned();
    }

    /// Adds a field.
    pub fn add_field(&self, table: &str, field: Field) {
        self.world().table(table).fields.push(field);
    }

    /// Deletes a field with its cells. Hooks that watch it die.
    pub fn delete_field(&self, table: &str, field: &str) {
        self.world().delete_field(table, field);
    }

    /// The ids of the records of a table.
    pub fn ids(&self, table: &str) -> Vec<String> {
        self.world().table(table).records.keys().cloned().collect()
    }

    /// A record's cells by field id, as they are listed, without addresses.
    pub fn cells(&self, table: &str, record: &str) -> Option<Json> {
        self.world().shown(table, record)
    }

    /// The webhooks: id, and whether it makes payloads.
    pub fn hooks(&self) -> Vec<(String, bool)> {
        let world = self.world();
        let now = world.now();
        world.hooks.iter().map(|hook| (hook.id.clone(), hook.is_alive(now))).collect()
    }

    /// Makes a webhook as somebody else would, that watches these fields of a table.
    pub fn add_hook(&self, table: &str, fields: &[&str]) -> String {
        self.world().add_hook_of(table, fields)
    }

    /// Makes a hook useless: its next payload is an error, and no other follows.
    pub fn kill_hook(&self, hook: &str) {
        self.world().kill_hook(hook, "INVALID_HOOK");
    }

    /// Loses a hook's oldest payloads, as a week does.
    pub fn lose_payloads(&self, hook: &str, count: usize) {
        self.world().lose_payloads(hook, count);
    }

    /// Switches a hook off: it makes no payloads, and those that it has can still be read.
    pub fn disable_hook(&self, hook: &str) {
        self.world().hooks.iter_mut().filter(|known| known.id == hook).for_each(|known| known.enabled = false);
    }

    /// Deletes a hook.
    pub fn delete_hook(&self, hook: &str) {
        self.world().hooks.retain(|known| known.id != hook);
    }

    /// Makes hooks and what they tell older by so much.
    pub fn age_hooks(&self, time: Duration) {
        self.world().age_hooks(i64::try_from(time.as_millis()).expect("not for ever"));
    }

    /// Makes all places in listings expire.
    pub fn expire_listings(&self) {
        self.world().listings.clear();
    }

    /// Sets limits.
    pub fn limit(&self, limits: Limits) {
        self.world().gate.limits = limits;
    }

    /// How many requests came although Airtable had asked for patience.
    pub fn impatient(&self) -> u64 {
        self.world().gate.impatient
    }

    /// How many more requests are answered before the monthly quota is used up; `None`: it never is.
    pub fn quota(&self, calls: Option<u64>) {
        self.world().gate.quota = calls;
    }

    /// Takes a scope away from the token.
    pub fn revoke(&self, scope: &str) {
        self.world().revoked.insert(scope.to_owned());
    }

    /// Gives a scope back.
    pub fn grant(&self, scope: &str) {
        self.world().revoked.remove(scope);
    }

    /// Forgets the faults that are still to come, and what was to be done.
    pub fn recover(&self) {
        let mut world = self.world();
        world.faults.clear();
        world.acts.clear();
    }

    /// Takes another token from now on.
    pub fn change_token(&self, token: &str) {
        self.world().token = token.to_owned();
    }

    /// Answers the next requests so, one after the other; only those whose path has these words.
    pub fn fail(&self, words: &str, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().map(|fault| (words.to_owned(), fault));
        self.world().faults.extend(faults);
    }

    /// Does something as soon as so many more requests whose path has these words were answered.
    pub fn after(&self, words: &str, requests: u32, act: impl FnOnce(&Doer<'_>) + Send + 'static) {
        self.world().acts.push((words.to_owned(), requests, Box::new(act)));
    }

    /// The requests so far, as `POST /v0/…`, without queries.
    pub fn requests(&self) -> Vec<String> {
        self.world().log.clone()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.world().log.len()
    }
}

/// What can be done from within [`Airtable::after`].
pub struct Doer<'w>(std::cell::RefCell<&'w mut World>);

impl Doer<'_> {
    /// As [`Airtable::create`].
    pub fn create(&self, table: &str, records: Vec<Json>) -> Vec<String> {
        self.0.borrow_mut().create(table, records)
    }

    /// As [`Airtable::edit`].
    pub fn edit(&self, table: &str, record: &str, cells: &Json) -> bool {
        self.0.borrow_mut().edit(table, record, cells)
    }

    /// As [`Airtable::destroy`].
    pub fn destroy(&self, table: &str, records: &[String]) {
        self.0.borrow_mut().destroy(table, records);
    }

    /// As [`Airtable::restore`].
    pub fn restore(&self, table: &str, record: &str) -> bool {
        self.0.borrow_mut().restore(table, record)
    }

    /// As [`Airtable::delete_field`].
    pub fn delete_field(&self, table: &str, field: &str) {
        self.0.borrow_mut().delete_field(table, field);
    }

    /// As [`Airtable::expire_listings`].
    pub fn expire_listings(&self) {
        self.0.borrow_mut().listings.clear();
    }
}

impl Drop for Airtable {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
