//! All inserts into an empty table, against the limit.

use crate::duel::{Before, duel};
use crate::measure::Cost;
use crate::report::{self, Bound, Goal};
use crate::rows::Rows;
use crate::server::Server;
use crate::strategies::{Strategy, Way};
use crate::{Failure, Options};

const WAYS: [Way; 7] =
    [Way::Copy, Way::CopySorted, Way::Tributary, Way::OneAnInvocation, Way::TargetList, Way::FromUnnest, Way::Staged];

/// Rows a transaction, transactions a repetition.
const SIZES: [(usize, usize); 3] = [(100, 100), (1_000, 20), (10_000, 4)];

pub(crate) async fn run(server: &Server, options: &Options) -> Result<Vec<Goal>, Failure> {
    let mut strategies = Strategy::open_all(&WAYS, server).await?;
    let mut goals = Vec::new();
    let mut rows = Rows::new(1);
    for (size, count) in SIZES {
        let batches = || (0..count).map(|_| rows.keys(size).iter().map(|key| rows.newer(key)).collect()).collect();
        let results = duel(server, &mut strategies, Before::Truncate, options.repetitions, batches).await?;
        report::costs(&format!("All inserts, {size} rows a transaction, empty table"), &results);
        let ratio = |figure| results.ratio(Way::Tributary, Way::Copy, figure);
        let wanted = match size {
            1_000 => 0.75,
            10_000 => 0.6,
            _ => continue,
        };
        let what = format!("all inserts, {size} a transaction: rows/s against COPY BINARY");
        goals.push(Goal::new(what, Bound::AtLeast(wanted), ratio(Cost::rate)));
        if size == 1_000 {
            let what = "all inserts, 1000 a transaction: CPU of client and server against COPY BINARY";
            goals.push(Goal::new(what, Bound::AtMost(1.3), ratio(Cost::cpu_us)));
            let client = results.middle(Way::Tributary, Cost::client_us);
            goals.push(Goal::new("client CPU, µs a row", Bound::AtMost(0.8), client));
        }
    }
    Ok(goals)
}
