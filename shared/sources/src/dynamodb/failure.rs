//! What an error of the AWS SDK means for us.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use tributary_core::{Error, Kind};

/// Turns an error of a call into ours. `action` is the call's IAM action, `table` the table's name.
pub(super) fn failed<E>(error: SdkError<E>, action: &str, table: &str) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.as_service_error().and_then(|service| service.code()).unwrap_or_default().to_owned();
    let (kind, message, hint) = match (&error, code.as_str()) {
        (_, "ResourceNotFoundException") => (
            Kind::Config,
            format!("there is no DynamoDB table `{table}`"),
            "check the table's name and the datastore's region in the mapping".to_owned(),
        ),
        (_, "AccessDeniedException") => (
            Kind::Config,
            format!("AWS doesn't allow us to read the table `{table}`"),
            format!("allow `{action}` on the table in the IAM policy of the role that runs this"),
        ),
        (
            _,
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignatureException",
        ) => (
            Kind::Auth,
            "AWS refuses the credentials".to_owned(),
            "sign in again, or check the function's role".to_owned(),
        ),
        (SdkError::ServiceError(_), code) if !is_passing(code) => (
            Kind::Config,
            format!("DynamoDB refuses to read the table `{table}`"),
            "a start key or a number of segments may be of another run: start the backfill anew".to_owned(),
        ),
        (SdkError::ServiceError(_), _) => (
            Kind::Unavailable,
            format!("DynamoDB is too busy to read the table `{table}`"),
            "lower the read budget of the backfill, or raise the table's capacity".to_owned(),
        ),
        (SdkError::ConstructionFailure(_), _) => (
            Kind::Config,
            "a request to DynamoDB cannot be made".to_owned(),
            "the datastore needs a region, in the mapping or as AWS_REGION".to_owned(),
        ),
        _ if lacks_credentials(&error) => (
            Kind::Auth,
            "there are no AWS credentials".to_owned(),
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
        ),
        _ => (
            Kind::Unavailable,
            "DynamoDB does not answer".to_owned(),
            "check the network, and the datastore's endpoint in the mapping".to_owned(),
        ),
    };
    Error::new(kind, message).with_hint(hint).with_source(error)
}

/// Whether a service error passes by itself.
fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "InternalServerError"
            | "InternalServerErrorException"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
    )
}

/// The SDK reports missing credentials as a failed dispatch and tells the reason only in the chain of causes.
fn lacks_credentials<E: std::error::Error + 'static>(error: &E) -> bool {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = next {
        if cause.to_string().contains("credentials") {
            return true;
        }
        next = cause.source();
    }
    false
}
