//! `tributary invoke`: a function's handler on event files, in this process.

use bytes::Bytes;
use serde_json::json;
use tributary_core::Error;

use crate::args::{Args, Invoke};
use crate::failure::{End, Failure};
use crate::output::{Output, progress};
use crate::{function, input, local, mapping};

pub(crate) async fn run(args: &Args, invoke: &Invoke, output: &mut Output) -> Result<End, Failure> {
    let mapping = mapping::read(&args.mapping)?;
    // All files are read first: a wrong name is no reason to have applied half of them.
    let events =
        invoke.events.iter().map(|path| input::read(path, "the event")).collect::<Result<Vec<Bytes>, Error>>()?;
    let mut args = args.clone();
    let _server = local::stand_in(&mut args, &mapping).await?;
    let mut handler = function::Handler::new(invoke.function, mapping, args.database_url.as_deref())?;
    let mut answers = Vec::new();
    let mut end = End::Fine;
    for (path, event) in invoke.events.iter().zip(events) {
        let name = input::name(path);
        let answer = Box::pin(handler.handle(event)).await.inspect_err(|_| progress(&format!("{name}: refused")))?;
        let function::Answer { records, applied, stale, dead, .. } = answer;
        progress(&format!("{name}: {records} records, {applied} rows applied, {stale} stale, {dead} dead letters"));
        if answer.failed {
            end = End::Failed;
        }
        output.line(&answer.response.to_string())?;
        answers.push(json!({ "event": path, "response": answer.response, "figures": answer.figures() }));
    }
    handler.settle().await;
    output.document(|| json!({ "answers": answers }))?;
    Ok(end)
}
