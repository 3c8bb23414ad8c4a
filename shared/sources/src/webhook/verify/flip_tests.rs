//! What is signed is accepted, by every scheme; with one bit of it changed it is refused.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::encoding::Coding;
use super::tests::{hmac, slack};
use super::*;
use crate::webhook::scheme::{Algorithm, Encoding, SecretForm, TOLERANCE, Template, Timestamp, Unit};

const NOW: i64 = 1_700_000_000;

/// Every scheme that signs, with two secrets.
static SIGNING: LazyLock<Vec<(Scheme, [String; 2])>> = LazyLock::new(|| {
    let plain = ["erstes Geheimnis".to_owned(), "zweites, älter".to_owned()];
    let base64 = ["c2VjcmV0LWtleQ==".to_owned(), "dmVyc3luYy10ZXN0LW1hYy1zZWNyZXQ=".to_owned()];
    let private = [1u8, 2].map(|seed| format!("whsk_{}", Encoding::Base64.encode(&[seed; 32])));
    let whsec =
        ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()];
    let convoy = |algorithm, encoding, advanced: bool| Scheme::Convoy {
        header: "x-convoy-signature".into(),
        algorithm,
        encoding,
        advanced: advanced.then_some(TOLERANCE),
    };
    let time = |unit| Timestamp { header: "x-time".into(), unit, tolerance: TOLERANCE };
    let timed = |unit, algorithm, encoding, secret| {
        Scheme::Hmac(Hmac {
            secret,
            template: Template::parse("{id}{timestamp}{body}").unwrap(),
            timestamp: Some(time(unit)),
            id: Some("x-id".into()),
            ..hmac("x-signature", "sha=", algorithm, encoding)
        })
    };
    let standard = || Scheme::Standard { tolerance: TOLERANCE };
    vec![
        (standard(), whsec),
        (standard(), private),
        (Scheme::Stripe { tolerance: TOLERANCE }, plain.clone()),
        (Scheme::Github, plain.clone()),
        (Scheme::Shopify, plain.clone()),
        (Scheme::Airtable, base64.clone()),
        (convoy(Algorithm::Sha256, Encoding::Hex, false), plain.clone()),
        (convoy(Algorithm::Sha512, Encoding::Base64, false), plain.clone()),
        (convoy(Algorithm::Sha256, Encoding::Base64, true), plain.clone()),
        (convoy(Algorithm::Sha512, Encoding::Hex, true), plain.clone()),
        (slack(), plain.clone()),
        (timed(Unit::Seconds, Algorithm::Sha1, Encoding::Hex, SecretForm::Text), plain.clone()),
        (timed(Unit::Milliseconds, Algorithm::Sha512, Encoding::Base64, SecretForm::Text), plain.clone()),
        (timed(Unit::Iso, Algorithm::Sha256, Encoding::Hex, SecretForm::Base64), base64),
        (Scheme::Hmac(hmac("x-signature", "", Algorithm::Sha1, Encoding::Base64)), plain),
    ]
});

fn accepts(verifier: &Verifier, headers: &[(String, String)], body: &[u8]) -> bool {
    let headers = Headers::new(headers.iter().map(|(name, value)| (name, value)));
    verifier.verify(&Request { headers: &headers, body, now: NOW }).is_ok()
}

/// The same with one bit changed; `None` where that is no text any more and could not stand in a header.
fn flipped(text: &str, bit: usize) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    String::from_utf8(bytes).ok()
}

#[test]
fn every_bit_of_every_header_counts() {
    for (scheme, secrets) in SIGNING.iter() {
        let verifier = Verifier::new(scheme.clone(), secrets).unwrap();
        let body = "{\"id\":7,\"näme\":\"x\"}".as_bytes();
        // One signature, so that none is left when it is broken.
        let headers = sign(scheme, &secrets[..1], &Outgoing { body, id: "msg_1", now: NOW }).unwrap();
        assert!(accepts(&verifier, &headers, body), "{scheme:?}");
        for place in 0..headers.len() {
            for bit in 0..headers[place].1.len() * 8 {
                let mut broken = headers.clone();
                let Some(value) = flipped(&broken[place].1, bit) else { continue };
                broken[place].1 = value;
                assert!(!accepts(&verifier, &broken, body), "{scheme:?}: {broken:?}");
            }
            let mut without = headers.clone();
            without.remove(place);
            assert!(!accepts(&verifier, &without, body), "{scheme:?}");
        }
        for bit in 0..body.len() * 8 {
            let mut broken = body.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(!accepts(&verifier, &headers, &broken), "{scheme:?}");
        }
    }
}

