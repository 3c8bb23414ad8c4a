//! What goes wrong with a request.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;

/// What becomes of one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status and body in place of an answer; nothing is done.
    Status(u16, String),
    /// 200 with this body in place of the answer, which is done all the same.
    Body(String),
    /// The answer, which is done, breaks off after so many bytes of its body.
    Cut(usize),
    /// The answer comes late.
    Slow(Duration),
    /// The connection ends without an answer; nothing is done.
    Drop,
    /// Nothing is done until it is released.
    Hold,
    /// It is done, and the answer doesn't come until it is released.
    HoldAnswer,
}

/// The faults that wait for a request, by its kind.
#[derive(Debug)]
pub(super) struct Faults {
    waiting: Mutex<BTreeMap<&'static str, VecDeque<Fault>>>,
    /// How many requests are held, and how often they were released.
    held: watch::Sender<(usize, usize)>,
}

impl Default for Faults {
    fn default() -> Self {
        Faults { waiting: Mutex::default(), held: watch::Sender::new((0, 0)) }
    }
}

impl Faults {
    pub(super) fn add(&self, kind: &'static str, fault: Fault) {
        self.lock().entry(kind).or_default().push_back(fault);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn take(&self, kind: &str) -> Option<Fault> {
        self.lock().get_mut(kind)?.pop_front()
    }

    /// Holds the caller until it is released.
    pub(super) async fn hold(&self) {
        let mut changes = self.held.subscribe();
        let before = self.held.borrow().1;
        self.held.send_modify(|(held, _)| *held += 1);
        // The sender is ours.
        let _ = changes.wait_for(|(_, releases)| *releases > before).await;
        self.held.send_modify(|(held, _)| *held -= 1);
    }

    pub(super) async fn held(&self) {
        // The sender is ours.
        let _ = self.held.subscribe().wait_for(|(held, _)| *held > 0).await;
    }

    pub(super) fn release(&self) {
        self.held.send_modify(|(_, releases)| *releases += 1);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, VecDeque<Fault>>> {
        self.waiting.lock().expect("no panic while it was held")
    }
}
