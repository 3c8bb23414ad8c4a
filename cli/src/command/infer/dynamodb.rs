//! What a sample of a DynamoDB table shows.

use tributary_core::Error;
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::pipeline::{DynamodbStore, SourceKind};
use tributary_runtime::aws::dynamodb;
use tributary_sources::dynamodb::sample::{Sample, sample};
use tributary_sources::guess::{Fields, Guess, Inside, fields};

use super::draft::{place, scalar};
use super::{Answer, Column, Seen, columns};
use crate::args::InferDynamodb;

pub(super) async fn ask(args: &InferDynamodb) -> Result<Answer, Error> {
    let store = DynamodbStore { region: args.region.clone(), endpoint: args.endpoint.clone() };
    let client = dynamodb(&store).await;
    let sample = sample(&client, &args.table, args.sample as usize).await?;
    let mut datastore = vec![("type", "dynamodb".to_owned())];
    datastore.extend(args.region.as_deref().map(|region| ("region", scalar(region))));
    datastore.extend(args.endpoint.as_deref().map(|endpoint| ("endpoint", scalar(endpoint))));
    Ok(Answer { datastore, name: "dynamodb", seen: vec![seen(&args.table, &sample)] })
}

fn seen(table: &str, sample: &Sample) -> Seen {
    let all = fields(&sample.items);
    let count = sample.items.len();
    let name = tributary_core::auto::column_name(table);
    let key = columns(
        sample.key.iter().map(|attribute| {
            let ty = all.get(attribute.as_str()).map(Guess::ty).filter(ColumnType::can_be_key);
            (attribute.clone(), attribute.clone(), ty.unwrap_or(ColumnType::scalar(Base::Text)), String::new())
        }),
        &[],
    );
    let taken: Vec<String> = key.iter().map(|column| column.name.clone()).collect();
    let others = all.iter().filter(|(name, _)| !sample.key.iter().any(|key| **key == ***name));
    let columns = columns(
        others.map(|(name, guess)| {
            let remark = match guess.nulls {
                0 => format!("in {} of {count}", guess.present),
                nulls if nulls == guess.present => format!("in {} of {count}, always null: a guess", guess.present),
                nulls => format!("in {} of {count}, {nulls} of them null", guess.present),
            };
            (name.to_string(), name.to_string(), guess.ty(), remark)
        }),
        &taken,
    );
    let asides = columns.iter().flat_map(|column| aside(&name, column, &all, &key)).collect();
    let mut remarks = vec![match sample.is_whole {
        true => format!("types are guessed by all of its {count} items"),
        false => format!("types are guessed by {count} items"),
    }];
    match sample.stream.as_deref() {
        Some("NEW_AND_OLD_IMAGES") => {}
        Some(view) => remarks.push(format!("its stream carries {view}; NEW_AND_OLD_IMAGES is what a pipeline needs")),
        None => remarks.push("it has no stream: enable one with NEW_AND_OLD_IMAGES".into()),
    }
    let this = table.to_owned();
    Seen {
        title: format!("the DynamoDB table {table}"),
        name,
        source: vec![
            ("table", scalar(table), ""),
            ("key", format!("[{}]", sample.key.iter().map(|key| scalar(key)).collect::<Vec<_>>().join(", ")), ""),
        ],
        key,
        columns,
        others: Vec::new(),
        lists: Vec::new(),
        lines: Vec::new(),
        asides,
        remarks,
        is_whole: sample.is_whole,
        is_read_by: Box::new(
            move |pipeline| matches!(&pipeline.source.kind, SourceKind::Dynamodb { table, .. } if *table == this),
        ),
    }
}

/// The table that a map, or a list of maps, could be.
fn aside(table: &str, column: &Column, all: &Fields, key: &[Column]) -> Vec<String> {
    let (inner, list) = match all.get(column.field.as_str()).map(|guess| &guess.inside) {
        Some(Inside::Maps(inner)) => (inner, false),
        Some(Inside::Lists(inner)) => (inner, true),
        _ => return Vec::new(),
    };
    let Some(path) = place(&column.field) else { return Vec::new() };
    let part = |name: &str, from: Option<String>, ty: String| match from {
        Some(from) => format!("{}: {{ from: {}, type: {} }}", scalar(name), scalar(&from), scalar(&ty)),
        None => format!("{}: {}", scalar(name), scalar(&ty)),
    };
    let mut keys: Vec<String> = key
        .iter()
        .filter_map(|key| {
            let from = place(&key.field)?;
            Some(part(&format!("{table}_{}", key.name), Some(format!("$root.{from}")), key.ty.to_string()))
        })
        .collect();
    if list {
        keys.push(part("position", Some("$index".into()), "integer".into()));
    }
    let taken: Vec<String> = key.iter().map(|key| format!("{table}_{}", key.name)).chain(["position".into()]).collect();
    let inside = inner.iter().map(|(name, guess)| (name.to_string(), name.to_string(), guess.ty(), String::new()));
    let inside = columns(inside, &taken);
    let inside: Vec<String> = inside
        .iter()
        .filter_map(|column| {
            let path = place(&column.field)?;
            Some(part(&column.name, Some(path).filter(|path| *path != column.name), column.ty.to_string()))
        })
        .collect();
    let what = if list { "a row for each element of" } else { "a table of its own for" };
    let clean = |text: String| text.replace(char::is_control, " ");
    vec![
        clean(format!("{what} `{}`, in place of the column:", column.label)),
        clean(format!("{}:", scalar(&format!("{table}_{}", column.name)))),
        clean(format!("  from: {}", scalar(&if list { format!("{path}[]") } else { path }))),
        clean(format!("  key: {{ {} }}", keys.join(", "))),
        clean(format!("  columns: {{ {} }}", inside.join(", "))),
    ]
}
