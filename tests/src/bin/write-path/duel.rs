//! Ways of writing side by side: the same batches for each, in turns, in a rotated order, many times.

use tributary_core::change::Change;

use crate::measure::{Clock, Cost, median};
use crate::report::note;
use crate::server::Server;
use crate::strategies::{Strategy, Way};
use crate::wire::{WITHOUT_SYNCED_AT, names};
use crate::{Failure, rows};

/// What happens to the tables before each repetition, outside the clock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// They are emptied.
    Truncate,
    /// They are vacuumed, in place of an autovacuum at a moment of its own choosing.
    Vacuum,
}

/// What the ways cost, a figure a repetition.
pub(crate) struct Results(Vec<(Way, Vec<Cost>)>);

/// Lets them write what `batches` returns for each repetition. The first repetition is not counted: it fills caches and
/// lets the server settle on its plans.
pub(crate) async fn duel(
    server: &Server,
    strategies: &mut [Strategy],
    before: Before,
    repetitions: usize,
    mut batches: impl FnMut() -> Vec<Vec<Change>>,
) -> Result<Results, Failure> {
    let mut results = Results(strategies.iter().map(|strategy| (strategy.way, Vec::new())).collect());
    for repetition in 0..=repetitions {
        let batches = batches();
        for turn in 0..strategies.len() {
            let which = (turn + repetition) % strategies.len();
            let strategy = &mut strategies[which];
            let (table, tables) = (strategy.way.relation(), [rows::table(strategy.way.table())]);
            match before {
                Before::Truncate => server.observer.batch_execute(&format!("truncate {table}")).await?,
                Before::Vacuum => server.observer.batch_execute(&format!("vacuum {table}")).await?,
            }
            let mut clock = Clock::start(&server.observer, strategy.backend).await?;
            for changes in &batches {
                // Fresh from memory, as a batch is that was just decoded.
                let batch = rows::batch(&tables, changes.clone());
                clock.lap(changes.len(), strategy.apply(&batch)).await?;
            }
            // What is sent without waiting counts.
            clock.lap(0, strategy.settle()).await;
            let cost = clock.stop(&server.observer).await?;
            if repetition > 0 {
                results.0[which].1.push(cost);
            }
        }
        if repetition == 0 {
            same_rows(server, strategies).await?;
        }
        note(&format!("repetition {repetition} of {repetitions}"));
    }
    Ok(results)
}

/// Whoever is fast because it writes something else is no comparison.
async fn same_rows(server: &Server, strategies: &[Strategy]) -> Result<(), Failure> {
    let columns = names(WITHOUT_SYNCED_AT);
    let rows = |way: Way| format!("select {columns} from {}", way.relation());
    for pair in strategies.windows(2) {
        let [one, other] = [rows(pair[0].way), rows(pair[1].way)];
        let query = format!("select count(*) from (({one} except {other}) union all ({other} except {one})) x");
        let differ = server.figure(&query).await?;
        if differ > 0 {
            let names = (pair[0].way.name(), pair[1].way.name());
            return Err(format!("{differ} rows of `{}` and `{}` differ", names.0, names.1).into());
        }
    }
    Ok(())
}

impl Results {
    pub(crate) fn ways(&self) -> impl Iterator<Item = Way> {
        self.0.iter().map(|(way, _)| *way)
    }

    pub(crate) fn first(&self) -> Way {
        self.0[0].0
    }

    fn of(&self, way: Way) -> &[Cost] {
        self.0.iter().find(|(of, _)| *of == way).map_or(&[], |(_, costs)| costs)
    }

    /// The median of a figure.
    pub(crate) fn middle(&self, way: Way, figure: fn(&Cost) -> f64) -> f64 {
        median(self.of(way).iter().map(figure).collect())
    }

    /// The median of the ratios within the repetitions: a neighbour who slows a repetition slows both.
    pub(crate) fn ratio(&self, way: Way, base: Way, figure: fn(&Cost) -> f64) -> f64 {
        median(self.of(way).iter().zip(self.of(base)).map(|(a, b)| figure(a) / figure(b)).collect())
    }
}
