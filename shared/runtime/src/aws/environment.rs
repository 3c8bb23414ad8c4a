//! What Lambda tells a function of AWS: region, credentials and, where somebody set them, endpoints, all by variables.

use std::fmt;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use super::{retries, timeouts, version};

/// The configuration that the environment describes. No file is read and nobody is asked.
#[cfg(not(feature = "profiles"))]
pub(super) fn config() -> SdkConfig {
    of(|name| std::env::var(name).ok())
}

fn of(variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> SdkConfig {
    let variable = move |name: &str| variable(name).filter(|value| !value.is_empty());
    let switch = |name| variable(name).map(|value| value.eq_ignore_ascii_case("true"));
    let builder = SdkConfig::builder();
    #[cfg(feature = "sdk")]
    let builder = builder.http_client(super::http::client());
    let mut builder = builder
        .behavior_version(version())
        .region(variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .retry_config(retries())
        .timeout_config(timeouts());
    builder
        .set_endpoint_url(variable("AWS_ENDPOINT_URL"))
        .set_use_fips(switch("AWS_USE_FIPS_ENDPOINT"))
        .set_use_dual_stack(switch("AWS_USE_DUALSTACK_ENDPOINT"));
    builder.service_config(Endpoints(variable)).build()
}

/// The endpoint of one service: `AWS_ENDPOINT_URL_SECRETS_MANAGER` and the like.
struct Endpoints<V>(V);

impl<V> fmt::Debug for Endpoints<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endpoints")
    }
}

impl<V: Fn(&str) -> Option<String> + Send + Sync> LoadServiceConfig for Endpoints<V> {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        // AWS SDKs and Tools reference guide, "Service-specific endpoints".
        let service = key.service_id().replace([' ', '-'], "_").to_ascii_uppercase();
        (self.0)(&format!("{}_{service}", key.env()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_region_and_endpoints() {
        let check = |variables: &'static [(&str, &str)], region: Option<&str>, endpoint: Option<&str>| {
            let config = of(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            });
            assert_eq!(config.region().map(ToString::to_string).as_deref(), region, "{variables:?}");
            let key = ServiceConfigKey::builder().service_id("Secrets Manager").env("AWS_ENDPOINT_URL");
            let key = key.profile("endpoint_url").build().unwrap();
            let own = config.service_config().and_then(|own| own.load_config(key));
            assert_eq!(own.as_deref().or(config.endpoint_url()), endpoint, "{variables:?}");
        };
        check(&[], None, None);
        check(&[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "us-east-1")], Some("eu-west-1"), None);
        check(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "us-east-1")], Some("us-east-1"), None);
        check(&[("AWS_ENDPOINT_URL", "http://all")], None, Some("http://all"));
        check(
            &[("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://own")],
            None,
            Some("http://own"),
        );
        check(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://other")], None, None);
    }

    #[test]
    fn variants_of_endpoints_are_switches() {
        let config = of(|name| (name == "AWS_USE_FIPS_ENDPOINT").then(|| "true".to_owned()));
        assert_eq!((config.use_fips(), config.use_dual_stack()), (Some(true), None));
    }
}
