use tributary_core::sink::Unlimited;
use tributary_core::{Error, Kind};

use super::server::{Asked, Server, feed, json, refusal, with};
use super::{central, dataset, form};
use crate::odk::set::decoded;
use crate::odk::{Filter, Gate, Page, Query, Refusal, Set, Trouble, View};

fn query(view: View, filter: Option<Filter>) -> Query {
    Query { view, filter, top: 0, count: false, skiptoken: None }
}

fn ids(ids: &[&str]) -> Option<Filter> {
    Some(Filter::Ids(ids.iter().map(|id| Box::from(*id)).collect()))
}

fn shown(page: &Page) -> (Vec<&str>, Vec<&str>) {
    (page.rows.iter().map(|row| &*row.id).collect(), page.unanswered.iter().map(|id| &**id).collect())
}

/// The addresses that were asked for, readable, without the login.
fn asked(server: &Server) -> Vec<String> {
    let readable = |asked: Asked| decoded(&asked.line).unwrap().replace("GET /v1/projects/1/", "");
    server.asked().into_iter().filter(|asked| asked.line.starts_with("GET")).map(readable).collect()
}

#[tokio::test]
async fn a_page_has_its_rows_its_count_and_the_place_of_the_next() {
    let body = include_str!("../samples/page.json");
    let server = Server::with(&[json(200, body), feed("")]).await;
    let central = central(&server.url);
    let first = Query { top: 2, count: true, ..query(View::Whole, None) };
    let page = central.page(&form(), &first, &Unlimited).await.unwrap();
    assert_eq!((page.rows.len(), page.count, page.date), (2, Some(7), 1_795_162_573_000_000));
    let next = Query { skiptoken: page.next, ..first };
    let page = central.page(&form(), &next, &Unlimited).await.unwrap();
    assert_eq!((page.rows.len(), page.next), (0, None));
    // The link names another host than the one that is asked.
    assert!(body.contains("https://odk.example.org"));
    let token = "01eyJpbnN0YW5jZUlkIjoidXVpZDoxODI5OTI4MC0yYjMyLTQyOTYtYTAwMS0wMDQxOGFiYzc3OWQifQ==";
    assert_eq!(
        asked(&server),
        [
            "forms/f.svc/Submissions?$expand=*&$count=true&$top=2".to_owned(),
            format!("forms/f.svc/Submissions?$expand=*&$count=true&$top=2&$skiptoken={token}"),
        ]
    );
    assert_eq!(server.asked()[2].header("authorization"), Some("Bearer t1"));
}

#[tokio::test]
async fn a_place_that_is_lost_is_told_from_a_question_that_is_unknown() {
    let server = Server::with(&[refusal(400, "400.35"), feed("")]).await;
    let since = Some(Filter::Since { at: 0, deleted: true });
    let next = Query { skiptoken: Some("zz".into()), ..query(View::Whole, since) };
    let trouble = central(&server.url).page(&form(), &next, &Unlimited).await.unwrap_err();
    assert!(matches!(&trouble, Trouble::Refused(refusal) if refusal.is_lost_place()), "{trouble:?}");
    assert_eq!(asked(&server).len(), 1, "it is not asked in simpler words");
}

#[tokio::test]
async fn a_gate_is_shut_while_nothing_happens() {
    let tag = "W/\"eventhash:2a12a3e0d4faed901e010d5e22b3e0d2\"";
    let answer =
        |etag: &str, status, body| with(status, &format!("content-type: application/json\r\netag: {etag}\r\n"), body);
    let body = include_str!("../samples/ids.json");
    // An ETag of the body says nothing of edits, so it is as none.
    let by_body = "W/\"28-DnzvvClFxgfeUENHps/rKzaGlbw\"";
    let server = Server::with(&[
        answer(tag, 200, body),
        answer(tag, 304, ""),
        answer(by_body, 200, body),
        answer(by_body, 200, body),
    ])
    .await;
    let central = central(&server.url);
    let Gate::Changed { etag, date, ids } = central.gate(&form(), None, &Unlimited).await.unwrap() else { panic!() };
    assert_eq!((etag.as_deref(), date, ids.len()), (Some(tag), 1_795_162_573_000_000, 6));
    assert_eq!(&*ids[5], "uuid:b2ec2d2d-7ffb-4322-bb60-7ff5f915f4b7");
    let gate = central.gate(&form(), etag.as_deref(), &Unlimited).await.unwrap();
    assert!(matches!(gate, Gate::Same { date: 1_795_162_573_000_000 }), "{gate:?}");
    let Gate::Changed { etag: None, .. } = central.gate(&form(), Some(by_body), &Unlimited).await.unwrap() else {
        panic!()
    };
    assert!(matches!(central.gate(&form(), None, &Unlimited).await.unwrap(), Gate::Changed { etag: None, .. }));
    let sent: Vec<Option<String>> =
        server.asked().iter().skip(1).map(|asked| asked.header("if-none-match").map(str::to_owned)).collect();
    assert_eq!(sent, [None, Some(tag.to_owned()), None, None]);
    assert_eq!(asked(&server)[0], "forms/f.svc/Submissions?$select=__id");
}

