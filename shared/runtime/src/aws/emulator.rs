//! What stands in for AWS on this machine. It wants neither region nor credentials, so none need to be set up for it.

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
#[cfg(not(feature = "profiles"))]
use aws_credential_types::provider::SharedCredentialsProvider;

/// The configuration for clients of this endpoint, without it; that of the process for AWS itself.
pub(crate) async fn config_at(endpoint: Option<&str>) -> SdkConfig {
    match endpoint {
        Some(endpoint) if is_here(endpoint) => of_emulator().await,
        _ => super::config().await.clone(),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

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
