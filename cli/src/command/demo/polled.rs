//! The second half of the demonstration: pipelines that are polled. Servers in this process stand in for Sequin and
//! Airtable; everything else is what the functions run.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tributary_core::pipeline::{Mapping, SecretRef};
use tributary_core::sink::Unlimited;
use tributary_core::{Error, Result};
use tributary_postgres::Postgres;
use tributary_postgres::connect::Target;
use tributary_runtime::airtable_poll::AirtablePoll;
use tributary_runtime::secrets::{Secret, Secrets};
use tributary_runtime::sequin_poll::SequinPoll;
use tributary_runtime::sinks::Sinks;
use tributary_runtime::tick::{Poller, Progress, Request, Ticker};
use tributary_stand_in::airtable::{self, Airtable, Field};
use tributary_stand_in::sequin::{self, Dml, Sequin};

use super::story::{Polled, Rows};
use crate::failure::Failure;
use crate::mapping;

const MAPPING: &str = include_str!("polled.yaml");
const ORDERS: &str = "public.orders";
const APARTMENTS: &str = "tblAPARTMENTS0001";
/// How long a message is leased: longer than the demonstration lasts.
const ACK_WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// The tokens of the stand-ins.
struct Tokens;

impl Secrets for Tokens {
    async fn get(&self, reference: &SecretRef) -> Result<Secret> {
        match reference {
            SecretRef::Env(name) if name == "SEQUIN_TOKEN" => Ok(Secret::new(sequin::TOKEN)),
            SecretRef::Env(name) if name == "AIRTABLE_TOKEN" => Ok(Secret::new(Airtable::TOKEN)),
            _ => Err(Error::config("the demonstration has no such secret")),
        }
    }

    fn evict(&self, _reference: &SecretRef) {}
}

/// A pipeline of each kind: what it was told step by step, and what stands in its table at the end.
///
/// # Errors
/// Those of the pollers and of the database.
pub(super) async fn play(target: &Target) -> Result<Vec<Polled>, Failure> {
    let (shop, bases) = (Sequin::start().await, Airtable::start().await);
    let text = MAPPING.replace("{sequin}", &shop.url()).replace("{airtable}", &bases.url());
    let mapping = Arc::new(mapping::parse("polled.yaml".to_owned(), text)?);
    let tables = mapping.pipelines.iter().flat_map(|pipeline| pipeline.tables.iter().cloned()).collect();
    let mut postgres = Postgres::new(target.clone(), tables, false);
    postgres.migrate().await?;
    let mut polled = vec![
        Box::pin(orders(&shop, &mut Polling::new(&mapping, target, SequinPoll::new(Arc::new(Tokens)))?)).await?,
        Box::pin(apartments(&bases, &mut Polling::new(&mapping, target, AirtablePoll::new(Arc::new(Tokens)))?)).await?,
    ];
    for polled in &mut polled {
        let pipeline = mapping.pipeline(polled.table.name);
        let table = pipeline.and_then(|pipeline| pipeline.tables.first());
        let table = table.ok_or_else(|| Error::config(format!("the sample has no table {}", polled.table.name)))?;
        polled.table.rows = postgres.preview(table, polled.table.columns, super::LIMIT).await?;
        // Ids of Airtable's records say nothing, and are others each time.
        polled.table.rows.sort();
    }
    Ok(polled)
}

/// A function that polls, as it is between two ticks.
pub(super) struct Polling<P> {
    ticker: Ticker<P, Target>,
    pub(super) steps: Vec<(&'static str, Progress)>,
}

impl<P: Poller<Target>> Polling<P> {
    pub(super) fn new(mapping: &Arc<Mapping>, target: &Target, poller: P) -> Result<Self> {
        let jobs = poller.jobs(mapping);
        let sinks =
            Sinks::new(mapping, jobs.iter().flat_map(|job| job.pipelines.iter().copied()), |_, _| target.clone());
        drop(jobs);
        Ok(Polling { ticker: Ticker::new(Arc::clone(mapping), sinks, poller)?, steps: Vec::new() })
    }

