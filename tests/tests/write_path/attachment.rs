//! The queue of files: who is next, what a look leaves behind, and that only the lease's holder writes.

use std::time::Duration;

use tributary_core::Kind;
use tributary_core::batch::Fence;
use tributary_core::cell::Cell;
use tributary_core::change::{Change, Element, Op};
use tributary_core::sink::Unlimited;
use tributary_core::table::{Children, DeleteMode, MetaColumns, Table};
use tributary_postgres::connect::Target;
use tributary_postgres::{Due, Fetched, Postgres};
use tributary_tests::Database;

use crate::fenced::runner;
use crate::fixture::*;

const DAY: i64 = 86_400_000_000;
/// Of the items below: noon of the first of November 2026 in microseconds, about.
const NOON: i64 = 1_793_534_400_000_000;
const MONTH: Duration = Duration::from_secs(30 * 86_400);

fn files(mode: DeleteMode) -> Table {
    let columns = [
        ("field", "text"),
        ("position", "integer"),
        ("submitted_at", "timestamptz"),
        ("mark", "text"),
        ("instance_id", "text"),
    ];
    Table {
        key: vec![column("submission_id", "text"), column("name", "text")],
        columns: columns.map(|(name, ty)| column(name, ty)).to_vec(),
        meta: MetaColumns { files: true, ..MetaColumns::default() },
        children: Some(Children { parent: vec![0] }),
        ..table("files", mode)
    }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

/// The item, made that many days after the first, names these files at this mark.
fn item(id: &str, version: u128, day: i64, mark: &str, names: &[&str]) -> Change {
    let at = |(position, name): (usize, &&str)| Element {
        key: Box::new([text(id), text(name)]),
        row: Box::new([
            text("photo"),
            Cell::Int(position as i64),
            Cell::Micros(NOON + day * DAY),
            text(mark),
            text(&format!("uuid:{id}")),
        ]),
        notes: None,
    };
    let op = Op::Replace(names.iter().enumerate().map(at).collect());
    Change { key: Box::new([text(id)]), ..change(0, 0, version, op) }
}

struct Queue {
    database: Database,
    sink: Postgres<Target>,
    fence: Fence,
    tables: [Table; 1],
}

impl Queue {
    async fn new(name: &str, mode: DeleteMode) -> Self {
        let database = Database::new(name).await;
        let tables = [files(mode)];
        let (sink, fence) = runner(&database, &tables).await;
        Queue { database, sink, fence, tables }
    }

    async fn put(&mut self, changes: Vec<Change>) {
        apply(&mut self.sink, &self.tables, changes).await;
    }

    async fn due(&mut self, limit: u32) -> Vec<Due> {
        self.sink.due_files(&self.tables[0], limit).await.unwrap()
    }

    /// The names of those that are due, in order.
    async fn names(&mut self) -> Vec<String> {
        self.due(100).await.into_iter().map(|due| format!("{} {}", due.submission, due.name)).collect()
    }

    async fn settle(&mut self, file: &Due, fetched: Fetched<'_>) {
        let table = &self.tables[0];
        let found = self.sink.settle_file("test", table, &self.fence, file, fetched, &Unlimited).await.unwrap();
        assert!(found, "{file:?}");
    }

    /// `state | location | md5 | checked | attempts | minutes to the next try | problem`, of all files by key.
    async fn states(&self) -> Vec<String> {
        let query = "select state, location, md5, checked, attempts, round(extract(epoch from next_try - now()) / 60), problem \
            from files order by submission_id, name";
        self.database.rows(query).await
    }

    /// Lets so much time pass.
    async fn pass(&self, minutes: u32) {
        self.database.execute(&format!("update files set next_try = next_try - interval '{minutes} minutes'")).await;
    }
}

const STORED: Fetched<'static> =
    Fetched::Stored { location: "s3://b/k", md5: "0cc1", size: 3, content_type: Some("image/jpeg") };

#[tokio::test]
async fn a_file_of_a_new_item_comes_before_all_that_were_there() {
    let mut queue = Queue::new("file_order", DeleteMode::Hard).await;
    queue.put(vec![item("b", 1, 1, "0", &["1.jpg", "2.jpg"]), item("a", 1, 0, "0", &["z.jpg", "a.jpg"])]).await;
    assert_eq!(queue.names().await, ["b 1.jpg", "b 2.jpg", "a z.jpg", "a a.jpg"], "in an item, as the form has them");
    let first = queue.due(1).await.remove(0);
    assert_eq!((first.instance.as_str(), first.field.as_deref()), ("uuid:b", Some("photo")));
    queue.settle(&first, STORED).await;
    queue.put(vec![item("c", 1, 2, "0", &["c.jpg"])]).await;
    assert_eq!(queue.names().await, ["c c.jpg", "b 2.jpg", "a z.jpg", "a a.jpg"]);
    assert_eq!(queue.due(2).await.len(), 2);
    // One whose day nobody knows is the last.
    queue.database.execute("update files set submitted_at = null where submission_id = 'c'").await;
    assert_eq!(queue.names().await, ["b 2.jpg", "a z.jpg", "a a.jpg", "c c.jpg"]);
}

#[tokio::test]
async fn a_stored_file_is_looked_at_again_when_its_mark_is_another_one() {
    let mut queue = Queue::new("file_mark", DeleteMode::Hard).await;
    queue.put(vec![item("a", 1, 0, "0", &["1.jpg"])]).await;
    let file = queue.due(9).await.remove(0);
    assert_eq!((file.md5.as_deref(), file.location.as_deref()), (None, None));
    queue.settle(&file, STORED).await;
    assert_eq!(queue.states().await, ["stored | s3://b/k | 0cc1 | 0 | 0 | ∅ | ∅"]);
    assert!(queue.due(9).await.is_empty());
    assert_eq!(queue.database.rows("select size, content_type from files").await, ["3 | image/jpeg"]);
    // The same list again, then an edit: what the queue knows of the file stays.
    queue.put(vec![item("a", 2, 0, "0", &["1.jpg"])]).await;
    assert!(queue.due(9).await.is_empty());
    queue.put(vec![item("a", 3, 0, "1", &["1.jpg"])]).await;
    let again = queue.due(9).await.remove(0);
    assert_eq!((again.md5.as_deref(), again.location.as_deref()), (Some("0cc1"), Some("s3://b/k")));
    // It changes once more while it is being fetched.
    queue.put(vec![item("a", 4, 0, "2", &["1.jpg"])]).await;
    queue.settle(&again, Fetched::Same).await;
    assert_eq!(queue.states().await, ["stored | s3://b/k | 0cc1 | 1 | 0 | ∅ | ∅"]);
    let last = queue.due(9).await.remove(0);
    queue.settle(&last, Fetched::Same).await;
    assert!(queue.due(9).await.is_empty());
    queue.database.execute("update files set state = 'pending'").await;
    assert_eq!(queue.due(9).await[0].md5, None, "somebody wants it fetched, whatever is known of it");
}

#[tokio::test]
async fn waits_grow_until_a_day_and_begin_anew_with_another_mark() {
    let mut queue = Queue::new("file_waits", DeleteMode::Hard).await;
    queue.put(vec![item("a", 1, 0, "0", &["1.jpg"])]).await;
    for (attempt, minutes) in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440].into_iter().enumerate() {
        let file = queue.due(9).await.remove(0);
        queue.settle(&file, Fetched::Failed { problem: "500\0" }).await;
        let expect = format!("failed | ∅ | ∅ | 0 | {} | {minutes} | 500", attempt + 1);
        assert_eq!(queue.states().await, [expect]);
        queue.pass(minutes - 1).await;
        assert!(queue.due(9).await.is_empty(), "after {minutes} minutes less one");
        queue.pass(1).await;
    }
    queue.put(vec![item("a", 2, 0, "1", &["1.jpg"])]).await;
    let file = queue.due(9).await.remove(0);
    queue.settle(&file, Fetched::Failed { problem: "404" }).await;
    assert_eq!(queue.states().await, ["failed | ∅ | ∅ | 1 | 1 | 1 | 404"]);
    assert!(queue.due(9).await.is_empty(), "the mark was looked at, and it must wait");
    queue.pass(1).await;
    let file = queue.due(9).await.remove(0);
    queue.settle(&file, STORED).await;
    assert_eq!(queue.states().await, ["stored | s3://b/k | 0cc1 | 1 | 0 | ∅ | ∅"]);
}

