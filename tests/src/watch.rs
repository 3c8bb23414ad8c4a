//! `cargo lambda watch`: the functions of this workspace as a developer runs them, and `cargo lambda invoke`.

use std::env;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tributary_local::Server;

use crate::aws::{PORTS_TO_TRY, free_port};
use crate::function::{Place, of_package};
use crate::tools;

/// The first invocation waits for a build.
const PATIENCE: Duration = Duration::from_secs(600);

/// A running `cargo lambda watch`. It ends when this is dropped, and what it has started with it.
#[derive(Debug)]
pub struct Watch {
    program: PathBuf,
    port: String,
    server: Server,
}

impl Watch {
    /// Starts it with further variables for the functions. It builds each at its first invocation, into the target
    /// directory and with the profile of the running test.
    pub async fn start(variables: &[(&str, &str)]) -> Self {
        let variables: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let start = move || started(&variables).unwrap_or_else(|why| panic!("no cargo lambda watch: {why}"));
        tokio::task::spawn_blocking(start).await.expect("start cargo lambda watch")
    }

    /// Runs `cargo lambda invoke FUNCTION --data-file FILE`.
    pub async fn invoke(&self, function: &str, data: &Path) -> Output {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(["lambda", "invoke", "--invoke-address", "127.0.0.1", "--invoke-port", &self.port, function]);
        command.arg("--data-file").arg(data).env("NO_COLOR", "1").stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        output.unwrap_or_else(|_| panic!("no answer: {}", self.log())).expect("run cargo lambda invoke")
    }

    /// What it and the functions have said so far.
    pub fn log(&self) -> String {
        self.server.log()
    }
}

fn started(variables: &[String]) -> Result<Watch, String> {
    let program = tools::cargo_lambda();
    let mut last = String::new();
    for _ in 0..PORTS_TO_TRY {
        let port = free_port().map_err(|cause| format!("cannot listen on 127.0.0.1: {cause}"))?;
        match Server::of_command(&command(&program, port, variables), |place| ready(place, port)) {
            Ok((server, ())) => return Ok(Watch { program, port: port.to_string(), server }),
            Err(error) => last = error.chain(),
        }
    }
    Err(last)
}

fn command(program: &Path, port: u16, variables: &[String]) -> Vec<String> {
    let place = Place::of(&env::current_exe().expect("a program knows its file"));
    // The very cargo that has built the test: what another one builds it would build anew.
    let cargo = Path::new(env!("CARGO"));
    let folder = cargo.parent().expect("in a folder").to_string_lossy();
    let mut command = vec!["env".to_owned()];
    for (name, _) in env::vars().filter(|(name, _)| of_package(name)) {
        command.extend(["-u".to_owned(), name]);
    }
    command.push(format!("PATH={folder}:{}", env::var("PATH").unwrap_or_default()));
    command.push(format!("CARGO={}", cargo.display()));
    command.push(format!("CARGO_TARGET_DIR={}", place.target.display()));
    command.extend_from_slice(variables);
    command.push(program.to_string_lossy().into_owned());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let port = port.to_string();
    let arguments = ["lambda", "watch", "--ignore-changes", "-A", "127.0.0.1", "-P", &port, "--color", "never"];
    command.extend(
        arguments.into_iter().chain(["--manifest-path", manifest, "--profile", &place.profile]).map(str::to_owned),
    );
    if let Some(triple) = place.triple {
        command.extend(["--target".to_owned(), triple]);
    }
    command
}

fn ready(place: &Path, port: u16) -> Option<()> {
    let log = std::fs::read_to_string(place.join("log")).ok()?;
    let listens = log.contains("starting Runtime server") && log.contains(&format!("127.0.0.1:{port}"));
    listens.then(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()).flatten().map(drop)
}
