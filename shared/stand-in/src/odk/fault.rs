//! What goes wrong with a request.

use std::collections::VecDeque;
use std::time::Duration;

use super::world::World;

/// What becomes of one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An error of Central, by status and code, in place of the answer.
    Problem(u16, f64),
    /// Too many requests, or too busy: 429 or 503, with the seconds to wait if any are given.
    Busy(u16, Option<u64>),
    /// A page of nginx in place of the answer.
    Html(u16),
    /// The right answer, late.
    Late(Duration),
    /// 200 and the first part of the right body, then the connection ends: such a part of 100.
    Cut(usize),
    /// As [`Fault::Cut`], and the body ends as if it were whole: what a proxy makes of it.
    CutClean(usize),
    /// The last rows of a page are missing although they are counted: so many.
    Short(usize),
    /// The session expires right before.
    Expired,
    /// The connection ends without any answer.
    Lost,
}

/// Something that is to happen once requests of a kind were answered.
pub(super) type Act = Box<dyn FnOnce(&mut World) + Send>;

/// Faults and acts that wait for requests of a kind; `*` is any.
#[derive(Default)]
pub(super) struct Plans {
    faults: VecDeque<(String, Fault)>,
    acts: Vec<(String, u32, Act)>,
}

fn meets(wanted: &str, kind: &str) -> bool {
    wanted == "*" || wanted == kind
}

impl Plans {
    pub(super) fn fail(&mut self, kind: &str, fault: Fault) {
        self.faults.push_back((kind.to_owned(), fault));
    }

    pub(super) fn after(&mut self, kind: &str, requests: u32, act: Act) {
        assert!(requests > 0, "after which request?");
        self.acts.push((kind.to_owned(), requests, act));
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
        self.acts.clear();
    }

    pub(super) fn take(&mut self, kind: &str) -> Option<Fault> {
        let place = self.faults.iter().position(|(wanted, _)| meets(wanted, kind))?;
        self.faults.remove(place).map(|(_, fault)| fault)
    }

    /// What is due after a request of this kind.
    pub(super) fn due(&mut self, kind: &str) -> Vec<Act> {
        let mut due = Vec::new();
        for (wanted, left, act) in std::mem::take(&mut self.acts) {
            let left = left - u32::from(meets(&wanted, kind));
            if left == 0 {
                due.push(act);
            } else {
                self.acts.push((wanted, left, act));
            }
        }
        due
    }
}
