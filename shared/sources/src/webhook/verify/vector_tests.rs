//! What senders and libraries publish as right, and as wrong.

use std::time::Duration;

use serde::Deserialize;

use super::tests::{hmac, outcome, slack};
use super::*;
use crate::webhook::scheme::{Algorithm, Encoding, TOLERANCE};

const NO_MATCH: &str = "the signature does not match";
const NO_FORM: &str = "the signature is malformed";

/// standard-webhooks/standard-webhooks, `libraries/rust/src/lib.rs`.
mod standard {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const AT: i64 = 1_649_367_553;
    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
    const OTHERS: &str =
        "v1,tFtCZ5RDCPxzWQRWXWPgrCgE2frDBe9gjpbWQxnVfsQ= v1,Mm7xgUVICxZfQ3bgf0h0Dof65L/IFx+PnZvnDWPCX6Q=";

    fn check(secrets: &[&str], id: &str, at: &str, signature: &str, now: i64, expect: &str) {
        for family in ["webhook", "Svix"] {
            let [a, b, c] = ["id", "Timestamp", "signature"].map(|part| format!("{family}-{part}"));
            let headers = [(&*a, id), (&*b, at), (&*c, signature)];
            let scheme = Scheme::Standard { tolerance: TOLERANCE };
            assert_eq!(outcome(&scheme, secrets, &headers, BODY, now), expect, "{signature}");
        }
    }

    #[test]
    fn verifies_the_vector_and_refuses_its_negatives() {
        let at = AT.to_string();
        let check = |signature: &str, now: i64, expect: &str| check(&[SECRET], ID, &at, signature, now, expect);
        check(SIGNATURE, AT, "ok");
        check(SIGNATURE, AT + 300, "ok");
        check(SIGNATURE, AT - 300, "ok");
        check(SIGNATURE, AT + 301, "the timestamp is too old");
        check(SIGNATURE, AT - 301, "the timestamp is in the future");
        // Of a wrong signature nothing is said about its time.
        check("v1,R3PTzyfHASBKHH98a7yexTwaJ4yNIcGhFQc1yuN+BPU=", AT + 301, NO_MATCH);
        check(&format!("{OTHERS} {SIGNATURE} v1,9DfC1c3eeOrXB6w/5dIDydLNQaEyww5KalE5jLBZucE="), AT, "ok");
        check(&format!("{OTHERS} v1,9DfC1c3eeOrXB6w/5dIDydLNQaEyww5KalE5jLBZucE="), AT, NO_MATCH);
        // The header came twice.
        check(&format!("{},{SIGNATURE}", OTHERS.split(' ').next().unwrap()), AT, "ok");
        for partial in ["v1,", &SIGNATURE[..8], "v1", ",", "v2,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="] {
            check(partial, AT, NO_FORM);
        }
        check("", AT, "the signature is missing");
        check(&SIGNATURE.replace("v1,", "v1a,"), AT, NO_MATCH);
        check(&format!("{SIGNATURE} {}", "v1,AA== ".repeat(16)), AT, NO_FORM);
        check(&format!("{SIGNATURE} {}", "v9 ".repeat(16)), AT, "ok");
        check(&format!("{SIGNATURE} {}", "v9 ".repeat(40)), AT, NO_FORM);
        check(&format!("{SIGNATURE} {}", " ".repeat(8192) + "v1"), AT, NO_FORM);
    }

    #[test]
    fn the_headers_are_needed_and_belong_together() {
        let at = AT.to_string();
        check(&[SECRET], "", &at, SIGNATURE, AT, "the id is missing");
        check(&[SECRET], ID, "", SIGNATURE, AT, "the timestamp is missing");
        check(&[SECRET], "msg_other", &at, SIGNATURE, AT, NO_MATCH);
        for bad in ["+1649367553", "-1", "1649367553.0", "1e9", "99999999999999999999", "1649367553,1649367553", "x"] {
            check(&[SECRET], ID, bad, SIGNATURE, AT, "the timestamp is malformed");
        }
        let mixed = [("webhook-id", ID), ("svix-timestamp", &*at), ("webhook-signature", SIGNATURE)];
        let scheme = Scheme::Standard { tolerance: TOLERANCE };
        assert_eq!(outcome(&scheme, &[SECRET], &mixed, BODY, AT), "the timestamp is missing");
        let verifier = Verifier::new(scheme, &[SECRET]).unwrap();
        let headers = Headers::new([("webhook-id", ID), ("webhook-timestamp", &*at), ("webhook-signature", SIGNATURE)]);
        let verified = verifier.verify(&Request { headers: &headers, body: BODY, now: AT }).unwrap();
        assert_eq!(verified, Verified { id: Some(ID.into()), at: Some(AT * 1_000_000) });
    }

