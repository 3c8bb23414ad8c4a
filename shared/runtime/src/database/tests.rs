//! The forms of a Postgres datastore, over secrets that lie in a map.

use std::collections::HashMap;
use std::sync::Mutex;

use tributary_core::pipeline::Roots;

use super::*;

/// Secrets by name; a secret that is evicted turns into the next one.
#[derive(Debug, Default)]
struct Fake {
    values: HashMap<String, Vec<Secret>>,
    evicted: Mutex<usize>,
}

fn key(reference: &SecretRef) -> String {
    match reference {
        SecretRef::Env(name) => format!("env:{name}"),
        SecretRef::File(path) => format!("file:{path}"),
        SecretRef::Secret { name, field } => format!("{name}#{}", field.as_deref().unwrap_or_default()),
    }
}

impl Secrets for Fake {
    async fn get(&self, reference: &SecretRef) -> Result<Secret> {
        let evicted = *self.evicted.lock().unwrap();
        let found = self.values.get(&key(reference)).and_then(|values| values.get(evicted.min(values.len() - 1)));
        found.cloned().ok_or_else(|| Error::config("no such secret"))
    }

    fn evict(&self, _reference: &SecretRef) {
        *self.evicted.lock().unwrap() += 1;
    }
}

fn secrets(values: &[(&str, &str)]) -> Arc<Fake> {
    let mut fake = Fake::default();
    for (name, value) in values {
        fake.values.entry((*name).to_owned()).or_default().push(Secret::new(*value));
    }
    Arc::new(fake)
}

const RDS: &str = r#"{"username":"ann","password":"hunter2","engine":"postgres","host":"db.us-east-2.rds.amazonaws.com",
    "port":5433,"dbname":"shop","dbInstanceIdentifier":"db"}"#;

fn store() -> PostgresStore {
    PostgresStore::default()
}

/// `user@host:port/db`, with ` tls` or ` plain`; or the error.
async fn resolved(store: PostgresStore, secrets: &Arc<Fake>, url: Option<&str>) -> String {
    let database = Database::new(store, Arc::clone(secrets), "users").with_url(url.map(Secret::new));
    let said = match database.resolve().await {
        Ok(target) => format!("{target}{}", if target.encrypted() { " tls" } else { " plain" }),
        Err(error) => format!("{error:#}"),
    };
    assert!(!format!("{database:?} {said}").contains("hunter2"), "{database:?} {said}");
    said
}

