//! An AWS on this machine: DynamoDB with its streams, STS and Secrets Manager, by the emulator ministack.
//!
//! It is a Python program. Its packages are installed once, into `target/aws`, and need Python 3.10 with pip or venv.
//! What it doesn't do as AWS does: a page of a scan costs one read capacity unit whatever its size, a stream has one
//! shard, `ItemCount` is exact, and nobody is refused.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
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

const REQUIREMENTS: &str = include_str!("../aws/requirements.txt");

/// Its services; each costs memory and time at the start.
const SERVICES: &str = "dynamodb,dynamodbstreams,sts,secretsmanager";

/// Somebody else may take the free port before the emulator does.
const PORTS_TO_TRY: u32 = 5;

/// Prints the version and the real path of an interpreter: what is found in PATH may be a wrapper that needs more of the
/// environment than the emulator gets.
const WHICH_PYTHON: &str = "import sys; print(*sys.version_info[:2], sys.executable, sep=chr(10))";

/// The oldest Python that the packages run on.
const OLDEST_PYTHON: (u32, u32) = (3, 10);

const ADVICE: &str = "install Python 3.10 or newer with venv (`apt-get install python3-venv`, `brew install python`)";

/// A running emulator. All tests of a process share it, so each makes tables of its own.
#[derive(Debug)]
pub struct Aws {
    endpoint: String,
    /// Its end comes with that of this process.
    _server: Server,
}

impl Aws {
    /// The region that it is asked for.
    pub const REGION: &str = "us-east-2";

    /// The emulator of this process. Takes a second, and at the very first time as long as pip needs.
    pub async fn start() -> &'static Aws {
        static RUNNING: OnceLock<Aws> = OnceLock::new();
        let start = || RUNNING.get_or_init(|| started().unwrap_or_else(|why| panic!("no emulator of AWS: {why}")));
        tokio::task::spawn_blocking(start).await.expect("start an emulator of AWS")
    }

    /// Its URL, for `endpoint:` in a mapping.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
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
        let stream =
            StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
        self.create(name, Some(stream.build().expect("all is given"))).await.expect("the ARN of the stream")
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
}

fn started() -> Result<Aws, String> {
    let home = target()?.join("aws");
    let packages = installed(&home)?;
    let python = Python::find(&home)?;
    let mut last = String::new();
    for _ in 0..PORTS_TO_TRY {
        let port = free_port().map_err(|cause| format!("cannot listen on 127.0.0.1: {cause}"))?;
        match Server::of_command(&command(&python, &packages, port), |place| ready(place, port)) {
            Ok((server, ())) => return Ok(Aws { endpoint: format!("http://127.0.0.1:{port}"), _server: server }),
            Err(error) => last = error.chain(),
        }
    }
    Err(last)
}

/// The emulator in an environment of its own: it obeys many variables, and hands them on to what it runs.
fn command(python: &Python, packages: &Path, port: u16) -> Vec<String> {
    let path = env::var("PATH").unwrap_or_default();
    let variables = [
        ("PATH", &*path),
        ("PYTHONPATH", &packages.to_string_lossy()),
        ("PYTHONNOUSERSITE", "1"),
        ("HOME", "."),
        ("TMPDIR", "."),
        ("BIND_HOST", "127.0.0.1"),
        ("GATEWAY_PORT", &port.to_string()),
        ("MINISTACK_REGION", Aws::REGION),
        ("SERVICES", SERVICES),
        // It would listen on 8883 too.
        ("IOT_MTLS_ENABLED", "0"),
        ("SFTP_ENABLED", "0"),
    ]
    .map(|(name, value)| format!("{name}={value}"));
    let program = [&python.program, "-m", "ministack"].map(str::to_owned);
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

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The directory with cargo's mark that this program was built into.
fn target() -> Result<PathBuf, String> {
    let program = env::current_exe().map_err(|cause| cause.to_string())?;
    let target = program.ancestors().find(|place| place.join("CACHEDIR.TAG").is_file());
    target.map(Path::to_owned).ok_or_else(|| format!("{} lies in no target directory", program.display()))
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

/// An interpreter.
#[derive(Debug)]
struct Python {
    program: String,
}

impl Python {
    fn find(home: &Path) -> Result<Self, String> {
        let answer = run(home, "python3", &["-c", WHICH_PYTHON])?;
        let mut lines = answer.lines();
        let mut number = || lines.next().and_then(|line| line.parse::<u32>().ok()).unwrap_or(0);
        let version = (number(), number());
        if version < OLDEST_PYTHON {
            return Err(format!("python3 is {}.{} and too old", version.0, version.1));
        }
        Ok(Python { program: lines.next().unwrap_or("python3").to_owned() })
    }
}

/// A Python that has pip. Debian parts Python from pip and from venv, and some machines have one, the other or none.
fn pip(home: &Path) -> Result<String, String> {
    let of_python = || {
        let python = Python::find(home)?.program;
        run(home, &python, &["-m", "pip", "--version"]).map(|_| python)
    };
    let of_venv = || {
        let python = Python::find(home)?.program;
        run(home, &python, &["-m", "venv", "venv"])?;
        Ok(home.join("venv/bin/python").to_string_lossy().into_owned())
    };
    of_python().or_else(|_| of_venv()).or_else(|why: String| {
        with_apt(home).map_err(|_| format!("{why}; {ADVICE}"))?;
        of_venv()
    })
}

/// As root on Debian and its kin.
fn with_apt(home: &Path) -> Result<String, String> {
    let install = ["install", "--yes", "--no-install-recommends", "python3", "python3-venv"];
    // A fresh container has no lists of packages.
    run(home, "apt-get", &install)
        .or_else(|_| run(home, "apt-get", &["update"]).and_then(|_| run(home, "apt-get", &install)))
}

/// What a program says; an error has the end of it.
fn run(home: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(home).env("DEBIAN_FRONTEND", "noninteractive");
    let answer = command.output().map_err(|cause| format!("cannot run {program}: {cause}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if answer.status.success() {
        return Ok(text(&answer.stdout));
    }
    let said = text(&[answer.stdout, answer.stderr].concat());
    let last: Vec<&str> = said.lines().rev().filter(|line| !line.trim().is_empty()).take(5).collect();
    Err(format!("{program} {}: {}", arguments.join(" "), last.into_iter().rev().collect::<Vec<_>>().join(" / ")))
}
