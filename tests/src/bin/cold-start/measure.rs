//! One start of a program: started, watched until it asks for its first event, and killed.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;
use crate::authority::Authority;
use crate::program::Program;
use crate::runtime_api::RuntimeApi;
use crate::secrets_manager::SecretsManager;
use crate::share::Share;

/// Longer than any program takes with a fourteenth of a processor.
const PATIENCE: Duration = Duration::from_secs(30);
/// The shell joins the group, then waits for a line, so that its own work is done when the clock starts.
const WAIT: &str = r#"[ -z "$0" ] || echo $$ > "$0"; read -r go; exec "$@""#;

/// What a start took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// From `exec` to the first request for an event, in ms.
    pub(crate) wall: f64,
    /// Time on a processor, user and system, all threads, in ms.
    pub(crate) cpu: f64,
    /// The most memory that was resident, in MB.
    pub(crate) memory: f64,
}

/// Starts programs in an environment like Lambda's.
pub(crate) struct Starter<'a> {
    runtime: &'a RuntimeApi,
    variables: Vec<(&'static str, String)>,
}

impl<'a> Starter<'a> {
    pub(crate) fn new(
        runtime: &'a RuntimeApi,
        secrets: &SecretsManager,
        authority: &Authority,
        mapping: &Path,
    ) -> Result<Self, Failure> {
        let text = |path: &Path| path.to_str().map(str::to_owned).ok_or("a path that is not Unicode");
        let variables = vec![
            ("AWS_LAMBDA_RUNTIME_API", runtime.address.clone()),
            ("AWS_LAMBDA_FUNCTION_NAME", "cold-start".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/cold-start".to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            ("AWS_SESSION_TOKEN", "a".repeat(800)),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets.endpoint.clone()),
            ("LANG", "en_US.UTF-8".to_owned()),
            ("TZ", ":UTC".to_owned()),
            // Ours: the system's roots, where its mapping is, the roots of the database.
            ("SSL_CERT_FILE", text(&authority.system)?),
            ("TRIBUTARY_MAPPING", text(mapping)?),
            ("TOKEN", "never sent".to_owned()),
            ("TRIBUTARY_RDS_CA", text(&authority.database)?),
            // Theirs. Node has the system's roots built in.
            ("NODE_EXTRA_CA_CERTS", text(&authority.own)?),
            ("AWS_CA_BUNDLE", text(&authority.system)?),
            ("SECRET", "prod/warehouse".to_owned()),
            ("DATABASE_ROOTS", text(&authority.database)?),
        ];
        Ok(Starter { runtime, variables })
    }

    /// Starts a program and waits until it asks for its first event.
    pub(crate) async fn start(&self, program: &Program, share: Option<&Share>) -> Result<Running, Failure> {
        let mut heard = self.runtime.hear();
        let mut log = tempfile::tempfile()?;
        let mut command = Command::new("sh");
        command.args(["-c", WAIT]).arg(share.map(Share::members).unwrap_or_default()).args(&program.command);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log.try_clone()?);
        let mut child = Killed(command.spawn()?);
        let process = child.0.id();
        let mut gate = child.0.stdin.take().ok_or("the shell takes no line")?;
        // Also lets a period of the share go by, so that each begins with a fresh one.
        tokio::time::sleep(Duration::from_millis(60)).await;
        let before = cpu(process)?;
        let began = Instant::now();
        gate.write_all(b"\n")?;
        let asked = tokio::time::timeout(PATIENCE, heard.recv()).await;
        let taken = (cpu(process), memory(process));
        let Ok(asked) = asked else {
            drop(child);
            let mut said = String::new();
            std::io::Seek::rewind(&mut log)?;
            std::io::Read::read_to_string(&mut log, &mut said)?;
            return Err(format!("{} does not ask for an event; it said: {said}", program.name).into());
        };
        let wall = asked?.duration_since(began).as_secs_f64() * 1e3;
        let start = Start { wall, cpu: (taken.0? - before) * 1e3, memory: taken.1? };
        Ok(Running { start, _process: child })
    }
}

/// A program that waits for its first event. It is killed when this is dropped.
pub(crate) struct Running {
    pub(crate) start: Start,
    _process: Killed,
}

/// A process that does not outlive this.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself, and that is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Seconds on a processor of all threads that a process has. Threads that have ended are not counted, which none of our
/// programs has before its first event.
fn cpu(process: u32) -> Result<f64, Failure> {
    let mut nanoseconds = 0_u64;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().ok_or("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// The most memory that was resident since `exec`, in MB.
fn memory(process: u32) -> Result<f64, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}
