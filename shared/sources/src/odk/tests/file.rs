use tributary_core::sink::Unlimited;
use tributary_core::{Error, Kind};

use super::central;
use super::server::{DATE, Server, refusal, with};
use crate::odk::{File, Got};

const MD5: &str = "5d41402abc4b2a76b9719d911017c592";

fn file() -> File<'static> {
    File { project: 1, form: "a b", submission: "uuid:1", name: "my photo#1.jpg" }
}

async fn get(server: &Server, known: Option<&str>) -> (Result<Got, Error>, Vec<u8>) {
    let mut to = Vec::new();
    let got = central(&server.url).attachment(&file(), known, &mut to, &Unlimited).await;
    (got.map_err(Error::from), to)
}

fn stored() -> Got {
    Got::Stored { size: 5, md5: MD5.to_owned(), content_type: Some("image/jpeg".to_owned()) }
}

fn picture(etag: &str) -> String {
    with(200, &format!("content-type: image/jpeg\r\netag: \"{etag}\"\r\n"), "hello")
}

#[tokio::test]
async fn a_file_is_written_as_it_is() {
    let server = Server::with(&[picture(MD5)]).await;
    let (got, bytes) = get(&server, None).await;
    assert_eq!((got.unwrap(), bytes.as_slice()), (stored(), &b"hello"[..]));
    assert_eq!(server.lines()[1], "GET /v1/projects/1/forms/a%20b/submissions/uuid%3A1/attachments/my%20photo%231.jpg");
    assert_eq!(server.asked()[1].header("authorization"), Some("Bearer t1"));
    assert_eq!(server.asked()[1].header("if-none-match"), None);
}

#[tokio::test]
async fn what_is_known_or_not_there_is_no_file() {
    let server = Server::with(&[with(304, "", ""), refusal(404, "404.1")]).await;
    assert_eq!(get(&server, Some(MD5)).await.0.unwrap(), Got::Same);
    assert_eq!(server.asked()[1].header("if-none-match"), Some(format!("\"{MD5}\"").as_str()));
    let (got, bytes) = get(&server, None).await;
    assert_eq!((got.unwrap(), bytes.len()), (Got::Missing, 0));
    let server = Server::with(&[refusal(403, "403.1")]).await;
    assert_eq!(get(&server, None).await.0.unwrap_err().kind(), Kind::Config);
}

#[tokio::test]
async fn a_file_that_is_not_whole_is_an_error() {
    let cut = |headers: &str| format!("HTTP/1.1 200 OK\r\n{DATE}connection: close\r\n{headers}\r\nhello");
    let answers = [
        cut("content-length: 6\r\n"),
        cut("transfer-encoding: chunked\r\n").replace("hello", "5\r\nhello\r\n"),
        picture("00000000000000000000000000000000"),
    ];
    for answer in answers {
        let server = Server::with(std::slice::from_ref(&answer)).await;
        let error = get(&server, None).await.0.unwrap_err();
        assert!(error.kind() == Kind::Unavailable, "{answer}: {error:?}");
    }
    // An ETag that isn't of the content is none to compare.
    let server = Server::with(&[picture("1c-DnzvvClFxgfeUENHps")]).await;
    assert_eq!(get(&server, None).await.0.unwrap(), stored());
}

#[tokio::test]
async fn a_file_in_another_store_is_fetched_without_our_login() {
    let store = Server::new(|_| picture("0123456789abcdef0123456789abcdef")).await;
    let to = |url: &str| with(307, &format!("location: {url}/bucket/key?X-Amz-Signature=s3cret\r\n"), "");
    let server = Server::with(&[to(&store.url)]).await;
    let (got, bytes) = get(&server, None).await;
    assert_eq!((got.unwrap(), bytes.as_slice()), (stored(), &b"hello"[..]), "its ETag may be anything");
    assert_eq!(store.lines(), ["GET /bucket/key?X-Amz-Signature=s3cret"]);
    assert_eq!(store.asked()[0].header("authorization"), None);

    // What the store refuses is not what Central refuses: nothing is missing.
    for status in [403, 404, 503] {
        let store = Server::new(move |_| with(status, "", "<Error>")).await;
        let server = Server::with(&[to(&store.url)]).await;
        let error = get(&server, None).await.0.unwrap_err();
        assert!(error.kind() == Kind::Unavailable && !error.chain().contains("s3cret"), "{error:?}");
    }
    let server = Server::with(&vec![to("http://127.0.0.1:1"); 1]).await;
    assert!(!get(&server, None).await.0.unwrap_err().chain().contains("s3cret"));
}

#[tokio::test]
async fn redirects_have_an_end() {
    let store = Server::new(|_| with(307, "location: /again\r\n", "")).await;
    let server = Server::with(&[with(307, &format!("location: {}/x\r\n", store.url), "")]).await;
    let error = get(&server, None).await.0.unwrap_err();
    assert!(error.to_string().contains("from address to address"), "{error:?}");
    assert_eq!(store.lines().len(), 3);
}
