//! A survey with pictures, a table that names them, and a poller that does nothing but fetch them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use serde_json::json;
use tributary_core::batch::Batch;
use tributary_core::cell::Cell;
use tributary_core::change::{Change, Element, Op};
use tributary_core::column_type::ColumnType;
use tributary_core::pipeline::{
    Attachments, Datastore, Destination, Geo, KeyTemplate, Mapping, OdkSet, OdkSource, Pipeline, PostgresStore, Source,
    SourceKind,
};
use tributary_core::sink::{Budget, Sink, Unlimited};
use tributary_core::table::{Children, Column, DeleteMode, DeletePolicy, MetaColumns, Role, Table};
use tributary_core::version::Version;
use tributary_core::{Error, Result};
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::odk_poll::attachment::{Store, Work, work};
use tributary_runtime::sinks::Sinks;
use tributary_runtime::tick::{Ended, Job, Poller, Report, Request, Share, Ticker, Turn};
use tributary_sources::http::Patience;
use tributary_sources::odk::{Central, Login};
use tributary_stand_in::odk::{EMAIL, Field, Odk, PASSWORD, PROJECT};
use tributary_tests::Database;

pub(crate) const FORM: &str = "survey";
const DAY: i64 = 86_400_000_000;
/// Noon of the first of November 2026, about.
const NOON: i64 = 1_793_534_400_000_000;

/// So much time from when it was made.
pub(crate) struct Until(pub(crate) Instant);

impl Until {
    pub(crate) fn seconds(seconds: f64) -> Self {
        Until(Instant::now() + Duration::from_secs_f64(seconds))
    }
}

impl Budget for Until {
    fn remaining(&self) -> Option<Duration> {
        Some(self.0.saturating_duration_since(Instant::now()))
    }
}

/// Fetches files, as an environment that stays warm.
pub(crate) struct Files {
    central: Central,
    store: Option<Store>,
    works: Vec<Work>,
}

impl Poller<Target> for &mut Files {
    fn jobs<'m>(&self, mapping: &'m Mapping) -> Vec<Job<'m>> {
        mapping.pipelines.iter().map(Job::of).collect()
    }

    async fn run(&mut self, turn: &mut Turn<'_, Target>, budget: &Share) -> Result<Ended> {
        let pipeline = turn.pipelines()[0];
        let done = Box::pin(work(turn, &self.central, pipeline, &mut self.store, budget)).await.map_err(Error::from)?;
        self.works.push(done);
        // A turn is all that a test looks at.
        Ok(if done.more { Ended::Later } else { Ended::Drained })
    }
}

pub(crate) struct Site {
    pub(crate) odk: Odk,
    pub(crate) database: Database,
    pub(crate) mapping: Arc<Mapping>,
    files: Files,
    /// Whether ticks are asked for by hand.
    pub(crate) forced: bool,
    version: u128,
}

impl Site {
    pub(crate) async fn new(name: &str, to: Destination, max_workers: usize) -> Self {
        let odk = Odk::start().await;
        odk.world().add_form(FORM, "1", ["/a", "/b", "/c"].map(|path| Field::new(path, "binary")).to_vec());
        let database = Database::new(name).await;
        let mapping = Arc::new(mapping(&odk, to, max_workers));
        let login = Login { email: EMAIL.to_owned(), password: PASSWORD.to_owned(), basic: false };
        let once = Patience { attempts: 1, first: Duration::ZERO, longest: Duration::ZERO };
        let central = Central::with_patience(&odk.url(), login, once);
        let files = Files { central, store: None, works: Vec::new() };
        Site { odk, database, mapping, files, forced: false, version: 0 }
    }

    /// A submission with pictures of these names, of which none is there yet; and its rows.
    pub(crate) async fn submit(&mut self, id: &str, day: i64, names: &[&str]) {
        let answers: serde_json::Map<_, _> =
            ["a", "b", "c"].iter().zip(names).map(|(field, name)| ((*field).to_owned(), json!(name))).collect();
        self.odk.world().create_as(FORM, id, &answers.into());
        self.rows(id, day, "0", names).await;
    }

    /// As [`Site::submit`]; each picture's content is its name.
    pub(crate) async fn submit_whole(&mut self, id: &str, day: i64, names: &[&str]) {
        self.submit(id, day, names).await;
        names.iter().for_each(|name| self.upload(id, name, name));
    }

    pub(crate) fn upload(&self, id: &str, name: &str, content: &str) {
        assert!(self.odk.world().upload(FORM, id, name, content.as_bytes().to_vec(), "image/jpeg"), "{id} {name}");
    }

