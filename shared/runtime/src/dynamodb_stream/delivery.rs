//! Records of a delivery as one batch a pipeline.

use std::cmp::Ordering;

use tributary_core::batch::{Batch, Checkpoint, Rejected};
use tributary_core::event::{Event, Undecodable};
use tributary_core::pipeline::{Datastore, Mapping, Pipeline, SourceKind};
use tributary_core::route::route;
use tributary_core::{Error, Result};
use tributary_sources::dynamodb::arn::StreamArn;
use tributary_sources::dynamodb::stream::Record;

use crate::clock::unix_micros;

/// Which pipelines read which stream.
pub(super) struct Streams<'m> {
    mapping: &'m Mapping,
    /// The pipelines of the stream that was seen last: a delivery is of one stream.
    last: Option<(String, Vec<&'m Pipeline>)>,
}

impl<'m> Streams<'m> {
    pub(super) fn new(mapping: &'m Mapping) -> Self {
        Streams { mapping, last: None }
    }

    /// The pipelines that read a stream.
    ///
    /// # Errors
    /// `Config` when there is none: acknowledging its records would lose them.
    fn of(&mut self, arn: &StreamArn) -> Result<&[&'m Pipeline]> {
        if self.last.as_ref().is_none_or(|(last, _)| last != arn.as_str()) {
            let mapping = self.mapping;
            let found: Vec<_> = super::pipelines(mapping).filter(|pipeline| reads(mapping, pipeline, arn)).collect();
            if found.is_empty() {
                return Err(self.unknown(arn));
            }
            self.last = Some((arn.as_str().to_owned(), found));
        }
        Ok(self.last.as_ref().map_or(&[], |(_, pipelines)| pipelines))
    }

    /// The pipelines of a record that doesn't say its stream: those of its delivery, or the only one there is.
    fn of_nameless(&self) -> Result<Vec<&'m Pipeline>> {
        let all: Vec<_> = super::pipelines(self.mapping).collect();
        match &self.last {
            Some((_, pipelines)) => Ok(pipelines.clone()),
            None if all.len() == 1 => Ok(all),
            None => Err(Error::data("a record has no eventSourceARN, and several pipelines read DynamoDB")
                .with_hint("an event source mapping always sends it; add it to events written by hand")),
        }
    }

    fn unknown(&self, arn: &StreamArn) -> Error {
        let tables: Vec<String> = super::pipelines(self.mapping)
            .filter_map(|pipeline| {
                let table = table(pipeline)?;
                Some(match region(self.mapping, pipeline) {
                    Some(region) => format!("{table} in {region}"),
                    None => table.to_owned(),
                })
            })
            .collect();
        let message = format!("no pipeline reads the stream {}; the mapping reads {}", arn.as_str(), tables.join(", "));
        Error::config(message).with_hint(format!(
            "add a pipeline with `table: {}` to the mapping, or remove the event source mapping",
            arn.table()
        ))
    }
}

fn reads(mapping: &Mapping, pipeline: &Pipeline, arn: &StreamArn) -> bool {
    table(pipeline) == Some(arn.table()) && region(mapping, pipeline).is_none_or(|region| region == arn.region())
}

fn table(pipeline: &Pipeline) -> Option<&str> {
    match &pipeline.source.kind {
        SourceKind::Dynamodb { table, .. } => Some(table),
        _ => None,
    }
}

fn region<'m>(mapping: &'m Mapping, pipeline: &Pipeline) -> Option<&'m str> {
    match mapping.datastores.get(&pipeline.source.datastore) {
        Some(Datastore::Dynamodb(store)) => store.region.as_deref(),
        _ => None,
    }
}

/// Some records of a delivery, routed.
pub(super) struct Portion<'m> {
    batches: Vec<(&'m Pipeline, Batch<'m>)>,
    lowest: Option<Box<str>>,
}

