//! `tributary dead-letters`: what could not be applied: listed, shown, tried again, given up.

use serde_json::{Value, json};
use tributary_core::Error;
use tributary_core::pipeline::Mapping;
use tributary_postgres::{Letter, Which};

use crate::args::{Args, DeadLetters, Discard};
use crate::failure::{End, Failure};
use crate::output::{Output, short};
use crate::sink::Sink;
use crate::{clock, letter, mapping, sink};

pub(crate) async fn run(args: &Args, letters: &DeadLetters, output: &mut Output) -> Result<End, Failure> {
    let mapping = mapping::read(&args.mapping)?;
    match letters {
        DeadLetters::List { pipeline, limit } => list(args, &mapping, pipeline.as_deref(), *limit, output).await,
        DeadLetters::Show { id } => show(args, &mapping, *id, output).await,
        DeadLetters::Replay { pipeline } => super::replay::run(args, &mapping, pipeline.as_deref(), output).await,
        DeadLetters::Discard(what) => discard(args, &mapping, what, output).await,
    }
}

/// A pipeline that is not in the mapping would have no dead letters in silence.
pub(super) fn known<'a>(mapping: &Mapping, pipeline: Option<&'a str>) -> Result<Option<&'a str>, Error> {
    match pipeline {
        Some(name) if mapping.pipeline(name).is_none() => {
            let names: Vec<&str> = mapping.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
            Err(Error::config(format!("there is no pipeline `{name}` in the mapping"))
                .with_hint(format!("the pipelines are: {}", names.join(", "))))
        }
        other => Ok(other),
    }
}

async fn list(
    args: &Args,
    mapping: &Mapping,
    pipeline: Option<&str>,
    limit: u32,
    output: &mut Output,
) -> Result<End, Failure> {
    let which = known(mapping, pipeline)?.map_or(Which::All, Which::Of);
    let mut all: Vec<(String, Letter)> = Vec::new();
    for mut sink in sink::all(args, mapping)? {
        let letters = sink.postgres.letters(which, limit).await?;
        all.extend(letters.into_iter().map(|letter| (sink.name.clone(), letter)));
    }
    all.truncate(limit as usize);
    output.document(|| {
        let letters: Vec<Value> = all.iter().map(|(datastore, letter)| outline(datastore, letter)).collect();
        json!({ "dead_letters": letters })
    })?;
    let rows: Vec<Vec<String>> = all.iter().map(|(_, letter)| row(letter)).collect();
    let head = ["id", "pipeline", "table", "item", "tries", "last try", "error"];
    output.table(&head, &["id", "tries"], &rows)?;
    output.line(match all.len() {
        0 => "no dead letters",
        _ => "`tributary dead-letters show ID` has a record whole; `replay` tries again, `discard` gives up",
    })?;
    Ok(End::Fine)
}

fn row(letter: &Letter) -> Vec<String> {
    let retry = match letter.retry_at {
        Some(at) => format!(", again in {}", clock::span(-clock::since(at))),
        None => String::new(),
    };
    vec![
        letter.id.to_string(),
        letter.pipeline.clone(),
        letter::table(letter),
        short(&letter::key(letter), 18),
        letter.attempts.to_string(),
        format!("{} ago{retry}", clock::span(clock::since(letter.last_at))),
        short(letter::error(letter), 72),
    ]
}

fn outline(datastore: &str, letter: &Letter) -> Value {
    json!({
        "id": letter.id,
        "datastore": datastore,
        "pipeline": letter.pipeline,
        "position": letter.position,
        "key": letter.key,
        "tables": letter.tables,
        "error": letter.error,
        "attempts": letter.attempts,
        "first_at": clock::iso(letter.first_at),
        "last_at": clock::iso(letter.last_at),
        "retry_at": letter.retry_at.map(clock::iso),
    })
}

async fn show(args: &Args, mapping: &Mapping, id: i64, output: &mut Output) -> Result<End, Failure> {
    let mut found = Vec::new();
    for mut sink in sink::all(args, mapping)? {
        let letters = sink.postgres.letters(Which::Ids(&[id]), 1).await?;
        found.extend(letters.into_iter().map(|letter| (sink.name.clone(), letter)));
    }
    if found.is_empty() {
        return Err(missing(&[id]).into());
    }
    output.document(
        || json!({ "dead_letters": found.iter().map(|(name, letter)| whole(name, letter)).collect::<Vec<_>>() }),
    )?;
    for (datastore, letter) in &found {
        let Letter { pipeline, position, key, error, attempts, .. } = letter;
        output.heading(&format!("dead letter {id}"), &format!("of {pipeline}, in {datastore}"))?;
        for (name, value) in [
            ("position", position.clone()),
            ("key", key.clone()),
            ("table", letter.tables.join(", ")),
            ("error", error.clone()),
            ("tries", format!("{attempts}, {} to {}", clock::iso(letter.first_at), clock::iso(letter.last_at))),
            ("again at", letter.retry_at.map(clock::iso).unwrap_or_default()),
        ] {
            if !value.is_empty() {
                output.line(&format!("{name:>9}  {}", crate::output::printable(&value)))?;
            }
        }
        output.line("  payload")?;
        // Bytes from outside must not move the cursor; line breaks are all they may do.
        for line in String::from_utf8_lossy(&letter.payload).lines() {
            output.line(&crate::output::printable(line))?;
        }
    }
    Ok(End::Fine)
}

/// With the payload: as text where it is text, else in base64.
fn whole(datastore: &str, letter: &Letter) -> Value {
    let mut document = outline(datastore, letter);
    match std::str::from_utf8(&letter.payload) {
        Ok(text) => document["payload"] = text.into(),
        Err(_) => {
            use base64::Engine as _;
            document["payload_base64"] = base64::engine::general_purpose::STANDARD.encode(&letter.payload).into();
        }
    }
    document
}

fn missing(ids: &[i64]) -> Error {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    Error::config(format!("there is no dead letter {}", ids.join(", ")))
        .with_hint("`tributary dead-letters list` shows those that there are")
}

async fn discard(args: &Args, mapping: &Mapping, what: &Discard, output: &mut Output) -> Result<End, Failure> {
    let pipeline = known(mapping, what.pipeline.as_deref())?;
    let which = match pipeline {
        Some(name) => Which::Of(name),
        None if what.all => Which::All,
        None => Which::Ids(&what.ids),
    };
    let mut sinks = sink::all(args, mapping)?;
    if let (Which::Ids(ids), [first, second, ..]) = (which, sinks.as_slice()) {
        // The numbers count per database.
        return Err(Error::config(format!("{} could be of `{}` or `{}`", list_of(ids), first.name, second.name))
            .with_hint("say which database is meant with --database-url")
            .into());
    }
    let mut gone = 0;
    for Sink { postgres, .. } in &mut sinks {
        gone += postgres.discard(which).await?;
    }
    if let (Which::Ids(ids), 0) = (which, gone) {
        return Err(missing(ids).into());
    }
    output.document(|| json!({ "discarded": gone }))?;
    output.line(&format!("{gone} discarded"))?;
    Ok(End::Fine)
}

fn list_of(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
