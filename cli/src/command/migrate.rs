//! `tributary migrate`: what the mapping's tables lack, added or only printed.

use serde_json::json;
use tributary_postgres::Plan;

use crate::args::{Args, Migrate};
use crate::failure::{End, Failure};
use crate::output::Output;
use crate::sink::Sink;
use crate::{mapping, sink};

pub(crate) async fn run(args: &Args, migrate: &Migrate, output: &mut Output) -> Result<End, Failure> {
    let mapping = mapping::read(&args.mapping)?;
    let mut plans = Vec::new();
    for mut sink in sink::all(args, &mapping).await? {
        // What stands in the way is the result here, not an error.
        let plan = sink.postgres.plan().await?;
        if !migrate.dry_run && plan.refusals.is_empty() {
            plans.push((sink.postgres.migrate().await.map(|done| (sink, done))?, true));
        } else {
            plans.push(((sink, plan), false));
        }
    }
    let refused = plans.iter().any(|((_, plan), _)| !plan.refusals.is_empty());
    output.document(|| {
        let all: Vec<_> = plans.iter().map(|((sink, plan), done)| document(sink, plan, *done)).collect();
        json!({ "dry_run": migrate.dry_run, "datastores": all })
    })?;
    for ((sink, plan), done) in &plans {
        print(sink, plan, *done, output)?;
    }
    Ok(if refused { End::WrongInput } else { End::Fine })
}

fn document(sink: &Sink<'_>, plan: &Plan, done: bool) -> serde_json::Value {
    let steps: Vec<_> = plan.steps.iter().map(|step| json!({ "why": step.why, "sql": step.sql })).collect();
    let refusals: Vec<_> = plan
        .refusals
        .iter()
        .map(|refusal| json!({ "table": refusal.table, "problem": refusal.problem, "remedy": refusal.remedy }))
        .collect();
    json!({ "datastore": sink.name, "done": done, "steps": steps, "refusals": refusals })
}

/// SQL with its reasons as comments, so that what a dry run prints may be run by hand.
fn print(sink: &Sink<'_>, plan: &Plan, done: bool, output: &mut Output) -> Result<(), Failure> {
    if plan.is_empty() {
        output.line(&format!("-- {}: nothing to do", sink.name))?;
    }
    for step in &plan.steps {
        if done {
            output.line(&format!("-- {}: done: {}", sink.name, step.why))?;
        } else {
            output.line(&format!(
                "-- {}: {}\n{};\n",
                sink.name,
                step.why,
                step.sql.trim_end().trim_end_matches(';')
            ))?;
        }
    }
    for refusal in &plan.refusals {
        output.line(&format!("-- {}: in the way: table {}: {}", sink.name, refusal.table, refusal.problem))?;
        output.line(&format!("--   remedy: {}", refusal.remedy))?;
    }
    Ok(())
}