impl<'m> Portion<'m> {
    /// Decodes and routes records. Each is dropped as soon as it is routed.
    ///
    /// # Errors
    /// `Config` when no pipeline reads a record's stream.
    pub(super) fn read(records: impl Iterator<Item = Record>, streams: &mut Streams<'m>) -> Result<Self> {
        let mut portion = Portion { batches: Vec::new(), lowest: None };
        let mut nameless = Vec::new();
        let received = unix_micros();
        for record in records {
            let Record { arn, sequence_number, decoded } = record;
            if let Some(number) = &sequence_number
                && portion.lowest.as_ref().is_none_or(|lowest| by_number(number, lowest).is_lt())
            {
                portion.lowest = Some(number.clone());
            }
            match (arn, decoded) {
                (Some(arn), Ok(event)) => {
                    for pipeline in streams.of(&arn)? {
                        portion.event(pipeline, &event, arn.label(), sequence_number.as_deref(), received);
                    }
                }
                (Some(arn), Err(bad)) => streams.of(&arn)?.iter().for_each(|pipeline| portion.bad(pipeline, &bad)),
                (None, Err(bad)) => nameless.push(bad),
                (None, Ok(_)) => return Err(Error::data("a record without a stream was decoded")),
            }
        }
        if !nameless.is_empty() {
            for pipeline in streams.of_nameless()? {
                nameless.iter().for_each(|bad| portion.bad(pipeline, bad));
            }
        }
        Ok(portion)
    }

    /// The batches with their pipelines.
    pub(super) fn batches(&self) -> impl Iterator<Item = (&'m Pipeline, &Batch<'m>)> {
        self.batches.iter().map(|(pipeline, batch)| (*pipeline, batch))
    }

    /// The lowest sequence number.
    pub(super) fn lowest(&self) -> Option<Box<str>> {
        self.lowest.clone()
    }

    fn batch(&mut self, pipeline: &'m Pipeline) -> &mut Batch<'m> {
        let known = self.batches.iter().position(|(known, _)| known.name == pipeline.name);
        let position = known.unwrap_or_else(|| {
            self.batches.push((pipeline, Batch::empty(pipeline)));
            self.batches.len() - 1
        });
        &mut self.batches[position].1
    }

    fn event(&mut self, pipeline: &'m Pipeline, event: &Event, label: &str, number: Option<&str>, received: i64) {
        let batch = self.batch(pipeline);
        let position = batch.origins.len() as u32;
        batch.origins.push(event.origin.clone());
        route(pipeline, event, position, received, &mut batch.changes, &mut batch.rejected);
        advance(&mut batch.checkpoint, label, number.unwrap_or_default(), event.at);
    }

    fn bad(&mut self, pipeline: &'m Pipeline, bad: &Undecodable) {
        let batch = self.batch(pipeline);
        let event = batch.origins.len() as u32;
        batch.origins.push(bad.origin.clone());
        batch.rejected.push(Rejected { event, table: None, error: bad.error.chain() });
    }
}

/// The position of a stream is the highest number seen of it. It serves `status` alone: the stream itself remembers how
/// far it was read.
fn advance(checkpoint: &mut Option<Checkpoint>, label: &str, number: &str, at: Option<i64>) {
    let stand = checkpoint.get_or_insert_with(|| Checkpoint {
        partition: label.to_owned(),
        position: number.to_owned(),
        at,
        fence: None,
    });
    if by_number(number, &stand.position).is_gt() {
        number.clone_into(&mut stand.position);
    }
    stand.at = stand.at.max(at);
}

/// Sequence numbers are decimal digits of any length, sometimes padded.
pub(crate) fn by_number(a: &str, b: &str) -> Ordering {
    let digits = |text: &str| text.trim_start_matches('0').len();
    digits(a).cmp(&digits(b)).then_with(|| a.trim_start_matches('0').cmp(b.trim_start_matches('0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value_whatever_their_padding() {
        let check = |a, b, expect| assert_eq!(by_number(a, b), expect, "{a} {b}");
        check("999", "1000", Ordering::Less);
        check("0999", "999", Ordering::Equal);
        check("", "1", Ordering::Less);
        check("800000000003126276362", "6200000000002513011398", Ordering::Less);
    }
}
