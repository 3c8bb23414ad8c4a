//! Secrets from the environment, from files and from AWS Secrets Manager.
//!
//! Fetched when first needed, kept for a few minutes, forgotten when a server refuses them: a rotated secret is picked up
//! without a restart.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Region;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use tokio::sync::OnceCell;
use tributary_core::pipeline::SecretRef;
use tributary_core::{Error, Kind, Result};

use crate::aws;
use crate::secrets::{Secret, Secrets};

/// How long a fetched secret is used before it is fetched again.
const KEPT: Duration = Duration::from_secs(300);

/// The secrets of this process.
#[derive(Debug, Default)]
pub struct Vault {
    client: OnceCell<Client>,
    kept: Mutex<HashMap<String, (Instant, Secret)>>,
}

impl Vault {
    /// A vault that makes its client of Secrets Manager when it first needs one.
    pub fn new() -> Self {
        Vault::default()
    }

    /// A vault over this client.
    pub fn with_client(client: Client) -> Self {
        Vault { client: OnceCell::new_with(Some(client)), kept: Mutex::default() }
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
        let client = self.client.get_or_init(async || Client::new(aws::config().await)).await;
        let mut request = client.get_secret_value().secret_id(name).customize();
        if let Some(region) = region_of(name) {
            let there = aws_sdk_secretsmanager::config::Builder::new().region(Region::new(region.to_owned()));
            request = request.config_override(there);
        }
        let answer = request.send().await.map_err(|error| refused(name, &error))?;
        match answer.secret_string {
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

/// Says what to do about a refusal. The SDK's own error is left behind: its raw response is where a secret would be.
fn refused<E: ProvideErrorMetadata + std::error::Error + 'static, R: std::fmt::Debug + 'static>(
    name: &str,
    error: &SdkError<E, R>,
) -> Error {
    let (code, said) = match error {
        SdkError::ServiceError(answer) => (answer.err().code().unwrap_or_default(), answer.err().message()),
        _ => ("", None),
    };
    let (kind, message, hint) = match (error, code) {
        (_, "ResourceNotFoundException") => {
            (Kind::Config, format!("there is no secret {name}"), "check its name, and that it is in this region")
        }
        (_, "AccessDeniedException") => (
            Kind::Config,
            format!("the secret {name} may not be read"),
            "allow the function's role secretsmanager:GetSecretValue on it, and kms:Decrypt if it has a key of its own",
        ),
        (_, "DecryptionFailure" | "DecryptionFailureException") => (
            Kind::Config,
            format!("the secret {name} cannot be decrypted"),
            "allow the function's role kms:Decrypt on the secret's key, and check that the key is enabled",
        ),
        (_, "InvalidRequestException" | "InvalidParameterException" | "ValidationException") => {
            (Kind::Config, format!("the secret {name} cannot be read"), "it may be scheduled for deletion")
        }
        (
            _,
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignatureException",
        ) => (Kind::Auth, "AWS refuses the credentials".to_owned(), "sign in again, or check the function's role"),
        (SdkError::ConstructionFailure(_), _) => (
            Kind::Config,
            format!("the secret {name} cannot be asked for"),
            "set AWS_REGION, or name the secret by its ARN",
        ),
        _ if aws::lacks_credentials(error) => (
            Kind::Config,
            format!("there are no AWS credentials to read the secret {name}"),
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        _ => (
            Kind::Unavailable,
            format!("Secrets Manager doesn't answer for the secret {name}"),
            "a function in a VPC needs a NAT gateway, or an interface endpoint for Secrets Manager",
        ),
    };
    let explained = Error::new(kind, message).with_hint(hint);
    match said {
        Some(said) => explained.with_source(format!("{code}: {said}")),
        None => explained,
    }
}

#[cfg(test)]
mod tests;
