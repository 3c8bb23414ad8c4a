//! What Sequin says of its collections, or what its first messages show.
//!
//! Messages are received and given back at once, never acknowledged: whoever drains the consumer gets them all.

use indexmap::IndexMap;
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::event::{Body, Event};
use tributary_core::pipeline::{SequinProtocol, SequinSource, SourceKind};
use tributary_core::sink::Unlimited;
use tributary_core::value::Value;
use tributary_core::{Error, Result};
use tributary_sources::guess::{Fields, fields};
use tributary_sources::http::Client;
use tributary_sources::sequin::collection::Collection;
use tributary_sources::sequin::consumer::{Consumer, Settle};
use tributary_sources::sequin::infer::of_collection;
use tributary_sources::sequin::message::messages;

use super::draft::scalar;
use super::{Answer, Seen, columns};
use crate::args::{InferSequin, Protocol};

/// The longest answer that is read.
const ANSWER_LIMIT: usize = 64 << 20;

/// A secret of the environment, which a mapping names and a command line would show.
pub(super) fn token(variable: &str) -> Result<String> {
    std::env::var(variable).ok().filter(|token| !token.is_empty()).ok_or_else(|| {
        Error::config(format!("the environment variable {variable} is not set"))
            .with_hint("it holds the token; name another one with --token-env")
    })
}

pub(super) async fn ask(args: &InferSequin) -> Result<Answer> {
    let token = token(&args.token_env)?;
    let mut datastore = vec![("type", "sequin".to_owned())];
    let protocol = match (args.protocol, &args.credential) {
        (Protocol::Stream, _) => SequinProtocol::Stream,
        (Protocol::Legacy, Some(credential)) => {
            datastore.extend([("protocol", "legacy".to_owned()), ("credential", scalar(credential))]);
            SequinProtocol::Legacy { credential: credential.clone() }
        }
        (Protocol::Legacy, None) => {
            return Err(Error::config("the former Sequin's collections belong to a credential")
                .with_hint("name it with --credential"));
        }
    };
    datastore.push(("base_url", scalar(&args.base_url)));
    datastore.push(("token", format!("{{ env: {} }}", scalar(&args.token_env))));
    let consumer = Consumer::new(&args.base_url, &protocol, &args.consumer);
    let http = Client::new();
    let seen = match args.protocol {
        Protocol::Legacy => {
            let all = consumer.collections(&http, &token, &Unlimited).await?;
            all.iter().map(|collection| of_schema(&args.consumer, collection)).collect()
        }
        Protocol::Stream => of_messages(args, &first(args, &consumer, &http, &token).await?)?,
    };
    Ok(Answer { datastore, name: "sequin", seen })
}

fn of_schema(consumer: &str, collection: &Collection) -> Seen {
    let fields = of_collection(collection).into_iter().map(|field| {
        let id = field.path.first_field().unwrap_or(&field.name).to_owned();
        let remark = if field.links { "links to another collection" } else { "" };
        (id, field.name, field.ty, remark.to_owned())
    });
    let label = if collection.name.is_empty() { &collection.id } else { &collection.name };
    let id = if collection.upstream_id.is_empty() { &collection.id } else { &collection.upstream_id };
    let (of, this) = (collection.clone(), consumer.to_owned());
    Seen {
        title: format!("the collection {label} ({})", collection.id),
        name: tributary_core::auto::column_name(label),
        source: vec![("consumer", scalar(consumer), ""), ("collection", scalar(id), ""), ("every", "1m".into(), "")],
        key: Vec::new(),
        columns: columns(fields, &["upstream_id".to_owned()]),
        others: Vec::new(),
        lists: Vec::new(),
        lines: Vec::new(),
        asides: Vec::new(),
        remarks: Vec::new(),
        is_whole: true,
        is_read_by: Box::new(move |pipeline| {
            matches!(&pipeline.source.kind, SourceKind::SequinLegacy(source)
                if source.consumer == this && of.is(&source.collection))
        }),
    }
}

/// A row of a source table, with its primary key as text.
struct Row {
    table: String,
    key: String,
    values: Value,
}

/// The rows of the first messages, which are given back.
async fn first(args: &InferSequin, consumer: &Consumer, http: &Client, token: &str) -> Result<Vec<Row>> {
    let answer = consumer.receive(http, token, args.messages, ANSWER_LIMIT, &Unlimited).await?;
    let messages = messages(&answer)?;
    let ids: Vec<&str> = messages.iter().map(|message| &*message.ack_id).collect();
    // Before anything else can go wrong.
    consumer.settle(http, token, Settle::Nack, &ids, &Unlimited).await?;
    let any = SequinSource {
        consumer: args.consumer.clone(),
        table: None,
        key: None,
        epoch: 0,
        whole: false,
        version: None,
        ack_wait: std::time::Duration::from_secs(30),
    };
    let row = |message: &tributary_sources::sequin::message::Message| match message.decode(&any).ok()? {
        Event { body: Body::Part { now, .. } | Body::Image { now, .. }, origin, .. } => {
            Some(Row { table: message.table()?, key: origin.key.into(), values: now })
        }
        Event { body: Body::Gone { .. }, .. } => None,
    };
    Ok(messages.iter().filter_map(row).collect())
}