#[tokio::test]
async fn one_that_is_missing_is_looked_for_while_its_item_is_young() {
    let mut queue = Queue::new("file_missing", DeleteMode::Hard).await;
    let missing = Fetched::Missing { retry_for: MONTH };
    queue.put(vec![item("old", 1, 0, "0", &["1.jpg"]), item("young", 1, 0, "0", &["1.jpg", "2.jpg"])]).await;
    queue
        .database
        .execute("update files set submitted_at = now() - interval '29 days' where submission_id = 'young'")
        .await;
    queue
        .database
        .execute("update files set submitted_at = now() - interval '31 days' where submission_id = 'old'")
        .await;
    let due = queue.due(9).await;
    assert_eq!(due.len(), 3);
    // The first was stored before it was cleared.
    queue.settle(&due[0], STORED).await;
    for file in &due {
        queue.settle(file, missing).await;
    }
    let expect = |old: &str| {
        let old = format!("missing | ∅ | ∅ | 0 | {old} | ∅ | ∅");
        [old, "cleared | s3://b/k | 0cc1 | 0 | 1 | 1 | ∅".into(), "missing | ∅ | ∅ | 0 | 1 | 1 | ∅".into()]
    };
    assert_eq!(queue.states().await, expect("1"));
    queue.pass(2000).await;
    assert_eq!(queue.names().await, ["young 1.jpg", "young 2.jpg"]);
    assert_eq!(queue.due(1).await[0].md5.as_deref(), Some("0cc1"), "what was stored may come back");
    // Its item tells that something came.
    queue.put(vec![item("old", 2, 0, "1", &["1.jpg"])]).await;
    assert!(queue.names().await.contains(&"old 1.jpg".to_owned()));
}

