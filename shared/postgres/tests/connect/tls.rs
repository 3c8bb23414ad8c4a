//! Trust, against a real server with certificates made for the test.

use std::path::Path;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tributary_core::Kind;
use tributary_core::pipeline::{Roots, Tls};
use tributary_local::Postgres;
use tributary_postgres::connect::{Policy, Target, connect};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a certificate for `db.test` and its key into the server's data directory, where the key is the server's own
/// whatever account it runs under, turns TLS on and asks for SCRAM, which alone binds to the channel.
async fn turn_on(url: &str, authority: &Authority) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["db.test".into()]).unwrap().signed_by(&key, authority).unwrap();
    let client = crate::client(url).await;
    let rules = "host all all 127.0.0.1/32 scram-sha-256".to_owned();
    let files = [("server.crt", certificate.pem()), ("server.key", key.serialize_pem()), ("pg_hba.conf", rules)];
    for (file, text) in files {
        let lines = format!("select line from unnest(string_to_array('{}', E'\\n')) line", text.trim());
        client.batch_execute(&format!("copy ({lines}) to program 'umask 077; cat > {file}'")).await.unwrap();
    }
    client.batch_execute("alter system set ssl = on").await.unwrap();
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    for _ in 0..100 {
        let on: String = crate::client(url).await.query_one("show ssl", &[]).await.unwrap().get(0);
        if on == "on" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server does not turn tls on");
}

/// The server's URL with another host name for the same address.
fn named(server: &Postgres, name: &str, more: &str) -> String {
    let (start, address) = server.url().split_once('@').unwrap();
    let port = address.split(['/', '?']).next().unwrap().rsplit(':').next().unwrap();
    format!("{start}@{name}:{port}/postgres?hostaddr=127.0.0.1{more}")
}

async fn dial(url: &str, tls: Tls) -> Result<bool, String> {
    let target = Target::from_url(url, &Policy { tls, ..Policy::default() }).unwrap();
    let (client, _task) = connect(&target).await.map_err(|error| {
        assert_eq!(error.kind(), Kind::Config, "{error:?}");
        assert!(error.hint().is_some(), "{error:?}");
        error.chain()
    })?;
    let row = client.query_one("select ssl from pg_stat_ssl where pid = pg_backend_pid()", &[]).await.unwrap();
    Ok(row.get(0))
}

fn file(place: &Path, name: &str, pem: &str) -> Tls {
    let path = place.join(name);
    std::fs::write(&path, pem).unwrap();
    Tls::Verify(Roots::File(path.to_str().unwrap().to_owned()))
}

#[tokio::test]
async fn only_the_right_name_from_the_right_authority_is_trusted() {
    let Some(server) = crate::own_server() else { return };
    let place = tempfile::tempdir().unwrap();
    let ours = authority("ours");
    turn_on(server.url(), &ours).await;
    let trusted = file(place.path(), "ours.pem", &ours.pem());
    let other = file(place.path(), "other.pem", &authority("another").pem());
    let check = async |name: &str, more: &str, tls: &Tls, expect: Result<bool, &str>| {
        let found = dial(&named(&server, name, more), tls.clone()).await;
        match expect {
            Ok(encrypted) => assert_eq!(found, Ok(encrypted), "{name} {more}"),
            Err(part) => assert!(found.as_ref().is_err_and(|said| said.contains(part)), "{name} {more}: {found:?}"),
        }
    };
    check("db.test", "", &trusted, Ok(true)).await;
    check("db.test", "&sslmode=verify-full", &trusted, Ok(true)).await;
    check("db.test", "&channel_binding=require", &trusted, Ok(true)).await;
    check("other.test", "", &trusted, Err("not valid for name")).await;
    check("127.0.0.1", "", &trusted, Err("not valid for name")).await;
    check("db.test", "", &other, Err("UnknownIssuer")).await;
    let forged = file(place.path(), "forged.pem", &authority("ours").pem());
    check("db.test", "", &forged, Err("BadSignature")).await;
    check("db.test", "", &Tls::Verify(Roots::Rds), Err("UnknownIssuer")).await;
    check("db.test", "", &Tls::Verify(Roots::System), Err("UnknownIssuer")).await;
    check("db.test", "", &Tls::Off, Ok(false)).await;
    let root = place.path().join("ours.pem");
    check("db.test", &format!("&sslmode=require&sslrootcert={}", root.display()), &Tls::Auto, Ok(true)).await;
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_wanted() {
    let Some(server) = crate::server() else { return };
    let error = dial(&named(&server, "db.test", ""), Tls::Verify(Roots::Rds)).await.unwrap_err();
    assert!(error.contains("server does not support TLS"), "{error}");
}
