//! What may go wrong at the server, on the wire and with time: each has an error that says what to do, the state stays as it
//! was, and the next tick goes on.

use std::time::{Duration, Instant};

use serde_json::json;
use tributary_core::sink::Budget;
use tributary_runtime::tick::Progress;
use tributary_tests::Proxy;
use tributary_tests::sequin::{Fault, TOKEN};

use crate::fixture::*;

/// So much time from now.
struct Within(Instant);

impl Within {
    fn of(time: Duration) -> Self {
        Within(Instant::now() + time)
    }
}

impl Budget for Within {
    fn remaining(&self) -> Option<Duration> {
        Some(self.0.saturating_duration_since(Instant::now()))
    }
}

/// Error and hint of a pipeline that failed.
fn failure(progress: &Progress) -> String {
    assert_eq!(progress.state, "failed", "{progress:?}");
    let hint = progress.hint.as_ref().expect("a hint");
    format!("{} / {hint}", progress.error.as_ref().expect("an error"))
}

fn times(sequin: &tributary_tests::sequin::Sequin, fault: &Fault) {
    // Receiving is tried twice.
    (0..2).for_each(|_| sequin.fault("receive", fault.clone()));
}

#[tokio::test]
async fn whatever_the_server_answers_the_next_tick_goes_on() {
    let mut stage = Stage::new("answers").await;
    let status = |status: u16, text: &str| Fault::Status(status, format!("{{\"summary\":\"{text}\"}}"));
    let cases = [
        (status(401, "Unauthorized"), "refuses the token, with status 401: Unauthorized / make a new API token"),
        (status(404, "Not found"), "no consumer `shop`: Not found / `consumer` is the name or id of a sink"),
        (status(400, "Bad"), "refuses the request, with status 400: Bad / look whether `base_url`"),
        (Fault::Status(302, String::new()), "redirect"),
        (status(500, "boom"), "answers with status 500: boom / look at the server's own log"),
        (Fault::Status(502, "<html>hunter2</html>".into()), "answers with status 502 / look at the server"),
        (status(504, "slow"), "status 504"),
        (status(429, "busy"), "status 429"),
        (Fault::Body("<html>hunter2</html>".into()), "it is no list of messages, line 1"),
        (Fault::Body("{\"data\":[{\"ack_id\":\"a\",".into()), "it ends too early, line 1"),
        (Fault::Body("{\"data\":[{\"record\":\"hunter2\"}]}".into()), "neither `ack_id` nor `ack_token`"),
        (Fault::Cut(40), "was cut short"),
        (Fault::Drop, "was cut short"),
    ];
    for (number, (fault, expect)) in (1..).zip(cases) {
        stage.commit(vec![insert(number)]);
        times(&stage.sequin, &fault);
        let before = stage.orders().await;
        let report = tick(&mut stage.shop).await;
        let said = failure(&report.pipelines()[0]);
        assert!(said.contains(expect) && !said.contains("hunter2"), "{fault:?}: {said}");
        assert_eq!(stage.orders().await, before, "{fault:?}");
        stage.sequin.heal();
        // What the broken answer had leased is away until its lease ends.
        stage.sequin.world().advance(ACK_WAIT);
        drained(&mut stage.shop).await;
        assert_eq!(stage.orders().await.len(), number as usize, "{fault:?}");
    }
}

#[tokio::test]
async fn a_slow_server_costs_no_more_than_the_tick() {
    let mut stage = Stage::new("slow").await;
    stage.commit(vec![insert(1)]);
    times(&stage.sequin, &Fault::Slow(Duration::from_secs(60)));
    let began = Instant::now();
    let report = tick_within(&mut stage.shop, &Within::of(Duration::from_secs(4))).await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(failure(&report.pipelines()[0]).contains("did not answer within"));
    stage.sequin.heal();
    drained(&mut stage.shop).await;
    assert_eq!(stage.orders().await.len(), 1);
}

#[tokio::test]
async fn a_token_that_was_changed_is_fetched_anew() {
    let mut stage = Stage::new("token").await;
    let token = Token::new(TOKEN);
    stage.shop = ticker(&stage.mapping, stage.database.url(), token.clone());
    stage.commit(vec![insert(1)]);
    drained(&mut stage.shop).await;
    stage.sequin.world().tokens = vec!["another".to_owned()];
    stage.commit(vec![insert(2)]);
    assert!(failure(&tick(&mut stage.shop).await.pipelines()[0]).contains("401"));
    *token.current.lock().unwrap() = "another".to_owned();
    // The poller still has the old one.
    *token.kept.lock().unwrap() = Some(TOKEN.to_owned());
    drained(&mut stage.shop).await;
    assert_eq!(stage.orders().await.len(), 2);
}

#[tokio::test]
async fn an_unknown_consumer_and_a_paused_one() {
    let mut stage = Stage::new("unknown").await;
    stage.commit(vec![insert(1)]);
    stage.sequin.world().store(CONSUMER).paused = true;
    assert_eq!(drained(&mut stage.shop).await.pipelines()[0].records, 0);
    let consumer = stage.sequin.world().consumers.remove(CONSUMER).unwrap();
    assert!(failure(&tick(&mut stage.shop).await.pipelines()[0]).contains("no consumer `shop`"));
    stage.sequin.world().consumers.insert(CONSUMER.into(), consumer);
    stage.sequin.world().store(CONSUMER).paused = false;
    drained(&mut stage.shop).await;
    assert_eq!(stage.orders().await.len(), 1);
}

