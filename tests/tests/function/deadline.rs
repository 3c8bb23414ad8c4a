//! Time that runs out in the middle of a large delivery: what was committed stays, the stream delivers the rest.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tributary_core::sink::Budget;
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::dynamodb_stream::{Handler, pipelines};
use tributary_runtime::sinks::Sinks;

use crate::fixture::*;

const RECORDS: u128 = 5_000;
const FIRST: u128 = 800_000_000_000_000_000_000;

/// Has plenty of time for so many looks at the clock, then none.
struct Fuse(Cell<u32>);

impl Budget for Fuse {
    fn remaining(&self) -> Option<Duration> {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        Some(if left > 0 { Duration::from_secs(60) } else { Duration::ZERO })
    }
}

fn event_from(first: u128) -> String {
    let arn = "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2026-01-01T00:00:00.000";
    let records: Vec<String> = (first..FIRST + RECORDS)
        .map(|number| {
            let id = format!("00000000-0000-4000-8000-{:012}", number - FIRST);
            format!(
                r#"{{"eventName":"INSERT","eventSourceARN":"{arn}","dynamodb":{{"Keys":{{"id":{{"S":"{id}"}}}},"NewImage":{{"id":{{"S":"{id}"}}}},"SequenceNumber":"{number}"}}}}"#
            )
        })
        .collect();
    format!("{{\"Records\":[{}]}}", records.join(","))
}

#[tokio::test]
async fn what_there_was_no_time_for_comes_again() {
    let mut partial = 0;
    for looks in 0..5 {
        let database = database("deadline").await;
        let mapping = Arc::new(mapping());
        let target = Target::from_url(database.url(), &Policy::default()).unwrap();
        let sinks = Sinks::new(&mapping, pipelines(&mapping), |_, _| target.clone());
        let mut handler = Handler::new(Arc::clone(&mapping), sinks).unwrap();
        let answer = handler.handle(event_from(FIRST).into(), &Fuse(Cell::new(looks))).await.unwrap();
        let done: u128 = database.rows("select count(*) from profile").await[0].parse().unwrap();
        let from = answer.retry_from.as_ref().map_or(FIRST + RECORDS, |number| number.parse().unwrap());
        assert_eq!(from - FIRST, done, "with {looks} looks at the clock the answer doesn't fit what was committed");
        partial += u32::from(done > 0 && done < RECORDS);
        let rest = handler.handle(event_from(from).into(), &tributary_core::sink::Unlimited).await.unwrap();
        assert_eq!(rest.retry_from, None);
        assert_eq!(database.rows("select count(*) from profile").await, [RECORDS.to_string()]);
    }
    assert!(partial > 0, "the time never ran out in the middle");
}
