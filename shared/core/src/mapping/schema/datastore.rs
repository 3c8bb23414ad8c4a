//! `datastores:` of the grammar: one shape a type, and where secrets are kept.

use schemars::JsonSchema;

use super::odk::Odk;

/// A system that is read or written.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "lowercase")]
pub(in crate::mapping) enum Datastore {
    /// A Postgres database: a sink.
    Postgres(Postgres),
    /// DynamoDB in one region: a source.
    Dynamodb(Dynamodb),
    /// A Sequin server: a source.
    Sequin(Sequin),
    /// Airtable: a source.
    Airtable(Airtable),
    /// ODK Central: a source.
    Odk(Odk),
}

/// How to reach a Postgres database: by `url`, by `secret`, or by `host` and what belongs to it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::mapping) struct Postgres {
    /// Where the connection URL is kept.
    url: Option<Reference>,
    /// Name or ARN of a Secrets Manager secret as RDS keeps it: JSON with username, password, host, port, dbname.
    secret: Option<String>,
    /// The host; beside `secret`, instead of the secret's.
    host: Option<String>,
    /// The port, 5432 by default.
    #[schemars(range(min = 1))]
    port: Option<u16>,
    /// The user.
    user: Option<String>,
    /// The database; the user's name by default.
    dbname: Option<String>,
    /// How the user proves who it is.
    auth: Option<Auth>,
    /// Where the password is kept.
    password: Option<Reference>,
    /// The database's region for `auth: iam`; the function's own by default.
    region: Option<String>,
    /// Transport security: `auto` verifies against the RDS roots unless the host is this machine.
    tls: Option<Tls>,
    /// The schema of tables that name none.
    #[schemars(length(min = 1, max = 63))]
    schema: Option<String>,
    /// Whether the connection goes through a proxy that pins sessions (RDS Proxy, PgBouncer).
    proxy: Option<bool>,
    /// Whether missing tables and columns are added when a function starts; `off` by default.
    auto_migrate: Option<AutoMigrate>,
}

/// How to reach DynamoDB.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::mapping) struct Dynamodb {
    /// The region; the function's own by default.
    region: Option<String>,
    /// Another endpoint, for local emulators.
    #[schemars(regex(pattern = "^https?://"))]
    endpoint: Option<String>,
}

/// How to reach a Sequin server.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::mapping) struct Sequin {
    /// The address, without a path; `http` only on this machine or in a private network.
    #[schemars(regex(pattern = "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?$"))]
    base_url: String,
    /// Where the API token is kept.
    token: Reference,
    /// `stream`: Sequin Stream, self-hosted, the default. `legacy`: the API syncs of 2023 and 2024.
    protocol: Option<Protocol>,
    /// With `protocol: legacy`: the credential whose collections say which fields a record may have.
    #[schemars(regex(pattern = "^[A-Za-z0-9._-]{1,200}$"))]
    credential: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum Protocol {
    Stream,
    Legacy,
}

/// How to reach Airtable.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::mapping) struct Airtable {
    /// The address; `https://api.airtable.com` by default.
    #[schemars(regex(pattern = "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?$"))]
    base_url: Option<String>,
    /// Where the personal access token is kept.
    token: Reference,
}

/// Where a secret is kept. The file never holds one itself.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub(in crate::mapping) enum Reference {
    /// In an environment variable.
    Env {
        /// Its name.
        #[schemars(length(min = 1))]
        env: String,
    },
    /// In Secrets Manager.
    Secret {
        /// Name or ARN.
        #[schemars(length(min = 1))]
        secret: String,
        /// The field of its JSON; the whole string by default.
        field: Option<String>,
    },
    /// In a file.
    File {
        /// Its path.
        #[schemars(length(min = 1))]
        file: String,
    },
}

/// How a user proves who it is.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Auth {
    /// By an IAM authentication token.
    Iam(Iam),
    /// By a password that is kept elsewhere.
    Password(Reference),
}

/// An IAM authentication token, made for each connection.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum Iam {
    Iam,
}

/// Transport security.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Tls {
    /// Verify unless the host is this machine, or never.
    Word(TlsWord),
    /// Verify the certificate and the host's name.
    Verify(Verify),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum TlsWord {
    Auto,
    Off,
}

/// Verify the certificate and the host's name.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::mapping) struct Verify {
    /// Who is trusted: `rds`, `system`, or the path of a PEM file.
    #[schemars(regex(pattern = "^(rds|system|.*/.*)$"))]
    root: String,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum AutoMigrate {
    Additive,
    Off,
}
