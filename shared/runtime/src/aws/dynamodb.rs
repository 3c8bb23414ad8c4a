//! Clients of DynamoDB, or of what stands in for it.

use aws_config::{Region, SdkConfig};
use tributary_core::pipeline::DynamodbStore;

use super::emulator::config_at;

/// A client for a DynamoDB datastore of the mapping.
pub async fn dynamodb(store: &DynamodbStore) -> aws_sdk_dynamodb::Client {
    dynamodb_over(&config_at(store.endpoint.as_deref()).await, store)
}

/// The configuration for other clients of a DynamoDB datastore: with its region, and without its endpoint.
pub async fn config_of(store: &DynamodbStore) -> SdkConfig {
    let config = config_at(store.endpoint.as_deref()).await;
    match &store.region {
        Some(region) => config.into_builder().region(Region::new(region.clone())).build(),
        None => config,
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
}
