//! Pipelines that share a Sequin consumer: it is drained as one, and each message goes to all whose table it is of.

use std::ops::Range;
use std::time::Duration;

use super::duration::written;
use super::fields::Fields;
use super::report::Report;
use super::source::consumer;
use crate::pipeline::Source;

/// What pipelines say about their consumers.
#[derive(Default)]
pub(super) struct Consumers {
    all: Vec<Reader>,
}

struct Reader {
    pipeline: String,
    datastore: String,
    consumer: String,
    /// Whether it takes messages of one table or collection only.
    is_part: bool,
    /// Where the consumer is named.
    span: Range<usize>,
    /// What the pipelines of a consumer have to agree on, each with its place.
    shared: [(&'static str, Duration, Range<usize>); 2],
}

impl Consumers {
    /// Notes which consumer a pipeline reads, if any.
    pub(super) fn add(&mut self, pipeline: &str, source: &Source, fields: &Fields<'_>) {
        let Some((consumer, is_part, ack_wait)) = consumer(&source.kind) else { return };
        let span = |key: &str| fields.get(key).map(|node| node.span.clone());
        let named = span("consumer").unwrap_or_default();
        let place = |key| span(key).unwrap_or_else(|| named.clone());
        self.all.push(Reader {
            pipeline: pipeline.to_owned(),
            datastore: source.datastore.clone(),
            consumer: consumer.to_owned(),
            is_part,
            shared: [("every", source.every, place("every")), ("ack_wait", ack_wait, place("ack_wait"))],
            span: named,
        });
    }

    /// Reports pipelines that take each other's messages, and those that don't agree on their consumer.
    pub(super) fn check(&self, report: &mut Report<'_>) {
        for (position, reader) in self.all.iter().enumerate() {
            let same = |other: &&Reader| other.datastore == reader.datastore && other.consumer == reader.consumer;
            let others = || self.all.iter().filter(same).filter(|other| other.pipeline != reader.pipeline);
            if let (false, Some(other)) = (reader.is_part, others().next()) {
                let message = format!(
                    "pipeline `{}` reads `{}` too, and without `table` this one takes its messages as well",
                    other.pipeline, reader.consumer
                );
                report.add("shared-consumer", reader.span.clone(), message, "add `table: schema.table`");
            }
            let Some(first) = self.all[..position].iter().find(same) else { continue };
            for ((key, ours, span), (_, theirs, _)) in reader.shared.iter().zip(&first.shared) {
                if ours != theirs {
                    let message = format!(
                        "a consumer is drained as one, and pipeline `{}` says `{key}: {}` for `{}`",
                        first.pipeline,
                        written(*theirs),
                        reader.consumer
                    );
                    let hint = format!("write `{key}: {}` here, or the same at both", written(*theirs));
                    report.add("shared-consumer", span.clone(), message, hint);
                }
            }
        }
    }
}
