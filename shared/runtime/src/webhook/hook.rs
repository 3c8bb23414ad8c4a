//! The hooks of a mapping: who may send to each, and who takes what is sent.

use tributary_core::pipeline::{Mapping, Pipeline, SourceKind};
use tributary_core::webhook::{Mode, Trigger, WebhookSource};

use super::gate::Gate;

/// A hook.
pub(super) struct Hook {
    pub(super) name: String,
    pub(super) gate: Gate,
    pub(super) mode: Mode,
    pub(super) takers: Takers,
}

/// Who takes what is sent, by position in the mapping.
#[derive(Clone, Debug)]
pub(super) enum Takers {
    /// Pipelines, each of which reads it in its own way.
    Pipelines(Vec<usize>),
    /// A trigger, which runs others.
    Trigger(usize),
}

/// What a pipeline takes of a hook, if it takes of one.
pub(super) fn source(pipeline: &Pipeline) -> Option<&WebhookSource> {
    match &pipeline.source.kind {
        SourceKind::Webhook(source) => Some(source),
        _ => None,
    }
}

/// All hooks of a mapping. The checker has seen to it that those who share one agree.
pub(super) fn all(mapping: &Mapping) -> Vec<Hook> {
    let mut hooks: Vec<Hook> = Vec::new();
    for (position, pipeline) in mapping.pipelines.iter().enumerate() {
        let Some(source) = source(pipeline) else { continue };
        match hooks.iter_mut().find(|hook| hook.name == source.hook) {
            Some(Hook { takers: Takers::Pipelines(takers), .. }) => takers.push(position),
            _ => hooks.push(Hook::new(source, Takers::Pipelines(vec![position]))),
        }
    }
    let triggers = mapping.triggers.iter().enumerate();
    hooks.extend(triggers.map(|(position, Trigger { source, .. })| Hook::new(source, Takers::Trigger(position))));
    hooks
}

impl Hook {
    fn new(source: &WebhookSource, takers: Takers) -> Self {
        let WebhookSource { hook, verification, mode, .. } = source;
        Hook { name: hook.clone(), gate: Gate::new(verification.clone()), mode: *mode, takers }
    }
}

impl Takers {
    /// The pipelines, with what each takes.
    pub(super) fn pipelines<'m>(&self, mapping: &'m Mapping) -> Vec<(&'m Pipeline, &'m WebhookSource)> {
        let positions = match self {
            Takers::Pipelines(positions) => positions.as_slice(),
            Takers::Trigger(_) => &[],
        };
        let pipelines = positions.iter().filter_map(|position| mapping.pipelines.get(*position));
        pipelines.filter_map(|pipeline| Some((pipeline, source(pipeline)?))).collect()
    }
}
