//! The harness tested: what the other tests rely on.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::{Client, NoTls};
use tributary_tests::{Database, Invocation, Proxy, RuntimeApi};

const SECOND: Duration = Duration::from_secs(1);

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

mod database {
    use super::*;

    #[tokio::test]
    async fn each_is_empty_and_its_own() {
        let (one, two) = tokio::join!(Database::new("Same name"), Database::new("Same name"));
        one.execute("create table t (a int, b text); insert into t values (1, null), (2, 'x')").await;
        assert_eq!(one.rows("select a, b from t order by a").await, ["1 | ∅", "2 | x"]);
        assert_eq!(two.rows("select count(*) from pg_tables where schemaname = 'public'").await, ["0"]);
        assert_eq!(two.client().await.query_one("show timezone", &[]).await.unwrap().get::<_, String>(0), "UTC");
    }

    #[tokio::test]
    async fn it_is_gone_after_the_test_even_with_clients() {
        let other = Database::new("other").await;
        if other.single_connection() {
            // Its databases end with their server, and this client would wait for itself.
            return;
        }
        let database = Database::new("gone").await;
        let _client = database.client().await;
        let query = format!("select count(*) from pg_database where datname = '{}'", database.name());
        assert_eq!(other.rows(&query).await, ["1"]);
        drop(database);
        assert_eq!(other.rows(&query).await, ["0"]);
    }

    #[tokio::test]
    async fn one_alone_has_its_settings() {
        let database = Database::alone("alone", true, &[("work_mem", "7MB")]).await;
        assert_eq!(database.rows("show work_mem").await, ["7MB"]);
        assert_eq!(database.rows("show synchronous_commit").await, ["on"]);
        assert_eq!(database.rows("select count(*) from pg_database where not datistemplate").await, ["2"]);
    }
}

mod proxy {
    use super::*;

    #[tokio::test]
    async fn it_counts_round_trips_not_statements() {
        let database = Database::new("trips").await;
        let proxy = Proxy::start(database.url()).await;
        let client = connect(proxy.url()).await.unwrap();
        let after_login = proxy.round_trips();
        client.batch_execute("select 1; select 2").await.unwrap();
        assert_eq!(proxy.round_trips() - after_login, 1);
        let statement = client.prepare("select $1::int").await.unwrap();
        let prepared = proxy.round_trips();
        proxy.delay(Duration::ZERO, Duration::from_millis(50));
        let rows = futures_util::future::join_all((0..20).map(|_| client.query(&statement, &[&1]))).await;
        assert!(rows.iter().all(Result::is_ok));
        assert_eq!(proxy.round_trips() - prepared, 1, "pipelined");
        for _ in 0..3 {
            client.query(&statement, &[&1]).await.unwrap();
        }
        assert_eq!(proxy.round_trips() - prepared, 4, "one after the other");
        assert_eq!(proxy.connections(), 1);
    }

    #[tokio::test]
    async fn it_counts_bytes_and_delays() {
        let database = Database::new("bytes").await;
        let proxy = Proxy::start(database.url()).await;
        let client = connect(proxy.url()).await.unwrap();
        let (up, down) = (proxy.bytes_up(), proxy.bytes_down());
        client.batch_execute(&format!("select '{}'", "x".repeat(100_000))).await.unwrap();
        assert!((100_000..100_100).contains(&(proxy.bytes_up() - up)));
        assert!((100_000..100_200).contains(&(proxy.bytes_down() - down)));
        proxy.delay(Duration::from_millis(100), Duration::from_millis(150));
        let begin = Instant::now();
        client.batch_execute("select 1").await.unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(250));
    }

    #[tokio::test]
    async fn it_cuts_and_refuses_and_takes_again() {
        let database = Database::new("cut").await;
        let proxy = Proxy::start(database.url()).await;
        let client = connect(proxy.url()).await.unwrap();
        proxy.cut();
        assert!(client.batch_execute("select 1").await.is_err());
        proxy.refuse(true);
        assert!(connect(proxy.url()).await.is_err());
        proxy.refuse(false);
        connect(proxy.url()).await.unwrap().batch_execute("select 1").await.unwrap();
    }

    #[tokio::test]
    async fn a_stalled_one_says_nothing_until_it_goes_on() {
        let database = Database::new("stall").await;
        let proxy = Proxy::start(database.url()).await;
        let client = connect(proxy.url()).await.unwrap();
        proxy.stall(true);
        let mut query = std::pin::pin!(client.batch_execute("select 1"));
        assert!(tokio::time::timeout(SECOND / 4, &mut query).await.is_err());
        assert!(!client.is_closed());
        proxy.stall(false);
        query.await.unwrap();
    }

    #[tokio::test]
    async fn a_cut_after_so_many_bytes_leaves_the_rest_unsaid() {
        let database = Database::new("after").await;
        database.execute("create table t (a int)").await;
        let proxy = Proxy::start(database.url()).await;
        let whole = "insert into t values (1)".len() + 6;
        for (bytes, expect) in [(whole - 1, "0"), (whole, "1")] {
            let client = connect(proxy.url()).await.unwrap();
            proxy.cut_after(bytes);
            assert!(client.batch_execute("insert into t values (1)").await.is_err());
            // The server needs a moment to carry it out, and ends with its connection.
            let begin = Instant::now();
            let busy =
                "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
            while database.rows(busy).await != ["0"] {
                assert!(begin.elapsed() < 10 * SECOND);
            }
            assert_eq!(database.rows("select count(*) from t").await, [expect], "after {bytes} bytes");
        }
        assert_eq!(proxy.cuts(), 2);
    }

    #[tokio::test]
    async fn a_lost_answer_is_that_of_a_commit_that_happened() {
        let database = Database::new("lost").await;
        database.execute("create table t (a int)").await;
        let proxy = Proxy::start(database.url()).await;
        let client = connect(proxy.url()).await.unwrap();
        proxy.cut_before_answer_to("commit\0");
        client.batch_execute("begin").await.unwrap();
        client.batch_execute("insert into t values (1)").await.unwrap();
        assert!(client.batch_execute("commit").await.is_err());
        assert_eq!(database.rows("select count(*) from t").await, ["1"]);
        assert_eq!(proxy.cuts(), 1);
        connect(proxy.url()).await.unwrap().batch_execute("begin; commit").await.unwrap();
    }
}

