//! Surveys to fill a server with: the form of the captures that Central's behaviour was learnt from, and answers to it.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value as Json, json};

use super::form::Field;
use super::picture::picture;
use super::world::World;

/// The id of the form.
pub const FORM: &str = "GRARentalDataCollection";

/// The questions of its first version.
pub fn fields() -> Vec<Field> {
    let all = [
        ("/survey_date", "date"),
        ("/survey_start", "dateTime"),
        ("/survey_time", "time"),
        ("/property_location", "structure"),
        ("/property_location/start_geopoint", "geopoint"),
        ("/property_location/address_plus_code_image", "binary"),
        ("/property_description", "structure"),
        ("/property_description/building_image", "binary"),
        ("/property_description/floors", "int"),
        ("/property_description/rent", "decimal"),
        ("/amenities", "select"),
        ("/tenure", "string"),
        ("/walk", "geotrace"),
        ("/plot", "geoshape"),
        ("/q1_8", "boolean"),
        ("/legacy_note", "string"),
        ("/person_details", "repeat"),
        ("/person_details/first_name", "string"),
        ("/person_details/mobile", "string"),
        ("/person_details/person_type", "select"),
        ("/person_details/occupancy", "structure"),
        ("/person_details/occupancy/since", "date"),
        ("/person_details/income", "repeat"),
        ("/person_details/income/source", "string"),
        ("/person_details/income/amount", "decimal"),
        ("/meta", "structure"),
        ("/meta/instanceID", "string"),
        ("/meta/instanceName", "string"),
    ];
    let field = |(path, kind): (&str, &str)| {
        if kind == "select" { Field::select_multiple(path) } else { Field::new(path, kind) }
    };
    all.into_iter().map(field).collect()
}

/// The answers of the capture, with so many persons, each with one or two incomes.
pub fn answers(name: &str, persons: usize) -> Json {
    json!({
        "survey_date": "2026-03-01",
        "survey_start": "2026-03-01T10:00:00.123+01:00",
        "survey_time": "10:00:00.000+01:00",
        "property_location": {
            "start_geopoint": {
                "type": "Point", "coordinates": [-16.57, 13.45, 12.5], "properties": { "accuracy": 4.3 },
            },
        },
        "property_description": { "building_image": "building.jpg", "floors": 3, "rent": 1250.5 },
        "amenities": "water power",
        "tenure": "own",
        "walk": { "type": "LineString", "coordinates": [[-16.1, 13.1, 0], [-16.2, 13.2, 0]] },
        "plot": {
            "type": "Polygon", "coordinates": [[[-16.1, 13.1, 0], [-16.2, 13.2, 0], [-16.1, 13.3, 0], [-16.1, 13.1, 0]]],
        },
        "q1_8": "true",
        "legacy_note": "old & kept",
        "person_details": (0..persons).map(person).collect::<Vec<Json>>(),
        "meta": { "instanceName": name },
    })
}

fn person(number: usize) -> Json {
    let income = if number == 0 {
        json!([{ "source": "shop", "amount": 10.5 }])
    } else {
        json!([{ "source": "job", "amount": 1 }, { "source": "farm", "amount": 2 }])
    };
    json!({
        "first_name": format!("P{number:02}"),
        "mobile": format!("77{number:02}"),
        "person_type": "owner landlord",
        "occupancy": { "since": "2020-02-29" },
        "income": income,
    })
}

/// Other answers each time; some questions stay open.
pub fn any_answers(dice: &mut Rng) -> Json {
    let names = ["Awa", "Binta", "Ebrima", "Fatou", "Lamin", "Modou", "Ndey", "Omar"];
    let some = |dice: &mut Rng| dice.u8(..4) > 0;
    let persons = dice.usize(..4);
    let people = (0..persons).map(|_| {
        let income = (0..dice.usize(..3)).map(|_| {
            json!({ "source": (["job", "farm", "shop"][dice.usize(..3)]), "amount": f64::from(dice.u32(..4_000)) / 4.0 })
        });
        let income: Vec<Json> = income.collect();
        json!({
            "first_name": names[dice.usize(..names.len())],
            "mobile": some(dice).then(|| format!("{}", dice.u32(2_000_000..9_999_999))),
            "person_type": (["owner", "landlord", "owner landlord", " tenant"][dice.usize(..4)]),
            "occupancy": { "since": format!("20{:02}-0{}-1{}", dice.u8(10..26), dice.u8(1..10), dice.u8(..10)) },
            "income": income,
        })
    });
    let people: Vec<Json> = people.collect();
    let (longitude, latitude) = (-16.5 - f64::from(dice.u16(..100)) / 1e3, 13.4 + f64::from(dice.u16(..100)) / 1e3);
    json!({
        "survey_date": format!("2026-0{}-1{}", dice.u8(1..10), dice.u8(..10)),
        "survey_start": format!("2026-03-01T1{}:00:00.123+01:00", dice.u8(..10)),
        "survey_time": "10:00:00.000+01:00",
        "property_location": {
            "start_geopoint": some(dice).then(|| json!({
                "type": "Point", "coordinates": [longitude, latitude, 12.5], "properties": { "accuracy": 4.3 },
            })),
            "address_plus_code_image": (dice.u8(..4) == 0).then(|| format!("plus-{}.png", dice.u8(..3))),
        },
        "property_description": {
            "building_image": some(dice).then(|| format!("building-{}.png", dice.u8(..3))),
            "floors": dice.u8(1..9),
            "rent": f64::from(dice.u32(100..8_000)) / 4.0,
        },
        "amenities": (["water power", "water", "power garden", ""][dice.usize(..4)]),
        "tenure": (["own", "rent"][dice.usize(..2)]),
        "q1_8": if dice.bool() { "true" } else { "false" },
        "legacy_note": some(dice).then(|| format!("note {}", dice.u32(..1_000))),
        "person_details": people,
        "meta": { "instanceName": format!("house {}", dice.u32(..1_000)) },
    })
}

/// Publishes the form and submits some answers with their pictures: a survey to look at. Gives the ids in their order.
pub fn small(world: &mut World, submissions: usize) -> Vec<String> {
    world.add_form(FORM, "1", fields());
    let mut dice = Rng::with_seed(7);
    let mut ids = Vec::new();
    for _ in 0..submissions {
        let id = world.create(FORM, &any_answers(&mut dice));
        for file in world.files(FORM, &id) {
            let content = picture(48, 32, [dice.u8(..), dice.u8(..), dice.u8(..)]);
            world.upload(FORM, &id, &file.name, content, "image/png");
        }
        ids.push(id);
    }
    ids
}

/// How long people have been at it.
const SURVEY_TOOK: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// Publishes the form and submits so many answers with so many persons each, who have no incomes and no pictures, over the
/// two months before now.
pub fn many(world: &mut World, submissions: usize, persons: usize) {
    world.set_back(SURVEY_TOOK);
    world.add_form(FORM, "1", fields());
    let pause = SURVEY_TOOK / u32::try_from(submissions.max(1)).unwrap_or(u32::MAX);
    for number in 0..submissions {
        let mut answers = answers(&format!("n{number}"), persons);
        answers["property_description"]["building_image"] = Json::Null;
        for person in answers["person_details"].as_array_mut().into_iter().flatten() {
            person["income"] = json!([]);
        }
        world.advance(pause);
        world.create(FORM, &answers);
    }
}
