//! Three pipelines, and a poller that does what a script says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_core::event::{Body, Decoded, Event, Origin};
use tributary_core::mapping;
use tributary_core::pipeline::Mapping;
use tributary_core::sink::Budget;
use tributary_core::value::Value;
use tributary_core::version::Version;
use tributary_core::{Error, Result};
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::batch::batch_of;
use tributary_runtime::sinks::Sinks;
use tributary_runtime::tick::{Ended, Job, Poller, Report, Request, Share, Ticker, Turn};
use tributary_tests::Database;

/// What a pipeline does with its turn.
#[derive(Clone)]
pub(crate) enum Act {
    /// Writes a row and is done.
    Write,
    /// Writes a row a page until its share ends.
    Toil,
    /// Ends so.
    End(Ended),
    /// Fails with this kind of error.
    Fail(fn(String) -> Error),
}

/// A poller that does as it is told, and remembers who had a turn, in which order and for how long.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) acts: HashMap<String, Act>,
    pub(crate) turns: Vec<(String, Duration)>,
    pub(crate) versions: Vec<Version>,
}

impl Script {
    async fn write(&mut self, turn: &mut Turn<'_, Target>) -> Result<()> {
        let version = turn.observation()?;
        self.versions.push(version);
        let pipeline = turn.pipelines()[0];
        let batch = batch_of(pipeline, [event(version)]);
        turn.prolong().await?;
        turn.apply(pipeline, &batch).await.map(drop)
    }
}

fn event(version: Version) -> Decoded {
    let origin = Origin { position: version.to_string().into(), key: "k".into(), payload: "{}".into() };
    let now = Value::from([("id", Value::from("k")), ("name", Value::text(version.to_string()))]);
    Ok(Event { origin, version, at: None, body: Body::Image { now, before: None } })
}

impl Poller<Target> for &mut Script {
    fn jobs<'m>(&self, mapping: &'m Mapping) -> Vec<Job<'m>> {
        mapping.pipelines.iter().map(Job::of).collect()
    }

    async fn run(&mut self, turn: &mut Turn<'_, Target>, budget: &Share) -> Result<Ended> {
        let (name, began) = (turn.pipelines()[0].name.clone(), Instant::now());
        let act = self.acts.get(&name).cloned().unwrap_or(Act::Write);
        let ended = match act {
            Act::Write => self.write(turn).await.map(|()| Ended::Drained),
            Act::Toil => {
                while budget.allows(Duration::from_secs(1)) {
                    self.write(turn).await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Ok(Ended::More)
            }
            Act::End(ended) => Ok(ended),
            Act::Fail(error) => Err(error(format!("{name} is broken"))),
        };
        self.turns.push((name, began.elapsed()));
        ended
    }
}

/// Pipelines `a`, `b` and `c`, each with a table of its name, that rest so long between runs.
pub(crate) fn mapping(every: Duration) -> Arc<Mapping> {
    let pipeline = |name: &str| {
        format!(
            "  {name}:\n    source: {{ datastore: app, table: {name}{name}{name} }}\n    sink: {{ datastore: warehouse, tables: \
             {{ {name}: {{ key: {{ id: text }}, columns: {{ name: text }} }} }} }}\n"
        )
    };
    let text = format!(
        "datastores:\n  warehouse: {{ type: postgres, url: {{ env: DATABASE_URL }} }}\n  app: {{ type: dynamodb }}\npipelines:\n{}{}{}",
        pipeline("a"),
        pipeline("b"),
        pipeline("c")
    );
    let checked = mapping::load("tributary.yaml", &text);
    let mut mapping = checked.mapping.unwrap_or_else(|| panic!("{:?}", checked.findings));
    mapping.pipelines.iter_mut().for_each(|pipeline| pipeline.source.every = every);
    Arc::new(mapping)
}

/// Ticks once, as a fresh environment would.
pub(crate) async fn tick(
    database: &Database,
    mapping: &Arc<Mapping>,
    script: &mut Script,
    request: &Request,
    budget: &impl Budget,
) -> Report {
    let target = Target::from_url(database.url(), &Policy::default()).unwrap();
    let sinks = Sinks::new(mapping, mapping.pipelines.iter(), |_, _| target.clone());
    let mut ticker = Ticker::new(Arc::clone(mapping), sinks, script).unwrap();
    for (_, sink) in ticker.sinks().iter_mut() {
        sink.migrate().await.unwrap();
    }
    ticker.tick(request, budget).await.unwrap()
}

/// `pipeline state` of each line of a report.
pub(crate) fn states(report: &Report) -> Vec<String> {
    report.pipelines().iter().map(|line| format!("{} {}", line.pipeline, line.state)).collect()
}
