//! The fake of ODK Central against what was captured of a real one: shapes, errors, and what moves what.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]

mod client;

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value as Json, json};
use tributary_stand_in::odk::survey::{self, FORM, answers, fields};
use tributary_stand_in::odk::{EMAIL, Fault, Field, Odk, PASSWORD, Release, Right, World};

use client::{Client, FEED, send};

const ID: &str = "uuid:b2ec2d2d-7ffb-4322-bb60-7ff5f915f4b7";

#[tokio::test]
async fn a_row_is_the_one_that_was_captured() {
    let client = Client::new().await;
    let mut expect: Json = serde_json::from_str(include_str!("row.json")).unwrap();
    client.odk.world().set_domain("https://odk.example.org");
    client.odk.world().create_as(FORM, ID, &answers("n0", 3));
    client.odk.world().upload(FORM, ID, "building.jpg", "picture", "image/jpeg");
    let got = client.get(&format!("{FEED}('{ID}')?$expand=%2A")).await;
    let mut row = got.json();
    expect["value"][0]["__system"]["submissionDate"] = row["value"][0]["__system"]["submissionDate"].take();
    row["value"][0]["__system"]["submissionDate"] = expect["value"][0]["__system"]["submissionDate"].clone();
    assert_eq!(row, expect);
    assert_eq!(client.feed("$expand=*").await.json(), expect, "a feed has the same");
    let text = String::from_utf8(client.feed("$expand=*").await.body).unwrap();
    let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("no {words}"));
    assert!(place("\"survey_date\"") < place("\"meta\"") && place("\"meta\"") < place("\"person_details@odata"));
    let listed = client.get("/v1/projects/1/forms/GRARentalDataCollection/fields?odata=true").await.json();
    assert_eq!(listed, serde_json::from_str::<Json>(include_str!("fields.json")).unwrap());
}

#[tokio::test]
async fn an_edit_moves_persons_into_the_ids_of_others() {
    let client = Client::new().await;
    client.odk.world().create_as(FORM, ID, &answers("n0", 3));
    let mut edited = answers("n0 edited", 3);
    edited["person_details"].as_array_mut().unwrap().remove(0);
    client.odk.world().edit(FORM, ID, &edited);
    let row = &client.feed("$expand=*").await.json()["value"][0];
    let persons = row["person_details"].as_array().unwrap();
    assert_eq!(persons[0]["__id"], "5fc3fee68d56e562eb47fab9524eab4b1c3fa2c8");
    assert_eq!(persons[0]["first_name"], "P01");
    assert_eq!(persons[0]["income"][1]["__id"], "d0047e01b38a69a0e7ee9913cd1b74b5941912ec");
    assert_eq!(row["__id"], ID);
    assert_ne!(row["meta"]["instanceID"], ID, "it names the version");
    let system = &row["__system"];
    assert_eq!((&system["reviewState"], &system["edits"]), (&json!("edited"), &json!(1)));
    assert!(system["updatedAt"].is_string());
    edited["person_details"] = json!([]);
    client.odk.world().edit(FORM, ID, &edited);
    let row = client.feed("$expand=*").await.json()["value"][0].clone();
    assert_eq!((row.get("person_details"), row.get("person_details@odata.navigationLink")), (None, None));
}

#[tokio::test]
async fn refusals_are_those_that_were_captured() {
    let client = Client::new().await;
    let check = async |options: &str, status: u16, code: f64| {
        let got = client.feed(options).await;
        assert_eq!((got.status(), got.code()), (status, code), "{options}");
    };
    check("$top=2&$skiptoken=zz", 400, 400.35).await;
    check("$select=__id&$expand=%2A", 501, 501.11).await;
    check("$filter=survey_date eq '2026-03-01'", 501, 501.5).await;
    check("$filter=__system/submissionDate ge", 400, 400.18).await;
    check("$filter=__system/submissionDate ge 2026-11-20T08:00:00+00:00", 400, 400.18).await;
    check("$orderby=__system/submissionDate asc&$top=2", 501, 501.1).await;
    let url = client.odk.url();
    let got = client.get("/v1/projects/1/forms/nope.svc/Submissions").await;
    assert_eq!((got.status(), got.code()), (404, 404.1));
    let got = send(&url, "GET", "/v1/projects/1/forms/x", &[], "").await;
    assert_eq!((got.status(), got.code()), (401, 401.2));
    let got = client.session("wrong").await;
    assert_eq!((got.status(), got.code()), (401, 401.2));
    client.odk.world().delete_form(FORM);
    check("$top=1", 404, 404.1).await;
    client.odk.world().set_user(EMAIL, PASSWORD, Right::AppUser);
    check("$top=1", 403, 403.1).await;
}

