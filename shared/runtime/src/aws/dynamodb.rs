//! Clients of DynamoDB, or of what stands in for it.
//!
//! An emulator on this machine wants neither region nor credentials, so none need to be set up for it.

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
#[cfg(not(feature = "profiles"))]
use aws_credential_types::provider::SharedCredentialsProvider;
use tributary_core::pipeline::DynamodbStore;

use super::config;

/// The configuration for an emulator on this machine. Nobody outside it is asked for a region or for credentials, and
/// where none are set up, it gets invented ones: an emulator takes any, but may keep tables apart by them.
#[cfg(feature = "profiles")]
async fn of_emulator() -> SdkConfig {
    use aws_config::environment::EnvironmentVariableRegionProvider;
    use aws_config::meta::region::RegionProviderChain;
    use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
    use aws_config::provider_config::ProviderConfig;

    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::from_static("us-east-1"));
    // A profile may name a role, for which it would ask STS.
    let profile = ProviderConfig::empty().with_http_client(super::http::client());
    let profile = ProfileFileCredentialsProvider::builder().configure(&profile).build();
    let credentials = of_environment().or_else("profile", profile).or_else("invented", invented());
    Box::pin(super::loader().region(region).credentials_provider(credentials).load()).await
}

/// As it is, with what is missing invented: an emulator takes any region and credentials, but may keep tables apart by
/// them.
#[cfg(not(feature = "profiles"))]
fn of_emulator() -> std::future::Ready<SdkConfig> {
    let config = super::environment::config();
    let region = config.region().cloned().unwrap_or(Region::from_static("us-east-1"));
    let credentials = SharedCredentialsProvider::new(of_environment().or_else("invented", invented()));
    std::future::ready(config.into_builder().region(region).credentials_provider(credentials).build())
}

fn of_environment() -> CredentialsProviderChain {
    CredentialsProviderChain::first_try("environment", EnvironmentVariableCredentialsProvider::new())
}

fn invented() -> Credentials {
    Credentials::new("test", "test", None, None, "tributary")
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

#[cfg(test)]
mod tests {
    use aws_config::BehaviorVersion;

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
