//! The vault, over a Secrets Manager that is a loop on a local port.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Region};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use tributary_core::Kind;

use super::*;

const JSON: &str = r#"{"SecretString": "{\"username\":\"ann\",\"password\":\"hunter2\",\"port\":5432,\"tags\":[]}"}"#;

/// What the keeper answers for a secret of this name.
fn answer(name: &str) -> (u16, &'static str) {
    match name {
        "json" | "arn:aws:secretsmanager:eu-west-1:1:secret:json" => (200, JSON),
        "text" => (200, r#"{"SecretString": "hunter2"}"#),
        "binary" => (200, r#"{"SecretBinary": "aHVudGVyMg=="}"#),
        "denied" => (400, r#"{"__type": "AccessDeniedException", "Message": "role/f is not authorized"}"#),
        "key" => (400, r#"{"__type": "DecryptionFailure", "Message": "no key"}"#),
        "expired" => (400, r#"{"__type": "ExpiredTokenException", "Message": "expired"}"#),
        "busy" => (500, r#"{"__type": "InternalServiceError", "Message": "later"}"#),
        "garbled" => (200, r#"{"SecretString": "hunter2"#),
        _ => (400, r#"{"__type": "ResourceNotFoundException", "Message": "not there"}"#),
    }
}

/// Starts a keeper; the two ways to it, and how often it was asked.
async fn keepers() -> ([Keeper; 2], Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&counter)));
        }
    });
    (ways(&format!("http://{address}")), asked)
}

fn ways(endpoint: &str) -> [Keeper; 2] {
    let credentials = Credentials::new("akid", "skid", None, None, "test");
    let config = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(aws::http::client())
        .region(Region::from_static("us-east-2"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .endpoint_url(endpoint)
        .build();
    [Keeper::Sdk(Client::new(&config)), Keeper::Request(Box::new(config))]
}

async fn serve(mut stream: TcpStream, asked: Arc<AtomicUsize>) {
    let mut request = Vec::new();
    let body = loop {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).await.unwrap();
        if length == 0 {
            return;
        }
        request.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&request);
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && body.ends_with('}')
        {
            break body.to_owned();
        }
    };
    asked.fetch_add(1, Ordering::SeqCst);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let name = body["SecretId"].as_str().unwrap();
    // The signature names the region that was asked.
    let region = if name.starts_with("arn:") { "eu-west-1" } else { "us-east-2" };
    assert!(String::from_utf8_lossy(&request).contains(&format!("/{region}/secretsmanager/")), "{name}");
    let (status, text) = answer(name);
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    stream.write_all((head + text).as_bytes()).await.unwrap();
}

fn secret(name: &str, field: Option<&str>) -> SecretRef {
    SecretRef::Secret { name: name.into(), field: field.map(str::to_owned) }
}

#[tokio::test]
async fn a_secret_is_had_whole_or_in_parts_and_a_refusal_says_what_to_do() {
    let (keepers, _) = keepers().await;
    for keeper in keepers {
        had_or_refused(&Vault::of(keeper)).await;
    }
}

async fn had_or_refused(vault: &Vault) {
    let check = async |name: &str, field: Option<&str>, expect: Result<&str, (Kind, &str, &str)>| {
        let found = vault.get(&secret(name, field)).await;
        match (found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found.expose(), expect, "{name}"),
            (Err(error), Err((kind, message, hint))) => {
                assert_eq!(error.kind(), kind, "{name}: {error:?}");
                assert!(error.chain().contains(message), "{name}: {error:?}");
                assert!(error.hint().unwrap_or_default().contains(hint), "{name}: {:?}", error.hint());
                assert!(!format!("{error:?} {:?}", error.hint()).contains("hunter2"), "{name}: {error:?}");
            }
            (found, expect) => panic!("{name}: {found:?}, not {expect:?}"),
        }
    };
    let config = |message, hint| Err((Kind::Config, message, hint));
    check("text", None, Ok("hunter2")).await;
    check("json", Some("password"), Ok("hunter2")).await;
    check("json", Some("port"), Ok("5432")).await;
    check("arn:aws:secretsmanager:eu-west-1:1:secret:json", Some("username"), Ok("ann")).await;
    check("json", Some("pass"), config("no field `pass`", "password, port")).await;
    check("json", Some("tags"), config("is no text", "")).await;
    check("text", Some("password"), config("no JSON object", "leave `field` out")).await;
    check("binary", None, config("is binary", "text or JSON")).await;
    check("gone", None, config("no secret gone", "in this region")).await;
    check("denied", None, config("role/f is not authorized", "secretsmanager:GetSecretValue")).await;
    check("key", None, config("cannot be decrypted", "kms:Decrypt")).await;
    check("expired", None, Err((Kind::Auth, "refuses the credentials", "role"))).await;
    check("busy", None, Err((Kind::Unavailable, "doesn't answer", "VPC"))).await;
    check("garbled", None, Err((Kind::Unavailable, "doesn't answer", ""))).await;
}

#[tokio::test]
async fn a_secret_is_fetched_once_until_it_is_evicted() {
    let (keepers, asked) = keepers().await;
    for keeper in keepers {
        asked.store(0, Ordering::SeqCst);
        fetched_once(&Vault::of(keeper), &asked).await;
    }
}

async fn fetched_once(vault: &Vault, asked: &AtomicUsize) {
    let check = async |reference: &SecretRef, expect: usize| {
        vault.get(reference).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), expect);
    };
    let (user, password) = (secret("json", Some("username")), secret("json", Some("password")));
    check(&user, 1).await;
    check(&password, 1).await;
    vault.evict(&secret("text", None));
    check(&password, 1).await;
    vault.evict(&password);
    check(&user, 2).await;
    vault.kept().values_mut().for_each(|(since, _)| *since = since.checked_sub(KEPT).unwrap());
    check(&user, 3).await;
    assert!(!format!("{vault:?}").contains("hunter2"));
}

#[tokio::test]
async fn nobody_there_is_a_reason_to_try_again() {
    for keeper in ways("http://127.0.0.1:1") {
        let error = Vault::of(keeper).get(&secret("text", None)).await.unwrap_err();
        assert!(error.retry(), "{error:?}");
    }
}

#[tokio::test]
async fn files_and_variables_are_secrets_too() {
    let place = tempfile::tempdir().unwrap();
    let vault = Vault::new();
    let check = async |text: &str, expect: &str| {
        let file = place.path().join("secret");
        std::fs::write(&file, text).unwrap();
        let found = vault.get(&SecretRef::File(file.to_str().unwrap().to_owned())).await.unwrap();
        assert_eq!(found.expose(), expect);
    };
    check("hunter2", "hunter2").await;
    check("hunter2\n", "hunter2").await;
    check(" hunter2\r\n", " hunter2").await;
    check("two\nlines\n\n", "two\nlines\n").await;
    let refused = async |reference: SecretRef, expect: &str| {
        let error = vault.get(&reference).await.unwrap_err();
        assert!(error.kind() == Kind::Config && error.to_string().contains(expect), "{error:?}");
    };
    refused(SecretRef::File("/nonexistent".into()), "/nonexistent").await;
    refused(SecretRef::Env("TRIBUTARY_NO_SUCH_VARIABLE".into()), "TRIBUTARY_NO_SUCH_VARIABLE").await;
    let path = vault.get(&SecretRef::Env("PATH".into())).await.unwrap();
    assert_eq!(path.expose(), std::env::var("PATH").unwrap());
}
