//! The client against a server that says what a test wants.

mod feed;
mod file;
mod login;
mod patience;
mod server;

use std::time::Duration;

use tributary_core::sink::Budget;

use super::{Central, Login, Set};
use crate::http::Patience;

const QUICK: Patience = Patience { attempts: 3, first: Duration::from_millis(2), longest: Duration::from_millis(4) };

fn login() -> Login {
    Login { email: "sync@example.org".to_owned(), password: "hunter2".to_owned(), basic: false }
}

fn central(url: &str) -> Central {
    Central::with_patience(url, login(), QUICK)
}

fn form() -> Set {
    Set::Submissions { project: 1, form: "f".to_owned() }
}

fn dataset() -> Set {
    Set::Entities { project: 1, dataset: "d".to_owned() }
}

struct Left(Duration);

impl Budget for Left {
    fn remaining(&self) -> Option<Duration> {
        Some(self.0)
    }
}
