mod accepted;
mod findings;
mod odk;
mod polled;
mod samples;
mod schema;
mod webhook;

use super::*;

/// The user's reference case, as it ships.
const REFERENCE: &str = include_str!("../../../../../tributary.yaml");

/// A mapping around the body of one table.
fn around(table: &str) -> String {
    let body: String = table.trim_matches('\n').lines().map(|line| format!("          {line}\n")).collect();
    format!(
        "datastores:
  warehouse: {{ type: postgres, url: {{ env: DATABASE_URL }} }}
  app: {{ type: dynamodb }}
pipelines:
  users:
    source: {{ datastore: app, table: users, key: [id, sort] }}
    sink:
      datastore: warehouse
      tables:
        users:
{body}"
    )
}

/// A good mapping, or a panic that shows the findings.
#[track_caller]
fn good(text: &str) -> Mapping {
    let Checked { mapping, findings, .. } = load("test.yaml", text);
    let shown: String = findings.iter().map(|finding| finding.render(text)).collect();
    mapping.unwrap_or_else(|| panic!("{shown}{text}"))
}
