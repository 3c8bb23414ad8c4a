//! An AWS on this machine by the emulator ministack: DynamoDB with its streams, STS, Secrets Manager, S3 and SQS, and with
//! Lambda and what a deployment needs if wanted ([`Aws::with_functions`]).
//!
//! It is a Python program. Its packages are installed once, into `target/aws`, and need Python 3.10 with pip or venv.
//! What it doesn't do as AWS does: a page of a scan costs one read capacity unit whatever its size, a stream has one
//! shard, `ItemCount` is exact, and nobody is refused. Of Lambda, see `tests/README.md`.

mod call;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType,
};
use tributary_core::pipeline::DynamodbStore;
use tributary_local::Server;

use crate::python::{Python, pip, run, target};

pub use call::Answer;

const REQUIREMENTS: &str = include_str!("../aws/requirements.txt");

/// Its services; each costs memory and time at the start.
const SERVICES: &str = "dynamodb,dynamodbstreams,sts,secretsmanager,s3,sqs";

/// With those of a deployment by CloudFormation, and of all that a template of ours has in it.
const SERVICES_OF_FUNCTIONS: &str = "dynamodb,dynamodbstreams,sts,secretsmanager,s3,sqs,lambda,iam,sns,events,scheduler,\
                                     logs,monitoring,cloudformation,apigateway,kms,ssm,ec2";

/// Somebody else may take the free port before who wants it does.
pub(crate) const PORTS_TO_TRY: u32 = 5;

/// It writes nothing outside the directory that is its own.
const AT_HOME: &str = r#"HOME=$PWD TMPDIR=$PWD exec "$@""#;

/// A running emulator. All tests of a process share it, so each makes tables of its own.
#[derive(Debug)]
pub struct Aws {
    endpoint: String,
    /// Its end comes with that of this process.
    server: Server,
}

impl Aws {
    /// The region that it is asked for.
    pub const REGION: &str = "us-east-2";

    /// The emulator of this process. Takes a second, and at the very first time as long as pip needs.
    pub async fn start() -> &'static Aws {
        static RUNNING: OnceLock<Aws> = OnceLock::new();
        Aws::shared(&RUNNING, SERVICES).await
    }

    /// One that nobody else uses, for a test whose tables have names that others use too. It ends when it is dropped.
    pub async fn alone() -> Aws {
        let start = || started(SERVICES).unwrap_or_else(|why| panic!("no emulator of AWS: {why}"));
        tokio::task::spawn_blocking(start).await.expect("start an emulator of AWS")
    }

    /// Another one of this process, with Lambda and CloudFormation. It runs functions as processes that inherit its
    /// environment, which is `PATH` and the way back to it.
    pub async fn with_functions() -> &'static Aws {
        static RUNNING: OnceLock<Aws> = OnceLock::new();
        Aws::shared(&RUNNING, SERVICES_OF_FUNCTIONS).await
    }

    async fn shared(running: &'static OnceLock<Aws>, services: &'static str) -> &'static Aws {
        let started = || started(services).unwrap_or_else(|why| panic!("no emulator of AWS: {why}"));
        let start = move || running.get_or_init(started);
        tokio::task::spawn_blocking(start).await.expect("start an emulator of AWS")
    }

    /// Its URL, for `endpoint:` in a mapping.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// A new directory that goes when the emulator does.
    pub(crate) fn make_directory(&self, name: &str) -> PathBuf {
        let place = self.server.directory().join(name);
        fs::create_dir(&place).unwrap_or_else(|why| panic!("{}: {why}", place.display()));
        place
    }

    /// What leads a process of its own to it.
    pub fn environment(&self) -> [(&str, &str); 6] {
        [
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", Aws::REGION),
            ("AWS_DEFAULT_REGION", Aws::REGION),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
    }

    /// A client of its DynamoDB.
    pub async fn dynamodb(&self) -> Client {
        let store = DynamodbStore { region: Some(Aws::REGION.to_owned()), endpoint: Some(self.endpoint.clone()) };
        tributary_runtime::aws::dynamodb(&store).await
    }

    /// Makes a table whose key is the text `id`, with a stream of new and old images. Returns the stream's ARN.
    pub async fn create_table(&self, name: &str) -> String {
        self.create(name, Some(stream())).await.expect("the ARN of the stream")
    }

    /// As [`Aws::create_table`], without a stream.
    pub async fn create_table_without_stream(&self, name: &str) {
        self.create(name, None).await;
    }

    async fn create(&self, name: &str, stream: Option<StreamSpecification>) -> Option<String> {
        let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build();
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build();
        let table = self.dynamodb().await.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let table = table
            .attribute_definitions(id.expect("all is given"))
            .key_schema(key.expect("all is given"))
            .set_stream_specification(stream);
        let made = table.send().await.unwrap_or_else(|error| panic!("make the table {name}: {error:?}"));
        made.table_description.and_then(|table| table.latest_stream_arn)
    }

    /// Turns on the stream of a table that has none; returns its ARN. What the table holds by then is in no stream.
    pub async fn enable_stream(&self, table: &str) -> String {
        let update = self.dynamodb().await.update_table().table_name(table).stream_specification(stream());
        let updated = update.send().await.unwrap_or_else(|error| panic!("change the table {table}: {error:?}"));
        let arn = updated.table_description.and_then(|table| table.latest_stream_arn);
        arn.expect("the ARN of the stream")
    }
}

