//! Secrets from the environment, from files and from AWS Secrets Manager.
//!
//! Fetched when first needed, kept for a few minutes, forgotten when a server refuses them: a rotated secret is picked up
//! without a restart.

mod refusal;
#[cfg(any(test, not(feature = "sdk")))]
mod request;
#[cfg(feature = "sdk")]
pub(crate) mod sdk;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[cfg(feature = "sdk")]
use aws_sdk_secretsmanager::Client;
use tokio::sync::OnceCell;
use tributary_core::pipeline::SecretRef;
use tributary_core::{Error, Result};

use crate::aws;
use crate::secrets::{Secret, Secrets};
use refusal::Refusal;

/// How long a fetched secret is used before it is fetched again.
const KEPT: Duration = Duration::from_secs(300);

/// The secrets of this process.
#[derive(Debug, Default)]
pub struct Vault {
    keeper: OnceCell<Keeper>,
    kept: Mutex<HashMap<String, (Instant, Secret)>>,
}

/// Who is asked for a secret: Secrets Manager, in one of two ways.
#[derive(Clone, Debug)]
enum Keeper {
    #[cfg(feature = "sdk")]
    Sdk(Client),
    #[cfg(any(test, not(feature = "sdk")))]
    Request(Box<aws_config::SdkConfig>),
}

impl Keeper {
    /// The keeper of this process.
    async fn of_process() -> Self {
        let config = aws::config().await;
        #[cfg(feature = "sdk")]
        let keeper = Keeper::Sdk(Client::new(config));
        #[cfg(not(feature = "sdk"))]
        let keeper = Keeper::Request(Box::new(config.clone()));
        keeper
    }

    async fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self {
            #[cfg(feature = "sdk")]
            Keeper::Sdk(client) => sdk::text(client, name, region_of(name)).await,
            #[cfg(any(test, not(feature = "sdk")))]
            Keeper::Request(config) => request::text(config, name, region_of(name)).await,
        }
    }
}

impl Vault {
    /// A vault that turns to Secrets Manager when it first needs to.
    pub fn new() -> Self {
        Vault::default()
    }

    #[cfg(test)]
    fn of(keeper: Keeper) -> Self {
        Vault { keeper: OnceCell::new_with(Some(keeper)), kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, (Instant, Secret)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole text of a secret in Secrets Manager.
    async fn text(&self, name: &str) -> Result<Secret> {
        if let Some((since, secret)) = self.kept().get(name)
            && since.elapsed() < KEPT
        {
            return Ok(secret.clone());
        }
        let secret = self.fetch(name).await?;
        self.kept().insert(name.to_owned(), (Instant::now(), secret.clone()));
        Ok(secret)
    }

    async fn fetch(&self, name: &str) -> Result<Secret> {
        let keeper = self.keeper.get_or_init(Keeper::of_process).await;
        match Box::pin(keeper.text(name)).await.map_err(|refusal| refusal.explain(name))? {
            Some(text) => Ok(Secret::new(text)),
            None => Err(Error::config(format!("the secret {name} is binary")).with_hint("store it as text or JSON")),
        }
    }
}

impl Secrets for Vault {
    async fn get(&self, reference: &SecretRef) -> Result<Secret> {
        match reference {
            SecretRef::Env(name) => of_environment(name),
            SecretRef::File(path) => of_file(path),
            SecretRef::Secret { name, field } => {
                let text = self.text(name).await?;
                match field {
                    Some(field) => member(name, text.expose(), field),
                    None => Ok(text),
                }
            }
        }
    }

    fn evict(&self, reference: &SecretRef) {
        if let SecretRef::Secret { name, .. } = reference {
            self.kept().remove(name);
        }
    }
}

fn of_environment(name: &str) -> Result<Secret> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
        _ => Err(Error::config(format!("the environment variable {name} is not set"))
            .with_hint("the mapping takes a secret from it")),
    }
}

fn of_file(path: &str) -> Result<Secret> {
    let mut text = std::fs::read_to_string(path)
        .map_err(|error| Error::config(format!("cannot read a secret from {path}")).with_source(error))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(Secret::new(text))
}

/// A member of a secret that is a JSON object.
fn member(name: &str, text: &str, field: &str) -> Result<Secret> {
    use serde_json::Value;
    // The parser's own error may quote the text.
    let object: serde_json::Map<String, Value> = serde_json::from_str(text).map_err(|_| {
        Error::config(format!("the secret {name} is no JSON object, so it has no field `{field}`"))
            .with_hint("leave `field` out to take the secret whole")
    })?;
    match object.get(field) {
        Some(Value::String(value)) => Ok(Secret::new(value)),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Secret::new(value.to_string())),
        Some(_) => Err(Error::config(format!("the field `{field}` of the secret {name} is no text"))),
        None => {
            let names: Vec<_> = object.keys().map(String::as_str).collect();
            Err(Error::config(format!("the secret {name} has no field `{field}`"))
                .with_hint(format!("it has: {}", names.join(", "))))
        }
    }
}

/// The region in an ARN, `arn:aws:secretsmanager:REGION:…`; a plain name lies in the function's own.
fn region_of(name: &str) -> Option<&str> {
    let mut parts = name.split(':');
    (parts.next()? == "arn").then_some(())?;
    parts.nth(2).filter(|region| !region.is_empty())
}

#[cfg(test)]
mod tests;
