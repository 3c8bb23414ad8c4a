//! Behind a proxy that pools sessions no statement has a name: a named one would pin the connection (RDS Proxy) or be
//! gone with the next server (PgBouncer).

use tributary_core::batch::Checkpoint;
use tributary_core::sink::{Sink, Unlimited};
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};
use tributary_tests::Database;

use crate::fixture::*;

/// The names of the statements that the server has parsed, from its log.
fn names(database: &Database) -> Vec<String> {
    let log = database.server_log();
    let parsed = log.lines().filter_map(|line| line.split_once("  parse ").or_else(|| line.split_once("  execute ")));
    parsed.filter_map(|(_, rest)| rest.split_once(':')).map(|(name, _)| name.to_owned()).collect()
}

#[tokio::test]
async fn behind_a_proxy_no_statement_has_a_name() {
    for (proxy, expect_names) in [(true, false), (false, true)] {
        let settings = [("log_statement", "all"), ("log_min_duration_statement", "0"), ("log_min_messages", "log")];
        let database = Database::alone("pooled", false, &settings).await;
        let tables = [table("t", KEEP)];
        let target = Target::from_url(database.url(), &Policy { proxy, ..Policy::default() }).unwrap();
        let mut sink = Postgres::new(target, tables.to_vec(), true);
        for version in 1..=3 {
            let mut batch = batch(&tables, vec![put(1, version, "a"), gone(2, version)]);
            batch.checkpoint = Some(Checkpoint { partition: "p".into(), position: "1".into(), at: None, fence: None });
            assert_eq!(sink.apply(&batch, &Unlimited).await.unwrap().applied, 2);
        }
        let names = names(&database);
        assert!(names.len() > 3, "the log says nothing: {}", database.server_log());
        assert_eq!(names.iter().any(|name| name != "<unnamed>"), expect_names, "{names:?}");
    }
}
