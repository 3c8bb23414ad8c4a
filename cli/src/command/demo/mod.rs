//! `tributary demo`: sample events through the real handler into a fresh database, and what came of them.

mod polled;
mod posted;
mod samples;
mod story;
mod surveyed;

use tributary_core::Error;
use tributary_core::pipeline::{Mapping, Pipeline};
use tributary_local::{Origin, Postgres as Server};
use tributary_postgres::connect::{Policy, Target};
use tributary_postgres::{Postgres, Which, create_database, drop_database};

use crate::args::{Args, Demo, Function};
use crate::failure::{End, Failure};
use crate::output::{Output, progress};
use crate::{function, local, mapping};
use samples::{DELIVERIES, MAPPING, SHOWN};
use story::{Kept, Rows, Story, Told};
use surveyed::Pictures;

/// The database that the demonstration makes on a server that was there before. Nothing else of it is touched.
const DATABASE: &str = "tributary_demo";

/// The largest number of rows that is shown of a table.
const LIMIT: u32 = 20;

pub(crate) async fn run(args: &Args, demo: &Demo, output: &mut Output) -> Result<End, Failure> {
    let server = local::start(args.database_url.as_deref(), demo.keep).await?;
    let place = Place::make(&server).await?;
    let pictures = Pictures::new();
    let told = Box::pin(play(&place, &server, &pictures)).await;
    let cleaned = if demo.keep && told.is_ok() { Ok(()) } else { place.remove().await };
    let mut story = told?;
    cleaned?;
    if demo.keep {
        let (url, stop) = place.kept(&server);
        story.kept = Some(Kept { url, stop, pictures: pictures.keep() });
    }
    story.tell(output)?;
    Ok(End::Fine)
}

/// The database of the demonstration.
struct Place {
    /// The server, where the database is one of our own on it.
    on: Option<Target>,
    url: String,
    target: Target,
}

impl Place {
    async fn make(server: &Server) -> Result<Place, Error> {
        let policy = Policy::default();
        if *server.origin() != Origin::Given {
            let url = server.url().to_owned();
            return Ok(Place { on: None, target: Target::from_url(&url, &policy)?, url });
        }
        let on = Target::from_url(server.url(), &policy)?;
        create_database(&on, DATABASE).await.map_err(|error| {
            Error::new(error.kind(), "cannot make a database for the demonstration")
                .with_source(error)
                .with_hint("unset DATABASE_URL: then a Postgres is started for it")
        })?;
        let url = server.url_for(DATABASE);
        Ok(Place { target: Target::from_url(&url, &policy)?, on: Some(on), url })
    }

    async fn remove(&self) -> Result<(), Error> {
        match &self.on {
            Some(server) => drop_database(server, DATABASE).await,
            None => Ok(()),
        }
    }

    /// The URL, and how to end it.
    fn kept(&self, server: &Server) -> (String, String) {
        match (&self.on, server.stop_command()) {
            // Whoever gave us the server's URL knows its password; the terminal need not.
            (Some(_), _) => (format!("postgres://{}", self.target), format!("drop database {DATABASE}")),
            (None, stop) => (self.url.clone(), stop.unwrap_or_default().to_owned()),
        }
    }
}

async fn play(place: &Place, server: &Server, pictures: &Pictures) -> Result<Story, Failure> {
    let mapping = mapping::parse("tributary.yaml".to_owned(), MAPPING.to_owned())?;
    let pipeline = first(&mapping)?;
    progress("making the tables");
    let mut story = Story { database: local::name(server), ..Story::default() };
    let mut postgres = Postgres::new(place.target.clone(), pipeline.tables.clone(), false);
    story.made = postgres.migrate().await?.steps.into_iter().map(|step| step.why).collect();

    progress("delivering the events");
    story.deliveries = Box::pin(deliver(place)).await?;
    for (name, columns) in SHOWN {
        let table = pipeline.tables.iter().find(|table| table.name == name);
        let table = table.ok_or_else(|| Error::config(format!("the sample mapping has no table {name}")))?;
        let rows = postgres.preview(table, columns, LIMIT).await?;
        story.tables.push(Rows { rows, ..Rows::empty(name, columns) });
    }
    story.letters = postgres.letters(Which::Of(&pipeline.name), LIMIT).await?;

    progress("polling Sequin and Airtable, for which servers of this process stand in");
    story.polled = Box::pin(polled::play(&place.target)).await?;

    progress("surveying houses, for which a server of this process stands in for ODK Central");
    story.surveyed = Some(Box::pin(surveyed::play(&place.target, pictures)).await?);

    progress("posting to a hook, as Stripe does");
    story.posted = Some(Box::pin(posted::play(&place.target)).await?);
    Ok(story)
}

fn first(mapping: &Mapping) -> Result<&Pipeline, Error> {
    mapping.pipelines.first().ok_or_else(|| Error::config("the sample mapping has no pipeline"))
}

async fn deliver(place: &Place) -> Result<Vec<Told>, Failure> {
    let mapping = mapping::parse("tributary.yaml".to_owned(), MAPPING.to_owned())?;
    let mut handler = function::Handler::new(Function::DynamodbStream, mapping, Some(&place.url))?;
    let mut all = Vec::new();
    for (again, delivery) in [false, true].into_iter().flat_map(|again| DELIVERIES.iter().map(move |d| (again, d))) {
        let answer = handler.handle(delivery.event.into()).await?;
        all.push(Told { file: delivery.file, remark: delivery.remark, again, answer });
    }
    handler.settle().await;
    Ok(all)
}
