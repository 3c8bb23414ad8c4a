//! Connecting to a real server: trust, refusals, and what its errors are turned into.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod failure;
mod tls;

use tokio_postgres::Client;
use tributary_local::{Options, Origin, Postgres};
use tributary_postgres::connect::{Policy, Target, connect};

/// A server that this process shares with others. None where there is only pglite, which has no TLS, no passwords and
/// one connection. A given one is not used: these tests know how ours lets people in.
fn server() -> Option<Postgres> {
    started(&Options { url: None, ..Options::for_tests().unwrap() })
}

/// A server that a test may change.
fn own_server() -> Option<Postgres> {
    started(&Options { url: None, shared: false, ..Options::for_tests().unwrap() })
}

fn started(options: &Options) -> Option<Postgres> {
    let server = Postgres::find_or_start(options).unwrap();
    (*server.origin() != Origin::Pglite).then_some(server)
}

async fn client(url: &str) -> Client {
    let target = Target::from_url(url, &Policy::default()).unwrap().with_application("test");
    connect(&target).await.unwrap().0
}

#[tokio::test]
async fn a_session_starts_with_its_settings() {
    let Some(server) = server() else { return };
    let client = client(server.url()).await;
    let check = async |setting: &str, expect: &str| {
        let row = client.query_one(&format!("show {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), expect, "{setting}");
    };
    check("timezone", "UTC").await;
    check("datestyle", "ISO, YMD").await;
    check("idle_in_transaction_session_timeout", "1min").await;
    check("application_name", "tributary/test").await;
    check("client_encoding", "UTF8").await;
}
