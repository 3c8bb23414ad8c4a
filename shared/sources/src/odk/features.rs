//! What a server turned out not to know: remembered while a function is warm, so that it is asked in vain once.

use std::sync::atomic::{AtomicBool, Ordering};

use super::set::Set;

/// What a server doesn't know of the feeds of one kind.
#[derive(Debug, Default)]
pub(super) struct Lacks {
    /// `deletedAt` in a filter: submissions since v2024.3, entities since v2025.1.
    pub(super) deleted_at: Flag,
    /// `__id` in a filter: submissions since v2025.3.
    pub(super) ids: Flag,
    /// `$select`.
    pub(super) select: Flag,
}

/// Set once, never taken back.
#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a server doesn't know.
#[derive(Debug, Default)]
pub(super) struct Features {
    submissions: Lacks,
    entities: Lacks,
}

impl Features {
    pub(super) fn of(&self, set: &Set) -> &Lacks {
        match set {
            Set::Submissions { .. } => &self.submissions,
            Set::Entities { .. } => &self.entities,
        }
    }
}
