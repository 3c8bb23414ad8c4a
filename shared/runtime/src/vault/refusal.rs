//! Why Secrets Manager gave no secret, and what to do about it.

use tributary_core::{Error, Kind};

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It said no: its code, and its words.
    Said(String, Option<String>),
    /// Nobody says in which region it is.
    NoRegion,
    /// There is nothing to sign the request with.
    NoCredentials,
    /// No answer, or none that can be read.
    Silence,
}

impl Refusal {
    /// Says what to do. What came back is left behind: it is where a secret would be.
    pub(super) fn explain(self, name: &str) -> Error {
        let code = match &self {
            Refusal::Said(code, _) => code.as_str(),
            _ => "",
        };
        let (kind, message, hint) = match (&self, code) {
            (Refusal::NoRegion, _) => (
                Kind::Config,
                format!("the secret {name} cannot be asked for"),
                "set AWS_REGION, or name the secret by its ARN",
            ),
            (Refusal::NoCredentials, _) => (
                Kind::Config,
                format!("there are no AWS credentials to read the secret {name}"),
                "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ),
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
            _ => (
                Kind::Unavailable,
                format!("Secrets Manager doesn't answer for the secret {name}"),
                "a function in a VPC needs a NAT gateway, or an interface endpoint for Secrets Manager",
            ),
        };
        let explained = Error::new(kind, message).with_hint(hint);
        match self {
            Refusal::Said(code, Some(words)) => explained.with_source(format!("{code}: {words}")),
            _ => explained,
        }
    }
}
