//! `tributary hook test`: a file as the hook's sender would send it.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tributary_core::pipeline::{Mapping, SourceKind};
use tributary_core::sink::Unlimited;
use tributary_core::webhook::{Verification, WebhookSource};
use tributary_core::{Error, Result};
use tributary_runtime::secrets::Secrets as _;
use tributary_runtime::vault::Vault;
use tributary_sources::http::{Client, HeaderName, HeaderValue, Method, Request};
use tributary_sources::webhook::verify::{Outgoing, sign};

use crate::args::{Args, Function, Hook, HookTest};
use crate::failure::{End, Failure};
use crate::output::Output;
use crate::{function, input, local, mapping};

pub(crate) async fn run(args: &Args, hook: &Hook, output: &mut Output) -> Result<End, Failure> {
    let Hook::Test(test) = hook;
    let mapping = mapping::read(&args.mapping)?;
    let verification = verification(&mapping, &test.name)?;
    let mut letter = Letter::read(&input::read(&test.event, "the event")?)?;
    letter.set(test.headers.iter().cloned());
    letter.set(signed(verification, test, &letter.body).await?);
    let answer = match &test.url {
        Some(url) => post(&address(url, &test.name), &letter).await?,
        None => Box::pin(here(args, mapping, &test.name, &letter)).await?,
    };
    output.document(|| json!({ "status": answer.status, "body": answer.body }))?;
    output.line(format!("{} {}", answer.status, answer.body).trim_end())?;
    Ok(if (200..300).contains(&answer.status) { End::Fine } else { End::Failed })
}

/// What was answered.
struct Answer {
    status: u64,
    body: String,
}

/// What is sent.
struct Letter {
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Letter {
    /// A body, or a request in payload format 2.0.
    fn read(file: &Bytes) -> Result<Letter> {
        use base64::Engine as _;
        let plain = || Letter { headers: vec![("content-type".into(), "application/json".into())], body: file.clone() };
        let Ok(Value::Object(event)) = serde_json::from_slice(file) else { return Ok(plain()) };
        if !event.contains_key("requestContext") || !event.contains_key("rawPath") {
            return Ok(plain());
        }
        let body = event.get("body").and_then(Value::as_str).unwrap_or_default();
        let body = if event.get("isBase64Encoded").and_then(Value::as_bool) == Some(true) {
            let bytes = base64::engine::general_purpose::STANDARD.decode(body);
            bytes.map_err(|_| Error::data("the body of the event is not base64"))?.into()
        } else {
            Bytes::from(body.to_owned())
        };
        let headers = event.get("headers").and_then(Value::as_object).into_iter().flatten();
        let text = |(name, value): (&String, &Value)| Some((name.to_ascii_lowercase(), value.as_str()?.to_owned()));
        Ok(Letter { headers: headers.filter_map(text).collect(), body })
    }

    /// Sets headers in place of those of their names.
    fn set(&mut self, headers: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in headers {
            self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            self.headers.push((name.to_ascii_lowercase(), value));
        }
    }
}

fn verification<'m>(mapping: &'m Mapping, name: &str) -> Result<&'m Verification> {
    let of_pipelines = mapping.pipelines.iter().filter_map(|pipeline| match &pipeline.source.kind {
        SourceKind::Webhook(source) => Some(&**source),
        _ => None,
    });
    let all: Vec<&WebhookSource> = of_pipelines.chain(mapping.triggers.iter().map(|trigger| &trigger.source)).collect();
    let found = all.iter().find(|source| source.hook == name).map(|source| &source.verification);
    found.ok_or_else(|| {
        let mut known: Vec<&str> = all.iter().map(|source| source.hook.as_str()).collect();
        known.dedup();
        Error::config(format!("the mapping has no hook `{name}`")).with_hint(match known.as_slice() {
            [] => "add a pipeline with `source: { type: webhook, … }`".to_owned(),
            known => format!("it has {}", known.join(", ")),
        })
    })
}

/// The headers with which the sender proves who it is.
async fn signed(verification: &Verification, test: &HookTest, body: &[u8]) -> Result<Vec<(String, String)>> {
    let (vault, mut secrets) = (Vault::new(), Vec::new());
    for reference in &verification.secrets {
        secrets.push(vault.get(reference).await?);
    }
    let texts: Vec<&str> = secrets.iter().map(tributary_runtime::secrets::Secret::expose).collect();
    let micros = Timestamp::now().as_microsecond();
    let id = test.id.clone().unwrap_or_else(|| format!("test_{micros:x}"));
    sign(&verification.scheme, &texts, &Outgoing { body, id: &id, now: micros / 1_000_000 })
}

/// The hook's address below this URL.
fn address(url: &str, hook: &str) -> String {
    let base = url.trim_end_matches('/');
    if base.ends_with(&format!("/hooks/{hook}")) { base.to_owned() } else { format!("{base}/hooks/{hook}") }
}

async fn post(url: &str, letter: &Letter) -> Result<Answer> {
    let mut request = Request::new(Method::POST, url);
    request.body = letter.body.clone();
    for (name, value) in &letter.headers {
        // What the connection is about is said by who makes it.
        if ["host", "content-length", "connection", "transfer-encoding", "accept-encoding"].contains(&name.as_str())
            || name.starts_with("x-forwarded-")
            || name.starts_with("x-amz")
        {
            continue;
        }
        let bad = || Error::config(format!("the header `{name}` cannot be sent"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        request = request.header(name, HeaderValue::from_str(value).map_err(|_| bad())?);
    }
    let response = Client::new().send(&request, &Unlimited).await?;
    Ok(Answer { status: response.status.as_u16().into(), body: String::from_utf8_lossy(&response.body).into_owned() })
}

/// To the handler, in this process.
async fn here(args: &Args, mapping: Mapping, name: &str, letter: &Letter) -> Result<Answer> {
    use base64::Engine as _;
    let headers: Map<String, Value> =
        letter.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let event = json!({
        "version": "2.0", "rawPath": format!("/hooks/{name}"), "headers": headers,
        "requestContext": { "http": { "method": "POST" }, "stage": "$default" },
        "body": base64::engine::general_purpose::STANDARD.encode(&letter.body), "isBase64Encoded": true,
    });
    let mut args = args.clone();
    let _server = local::stand_in(&mut args, &mapping).await?;
    let mut handler = function::Handler::new(Function::Webhook, mapping, args.database_url.as_deref())?;
    let answer = Box::pin(handler.handle(event.to_string().into())).await?;
    handler.settle().await;
    let text = |field: &str| answer.response[field].as_str().unwrap_or_default().to_owned();
    Ok(Answer { status: answer.response["statusCode"].as_u64().unwrap_or_default(), body: text("body") })
}
