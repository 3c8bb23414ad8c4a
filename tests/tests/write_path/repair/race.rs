//! A page of a repair and the stream in each other's way.

use tributary_core::batch::Checkpoint;
use tributary_core::change::Change;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::Table;

use super::{ROWS, Run, SETS};
use crate::fixture::*;
use crate::interleaving::wait_for_waiters;

/// One writer is held before its commit, the other one comes to wait for it.
async fn race(table: Table, before: Change, scanned: Change, event: Change, stream_first: bool) -> Vec<String> {
    let mut run = Run::begin("race", table, vec![before]).await;
    let mut stream = sink(&run.database, &run.tables);
    stream.warm_up().await.unwrap();
    let gate = run.database.client().await;
    gate.batch_execute("begin; lock table tributary.checkpoint in access exclusive mode").await.unwrap();
    let mut event = batch(&run.tables, vec![event]);
    event.checkpoint = Some(Checkpoint { partition: String::new(), position: "1".into(), at: None, fence: None });
    let mut scanned = batch(&run.tables, vec![scanned]);
    scanned.checkpoint = run.checkpoint();
    let event = async {
        wait_for_waiters(&run.database, usize::from(!stream_first)).await;
        stream.apply(&event, &Unlimited).await.unwrap();
    };
    let scan = async {
        wait_for_waiters(&run.database, usize::from(stream_first)).await;
        run.sink.repair(&scanned, &run.began, &Unlimited).await.unwrap();
    };
    let open = async {
        wait_for_waiters(&run.database, 2).await;
        gate.batch_execute("commit").await.unwrap();
    };
    tokio::join!(event, scan, open);
    run.live().await
}

#[tokio::test]
async fn an_event_between_the_scan_and_its_commit_wins() {
    for stream_first in [true, false] {
        for mode in ROWS {
            let race = |scanned, event| race(table("t", mode), put(1, 5, "stale"), scanned, event, stream_first);
            assert_eq!(race(put(1, 0, "read"), put(1, 6, "event")).await, ["1 | event | 6 | f"], "{mode:?}");
            assert!(race(put(1, 0, "read"), gone(1, 6)).await.is_empty(), "{mode:?}");
            assert_eq!(race(gone(1, 0), put(1, 6, "event")).await, ["1 | event | 6 | f"], "{mode:?}");
        }
        for mode in SETS {
            let (scanned, event) = (set(1, 0, &[(0, "read"), (1, "read")]), set(1, 6, &[(0, "event")]));
            let live = race(children("t", mode), set(1, 5, &[(2, "stale")]), scanned, event, stream_first).await;
            assert_eq!(live, ["1 | 0 | event | 6 | f"], "{mode:?}");
        }
    }
}
