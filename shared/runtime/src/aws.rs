//! Clients of AWS: made when they are first needed, over one configuration a process.
//!
//! Credentials, region and endpoints come from where the AWS tools look for them (`AWS_PROFILE`, `AWS_REGION`,
//! `AWS_ENDPOINT_URL`, the function's role). TLS is rustls over ring: the SDK's own default costs 20 ms at a cold start.
//! An emulator on this machine wants neither region nor credentials, so none need to be set up for it.

use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::sync::OnceCell;
use tributary_core::pipeline::DynamodbStore;
use tributary_core::{Error, Result};

static CONFIG: OnceCell<SdkConfig> = OnceCell::const_new();

/// The configuration of this process, loaded at the first call. Costs about 1 ms.
pub async fn config() -> &'static SdkConfig {
    CONFIG.get_or_init(async || Box::pin(loader().load()).await).await
}

fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

fn loader() -> ConfigLoader {
    // A function would rather fail and be retried than wait for its own end. An unreachable endpoint, the usual trouble
    // in a VPC, shows after three attempts of 2 s.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .read_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(30))
        .build();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client())
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(timeouts)
}

/// The configuration for an emulator on this machine. Nobody outside it is asked for a region or for credentials, and
/// where none are set up, it gets invented ones: an emulator takes any, but may keep tables apart by them.
async fn of_emulator() -> SdkConfig {
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::from_static("us-east-1"));
    let invented = Credentials::new("test", "test", None, None, "tributary");
    // A profile may name a role, for which it would ask STS.
    let profile = ProviderConfig::empty().with_http_client(http_client());
    let profile = ProfileFileCredentialsProvider::builder().configure(&profile).build();
    let credentials = CredentialsProviderChain::first_try("environment", EnvironmentVariableCredentialsProvider::new())
        .or_else("profile", profile)
        .or_else("invented", invented);
    Box::pin(loader().region(region).credentials_provider(credentials).load()).await
}

/// Whether an endpoint is on this machine.
fn is_here(endpoint: &str) -> bool {
    let authority = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => authority.split(':').next(),
    };
    host.is_some_and(|host| {
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

/// A client for a DynamoDB datastore of the mapping.
pub async fn dynamodb(store: &DynamodbStore) -> aws_sdk_dynamodb::Client {
    dynamodb_over(&own_config(store).await, store)
}

/// The configuration for other clients of a DynamoDB datastore: with its region, and without its endpoint.
pub async fn config_of(store: &DynamodbStore) -> SdkConfig {
    let config = own_config(store).await;
    match &store.region {
        Some(region) => config.into_builder().region(Region::new(region.clone())).build(),
        None => config,
    }
}

async fn own_config(store: &DynamodbStore) -> SdkConfig {
    match &store.endpoint {
        Some(endpoint) if is_here(endpoint) => of_emulator().await,
        _ => config().await.clone(),
    }
}

fn dynamodb_over(config: &SdkConfig, store: &DynamodbStore) -> aws_sdk_dynamodb::Client {
    let mut builder = aws_sdk_dynamodb::config::Builder::from(config);
    if let Some(region) = &store.region {
        builder = builder.region(Region::new(region.clone()));
    } else if store.endpoint.is_some() && config.region().is_none() {
        // Emulators take any, and the SDK wants one.
        builder = builder.region(Region::from_static("us-east-1"));
    }
    if let Some(endpoint) = &store.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    aws_sdk_dynamodb::Client::from_conf(builder.build())
}

/// The region that this process runs in.
///
/// # Errors
/// `Config` when nothing says so.
pub async fn region() -> Result<String> {
    config().await.region().map(ToString::to_string).ok_or_else(|| {
        Error::config("the AWS region is unknown").with_hint("set AWS_REGION, or `region` in the datastore")
    })
}

/// The credentials of this process: the function's role, or what the AWS tools are set up with.
///
/// # Errors
/// `Config` when there are none, `Unavailable` when their keeper doesn't answer.
pub async fn credentials() -> Result<Credentials> {
    let none = || {
        Error::config("there are no AWS credentials")
            .with_hint("set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    };
    let provider = config().await.credentials_provider().ok_or_else(none)?;
    provider.provide_credentials().await.map_err(|error| match error {
        aws_credential_types::provider::error::CredentialsError::ProviderTimedOut(_) => {
            Error::unavailable("the AWS credentials don't come in time").with_source(error)
        }
        _ => none().with_source(error),
    })
}

/// Whether a call failed for want of credentials. The SDK reports that as a failed dispatch and tells the reason only in
/// the chain of causes.
pub(crate) fn lacks_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.to_string().contains("credentials") {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_datastore_names_its_own_region_and_endpoint() {
        let check = |own: Option<&'static str>, region: Option<&str>, endpoint: Option<&str>, expect: Option<&str>| {
            let config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(own.map(Region::from_static))
                .build();
            let (region, endpoint) = (region.map(str::to_owned), endpoint.map(str::to_owned));
            let client = dynamodb_over(&config, &DynamodbStore { region, endpoint });
            assert_eq!(client.config().region().map(ToString::to_string).as_deref(), expect);
        };
        check(Some("eu-west-1"), None, None, Some("eu-west-1"));
        check(Some("eu-west-1"), Some("us-east-2"), None, Some("us-east-2"));
        check(Some("eu-west-1"), None, Some("http://127.0.0.1:8000"), Some("eu-west-1"));
        check(None, None, Some("http://127.0.0.1:8000"), Some("us-east-1"));
        check(None, None, None, None);
    }

    #[test]
    fn an_emulator_is_told_from_the_network() {
        let check = |endpoint: &str, expect: bool| assert_eq!(is_here(endpoint), expect, "{endpoint}");
        check("http://localhost:8000", true);
        check("http://127.0.0.1:4566/", true);
        check("http://127.0.0.2", true);
        check("http://[::1]:8000", true);
        check("http://localhost.example.org:8000", false);
        check("http://dynamodb:8000", false);
        check("https://dynamodb.us-east-2.amazonaws.com", false);
        check("http://10.0.0.1:8000", false);
        check("http://127.0.0.1@example.org", false);
    }
}
