//! The survey of houses and who lives in them, the mapping of it, and a function that stays warm.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tributary_core::Result;
use tributary_core::pipeline::{Mapping, SecretRef, SourceKind};
use tributary_core::sink::{Budget, Unlimited};
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::odk_poll::OdkPoll;
use tributary_runtime::secrets::{Secret, Secrets};
use tributary_runtime::sinks::Sinks;
use tributary_runtime::tick::{Progress, Report, Request, Ticker};
use tributary_tests::Database;
use tributary_tests::odk::survey::{FORM, answers, fields};
use tributary_tests::odk::{EMAIL, Odk, PASSWORD};

/// Tables of all that there is, and files in a directory.
pub(crate) const ALL: &str = "
        submission: { columns: auto, children: auto, view: submission_unified }
";

/// How often the manifest is read when a test is about something else.
pub(crate) const RARELY: Duration = Duration::from_secs(86_400);

/// A password that can be changed.
pub(crate) struct Passwords(pub(crate) Mutex<String>);

impl Secrets for Passwords {
    async fn get(&self, _: &SecretRef) -> Result<Secret> {
        Ok(Secret::new(self.0.lock().unwrap().clone()))
    }

    fn evict(&self, _: &SecretRef) {}
}

/// The mapping: what the source says beside its form, the tables, and what the sink says beside those.
pub(crate) fn mapping_text(url: &str, source: &str, tables: &str, sink: &str) -> String {
    format!(
        "datastores:
  warehouse: {{ type: postgres, url: {{ env: DATABASE_URL }} }}
  field: {{ type: odk, base_url: '{url}', auth: {{ email: {EMAIL}, password: {{ env: ODK_PASSWORD }} }} }}
pipelines:
  survey:
    source: {{ datastore: field, project: 1, {source} }}
    sink:
      datastore: warehouse
{sink}
      tables:{tables}"
    )
}

pub(crate) fn read(text: &str) -> Mapping {
    let checked = tributary_core::mapping::load("tributary.yaml", text);
    let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(text)).collect();
    let mut mapping = checked.mapping.unwrap_or_else(|| panic!("{}", findings.join("\n")));
    // Every tick runs it.
    mapping.pipelines.iter_mut().for_each(|pipeline| pipeline.source.every = Duration::ZERO);
    mapping
}

/// What a test starts from.
pub(crate) struct Plan<'p> {
    /// What the source says beside its form.
    pub(crate) source: &'p str,
    pub(crate) tables: &'p str,
    /// Whether files are put into a directory.
    pub(crate) files: bool,
}

impl Default for Plan<'_> {
    fn default() -> Self {
        // The clock of the fake stands still between two steps, so this is enough, and hides little.
        Plan { source: "form: GRARentalDataCollection, overlap: 1s", tables: ALL, files: false }
    }
}

impl Plan<'_> {
    fn text(&self, odk: &Odk, place: &Path) -> String {
        let files = place.join("files");
        let files = format!("      attachments: {{ to: {{ directory: '{}' }} }}", files.display());
        mapping_text(&odk.url(), self.source, self.tables, if self.files { &files } else { "" })
    }
}

pub(crate) struct World {
    pub(crate) odk: Odk,
    pub(crate) database: Database,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) place: tempfile::TempDir,
    sweep_every: Duration,
    text: String,
    ticker: Ticker<OdkPoll<Passwords>, Target>,
}

impl World {
    /// The survey, without submissions; the server's clock stands still.
    pub(crate) async fn new(test: &str) -> Self {
        World::of(test, &Plan::default()).await
    }

    /// The survey, whose files are put into a directory.
    pub(crate) async fn with_files(test: &str) -> Self {
        World::of(test, &Plan { files: true, ..Plan::default() }).await
    }

    pub(crate) async fn of(test: &str, plan: &Plan<'_>) -> Self {
        let odk = Odk::start().await;
        {
            let mut world = odk.world();
            world.stop_clock();
            world.add_form(FORM, "1", fields());
        }
        let database = Database::new(test).await;
        let place = tempfile::tempdir().unwrap();
        let text = plan.text(&odk, place.path());
        let mapping = Arc::new(read(&text));
        let passwords = Arc::new(Passwords(Mutex::new(PASSWORD.to_owned())));
        let ticker = ticker(&mapping, database.url(), &passwords);
        let mut world = World { odk, database, mapping, passwords, place, sweep_every: RARELY, text, ticker };
        world.reload().await;
        world
    }

