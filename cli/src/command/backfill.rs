//! `tributary backfill`: a pipeline's source from beginning to end, with a progress bar.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tributary_core::sink::Budget;
use tributary_runtime::backfill::{Progress, Request};

use crate::args::{Args, Backfill, Function};
use crate::failure::{End, Failure};
use crate::function::Handler;
use crate::interrupt::Interrupt;
use crate::mapping;
use crate::output::{Output, progress};

/// Where nobody sees a bar, a line this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: &Args, backfill: &Backfill, output: &mut Output) -> Result<End, Failure> {
    let mapping = mapping::read(&args.mapping)?;
    let mut handler = Handler::new(Function::DynamodbStream, mapping, args.database_url.as_deref())?;
    let request = Request {
        pipeline: backfill.pipeline.clone(),
        segments: backfill.segments,
        rcu: backfill.rcu,
        restart: backfill.restart,
        repair: backfill.repair,
        allow_mass_delete: backfill.allow_mass_delete,
    };
    let budget = UntilInterrupted(Interrupt::listen("this page"));
    let mut meter = Meter::new(&backfill.pipeline);
    let done = Box::pin(handler.backfill(&request, &budget, |progress| meter.show(progress))).await;
    meter.bar.finish_and_clear();
    let Progress { items, applied, stale, dead, segments_done, segments, done: whole, spared, .. } = done?;
    let pipeline = &backfill.pipeline;
    output.document(|| {
        json!({
            "pipeline": pipeline, "done": whole, "items": items, "applied": applied, "stale": stale, "dead": dead,
            "segments": segments, "segments_done": segments_done, "repair": backfill.repair, "spared": spared,
        })
    })?;
    output
        .line(&format!("{pipeline}: {items} items read, {applied} rows applied, {stale} stale, {dead} dead letters"))?;
    for table in &spared {
        output.line(&format!("nothing was deleted in {table}"))?;
    }
    if whole {
        return Ok(End::Fine);
    }
    output.line(&format!("{segments_done} of {segments} segments are done; the same command goes on from here"))?;
    Ok(End::Failed)
}

/// Ends with the first Ctrl-C, with time to commit what is in flight and to give the lease back.
pub(super) struct UntilInterrupted(pub(super) Interrupt);

impl Budget for UntilInterrupted {
    fn remaining(&self) -> Option<Duration> {
        // Less than a further page asks for, enough for the commit of this one.
        self.0.is_set().then_some(Duration::from_secs(2))
    }
}

/// Progress on stderr: a bar in a terminal, else a line now and then.
struct Meter {
    pipeline: String,
    bar: ProgressBar,
    terminal: bool,
    last_line: Instant,
}

impl Meter {
    fn new(pipeline: &str) -> Self {
        let template = "{prefix} {bar:24} {human_pos}/{human_len} items  {per_sec}  {eta} left  {msg}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style).with_prefix(pipeline.to_owned());
        let terminal = std::io::stderr().is_terminal();
        Meter { pipeline: pipeline.to_owned(), bar, terminal, last_line: Instant::now() }
    }

    fn show(&mut self, now: &Progress) {
        let Progress { items, expected, applied, stale, dead, segments_done, segments, .. } = *now;
        // DynamoDB's count is hours old.
        self.bar.set_length(expected.max(items));
        self.bar.set_position(items);
        self.bar.set_message(format!("{applied} rows applied, {stale} stale, {dead} dead"));
        if !self.terminal && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            progress(&format!(
                "{}: {items} of about {expected} items, {segments_done} of {segments} segments, {applied} rows applied",
                self.pipeline
            ));
        }
    }
}
