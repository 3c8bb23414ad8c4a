//! What a function is told by its environment: which mapping, which database instead, which certificates. Read once, when
//! it starts.
//!
//! | variable | meaning |
//! |---|---|
//! | `TRIBUTARY_MAPPING` | the mapping file, `tributary.yaml` by default; looked for in the deployed code, then here |
//! | `DATABASE_URL` | a Postgres to write to in place of the mapping's sink |
//! | `TRIBUTARY_DATABASE_HOST` | the host of the mapping's sinks in place of theirs, such as the endpoint of an RDS Proxy; all else of them stays |
//! | `TRIBUTARY_DATABASE_PROXY` | `true` or `false` in place of their `proxy` |
//! | `TRIBUTARY_METRICS` | `on` or `off`: whether metrics are printed; by default, where `AWS_LAMBDA_FUNCTION_NAME` is set |
//! | `TRIBUTARY_RDS_CA` | a PEM file in place of the built-in RDS certificates; so is an `rds-ca.pem` beside the program |
//!
//! Logging has its own, see [`crate::telemetry`]; AWS too, see [`crate::aws`].

use std::path::{Path, PathBuf};

use tributary_core::mapping;
use tributary_core::pipeline::Mapping;
use tributary_core::{Error, Result};

use crate::metrics::Metrics;
use crate::secrets::Secret;

/// The settings of a process.
#[derive(Debug)]
pub struct Settings {
    /// The mapping, checked.
    pub mapping: Mapping,
    /// Where it was found.
    pub mapping_file: PathBuf,
    /// A Postgres to write to in place of the mapping's sinks.
    pub database_url: Option<Secret>,
    /// The host of the mapping's sinks, in place of theirs.
    pub database_host: Option<String>,
    /// Whether that is a pooling proxy, in place of what the mapping says.
    pub database_proxy: Option<bool>,
    /// A PEM file in place of the built-in RDS certificates.
    pub rds_roots: Option<String>,
    /// The metrics of each invocation: printed, or not.
    pub metrics: Metrics,
}

impl Settings {
    /// Reads the environment and the mapping.
    ///
    /// # Errors
    /// `Config` when the mapping is not found or has findings, which are all in the message; when a variable names a file
    /// that is not there, or says what it cannot say.
    pub fn of_environment() -> Result<Settings> {
        Settings::of(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Settings> {
        let code = variable("LAMBDA_TASK_ROOT").map(PathBuf::from);
        let wanted = variable("TRIBUTARY_MAPPING").unwrap_or_else(|| "tributary.yaml".to_owned());
        let mapping_file = find(Path::new(&wanted), code.as_deref())?;
        let database_host = variable("TRIBUTARY_DATABASE_HOST");
        if database_host.is_some() && variable("DATABASE_URL").is_some() {
            return Err(Error::config("DATABASE_URL and TRIBUTARY_DATABASE_HOST both say where the database is")
                .with_hint(
                    "give one of them: the URL is in place of the whole sink, the host of the sink's host only",
                ));
        }
        Ok(Settings {
            mapping: load(&mapping_file)?,
            mapping_file,
            database_url: variable("DATABASE_URL").map(Secret::new),
            database_host,
            database_proxy: proxy(variable("TRIBUTARY_DATABASE_PROXY").as_deref())?,
            rds_roots: rds_roots(variable("TRIBUTARY_RDS_CA"), code)?,
            metrics: metrics(variable("TRIBUTARY_METRICS").as_deref(), variable("AWS_LAMBDA_FUNCTION_NAME").is_some())?,
        })
    }
}

/// Loads a mapping file.
///
/// # Errors
/// `Config` when it cannot be read, or has findings: all of them are in the message.
pub fn load(file: &Path) -> Result<Mapping> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Error::config(format!("cannot read the mapping {name}")).with_source(error))?;
    let checked = mapping::load(&name, &text);
    checked.mapping.ok_or_else(|| {
        let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(&text)).collect();
        Error::config(format!("the mapping has {} findings\n\n{}", findings.len(), findings.join("\n")))
            .with_hint(format!("`tributary check --mapping {name}` shows them too"))
    })
}

/// A relative path is looked for in the deployed code first.
fn find(wanted: &Path, code: Option<&Path>) -> Result<PathBuf> {
    let places: Vec<PathBuf> = code.map(|code| code.join(wanted)).into_iter().chain([wanted.to_owned()]).collect();
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| {
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        Error::config(format!("there is no mapping at {}", places.join(" or at ")))
            .with_hint("name it in TRIBUTARY_MAPPING, and put it into the function's package")
    })
}

fn proxy(wanted: Option<&str>) -> Result<Option<bool>> {
    match wanted {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => Err(Error::config(format!("TRIBUTARY_DATABASE_PROXY is `{other}`"))
            .with_hint("write `true` or `false`, or leave it out: then the mapping's `proxy` counts")),
    }
}

fn metrics(wanted: Option<&str>, in_lambda: bool) -> Result<Metrics> {
    match wanted {
        None => Ok(Metrics::new(in_lambda)),
        Some("on") => Ok(Metrics::new(true)),
        Some("off") => Ok(Metrics::new(false)),
        Some(other) => {
            Err(Error::config(format!("TRIBUTARY_METRICS is `{other}`"))
                .with_hint("write `on` or `off`, or leave it out"))
        }
    }
}

