//! Secrets Manager by a request of our own: for functions that would have the AWS SDK for nothing else. It would be an
//! eighth of their program.
//!
//! AWS Secrets Manager API reference, "GetSecretValue"; IAM user guide, "Create a signed AWS API request".

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_types::service_config::ServiceConfigKey;
use serde::Deserialize;
use tributary_core::sink::Unlimited;
use tributary_sources::http::{Client, HeaderName, HeaderValue, Method, Patience, Request};

use super::refusal::Refusal;

const HEADERS: [(&str, &str); 2] =
    [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "secretsmanager.GetSecretValue")];
/// A function would rather fail and be retried than wait for its own end.
const TIMEOUT: Duration = Duration::from_secs(10);
const PATIENCE: Patience = Patience { attempts: 3, first: Duration::from_millis(200), longest: Duration::from_secs(2) };

/// The answer, good or bad, in the form of both.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "SecretString")]
    text: Option<String>,
    #[serde(rename = "__type", default)]
    code: String,
    #[serde(rename = "Message", alias = "message")]
    words: Option<String>,
}

/// Asks for a secret; `None` when it is binary.
pub(super) async fn text(config: &SdkConfig, name: &str, region: Option<&str>) -> Result<Option<String>, Refusal> {
    let region = region.or_else(|| config.region().map(AsRef::as_ref)).ok_or(Refusal::NoRegion)?;
    let request = signed(config, name, region).await?;
    let answer = Client::new().send_patiently(&request, &PATIENCE, &Unlimited).await;
    let answer = answer.map_err(|error| {
        tracing::warn!(error = %error.chain(), "secrets manager cannot be asked");
        Refusal::Silence
    })?;
    let said: Answer = serde_json::from_slice(&answer.body).map_err(|_| Refusal::Silence)?;
    if answer.status.is_success() {
        return Ok(said.text);
    }
    // Some services put their namespace before it.
    let code = said.code.rsplit('#').next().unwrap_or_default().to_owned();
    Err(Refusal::Said(code, said.words))
}

async fn signed(config: &SdkConfig, name: &str, region: &str) -> Result<Request, Refusal> {
    let credentials = config.credentials_provider().ok_or(Refusal::NoCredentials)?;
    let credentials = credentials.provide_credentials().await.map_err(|_| Refusal::NoCredentials)?;
    let identity = credentials.into();
    let endpoint = endpoint(config, region);
    let body = serde_json::json!({ "SecretId": name }).to_string();
    let refused = |_| Refusal::Said("InvalidSignatureException".to_owned(), None);
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("secretsmanager")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| Refusal::NoCredentials)?
        .into();
    let to_sign = SignableRequest::new("POST", &endpoint, HEADERS.into_iter(), SignableBody::Bytes(body.as_bytes()));
    let (signature, _) = to_sign.and_then(|request| sign(request, &params)).map_err(refused)?.into_parts();
    let mut request = Request::new(Method::POST, endpoint);
    request.timeout = TIMEOUT;
    request.body = body.into();
    for (name, value) in HEADERS.into_iter().chain(signature.headers()) {
        let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(value));
        request = request.header(name.map_err(|_| Refusal::NoCredentials)?, value.map_err(|_| Refusal::NoCredentials)?);
    }
    Ok(request)
}

/// Where Secrets Manager is, as the variables of AWS say, or else the region.
fn endpoint(config: &SdkConfig, region: &str) -> String {
    let key = ServiceConfigKey::builder().service_id("Secrets Manager").env("AWS_ENDPOINT_URL").profile("endpoint_url");
    let own = key.build().ok().and_then(|key| config.service_config()?.load_config(key));
    if let Some(named) = own.or_else(|| config.endpoint_url().map(str::to_owned)) {
        return format!("{}/", named.trim_end_matches('/'));
    }
    let service = if config.use_fips() == Some(true) { "secretsmanager-fips" } else { "secretsmanager" };
    let domain = match (config.use_dual_stack() == Some(true), region.starts_with("cn-")) {
        (false, false) => "amazonaws.com",
        (false, true) => "amazonaws.com.cn",
        (true, false) => "api.aws",
        (true, true) => "api.amazonwebservices.com.cn",
    };
    format!("https://{service}.{region}.{domain}/")
}

#[cfg(test)]
mod tests {
    use aws_config::Region;

    use super::*;

    #[test]
    fn the_endpoint_follows_the_region_and_its_variants() {
        let check = |region: &'static str, fips: bool, dual: bool, named: Option<&str>, expect: &str| {
            let mut config =
                SdkConfig::builder().region(Region::from_static(region)).use_fips(fips).use_dual_stack(dual);
            config.set_endpoint_url(named.map(str::to_owned));
            assert_eq!(endpoint(&config.build(), region), expect);
        };
        check("eu-west-1", false, false, None, "https://secretsmanager.eu-west-1.amazonaws.com/");
        check("us-gov-west-1", true, false, None, "https://secretsmanager-fips.us-gov-west-1.amazonaws.com/");
        check("eu-west-1", false, true, None, "https://secretsmanager.eu-west-1.api.aws/");
        check("cn-north-1", false, false, None, "https://secretsmanager.cn-north-1.amazonaws.com.cn/");
        check("eu-west-1", true, true, Some("http://127.0.0.1:4566"), "http://127.0.0.1:4566/");
    }
}