    /// Ticks once, after this has happened.
    pub(super) async fn tick(&mut self, happened: &'static str) -> Result<()> {
        let report = Box::pin(self.ticker.tick(&Request::default(), &Unlimited)).await?.into_result()?;
        self.steps.extend(report.pipelines().iter().cloned().map(|progress| (happened, progress)));
        Ok(())
    }
}

fn order(id: u64, customer: &str, status: &str, total: &str, notes: &str) -> Map<String, Value> {
    row(json!({ "id": id, "customer": customer, "status": status, "total": total, "notes": notes }))
}

fn row(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

async fn orders(shop: &Sequin, polling: &mut Polling<SequinPoll<Tokens>>) -> Result<Polled> {
    let insert = |row| Dml::Insert(ORDERS.to_owned(), row);
    let update = |key: &str, value| Dml::Update(ORDERS.to_owned(), key.to_owned(), row(value));
    {
        let mut world = shop.world();
        let table = sequin::Table { key: vec!["id".into()], toast: vec!["notes".into()], ..sequin::Table::default() };
        world.source.create(ORDERS, table);
        world.consumer("orders-sink", ACK_WAIT, &[ORDERS]).store.forgetful = true;
        world.commit(vec![
            insert(order(1, "Ada", "new", "12.50", "ring twice")),
            insert(order(2, "Grace", "new", "199.99", "a gift")),
            insert(order(3, "Edsger", "new", "7.00", "")),
        ]);
    }
    polling.tick("three orders are placed").await?;
    shop.world().commit(vec![
        update("1", json!({ "status": "paid" })),
        update("2", json!({ "status": "paid" })),
        Dml::Delete(ORDERS.to_owned(), "3".to_owned()),
    ]);
    shop.world().commit(vec![update("1", json!({ "status": "shipped" }))]);
    polling.tick("two are paid, one of them shipped, one is cancelled").await?;
    shop.world().restart();
    polling.tick("Sequin restarts, and delivers all of it again").await?;
    Ok(Polled {
        source: "Sequin",
        remark: "changes of a Postgres table, without the texts that an update left alone",
        steps: std::mem::take(&mut polling.steps),
        table: Rows::empty("orders", &["id", "customer", "status", "total", "notes", "_deleted"]),
    })
}

async fn apartments(bases: &Airtable, polling: &mut Polling<AirtablePoll<Tokens>>) -> Result<Polled> {
    const NAME: &str = "fldNAME0000000001";
    const RENT: &str = "fldRENT0000000001";
    const TAGS: &str = "fldTAGS0000000001";
    let fields = vec![
        Field::new(NAME, "Name", "singleLineText"),
        Field::with(RENT, "Rent", "currency", json!({ "precision": 2, "symbol": "€" })),
        Field::new(TAGS, "Tags", "multipleSelects"),
    ];
    bases.add_table(airtable::Table::new(APARTMENTS, "Apartments", fields));
    let home = |name: &str, rent: f64, tags: &[&str]| json!({ NAME: name, RENT: rent, TAGS: tags });
    let ids = bases.create(
        APARTMENTS,
        vec![home("Elm 5", 950.5, &["quiet"]), home("Oak 12", 1200.0, &["quiet", "garden"]), home("Ash 3", 700.0, &[])],
    );
    polling.tick("three apartments, and no column named in the mapping").await?;
    bases.edit(APARTMENTS, &ids[0], &json!({ RENT: 990, TAGS: [] }));
    bases.destroy(APARTMENTS, &ids[1..2]);
    bases.rename_field(APARTMENTS, RENT, "Rent per month");
    polling.tick("a rent rises, a record goes, a field is renamed").await?;
    polling.tick("nothing happens").await?;
    Ok(Polled {
        source: "Airtable",
        remark: "a table as its base describes it, by `columns: auto`",
        steps: std::mem::take(&mut polling.steps),
        table: Rows::empty("apartments", &["name", "rent", "tags", "_deleted"]),
    })
}