#[tokio::test]
async fn pages_follow_a_place_and_a_purged_one_is_silent() {
    let client = Client::new().await;
    let made: Vec<String> =
        (0..5).map(|number| client.odk.world().create(FORM, &answers(&format!("n{number}"), 0))).collect();
    let first = client.feed("$top=2&$count=true").await;
    let newest: Vec<String> = made.iter().rev().cloned().collect();
    assert_eq!(first.ids(), newest[..2]);
    assert_eq!(first.json()["@odata.count"], 5);
    let next = first.json()["@odata.nextLink"].as_str().unwrap().to_owned();
    assert!(next.contains("?%24top=2&%24count=true&%24skiptoken=01eyJpbnN0YW5jZUlkIjoidXVpZD"), "{next}");
    assert!(!next.starts_with(&client.odk.url()), "another host");
    let path = next.split_once("/v1/").map(|(_, path)| format!("/v1/{path}")).unwrap();
    // What is new doesn't disturb it.
    client.odk.world().create(FORM, &answers("new", 0));
    let second = client.get(&path).await;
    assert_eq!(second.ids(), newest[2..4]);
    assert_eq!(second.json()["@odata.count"], 6);
    // Neither does a place that was deleted; one that was purged ends everything.
    client.odk.world().delete(FORM, &newest[1]);
    assert_eq!(client.get(&path).await.ids(), newest[2..4]);
    client.odk.world().purge(FORM, &newest[1]);
    let silent = client.get(&path).await;
    assert_eq!((silent.status(), silent.ids(), silent.json().get("@odata.nextLink")), (200, Vec::new(), None));
    assert_eq!(silent.header("etag"), Some("W/\"eventhash:00000000000000000000000000000000\""));
    let none = client.feed("$top=0&$count=true").await;
    assert_eq!((none.ids(), &none.json()["@odata.count"]), (Vec::new(), &json!(5)));
    assert!(!none.header("etag").unwrap_or_default().contains("eventhash"));
}

/// What moves which time, and which ETag: section 2.7 of what is known.
#[tokio::test]
async fn each_event_moves_what_it_moves() {
    let client = Client::new().await;
    client.odk.world().stop_clock();
    let id = client.odk.world().create(FORM, &answers("n0", 1));
    let check = async |what: &str, act: &dyn Fn(&mut World) -> bool, expect: (bool, bool, bool)| {
        let system = || client.odk.world().row(FORM, &id).unwrap()["__system"].clone();
        let before = (system(), client.etag().await);
        client.odk.world().advance(Duration::from_secs(60));
        assert!(act(&mut client.odk.world()), "{what}");
        let after = (system(), client.etag().await);
        let moved = |name: &str| before.0[name] != after.0[name];
        assert!(!moved("submissionDate"), "{what}");
        assert_eq!((moved("updatedAt"), moved("deletedAt"), before.1 != after.1), expect, "{what}");
    };
    check("edit", &|world| world.edit(FORM, &id, &answers("e", 1)), (true, false, true)).await;
    check("review", &|world| world.review(FORM, &id, Some("approved")), (true, false, true)).await;
    check("comment", &|world| world.comment(FORM, &id), (false, false, false)).await;
    check("delete", &|world| world.delete(FORM, &id), (false, true, true)).await;
    check("restore", &|world| world.restore(FORM, &id), (false, true, true)).await;
    let upload =
        |world: &mut World, content: &'static str| world.upload(FORM, &id, "building.jpg", content, "image/jpeg");
    check("upload", &|world| upload(world, "a"), (false, false, false)).await;
    check("replace", &|world| upload(world, "b"), (false, false, false)).await;
    check("clear", &|world| world.clear(FORM, &id, "building.jpg"), (false, false, false)).await;
    check(
        "publish",
        &|world| {
            world.publish(FORM, "2", fields());
            true
        },
        (false, false, false),
    )
    .await;
    check(
        "rename",
        &|world| {
            world.rename_submitter("other");
            true
        },
        (false, false, false),
    )
    .await;
    let got = client.with(&format!("{FEED}?$select=__id"), &[("if-none-match", &client.etag().await)]).await;
    assert_eq!((got.status(), got.body.len()), (304, 0));
}

