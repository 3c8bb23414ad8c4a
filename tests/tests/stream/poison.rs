//! Records that cannot be applied: each lands among the dead letters with its reason and its bytes, the rest of the batch
//! is applied, and the shard goes on. After the mapping is mended, `tributary dead-letters replay` applies what it can.

use std::path::Path;
use std::process::Command;

use tributary_tests::{Database, Function, RuntimeApi, built};

use crate::fixture::*;

const MAPPING: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  app: { type: dynamodb }
pipelines:
  people:
    source: { datastore: app, table: users, key: id }
    sink:
      datastore: warehouse
      tables:
        person:
          key: { id: text }
          columns: { bio: varchar(10), age: smallint, score: numeric, tags: 'text[]', born: date }
";

/// What is in a record, and whether a wider mapping takes it.
const POISON: [(&str, &str, bool); 10] = [
    ("long-text", r#""bio":{"S":"longer than ten characters"}"#, true),
    ("large-number", r#""age":{"N":"12345678901234567890123456789012345678"}"#, true),
    ("fraction", r#""age":{"N":"1.5"}"#, true),
    ("no-number", r#""score":{"S":"many"}"#, false),
    ("no-date", r#""born":{"S":"the day after"}"#, false),
    ("null-character", r#""bio":{"S":"a\u0000b"}"#, false),
    ("unknown-type", r#""bio":{"X":"1"}"#, false),
    ("wrong-shape", r#""bio":{"S":7}"#, false),
    ("empty-set", r#""age":{"NS":[]}"#, false),
    ("twice", r#""bio":{"S":"a"},"bio":{"S":"b"}"#, false),
];

/// What DynamoDB never sends and every column takes.
const ODD: [(&str, &str); 2] = [
    ("odd-digits", r#""score":{"N":"1234567890123456789012345678901234567890.5"}"#),
    ("odd-set", r#""tags":{"SS":[]}"#),
];

/// Records that are broken outside of the item.
const BROKEN: [(&str, &str, &str); 4] = [
    ("no-new-image", r#""NewImage""#, r#""NewPicture""#),
    ("no-keys", r#""Keys""#, r#""Locks""#),
    ("no-operation", r#""INSERT""#, r#""UPSERT""#),
    ("odd-number", r#""SequenceNumber":""#, r#""SequenceNumber":"x"#),
];

fn record(number: usize, id: &str, fields: &str) -> String {
    format!(
        r#"{{"eventName":"INSERT","eventSource":"aws:dynamodb","eventSourceARN":"{ARN}","dynamodb":{{"Keys":{{"id":{{"S":"{id}"}}}},"NewImage":{{"id":{{"S":"{id}"}},{fields}}},"SequenceNumber":"{number}"}}}}"#
    )
}

fn good(number: usize) -> String {
    let most = r#""score":{"N":"12345678901234567890123456789012345678"},"tags":{"SS":["b","a"]}"#;
    record(number, &format!("good-{number}"), most)
}

fn replay(mapping: &Path, database: &Database) -> String {
    let mut command = Command::new(built("tributary"));
    command.args(["dead-letters", "replay"]).env("TRIBUTARY_MAPPING", mapping).env("DATABASE_URL", database.url());
    let answer = command.output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr))
}

#[tokio::test]
async fn poison_is_kept_with_its_reason_and_stops_nobody() {
    let place = tempfile::tempdir().unwrap();
    let (file, mended) = (place.path().join("mapping.yaml"), place.path().join("mended.yaml"));
    std::fs::write(&file, MAPPING).unwrap();
    let wider = MAPPING.replace("varchar(10)", "varchar(400)").replace("smallint", "numeric");
    std::fs::write(&mended, wider).unwrap();
    let database = database_of("poison", &tributary_runtime::settings::load(&file).unwrap()).await;

    let poison = POISON.iter().map(|(id, fields, _)| (*id, fields.to_string(), None));
    let broken = BROKEN.iter().map(|(id, from, to)| (*id, r#""age":{"N":"1"}"#.to_owned(), Some((from, to))));
    let mut records = Vec::new();
    for (at, (id, fields, damage)) in poison.chain(broken).enumerate() {
        let record = record(100 + 2 * at, id, &fields);
        records.push(damage.map_or(record.clone(), |(from, to)| record.replacen(from, to, 1)));
        records.push(good(101 + 2 * at));
    }
    records.push("\"not even a record\"".to_owned());
    records.extend(ODD.iter().zip(700..).map(|((id, fields), number)| record(number, &format!("good-{id}"), fields)));
    let bad: Vec<&String> = records.iter().filter(|record| !record.contains("\"good-")).collect();
    assert_eq!(bad.len(), POISON.len() + BROKEN.len() + 1);

    let api = RuntimeApi::start().await;
    let variables = [("DATABASE_URL", database.url()), ("TRIBUTARY_MAPPING", file.to_str().unwrap())];
    let function = Function::spawn("dynamodb-stream", &api, &variables);
    // Twice: the second time all is there already, also each letter.
    for _ in 0..2 {
        assert_eq!(deliver(&api, event_of(&records)).await, all_done(), "{}", function.stderr());
    }
    // One of the letters is overtaken by a newer version of its row.
    assert_eq!(deliver(&api, event_of(&[record(900, "fraction", r#""bio":{"S":"newer"}"#)])).await, all_done());

    let rows = "select count(*), min(score), max(score), min(tags::text) from person where id like 'good-1%'";
    let digits = "12345678901234567890123456789012345678";
    let count = POISON.len() + BROKEN.len();
    assert_eq!(database.rows(rows).await, [format!("{count} | {digits} | {digits} | {{a,b}}")]);
    let odd = "select id, score, tags from person where id like 'good-o%' order by id";
    let digits_and_more = "1234567890123456789012345678901234567890.5";
    assert_eq!(
        database.rows(odd).await,
        [format!("good-odd-digits | {digits_and_more} | ∅"), "good-odd-set | ∅ | {}".into()]
    );
    let letters = "select key, tables, error from tributary.dead_letter order by id";
    insta::assert_snapshot!("poison", database.rows(letters).await.join("\n"));
    let payloads = database.rows("select convert_from(payload, 'UTF8') from tributary.dead_letter order by id").await;
    assert_eq!(payloads.iter().collect::<Vec<_>>(), bad, "byte for byte");
    let logged = function.stderr();
    assert!(["longer than ten", "the day after", "many"].iter().all(|value| !logged.contains(value)), "{logged}");

    database.execute("alter table person alter bio type varchar(400), alter age type numeric").await;
    let healed = POISON.iter().filter(|(_, _, healed)| *healed).count();
    let expect = format!("people: {healed} applied, {} still dead\n", bad.len() - healed);
    assert_eq!(replay(&mended, &database), expect);
    let rows = "select id, bio, age from person where id not like 'good-%' order by id";
    assert_eq!(
        database.rows(rows).await,
        ["fraction | newer | ∅", &format!("large-number | ∅ | {digits}"), "long-text | longer than ten characters | ∅"]
    );
    let left = database.rows("select count(*) from tributary.dead_letter").await;
    assert_eq!(left, [(bad.len() - healed).to_string()]);
    assert_eq!(replay(&mended, &database), format!("people: 0 applied, {} still dead\n", bad.len() - healed));
}
