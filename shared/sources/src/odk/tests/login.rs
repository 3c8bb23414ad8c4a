use std::sync::Mutex;

use tributary_core::sink::Unlimited;
use tributary_core::{Error, Kind};

use super::server::{Server, json, refusal};
use super::{QUICK, central, form, login};
use crate::odk::{Central, Login};

const CARD: &str = r#"{"hash":"h","version":"1","keyId":null,"state":"open"}"#;

/// A server that takes the newest of its tokens only, and forgets it after some requests.
async fn forgetful(after: usize) -> Server {
    let state = Mutex::new((0, 0));
    Server::new(move |asked| {
        let mut state = state.lock().unwrap();
        let (tokens, used) = &mut *state;
        if asked.line == "POST /v1/sessions" {
            (*tokens, *used) = (*tokens + 1, 0);
            if *tokens > 4 {
                // Somebody logs in without end.
                return json(418, "{}");
            }
            return format!("slow {}", json(200, &format!(r#"{{"token":"t{tokens}"}}"#)));
        }
        let is_known = asked.header("authorization") == Some(&format!("Bearer t{tokens}"));
        *used += usize::from(is_known);
        if is_known && *used <= after { json(200, CARD) } else { refusal(401, "401.2") }
    })
    .await
}

fn logins(server: &Server) -> usize {
    server.lines().iter().filter(|line| *line == "POST /v1/sessions").count()
}

#[tokio::test]
async fn a_session_is_opened_once_and_renewed_once_for_all_who_wait() {
    let server = forgetful(6).await;
    let central = central(&server.url);
    let set = form();
    let one = || central.card(&set, &Unlimited);
    let (a, b, c, d, e) = tokio::join!(one(), one(), one(), one(), one());
    assert!([a, b, c, d, e].iter().all(Result::is_ok));
    assert_eq!(logins(&server), 1, "five that come at once log in once");
    assert_eq!(server.asked()[0].body, r#"{"email":"sync@example.org","password":"hunter2"}"#);
    // One is left; then the token ends for all of them.
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    assert!([a, b, c, d].iter().all(Result::is_ok));
    assert_eq!(logins(&server), 2, "{:?}", server.lines());
}

#[tokio::test]
async fn a_session_that_is_refused_again_is_not_renewed_for_ever() {
    let server = forgetful(0).await;
    let error = Error::from(central(&server.url).card(&form(), &Unlimited).await.unwrap_err());
    assert_eq!((error.kind(), logins(&server), server.lines().len()), (Kind::Auth, 2, 4), "{:?}", server.lines());
}

#[tokio::test]
async fn a_login_that_is_refused_is_explained_and_not_tried_by_each_request() {
    async fn check(status: u16, code: &'static str, kind: Kind, hint: &str) {
        let server = Server::new(move |_| refusal(status, code)).await;
        let (central, set) = (central(&server.url), form());
        let (a, b) = tokio::join!(central.card(&set, &Unlimited), central.fields(&set, &Unlimited));
        let errors = [Error::from(a.unwrap_err()), Error::from(b.unwrap_err())];
        for error in &errors {
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.hint().unwrap().contains(hint) && !error.chain().contains("hunter2"), "{error:?}");
        }
        assert_eq!(server.lines(), ["POST /v1/sessions"]);
    }
    check(401, "401.2", Kind::Auth, "not an app user").await;
    check(404, "404.1", Kind::Config, "OIDC").await;
    check(403, "403.1", Kind::Config, "Project Viewer").await;
}

#[tokio::test]
async fn a_server_that_is_none_is_not_sent_the_login_twice() {
    async fn check(answer: &'static str, words: &str) {
        let server = Server::new(move |_| answer.to_owned()).await;
        let error = Error::from(central(&server.url).card(&form(), &Unlimited).await.unwrap_err());
        assert!(format!("{error} {}", error.hint().unwrap_or_default()).contains(words), "{error:?}");
        assert_eq!(server.lines().len(), 1);
    }
    let date = "date: Fri, 20 Nov 2026 08:16:13 GMT";
    let html = format!("HTTP/1.1 200 OK\r\n{date}\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi");
    check(html.leak(), "the address of the site").await;
    let moved =
        format!("HTTP/1.1 301 Moved\r\n{date}\r\nlocation: https://evil.example.org/\r\ncontent-length: 0\r\n\r\n");
    check(moved.leak(), "leads elsewhere").await;
    let odd = format!("HTTP/1.1 200 OK\r\n{date}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}");
    check(odd.leak(), "has no token").await;
    check("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}", "`Date`").await;
}

#[tokio::test]
async fn basic_sends_both_each_time_and_is_never_renewed() {
    let server = Server::with(&[json(200, CARD), refusal(401, "401.3")]).await;
    let basic = Central::with_patience(&server.url, Login { basic: true, ..login() }, QUICK);
    basic.card(&form(), &Unlimited).await.unwrap();
    let error = Error::from(basic.card(&form(), &Unlimited).await.unwrap_err());
    assert!(error.to_string().contains("over https only"), "{error}");
    let path = "GET /v1/projects/1/forms/f";
    assert_eq!(server.lines(), [path, path]);
    assert_eq!(server.asked()[0].header("authorization"), Some("Basic c3luY0BleGFtcGxlLm9yZzpodW50ZXIy"));
    assert!(!format!("{basic:?}").contains("hunter2") && !format!("{basic:?}").contains("sync@"), "{basic:?}");
}

#[tokio::test]
async fn the_address_may_be_that_of_the_api() {
    for end in ["/", "/v1", "/v1/"] {
        let server = Server::with(&[json(200, CARD)]).await;
        central(&format!("{}{end}", server.url)).card(&form(), &Unlimited).await.unwrap();
        assert_eq!(server.lines(), ["POST /v1/sessions", "GET /v1/projects/1/forms/f"]);
    }
}