#[tokio::test]
async fn a_filter_that_speaks_of_deletions_shows_them() {
    let client = Client::new().await;
    client.odk.world().stop_clock();
    let make = |name: &str| client.odk.world().create(FORM, &answers(name, 0));
    let (old, edited, deleted, purged) = (make("a"), make("b"), make("c"), make("d"));
    // Begun before, and seen after: it is dated before the others.
    let late = client.odk.world().begin(FORM, &answers("late", 0));
    client.odk.world().advance(Duration::from_secs(60));
    let now = client.feed("$top=0").await.header("date").unwrap().to_owned();
    assert!(now.ends_with("GMT"));
    let (new, at) = {
        let mut world = client.odk.world();
        world.review(FORM, &edited, Some("approved"));
        world.delete(FORM, &deleted);
        world.delete(FORM, &purged);
        world.purge(FORM, &purged);
        let new = world.create(FORM, &answers("e", 0));
        world.commit(&late);
        let at = world.row(FORM, &new).unwrap()["__system"]["submissionDate"].as_str().unwrap().to_owned();
        (new, at)
    };
    let window = format!(
        "$filter=__system/submissionDate ge {at} or __system/updatedAt ge {at} or __system/deletedAt ge {at}&$select=__id"
    );
    assert_eq!(client.feed(&window).await.ids(), [new.clone(), deleted.clone(), edited.clone()]);
    assert_eq!(client.feed("$select=__id").await.ids(), [new.clone(), late.clone(), edited.clone(), old.clone()]);
    let by_id = format!("(__id eq '{deleted}' or __id eq '{late}' or __id eq '{purged}')");
    assert_eq!(client.feed(&format!("$filter={by_id}")).await.ids(), std::slice::from_ref(&late));
    let all = format!("$filter={by_id} and (__system/deletedAt eq null or __system/deletedAt ne null)");
    assert_eq!(client.feed(&all).await.ids(), [late, deleted]);
}

#[tokio::test]
async fn older_releases_know_less() {
    let client = Client::new().await;
    let ids: Vec<String> = (0..3).map(|_| client.odk.world().create(FORM, &answers("n", 0))).collect();
    let check = async |release: Release, deletions: u16, by_id: u16, etag: bool| {
        client.odk.world().set_release(release);
        let got = client.feed("$filter=__system/deletedAt eq null").await;
        assert_eq!(got.status(), deletions, "{release:?}");
        assert_eq!(client.feed(&format!("$filter=__id eq '{}'", ids[0])).await.status(), by_id, "{release:?}");
        let got = client.feed("$select=__id").await;
        assert_eq!(got.header("etag").is_some(), etag, "{release:?}");
        let row = &client.feed("$top=1").await.json()["value"][0];
        assert_eq!(row["__system"].get("deletedAt").is_some(), deletions == 200, "{release:?}");
    };
    check(Release::V2026_2, 200, 200, true).await;
    check(Release::V2025_3, 200, 200, false).await;
    check(Release::V2024_3, 200, 501, false).await;
    check(Release::V2024_2, 501, 501, false).await;
    check(Release::V2023_3, 501, 501, false).await;
    let next = client.feed("$top=2").await.json()["@odata.nextLink"].as_str().unwrap().to_owned();
    assert!(next.ends_with("?%24top=2&%24skip=2"), "{next}");
}

