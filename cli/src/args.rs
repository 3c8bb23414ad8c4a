//! The command line as a user writes it. What the commands do is in [`crate::command`].

mod hook;
mod infer;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args as Arguments, Parser, Subcommand, ValueEnum};

pub(crate) use hook::{Hook, HookTest};
pub(crate) use infer::{Infer, InferAirtable, InferDynamodb, InferOdk, InferSequin, Inferred, Protocol};

const EXIT_CODES: &str = "\
Exit codes:
  0  fine
  1  failed: a system did not answer, refused us, or a batch could not be written
  2  wrong input: the command line, the mapping, an event file, a table that does not fit

Results go to stdout, logs and progress to stderr. RUST_LOG sets how much is logged (default: warn).";

/// Change events in, current rows out: streams of changes into Postgres.
#[derive(Clone, Debug, Parser)]
#[command(name = "tributary", version, after_help = EXIT_CODES, max_term_width = 110, propagate_version = true)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    /// The mapping file.
    #[arg(long, global = true, env = "TRIBUTARY_MAPPING", default_value = "tributary.yaml", value_name = "FILE")]
    pub(crate) mapping: PathBuf,
    /// The database to use in place of the mapping's sinks.
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) database_url: Option<String>,
    /// Print the result as one JSON document.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it working: sample events into a fresh database.
    ///
    /// Finds or starts a Postgres, makes the tables of the sample mapping, pushes the sample events through the real
    /// handler, out of order and twice, and prints what came of them. Ends by itself and leaves nothing running. On the
    /// server of --database-url it makes a database `tributary_demo` and drops it again.
    Demo(Demo),
    /// Print everything that is wrong with the mapping; exit code 2 if anything is.
    Check,
    /// Print the JSON Schema of the mapping file, for editors.
    Schema,
    /// Make missing tables and columns in the sink. Nothing is dropped or narrowed.
    Migrate(Migrate),
    /// Read a pipeline's source from beginning to end, once.
    ///
    /// The rows lose to any event of the stream, so the function may run meanwhile. Goes on where it was interrupted.
    Backfill(Backfill),
    /// Write sample items, changes and deletes, for trying things out.
    Generate(Generate),
    /// Run a function's handler on event files, here.
    ///
    /// Prints the answer that Lambda would get, a line an event. Where the sink's URL is a variable that is not set, a
    /// Postgres is started for the time of the command. Exit code 1 if the answer has failed records.
    Invoke(Invoke),
    /// Deliver stream records to the function's handler, here, by the rules of an event source mapping.
    ///
    /// Reads event files or the whole of a table's stream, cuts it into batches, goes by partial answers, tries again
    /// and gives up as Lambda does, and prints what happened. On demand it is worse than Lambda: out of order, twice,
    /// in odd pieces. Where the sink's URL is a variable that is not set, a Postgres is started for the time of the
    /// command. Exit code 1 if records were given up.
    ReplayStream(ReplayStream),
    /// Apply the batches that an event source mapping has given up.
    ///
    /// Its on-failure destination has them: a bucket whole, a queue only with where they stand in the stream, from which
    /// they are read again as long as it has them, 24 hours. They go through the function's handler, here; what was
    /// applied before, or is older than the row, changes nothing. A message is deleted when its rows are committed, an
    /// object or a file stays. Exit code 1 if a batch is left over or has lost records.
    Redrive(Redrive),
    /// Write a mapping from what a source says about itself, or show how it differs from the mapping that there is.
    ///
    /// Asks the source for its tables and fields, or looks at a sample, and prints a mapping with what is known beside it
    /// as comments. Where --mapping names a file that has a pipeline of this source, it prints what is new, gone,
    /// renamed or of another type in place of that, with exit code 1 if anything is. Writes no file, and changes nothing at
    /// the source.
    Infer(Infer),
    /// Poll the polled pipelines once, here, as their functions would.
    ///
    /// Each gets a turn under its lease: those that are due, or those that are named. Exit code 1 if one fails.
    Poll(Poll),
    /// Show how far each pipeline is, what became of its changes, and who runs it.
    Status,
    /// Try a hook out.
    #[command(subcommand)]
    Hook(Hook),
    /// Look at what could not be applied, try it again, or give it up.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct Demo {
    /// Keep the database and print its URL and how to end it.
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct Migrate {
    /// Print the SQL and what stands in the way; change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Drop the tables of this pipeline with all their rows, forget how far it is, and make the tables anew.
    ///
    /// Dead letters stay. Asks for the pipeline's name first.
    #[arg(long, value_name = "PIPELINE")]
    pub(crate) recreate: Option<String>,
    /// Don't ask before --recreate.
    #[arg(long, requires = "recreate")]
    pub(crate) yes: bool,
    /// Let --recreate drop columns that the mapping doesn't have, with what is in them.
    #[arg(long, requires = "recreate")]
    pub(crate) drop_other_columns: bool,
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct Poll {
    /// The pipelines; all when none is named.
    #[arg(value_name = "PIPELINE")]
    pub(crate) pipelines: Vec<String>,
    /// Run what rests or was stopped too, with a sweep.
    #[arg(long)]
    pub(crate) force: bool,
    /// Let this pipeline's sweep delete more rows than its guard would.
    #[arg(long, value_name = "PIPELINE")]
    pub(crate) allow_mass_delete: Vec<String>,
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct Invoke {
    /// The function.
    #[arg(value_enum)]
    pub(crate) function: Function,
    /// Event files in the order of delivery; `-` is standard input.
    #[arg(long = "event", value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) events: Vec<PathBuf>,
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct ReplayStream {
    #[command(flatten)]
    pub(crate) from: Origin,
    /// The endpoint of a local DynamoDB, with --stream; the datastore's by default.
    #[arg(long, value_name = "URL", conflicts_with = "events")]
    pub(crate) endpoint: Option<String>,
    /// The most records of a batch.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) batch_size: u16,
    /// Into how many shards the records of event files are parted, by their keys. Shards go on side by side.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    #[arg(conflicts_with = "stream")]
    pub(crate) shards: u16,
    /// How often a failed batch is tried again; -1 for without end, as AWS has it by default.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(i32).range(-1..=10_000))]
    #[arg(allow_negative_numbers = true)]
    pub(crate) retries: i32,
    /// After how many seconds a record is given up. Samples are old.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub(crate) record_age: Option<u64>,
    /// Halve a batch that fails as a whole.
    #[arg(long)]
    pub(crate) bisect: bool,
    /// Write what is given up to this file, a line a batch, as S3 would get it.
    #[arg(long, value_name = "FILE")]
    pub(crate) on_failure: Option<PathBuf>,
    /// Deliver the records of a shard in any order.
    #[arg(long)]
    pub(crate) shuffle: bool,
    /// The share of records that come once more, later: 0 to 1.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    pub(crate) duplicate: f64,
    /// The share of batches that are delivered once more after they were done: 0 to 1.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    pub(crate) replay: f64,
    /// Make batches of any size up to the largest.
    #[arg(long)]
    pub(crate) split: bool,
    /// The same seed gives the same disorder.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Clone, Debug, Arguments)]
#[group(required = true, multiple = false)]
pub(crate) struct Origin {
    /// Event files in the order of the stream; `-` is standard input.
    #[arg(long = "event", value_name = "FILE", num_args = 1..)]
    pub(crate) events: Vec<PathBuf>,
    /// The current stream of this table, which a pipeline of the mapping reads.
    #[arg(long, value_name = "TABLE")]
    pub(crate) stream: Option<String>,
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct Redrive {
    #[command(flatten)]
    pub(crate) from: OnFailure,
    /// Only the objects whose keys begin so.
    #[arg(long, value_name = "PREFIX", default_value = "aws/lambda/", conflicts_with_all = ["files", "queue"])]
    pub(crate) prefix: String,
    /// List them and what the stream still has of them; apply and delete nothing. A queue counts it as a receipt.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Delete an object when its rows are committed.
    #[arg(long, conflicts_with_all = ["files", "queue", "dry_run"])]
    pub(crate) delete: bool,
    /// Delete batches of which the stream has lost records too, once what it still has is committed. Repair the pipelines.
    #[arg(long, conflicts_with_all = ["files", "dry_run"])]
    pub(crate) forget_lost: bool,
    /// The endpoint of a local AWS; the environment's by default.
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
}

#[derive(Clone, Debug, Arguments)]
#[group(required = true, multiple = false)]
pub(crate) struct OnFailure {
    /// Files with what a bucket or a queue got, one after another; `-` is standard input.
    #[arg(id = "files", long = "file", value_name = "FILE", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// The S3 bucket.
    #[arg(long, value_name = "NAME")]
    pub(crate) bucket: Option<String>,
    /// The URL of the SQS queue.
    #[arg(long, value_name = "URL")]
    pub(crate) queue: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Function {
    /// Change events of DynamoDB streams.
    DynamodbStream,
    /// Ticks that drain Sequin.
    SequinPoll,
    /// Ticks that poll Airtable.
    AirtablePoll,
    /// Ticks that poll ODK Central.
    OdkPoll,
    /// Requests to hooks, and messages of their queue.
    Webhook,
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct Backfill {
    /// The pipeline.
    pub(crate) pipeline: String,
    /// How many parts of the source are read at once.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) segments: u16,
    /// The read budget in capacity units a second, for all parts together; at least 1.
    #[arg(long, default_value_t = 100.0, value_name = "UNITS", value_parser = positive)]
    pub(crate) rcu: f64,
    /// Heal rows that a lost stream event has left stale, and delete those that the source no longer has.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Let a repair delete more than half of a table's rows.
    #[arg(long, requires = "repair")]
    pub(crate) allow_mass_delete: bool,
    /// Begin anew instead of where it was interrupted.
    #[arg(long)]
    pub(crate) restart: bool,
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct Generate {
    /// What is generated.
    #[arg(value_enum)]
    pub(crate) sample: Sample,
    /// Operations a second.
    #[arg(long, default_value_t = 10.0, value_name = "OPERATIONS", value_parser = positive)]
    pub(crate) rate: f64,
    /// End after this many operations. Without it, a table is written until you interrupt; a file gets 100.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// The same seed gives the same users.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) to: Destination,
    /// The endpoint of a local DynamoDB, with --table.
    #[arg(long, value_name = "URL", conflicts_with = "to")]
    pub(crate) endpoint: Option<String>,
    /// The region of the table; the environment's by default.
    #[arg(long, conflicts_with = "to")]
    pub(crate) region: Option<String>,
}

#[derive(Clone, Debug, Arguments)]
#[group(required = true, multiple = false)]
pub(crate) struct Destination {
    /// Write into this DynamoDB table. Its key must be the attribute `id`, a string.
    #[arg(long, value_name = "NAME")]
    pub(crate) table: Option<String>,
    /// Write an event file, as `invoke` reads it; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Sample {
    /// The users of the sample mapping.
    Users,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List them, the oldest first.
    List {
        /// Only those of this pipeline.
        pipeline: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show one whole, its payload included.
    Show {
        /// Its number in the list.
        id: i64,
    },
    /// Try them again, with the mapping as it is now. Those that fail again stay.
    Replay {
        /// Only those of this pipeline.
        pipeline: Option<String>,
    },
    /// Remove them for good.
    Discard(Discard),
}

#[derive(Clone, Debug, Arguments)]
#[group(required = true, multiple = false)]
pub(crate) struct Discard {
    /// Their numbers in the list.
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<i64>,
    /// All of this pipeline.
    #[arg(long, value_name = "NAME")]
    pub(crate) pipeline: Option<String>,
    /// All.
    #[arg(long)]
    pub(crate) all: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if f64::is_finite(number) && number > 0.0 => Ok(number),
        _ => Err("a number above 0".into()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("a number from 0 to 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