fn rds_roots(named: Option<String>, code: Option<PathBuf>) -> Result<Option<String>> {
    if let Some(file) = named {
        return if Path::new(&file).is_file() {
            Ok(Some(file))
        } else {
            Err(Error::config(format!("TRIBUTARY_RDS_CA names {file}, which is not there")))
        };
    }
    let program = std::env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
    let beside = [code, program].into_iter().flatten().map(|place| place.join("rds-ca.pem"));
    Ok(beside.into_iter().find(|file| file.is_file()).map(|file| file.display().to_string()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MAPPING: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  app: { type: dynamodb }
pipelines:
  users:
    source: { datastore: app, table: users }
    sink:
      datastore: warehouse
      tables:
        profile:
          key: { id: { from: id, type: uuid } }
          columns: { name: text }
";

    fn settings(variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::of(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_mapping_lies_in_the_deployed_code() {
        let place = tempfile::tempdir().unwrap();
        let code = place.path().to_str().unwrap();
        fs::write(place.path().join("tributary.yaml"), MAPPING).unwrap();
        fs::write(place.path().join("other.yaml"), MAPPING).unwrap();
        fs::write(place.path().join("rds-ca.pem"), "").unwrap();
        let check = |variables: &[(&str, &str)], expect: &str| {
            let settings = settings(variables).unwrap();
            assert_eq!(settings.mapping_file, place.path().join(expect));
            assert_eq!(settings.mapping.pipelines.len(), 1);
        };
        check(&[("LAMBDA_TASK_ROOT", code)], "tributary.yaml");
        check(&[("LAMBDA_TASK_ROOT", code), ("TRIBUTARY_MAPPING", "other.yaml")], "other.yaml");
        let absolute = format!("{code}/other.yaml");
        check(&[("LAMBDA_TASK_ROOT", "/nonexistent"), ("TRIBUTARY_MAPPING", &absolute)], "other.yaml");
        let found = settings(&[("LAMBDA_TASK_ROOT", code), ("DATABASE_URL", "postgres://a:hunter2@b/c")]).unwrap();
        assert_eq!(found.rds_roots, Some(format!("{code}/rds-ca.pem")));
        assert_eq!(found.database_url.as_ref().unwrap().expose(), "postgres://a:hunter2@b/c");
        assert!(!format!("{:?}", found.database_url).contains("hunter2"));
    }

    #[test]
    fn the_place_of_the_database_is_given_once() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("tributary.yaml"), MAPPING).unwrap();
        let code = place.path().to_str().unwrap();
        let check = |variables: &[(&str, &str)], expect: Result<(Option<&str>, Option<bool>), &str>| {
            let variables = [&[("LAMBDA_TASK_ROOT", code)], variables].concat();
            match (settings(&variables), expect) {
                (Ok(found), Ok(expect)) => {
                    assert_eq!((found.database_host.as_deref(), found.database_proxy), expect, "{variables:?}");
                }
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
                (found, expect) => panic!("{variables:?}: {found:?}, not {expect:?}"),
            }
        };
        let (host, through) = (("TRIBUTARY_DATABASE_HOST", "proxy.example.org"), ("TRIBUTARY_DATABASE_PROXY", "true"));
        check(&[], Ok((None, None)));
        check(&[host], Ok((Some("proxy.example.org"), None)));
        check(&[host, through], Ok((Some("proxy.example.org"), Some(true))));
        check(&[("TRIBUTARY_DATABASE_PROXY", "false")], Ok((None, Some(false))));
        check(&[("TRIBUTARY_DATABASE_PROXY", "yes")], Err("`yes`"));
        check(&[host, ("DATABASE_URL", "postgres://b/c")], Err("both say where"));
        check(&[through, ("DATABASE_URL", "postgres://b/c")], Ok((None, Some(true))));
    }

    #[test]
    fn metrics_are_for_lambda_unless_somebody_says_otherwise() {
        let check = |wanted: Option<&str>, in_lambda, expect| {
            assert_eq!(metrics(wanted, in_lambda).unwrap(), Metrics::new(expect), "{wanted:?}");
        };
        check(None, true, true);
        check(None, false, false);
        check(Some("off"), true, false);
        check(Some("on"), false, true);
        assert!(metrics(Some("yes"), true).unwrap_err().to_string().contains("`yes`"));
    }

    #[test]
    fn what_is_wrong_is_said_at_once() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("bad.yaml");
        fs::write(&file, MAPPING.replace("text", "txet").replace("type: dynamodb", "type: dynamo")).unwrap();
        let file = file.to_str().unwrap();
        let check = |variables: &[(&str, &str)], expect: &[&str]| {
            let error = settings(variables).unwrap_err();
            for part in expect {
                assert!(error.to_string().contains(part), "{part} is not in {error}");
            }
        };
        check(&[("TRIBUTARY_MAPPING", file)], &["findings", "txet", "dynamo", "bad.yaml:4:"]);
        check(
            &[("TRIBUTARY_MAPPING", "gone.yaml"), ("LAMBDA_TASK_ROOT", "/var/nowhere")],
            &["/var/nowhere/gone.yaml or at gone.yaml"],
        );
        fs::write(place.path().join("good.yaml"), MAPPING).unwrap();
        let good = place.path().join("good.yaml");
        check(
            &[("TRIBUTARY_MAPPING", good.to_str().unwrap()), ("TRIBUTARY_RDS_CA", "/nonexistent.pem")],
            &["/nonexistent.pem"],
        );
    }
}
