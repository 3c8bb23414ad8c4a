//! The real function while everything around it breaks, in turns and at random moments: its process is killed, Postgres
//! crashes and recovers, its connections are ended and cut, its answers get lost, its time runs out. The driver delivers
//! again as Lambda would. Nothing is lost, nothing is doubled, and at no moment is the checkpoint ahead of the data.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastrand::Rng;
use tokio_postgres::NoTls;
use tributary_runtime::stream_driver::{Disorder, Record, Rules, Shard, drive};
use tributary_tests::{Database, Function, Invocation, Proxy, RuntimeApi, built};

use crate::fixture::*;
use crate::history::{Size, history};
use crate::twin::{differences, twin};

const BACKENDS: &str =
    "from pg_stat_activity where application_name = 'tributary/dynamodb-stream' and datname = current_database()";

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Harm {
    Kill,
    Crash,
    Terminate,
    Cut,
    CutAfterBytes,
    LostAnswer,
    Deadline,
}

const HARMS: [Harm; 9] = [
    Harm::Kill,
    Harm::Cut,
    Harm::Terminate,
    Harm::Kill,
    Harm::CutAfterBytes,
    Harm::Crash,
    Harm::Kill,
    Harm::LostAnswer,
    Harm::Deadline,
];

/// One execution environment of the function, and everything around it.
struct Environment {
    program: PathBuf,
    mapping: PathBuf,
    database: Arc<Database>,
    proxy: Proxy,
    api: RuntimeApi,
    function: Function,
    dice: Rng,
    invocations: usize,
    /// How long the last one took that nobody disturbed.
    usual: Duration,
    done: BTreeMap<Harm, usize>,
    starts: usize,
}

impl Environment {
    fn started(program: &Path, mapping: &Path, proxy: &Proxy, api: &RuntimeApi) -> Function {
        let variables = [("DATABASE_URL", proxy.url()), ("TRIBUTARY_MAPPING", mapping.to_str().unwrap())];
        Function::of_program(program, "dynamodb-stream", &api.address(), &variables)
    }

    fn restart(&mut self) {
        self.function.kill();
        self.api.abandon();
        self.function = Environment::started(&self.program, &self.mapping, &self.proxy, &self.api);
        self.starts += 1;
    }

    async fn invoke(&mut self, event: Bytes) -> Result<Bytes, String> {
        self.invocations += 1;
        // Every other time something breaks, each in its turn.
        let harm = self.invocations.is_multiple_of(2).then(|| HARMS[self.invocations / 2 % HARMS.len()]);
        let moment = self.usual.mul_f64(self.dice.f64());
        let begin = Instant::now();
        let deadline = if harm == Some(Harm::Deadline) { moment.max(Duration::from_millis(2)) } else { PATIENCE };
        match harm {
            Some(Harm::CutAfterBytes) => self.proxy.cut_after(self.dice.usize(1..40_000)),
            Some(Harm::LostAnswer) => self.proxy.cut_before_answer_to("commit\0"),
            _ => {}
        }
        let (ended, broken) = {
            let breaking = async {
                tokio::time::sleep(moment).await;
                match harm {
                    None => return false,
                    Some(Harm::Kill) => {
                        self.function.kill();
                        self.api.abandon();
                    }
                    Some(Harm::Cut) => self.proxy.cut(),
                    Some(Harm::Terminate) => {
                        let sql = format!("select pg_terminate_backend(pid) {BACKENDS}");
                        return !quietly(&self.database, &sql).await.is_empty();
                    }
                    // When one of its processes dies so, Postgres ends all others and recovers from its log.
                    Some(Harm::Crash) => {
                        let backends = quietly(&self.database, &format!("select pid {BACKENDS}")).await;
                        let kill = std::process::Command::new("kill").arg("-KILL").args(&backends).status();
                        return !backends.is_empty() && kill.is_ok_and(|status| status.success());
                    }
                    Some(Harm::CutAfterBytes | Harm::LostAnswer | Harm::Deadline) => {}
                }
                true
            };
            tokio::join!(self.api.invoke(event, deadline), breaking)
        };
        if harm.is_none() {
            self.usual = begin.elapsed();
        }
        if let (Some(harm), true) = (harm, broken) {
            *self.done.entry(harm).or_default() += 1;
        }
        match ended {
            Invocation::Response(response) => {
                if harm == Some(Harm::Kill) {
                    // It was quicker than its killer, and has died at rest.
                    self.restart();
                }
                Ok(response)
            }
            Invocation::Error { body, .. } => Err(String::from_utf8_lossy(&body).into_owned()),
            ended @ (Invocation::Lost | Invocation::TimedOut) => {
                self.restart();
                Err(format!("{ended:?}"))
            }
        }
    }
}

