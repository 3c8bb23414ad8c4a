//! Where a Postgres datastore of the mapping is and who we are there: its references resolved, for each connection anew.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tributary_core::pipeline::{PostgresAuth, PostgresStore, SecretRef, Tls};
use tributary_core::{Error, Kind, Result};
use tributary_postgres::Credentials;
use tributary_postgres::connect::{Parts, Policy, Target};

use crate::secrets::{Secret, Secrets};
use crate::{aws, iam};

/// A Postgres datastore with what it takes to reach it.
#[derive(Debug)]
pub struct Database<S> {
    store: PostgresStore,
    secrets: Arc<S>,
    instead: Option<Secret>,
    host: Option<String>,
    rds_roots: Option<String>,
    application: String,
    statement_timeout: Option<Duration>,
}

impl<S: Secrets> Database<S> {
    /// A datastore of the mapping; `application` is the pipeline or function as `pg_stat_activity` shows it.
    pub fn new(store: PostgresStore, secrets: Arc<S>, application: impl Into<String>) -> Self {
        let application = application.into();
        Database { store, secrets, instead: None, host: None, rds_roots: None, application, statement_timeout: None }
    }

    /// Goes to this URL instead of where the mapping says. The mapping's TLS and proxy stay in force unless the URL leads
    /// to this machine.
    #[must_use]
    pub fn with_url(mut self, url: Option<Secret>) -> Self {
        self.instead = url;
        self
    }

    /// Goes to this host instead of the mapping's. All else, the port among it, stays as it is.
    #[must_use]
    pub fn with_host(mut self, host: Option<String>) -> Self {
        self.host = host;
        self
    }

    /// Whether a pooling proxy stands there, instead of what the mapping says.
    #[must_use]
    pub fn with_proxy(mut self, proxy: Option<bool>) -> Self {
        self.store.proxy = proxy.unwrap_or(self.store.proxy);
        self
    }

    /// Trusts this PEM file in place of the built-in RDS roots.
    #[must_use]
    pub fn with_rds_roots(mut self, file: Option<String>) -> Self {
        self.rds_roots = file;
        self
    }

    /// Limits each statement. Not in force behind a proxy.
    #[must_use]
    pub fn with_statement_timeout(mut self, limit: Duration) -> Self {
        self.statement_timeout = Some(limit);
        self
    }

    /// The address and the credential, resolved now.
    ///
    /// # Errors
    /// `Config` when a reference leads nowhere or the datastore is incomplete, or has its host in a URL and another host is
    /// wanted; `Unavailable` when Secrets Manager doesn't answer.
    pub async fn resolve(&self) -> Result<Target> {
        let target = match (&self.instead, &self.store) {
            (Some(url), _) => self.of_other_url(url)?,
            (_, PostgresStore { url: Some(_), .. }) if self.host.is_some() => {
                return Err(Error::config("TRIBUTARY_DATABASE_HOST is set, but the datastore has its host in `url`")
                    .with_hint("change the host in that URL, or let the datastore say `secret:` or `host:`"));
            }
            (_, PostgresStore { url: Some(reference), .. }) => {
                let url = self.secrets.get(reference).await?;
                Target::from_url(url.expose(), &self.policy())?
            }
            (_, PostgresStore { secret: Some(name), .. }) => self.of_secret(name).await?,
            (_, PostgresStore { host: Some(host), .. }) => self.of_host(self.host.as_ref().unwrap_or(host)).await?,
            _ => return Err(Error::config("the datastore has neither `url` nor `secret` nor `host`")),
        };
        let target = target.with_application(&self.application);
        Ok(match self.statement_timeout {
            Some(limit) => target.with_statement_timeout(limit),
            None => target,
        })
    }

    /// Forgets the secrets that this datastore refers to.
    fn evict(&self) {
        if let Some(reference) = &self.store.url {
            self.secrets.evict(reference);
        }
        if let Some(name) = &self.store.secret {
            self.secrets.evict(&whole(name));
        }
        if let Some(PostgresAuth::Password(reference)) = &self.store.auth {
            self.secrets.evict(reference);
        }
    }

    fn policy(&self) -> Policy {
        Policy { tls: self.store.tls.clone(), rds_roots: self.rds_roots.clone(), proxy: self.store.proxy }
    }

