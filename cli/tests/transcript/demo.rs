//! The demonstration from beginning to end, on a Postgres of its own and on one that was there.

use std::process::Command;

use tributary_tests::Database;

use crate::program::{snapshot, tributary};

#[test]
fn the_demonstration_tells_its_story() {
    snapshot!("demo", tributary("demo").inside(std::env::temp_dir().as_path()).run().ends(0));
}

#[tokio::test]
async fn on_a_given_server_it_leaves_nothing() {
    let database = Database::new("demo").await;
    let document = tributary("demo --json").on(&database).run().ends(0).json();
    assert_eq!(document["tables"]["profile"].as_array().unwrap().len(), 5);
    assert_eq!(document["deliveries"].as_array().unwrap().len(), 10);
    assert_eq!(document["dead_letters"].as_array().unwrap().len(), 6);
    assert!(document["kept"].is_null());
    let [orders, apartments] = document["polled"].as_array().unwrap().as_slice() else { panic!("{document}") };
    let again = &orders["steps"].as_array().unwrap()[2]["tick"];
    assert_eq!(
        (&again["records"], &again["applied"], &again["stale"]),
        (&7.into(), &0.into(), &7.into()),
        "{document}"
    );
    assert_eq!(apartments["apartments"].as_array().unwrap().len(), 3);
    let surveyed = &document["surveyed"];
    let figures: Vec<[u64; 4]> = surveyed["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            ["inserted", "updated", "deleted", "attachments"].map(|name| step["tick"][name].as_u64().unwrap_or(0))
        })
        .collect();
    assert_eq!(figures, [[4, 0, 0, 2], [0, 2, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]], "{document}");
    let unified = surveyed["tables"]["house_unified"].as_array().unwrap();
    let people: Vec<(&str, &str)> =
        unified.iter().map(|row| (row["house"].as_str().unwrap(), row["person_details"].as_str().unwrap())).collect();
    let left = r#"[{"no": 0, "age": 9, "name": "Binta"}]"#;
    assert_eq!(people[..2], [("Elm 5", left), ("Fir 8", "[]")], "{document}");
    let posted: Vec<(u64, u64, u64)> = document["posted"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (&step["status"], &step["summary"]))
        .map(|(status, summary)| {
            [status, &summary["applied"], &summary["duplicates"]].map(|figure| figure.as_u64().unwrap())
        })
        .map(|[status, applied, duplicates]| (status, applied, duplicates))
        .collect();
    assert_eq!(posted, [(200, 1, 0), (200, 1, 0), (200, 0, 1), (200, 0, 0), (401, 0, 0)], "{document}");
    assert_eq!(document["posted"]["payments"][0]["status"], "succeeded");
    let applied_again = document["deliveries"].as_array().unwrap().iter().filter(|delivery| delivery["again"] == true);
    assert!(applied_again.into_iter().all(|delivery| delivery["figures"]["applied"] == 0), "{document}");
    assert_eq!(database.rows("select count(*) from pg_database where datname = 'tributary_demo'").await, ["0"]);
    assert_eq!(database.rows("select count(*) from pg_tables where tablename = 'profile'").await, ["0"]);
}

#[test]
fn a_kept_database_answers_until_it_is_ended() {
    let document = tributary("demo --keep --json").run().ends(0).json();
    let (url, stop) = (document["kept"]["url"].as_str().unwrap(), document["kept"]["stop"].as_str().unwrap());
    let pictures = std::path::PathBuf::from(document["kept"]["pictures"].as_str().unwrap());
    assert!(std::fs::read(pictures.join("uuid:4-oak/house.png")).unwrap().starts_with(b"\x89PNG"));
    std::fs::remove_dir_all(pictures).unwrap();
    let status = || tributary("status --json --database-url").argument(url).run();
    let found = status().ends(0).json();
    assert_eq!(found["pipelines"][0]["dead_letters"]["open"], 6);
    assert!(Command::new("sh").args(["-c", stop]).status().unwrap().success());
    let begin = std::time::Instant::now();
    while status().code != 1 {
        assert!(begin.elapsed().as_secs() < 15, "it still answers");
    }
}
