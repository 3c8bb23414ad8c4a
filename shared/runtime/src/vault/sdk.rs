//! Secrets Manager by its SDK: for programs that have the AWS SDK anyway.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Builder, Region};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata as _, SdkError};

use super::refusal::Refusal;

/// Asks for a secret; `None` when it is binary.
pub(super) async fn text(client: &Client, name: &str, region: Option<&str>) -> Result<Option<String>, Refusal> {
    let mut request = client.get_secret_value().secret_id(name).customize();
    if let Some(region) = region {
        request = request.config_override(Builder::new().region(Region::new(region.to_owned())));
    }
    let answer = request.send().await.map_err(|error| match &error {
        SdkError::ServiceError(answer) => {
            let words = answer.err().message().map(str::to_owned);
            Refusal::Said(answer.err().code().unwrap_or_default().to_owned(), words)
        }
        SdkError::ConstructionFailure(_) => Refusal::NoRegion,
        _ if lacks_credentials(&error) => Refusal::NoCredentials,
        _ => Refusal::Silence,
    })?;
    Ok(answer.secret_string)
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
