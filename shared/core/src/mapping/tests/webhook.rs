use std::time::Duration;

use super::*;
use crate::pipeline::{SecretRef, SourceKind};
use crate::webhook::envelope::{Mapped, Operation, Place, Sequin, Shape};
use crate::webhook::scheme::{Algorithm, Encoding, Hmac, Scheme, SecretForm, Template, Timestamp, Unit};
use crate::webhook::{Envelope, Mode, TooLarge, Verification, WebhookSource};

fn source(mapping: &Mapping, name: &str) -> WebhookSource {
    let pipeline = mapping.pipeline(name).unwrap();
    assert_eq!(pipeline.source.datastore, "", "{name}");
    let SourceKind::Webhook(source) = &pipeline.source.kind else { panic!("{name}") };
    (**source).clone()
}

fn env(name: &str) -> SecretRef {
    SecretRef::Env(name.into())
}

#[test]
fn everything_that_a_webhook_may_say_is_in_the_model_and_the_rest_has_its_default() {
    let mapping = good(samples::webhook::GOOD);
    let check = |name: &str, scheme: Scheme, envelope: Envelope, mode: Mode| {
        let source = source(&mapping, name);
        assert_eq!((source.verification.scheme, source.envelope, source.mode), (scheme, envelope, mode), "{name}");
    };
    let path = |text: &str| text.parse::<crate::path::Path>().unwrap();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let plain = || Envelope::new(Shape::Plain);
    let direct = Mode::Direct;
    let queue = Mode::Queue { too_large: TooLarge::Refuse };
    let large = Mode::Queue { too_large: TooLarge::S3 };
    let objects = vec!["customer".into(), "invoice".into()];
    let payments = Envelope {
        shape: Shape::Stripe { objects },
        version: Some(path("$root.created")),
        id: Some(Place::Header("X-Id".into())),
    };
    let stripe = Scheme::Stripe { tolerance: minutes(10) };
    check("payments", stripe.clone(), payments, large);
    check("invoices", stripe, Envelope::new(Shape::Stripe { objects: vec![] }), large);
    let standard = Scheme::Standard { tolerance: minutes(5) };
    check("standard", standard, Envelope { id: Some(Place::Path(path("event.id"))), ..plain() }, direct);
    let issues = Envelope::new(Shape::Github { events: vec!["issues".into()] });
    check("github", Scheme::Github, Envelope { version: Some(path("issue.updated_at")), ..issues }, direct);
    check("shopify", Scheme::Shopify, Envelope::new(Shape::Data), direct);
    let convoy = |header: &str, algorithm, encoding, advanced| Scheme::Convoy {
        header: header.into(),
        algorithm,
        encoding,
        advanced,
    };
    let week = Some(minutes(7 * 24 * 60));
    check("convoy", convoy("X-C", Algorithm::Sha512, Encoding::Base64, week), plain(), queue);
    check("simple", convoy("X-Convoy-Signature", Algorithm::Sha256, Encoding::Hex, None), plain(), queue);
    let hmac = Hmac {
        header: "X-Slack-Signature".into(),
        prefix: "v0=".into(),
        algorithm: Algorithm::Sha1,
        encoding: Encoding::Hex,
        secret: SecretForm::Base64,
        template: Template::parse("v0:{timestamp}:{id}:{body}").unwrap(),
        timestamp: Some(Timestamp { header: "X-Time".into(), unit: Unit::Iso, tolerance: minutes(1) }),
        id: Some("X-Id".into()),
    };
    let mapped = Mapped {
        rows: Some(path("payload.items")),
        row: Some(path("after")),
        before: Some(path("before")),
        key: None,
        operation: Some(Operation {
            path: path("$root.op"),
            delete: vec!["d".into(), "false".into()],
            upsert: Some(vec!["u".into(), "1".into()]),
            skip: vec!["ping".into()],
        }),
        time: Some(path("$root.at")),
    };
    let mapped = Envelope { id: Some(Place::Path(path("$root.event"))), ..Envelope::new(Shape::Mapped(mapped)) };
    check("hmac", Scheme::Hmac(hmac), mapped, direct);
    let key = Some(vec!["id".to_owned(), "line".to_owned()]);
    let orders = Sequin { table: Some("public.orders".into()), key, epoch: 2, whole: false };
    check("bearer", Scheme::Bearer, Envelope::new(Shape::Sequin(orders)), direct);
    let whole = Envelope::new(Shape::Sequin(Sequin { whole: true, ..Sequin::default() }));
    let api_key = Scheme::Header { header: "X-API-Key".into() };
    check("whole", api_key, Envelope { version: Some(path("meta.v")), ..whole }, direct);
    check("basic", Scheme::Basic, Envelope::new(Shape::Hasura { table: Some("public.users".into()) }), direct);
    check("open", Scheme::None, Envelope::new(Shape::Supabase { table: Some("users".into()) }), direct);

    let secret = SecretRef::Secret { name: "prod/stripe".into(), field: Some("new".into()) };
    for name in ["payments", "invoices"] {
        let source = source(&mapping, name);
        assert_eq!((source.hook.as_str(), source.verification.secrets), ("stripe", vec![secret.clone(), env("OLD")]));
    }
    assert_eq!(source(&mapping, "open").hook, "supa.base-1");
    assert_eq!(source(&mapping, "open").verification, Verification { scheme: Scheme::None, secrets: vec![] });
    assert_eq!(source(&mapping, "github").hook, "github");
    let versions = |name: &str| mapping.pipeline(name).unwrap().tables[0].meta.versions.clone();
    assert_eq!([versions("bearer"), versions("whole")], [Some("_versions".into()), None]);
}

#[test]
fn hooks_without_rows_name_what_they_run() {
    let mapping = good(samples::webhook::GOOD);
    let triggers: Vec<_> = mapping
        .triggers
        .iter()
        .map(|trigger| {
            let WebhookSource { hook, envelope, mode, .. } = &trigger.source;
            assert!(envelope.is_hint() && *mode == Mode::Direct && mapping.pipeline(&trigger.name).is_none());
            (trigger.name.as_str(), hook.as_str(), trigger.runs.join(" "))
        })
        .collect();
    let expect = [
        ("ping", "ping", "apartments"),
        ("schedule", "schedule", "apartments orders"),
        ("refresh", "refresh", "orders"),
    ];
    assert_eq!(triggers, expect.map(|(name, hook, runs)| (name, hook, runs.to_owned())));
}

#[test]
fn what_is_allowed_and_should_be_known_is_a_warning() {
    let Checked { findings, warnings, .. } = load("test.yaml", samples::webhook::GOOD);
    assert!(findings.is_empty());
    let shown: String = warnings.iter().map(|warning| warning.render_warning(samples::webhook::GOOD) + "\n").collect();
    let codes: Vec<_> = warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["open-hook", "key-not-carried"], "{shown}");
    assert!(shown.contains("warning[open-hook]: anybody who knows the address may write"), "{shown}");
}