    pub(crate) async fn migrate(&mut self) {
        for (_, sink) in self.ticker.sinks().iter_mut() {
            sink.migrate().await.unwrap();
        }
    }

    /// A new environment: nothing is warm.
    pub(crate) fn cool_down(&mut self) {
        self.ticker = ticker(&self.mapping, self.database.url(), &self.passwords);
    }

    /// As of now the manifest is read so often.
    pub(crate) async fn set_sweep(&mut self, every: Duration) {
        self.sweep_every = every;
        self.reload().await;
    }

    /// The mapping as a file has it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// As of now files are put there.
    pub(crate) async fn send_files_to(&mut self, to: &str) {
        let lines = self.text.lines().map(|line| match line.contains("attachments:") {
            true => format!("      attachments: {{ to: {to} }}"),
            false => line.to_owned(),
        });
        self.text = lines.collect::<Vec<_>>().join("\n");
        self.reload().await;
    }

    async fn reload(&mut self) {
        let mut mapping = read(&self.text);
        for pipeline in &mut mapping.pipelines {
            if let SourceKind::Odk(source) = &mut pipeline.source.kind {
                source.sweep_every = self.sweep_every;
            }
        }
        self.mapping = Arc::new(mapping);
        self.cool_down();
        self.migrate().await;
    }

    pub(crate) async fn tick_within(&mut self, request: &Request, budget: &impl Budget) -> Report {
        Box::pin(self.ticker.tick(request, budget)).await.unwrap()
    }

    /// A tick with all the time of the world; it must end well.
    #[track_caller]
    pub(crate) fn tick(&mut self) -> impl Future<Output = Progress> {
        let place = std::panic::Location::caller();
        async move {
            let progress = self.try_tick().await;
            assert_eq!((progress.state, &progress.error), ("drained", &None), "{place}: {progress:?}");
            progress
        }
    }

    /// A tick with all the time of the world, however it ends.
    pub(crate) async fn try_tick(&mut self) -> Progress {
        self.ask(&Request::default()).await
    }

    /// A tick that somebody asks for.
    pub(crate) async fn force(&mut self) -> Progress {
        self.ask(&Request { force: true, ..Request::default() }).await
    }

    pub(crate) async fn ask(&mut self, request: &Request) -> Progress {
        let report = self.tick_within(request, &Unlimited).await;
        report.pipelines()[0].clone()
    }

    /// A tick that has this time before it begins no further page.
    pub(crate) async fn short_tick(&mut self, time: Duration) -> Progress {
        let end = Instant::now() + Duration::from_secs(3) + time;
        let report = self.tick_within(&Request::default(), &Millis(end)).await;
        report.pipelines()[0].clone()
    }

    /// The requests of one tick, as `GET …`.
    pub(crate) async fn asked(&mut self) -> Vec<String> {
        let before = self.odk.count();
        self.tick().await;
        self.odk.requests().split_off(before)
    }

    /// Submits some answers, a second after each other.
    pub(crate) fn submit(&self, count: usize) -> Vec<String> {
        let one = |number: usize| {
            let mut world = self.odk.world();
            world.advance(Duration::from_secs(1));
            world.create(FORM, &answers(&format!("n{number}"), number % 3))
        };
        (0..count).map(one).collect()
    }

    /// Lets time go by at the server, more than the overlap of two passes.
    pub(crate) fn wait(&self) {
        self.odk.world().advance(Duration::from_secs(60));
    }

    /// The first column of a query.
    pub(crate) async fn one(&self, sql: &str) -> String {
        self.database.rows(sql).await.first().cloned().unwrap_or_else(|| panic!("no row: {sql}"))
    }
}

fn ticker(mapping: &Arc<Mapping>, url: &str, passwords: &Arc<Passwords>) -> Ticker<OdkPoll<Passwords>, Target> {
    let target = Target::from_url(url, &Policy::default()).unwrap();
    let sinks = Sinks::new(mapping, mapping.pipelines.iter(), |_, _| target.clone());
    Ticker::new(Arc::clone(mapping), sinks, OdkPoll::new(Arc::clone(passwords))).unwrap()
}

/// Asserts that a report tells of something.
#[track_caller]
pub(crate) fn notes(progress: &Progress, words: &str) {
    assert!(progress.notes.iter().any(|note| note.contains(words)), "{words}: {:?}", progress.notes);
}

/// A budget that ends then.
pub(crate) struct Millis(pub(crate) Instant);

impl Budget for Millis {
    fn remaining(&self) -> Option<Duration> {
        Some(self.0.saturating_duration_since(Instant::now()))
    }
}