#[tokio::test]
async fn files_are_where_they_are() {
    let client = Client::new().await;
    let id = client.odk.world().create(FORM, &answers("n0", 0));
    let above = format!("/v1/projects/1/forms/{FORM}/submissions/{id}/attachments");
    let file = format!("{above}/building.jpg");
    assert_eq!(client.get(&above).await.json(), json!([{ "name": "building.jpg", "exists": false }]));
    assert_eq!(client.get(&file).await.code(), 404.1);
    assert!(!client.odk.world().upload(FORM, &id, "other.jpg", "x", "image/jpeg"), "nobody expects it");
    client.odk.world().upload(FORM, &id, "building.jpg", "abc", "image/jpeg");
    assert_eq!(client.get(&above).await.json(), json!([{ "name": "building.jpg", "exists": true }]));
    let got = client.get(&file).await;
    assert_eq!((got.status(), got.body.as_slice(), got.header("content-type")), (200, &b"abc"[..], Some("image/jpeg")));
    let etag = got.header("etag").unwrap().to_owned();
    assert_eq!(etag, "\"900150983cd24fb0d6963f7d28e17f72\"");
    assert_eq!(client.with(&file, &[("if-none-match", &etag)]).await.status(), 304);
    // An edit carries it over.
    client.odk.world().edit(FORM, &id, &answers("edited", 0));
    assert_eq!(client.get(&file).await.status(), 200);
    client.odk.world().set_files_in_s3(true);
    let got = client.get(&file).await;
    let place = got.header("location").unwrap().to_owned();
    assert_eq!((got.status(), got.header("etag")), (307, None));
    let (host, path) = place.split_at(place.find("/blobs").unwrap());
    let got = send(host, "GET", path, &[], "").await;
    assert_eq!((got.status(), got.body.as_slice(), got.header("content-type")), (200, &b"abc"[..], Some("image/jpeg")));
    assert_eq!(send(host, "GET", path, &[("authorization", "Bearer x")], "").await.status(), 400);
    assert_eq!((client.odk.leaks(), client.odk.files_fetched()), (1, 1));
}

#[tokio::test]
async fn encrypted_rows_say_nothing() {
    let client = Client::new().await;
    client.odk.world().set_key(FORM, Some(3));
    let id = client.odk.world().create(FORM, &answers("n0", 2));
    let row = client.feed("$expand=*").await.json()["value"][0].clone();
    assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), ["__id", "__system"]);
    assert_eq!(row["__system"]["status"], "missingEncryptedFormData");
    client.odk.world().encrypted_data_arrives(FORM, &id);
    assert_eq!(client.feed("").await.json()["value"][0]["__system"]["status"], "notDecrypted");
}