fn of_messages(args: &InferSequin, rows: &[Row]) -> Result<Vec<Seen>> {
    let mut tables: IndexMap<&str, Vec<&Row>> = IndexMap::new();
    rows.iter().for_each(|row| tables.entry(&row.table).or_default().push(row));
    if tables.is_empty() {
        return Err(Error::unavailable(format!("no message with a row waits in `{}`", args.consumer)).with_hint(
            "run a backfill of the sink in Sequin's console, or change a row, and try again; messages that somebody \
             else has received come back when they are given back",
        ));
    }
    Ok(tables.into_iter().map(|(table, rows)| of_table(&args.consumer, table, &rows)).collect())
}

fn of_table(consumer: &str, table: &str, rows: &[&Row]) -> Seen {
    let name = table.split_once('.').map_or(table, |(_, name)| name);
    let all = fields(rows.iter().map(|row| &row.values));
    let primary = primary_key(&all, rows);
    let count = rows.len() as u64;
    let of = |name: &str| {
        let guess = &all[name];
        let values = guess.present - guess.nulls;
        let remark = if values == 0 { "always null: a guess".to_owned() } else { format!("in {values} of {count}") };
        (name.to_owned(), name.to_owned(), guess.ty(), remark)
    };
    // A key of whole numbers is mostly an integer in Postgres.
    let is_integer = |name: &str| {
        let whole = |row: &&Row| text(row.values.get(name)?)?.parse::<i64>().ok();
        rows.iter().all(|row| whole(row).is_some())
    };
    let key_type = |(field, label, ty, remark): (String, String, ColumnType, String)| {
        let ty = match ty.base {
            Base::Numeric(_) if is_integer(&field) => ColumnType::scalar(Base::Int8),
            _ if ty.can_be_key() => ty,
            _ => ColumnType::scalar(Base::Text),
        };
        (field, label, ty, remark)
    };
    let key = columns(primary.iter().map(|name| key_type(of(name))), &[]);
    let taken: Vec<String> = key.iter().map(|column| column.name.clone()).collect();
    let others = all.keys().filter(|name| !primary.iter().any(|key| ***name == **key));
    let columns = columns(others.map(|name| of(name)), &taken);
    let (this, whole_name, short) = (consumer.to_owned(), table.to_owned(), name.to_owned());
    Seen {
        title: format!("the table {table}, as {count} message{} it", if count == 1 { " shows" } else { "s show" }),
        name: tributary_core::auto::column_name(name),
        source: vec![
            ("consumer", scalar(consumer), ""),
            ("table", scalar(table), ""),
            ("every", "1m".into(), ""),
            ("replica_identity", "default".into(), "`full` if the table has it: then every message is whole"),
        ],
        key,
        columns,
        others: Vec::new(),
        lists: Vec::new(),
        lines: Vec::new(),
        asides: Vec::new(),
        remarks: vec!["the key is the primary key, guessed by its values; types are guessed too".into()],
        is_whole: false,
        is_read_by: Box::new(move |pipeline| match &pipeline.source.kind {
            SourceKind::Sequin(source) => {
                source.consumer == this
                    && source.table.as_deref().is_none_or(|table| table == whole_name || table == short)
            }
            _ => false,
        }),
    }
}

/// The columns whose values are those of the primary key in every message; those called so, or the first, where several are.
fn primary_key(fields: &Fields, rows: &[&Row]) -> Vec<String> {
    let parts: Vec<Vec<&str>> = rows.iter().map(|row| row.key.split(',').collect()).collect();
    let count = parts.first().map_or(0, Vec::len);
    let mut key: Vec<String> = Vec::new();
    for at in 0..count {
        let is_it = |name: &str| {
            rows.iter().zip(&parts).all(|(row, parts)| {
                let value = row.values.get(name).and_then(text);
                value.is_some() && value.as_deref() == parts.get(at).copied()
            })
        };
        let fits: Vec<&str> =
            fields.keys().map(|name| &**name).filter(|name| !key.iter().any(|k| k == name) && is_it(name)).collect();
        let best = fits.iter().find(|name| name.to_ascii_lowercase().contains("id")).or(fits.first());
        key.extend(best.map(|name| (*name).to_owned()));
    }
    if key.is_empty() || key.len() < count {
        let id = fields.keys().find(|name| name.eq_ignore_ascii_case("id")).or(fields.keys().next());
        return id.map(|name| name.to_string()).into_iter().collect();
    }
    key
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}
