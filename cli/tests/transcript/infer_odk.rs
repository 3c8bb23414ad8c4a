//! `tributary infer odk` against a server that speaks as ODK Central does.

use std::fs;
use std::path::Path;

use tributary_tests::odk::{self, Field, Odk, survey};

use crate::infer::{run, shown};
use crate::program::{Program, snapshot, tributary};

fn ask(odk: &Odk, arguments: &str, inside: &Path) -> Program {
    tributary(&format!("infer odk --base-url {} --project {} {arguments}", odk.url(), odk::PROJECT))
        .with("ODK_EMAIL", odk::EMAIL)
        .with("ODK_PASSWORD", odk::PASSWORD)
        .inside(inside)
}

async fn server() -> Odk {
    let odk = Odk::start().await;
    odk.world().add_form(survey::FORM, "1", survey::fields());
    odk.world().add_dataset("trees", &["species", "no", "status"]);
    odk
}

const BOTH: &str = "--form GRARentalDataCollection --dataset trees";

#[tokio::test]
async fn a_form_becomes_a_mapping_and_then_shows_what_has_changed() {
    let (odk, place) = (server().await, tempfile::tempdir().unwrap());
    let draft = run(ask(&odk, BOTH, place.path())).await;
    snapshot!("infer_odk", shown(&draft, &odk.url()));
    let file = place.path().join("tributary.yaml");
    fs::write(&file, &draft.stdout).unwrap();
    run(tributary("check").inside(place.path())).await.ends(0);
    let said = run(ask(&odk, BOTH, place.path())).await;
    snapshot!("infer_odk_same", said);

    let mut fields = survey::fields();
    fields.retain(|field| !["/legacy_note", "/person_details/mobile"].contains(&field.path.as_str()));
    for field in &mut fields {
        if field.path == "/property_description/floors" {
            *field = Field::new("/property_description/floors", "string");
        }
    }
    for (path, kind) in [("/who", "structure"), ("/who/age", "int"), ("/person_details/photo", "binary")] {
        fields.push(Field::new(path, kind));
    }
    for (path, kind) in [("/who/pets", "repeat"), ("/who/pets/name", "string")] {
        fields.push(Field::new(path, kind));
    }
    odk.world().publish(survey::FORM, "2", fields);
    odk.world().add_property("trees", "height");
    let said = run(ask(&odk, BOTH, place.path())).await;
    snapshot!("infer_odk_changed", said);
    let said = run(ask(&odk, &format!("{BOTH} --json"), place.path())).await.ends(1).json();
    let what = |pipeline: usize| {
        let all = said["pipelines"][pipeline]["differences"].as_array().unwrap();
        all.iter().map(|one| one["what"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!((what(0), what(1)), ("type gone gone new new new".to_owned(), "new".to_owned()), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), draft.stdout, "the file is the user's");
}

const FOLLOWED: &str = "datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  field: { type: odk, base_url: 'https://odk.example.org', auth: { secret: prod/odk } }
pipelines:
  survey:
    source: { datastore: field, project: 1, form: GRARentalDataCollection }
    sink:
      datastore: warehouse
      tables:
        survey:
          columns: { where: { from: property_location, type: jsonb }, type: { from: walk.type, type: text }, '*': auto }
          children: { person_details: { columns: { name: { from: first_name, type: text } } }, '*': auto }
";

#[tokio::test]
async fn what_is_followed_is_nothing_new() {
    let (odk, place) = (server().await, tempfile::tempdir().unwrap());
    let check = async |mapping: &str, expect: &[&str]| {
        fs::write(place.path().join("tributary.yaml"), mapping).unwrap();
        let said = run(ask(&odk, "--form GRARentalDataCollection", place.path())).await;
        let lines: Vec<&str> = said.stdout.lines().skip(1).map(|line| line.split(" {").next().unwrap()).collect();
        assert_eq!(lines, expect, "{} {}", said.stdout, said.stderr);
    };
    let of_persons =
        ["  + person_details: mobile:", "  + person_details: person_type:", "  + person_details: occupancy_since:"];
    check(FOLLOWED, &of_persons).await;
    let all = FOLLOWED.replace("{ columns: { name: { from: first_name, type: text } } }", "auto");
    check(&all, &[]).await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_said() {
    let (odk, place) = (server().await, tempfile::tempdir().unwrap());
    let check = async |program: Program, code: i32, words: &[&str]| {
        let said = run(program).await;
        assert_eq!(said.code, code, "{}", said.stderr);
        for word in words {
            assert!(said.stderr.contains(word), "{word}: {}", said.stderr);
        }
        assert!(!said.stderr.contains(odk::PASSWORD) && !said.stderr.contains("hunter2"), "{}", said.stderr);
    };
    let ask = |arguments: &str| ask(&odk, arguments, place.path());
    check(ask("--form Survey"), 2, &["the form Survey in project 1", "not its title"]).await;
    check(ask("--dataset flowers"), 2, &["the dataset flowers in project 1"]).await;
    check(ask("--form Survey --email-env NOBODY"), 2, &["the environment variable NOBODY is not set"]).await;
    check(ask(BOTH).with("ODK_PASSWORD", "hunter2"), 1, &["refuses the email and password", "not an app user"]).await;
    check(ask(""), 2, &["--form"]).await;
}
