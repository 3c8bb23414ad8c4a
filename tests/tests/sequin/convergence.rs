//! Random histories, delivered with everything that Sequin allows itself: leases that end, answers that get lost, restarts
//! that bring back what was acknowledged, backfills in between, poison, two runners at once, a database that comes and
//! goes. In the end the copy is the source.

use std::cell::Cell;
use std::time::{Duration, Instant};

use fastrand::Rng;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tributary_core::sink::Budget;
use tributary_tests::Proxy;
use tributary_tests::sequin::{Fault, Shape, TOKEN, Table};

use crate::fixture::*;
use crate::history::{differences, transaction};

/// Has time for so many looks at the clock, then none.
struct Fuse(Cell<u32>);

impl Budget for Fuse {
    fn remaining(&self) -> Option<Duration> {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        Some(if left > 0 { Duration::from_secs(60) } else { Duration::ZERO })
    }
}

#[derive(Clone, Copy, Debug)]
struct Way {
    seed: u64,
    keys: u64,
    transactions: usize,
    /// How many messages an answer has at most.
    most: usize,
    grouping: bool,
}

fn any_way() -> impl Strategy<Value = Way> {
    (any::<u64>(), 1..60u64, 1..250usize, prop_oneof![1..5usize, 20..1_000usize], any::<bool>())
        .prop_map(|(seed, keys, transactions, most, grouping)| Way { seed, keys, transactions, most, grouping })
}

struct Place {
    stage: Stage,
    proxy: Proxy,
    other: Shop,
    histories: Cell<usize>,
    messages: Cell<u64>,
    deliveries: Cell<u64>,
}

impl Place {
    async fn new() -> Self {
        let mut stage = Stage::new("histories").await;
        let proxy = Proxy::start(stage.database.url()).await;
        stage.shop = ticker(&stage.mapping, proxy.url(), Token::new(TOKEN));
        let other = ticker(&stage.mapping, stage.database.url(), Token::new(TOKEN));
        let (histories, messages, deliveries) = Default::default();
        Place { stage, proxy, other, histories, messages, deliveries }
    }

    /// An empty shop, an empty copy, a consumer without a past.
    async fn clear(&self, way: Way) {
        let tables = "orders, items, tributary.dead_letter, tributary.checkpoint, tributary.lease";
        self.stage.database.execute(&format!("truncate {tables}")).await;
        let mut world = self.stage.sequin.world();
        for name in [ORDERS, ITEMS] {
            let table = Table { rows: Default::default(), ..world.source.table(name).clone() };
            world.source.create(name, table);
        }
        world.source.create("public.carts", Table { key: vec!["id".into()], ..Table::default() });
        let consumer = world.consumer(CONSUMER, ACK_WAIT, &[]);
        consumer.store.most = way.most;
        consumer.store.grouping = way.grouping;
        consumer.store.forgetful = true;
        drop(world);
        self.stage.sequin.heal();
    }

    /// Something that goes wrong, and a tick in the middle of it.
    async fn trouble(&mut self, dice: &mut Rng) {
        let sequin = &self.stage.sequin;
        let kind = *dice.choice(&["receive", "ack", "nack"]).unwrap();
        let fault = match dice.u8(..8) {
            0 => Some(Fault::Drop),
            1 => Some(Fault::Cut(dice.usize(0..2_000))),
            2 => Some(Fault::Status(500, "{}".into())),
            3 => Some(Fault::Body("{\"data\":[{".into())),
            _ => None,
        };
        if let Some(fault) = fault {
            sequin.fault(kind, fault);
        }
        match dice.u8(..12) {
            0..3 => sequin.world().restart(),
            3 => sequin.world().advance(ACK_WAIT),
            4 => {
                let shape = *dice.choice(&[Shape::Nested, Shape::Flat, Shape::Token]).unwrap();
                sequin.world().consumers.get_mut(CONSUMER).unwrap().shape = shape;
            }
            5 => sequin.world().backfill(CONSUMER, dice.choice(&[ORDERS, ITEMS]).unwrap()),
            6 => sequin.world().store(CONSUMER).flush(),
            7 => self.proxy.cut_after(dice.usize(1..30_000)),
            8 => self.proxy.cut_before_answer_to("commit\0"),
            9 => self.proxy.cut(),
            _ => {}
        }
        free_lease(&self.stage.database).await;
        // Sometimes another runner, whose lease was taken away from it, is in the middle of its own.
        if dice.u8(..4) == 0 {
            let fuse = Fuse(Cell::new(dice.u32(3..60)));
            let second = async {
                tokio::time::sleep(Duration::from_millis(2)).await;
                free_lease(&self.stage.database).await;
                tick_within(&mut self.other, &tributary_core::sink::Unlimited).await
            };
            tokio::join!(tick_within(&mut self.stage.shop, &fuse), second);
        } else {
            let fuse = Fuse(Cell::new(dice.u32(3..60)));
            tick_within(&mut self.stage.shop, &fuse).await;
        }
    }