#[tokio::test]
async fn what_an_old_server_does_not_know_is_asked_once_in_vain() {
    let since = || query(View::Whole, Some(Filter::Since { at: 0, deleted: true }));
    let row = r#"{"__id":"a"}"#;
    let server = Server::with(&[refusal(501, "501.5"), feed(row), feed(row)]).await;
    let central = central(&server.url);
    for _ in 0..2 {
        assert_eq!(central.page(&form(), &since(), &Unlimited).await.unwrap().rows.len(), 1);
    }
    let mentions: Vec<bool> = asked(&server).iter().map(|line| line.contains("deletedAt")).collect();
    assert_eq!(mentions, [true, false, false]);

    // Of an entity it may know what it doesn't of a submission.
    central.page(&dataset(), &since(), &Unlimited).await.unwrap_err();
    assert!(asked(&server)[3].contains("deletedAt"));

    // What fails in other words too is no matter of age, and nothing is concluded.
    let server = Server::with(&[refusal(400, "400.18"), refusal(400, "400.18"), feed(row)]).await;
    let central = super::central(&server.url);
    let trouble = central.page(&form(), &since(), &Unlimited).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Refused(Refusal { status: 400, .. })), "{trouble:?}");
    central.page(&form(), &since(), &Unlimited).await.unwrap();
    assert!(asked(&server)[2].contains("deletedAt"));

    let server = Server::with(&[refusal(501, "501.1"), feed(r#"{"x":[{}],"__id":"a"},{"__id":"b"}"#)]).await;
    let Gate::Changed { ids, .. } = super::central(&server.url).gate(&form(), None, &Unlimited).await.unwrap() else {
        panic!()
    };
    assert_eq!(ids.len(), 2);
    assert_eq!(asked(&server), ["forms/f.svc/Submissions?$select=__id", "forms/f.svc/Submissions"]);
}

#[tokio::test]
async fn rows_are_asked_for_by_twenty_ids_a_request() {
    let many: Vec<String> = (0..45).map(|at| format!("uuid:{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    // One that wasn't asked for comes too, as from a server that knows no filter.
    let server =
        Server::with(&[feed(r#"{"__id":"uuid:0"},{"__id":"uuid:x"}"#), feed(r#"{"__id":"uuid:20"}"#), feed("")]).await;
    let page = central(&server.url).page(&form(), &query(View::Whole, ids(&many)), &Unlimited).await.unwrap();
    assert_eq!(shown(&page), (vec!["uuid:0", "uuid:20"], vec![]));
    let counts: Vec<usize> = asked(&server).iter().map(|line| line.matches("__id eq").count()).collect();
    assert_eq!(counts, [20, 20, 5]);
    assert!(asked(&server)[0].ends_with("(__system/deletedAt eq null or __system/deletedAt ne null)"));
}

#[tokio::test]
async fn rows_are_asked_for_one_by_one_where_there_is_no_other_way() {
    async fn check(set: &Set, ids: &[&str], answers: &[String], expect: (Vec<&str>, Vec<&str>), lines: &[&str]) {
        let server = Server::with(answers).await;
        let page =
            central(&server.url).page(set, &query(View::Whole, super::feed::ids(ids)), &Unlimited).await.unwrap();
        assert_eq!(shown(&page), expect);
        assert_eq!(page.date, 1_795_162_573_000_000);
        let filtered = asked(&server).iter().filter(|line| line.contains("$filter")).count();
        let single: Vec<String> = asked(&server).into_iter().filter(|line| !line.contains("$filter")).collect();
        assert_eq!((filtered, single), (2, lines.iter().map(ToString::to_string).collect()));
    }
    let no = || refusal(501, "501.5");
    let (gone, card) = (|| refusal(404, "404.1"), || json(200, r#"{"hash":"h"}"#));
    // "double" is an id too; one with a space or a dot cannot be asked for so.
    check(
        &form(),
        &["uuid:A-1", "double", "a b", "uuid:gone"],
        &[no(), no(), feed(r#"{"__id":"uuid:A-1"}"#), feed(r#"{"__id":"double"}"#), gone(), card()],
        (vec!["uuid:A-1", "double"], vec!["a b"]),
        &[
            "forms/f.svc/Submissions('uuid:A-1')?$expand=*",
            "forms/f.svc/Submissions('double')?$expand=*",
            "forms/f.svc/Submissions('uuid:gone')?$expand=*",
            "forms/f",
        ],
    )
    .await;
    check(&dataset(), &["7a75762e"], &[no(), no(), card()], (vec![], vec!["7a75762e"]), &["datasets/d"]).await;
}

#[tokio::test]
async fn a_form_that_is_gone_is_not_the_end_of_its_rows() {
    let (no, gone) = (|| refusal(501, "501.5"), || refusal(404, "404.1"));
    let server = Server::with(&[no(), no(), gone(), gone()]).await;
    let page = central(&server.url).page(&form(), &query(View::Whole, ids(&["uuid:a"])), &Unlimited).await;
    let error = Error::from(page.unwrap_err());
    assert!(
        error.kind() == Kind::Config && error.to_string().contains("look at the submissions of the form f"),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_id_with_a_quote_ends_no_filter_and_nothing_is_concluded_from_silence() {
    let row = r#"{"__id":"it's"}"#;
    let check = async |answer: String, expect: (Vec<&str>, Vec<&str>)| {
        let server = Server::with(&[feed(r#"{"__id":"uuid:a"}"#), answer]).await;
        let page = central(&server.url)
            .page(&form(), &query(View::Whole, ids(&["it's", "uuid:a"])), &Unlimited)
            .await
            .unwrap();
        assert_eq!(shown(&page), expect);
        assert!(asked(&server)[1].contains("(__id eq 'it''s') and"), "{:?}", asked(&server));
    };
    check(feed(row), (vec!["uuid:a", "it's"], vec![])).await;
    check(feed(""), (vec!["uuid:a"], vec!["it's"])).await;
    let server =
        Server::with(&[feed(r#"{"__id":"uuid:a"}"#), refusal(400, "400.18"), refusal(400, "400.18"), feed("")]).await;
    let central = central(&server.url);
    let page = central.page(&form(), &query(View::Whole, ids(&["it's", "uuid:a"])), &Unlimited).await.unwrap();
    assert_eq!(shown(&page), (vec!["uuid:a"], vec!["it's"]));
    central.page(&form(), &query(View::Whole, ids(&["uuid:b"])), &Unlimited).await.unwrap();
    assert!(asked(&server)[3].contains("$filter"), "one odd id says nothing of the server");
}

#[tokio::test]
async fn a_form_is_described_by_its_card_and_its_fields() {
    let body = include_str!("../samples/fields.json");
    let card = r#"{"hash":"0592","version":"1","keyId":null,"state":"open","name":"GRA Rental"}"#;
    let dataset_body = r#"{"name":"d","properties":[{"name":"owner","odataName":"owner"}]}"#;
    let server =
        Server::with(&[json(200, card), json(200, body), json(200, dataset_body), json(200, dataset_body)]).await;
    let central = central(&server.url);
    assert_eq!(central.card(&form(), &Unlimited).await.unwrap().hash, "0592");
    assert_eq!(central.fields(&form(), &Unlimited).await.unwrap().lists().len(), 2);
    assert!(!central.card(&dataset(), &Unlimited).await.unwrap().hash.is_empty());
    assert_eq!(central.fields(&dataset(), &Unlimited).await.unwrap().fields().len(), 2);
    assert_eq!(asked(&server), ["forms/f", "forms/f/fields?odata=true", "datasets/d", "datasets/d"]);
}