    /// What a pass would write of a submission.
    pub(crate) async fn rows(&mut self, id: &str, day: i64, mark: &str, names: &[&str]) {
        self.version += 1;
        let text = |text: &str| Cell::Text(text.into());
        let element = |(position, name): (usize, &&str)| Element {
            key: Box::new([text(&short(id)), text(name)]),
            row: Box::new([
                text("photo"),
                Cell::Int(position as i64),
                Cell::Micros(NOON + day * DAY),
                text(mark),
                text(id),
            ]),
            notes: None,
        };
        let op = Op::Replace(names.iter().enumerate().map(element).collect());
        let key = Box::new([text(&short(id))]);
        let change = Change { table: 0, event: 0, key, version: Version::from_u128(0, self.version), at: None, op };
        let pipeline = &self.mapping.pipelines[0];
        let origin = tributary_core::event::Origin { position: "p".into(), key: "k".into(), payload: "{}".into() };
        let batch = Batch { changes: vec![change], origins: vec![origin], ..Batch::empty(pipeline) };
        let mut sink = tributary_postgres::Postgres::new(self.target(), pipeline.tables.clone(), true);
        assert_eq!(sink.apply(&batch, &Unlimited).await.unwrap().dead, 0);
    }

    pub(crate) fn target(&self) -> Target {
        Target::from_url(self.database.url(), &Policy::default()).unwrap()
    }

    /// As if the mapping named another destination; the environment is a new one.
    pub(crate) fn move_to(&mut self, to: Destination) {
        self.mapping = Arc::new(mapping(&self.odk, to, 2));
        self.files.store = None;
    }

    /// A tick, and what it did about files; nothing if it didn't come to it.
    pub(crate) async fn tick(&mut self, budget: &impl Budget) -> (Report, Work) {
        let target = self.target();
        let sinks = Sinks::new(&self.mapping, self.mapping.pipelines.iter(), |_, _| target.clone());
        self.files.works.clear();
        let mut ticker = Ticker::new(Arc::clone(&self.mapping), sinks, &mut self.files).unwrap();
        let request = Request { force: self.forced, ..Request::default() };
        let report = Box::pin(ticker.tick(&request, budget)).await.unwrap();
        (report, self.files.works.first().copied().unwrap_or_default())
    }

    /// A tick without an end that must succeed.
    pub(crate) async fn fetch(&mut self) -> Work {
        let (report, work) = self.tick(&Unlimited).await;
        assert_eq!(report.pipelines()[0].state, "drained", "{:?}", report.pipelines());
        work
    }

    /// What was asked for since the last call: the files, in order, as `id/name`.
    pub(crate) fn asked(&self) -> Vec<String> {
        let requests = self.odk.requests();
        self.odk.forget();
        let file = |request: &String| {
            let (_, rest) = request.split_once("/submissions/")?;
            Some(rest.replace("/attachments/", "/"))
        };
        requests.iter().filter_map(file).collect()
    }

    /// `name | state | location | attempts | problem` by key.
    pub(crate) async fn states(&self) -> Vec<String> {
        let query = "select name, state, location, attempts, problem from files order by submission_id, name";
        self.database.rows(query).await
    }

    /// As if the waits were over.
    pub(crate) async fn pass(&self) {
        self.database.execute("update files set next_try = now() where next_try is not null").await;
    }
}

/// The key of the rows is not what the server knows the submission by.
fn short(id: &str) -> String {
    format!("key-{id}")
}

pub(crate) fn stored(stored: u64) -> Work {
    Work { stored, ..Work::default() }
}

fn table() -> Table {
    let column = |name: &str, ty: &str| Column {
        name: name.into(),
        ty: ColumnType::parse(ty).unwrap(),
        role: Role::Data,
        default: None,
    };
    let columns = [
        ("field", "text"),
        ("position", "integer"),
        ("submitted_at", "timestamptz"),
        ("mark", "text"),
        ("instance_id", "text"),
    ];
    Table {
        schema: None,
        name: "files".into(),
        key: vec![column("submission_id", "text"), column("name", "text")],
        columns: columns.map(|(name, ty)| column(name, ty)).to_vec(),
        delete: DeletePolicy { mode: DeleteMode::Hard, ttl: true, purge_after: None },
        meta: MetaColumns { files: true, ..MetaColumns::default() },
        children: Some(Children { parent: vec![0] }),
    }
}

fn mapping(odk: &Odk, to: Destination, max_workers: usize) -> Mapping {
    let kind = SourceKind::Odk(OdkSource {
        project: PROJECT,
        set: OdkSet::Form(FORM.into()),
        key: vec![tributary_core::path::Path::field("a")],
        overlap: Duration::ZERO,
        sweep_every: Duration::ZERO,
        mass_delete: 1.0,
        geo: Geo::Jsonb,
        retry_attachments_for: Duration::from_secs(86_400 * 36_500),
    });
    let attachments =
        Attachments { table: 0, to, path: KeyTemplate::parse("{form}/{submission}/{name}").unwrap(), max_workers };
    let pipeline = Pipeline {
        name: "survey".into(),
        source: Source { datastore: odk.url(), kind, every: Duration::ZERO },
        sink: "warehouse".into(),
        tables: vec![table()],
        routes: Vec::new(),
        attachments: Some(attachments),
        views: Vec::new(),
    };
    let store = PostgresStore { auto_migrate: true, ..PostgresStore::default() };
    let datastores = IndexMap::from([("warehouse".to_owned(), Datastore::Postgres(store))]);
    Mapping { datastores, pipelines: vec![pipeline], triggers: Vec::new() }
}