#[tokio::test]
async fn a_publication_changes_the_columns_of_all() {
    let client = Client::new().await;
    let path = format!("/v1/projects/1/forms/{FORM}");
    let card = client.with(&path, &[("x-extended-metadata", "true")]).await.json();
    assert_eq!((&card["version"], &card["submissions"], &card["keyId"]), (&json!("1"), &json!(0), &Json::Null));
    client.odk.world().create(FORM, &answers("n0", 1));
    let mut next = fields();
    next.retain(|field| field.path != "/legacy_note");
    next.push(Field::new("/new_q", "string"));
    client.odk.world().publish(FORM, "", next);
    let row = client.feed("$expand=*").await.json()["value"][0].clone();
    assert_eq!((row.get("legacy_note"), row.get("new_q")), (None, Some(&Json::Null)));
    let published = client.get(&path).await.json();
    assert_ne!((&published["hash"], &published["version"]), (&card["hash"], &card["version"]));
    let listed = async |version: &str| {
        let fields = client.get(&format!("{path}/versions/{version}/fields?odata=true")).await.json();
        fields.as_array().unwrap().iter().any(|field| field["path"] == "/legacy_note")
    };
    assert!(listed("1").await && !listed("___").await);
    assert_eq!(client.get(&format!("{path}/versions")).await.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn entities_have_versions() {
    let client = Client::new().await;
    let feed = "/v1/projects/1/datasets/properties.svc/Entities";
    let ids: Vec<String> = {
        let mut world = client.odk.world();
        world.add_dataset("properties", &["owner", "geometry", "status"]);
        (0..3).map(|n| world.create_entity("properties", &format!("House {n}"), &json!({ "owner": "o" }))).collect()
    };
    let entity = |id: &str| client.odk.world().entity("properties", id).unwrap()["__system"].clone();
    client.odk.world().update_entity("properties", &ids[0], "House 0", &json!({ "status": "visited" }));
    assert_eq!((&entity(&ids[0])["version"], &entity(&ids[0])["updates"]), (&json!(2), &json!(1)));
    client.odk.world().delete_entity("properties", &ids[1]);
    assert_eq!(client.get(feed).await.ids(), [ids[2].clone(), ids[0].clone()]);
    let got = client.get(&format!("{feed}?$filter=__system/deletedAt%20ne%20null")).await;
    assert_eq!(got.ids(), [ids[1].clone()]);
    assert!(entity(&ids[1])["updatedAt"].is_null());
    client.odk.world().restore_entity("properties", &ids[1]);
    assert!(entity(&ids[1])["updatedAt"].is_string(), "a restore moves it");
    assert_eq!(entity(&ids[1])["version"], 1);
    let page = client.get(&format!("{feed}?$top=1&$count=true")).await;
    let row = page.json()["value"][0].clone();
    assert_eq!(
        row.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["__id", "__system", "geometry", "label", "owner", "status"]
    );
    let next = page.json()["@odata.nextLink"].as_str().unwrap().to_owned();
    assert!(next.contains("%24skiptoken=01eyJ1dWlkIjoi"), "{next}");
    let card = client.get("/v1/projects/1/datasets/properties").await.json();
    assert_eq!(card["properties"][0]["name"], "owner");
}

#[tokio::test]
async fn a_survey_has_pictures() {
    let odk = Odk::start().await;
    let ids = survey::small(&mut odk.world(), 12);
    let files: Vec<_> = ids.iter().flat_map(|id| odk.world().files(FORM, id)).collect();
    assert!(files.len() > 5 && files.iter().all(|file| file.md5.is_some() && file.size > 4_000), "{files:?}");
    let other = Odk::start().await;
    survey::many(&mut other.world(), 3, 2);
    let id = other.world().submissions(FORM, false).remove(0);
    let row = other.world().row(FORM, &id).unwrap();
    assert_eq!(row["person_details"].as_array().unwrap().len(), 2);
    assert_eq!(row["__system"]["attachmentsExpected"], 0);
}

#[tokio::test]
async fn faults_come_in_their_turn_and_are_counted() {
    let mut client = Client::new().await;
    (0..4).for_each(|number| drop(client.odk.world().create(FORM, &answers(&format!("n{number}"), 1))));
    client.odk.fail("page", Fault::Cut(60));
    let got = client.feed("$expand=*").await;
    assert_eq!((got.status(), got.whole), (200, false));
    assert!(!got.body.is_empty());
    client.odk.fail("page", Fault::CutClean(60));
    let got = client.feed("$expand=*").await;
    assert_eq!((got.status(), got.whole), (200, true));
    assert!(serde_json::from_slice::<Json>(&got.body).is_err());
    client.odk.fail("page", Fault::Short(1));
    let got = client.feed("$count=true").await;
    assert_eq!((got.ids().len(), &got.json()["@odata.count"]), (3, &json!(4)));
    client.odk.fail("*", Fault::Busy(429, Some(7)));
    let got = client.feed("").await;
    assert_eq!((got.status(), got.header("retry-after")), (429, Some("7")));
    client.odk.fail("gate", Fault::Html(503));
    assert_eq!(client.feed("").await.status(), 200, "another kind");
    assert_eq!(client.feed("$select=__id").await.head.status(), StatusCode::SERVICE_UNAVAILABLE);
    client.odk.fail("page", Fault::Expired);
    assert_eq!(client.feed("").await.code(), 401.2);
    client.log_in().await;
    client.odk.after("page", 2, |world| world.delete_form(FORM));
    assert_eq!((client.feed("").await.status(), client.feed("").await.status()), (200, 200));
    assert_eq!(client.feed("").await.status(), 404);
    assert_eq!((client.odk.kinds()["page"], client.odk.kinds()["gate"]), (9, 1));
    assert_eq!((client.odk.kinds()["session"], client.odk.peak()), (2, 1));
    client.odk.world().set_plain_http(true);
    let basic = [("authorization", "Basic eDp5")];
    assert_eq!(send(&client.odk.url(), "GET", FEED, &basic, "").await.code(), 401.3);
}
