//! The best that the loop which people write can be: for each row a prepared SELECT, then an INSERT or an UPDATE, and a
//! commit for each submission with its persons, by the client and the driver that we use ourselves.

use std::time::Instant;

use serde_json::Value;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;
use tributary_core::sink::Unlimited;
use tributary_sources::odk::{Central, Login, Query, Set, View};
use tributary_tests::odk::survey::FORM;
use tributary_tests::odk::{EMAIL, PASSWORD, PROJECT};

use crate::stage::connect;
use crate::{Failure, Took, peak_mb, tell};

/// The columns of a submission with their types, and where in a row they come from.
const SUBMISSION: &[(&str, &str, &str)] = &[
    ("id", "text", "/__id"),
    ("survey_date", "date", "/survey_date"),
    ("survey_start", "timestamptz", "/survey_start"),
    ("survey_time", "text", "/survey_time"),
    ("start_geopoint", "jsonb", "/property_location/start_geopoint"),
    ("address_plus_code_image", "text", "/property_location/address_plus_code_image"),
    ("building_image", "text", "/property_description/building_image"),
    ("floors", "bigint", "/property_description/floors"),
    ("rent", "numeric", "/property_description/rent"),
    ("amenities", "text", "/amenities"),
    ("tenure", "text", "/tenure"),
    ("walk", "jsonb", "/walk"),
    ("plot", "jsonb", "/plot"),
    ("q1_8", "boolean", "/q1_8"),
    ("legacy_note", "text", "/legacy_note"),
    ("instance_name", "text", "/meta/instanceName"),
    ("system", "jsonb", "/__system"),
];
const PERSON: &[(&str, &str, &str)] = &[
    ("id", "text", "/__id"),
    ("submission", "text", "/submission"),
    ("first_name", "text", "/first_name"),
    ("mobile", "text", "/mobile"),
    ("person_type", "text", "/person_type"),
    ("since", "date", "/occupancy/since"),
];

/// A table with its three statements.
struct Table {
    columns: &'static [(&'static str, &'static str, &'static str)],
    select: Statement,
    insert: Statement,
    update: Statement,
}

impl Table {
    async fn new(
        client: &tokio_postgres::Client,
        name: &str,
        columns: &'static [(&'static str, &'static str, &'static str)],
    ) -> Result<Self, Failure> {
        let typed: Vec<String> = columns.iter().map(|(column, kind, _)| format!("{column} {kind}")).collect();
        let names: Vec<&str> = columns.iter().map(|(column, _, _)| *column).collect();
        // The values as text, which costs the client nothing.
        let value = |at: usize| format!("${}::text::{}", at + 1, columns[at].1);
        let values: Vec<String> = (0..columns.len()).map(value).collect();
        let set: Vec<String> =
            names.iter().zip(&values).skip(1).map(|(name, value)| format!("{name} = {value}")).collect();
        let (typed, names, values, set) = (typed.join(", "), names.join(", "), values.join(", "), set.join(", "));
        client
            .batch_execute(&format!("drop table if exists {name}; create table {name} ({typed}, primary key (id))"))
            .await?;
        Ok(Table {
            columns,
            select: client.prepare(&format!("select * from {name} where id = $1")).await?,
            insert: client.prepare(&format!("insert into {name} ({names}) values ({values})")).await?,
            update: client.prepare(&format!("update {name} set {set} where id = $1::text")).await?,
        })
    }

    async fn put(&self, client: &tokio_postgres::Transaction<'_>, row: &Value) -> Result<(), Failure> {
        let value = |path: &str| match row.pointer(path) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        let values: Vec<Option<String>> = self.columns.iter().map(|(_, _, path)| value(path)).collect();
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let found = client.query_opt(&self.select, &values[..1]).await?;
        let statement = if found.is_some() { &self.update } else { &self.insert };
        client.execute(statement, &values).await?;
        Ok(())
    }
}

/// Copies so many submissions and tells how long it took.
pub(crate) async fn copy(server: &str, database: &str, submissions: usize) -> Result<(), Failure> {
    let mut client = connect(database).await?;
    let parents = Table::new(&client, "by_hand", SUBMISSION).await?;
    let children = Table::new(&client, "by_hand_person", PERSON).await?;
    let login = Login { email: EMAIL.to_owned(), password: PASSWORD.to_owned(), basic: false };
    let central = Central::new(server, login);
    let set = Set::Submissions { project: PROJECT, form: FORM.to_owned() };
    let began = Instant::now();
    let (mut done, mut skiptoken) = (0, None);
    while done < submissions {
        let query = Query { view: View::Whole, filter: None, top: 250, count: false, skiptoken };
        let page = central.page(&set, &query, &Unlimited).await.map_err(tributary_core::Error::from)?;
        for row in page.rows.into_iter().take(submissions - done) {
            let row: Value = serde_json::from_slice(&row.payload)?;
            let transaction = client.transaction().await?;
            parents.put(&transaction, &row).await?;
            for person in row["person_details"].as_array().into_iter().flatten() {
                let mut person = person.clone();
                person["submission"] = row["__id"].clone();
                children.put(&transaction, &person).await?;
            }
            transaction.commit().await?;
            done += 1;
        }
        skiptoken = page.next;
        if skiptoken.is_none() {
            break;
        }
    }
    tell(&Took { seconds: began.elapsed().as_secs_f64(), pass: None, peak_mb: peak_mb() })
}