#[test]
fn every_bit_of_a_credential_counts() {
    let header = Scheme::Header { header: "x-api-key".into() };
    for (scheme, before) in [(Scheme::Bearer, "Bearer "), (Scheme::Basic, "Basic "), (header, "")] {
        let secrets = ["user:Passwort".to_owned(), "other:one".to_owned()];
        let verifier = Verifier::new(scheme.clone(), &secrets).unwrap();
        let headers = sign(&scheme, &secrets[..1], &Outgoing { body: b"", id: "", now: NOW }).unwrap();
        assert!(accepts(&verifier, &headers, b"anything"), "{scheme:?}");
        for bit in before.len() * 8..headers[0].1.len() * 8 {
            let Some(value) = flipped(&headers[0].1, bit) else { continue };
            assert!(!accepts(&verifier, &[(headers[0].0.clone(), value)], b""), "{scheme:?}");
        }
    }
}

#[test]
fn the_time_is_held_against_ours_to_both_sides() {
    for (scheme, secrets) in SIGNING.iter() {
        let verifier = Verifier::new(scheme.clone(), secrets).unwrap();
        let mut timed = false;
        for (off, kind) in [(0, None), (300, None), (-300, None), (-301, Some(Kind::Stale)), (301, Some(Kind::Future))]
        {
            let headers = sign(scheme, secrets, &Outgoing { body: b"{}", id: "m", now: NOW + off }).unwrap();
            let headers = Headers::new(headers);
            let found = verifier.verify(&Request { headers: &headers, body: b"{}", now: NOW });
            timed |= found.as_ref().is_ok_and(|verified| verified.at.is_some());
            let expect = kind.filter(|_| timed);
            assert_eq!(found.err().map(|refusal| refusal.kind), expect, "{scheme:?} {off}");
        }
    }
}

#[test]
fn a_body_of_four_and_a_half_megabytes_and_none_at_all() {
    let large = vec![b'x'; 4_500_000];
    for (scheme, secrets) in SIGNING.iter() {
        let verifier = Verifier::new(scheme.clone(), secrets).unwrap();
        for body in [&large[..], b""] {
            let headers = sign(scheme, &secrets[..1], &Outgoing { body, id: "msg_1", now: NOW }).unwrap();
            assert!(accepts(&verifier, &headers, body), "{scheme:?}");
            let longer = [body, b"x"].concat();
            assert!(!accepts(&verifier, &headers, &longer), "{scheme:?}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_signed_is_accepted_and_a_changed_body_is_not(
        which in any::<prop::sample::Index>(),
        body in prop::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
        id in "[!-+\\--~]{1,40}",
        secret in 0usize..3,
    ) {
        let (scheme, secrets) = which.get(&SIGNING[..]);
        let verifier = Verifier::new(scheme.clone(), secrets).unwrap();
        // Before, while and after the secrets rotate.
        let with = if secret == 2 { &secrets[..] } else { &secrets[secret..=secret] };
        let headers = sign(scheme, with, &Outgoing { body: &body, id: &id, now: NOW }).unwrap();
        prop_assert!(accepts(&verifier, &headers, &body));
        let upper: Vec<(String, String)> = headers.iter().map(|(n, v)| (n.to_uppercase(), format!(" {v}\t"))).collect();
        prop_assert!(accepts(&verifier, &upper, &body));
        if !body.is_empty() {
            let mut broken = body.clone();
            broken[at.index(body.len())] ^= 1 << bit;
            prop_assert!(!accepts(&verifier, &headers, &broken));
        }
        let other = Verifier::new(scheme.clone(), &[&secrets[1 - secret.min(1)]]).unwrap();
        prop_assert_eq!(accepts(&other, &headers, &body), secret == 2);
    }

    #[test]
    fn no_header_makes_it_panic(which in any::<prop::sample::Index>(), value in "\\PC{0,200}", pairs in "[tv01=, a-f+/0-9]{0,300}") {
        let (scheme, secrets) = which.get(&SIGNING[..]);
        let verifier = Verifier::new(scheme.clone(), secrets).unwrap();
        let names: Vec<String> = sign(scheme, secrets, &Outgoing { body: b"", id: "m", now: NOW }).unwrap()
            .into_iter().map(|(name, _)| name).collect();
        for value in [&value, &pairs] {
            let headers: Vec<(String, String)> = names.iter().map(|name| (name.clone(), value.clone())).collect();
            prop_assert!(!accepts(&verifier, &headers, b""));
            let Some(last) = names.last() else { continue };
            let mut headers = sign(scheme, secrets, &Outgoing { body: b"", id: "m", now: NOW }).unwrap();
            if let Some(signature) = headers.iter_mut().find(|(name, _)| name == last) {
                signature.1 = value.clone();
            }
            prop_assert!(!accepts(&verifier, &headers, b""));
        }
    }
}
