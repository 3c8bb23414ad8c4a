//! `tributary migrate`: what the mapping's tables lack, added or only printed.

use serde_json::json;
use tributary_core::auto::{self, Names};
use tributary_postgres::Plan;
use tributary_runtime::auto::{following, views};

use super::recreate;
use crate::args::{Args, Migrate};
use crate::failure::{End, Failure};
use crate::output::Output;
use crate::sink::Sink;
use crate::{mapping, sink};

pub(crate) async fn run(args: &Args, migrate: &Migrate, output: &mut Output) -> Result<End, Failure> {
    if let Some(pipeline) = &migrate.recreate {
        return Box::pin(recreate::run(args, migrate, pipeline, output)).await;
    }
    let mapping = mapping::read(&args.mapping)?;
    let mut plans = Vec::new();
    let mut later = Vec::new();
    let mut lists = Vec::new();
    for mut sink in sink::all(args, &mapping)? {
        for pipeline in sink.pipelines.iter().filter(|pipeline| auto::follows(pipeline)) {
            // Columns that it had; the others come when its source is asked.
            let names = sink.postgres.stored(&pipeline.name, auto::PARTITION).await?;
            let names = names.as_deref().map(Names::parse).transpose()?.unwrap_or_default();
            let known = auto::remembered(pipeline, &names)?;
            // Of tables whose columns don't follow some may be without those of fields that are gone.
            let tables = if known.source.kind.keeps_removed() { known.tables.clone() } else { following(&known) };
            sink.postgres.know(tables, false);
            sink.postgres.know_views(views(&known)?);
            let tables = following(pipeline).into_iter().filter(|table| !names.knows(table));
            later.extend(tables.map(|table| table.qualified_name()));
            if pipeline.routes.iter().any(|route| route.lists.is_some()) && !names.knows_lists() {
                lists.push(pipeline.name.clone());
            }
        }
        // What stands in the way is the result here, not an error.
        let plan = sink.postgres.plan().await?;
        let done = !migrate.dry_run && plan.refusals.is_empty();
        let plan = if done { sink.postgres.migrate().await? } else { plan };
        plans.push((sink, plan, done));
    }
    let refused = plans.iter().any(|(_, plan, _)| !plan.refusals.is_empty());
    output.document(|| {
        let all: Vec<_> = plans.iter().map(|(sink, plan, done)| document(sink, plan, *done)).collect();
        json!({ "dry_run": migrate.dry_run, "datastores": all, "columns_follow": later, "lists_follow": lists })
    })?;
    // With one database, its name tells nothing.
    let named = plans.len() > 1;
    for (sink, plan, done) in &plans {
        let name = if named { format!("{}: ", sink.name) } else { String::new() };
        match (done, migrate.dry_run) {
            (true, _) => print_done(&name, plan, output)?,
            (false, true) => print_script(&name, plan, output)?,
            (false, false) => {}
        }
        print_refusals(&name, plan, output)?;
    }
    for table in &later {
        output.line(&format!("-- {table}: the columns that follow its source are added when that is read first"))?;
    }
    for pipeline in &lists {
        output.line(&format!("-- {pipeline}: the tables of its repeats are made when its form is read first"))?;
    }
    if refused && !migrate.dry_run {
        output.line("nothing was changed there; `tributary migrate --dry-run` prints the rest of the plan")?;
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

fn print_done(name: &str, plan: &Plan, output: &mut Output) -> Result<(), Failure> {
    if plan.steps.is_empty() {
        output.line(&format!("{name}nothing to do"))?;
    }
    for step in &plan.steps {
        output.line(&format!("{name}done: {}", step.why))?;
    }
    Ok(())
}

/// SQL with its reasons as comments, so that it may be run by hand.
fn print_script(name: &str, plan: &Plan, output: &mut Output) -> Result<(), Failure> {
    if plan.is_empty() {
        output.line(&format!("-- {name}nothing to do"))?;
    }
    for step in &plan.steps {
        output.line(&format!("-- {name}{}\n{};\n", step.why, step.sql.trim_end().trim_end_matches(';')))?;
    }
    Ok(())
}

fn print_refusals(name: &str, plan: &Plan, output: &mut Output) -> Result<(), Failure> {
    for refusal in &plan.refusals {
        output.line(&format!("-- {name}in the way: table {}: {}", refusal.table, refusal.problem))?;
        output.line(&format!("--   remedy: {}", refusal.remedy))?;
    }
    Ok(())
}
