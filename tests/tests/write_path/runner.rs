//! One runner a pipeline: the lease, and the fence in the checkpoint.

use std::time::Duration;

use tributary_core::Kind;
use tributary_core::batch::{Checkpoint, Fence};
use tributary_core::sink::{Sink, Unlimited};
use tributary_tests::Database;

use crate::fixture::*;

fn under(fence: &Fence, position: &str) -> Option<Checkpoint> {
    Some(Checkpoint { partition: String::new(), position: position.into(), at: None, fence: Some(fence.clone()) })
}

#[tokio::test]
async fn a_lease_has_one_holder_until_it_expires() {
    let database = Database::new("lease").await;
    let tables = [table("t", KEEP)];
    let (mut a, mut b) = (sink(&database, &tables), sink(&database, &tables));
    let minute = Duration::from_secs(60);
    let first = a.acquire("poll", "a", minute).await.unwrap();
    assert_eq!(b.acquire("poll", "b", minute).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(a.acquire("poll", "a", minute).await.unwrap(), first, "prolonging keeps the number");
    a.release(&first).await.unwrap();
    let second = b.acquire("poll", "b", minute).await.unwrap();
    assert!(second.number > first.number);
}

#[tokio::test]
async fn who_lost_the_lease_commits_nothing() {
    let database = Database::new("fence").await;
    let tables = [table("t", KEEP)];
    let (mut a, mut b) = (sink(&database, &tables), sink(&database, &tables));
    let old = a.acquire("poll", "a", Duration::ZERO).await.unwrap();
    let mut first = batch(&tables, vec![put(1, 1, "mine")]);
    first.checkpoint = under(&old, "1");
    a.apply(&first, &Unlimited).await.unwrap();
    let new = b.acquire("poll", "b", Duration::from_secs(60)).await.unwrap();
    let mut late = batch(&tables, vec![put(1, 2, "too late")]);
    late.checkpoint = under(&old, "2");
    assert_eq!(a.apply(&late, &Unlimited).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(rows(&database, "t").await, ["1 | mine | 1 | f"]);
    let mut next = batch(&tables, vec![put(1, 3, "theirs")]);
    next.checkpoint = under(&new, "3");
    b.apply(&next, &Unlimited).await.unwrap();
    assert_eq!(rows(&database, "t").await, ["1 | theirs | 3 | f"]);
    assert_eq!(b.checkpoint("test", "").await.unwrap().as_deref(), Some("3"));
}
