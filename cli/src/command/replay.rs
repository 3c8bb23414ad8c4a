//! `tributary dead-letters replay`: letters once more, with the mapping as it is now.

use std::collections::BTreeMap;

use serde_json::json;
use tributary_core::pipeline::Mapping;
use tributary_core::sink::Unlimited;
use tributary_postgres::{Letter, Which};
use tributary_runtime::replay::{Replayed, replay};

use super::dead_letters::known;
use crate::args::Args;
use crate::failure::{End, Failure};
use crate::output::{Output, progress};
use crate::sink;

/// Letters of a pipeline that one command takes, for memory's sake, and those that are committed together.
const AT_MOST: u32 = 10_000;
const TOGETHER: usize = 200;

pub(crate) async fn run(
    args: &Args,
    mapping: &Mapping,
    pipeline: Option<&str>,
    output: &mut Output,
) -> Result<End, Failure> {
    let wanted = known(mapping, pipeline)?;
    let mut sum: BTreeMap<&str, Replayed> = BTreeMap::new();
    for mut sink in sink::all(args, mapping)? {
        for pipeline in sink.pipelines.iter().filter(|pipeline| wanted.is_none_or(|name| name == pipeline.name)) {
            let name = pipeline.name.as_str();
            let mut letters = sink.postgres.letters(Which::Of(name), AT_MOST).await?;
            if letters.len() == AT_MOST as usize {
                progress(&format!("{name}: the oldest {AT_MOST} dead letters only"));
            }
            let total = sum.entry(name).or_default();
            while !letters.is_empty() {
                let some: Vec<Letter> = letters.drain(..letters.len().min(TOGETHER)).collect();
                let done = Box::pin(replay(mapping, &mut sink.postgres, name, some, &Unlimited)).await?;
                total.applied += done.applied;
                total.dead += done.dead;
            }
        }
        sink.postgres.settle().await;
    }
    output.document(|| {
        let one =
            |(name, done): (&&str, &Replayed)| json!({ "pipeline": name, "applied": done.applied, "dead": done.dead });
        json!({ "replayed": sum.iter().map(one).collect::<Vec<_>>() })
    })?;
    for (name, Replayed { applied, dead }) in &sum {
        output.line(&format!("{name}: {applied} applied, {dead} still dead"))?;
    }
    Ok(if sum.values().any(|done| done.dead > 0) { End::Failed } else { End::Fine })
}
