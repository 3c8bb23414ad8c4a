//! Ctrl-C: the first asks for an end after what is in hand, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::output::progress;

/// Whether somebody has interrupted.
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on. `until` says in words what is still done after the first Ctrl-C.
    pub(crate) fn listen(until: &'static str) -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&flag);
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if set.swap(true, Ordering::Relaxed) {
                    std::process::exit(1);
                }
                progress(&format!("ending after {until}; press again to end at once"));
            }
        });
        Interrupt(flag)
    }

    /// Whether somebody has.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
