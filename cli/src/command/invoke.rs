//! `tributary invoke`: a function's handler on event files, in this process.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use serde_json::json;
use tributary_core::Error;

use crate::args::{Args, Invoke};
use crate::failure::{End, Failure};
use crate::output::{Output, progress};
use crate::{function, local, mapping};

pub(crate) async fn run(args: &Args, invoke: &Invoke, output: &mut Output) -> Result<End, Failure> {
    let mapping = mapping::read(&args.mapping)?;
    // All files are read first: a wrong name is no reason to have applied half of them.
    let events = invoke.events.iter().map(|path| read(path)).collect::<Result<Vec<Bytes>, Error>>()?;
    let mut args = args.clone();
    let _server = local::stand_in(&mut args, &mapping).await?;
    let mut handler = function::Handler::new(invoke.function, mapping, args.database_url.as_deref())?;
    let mut answers = Vec::new();
    let mut end = End::Fine;
    for (path, event) in invoke.events.iter().zip(events) {
        let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
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

pub(super) fn read(path: &Path) -> Result<Bytes, Error> {
    let mut bytes = Vec::new();
    let done = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    done.map_err(|cause| Error::config(format!("cannot read the event `{}`", path.display())).with_source(cause))?;
    Ok(bytes.into())
}
