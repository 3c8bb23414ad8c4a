//! However long the backlog, the function holds a few portions of it.

use tributary_tests::sequin::TOKEN;
use tributary_tests::{Function, RuntimeApi, built};

use crate::fixture::*;

/// The most memory that the function needs for a backlog of so many orders.
async fn peak(messages: u64) -> Option<u64> {
    let stage = Stage::new("memory").await;
    for first in (1..=messages).step_by(1_000) {
        stage.commit((first..(first + 1_000).min(messages + 1)).map(insert).collect());
    }
    let place = tempfile::tempdir().unwrap();
    let mapping = place.path().join("tributary.yaml");
    std::fs::write(&mapping, SHOP.replace("URL'", &format!("{}'", stage.sequin.url()))).unwrap();
    let api = RuntimeApi::start().await;
    let variables = [
        ("DATABASE_URL", stage.database.url()),
        ("TRIBUTARY_MAPPING", mapping.to_str().unwrap()),
        ("SEQUIN_TOKEN", TOKEN),
    ];
    let function = Function::of_program(&built("sequin-poll"), "sequin-poll", &api.address(), &variables);
    while !stage.sequin.world().store(CONSUMER).is_empty() {
        let ended = api.invoke("{}", PATIENCE).await;
        assert!(ended.response().is_some(), "{ended:?} {}", function.stderr());
    }
    assert_eq!(stage.database.rows("select count(*) from orders").await, [messages.to_string()]);
    function.peak_memory()
}

#[tokio::test]
async fn memory_does_not_grow_with_the_backlog() {
    let (Some(small), Some(large)) = (peak(5_000).await, peak(50_000).await) else { return };
    println!("{:.1} MB for 5 000 messages, {:.1} MB for 50 000", small as f64 / 1e6, large as f64 / 1e6);
    assert!(large < small + small / 4, "{small} bytes for 5 000 messages, {large} for 50 000");
    assert!(large < 80_000_000, "{large} bytes");
}
