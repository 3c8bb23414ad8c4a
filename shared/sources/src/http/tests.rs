use std::time::{Duration, Instant};

use hyper::header::RETRY_AFTER;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tributary_core::Kind;
use tributary_core::sink::Unlimited;

use super::*;

/// A server that gives these answers, byte for byte, one a connection, and says what it was asked.
async fn server(answers: Vec<&'static str>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/path?secret=hunter2", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let length = connection.read(&mut buffer).await.unwrap();
            asked.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (url, asked)
}

const QUICK: Patience = Patience { attempts: 3, first: Duration::from_millis(1), longest: Duration::from_millis(2) };

#[tokio::test]
async fn an_answer_has_its_status_headers_and_body() {
    let answer = "HTTP/1.1 404 Not Found\r\nretry-after: 7\r\ncontent-length: 8\r\n\r\n{\"a\": 1}";
    let (url, asked) = server(vec![answer]).await;
    let request = Request::post_json(url, &[1]).unwrap().bearer("s3cret").unwrap();
    assert!(!format!("{request:?}").contains("s3cret") && !format!("{request:?}").contains("hunter2"));
    let response = Client::new().send(&request, &Unlimited).await.unwrap();
    assert_eq!(response.status, StatusCode::NOT_FOUND);
    assert_eq!(response.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(response.json::<serde_json::Value>().unwrap()["a"], 1);
    let asked = asked.await.unwrap().remove(0);
    assert!(asked.starts_with("POST /path?secret=hunter2 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer s3cret\r\n") && asked.ends_with("\r\n\r\n[1]"), "{asked}");
}

#[tokio::test]
async fn trouble_has_a_name() {
    async fn check(answers: Vec<&'static str>, limit: usize, kind: Kind, words: &str) {
        let (url, _asked) = server(answers).await;
        let mut request = Request::get(url);
        (request.timeout, request.limit) = (Duration::from_millis(300), limit);
        let error = Client::new().send(&request, &Unlimited).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(words) && !error.chain().contains("hunter2"), "{error:?}");
    }
    check(vec!["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\""], 99, Kind::Unavailable, "cut short").await;
    check(vec!["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"a\""], 99, Kind::Unavailable, "cut short")
        .await;
    check(vec!["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789"], 8, Kind::Data, "longer than 8").await;
    check(vec![""], 99, Kind::Unavailable, "without an answer").await;
    check(vec![], 99, Kind::Unavailable, "127.0.0.1").await;
}

#[tokio::test]
async fn a_server_that_is_silent_costs_no_more_than_the_budget() {
    struct Short;
    impl Budget for Short {
        fn remaining(&self) -> Option<Duration> {
            Some(Duration::from_millis(100))
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = Request::get(format!("http://{}/", listener.local_addr().unwrap()));
    let began = Instant::now();
    let error = Client::new().send_patiently(&request, &QUICK, &Short).await.map(|_| ()).unwrap_err();
    assert!(error.retry() && began.elapsed() < Duration::from_secs(5), "{error:?}");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    async fn check(answers: Vec<&'static str>, requests: usize, expect: u16) {
        let (url, asked) = server(answers).await;
        let response = Client::new().send_patiently(&Request::get(url), &QUICK, &Unlimited).await.unwrap();
        assert_eq!(response.status.as_u16(), expect);
        let asked = tokio::time::timeout(Duration::from_millis(200), asked).await;
        assert_eq!(asked.map(|asked| asked.unwrap().len()).unwrap_or(0), requests);
    }
    const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const SLOW_DOWN: &str = "HTTP/1.1 429 Slow\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const REFUSED: &str = "HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    check(vec![BUSY, SLOW_DOWN, GOOD], 3, 200).await;
    check(vec!["", GOOD], 2, 200).await;
    check(vec![BUSY, BUSY, BUSY], 3, 503).await;
    check(vec![REFUSED], 1, 401).await;
}

#[test]
fn a_wait_is_seconds_or_a_date() {
    let check = |after: &str, date: &str, expect: Option<u64>| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, after.parse().unwrap());
        headers.insert(header::DATE, date.parse().unwrap());
        let response = Response { status: StatusCode::OK, headers, body: Bytes::new() };
        assert_eq!(response.retry_after(), expect.map(Duration::from_secs), "{after}");
    };
    const NOW: &str = "Wed, 21 Oct 2015 07:28:00 GMT";
    check("120", NOW, Some(120));
    check("Wed, 21 Oct 2015 07:28:30 GMT", NOW, Some(30));
    check("Wed, 21 Oct 2015 07:27:00 GMT", NOW, Some(0));
    check("soon", NOW, None);
}

#[test]
fn a_body_that_is_no_json_is_not_quoted() {
    let check = |body: &'static str, words: &str| {
        let response = Response { status: StatusCode::OK, headers: HeaderMap::new(), body: body.into() };
        let error = response.json::<Vec<u8>>().unwrap_err();
        assert!(error.to_string().contains(words) && !error.chain().contains("hunter2"), "{error:?}");
    };
    check("[1, ", "ends too early");
    check("[\"hunter2\"]", "another form");
    check("hunter2", "no JSON");
}
