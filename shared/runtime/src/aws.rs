//! Clients of AWS: made when they are first needed, over one configuration a process.
//!
//! A function has region and credentials in its environment. Everybody else has them where the AWS tools look for them
//! (`AWS_PROFILE`, roles, metadata services): that is the feature `profiles`, which the command line has, and which would
//! add 0.4 MB to a function. TLS is rustls over ring: the SDK's own default costs 20 ms at a cold start.

#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(any(feature = "dynamodb", feature = "odk"))]
pub(crate) mod emulator;
#[cfg(any(test, not(feature = "profiles")))]
mod environment;
#[cfg(feature = "sdk")]
pub(crate) mod http;

#[cfg(feature = "dynamodb")]
pub use dynamodb::{config_of, dynamodb};

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use tokio::sync::OnceCell;
use tributary_core::{Error, Result};

static CONFIG: OnceCell<SdkConfig> = OnceCell::const_new();

/// The configuration of this process, loaded at the first call.
pub async fn config() -> &'static SdkConfig {
    CONFIG.get_or_init(load).await
}

#[cfg(feature = "profiles")]
async fn load() -> SdkConfig {
    Box::pin(loader().load()).await
}

#[cfg(not(feature = "profiles"))]
fn load() -> std::future::Ready<SdkConfig> {
    std::future::ready(environment::config())
}

#[cfg(feature = "profiles")]
fn loader() -> aws_config::ConfigLoader {
    aws_config::defaults(version()).http_client(http::client()).retry_config(retries()).timeout_config(timeouts())
}

fn version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3)
}

/// A function would rather fail and be retried than wait for its own end.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().read_timeout(Duration::from_secs(10)).operation_timeout(Duration::from_secs(30)).build()
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
