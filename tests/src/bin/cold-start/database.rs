//! A Postgres as RDS has it: TLS with a certificate of an authority, and passwords by SCRAM.

use std::time::Duration;

use tokio_postgres::Client;

use crate::Failure;
use crate::authority::Authority;

/// SCRAM for whom comes by TLS; our own eyes need none.
const RULES: &str = "hostssl all all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 password\n";

/// A running Postgres.
pub(crate) struct Database {
    _database: tributary_tests::Database,
    eyes: Client,
    secret: String,
}

impl Database {
    /// Starts one.
    pub(crate) async fn start(authority: &Authority) -> Result<Self, Failure> {
        let database = tributary_tests::Database::alone("cold_start", false, &[]).await;
        let eyes = database.client().await;
        let (certificate, key) = authority.certify()?;
        let files =
            [("server.crt", certificate.pem()), ("server.key", key.serialize_pem()), ("pg_hba.conf", RULES.to_owned())];
        for (file, text) in files {
            // In the server's own directory, under its own account.
            let lines = format!("select line from unnest(string_to_array('{}', E'\\n')) line", text.trim());
            eyes.batch_execute(&format!("copy ({lines}) to program 'umask 077; cat > {file}'")).await?;
        }
        eyes.batch_execute("alter system set ssl = on").await?;
        eyes.batch_execute("select pg_reload_conf()").await?;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let on: String = database.client().await.query_one("show ssl", &[]).await?.get(0);
            if on == "on" {
                let secret = secret(database.url())?;
                return Ok(Database { _database: database, eyes, secret });
            }
        }
        Err("the server does not turn tls on".into())
    }

    /// Where it is and who may enter, as RDS keeps it in Secrets Manager.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// How many connections by TLS there are.
    pub(crate) async fn connections_by_tls(&self) -> Result<i64, Failure> {
        Ok(self.eyes.query_one("select count(*) from pg_stat_ssl where ssl", &[]).await?.get(0))
    }

    /// Waits until there is none.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        while self.connections_by_tls().await? > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

/// `postgres://USER:PASSWORD@HOST:PORT/NAME?…` as JSON.
fn secret(url: &str) -> Result<String, Failure> {
    let parts = || {
        let (login, rest) = url.strip_prefix("postgres://")?.split_once('@')?;
        let (user, password) = login.split_once(':')?;
        let (address, rest) = rest.split_once('/')?;
        let (_, port) = address.split_once(':')?;
        let name = rest.split('?').next()?;
        Some((user, password, port.parse::<u16>().ok()?, name))
    };
    let (username, password, port, dbname) = parts().ok_or("the database has an unknown kind of address")?;
    let host = "localhost";
    let engine = "postgres";
    let secret = serde_json::json!({ "username": username, "password": password, "engine": engine, "host": host, "port": port, "dbname": dbname });
    Ok(secret.to_string())
}