    fn of_other_url(&self, url: &Secret) -> Result<Target> {
        let here = Policy { tls: Tls::Auto, rds_roots: self.rds_roots.clone(), proxy: false };
        match Target::from_url(url.expose(), &here) {
            Ok(target) if !target.encrypted() => Ok(target),
            _ => Target::from_url(url.expose(), &self.policy()),
        }
    }

    async fn of_secret(&self, name: &str) -> Result<Target> {
        let text = self.secrets.get(&whole(name)).await?;
        // The parser's own error may quote the text.
        let login: Login = serde_json::from_str(text.expose()).map_err(|_| {
            Error::config(format!("the secret {name} is not in the form that RDS keeps")).with_hint(
                r#"it should be JSON with "username" and "password", and mostly "host", "port" and "dbname""#,
            )
        })?;
        if let Some(engine) = login.engine.as_deref().filter(|engine| !engine.contains("postgres")) {
            return Err(Error::config(format!("the secret {name} is of a database of engine {engine}")));
        }
        if let Some(user) = self.store.user.as_ref().filter(|user| **user != login.username) {
            return Err(Error::config(format!("the secret {name} is not of the user {user}"))
                .with_hint("remove `user` from the datastore, or name that user's secret"));
        }
        let Some(host) = self.host.clone().or_else(|| self.store.host.clone()).or(login.host) else {
            return Err(Error::config(format!("the secret {name} names no host"))
                .with_hint("say `host` in the datastore: a password that RDS manages comes without one"));
        };
        let port = match (self.store.port, login.port) {
            (Some(port), _) => Some(port),
            (None, Some(port)) => Some(port.number().ok_or_else(|| {
                Error::config(format!("the port in the secret {name} is no port"))
                    .with_hint("say `port` in the datastore")
            })?),
            (None, None) => None,
        };
        let dbname = self.store.dbname.clone().or(login.dbname);
        let parts = Parts { host, port, user: Some(login.username), dbname };
        Ok(Target::from_parts(&parts, &self.policy())?.with_password(login.password))
    }

    async fn of_host(&self, host: &str) -> Result<Target> {
        let store = &self.store;
        let (port, user, dbname) = (store.port, store.user.clone(), store.dbname.clone());
        let target = Target::from_parts(&Parts { host: host.to_owned(), port, user, dbname }, &self.policy())?;
        match &store.auth {
            None => Ok(target),
            Some(PostgresAuth::Password(reference)) => {
                Ok(target.with_password(self.secrets.get(reference).await?.expose()))
            }
            Some(PostgresAuth::Iam) => {
                let token = self.token(&target).await?;
                Ok(target.with_password(token.expose()))
            }
        }
    }

    async fn token(&self, target: &Target) -> Result<Secret> {
        if !target.encrypted() {
            return Err(Error::config("an IAM token is never sent without tls").with_hint("remove `tls: off`"));
        }
        let user = target.user().ok_or_else(|| Error::config("`auth: iam` needs a `user` in the datastore"))?;
        let host = target.host();
        let region = match self.store.region.as_deref().or_else(|| iam::region_of(&host)) {
            Some(region) => region.to_owned(),
            None => aws::region().await?,
        };
        let login = iam::Login { host: &host, port: target.port(), user, region: &region };
        iam::token(login, &aws::credentials().await?, SystemTime::now())
    }
}

impl<S: Secrets> Credentials for Database<S> {
    async fn target(&mut self, renew: bool) -> Result<Target> {
        if renew {
            self.evict();
        }
        self.resolve().await.map_err(|error| match error.kind() {
            // Our own keeper refused us: fetching the same secret once more won't help.
            Kind::Auth => Error::config("the database's secret cannot be had").with_source(error),
            _ => error,
        })
    }
}

fn whole(name: &str) -> SecretRef {
    SecretRef::Secret { name: name.to_owned(), field: None }
}

/// A secret as RDS keeps it. Others' members are left alone. No `Debug`: it holds the password.
#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
    host: Option<String>,
    port: Option<Port>,
    dbname: Option<String>,
    engine: Option<String>,
}

/// RDS writes a number, people often a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Text(String),
}

impl Port {
    fn number(self) -> Option<u16> {
        match self {
            Port::Number(number) => Some(number),
            Port::Text(text) => text.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests;
