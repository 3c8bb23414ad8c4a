//! Updates, stale changes and a mixture, on a table of 100 000 rows, against what a careful person writes by hand.

use tributary_core::change::Change;

use crate::copy;
use crate::duel::{Before, duel};
use crate::measure::Cost;
use crate::report::{self, Bound, Goal};
use crate::rows::Rows;
use crate::server::Server;
use crate::strategies::{Strategy, Way};
use crate::{Failure, Options};

const BY_HAND: [Way; 3] = [Way::TargetList, Way::FromUnnest, Way::Staged];
const WAYS: [Way; 4] = [Way::Tributary, BY_HAND[0], BY_HAND[1], BY_HAND[2]];
const STORED: usize = 100_000;
/// Rows a transaction, transactions a repetition.
const SIZES: [(usize, usize); 2] = [(1_000, 10), (10_000, 2)];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Updates,
    Stale,
    /// 30 % inserts, 50 % updates, 10 % stale, 10 % deletes.
    Mixed,
}

pub(crate) async fn run(server: &Server, options: &Options) -> Result<Vec<Goal>, Failure> {
    let mut strategies = Strategy::open_all(&WAYS, server).await?;
    let mut rows = Rows::new(2);
    let stored = rows.keys(STORED);
    let seed: Vec<Change> = stored.iter().map(|key| rows.newer(key)).collect();
    for way in WAYS {
        let client = server.connect().await?;
        let statement = copy::prepare(&client, &way.relation()).await?;
        copy::copy(&client, &statement, seed.iter()).await?;
        client.batch_execute(&format!("vacuum analyze {}", way.relation())).await?;
    }
    drop(seed);
    server.observer.batch_execute("checkpoint").await?;
    let mut goals = Vec::new();
    for (size, count) in SIZES {
        for kind in [Kind::Updates, Kind::Stale, Kind::Mixed] {
            let batches = || (0..count).map(|_| batch(&mut rows, &stored, kind, size)).collect();
            let results = duel(server, &mut strategies, Before::Vacuum, options.repetitions, batches).await?;
            let name = format!("{kind:?}").to_lowercase();
            report::costs(&format!("{kind:?}, {size} changes a transaction, table of {STORED} rows"), &results);
            let best = report::best(&results, &BY_HAND);
            let what = format!("{name}, {size} a transaction: rows/s against the best by hand");
            goals.push(Goal::new(what, Bound::AtLeast(0.9), results.ratio(Way::Tributary, best, Cost::rate)));
        }
    }
    Ok(goals)
}

fn batch(rows: &mut Rows, stored: &[String], kind: Kind, size: usize) -> Vec<Change> {
    let keys = rows.draw(stored, size);
    match kind {
        Kind::Updates => keys.iter().map(|key| rows.newer(key)).collect(),
        Kind::Stale => keys.iter().map(|key| rows.stale(key)).collect(),
        Kind::Mixed => {
            let new = rows.keys(size * 3 / 10);
            let mut changes: Vec<Change> = new.iter().map(|key| rows.newer(key)).collect();
            for (at, key) in keys[..size - new.len()].iter().enumerate() {
                changes.push(match at * 10 / size {
                    0 => rows.stale(key),
                    1 => rows.delete(key),
                    _ => rows.newer(key),
                });
            }
            rows.shuffle(&mut changes);
            changes
        }
    }
}
