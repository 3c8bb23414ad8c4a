use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tributary_core::Error;
use tributary_core::sink::{Budget, Unlimited};

use super::server::{DATE, Server, feed, json, refusal, with};
use super::{Left, central, form};
use crate::odk::{Query, Trouble, View};

const BUSY: &str = "retry-after: 1\r\n";

fn all() -> Query {
    Query { view: View::Whole, filter: None, top: 0, count: false, skiptoken: None }
}

/// An answer of 200 that promises more than it has.
fn cut(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{DATE}content-type: application/json\r\nconnection: close\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn what_may_pass_is_asked_again_and_what_may_not_is_not() {
    async fn check(answers: Vec<String>, requests: usize, expect: Result<usize, &str>) {
        let server = Server::with(&answers).await;
        let page = central(&server.url).page(&form(), &all(), &Unlimited).await;
        match (page, expect) {
            (Ok(page), Ok(rows)) => assert_eq!(page.rows.len(), rows),
            (Err(trouble), Err(words)) => {
                let error = Error::from(trouble);
                assert!(error.to_string().contains(words) && !error.chain().contains("hunter2"), "{error:?}");
            }
            (page, expect) => panic!("{expect:?}: {page:?}"),
        }
        assert_eq!(server.lines().len(), requests + 1, "{:?}", server.lines());
    }
    let good = || feed(r#"{"__id":"a"}"#);
    for status in [429, 500, 502, 503, 504] {
        check(vec![refusal(status, "500.1"), good()], 2, Ok(1)).await;
    }
    check(vec![refusal(503, "503.1"), refusal(429, "429"), refusal(500, "500.1"), good()], 3, Err("status 500")).await;
    for (status, words) in [(400, "status 400"), (403, "403.1"), (404, "no such thing"), (409, "409"), (501, "501")] {
        check(vec![refusal(status, &format!("{status}.1")), good()], 1, Err(words)).await;
    }
    // A status of 200 with a body that isn't whole, whichever way it was cut.
    let whole = r#"{"value":[{"__id":"a"},{"__id":"b"}],"@odata.context":"c"}"#;
    let half = &whole[..24];
    check(vec![cut("content-length: 58\r\n", half), good()], 2, Ok(1)).await;
    check(vec![cut("transfer-encoding: chunked\r\n", &format!("18\r\n{half}\r\n")), good()], 2, Ok(1)).await;
    check(vec![cut("", half), good()], 2, Ok(1)).await;
    check(vec![json(200, half), json(200, half), json(200, half), good()], 3, Err("was cut")).await;
    check(vec![json(200, &whole[..35]), json(200, r#"{"value":[]}"#), good()], 3, Ok(1)).await;
    check(vec![String::from("connection: close"), good()], 2, Ok(1)).await;
}

#[tokio::test]
async fn a_server_that_says_how_long_to_wait_is_believed() {
    let server = Server::with(&[with(503, BUSY, ""), feed("")]).await;
    let began = Instant::now();
    central(&server.url).page(&form(), &all(), &Unlimited).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());

    // There is no time for that, so the tick may do something else.
    let server = Server::with(&[with(429, "retry-after: 90\r\n", ""), feed("")]).await;
    let began = Instant::now();
    let trouble = central(&server.url).page(&form(), &all(), &Left(Duration::from_secs(20))).await.unwrap_err();
    assert!(matches!(trouble, Trouble::OutOfTime), "{trouble:?}");
    assert!(began.elapsed() < Duration::from_secs(5));

    let server = Server::with(&[with(429, "retry-after: 86400\r\n", ""), feed("")]).await;
    let trouble = central(&server.url).page(&form(), &all(), &Unlimited).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Refused(_)), "{trouble:?}");
}

#[tokio::test]
async fn a_budget_that_ends_is_no_failure_of_the_server() {
    let silent = Server::new(|_| String::new()).await;
    let began = Instant::now();
    let trouble = central(&silent.url).page(&form(), &all(), &Left(Duration::from_millis(900))).await.unwrap_err();
    assert!(matches!(trouble, Trouble::OutOfTime), "{trouble:?}");
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(silent.lines().is_empty(), "there is no time for a request");

    struct Until(Instant);
    impl Budget for Until {
        fn remaining(&self) -> Option<Duration> {
            Some(self.0.saturating_duration_since(Instant::now()))
        }
    }
    let until = Until(Instant::now() + Duration::from_millis(1_200));
    let trouble = central(&silent.url).page(&form(), &all(), &until).await.unwrap_err();
    assert!(matches!(trouble, Trouble::OutOfTime), "{trouble:?}");
    assert_eq!(silent.lines().len(), 1);
}

#[tokio::test]
async fn no_more_than_four_requests_are_under_way() {
    let server = Server::new({
        let under_way = AtomicUsize::new(0);
        move |asked| {
            if asked.line.starts_with("POST") {
                return json(200, r#"{"token":"t"}"#);
            }
            under_way.fetch_add(1, Ordering::SeqCst);
            format!("slow {}", feed(""))
        }
    })
    .await;
    let (central, set, query) = (central(&server.url), form(), all());
    let one = || central.page(&set, &query, &Unlimited);
    let began = Instant::now();
    let (a, b, c, d, e, f, g, h, i) = tokio::join!(one(), one(), one(), one(), one(), one(), one(), one(), one());
    assert!([a, b, c, d, e, f, g, h, i].iter().all(Result::is_ok));
    // Nine of 50 ms in lanes of four take three turns.
    assert!(began.elapsed() >= Duration::from_millis(145), "{:?}", began.elapsed());
}
