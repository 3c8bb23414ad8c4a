//! The part of the demonstration with people in the field: a form of ODK Central with persons and pictures. A server in this
//! process stands in for Central; everything else is what the function runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tributary_core::pipeline::SecretRef;
use tributary_core::table::Table;
use tributary_core::{Error, Result};
use tributary_postgres::Postgres;
use tributary_postgres::connect::Target;
use tributary_runtime::odk_poll::OdkPoll;
use tributary_runtime::secrets::{Secret, Secrets};
use tributary_stand_in::odk::{EMAIL, Field, Odk, PASSWORD, World, picture};

use super::polled::Polling;
use super::story::{Rows, Surveyed, Visit};
use crate::failure::Failure;
use crate::mapping;

const MAPPING: &str = include_str!("surveyed.yaml");
const FORM: &str = "houses";
/// Wide enough for a list of two persons.
const WIDE: usize = 84;

/// The password of the stand-in.
struct Password;

impl Secrets for Password {
    async fn get(&self, _reference: &SecretRef) -> Result<Secret> {
        Ok(Secret::new(PASSWORD))
    }

    fn evict(&self, _reference: &SecretRef) {}
}

/// Where the pictures go. They go with it unless they are kept.
pub(super) struct Pictures(PathBuf);

impl Pictures {
    /// A directory for the temporary files of this process.
    pub(super) fn new() -> Self {
        Pictures(std::env::temp_dir().join(format!("tributary-demo-{}", std::process::id())))
    }

    /// Leaves them there; where that is.
    pub(super) fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Pictures {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // A directory for temporary files is tidied up by others too.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A survey of houses: what each tick did, and what stands in the view and the table of files at the end.
///
/// # Errors
/// Those of the poller and of the database.
pub(super) async fn play(target: &Target, pictures: &Pictures) -> Result<Surveyed, Failure> {
    let central = Odk::start().await;
    let place = pictures.path().to_str().ok_or_else(|| Error::config("TMPDIR is not UTF-8"))?;
    let text = MAPPING.replace("{central}", &central.url()).replace("{email}", EMAIL);
    let text = text.replace("{pictures}", &place.replace('\'', "''"));
    let mapping = Arc::new(mapping::parse("surveyed.yaml".to_owned(), text)?);
    let pipeline = mapping.pipeline(FORM).ok_or_else(|| lacks("pipeline"))?;
    let files = pipeline.attachments.as_ref().and_then(|files| pipeline.tables.get(files.table));
    let (Some(files), Some(houses)) = (files, pipeline.tables.first()) else { return Err(lacks("table").into()) };
    let mut postgres = Postgres::new(target.clone(), pipeline.tables.clone(), false);
    postgres.migrate().await?;

    let mut polling = Polling::new(&mapping, target, OdkPoll::new(Arc::new(Password)))?;
    let mut visits = Vec::new();
    for (happened, act) in STORY {
        act(&mut central.world());
        central.forget();
        polling.tick(happened).await?;
        let (happened, progress) = polling.steps.pop().ok_or_else(|| lacks("tick"))?;
        visits.push(Visit { happened, progress, requests: central.count() });
    }

    let view = Table { name: "house_unified".to_owned(), ..houses.clone() };
    let mut unified =
        Rows::empty("house_unified", &["house", "amenities", "system_review_state", "person_details"]).wide(WIDE);
    unified.rows = postgres.preview(&view, unified.columns, super::LIMIT).await?;
    let mut shown = Rows::empty("house_picture", &["submission_id", "name", "state", "size", "location", "_deleted"]);
    shown.rows = postgres.preview(files, shown.columns, super::LIMIT).await?;
    for value in shown.rows.iter_mut().flatten().flatten() {
        // The directory is another one each time.
        if let Some(inside) = value.strip_prefix(place) {
            *value = format!("…{inside}");
        }
    }
    Ok(Surveyed { visits, tables: vec![unified, shown.wide(WIDE)] })
}

fn lacks(what: &str) -> Error {
    Error::config(format!("the sample has no {what} of a survey"))
}

/// What happens, and how.
type Scene = (&'static str, fn(&mut World));

const STORY: [Scene; 4] = [
    ("four houses are surveyed; two pictures are on their way", begin),
    ("one person moves out, a survey is approved, one is deleted", change),
    ("a picture arrives", arrive),
    ("nothing happens, and a picture is missing on", |_| {}),
];

fn begin(world: &mut World) {
    let mut fields: Vec<Field> =
        [("/house", "string"), ("/location", "geopoint"), ("/photo", "binary"), ("/person_details", "repeat")]
            .map(|(path, kind)| Field::new(path, kind))
            .to_vec();
    fields.push(Field::select_multiple("/amenities"));
    fields.extend([("name", "string"), ("age", "int")].map(|(name, kind)| {
        let path = format!("/person_details/{name}");
        Field::new(&path, kind)
    }));
    world.add_form(FORM, "1", fields);
    for (id, house, amenities, people) in [
        ("uuid:1-ash", "Ash 3", "water", vec![person("Lamin", 61)]),
        ("uuid:2-elm", "Elm 5", "water power", vec![person("Awa", 41), person("Binta", 9)]),
        ("uuid:3-fir", "Fir 8", "", vec![]),
        ("uuid:4-oak", "Oak 12", "power garden", vec![person("Ebrima", 33), person("Fatou", 30)]),
    ] {
        world.create_as(FORM, id, &answers(house, amenities, &people));
    }
    upload(world, "uuid:1-ash", [120, 90, 60]);
    upload(world, "uuid:2-elm", [200, 160, 90]);
}

fn change(world: &mut World) {
    world.edit(FORM, "uuid:2-elm", &answers("Elm 5", "water power", &[person("Binta", 9)]));
    world.review(FORM, "uuid:4-oak", Some("approved"));
    world.delete(FORM, "uuid:1-ash");
}

fn arrive(world: &mut World) {
    upload(world, "uuid:4-oak", [90, 130, 200]);
}

fn upload(world: &mut World, id: &str, colour: [u8; 3]) {
    world.upload(FORM, id, "house.png", picture(48, 32, colour), "image/png");
}

fn person(name: &str, age: u8) -> Value {
    json!({ "name": name, "age": age })
}

fn answers(house: &str, amenities: &str, people: &[Value]) -> Value {
    json!({
        "house": house,
        "location": { "type": "Point", "coordinates": [-16.57, 13.45, 12.5], "properties": { "accuracy": 4.3 } },
        "photo": "house.png",
        "amenities": amenities,
        "person_details": people,
    })
}
