use std::time::Duration;

use super::encoding::Coding;
use super::*;
use crate::webhook::scheme::{Algorithm, Encoding, SecretForm, TOLERANCE, Template, Timestamp, Unit};

const EVER: Duration = Duration::from_secs(3_153_600_000);

pub(super) fn hmac(header: &str, prefix: &str, algorithm: Algorithm, encoding: Encoding) -> Hmac {
    Hmac {
        header: header.into(),
        prefix: prefix.into(),
        algorithm,
        encoding,
        secret: SecretForm::Text,
        template: Template::body(),
        timestamp: None,
        id: None,
    }
}

/// Slack's scheme: <https://docs.slack.dev/authentication/verifying-requests-from-slack>.
pub(super) fn slack() -> Scheme {
    Scheme::Hmac(Hmac {
        template: Template::parse("v0:{timestamp}:{body}").unwrap(),
        timestamp: Some(Timestamp {
            header: "x-slack-request-timestamp".into(),
            unit: Unit::Seconds,
            tolerance: TOLERANCE,
        }),
        ..hmac("x-slack-signature", "v0=", Algorithm::Sha256, Encoding::Hex)
    })
}

/// The outcome as a word: `ok`, or the refusal.
pub(super) fn outcome(scheme: &Scheme, secrets: &[&str], headers: &[(&str, &str)], body: &[u8], now: i64) -> String {
    let verifier = Verifier::new(scheme.clone(), secrets).unwrap();
    let headers = Headers::new(headers.iter().copied());
    match verifier.verify(&Request { headers: &headers, body, now }) {
        Ok(_) => "ok".to_owned(),
        Err(refusal) => refusal.to_string(),
    }
}

#[test]
fn compares_credentials_whole() {
    let check = |scheme: &Scheme, secrets: &[&str], headers: &[(&str, &str)], expect: &str| {
        assert_eq!(outcome(scheme, secrets, headers, b"anything", 0), expect, "{headers:?}");
    };
    let (missing, malformed, mismatch) =
        ("the credential is missing", "the credential is malformed", "the credential does not match");
    let bearer =
        |value: &str, expect: &str| check(&Scheme::Bearer, &["old", "töken"], &[("Authorization", value)], expect);
    bearer("Bearer töken", "ok");
    bearer("bearer   old", "ok");
    bearer("Bearer toke", mismatch);
    bearer("Bearer tökenx", mismatch);
    bearer("Bearer töken,Bearer töken", mismatch);
    for bad in ["töken", "Bearer", "Bearer ", "Basic töken", "Bearertöken"] {
        bearer(bad, malformed);
    }
    bearer(&format!("Bearer {}", "x".repeat(8192)), malformed);
    check(&Scheme::Bearer, &["x"], &[("x-api-key", "x")], missing);

    let basic =
        |value: &str, expect: &str| check(&Scheme::Basic, &["user:pass:word"], &[("authorization", value)], expect);
    basic("Basic dXNlcjpwYXNzOndvcmQ=", "ok");
    basic("basic dXNlcjpwYXNzOndvcmQ=", "ok");
    basic("Basic dXNlcjpwYXNz", mismatch);
    basic("Basic dXNlcjpwYXNzOndvcmQ", malformed);
    basic("Basic user:pass:word", malformed);
    assert!(Verifier::new(Scheme::Basic, &["user"]).is_err());

    let header = Scheme::Header { header: "X-Hasura-Webhook-Secret".into() };
    check(&header, &["a,b"], &[("x-hasura-webhook-secret", " a,b ")], "ok");
    check(&header, &["a"], &[("x-hasura-webhook-secret", "a"), ("X-HASURA-WEBHOOK-SECRET", "a")], mismatch);
    check(&header, &["a"], &[("x-hasura-webhook-secret", "")], missing);
    check(&header, &["a"], &[], missing);
    check(&Scheme::None, &[], &[], "ok");
}

#[test]
fn settings_that_prove_nothing_are_refused() {
    let timestamp = Timestamp { header: "t".into(), unit: Unit::Seconds, tolerance: EVER };
    let plain = hmac("x", "", Algorithm::Sha256, Encoding::Hex);
    let with = |template: &str, timestamp: Option<Timestamp>, id: Option<&str>| {
        let template = Template::parse(template).unwrap();
        Scheme::Hmac(Hmac { template, timestamp, id: id.map(Into::into), ..plain.clone() })
    };
    let standard = || Scheme::Standard { tolerance: TOLERANCE };
    let check = |scheme: Scheme, secrets: &[&str], expect: &str| {
        let error = Verifier::new(scheme, secrets).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    };
    check(with("{body}", Some(timestamp), None), &["hunter2"], "is not signed");
    check(with("{body}", None, Some("id")), &["hunter2"], "is not signed");
    check(with("{timestamp}{body}", None, None), &["hunter2"], "no header is named");
    check(with("{id}{body}", None, None), &["hunter2"], "no header is named");
    check(Scheme::Github, &[], "1 to 8 secrets");
    check(Scheme::Github, &["hunter2"; 9], "1 to 8 secrets");
    check(Scheme::Github, &["hunter2", ""], "is empty");
    check(Scheme::None, &["hunter2"], "has secrets");
    check(Scheme::Airtable, &["hunter2!"], "not in base64");
    check(standard(), &["whsec_hunter2!"], "is not base64");
    check(standard(), &["whsec_"], "is not base64");
    check(standard(), &["whpk_aHVudGVyMg=="], "wrong length");
    check(standard(), &["whsk_aHVudGVyMg=="], "wrong length");
    let torn = format!("whsk_{}", Encoding::Base64.encode(&[7; 64]));
    check(standard(), &[&torn], "another's");
    let hex = Scheme::Hmac(Hmac { secret: SecretForm::Hex, ..plain.clone() });
    check(hex, &["hunter2"], "not in hexadecimal digits");
    let error = sign(&standard(), &["whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="], &OUTGOING).unwrap_err();
    assert!(error.to_string().contains("cannot sign"), "{error}");
}

const OUTGOING: Outgoing<'static> = Outgoing { body: b"{}", id: "msg_1", now: 1_700_000_000 };

#[test]
fn a_verifier_shows_no_secret() {
    let verifier = Verifier::new(Scheme::Bearer, &["hunter2"]).unwrap();
    assert_eq!(format!("{verifier:?}"), "Verifier { scheme: Bearer, .. }");
}
