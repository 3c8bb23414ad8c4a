//! What a tick is asked to do.

use serde::Deserialize;
use tributary_core::{Error, Result};

use super::Job;

/// The wishes of whoever invokes a polling function by hand. A schedule has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Only the jobs of these pipelines; all when empty.
    #[serde(default)]
    pub pipelines: Vec<String>,
    /// Whether to run what rests or was stopped, too.
    #[serde(default)]
    pub force: bool,
    /// The pipelines that may delete more rows than their guard lets them.
    #[serde(default)]
    pub allow_mass_delete: Vec<String>,
}

impl Request {
    /// Reads a payload: `{}`, an event of EventBridge, or `{"tick": {…}}`.
    ///
    /// # Errors
    /// `Data` when it is something else.
    pub fn of_payload(payload: &[u8]) -> Result<Request> {
        let wrong = |problem: String| {
            Error::data(format!("not a tick: {problem}"))
                .with_hint(r#"send {}, or {"tick": {"pipelines": ["orders"], "force": true}}"#)
        };
        let payload: serde_json::Value =
            serde_json::from_slice(payload).map_err(|_| wrong("the payload is no JSON".to_owned()))?;
        let serde_json::Value::Object(mut fields) = payload else {
            return Err(wrong("the payload is no object".to_owned()));
        };
        if let Some(tick) = fields.remove("tick") {
            return serde_json::from_value(tick).map_err(|e| wrong(e.to_string()));
        }
        // EventBridge user guide, "Events": each has these. Its own details say nothing to us.
        if fields.is_empty() || (fields.contains_key("source") && fields.contains_key("detail-type")) {
            return Ok(Request::default());
        }
        let names: Vec<String> = fields.keys().take(5).map(|name| format!("`{name}`")).collect();
        Err(wrong(format!("the payload has {}", names.join(", "))))
    }

    /// Those jobs that are asked for.
    pub(super) fn among<'m>(&self, mut jobs: Vec<Job<'m>>) -> Result<Vec<Job<'m>>> {
        let has = |job: &Job<'_>, name: &String| job.pipelines.iter().any(|pipeline| pipeline.name == *name);
        for name in self.pipelines.iter().chain(&self.allow_mass_delete) {
            if !jobs.iter().any(|job| has(job, name)) {
                let known: Vec<&str> =
                    jobs.iter().flat_map(|job| &job.pipelines).map(|pipeline| pipeline.name.as_str()).collect();
                return Err(Error::config(format!("this function has no pipeline `{name}`"))
                    .with_hint(format!("it has {}", known.join(", "))));
            }
        }
        if !self.pipelines.is_empty() {
            jobs.retain(|job| self.pipelines.iter().any(|name| has(job, name)));
        }
        Ok(jobs)
    }
}
