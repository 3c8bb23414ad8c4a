//! The real programs: the function with a payload, and the command line.

use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use tributary_tests::{Function, Invocation, RuntimeApi, built};

use crate::fixture::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// The sample mapping as it is: what leads it to the emulator is the environment.
fn sample() -> String {
    format!("{}/../tributary.yaml", env!("CARGO_MANIFEST_DIR"))
}

async fn count(world: &World) -> String {
    world.database.rows("select count(*) from profile where not _deleted").await.remove(0)
}

#[tokio::test]
async fn the_function_backfills_when_its_payload_says_so() {
    let (world, users) = World::with_users("payload", 1_000).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tributary.yaml");
    std::fs::write(&file, &world.text).unwrap();
    let api = RuntimeApi::start().await;
    let mut variables = world.aws.environment().to_vec();
    variables.extend([("DATABASE_URL", world.database.url()), ("TRIBUTARY_MAPPING", file.to_str().unwrap())]);
    let function = Function::spawn("dynamodb-stream", &api, &variables);

    // Too little time for the whole: it answers before Lambda would kill it, and is invoked again.
    let slowly = r#"{"backfill": {"pipeline": "users", "rcu": 4}}"#;
    let answer = api.invoke(slowly, Duration::from_millis(4_500)).await.json();
    assert_eq!(answer["done"], false, "{answer} {}", function.stderr());
    assert!((1..1_000).contains(&answer["items"].as_u64().unwrap()), "{answer}");
    let rest = api.invoke(r#"{"backfill": {"pipeline": "users"}}"#, PATIENCE).await.json();
    let items = rest["items"].as_u64().unwrap() + answer["items"].as_u64().unwrap();
    assert_eq!((items, &rest["done"], &rest["segments_done"]), (1_000, &json!(true), &json!(4)), "{rest}");
    assert_eq!(world.rows().await, world.twin(&users, &[]).await);

    let Invocation::Error { body, .. } = api.invoke(r#"{"backfill": {"pipeline": "x"}}"#, PATIENCE).await else {
        panic!("an unknown pipeline is no error");
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(body.contains("\"Config\"") && body.contains("no pipeline `x`") && body.contains("it has users"), "{body}");
}

/// Runs the command line with the sample mapping against the emulator and the database.
async fn tributary(world: &World, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(tokio::task::spawn_blocking(|| built("tributary")).await.unwrap());
    command.env_clear().envs(world.aws.environment()).env("DATABASE_URL", world.database.url());
    command.args(["--mapping", &sample()]).args(arguments).stdin(std::process::Stdio::null());
    command.output().await.unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn the_command_line_generates_and_backfills() {
    let world = World::new("command").await;
    // The sample mapping reads the table of this name; its endpoint comes from the environment.
    world.aws.create_table("users").await;
    let endpoint = world.aws.endpoint();
    let generate = ["generate", "users", "--table", "users", "--endpoint", endpoint, "--count", "120", "--rate", "500"];
    let output = tributary(&world, &[&["--json"], &generate[..]].concat()).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let wrote: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let figure = |name: &str| wrote[name].as_u64().unwrap();
    assert_eq!(figure("put") + figure("updated") + figure("deleted"), 120, "{wrote}");
    let present = figure("put") - figure("deleted");

    let output = tributary(&world, &["--json", "backfill", "users", "--segments", "2"]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let done: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&done["done"], &done["items"], &done["applied"]), (&json!(true), &json!(present), &json!(present * 3)));
    assert_eq!(count(&world).await, present.to_string());

    let output = tributary(&world, &["backfill", "users", "--restart"]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let says = format!("users: {present} items read, 0 rows applied, {} stale, 0 dead letters", present * 3);
    assert!(stdout(&output).contains(&says), "{}", stdout(&output));

    for (arguments, words) in [
        (&["backfill", "nothing"][..], "no pipeline `nothing`"),
        (
            &["generate", "users", "--table", "nowhere", "--count", "1"][..],
            "cannot write to the DynamoDB table `nowhere`",
        ),
    ] {
        let output = tributary(&world, arguments).await;
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[tokio::test]
async fn an_emulator_needs_no_credentials() {
    let (world, users) = World::with_users("nobody", 10).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tributary.yaml");
    std::fs::write(&file, &world.text).unwrap();
    let program = tokio::task::spawn_blocking(|| built("tributary")).await.unwrap();
    let mut command = tokio::process::Command::new(program);
    command.env_clear().env("HOME", place.path()).env("DATABASE_URL", world.database.url());
    command.args(["--mapping", file.to_str().unwrap(), "backfill", "users"]).stdin(std::process::Stdio::null());
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(world.rows().await, world.twin(&users, &[]).await);
}