#[tokio::test]
async fn a_file_that_is_named_no_more_is_not_due_and_one_that_comes_back_is_known() {
    for mode in [KEEP, DeleteMode::Hard] {
        let mut queue = Queue::new("file_gone", mode).await;
        queue.put(vec![item("a", 1, 0, "0", &["1.jpg", "2.jpg"])]).await;
        let due = queue.due(9).await;
        queue.settle(&due[0], STORED).await;
        queue.put(vec![item("a", 2, 0, "1", &[])]).await;
        assert!(queue.due(9).await.is_empty(), "{mode:?}");
        queue.put(vec![item("a", 3, 0, "2", &["1.jpg"])]).await;
        let back = queue.due(9).await.remove(0);
        let known = mode == KEEP;
        assert_eq!((back.name.as_str(), back.md5.is_some()), ("1.jpg", known), "{mode:?}");
    }
}

#[tokio::test]
async fn who_lost_the_lease_writes_nothing() {
    let mut queue = Queue::new("file_fence", DeleteMode::Hard).await;
    queue.put(vec![item("a", 1, 0, "0", &["1.jpg"])]).await;
    let file = queue.due(9).await.remove(0);
    queue.sink.release(&queue.fence).await.unwrap();
    let taken = queue.sink.acquire("poll", "other", Duration::from_secs(600)).await.unwrap();
    for fence in [&queue.fence, &Fence { lease: "nobody's".into(), number: 1 }] {
        let late = queue.sink.settle_file("test", &queue.tables[0], fence, &file, STORED, &Unlimited).await;
        assert_eq!(late.unwrap_err().kind(), Kind::Conflict);
    }
    assert_eq!(queue.states().await, ["pending | ∅ | ∅ | ∅ | 0 | ∅ | ∅"]);
    queue.fence = taken;
    queue.settle(&file, STORED).await;
    let gone = Due { name: "2.jpg".into(), ..file };
    let settled = queue.sink.settle_file("test", &queue.tables[0], &queue.fence, &gone, STORED, &Unlimited).await;
    assert!(!settled.unwrap());
}

#[tokio::test]
async fn a_table_from_before_gets_what_it_lacks() {
    let database = Database::new("file_adopt").await;
    database.execute("create table files (submission_id text, name text, field text, position integer)").await;
    database.execute("insert into files values ('a', '1.jpg', 'photo', 0)").await;
    let tables = [files(DeleteMode::Hard)];
    let mut sink = sink(&database, &tables);
    let plan = sink.plan().await.unwrap();
    assert!(plan.refusals.is_empty(), "{plan:?}");
    sink.warm_up().await.unwrap();
    assert_eq!(database.rows("select state, attempts from files").await, ["pending | 0"]);
    assert_eq!(sink.due_files(&tables[0], 9).await.unwrap().len(), 1);
    assert_eq!(sink.plan().await.unwrap().steps.len(), 0);
    let wrong = sink.due_files(&table("t", KEEP), 9).await;
    assert_eq!(wrong.unwrap_err().kind(), Kind::Bug);
}

#[tokio::test]
async fn what_is_stored_costs_a_look_at_the_queue_nothing() {
    let mut queue = Queue::new("file_index", DeleteMode::Hard).await;
    queue.sink.warm_up().await.unwrap();
    let fill = "insert into files (submission_id, name, submitted_at, mark, checked, state) \
        select i, 'p.jpg', now() - i * interval '1 s', '0', '0', 'stored' from generate_series(1, 20000) i; analyze files";
    queue.database.execute(fill).await;
    queue.put(vec![item("a", 1, 0, "0", &["1.jpg"])]).await;
    assert_eq!(queue.names().await, ["a 1.jpg"]);
    let plan = queue
        .database
        .rows(
            "explain select 1 from files where not _deleted and (state <> 'stored' or checked is distinct \
        from mark) order by submitted_at desc nulls last limit 9",
        )
        .await;
    assert!(plan.iter().any(|line| line.contains("files_submitted_at_idx")), "{plan:?}");
}