/// The first column of a query; nothing when the server is away.
async fn quietly(database: &Database, sql: &str) -> Vec<String> {
    let Ok((client, connection)) = tokio_postgres::connect(database.url(), NoTls).await else { return Vec::new() };
    let connection = tokio::spawn(connection);
    let answer = client.simple_query(sql).await.unwrap_or_default();
    drop(client);
    let _ = connection.await;
    let rows = answer.iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    rows.collect()
}

/// Looks at checkpoint, rows and dead letters of one moment again and again: whatever lies before the checkpoint is there.
struct Watch {
    /// By key the numbers of its versions, ascending; under no key the records that are dead letters.
    due: BTreeMap<String, Vec<u128>>,
    looks: AtomicU64,
    steps: AtomicU64,
    over: AtomicBool,
}

const LOOK: &str = "
select c.position || (select coalesce(string_agg(' ' || id || '=' || _version % 1e40::numeric, ''), '') from kept)
  || (select coalesce(string_agg(' dead=' || split_part(position, '/', 2), ''), '') from tributary.dead_letter)
from tributary.checkpoint c";

impl Watch {
    fn new(records: &[Record], poison: &[Record]) -> Self {
        let mut due: BTreeMap<String, Vec<u128>> = BTreeMap::new();
        let number = |record: &Record| record.number().unwrap().parse().unwrap();
        for record in records.iter().filter(|record| !is_poison(record)) {
            let json: serde_json::Value = serde_json::from_str(record.json()).unwrap();
            let key = json["dynamodb"]["Keys"]["id"]["S"].as_str().unwrap().to_owned();
            due.entry(key).or_default().push(number(record));
        }
        due.insert(String::new(), poison.iter().map(number).collect());
        Watch { due, looks: AtomicU64::new(0), steps: AtomicU64::new(0), over: AtomicBool::new(false) }
    }