#[tokio::test]
async fn a_lost_acknowledgement_costs_a_no_op() {
    for fault in [Fault::Status(500, "{}".into()), Fault::Drop, Fault::Cut(0)] {
        let mut stage = Stage::new("lost").await;
        stage.commit((1..=10).map(insert).collect());
        // As often as it is tried.
        (0..3).for_each(|_| stage.sequin.fault("ack", fault.clone()));
        let report = drained(&mut stage.shop).await;
        assert_eq!(report.pipelines()[0].applied, 10);
        let notes = report.pipelines()[0].notes.join("\n");
        assert!(notes.contains("10 messages are committed and could not be acknowledged"), "{fault:?}: {notes}");
        stage.sequin.heal();
        stage.sequin.world().advance(ACK_WAIT);
        let report = drained(&mut stage.shop).await;
        assert_eq!(report.pipelines()[0].applied, 0, "{report:?}");
        assert!(stage.sequin.world().store(CONSUMER).is_empty());
        assert_eq!(stage.orders().await.len(), 10);
    }
}

#[tokio::test]
async fn what_a_failing_database_left_undone_is_given_back_at_once() {
    let mut stage = Stage::new("database").await;
    let proxy = Proxy::start(stage.database.url()).await;
    stage.shop = ticker(&stage.mapping, proxy.url(), Token::new(TOKEN));
    stage.commit(vec![insert(1)]);
    drained(&mut stage.shop).await;
    stage.commit((2..=300).map(insert).collect());
    // It goes away between the lease of the tick and the commit.
    stage.sequin.fault("receive", Fault::Hold);
    let break_it = async {
        stage.sequin.held().await;
        proxy.refuse(true);
        proxy.cut();
        stage.sequin.release();
    };
    let budget = Within::of(Duration::from_secs(5));
    let (report, ()) = tokio::join!(tick_within(&mut stage.shop, &budget), break_it);
    assert_eq!(report.pipelines()[0].state, "failed", "{report:?}");
    {
        let mut world = stage.sequin.world();
        let store = world.store(CONSUMER);
        assert_eq!((store.waiting(), store.out(), store.acknowledged), (299, 0, 1), "nothing is held, nothing is lost");
    }
    proxy.refuse(false);
    free_lease(&stage.database).await;
    drained(&mut stage.shop).await;
    assert_eq!(stage.orders().await.len(), 300);
}

#[tokio::test]
async fn when_the_time_ends_the_rest_is_left_to_the_next_tick() {
    let mut stage = Stage::new("deadline").await;
    let proxy = Proxy::start(stage.database.url()).await;
    stage.shop = ticker(&stage.mapping, proxy.url(), Token::new(TOKEN));
    stage.commit((1..=2_000).map(insert).collect());
    // So slow that no machine is done in time: a message a request, and each takes 10 ms.
    stage.sequin.world().store(CONSUMER).most = 1;
    (0..2_000).for_each(|_| stage.sequin.fault("receive", Fault::Slow(Duration::from_millis(10))));
    proxy.delay(Duration::from_millis(20), Duration::from_millis(20));
    let began = Instant::now();
    let report = tick_within(&mut stage.shop, &Within::of(Duration::from_millis(4_500))).await;
    assert!(began.elapsed() < Duration::from_millis(5_500), "{:?}", began.elapsed());
    assert_eq!(report.pipelines()[0].state, "more", "{report:?}");
    let done = stage.orders().await.len();
    assert!((1..2_000).contains(&done), "{done}");
    {
        let mut world = stage.sequin.world();
        let store = world.store(CONSUMER);
        assert_eq!((store.out(), store.acknowledged), (0, done as u64), "what was not begun is given back");
    }
    stage.sequin.world().store(CONSUMER).most = usize::MAX;
    stage.sequin.heal();
    proxy.delay(Duration::ZERO, Duration::ZERO);
    drained(&mut stage.shop).await;
    assert_eq!(stage.orders().await.len(), 2_000);
}

#[tokio::test]
async fn a_lease_that_would_end_before_the_commit_is_given_back() {
    let mut stage = Stage::new("leases").await;
    let proxy = Proxy::start(stage.database.url()).await;
    stage.shop = ticker(&stage.mapping, proxy.url(), Token::new(TOKEN));
    // The smallest that Sequin takes is 500 ms.
    let text = SHOP.replace("consumer: shop,", "consumer: shop, ack_wait: 1s,");
    stage.mapping = std::sync::Arc::new(mapping_of(&text, &stage.sequin));
    stage.shop = ticker(&stage.mapping, proxy.url(), Token::new(TOKEN));
    stage.sequin.world().consumer(CONSUMER, Duration::from_secs(1), &[]).store.most = 10;
    stage.commit((1..=30).map(insert).collect());
    stage.commit((1..=30).map(|id| update(id, json!({"status": "paid"}))).collect());
    // Each commit takes nearly as long as a lease.
    proxy.delay(Duration::from_millis(350), Duration::from_millis(350));
    drained(&mut stage.shop).await;
    let nacks = stage.sequin.world().requests.get("nack").copied().unwrap_or_default();
    assert!(nacks > 0, "nothing was given back");
    proxy.delay(Duration::ZERO, Duration::ZERO);
    assert!(stage.sequin.world().store(CONSUMER).is_empty());
    assert_eq!(stage.database.rows("select count(*) from orders where status = 'paid'").await, ["30"]);
}
