//! The database's password changes while the function is warm: it goes on with the new one, in the same process, as soon
//! as the secret has it; until then the stream waits.

use std::path::PathBuf;

use aws_sdk_secretsmanager::Client;
use tributary_core::pipeline::DynamodbStore;
use tributary_tests::{Aws, Database, Function, Invocation, RuntimeApi};

use crate::fixture::*;

/// Where the password is kept.
enum Keeper {
    /// A file with the whole URL, read for each connection.
    File(PathBuf),
    /// Secrets Manager; the function keeps what it has read for minutes.
    SecretsManager(Client, String),
}

impl Keeper {
    fn datastore(&self) -> String {
        match self {
            Keeper::File(path) => format!("url: {{ file: {} }}", path.display()),
            Keeper::SecretsManager(_, name) => format!("secret: {name}, tls: off"),
        }
    }

    async fn put(&self, database: &Database, role: &str, password: &str) {
        let (_, place) = database.url().rsplit_once('@').unwrap();
        match self {
            Keeper::File(path) => std::fs::write(path, format!("postgres://{role}:{password}@{place}\n")).unwrap(),
            Keeper::SecretsManager(client, name) => {
                let (host, port) = place.split('/').next().unwrap().split_once(':').unwrap();
                let login = serde_json::json!({
                    "engine": "postgres", "username": role, "password": password, "host": host,
                    "port": port.parse::<u16>().unwrap(), "dbname": database.name(),
                })
                .to_string();
                let made = client.create_secret().name(name).secret_string(&login).send().await;
                if made.is_err() {
                    client.put_secret_value().secret_id(name).secret_string(login).send().await.unwrap();
                }
            }
        }
    }
}

fn event(number: usize) -> String {
    let record = format!(
        r#"{{"eventName":"INSERT","eventSource":"aws:dynamodb","eventSourceARN":"{ARN}","dynamodb":{{"Keys":{{"id":{{"S":"{number}"}}}},"NewImage":{{"id":{{"S":"{number}"}}}},"SequenceNumber":"{number}"}}}}"#
    );
    event_of(&[record])
}

async fn rotates(name: &str, keeper: &Keeper, variables: &[(&str, &str)]) {
    let mapping = every_kind_of_table();
    let database = database_of(name, &mapping).await;
    if database.single_connection() {
        println!("skipped: this server asks for no password");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("mapping.yaml");
    let text = EVERY_KIND.replace("url: { env: DATABASE_URL }", &keeper.datastore());
    assert_ne!(text, EVERY_KIND);
    std::fs::write(&file, text).unwrap();
    let role = database.name();
    let execute = async |sql: &str| database.execute(&sql.replace("ROLE", &format!("\"{role}\""))).await;
    // A rotation leaves open connections alone; they end when the server or the network wants it.
    let disconnect = format!("select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'");
    execute("create role ROLE login superuser password 'first'").await;
    // The tables lie in the schema that has the name of who made them.
    execute("alter role ROLE set search_path = tributary, public").await;
    keeper.put(&database, role, "first").await;

    let api = RuntimeApi::start().await;
    let common = [("TRIBUTARY_MAPPING", file.to_str().unwrap())];
    let mut function = Function::spawn("dynamodb-stream", &api, &[&common[..], variables].concat());
    assert_eq!(deliver(&api, event(1)).await, all_done(), "{}", function.stderr());

    execute("alter role ROLE password 'second'").await;
    assert_eq!(deliver(&api, event(2)).await, all_done(), "an open connection needs no password");
    keeper.put(&database, role, "second").await;
    database.execute(&disconnect).await;
    assert_eq!(deliver(&api, event(3)).await, all_done(), "{}", function.stderr());

    // The other way round there is a while in which nobody can log in.
    execute("alter role ROLE password 'third'").await;
    database.execute(&disconnect).await;
    let refused = api.invoke(event(4), PATIENCE).await;
    let Invocation::Error { body, .. } = &refused else { panic!("{refused:?}") };
    let said = format!("{}{}", String::from_utf8_lossy(body), function.stderr());
    assert!(said.starts_with(r#"{"errorType":"Auth""#), "{said}");
    assert!(["first", "second", "third"].iter().all(|password| !said.contains(password)), "{said}");
    assert_eq!(database.rows("select count(*) from kept").await, ["3"]);
    keeper.put(&database, role, "third").await;
    for number in 4..6 {
        assert_eq!(deliver(&api, event(number)).await, all_done(), "{}", function.stderr());
    }
    assert_eq!(database.rows("select count(*) from kept").await, ["5"]);
    assert!(function.exit().is_none(), "it is still the first process");
    function.kill();
    database.execute(&disconnect).await;
    execute("drop role ROLE").await;
}

#[tokio::test]
async fn of_a_secret_in_a_file() {
    let place = tempfile::tempdir().unwrap();
    rotates("rotated_file", &Keeper::File(place.path().join("url")), &[]).await;
}

#[tokio::test]
async fn of_a_secret_in_secrets_manager_that_is_still_kept() {
    let aws = Aws::start().await;
    let store = DynamodbStore { region: Some(Aws::REGION.to_owned()), endpoint: Some(aws.endpoint().to_owned()) };
    let config = tributary_runtime::aws::config_of(&store).await;
    let config = aws_sdk_secretsmanager::config::Builder::from(&config).endpoint_url(aws.endpoint()).build();
    let keeper = Keeper::SecretsManager(Client::from_conf(config), "prod/warehouse".to_owned());
    rotates("rotated_secret", &keeper, &aws.environment()).await;
}