    async fn differences(&mut self, way: Way) -> Vec<String> {
        self.clear(way).await;
        let mut dice = Rng::with_seed(way.seed);
        let mut poison = 0;
        for number in 0..way.transactions {
            {
                let mut world = self.stage.sequin.world();
                let mut statements = transaction(&mut dice, way.keys);
                if dice.u8(..30) == 0 {
                    poison += 1;
                    let cart = row(serde_json::json!({"id": number}));
                    statements.push(tributary_tests::sequin::Dml::Insert("public.carts".into(), cart));
                }
                world.commit(statements);
            }
            if dice.u8(..8) == 0 {
                Box::pin(self.trouble(&mut dice)).await;
            }
        }
        self.stage.sequin.heal();
        self.stage.sequin.world().advance(ACK_WAIT);
        free_lease(&self.stage.database).await;
        Box::pin(self.settle()).await;
        {
            let mut world = self.stage.sequin.world();
            let store = world.store(CONSUMER);
            assert!(store.is_empty(), "messages are left over");
            self.histories.set(self.histories.get() + 1);
            self.messages.set(self.messages.get() + store.acknowledged);
            self.deliveries.set(self.deliveries.get() + store.deliveries);
        }
        let sequin = &self.stage.sequin;
        let mut found = differences(&self.stage.database, |look| look(&sequin.world())).await;
        let letters =
            "select count(*), count(*) filter (where error like 'no pipeline reads%') from tributary.dead_letter";
        let letters = self.stage.database.rows(letters).await.remove(0);
        if letters != format!("{poison} | {poison}") {
            found.push(format!("{letters} dead letters of {poison}"));
        }
        found
    }

    /// Ticks until everything is drained. A connection that the last trouble has cut may still be found broken once.
    async fn settle(&mut self) {
        let mut report = tick(&mut self.stage.shop).await;
        for _ in 0..3 {
            if report.pipelines().iter().all(|progress| progress.state == "drained") {
                return;
            }
            free_lease(&self.stage.database).await;
            self.stage.sequin.world().advance(ACK_WAIT);
            report = tick(&mut self.stage.shop).await;
        }
        panic!("{report:?}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn random_histories_end_as_the_source_says() {
    let cases = std::env::var("HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(15);
    let (runtime, began) = (runtime(), Instant::now());
    let place = std::cell::RefCell::new(runtime.block_on(Place::new()));
    if place.borrow().stage.database.single_connection() {
        println!("skipped: two runners need two connections");
        return;
    }
    let mut runner =
        TestRunner::new(Config { cases, max_shrink_iters: 40, failure_persistence: None, ..Config::default() });
    let result = runner.run(&any_way(), |way| {
        let found = runtime.block_on(place.borrow_mut().differences(way));
        prop_assert!(found.is_empty(), "{}", found.join("\n"));
        Ok(())
    });
    let place = place.into_inner();
    let (histories, messages, deliveries) = (place.histories.get(), place.messages.get(), place.deliveries.get());
    println!("{histories} histories, {messages} messages, {deliveries} deliveries in {:.1?}", began.elapsed());
    result.unwrap();
}
