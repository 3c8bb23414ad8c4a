//! `type: sequin` — a Sequin server, of one product or the other.

use super::super::address::{base_url, segment};
use super::super::fields::Fields;
use super::super::report::Report;
use super::reference;
use crate::pipeline::{SequinProtocol, SequinStore};

pub(in crate::mapping) const KEYS: &[&str] = &["type", "base_url", "token", "protocol", "credential"];

/// Lowers a Sequin datastore.
pub(super) fn lower(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<SequinStore> {
    let example = "https://sequin.example.org:7376";
    let url = fields.required_text("base_url", example, report);
    let url = url.and_then(|url| base_url(&url, example, report));
    let token = fields.required("token", "{ env: SEQUIN_TOKEN }", report);
    let token = token.and_then(|node| reference(node, "token", "SEQUIN_TOKEN", report));
    let protocol = match fields.get("protocol") {
        Some(_) => fields.choice("protocol", &["stream", "legacy"], report),
        None => Some("stream"),
    };
    let protocol = match protocol? {
        "legacy" => {
            let credential = fields.required_text("credential", "b006439c-9d80-4f71-bfe1-59aa1175709f", report)?;
            let credential = segment(credential, "a credential", report)?;
            SequinProtocol::Legacy { credential }
        }
        _ => {
            if let Some(span) = fields.key_span("credential") {
                let message = "`credential` has a meaning only with `protocol: legacy`";
                report.add("conflict", span, message, "remove it, or write `protocol: legacy`");
            }
            SequinProtocol::Stream
        }
    };
    Some(SequinStore { base_url: url?, token: token?, protocol })
}