fn stream() -> StreamSpecification {
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    stream.build().expect("all is given")
}

fn started(services: &str) -> Result<Aws, String> {
    let home = target()?.join("aws");
    let packages = installed(&home)?;
    let python = Python::find(&home)?;
    let mut last = String::new();
    for _ in 0..PORTS_TO_TRY {
        let port = free_port().map_err(|cause| format!("cannot listen on 127.0.0.1: {cause}"))?;
        match Server::of_command(&command(&python, &packages, port, services), |place| ready(place, port)) {
            Ok((server, ())) => return Ok(Aws { endpoint: endpoint(port), server }),
            Err(error) => last = error.chain(),
        }
    }
    Err(last)
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The emulator in an environment of its own: it obeys many variables, and hands them on to what it runs.
fn command(python: &Python, packages: &Path, port: u16, services: &str) -> Vec<String> {
    let path = env::var("PATH").unwrap_or_default();
    let variables = [
        ("PATH", &*path),
        ("PYTHONPATH", &packages.to_string_lossy()),
        ("BIND_HOST", "127.0.0.1"),
        ("GATEWAY_PORT", &port.to_string()),
        ("MINISTACK_REGION", Aws::REGION),
        ("SERVICES", services),
        // Functions get this from it.
        ("AWS_ENDPOINT_URL", &endpoint(port)),
        // It would listen on 8883 too.
        ("IOT_MTLS_ENABLED", "0"),
        ("SFTP_ENABLED", "0"),
    ]
    .map(|(name, value)| format!("{name}={value}"));
    // `-S`: none of the packages that this machine happens to have.
    let program = ["sh", "-c", AT_HOME, "sh", &python.program, "-S", "-m", "ministack"].map(str::to_owned);
    ["env".to_owned(), "-i".to_owned()].into_iter().chain(variables).chain(program).collect()
}

/// Its log says that it has the port, so that it is no other one who answers there.
fn ready(place: &Path, port: u16) -> Option<()> {
    let log = fs::read_to_string(place.join("log")).ok()?;
    if !log.contains(&format!("Running on http://127.0.0.1:{port}")) {
        return None;
    }
    let second = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), second).ok()?;
    stream.set_read_timeout(Some(second)).ok()?;
    stream.write_all(b"GET /_ministack/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.contains("\"dynamodb\": \"available\"").then_some(())
}

/// A port of 127.0.0.1 that nobody has at the moment.
pub(crate) fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The directory of its packages, installed unless they are there. Processes that want them at once take turns.
fn installed(home: &Path) -> Result<PathBuf, String> {
    let failed = |cause: std::io::Error| format!("{}: {cause}", home.display());
    fs::create_dir_all(home).map_err(failed)?;
    let lock = fs::File::create(home.join("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let (packages, complete) = (home.join("packages"), home.join("complete"));
    if fs::read_to_string(&complete).is_ok_and(|of| of == REQUIREMENTS) {
        return Ok(packages);
    }
    for rest in [&packages, &home.join("venv")] {
        if rest.exists() {
            fs::remove_dir_all(rest).map_err(failed)?;
        }
    }
    fs::write(home.join("requirements.txt"), REQUIREMENTS).map_err(failed)?;
    let pip = pip(home)?;
    let quietly = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
    let what = ["--requirement", "requirements.txt", "--target", "packages"];
    run(home, &pip, &[&quietly[..], &what[..]].concat())?;
    // Written last: whoever is interrupted before begins anew.
    fs::write(complete, REQUIREMENTS).map_err(failed)?;
    Ok(packages)
}