    async fn run(&self, database: &Database) {
        let mut last = 0;
        while !self.over.load(Ordering::SeqCst) {
            for seen in quietly(database, LOOK).await {
                last = self.check(&seen, last);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn check(&self, seen: &str, last: u128) -> u128 {
        let mut words = seen.split(' ');
        let checkpoint: u128 = words.next().unwrap().parse().unwrap();
        let (mut rows, mut dead) = (BTreeMap::new(), Vec::new());
        for word in words {
            let (key, number) = word.split_once('=').unwrap();
            let number: u128 = number.parse().unwrap();
            match key {
                "dead" => dead.push(number),
                key => {
                    rows.insert(key, number);
                }
            }
        }
        for (key, numbers) in &self.due {
            let due = numbers.iter().copied().filter(|number| *number <= checkpoint);
            if key.is_empty() {
                due.for_each(|number| {
                    assert!(dead.contains(&number), "{number} is lost, the checkpoint is {checkpoint}");
                });
            } else if let Some(newest) = due.max() {
                let stored = rows.get(key.as_str()).copied().unwrap_or(0);
                assert!(stored >= newest, "{key} is at {stored}, not {newest}, and the checkpoint at {checkpoint}");
            }
        }
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.steps.fetch_add(u64::from(checkpoint != last), Ordering::SeqCst);
        checkpoint
    }
}

/// A record that no decoder takes.
fn poison(record: &str) -> String {
    record.replace("\"NewImage\"", "\"NewPicture\"")
}

fn is_poison(record: &Record) -> bool {
    record.json().contains("\"NewPicture\"")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_nothing_is_lost_or_doubled_and_no_checkpoint_runs_ahead() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    let mapping = every_kind_of_table();
    // A commit that was acknowledged must outlive a crash of the server.
    let database = Arc::new(Database::alone("breaking", false, &[("synchronous_commit", "on")]).await);
    if database.single_connection() || database.server_log().is_empty() {
        println!("skipped: it needs a server that it may kill");
        return;
    }
    migrate(&database, &mapping).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("mapping.yaml");
    std::fs::write(&file, EVERY_KIND).unwrap();
    let (proxy, api) = (Proxy::start(database.url()).await, RuntimeApi::start().await);
    let program = built("dynamodb-stream");
    let function = Environment::started(&program, &file, &proxy, &api);
    let environment = Environment {
        program,
        mapping: file,
        database: Arc::clone(&database),
        proxy,
        api,
        function,
        dice: Rng::with_seed(seed),
        invocations: 0,
        usual: Duration::from_millis(20),
        done: BTreeMap::new(),
        starts: 1,
    };

    let mut stream = history(Size { seed, keys: 80, changes: 2_400, streams: 1 }).remove(0).records;
    for record in stream.iter_mut().skip(20).step_by(150).filter(|record| record.contains("\"NewImage\"")) {
        *record = poison(record);
    }
    let records: Vec<Record> = stream.iter().map(|json| Record::new(json.as_str())).collect();
    let (bad, good): (Vec<Record>, Vec<Record>) = records.iter().cloned().partition(is_poison);
    let watch = Arc::new(Watch::new(&records, &bad));
    let watching = tokio::spawn({
        let (watch, database) = (Arc::clone(&watch), Arc::clone(&database));
        async move { watch.run(&database).await }
    });

    let begin = Instant::now();
    let disorder = Disorder { seed, replay: 0.1, duplicate: 0.02, split: true, shuffle: false };
    let rules = Rules { batch_size: 60, disorder: Some(disorder), ..Rules::default() };
    let environment = tokio::sync::Mutex::new(environment);
    let why = RefCell::new(Vec::new());
    let report = drive(&rules, Shard::of_records(records, 1), async |event| {
        let ended = environment.lock().await.invoke(event).await;
        why.borrow_mut().extend(ended.as_ref().err().cloned());
        ended
    })
    .await;
    watch.over.store(true, Ordering::SeqCst);
    watching.await.unwrap();

    let environment = environment.into_inner();
    let (looks, steps) = (watch.looks.load(Ordering::SeqCst), watch.steps.load(Ordering::SeqCst));
    println!(
        "seed {seed}: {:?} survived in {} invocations, {} processes, {} failed; {looks} looks saw {steps} checkpoints; {:.1?}",
        environment.done,
        report.deliveries.len(),
        environment.starts,
        report.failures(),
        begin.elapsed()
    );
    assert!(HARMS.iter().all(|harm| environment.done.contains_key(harm)), "{:?}", environment.done);
    assert!(report.discarded.is_empty() && report.failures() > 3 && steps > 5, "seed {seed}: {:?}", why.borrow());
    assert!(database.server_log().contains("automatic recovery in progress"), "Postgres never crashed, seed {seed}");
    let good: Vec<&str> = good.iter().map(Record::json).collect();
    let found = differences(&database, &mapping, &twin(&mapping, &good).await).await;
    assert_eq!(found, [""; 0], "seed {seed}");
    let letters = database.rows("select count(*), count(distinct position) from tributary.dead_letter").await;
    assert_eq!(letters, [format!("{0} | {0}", bad.len())], "seed {seed}");
}
