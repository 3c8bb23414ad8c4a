//! An event of GitHub: the payload is the row, `X-GitHub-Event` says what it is about, `action` what happened (GitHub,
//! "Webhook events and payloads"). Nothing in it is a version of everything: name one, such as `issue.updated_at`.

use tributary_core::Result;
use tributary_core::event::Body;
use tributary_core::value::Value;

use super::plain::row_of;
use super::{Context, Understood};

pub(super) fn read(context: &Context<'_>, record: &str, events: &[Box<str>]) -> Result<Option<Understood>> {
    if let Some(event) = context.headers.get("x-github-event")
        && (event == "ping" || !(events.is_empty() || events.iter().any(|wanted| **wanted == *event)))
    {
        return Ok(None);
    }
    let now = row_of(record)?;
    let version = context.version(record, &now)?;
    let gone = matches!(now.get("action"), Some(Value::Text(action)) if **action == *"deleted");
    let body = if gone {
        Body::Gone { before: Some(now.clone()), key: now, expired: false }
    } else {
        Body::Image { now, before: None }
    };
    Ok(Some(Understood { version, at: None, body, key: "".into() }))
}
