//! A mapping with a hook for every scheme and envelope, the function that serves it, and senders who sign.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tributary_core::pipeline::{Mapping, SourceKind};
use tributary_core::sink::Unlimited;
use tributary_core::webhook::{Scheme, Verification};
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};
use tributary_sources::http::{Client, HeaderName, HeaderValue, Method, Request, Response};
use tributary_sources::webhook::verify::{Outgoing, sign};
use tributary_tests::{Database, Function, Gateway, RuntimeApi, built};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What all secrets are, unless the scheme wants another form.
pub(crate) const SECRET: &str = "It's a secret to everybody";
/// Of Standard Webhooks.
pub(crate) const STANDARD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// Of Airtable.
pub(crate) const BASE64: &str = "c2VjcmV0LWtleQ==";

/// A hook a sender.
pub(crate) const HOOKS: &str = include_str!("hooks.yaml");

pub(crate) fn mapping_of(text: &str) -> Mapping {
    let checked = tributary_core::mapping::load("hooks.yaml", text);
    let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(text)).collect();
    checked.mapping.unwrap_or_else(|| panic!("{}", findings.join("\n")))
}

/// A database with a mapping's tables.
pub(crate) async fn database_of(test: &str, mapping: Mapping) -> Database {
    let database = Database::new(test).await;
    let tables = mapping.pipelines.into_iter().flat_map(|pipeline| pipeline.tables).collect();
    let target = Target::from_url(database.url(), &Policy::default()).unwrap();
    Postgres::new(target, tables, false).migrate().await.unwrap();
    database
}

/// Some execution environments of the function, and the URL before them.
pub(crate) struct Served {
    pub(crate) functions: Vec<Function>,
    pub(crate) gateway: Gateway,
    pub(crate) apis: Vec<Arc<RuntimeApi>>,
    client: Client,
    mapping: Mapping,
    _place: tempfile::TempDir,
}

/// Starts `processes` of the function with a mapping and the database of this URL.
pub(crate) async fn serve(text: &str, url: &str, processes: usize, variables: &[(&str, &str)]) -> Served {
    let place = tempfile::tempdir().unwrap();
    let file: PathBuf = place.path().join("tributary.yaml");
    std::fs::write(&file, text).unwrap();
    let own = [
        ("DATABASE_URL", url),
        ("TRIBUTARY_MAPPING", file.to_str().unwrap()),
        ("SECRET", SECRET),
        ("STANDARD", STANDARD),
        ("BASE64", BASE64),
        ("BASIC", "hook:p:a:ss"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let variables = [&own[..], variables].concat();
    let program = tokio::task::spawn_blocking(|| built("webhook")).await.unwrap();
    let (mut functions, mut apis) = (Vec::new(), Vec::new());
    for _ in 0..processes {
        let api = Arc::new(RuntimeApi::start().await);
        functions.push(Function::of_program(&program, "webhook", &api.address(), &variables));
        apis.push(api);
    }
    let gateway = Gateway::start(apis.clone(), PATIENCE).await;
    let (client, mapping) = (Client::new(), mapping_of(text));
    Served { functions, gateway, apis, client, mapping, _place: place }
}

/// What a sender sends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Post {
    pub(crate) hook: String,
    pub(crate) body: Vec<u8>,
    pub(crate) id: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Sign with this instead of what the hook expects.
    pub(crate) secret: Option<String>,
    /// Sign so many seconds ago.
    pub(crate) age: i64,
}

/// A delivery with an id of its own.
pub(crate) fn post(hook: &str, body: impl AsRef<[u8]>) -> Post {
    let id = format!("msg_{:016x}", fastrand::u64(..));
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Post { hook: hook.to_owned(), body: body.as_ref().to_vec(), id, headers, ..Post::default() }
}

impl Post {
    pub(crate) fn id(mut self, id: &str) -> Self {
        self.id = id.to_owned();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn secret(mut self, secret: &str) -> Self {
        self.secret = Some(secret.to_owned());
        self
    }
}

pub(crate) fn verification<'m>(mapping: &'m Mapping, hook: &str) -> &'m Verification {
    let of_pipelines = mapping.pipelines.iter().filter_map(|pipeline| match &pipeline.source.kind {
        SourceKind::Webhook(source) => Some(&**source),
        _ => None,
    });
    let mut all = of_pipelines.chain(mapping.triggers.iter().map(|trigger| &trigger.source));
    &all.find(|source| source.hook == hook).expect(hook).verification
}

fn secret_of(scheme: &Scheme) -> &'static str {
    match scheme {
        Scheme::Standard { .. } => STANDARD,
        Scheme::Airtable => BASE64,
        Scheme::Basic => "hook:p:a:ss",
        _ => SECRET,
    }
}

impl Served {
    /// A request, signed.
    pub(crate) fn request(&self, post: &Post) -> Request {
        let scheme = &verification(&self.mapping, &post.hook).scheme;
        let own =
            if *scheme == Scheme::None { vec![] } else { vec![post.secret.as_deref().unwrap_or(secret_of(scheme))] };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 - post.age;
        let signed = sign(scheme, &own, &Outgoing { body: &post.body, id: &post.id, now }).unwrap();
        let mut request = Request::new(Method::POST, format!("{}/hooks/{}", self.gateway.url(), post.hook));
        request.body = post.body.clone().into();
        for (name, value) in post.headers.iter().chain(&signed) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request = request.header(name, HeaderValue::from_str(value).unwrap());
        }
        request
    }

    pub(crate) async fn send(&self, request: &Request) -> Response {
        self.client.send(request, &Unlimited).await.unwrap()
    }

    /// Posts; the status and the body.
    pub(crate) async fn post(&self, post: &Post) -> (u16, Value) {
        let response = self.send(&self.request(post)).await;
        let body = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        (response.status.as_u16(), body)
    }

    /// Posts what must be taken; the summary.
    #[track_caller]
    pub(crate) fn taken(&self, post: &Post) -> impl Future<Output = Value> {
        let at = std::panic::Location::caller();
        async move {
            let (status, body) = self.post(post).await;
            assert_eq!(status, 200, "{at}: {body} {}", self.log());
            body
        }
    }

    /// What all processes have logged.
    pub(crate) fn log(&self) -> String {
        self.functions.iter().map(|function| format!("{}{}", function.stderr(), function.stdout())).collect()
    }
}