#[tokio::test]
async fn every_form_of_a_datastore_leads_somewhere() {
    let secrets = secrets(&[
        ("env:URL", "postgres://ann:hunter2@db.example.org/shop"),
        ("rds#", RDS),
        ("managed#", r#"{"username":"ann","password":"hunter2"}"#),
        ("texts#", r#"{"username":"ann","password":"hunter2","host":"db.example.org","port":"6432"}"#),
        ("mysql#", r#"{"username":"ann","password":"hunter2","engine":"mysql","host":"h"}"#),
        ("port#", r#"{"username":"ann","password":"hunter2","host":"h","port":"many"}"#),
        ("plain#", "hunter2"),
        ("pw#password", "hunter2"),
    ]);
    let secret = |name: &str| PostgresStore { secret: Some(name.into()), ..store() };
    let host = |host: &str| Some(host.to_owned());
    let password = SecretRef::Secret { name: "pw".into(), field: Some("password".into()) };
    let check = async |store, expect: &str| {
        let found = resolved(store, &secrets, None).await;
        assert!(found.contains(expect), "{found}, not {expect}");
    };
    let url = PostgresStore { url: Some(SecretRef::Env("URL".into())), ..store() };
    check(url, "ann@db.example.org:5432/shop tls").await;
    check(secret("rds"), "ann@db.us-east-2.rds.amazonaws.com:5433/shop tls").await;
    let proxy = PostgresStore { host: host("proxy.example.org"), port: Some(5432), ..secret("rds") };
    check(proxy, "ann@proxy.example.org:5432/shop tls").await;
    check(PostgresStore { host: host("db.example.org"), ..secret("managed") }, "ann@db.example.org:5432 tls").await;
    check(secret("texts"), "ann@db.example.org:6432 tls").await;
    let parts = PostgresStore { host: host("localhost"), user: Some("bob".into()), ..store() };
    check(PostgresStore { auth: Some(PostgresAuth::Password(password)), ..parts.clone() }, "bob@localhost:5432 plain")
        .await;
    check(PostgresStore { auth: Some(PostgresAuth::Iam), ..parts }, "an IAM token is never sent without tls").await;
    check(secret("managed"), "names no host").await;
    check(secret("mysql"), "engine mysql").await;
    check(secret("port"), "no port").await;
    check(secret("plain"), "not in the form that RDS keeps").await;
    check(secret("gone"), "no such secret").await;
    check(PostgresStore { user: Some("bob".into()), ..secret("rds") }, "not of the user bob").await;
    check(store(), "neither `url` nor `secret` nor `host`").await;
    let nobody = PostgresStore { host: host("db.example.org"), auth: Some(PostgresAuth::Iam), ..store() };
    check(nobody, "needs a `user`").await;
}

#[tokio::test]
async fn an_overriding_url_keeps_the_mappings_trust_unless_it_stays_here() {
    let secrets = secrets(&[]);
    let check = async |tls: Tls, url: &str, expect: &str| {
        let store = PostgresStore { secret: Some("unused".into()), tls, ..store() };
        let found = resolved(store, &secrets, Some(url)).await;
        assert!(found.contains(expect), "{found}, not {expect}");
    };
    let verify = || Tls::Verify(Roots::Rds);
    check(verify(), "postgres://ann:hunter2@localhost/x?sslmode=disable", "ann@localhost:5432/x plain").await;
    check(verify(), "postgres://ann:hunter2@db.example.org/x", "ann@db.example.org:5432/x tls").await;
    check(verify(), "postgres://ann:hunter2@db.example.org/x?sslmode=disable", "weaker than the mapping").await;
    check(Tls::Off, "postgres://ann:hunter2@db.example.org/x", "ann@db.example.org:5432/x plain").await;
}

#[tokio::test]
async fn another_host_takes_the_place_of_the_mappings_and_all_else_stays() {
    let secrets = secrets(&[
        ("env:URL", "postgres://ann:hunter2@db.example.org/shop"),
        ("rds#", RDS),
        ("managed#", r#"{"username":"ann","password":"hunter2"}"#),
        ("pw#", "hunter2"),
    ]);
    let check = async |store: PostgresStore, proxy: Option<bool>, expect: &str, proxied: bool| {
        let database = Database::new(store, Arc::clone(&secrets), "users");
        let database = database.with_host(Some("proxy.example.org".into())).with_proxy(proxy);
        match database.resolve().await {
            Ok(target) => assert_eq!((&*target.to_string(), target.proxy()), (expect, proxied)),
            Err(error) => assert!(error.to_string().contains(expect), "{error}, not {expect}"),
        }
    };
    let secret = |name: &str| PostgresStore { secret: Some(name.into()), ..store() };
    check(secret("rds"), None, "ann@proxy.example.org:5433/shop", false).await;
    check(secret("rds"), Some(true), "ann@proxy.example.org:5433/shop", true).await;
    check(PostgresStore { proxy: true, ..secret("managed") }, None, "ann@proxy.example.org:5432", true).await;
    let login = PostgresAuth::Password(SecretRef::Secret { name: "pw".into(), field: None });
    let parts =
        PostgresStore { host: Some("localhost".into()), user: Some("bob".into()), auth: Some(login), ..store() };
    check(PostgresStore { proxy: true, ..parts }, Some(false), "bob@proxy.example.org:5432", false).await;
    let url = PostgresStore { url: Some(SecretRef::Env("URL".into())), ..store() };
    check(url, None, "the datastore has its host in `url`", false).await;
}

#[tokio::test]
async fn a_refused_secret_is_fetched_anew() {
    let secrets = secrets(&[
        ("rds#", r#"{"username":"old","password":"hunter2","host":"localhost"}"#),
        ("rds#", r#"{"username":"new","password":"hunter2","host":"localhost"}"#),
    ]);
    let mut database = Database::new(PostgresStore { secret: Some("rds".into()), ..store() }, secrets, "users");
    let check = async |database: &mut Database<Fake>, renew, expect| {
        assert_eq!(database.target(renew).await.unwrap().user(), Some(expect));
    };
    check(&mut database, false, "old").await;
    check(&mut database, false, "old").await;
    check(&mut database, true, "new").await;
    check(&mut database, false, "new").await;
}
