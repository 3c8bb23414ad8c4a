//! `tributary redrive`: what an event source mapping gave up, through the function's handler, here.
//!
//! A batch is applied first and deleted where it was kept afterwards. Whoever dies in between applies it once more, which
//! changes nothing. Batches come in any order; the versions of their changes decide.

mod report;

use std::sync::Arc;

use bytes::Bytes;
use tributary_core::pipeline::Mapping;
use tributary_core::{Error, Kind};
use tributary_runtime::stream_driver::Record;

use crate::args::{Args, Function, Redrive};
use crate::failure::{End, Failure};
use crate::given_up::{Content, GivenUp};
use crate::interrupt::Interrupt;
use crate::keeper::{Keeper, Kept};
use crate::output::Output;
use crate::stream::{range, readers};
use crate::{function, mapping, sink};
use report::{Ended, Redriven, Report};

pub(crate) async fn run(args: &Args, redrive: &Redrive, output: &mut Output) -> Result<End, Failure> {
    let mapping = mapping::read(&args.mapping)?;
    // Not one of our own, as for a trial: what is deleted here must stay there.
    if !redrive.dry_run && sink::none_at_hand(args, &mapping) {
        let error = Error::config("no database is named").with_hint("set DATABASE_URL, or name it with --database-url");
        return Err(error.into());
    }
    let mut keeper = Keeper::open(redrive).await?;
    let handler = function::Handler::new(Function::DynamodbStream, mapping, args.database_url.as_deref())?;
    let mapping = Arc::clone(handler.mapping());
    let mut work = Work { redrive, mapping: &mapping, handler };
    let mut report = Box::pin(work.run(&mut keeper)).await;
    keeper.release().await;
    work.handler.settle().await;
    match report.ended.take() {
        // Nothing has happened that there would be to tell of.
        Some(Ended::Unlisted(error)) if report.batches.is_empty() => Err(error.into()),
        ended => {
            report.ended = ended;
            report.print(output)
        }
    }
}

struct Work<'a> {
    redrive: &'a Redrive,
    mapping: &'a Mapping,
    handler: function::Handler,
}

impl Work<'_> {
    async fn run(&mut self, keeper: &mut Keeper) -> Report {
        let interrupt = Interrupt::listen("this batch");
        let mut report = Report { rehearsal: self.redrive.dry_run, ..Report::default() };
        loop {
            if interrupt.is_set() {
                report.ended = Some(Ended::Interrupted);
                break;
            }
            let kept = match keeper.next().await {
                Ok(Some(kept)) => kept,
                Ok(None) => break,
                Err(error) => {
                    report.ended = Some(Ended::Unlisted(error));
                    break;
                }
            };
            let Kept { name, document, handle } = kept;
            let mut batch = Redriven::new(name);
            let done = Box::pin(self.batch(document, &mut batch)).await;
            if done.is_ok() && self.deletes(keeper, &batch) {
                match keeper.delete(&handle).await {
                    Ok(()) => batch.deleted = true,
                    Err(error) => batch.undeleted = Some(error),
                }
            }
            // A database that is away takes none of the others either.
            let away = matches!(&done, Err(Refused::ByDatabase(_)));
            if let Err(Refused::ByDatabase(error) | Refused::AsItIs(error)) = done {
                batch.error = Some(error);
            }
            report.batches.push(batch);
            if away {
                report.ended = Some(Ended::DatabaseAway);
                break;
            }
        }
        report
    }

    /// Whether a batch that is committed, as far as it was to be had, is deleted where it was kept.
    fn deletes(&self, keeper: &Keeper, batch: &Redriven) -> bool {
        let whole = match keeper {
            Keeper::Files(_) => false,
            Keeper::Bucket(_) => self.redrive.delete,
            Keeper::Queue(_) => true,
        };
        !self.redrive.dry_run && if batch.lost == 0 { whole } else { self.redrive.forget_lost }
    }

    async fn batch(&mut self, document: Result<Bytes, Error>, batch: &mut Redriven) -> Result<(), Refused> {
        let given_up = GivenUp::read(&document?)?;
        batch.of(&given_up);
        let readers = readers(self.mapping, &given_up.stream)?;
        batch.pipelines = readers.iter().map(|(pipeline, _)| pipeline.name.clone()).collect();
        let (records, whole) = match given_up.content {
            Content::Whole(records) => (records, true),
            Content::Range(range) => {
                let mut store = readers[0].1.clone();
                store.region = Some(given_up.stream.region().to_owned());
                store.endpoint = self.redrive.endpoint.clone().or(store.endpoint);
                let found = Box::pin(range::read(&store, &given_up.stream, &range)).await?;
                (found.records, found.whole)
            }
        };
        batch.records = records.len() as u64;
        batch.lost = given_up.size.saturating_sub(batch.records).max(u64::from(!whole));
        if records.is_empty() || self.redrive.dry_run {
            return Ok(());
        }
        let answer = Box::pin(self.handler.handle(event(&records))).await.map_err(|error| match error.kind() {
            Kind::Unavailable | Kind::Auth => Refused::ByDatabase(error),
            _ => Refused::AsItIs(error),
        })?;
        (batch.applied, batch.stale, batch.dead) = (answer.applied, answer.stale, answer.dead);
        match answer.failed {
            false => Ok(()),
            true => Err(Refused::ByDatabase(Error::unavailable("the database did not commit it"))),
        }
    }
}

/// Why a batch is not done.
enum Refused {
    /// It has to do with the batch, and others may do better.
    AsItIs(Error),
    /// It hasn't.
    ByDatabase(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::AsItIs(error)
    }
}

/// The payload of these records, made anew: whatever else stood beside them is not for the handler.
fn event(records: &[Record]) -> Bytes {
    let records: Vec<&str> = records.iter().map(Record::json).collect();
    format!("{{\"Records\":[{}]}}", records.join(",")).into()
}