mod runtime_api {
    use super::*;

    /// Sends one request on an open connection and returns the whole answer.
    async fn request(stream: &mut TcpStream, line: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        let text = format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        loop {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed");
            let text = String::from_utf8(answer.clone()).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return text;
            }
        }
    }

    fn id_in(answer: &str) -> String {
        let name = "lambda-runtime-aws-request-id: ";
        answer.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned()
    }

    const NEXT: &str = "GET /2018-06-01/runtime/invocation/next";

    async fn report(stream: &mut TcpStream, id: &str, how: &str, headers: &str, body: &str) -> String {
        request(stream, &format!("POST /2018-06-01/runtime/invocation/{id}/{how}"), headers, body).await
    }

    #[tokio::test]
    async fn it_hands_out_events_and_takes_answers_on_one_connection() {
        let api = RuntimeApi::start().await;
        let mut stream = TcpStream::connect(api.address()).await.unwrap();
        let function = async {
            let event = request(&mut stream, NEXT, "", "").await;
            assert!(event.starts_with("HTTP/1.1 200") && event.ends_with(r#"{"a":1}"#), "{event}");
            assert!(event.contains("lambda-runtime-deadline-ms: ") && event.contains("lambda-runtime-trace-id: "));
            assert!(event.contains("lambda-runtime-invoked-function-arn: arn:aws:lambda:"));
            let answer = report(&mut stream, &id_in(&event), "response", "", r#"{"b":2}"#).await;
            assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
            let event = request(&mut stream, NEXT, "", "").await;
            let kind = "lambda-runtime-function-error-type: Oops\r\n";
            report(&mut stream, &id_in(&event), "error", kind, "{}").await;
            let again = report(&mut stream, &id_in(&event), "response", "", "{}").await;
            assert!(again.starts_with("HTTP/1.1 400"), "answered twice: {again}");
        };
        let test = async {
            assert_eq!(api.invoke(r#"{"a":1}"#, SECOND).await.json()["b"], 2);
            let error = api.invoke("{}", SECOND).await;
            assert_eq!(error, Invocation::Error { kind: "Oops".into(), body: "{}".into() });
        };
        tokio::join!(function, test);
        assert_eq!(api.polls(), 2);
    }

    #[tokio::test]
    async fn a_dead_function_leaves_its_event_and_not_the_next() {
        let api = RuntimeApi::start().await;
        // One that dies while it waits must not take an event with it.
        let mut dead = TcpStream::connect(api.address()).await.unwrap();
        dead.write_all(format!("{NEXT} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        while api.polls() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(dead);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut killed = TcpStream::connect(api.address()).await.unwrap();
        let lost = async {
            let (lost, event) = tokio::join!(api.invoke("1", 5 * SECOND), async {
                let event = request(&mut killed, NEXT, "", "").await;
                drop(killed);
                // Its successor asks for work.
                let mut next = TcpStream::connect(api.address()).await.unwrap();
                next.write_all(format!("{NEXT} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
                (event, next)
            });
            assert!(event.0.ends_with("\r\n\r\n1"));
            lost
        };
        assert_eq!(lost.await, Invocation::Lost);
    }

    #[tokio::test]
    async fn nobody_answering_is_a_timeout_and_its_event_is_not_handed_out_later() {
        let api = RuntimeApi::start().await;
        assert_eq!(api.invoke("old", SECOND / 20).await, Invocation::TimedOut);
        let mut stream = TcpStream::connect(api.address()).await.unwrap();
        let (_, event) = tokio::join!(api.invoke("new", SECOND / 5), request(&mut stream, NEXT, "", ""));
        assert!(event.ends_with("\r\n\r\nnew"), "{event}");
    }

    #[tokio::test]
    async fn extensions_register_and_failed_starts_are_noted() {
        let api = RuntimeApi::start().await;
        let mut stream = TcpStream::connect(api.address()).await.unwrap();
        let header = "lambda-extension-name: x\r\n";
        let line = "POST /2020-01-01/extension/register";
        let answer = request(&mut stream, line, header, r#"{"events":[]}"#).await;
        assert!(answer.contains("lambda-extension-identifier: "), "{answer}");
        assert_eq!(api.extensions(), ["x"]);
        request(&mut stream, "POST /2018-06-01/runtime/init/error", "", "{}").await;
        assert_eq!(api.init_errors(), ["{}"]);
        let unknown = request(&mut stream, "GET /elsewhere", "", "").await;
        assert!(unknown.starts_with("HTTP/1.1 404"));
    }
}