    #[test]
    fn any_secret_of_a_rotation_matches() {
        let at = AT.to_string();
        let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        check(&[other, SECRET], ID, &at, SIGNATURE, AT, "ok");
        check(&[SECRET, other], ID, &at, SIGNATURE, AT, "ok");
        check(&[other], ID, &at, SIGNATURE, AT, NO_MATCH);
        // The prefix may be missing.
        check(&[&SECRET[6..]], ID, &at, SIGNATURE, AT, "ok");
    }

    /// The documentation of Svix, and the tests of its server; the key of v1a has the same message.
    #[test]
    fn verifies_the_vectors_of_svix() {
        const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
        const V1: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        const V1A: &str =
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
        let check = |secrets: &[&str], body: &str, signature: &str, expect: &str| {
            let headers = [
                ("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("svix-timestamp", "1614265330"),
                ("svix-signature", signature),
            ];
            let scheme = Scheme::Standard { tolerance: TOLERANCE };
            assert_eq!(outcome(&scheme, secrets, &headers, body.as_bytes(), 1_614_265_330), expect);
        };
        let body = r#"{"test": 2432232314}"#;
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        check(&[secret], body, V1, "ok");
        check(&[PUBLIC], body, V1A, "ok");
        check(&[secret, PUBLIC], body, V1A, "ok");
        check(&[secret], body, &format!("{V1A} {V1}"), "ok");
        check(&[secret], body, V1A, NO_MATCH);
        check(&[PUBLIC], body, V1, NO_MATCH);
        check(&[PUBLIC], r#"{"test": 2432232315}"#, V1A, NO_MATCH);
        check(&[PUBLIC], body, &V1A.replace("v1a", "v1"), NO_MATCH);
    }
}

/// stripe/stripe-dotnet, `src/StripeTests/Services/Events/EventUtilityTest.cs` and `Resources/event_test_signature.json`.
#[test]
fn verifies_the_vector_of_stripe_and_refuses_its_negatives() {
    const AT: i64 = 1_533_204_620;
    const V1: &str = "v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7";
    const V0: &str = "v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef";
    let body = include_str!("../vectors/stripe.json");
    let check_body = |body: &str, secret: &str, signature: &str, now: i64, expect: &str| {
        let scheme = Scheme::Stripe { tolerance: TOLERANCE };
        let found = outcome(&scheme, &[secret], &[("Stripe-Signature", signature)], body.as_bytes(), now);
        assert_eq!(found, expect, "{signature}");
    };
    let check = |signature: &str, now: i64, expect: &str| check_body(body, "webhook_secret", signature, now, expect);
    let whole = format!("t={AT},{V1},{V0}");
    check(&whole, AT + 100, "ok");
    check(&whole, AT + 400, "the timestamp is too old");
    check(&whole, AT - 301, "the timestamp is in the future");
    check(&format!("{V1},t={AT}"), AT, "ok");
    check(&format!("t={AT}, v1={}, {V1}", "0".repeat(64)), AT, "ok");
    check_body(&format!("{body}this_changes_the_json"), "webhook_secret", &whole, AT, NO_MATCH);
    check_body(&format!("{body}\u{fffd}"), "webhook_secret", &whole, AT, NO_MATCH);
    check_body(body, "webhook_secret\u{fffd}", &whole, AT, NO_MATCH);
    // An old version is not believed.
    check(&format!("t={AT},{V0}"), AT, NO_FORM);
    check(&format!("t={AT},{}", V1.replace("v1", "v0")), AT, NO_FORM);
    check(&format!("t={AT},t={AT},{V1}"), AT, "the timestamp is malformed");
    check(&format!("t=,{V1},{V0}"), AT, "the timestamp is malformed");
    for bad in ["t,v1=,v0=", "t,v1=,v0", "t,v1=,", "t,,", ",,", "t"] {
        check(bad, AT, "the timestamp is missing");
    }
    check(&format!("t={AT},v1=,v0="), AT, NO_FORM);
    check(&format!("t={AT}{}", format!(",{V1}").repeat(17)), AT, NO_FORM);
}

/// docs.github.com, "Validating webhook deliveries"; octokit/webhooks-methods.js, `test/verify.test.ts`.
#[test]
fn verifies_the_vectors_of_github() {
    let check = |secret: &str, body: &str, signature: &str, expect: &str| {
        let headers = [("X-Hub-Signature-256", signature)];
        assert_eq!(outcome(&Scheme::Github, &[secret], &headers, body.as_bytes(), 0), expect, "{signature}");
    };
    let known = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    check("It's a Secret to Everybody", "Hello, World!", known, "ok");
    check("It's a Secret to Everybody", "Hello, World?", known, NO_MATCH);
    let octokit = "sha256=4864d2759938a15468b5df9ade20bf161da9b4f737ea61794142f3484236bda3";
    check("mysecret", r#"{"foo":"bar"}"#, octokit, "ok");
    check("mysecret", r#"{"foo":"bar"}"#, &octokit.to_uppercase().replace("SHA256", "sha256"), "ok");
    check("foo", r#"{"foo":"bar"}"#, octokit, NO_MATCH);
    check("mysecret", r#"{"foo":"bar"}"#, "foo", NO_FORM);
    check("mysecret", r#"{"foo":"bar"}"#, &octokit[7..], NO_FORM);
    check("mysecret", r#"{"foo":"bar"}"#, &octokit.replace("sha256", "sha1"), NO_FORM);
    check("mysecret", r#"{"foo":"bar"}"#, "sha256=", NO_FORM);
    // Escapes are signed as they are sent (octokit/webhooks.js#71).
    let escaped = r#"{"foo":"Foo\n\u001B[34mbar: ♥♥♥♥♥♥♥♥\nthis-is-lost\u001B[0m\u001B[2K"}"#;
    let of_escaped = "sha256=afecc3caa27548bb90d51a50384cb2868b9a3327b4ad6a01c9bd4ed0f8b0b12c";
    check("development", escaped, of_escaped, "ok");
    check("development", &escaped.replace("001B", "001b"), of_escaped, NO_MATCH);
    let twice = r#"{"foo":"\\u001b"}"#;
    check("development", twice, "sha256=6f8326efbacfbd04e870cea25b5652e635be8c9807f2fd5348ef60753c9e96ed", "ok");
}

/// frain-dev/convoy, `pkg/verifier/verifier_test.go`; gtalarico/pyairtable, `tests/test_models_webhook.py`.
#[test]
fn verifies_the_vectors_of_shopify_and_airtable() {
    let shopify = |body: &str, signature: &str, expect: &str| {
        let headers = [("X-Shopify-Hmac-SHA256", signature)];
        assert_eq!(outcome(&Scheme::Shopify, &["Convoy"], &headers, body.as_bytes(), 0), expect);
    };
    shopify("Test Payload Body", "16FUVH58NeMcTIIOICN2UJOcPTTa4TbjCndXymGrtM8=", "ok");
    shopify("Test Payload Body.", "16FUVH58NeMcTIIOICN2UJOcPTTa4TbjCndXymGrtM8=", NO_MATCH);
    shopify("Test Payload Body", "16FUVH58NeMcTIIOICN2UJOcPTTa4TbjCndXymGrtM8", NO_FORM);
    let airtable = |secret: &str, body: &str, signature: &str, expect: &str| {
        let headers = [("X-Airtable-Content-MAC", signature)];
        assert_eq!(outcome(&Scheme::Airtable, &[secret], &headers, body.as_bytes(), 0), expect);
    };
    let body = r#"{"base": {"id": "app00000000000000"}, "webhook": {"id": "ach00000000000000"}, "timestamp": "2022-02-01T21:25:05.663Z"}"#;
    let mac = "hmac-sha256=e26da696a90933647bddc83995c3e1e3bb1c3d8ce1ff61cb7469767d50b2b2d4";
    airtable("c2VjcmV0LWtleQ==", body, mac, "ok");
    airtable("c2VjcmV0LWtleQ==", &body.replace('2', "3"), mac, NO_MATCH);
    airtable("c2VjcmV0LWtleA==", body, mac, NO_MATCH);
    airtable("c2VjcmV0LWtleQ==", body, &mac[5..], NO_FORM);
    let body = r#"{"base":{"id":"appTEST0000000001"},"webhook":{"id":"achTEST0000000001"},"timestamp":"2025-01-02T03:04:05.678Z"}"#;
    let mac = "hmac-sha256=b7c20d955923e7126b030a6252695cd74c20442c62fba577c9f1e7df6f2079f7";
    airtable("dmVyc3luYy10ZXN0LW1hYy1zZWNyZXQ=", body, mac, "ok");
}

/// frain-dev/convoy, `pkg/signature/testdata/signature-vectors.json`, all seventeen.
#[test]
fn verifies_the_vectors_of_convoy() {
    #[derive(Deserialize)]
    struct Vector {
        name: String,
        advanced: bool,
        hash: String,
        encoding: String,
        secret: String,
        payload: String,
        header: String,
        tolerance: u64,
        valid: bool,
    }
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../vectors/convoy.json")).unwrap();
    assert_eq!(vectors.len(), 17);
    for vector in vectors {
        let scheme = Scheme::Convoy {
            header: "X-Convoy-Signature".into(),
            algorithm: if vector.hash == "SHA512" { Algorithm::Sha512 } else { Algorithm::Sha256 },
            encoding: if vector.encoding == "base64" { Encoding::Base64 } else { Encoding::Hex },
            advanced: vector.advanced.then(|| Duration::from_secs(vector.tolerance)),
        };
        let headers = [("x-convoy-signature", &*vector.header)];
        let found = outcome(&scheme, &[&vector.secret], &headers, vector.payload.as_bytes(), 1_763_000_000);
        assert_eq!(found == "ok", vector.valid, "{}: {found}", vector.name);
    }
}

/// adnanh/webhook, `internal/hook/hook_test.go`.
#[test]
fn verifies_any_hmac() {
    const SHA1: &str = "b17e04cbb22afa8ffbff8796fc1894ed27badd9e";
    const SHA256: &str = "f417af3a21bd70379b5796d5f013915e7029f62c580fb0f500f59a35a6f04c89";
    const SHA512: &str = "4ab17cc8ec668ead8bf498f87f8f32848c04d5ca3c9bcfcd3db9363f0deb44e580b329502a7fdff633d4d8fca301cc5c94a55a2fec458c675fb0ff2655898324";
    let check = |algorithm: Algorithm, prefix: &str, body: &str, secret: &str, signature: &str, expect: &str| {
        let scheme = Scheme::Hmac(hmac("X-Signature", prefix, algorithm, Encoding::Hex));
        let found = outcome(&scheme, &[secret], &[("x-signature", signature)], body.as_bytes(), 0);
        assert_eq!(found, expect, "{signature}");
    };
    let body = r#"{"a": "z"}"#;
    for (algorithm, name, signature, of_nothing) in [
        (Algorithm::Sha1, "sha1=", SHA1, "25af6174a0fcecc4d346680a72b7ce644b9a88e8"),
        (Algorithm::Sha256, "sha256=", SHA256, "f9e66e179b6747ae54108f82f8ade8b3c25d76fd30afde6c395822c530196169"),
        (
            Algorithm::Sha512,
            "sha512=",
            SHA512,
            "b0e9650c5faf9cd8ae02276671545424104589b3656731ec193b25d01b07561c27637c2d4d68389d6cf5007a8632c26ec89ba80a01c77a6cdd389ec28db43901",
        ),
    ] {
        let broken = format!("XXX{}", &signature[3..]);
        check(algorithm, "", body, "secret", signature, "ok");
        check(algorithm, name, body, "secret", &format!("{name}{signature}"), "ok");
        check(algorithm, name, body, "secret", &format!("{name}{broken},{name}{signature}"), "ok");
        check(algorithm, name, body, "secret", &format!("{name}{signature}, {name}{broken}"), "ok");
        check(algorithm, "", "", "secret", of_nothing, "ok");
        check(algorithm, "", body, "secret", &broken, NO_FORM);
        check(algorithm, name, body, "secret", &format!("{name}{broken},{name}{broken}"), NO_FORM);
        check(algorithm, "", body, "secreX", signature, NO_MATCH);
        check(algorithm, "", "", "secret", signature, NO_MATCH);
        check(algorithm, "", body, "secret", &signature[2..], NO_MATCH);
        check(algorithm, "", body, "secret", &format!("{signature}00"), NO_MATCH);
        check(algorithm, "", body, "secret", "", "the signature is missing");
        let upper_first = signature.replacen(|c: char| c.is_ascii_lowercase(), "A", 1);
        check(algorithm, "", body, "secret", &upper_first, NO_FORM);
    }
    let other = "74a0081f5b5988f4f3e8b8dd34dadc6291611f2e6260635a7e1535f8e95edb97ff520ba8b152e8ca5760ac42639854f3242e29efc81be73a8bf52d474d31ffea";
    check(Algorithm::Sha512, "", body, "secret", other, NO_MATCH);
}

/// Slack, "Verifying requests from Slack": the example of the page.
#[test]
fn verifies_a_signed_template() {
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
        channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=\
        https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
        trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let check = |at: &str, now: i64, expect: &str| {
        let headers = [
            ("X-Slack-Request-Timestamp", at),
            ("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ];
        let secret = "8f742231b10e8888abcd99yyyzzz85a5";
        assert_eq!(outcome(&slack(), &[secret], &headers, BODY.as_bytes(), now), expect);
    };
    check("1531420618", 1_531_420_618, "ok");
    check("1531420618", 1_531_420_919, "the timestamp is too old");
    check("1531420619", 1_531_420_618, NO_MATCH);
    check("01531420618", 1_531_420_618, NO_MATCH);
    check("", 1_531_420_618, "the timestamp is missing");
}
