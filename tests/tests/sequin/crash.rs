//! The real function is killed: at any moment, and just between the commit and the acknowledgement.

use std::time::Duration;

use fastrand::Rng;
use tributary_tests::sequin::{Fault, TOKEN};
use tributary_tests::{Database, Function, RuntimeApi, built};

use crate::fixture::*;
use crate::history::{differences, transaction};

/// The function in an environment of its own.
struct Environment {
    api: RuntimeApi,
    function: Function,
    mapping: std::path::PathBuf,
    url: String,
    _place: tempfile::TempDir,
}

impl Environment {
    async fn start(sequin: &tributary_tests::sequin::Sequin, database: &Database) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mapping = place.path().join("tributary.yaml");
        std::fs::write(&mapping, SHOP.replace("URL'", &format!("{}'", sequin.url()))).unwrap();
        let (api, url) = (RuntimeApi::start().await, database.url().to_owned());
        let function = spawn(&api, &mapping, &url);
        Environment { api, function, mapping, url, _place: place }
    }

    /// Kills it, and starts another one.
    fn kill(&mut self) {
        self.function.kill();
        self.api.abandon();
        self.function = spawn(&self.api, &self.mapping, &self.url);
    }

    async fn tick(&self) -> serde_json::Value {
        let ended = self.api.invoke("{}", PATIENCE).await;
        assert!(ended.response().is_some(), "{ended:?} {}", self.function.stderr());
        ended.json()
    }
}

fn spawn(api: &RuntimeApi, mapping: &std::path::Path, url: &str) -> Function {
    let variables = [("DATABASE_URL", url), ("TRIBUTARY_MAPPING", mapping.to_str().unwrap()), ("SEQUIN_TOKEN", TOKEN)];
    Function::of_program(&built("sequin-poll"), "sequin-poll", &api.address(), &variables)
}

#[tokio::test]
async fn killed_between_commit_and_acknowledgement() {
    for fault in [Fault::Hold, Fault::HoldAnswer] {
        let stage = Stage::new("between").await;
        let mut environment = Environment::start(&stage.sequin, &stage.database).await;
        // As many as a first answer has.
        stage.commit((1..=20).map(insert).collect());
        let done = matches!(fault, Fault::HoldAnswer);
        stage.sequin.fault("ack", fault.clone());
        let kill = async {
            stage.sequin.held().await;
            environment.function.kill();
            environment.api.abandon();
        };
        tokio::join!(environment.api.invoke("{}", PATIENCE), kill);
        // The server goes on with a request whose client has died only if it has begun.
        assert_eq!(stage.database.rows("select count(*) from orders").await, ["20"], "it was committed");
        stage.sequin.release();
        tokio::time::sleep(Duration::from_millis(50)).await;
        {
            let mut world = stage.sequin.world();
            let store = world.store(CONSUMER);
            assert_eq!(store.acknowledged, if done { 20 } else { store.acknowledged });
            world.advance(ACK_WAIT);
        }
        let left = {
            let mut world = stage.sequin.world();
            let store = world.store(CONSUMER);
            store.waiting() + store.out()
        };
        free_lease(&stage.database).await;
        environment.kill();
        let report = environment.tick().await;
        let orders = &report["pipelines"][0];
        assert_eq!(orders["state"], "drained", "{report}");
        assert_eq!(
            (&orders["applied"], orders["records"].as_u64()),
            (&0.into(), Some(left as u64)),
            "{fault:?}: {report}"
        );
        assert!(stage.sequin.world().store(CONSUMER).is_empty());
        assert_eq!(stage.orders().await.len(), 20);
    }
}

#[tokio::test]
async fn killed_at_any_moment_again_and_again() {
    let stage = Stage::new("killed").await;
    let mut environment = Environment::start(&stage.sequin, &stage.database).await;
    let mut dice = Rng::with_seed(13);
    {
        let mut world = stage.sequin.world();
        world.store(CONSUMER).most = 40;
        world.store(CONSUMER).forgetful = true;
    }
    let (mut kills, mut usual) = (0, Duration::from_millis(200));
    for round in 0..14 {
        {
            let mut world = stage.sequin.world();
            for _ in 0..120 {
                let statements = transaction(&mut dice, 80);
                world.commit(statements);
            }
            if round % 5 == 4 {
                world.restart();
            }
        }
        if round % 4 == 3 {
            // Undisturbed, to learn how long it takes.
            let began = std::time::Instant::now();
            environment.tick().await;
            usual = began.elapsed();
            continue;
        }
        let moment = usual.mul_f64(dice.f64());
        let asked = stage.sequin.world().requests.get("receive").copied();
        let kill = async {
            while stage.sequin.world().requests.get("receive").copied() == asked {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            tokio::time::sleep(moment).await;
            environment.function.kill();
            environment.api.abandon();
        };
        let (ended, ()) = tokio::join!(environment.api.invoke("{}", PATIENCE), kill);
        kills += u32::from(ended.response().is_none());
        environment.kill();
        free_lease(&stage.database).await;
        stage.sequin.world().advance(ACK_WAIT);
    }
    println!("{kills} kills in the middle");
    stage.sequin.world().store(CONSUMER).most = usize::MAX;
    environment.tick().await;
    assert!(stage.sequin.world().store(CONSUMER).is_empty());
    assert_eq!(differences(&stage.database, |look| look(&stage.sequin.world())).await, [""; 0]);
    assert_eq!(stage.database.rows("select error from tributary.dead_letter").await, [""; 0]);
    assert!(kills > 3, "{kills} kills");
}
