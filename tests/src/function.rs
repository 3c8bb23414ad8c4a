//! The real binary of a function, as a process in an environment like Lambda's.

use std::collections::BTreeMap;
use std::env;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::RuntimeApi;

/// How long Lambda lets a process end by itself after SIGTERM before it kills it, in our generous reading.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// A running function. It is killed when this is dropped.
pub struct Function {
    child: Child,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

impl Function {
    /// Starts the binary of this name, which is built first ([`built`]). Of our own environment it sees nothing but
    /// `PATH`; it gets Lambda's variables and then `variables`, which win. Blocks while cargo builds.
    pub fn spawn(name: &str, api: &RuntimeApi, variables: &[(&str, &str)]) -> Self {
        let program = built(name);
        Function::of_program(&program, name, &api.address(), variables)
    }

    /// As [`Function::spawn`], of a program that is there ([`built`]): for one that is started again and again. `api` is
    /// the address of a Runtime API.
    pub fn of_program(program: &Path, name: &str, api: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
        command.envs([
            ("AWS_LAMBDA_RUNTIME_API", api),
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/test"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_Custom"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            // No credentials, and no looking for any outside this machine.
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("_HANDLER", "bootstrap"),
            ("LANG", "en_US.UTF-8"),
            ("TZ", ":UTC"),
        ]);
        command.envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let stdout = collected(child.stdout.take().expect("piped"));
        let stderr = collected(child.stderr.take().expect("piped"));
        Function { child, stdout, stderr }
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Waits until this text stands in either output; false when it does not come in time or the process ends first.
    pub async fn says(&mut self, words: &str, patience: Duration) -> bool {
        let begin = Instant::now();
        loop {
            let ended = self.exit().is_some();
            if self.stdout().contains(words) || self.stderr().contains(words) {
                return true;
            }
            if ended || begin.elapsed() > patience {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How it ended, if it has.
    pub fn exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child")
    }

    /// The most memory it has held so far (peak resident set), in bytes. Linux only.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// Kills it, as Lambda does with a function that crashes the environment or runs out of time.
    pub fn kill(&mut self) {
        // It may have ended by itself, and that is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it as Lambda does with an environment that it no longer needs: SIGTERM, and after two seconds SIGKILL.
    /// Panics when there was a need for the latter.
    pub fn stop(&mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().expect("run kill");
        assert!(sent.success(), "the function had ended before; it said {}", self.stderr());
        let begin = Instant::now();
        loop {
            if let Some(status) = self.exit() {
                return status;
            }
            assert!(begin.elapsed() < SHUTDOWN, "the function does not end on SIGTERM; it said {}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.kill();
    }
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().expect("no panic while it was held")).into_owned()
}

/// Reads to the end on a thread of its own, so that the process never waits for a full pipe.
fn collected(mut stream: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let target = Arc::clone(&all);
    thread::spawn(move || {
        let mut some = [0; 8192];
        while let Ok(count @ 1..) = stream.read(&mut some) {
            target.lock().expect("no panic while it was held").extend_from_slice(&some[..count]);
        }
    });
    all
}

/// The path of one of the workspace's programs. The first time, cargo builds it, unless it is fresh, into the target
/// directory and with the profile of the running test. Cargo itself sees to it that processes which want the same take
/// turns.
pub fn built(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    // Another test that could not build it is no reason not to try.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(name.to_owned()).or_insert_with(|| build(name)).clone()
}

fn build(name: &str) -> PathBuf {
    let place = Place::of(&env::current_exe().expect("a program knows its file"));
    let mut command = Command::new(env!("CARGO"));
    // The features of the whole workspace, which is what a run of all tests has compiled already.
    command.args(["build", "--quiet", "--workspace", "--bin", name, "--profile", &place.profile]);
    command.arg("--target-dir").arg(&place.target).current_dir(env!("CARGO_MANIFEST_DIR"));
    if let Some(triple) = &place.triple {
        command.args(["--target", triple]);
    }
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
        command.env_remove(name);
    }
    let answer = command.output().expect("run cargo");
    assert!(answer.status.success(), "cannot build {name}: {}", String::from_utf8_lossy(&answer.stderr));
    place.directory.join(name)
}

/// Whether cargo sets this variable for a test's own package. Build scripts watch them, and would run anew for those of
/// another one.
pub(crate) fn of_package(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_BIN_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
        || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name)
}

/// Where a test program lies: `target/[triple/]profile/deps/program`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) target: PathBuf,
    pub(crate) triple: Option<String>,
    pub(crate) profile: String,
    directory: PathBuf,
}

impl Place {
    pub(crate) fn of(program: &Path) -> Self {
        let directory = program.ancestors().nth(2).expect("in deps of a profile").to_owned();
        let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        let profile = match name(&directory).as_str() {
            "debug" => "dev".to_owned(),
            other => other.to_owned(),
        };
        let above = directory.parent().expect("in a target directory");
        // Three parts or more, `x86_64-unknown-linux-gnu` for instance.
        let triple = Some(name(above)).filter(|name| name.split('-').count() >= 3);
        let target = if triple.is_some() { above.parent().expect("in a target directory") } else { above };
        Place { target: target.to_owned(), triple, profile, directory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_tells_profile_and_target() {
        let check = |program: &str, target: &str, triple: Option<&str>, profile: &str| {
            let place = Place::of(Path::new(program));
            assert_eq!((place.target, place.triple.as_deref(), &*place.profile), (target.into(), triple, profile));
        };
        check("/x/target/debug/deps/a-1", "/x/target", None, "dev");
        check("/x/target/release/deps/a-1", "/x/target", None, "release");
        check("/x/t/aarch64-apple-darwin/lambda/deps/a-1", "/x/t", Some("aarch64-apple-darwin"), "lambda");
    }

    #[tokio::test]
    async fn a_process_gets_lambdas_environment_and_its_words_are_kept() {
        let script = "echo $AWS_LAMBDA_FUNCTION_NAME; echo $EXTRA >&2; test -z \"$HOME\" && exec sleep 60";
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("bootstrap");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut function = Function::of_program(&program, "thing", "127.0.0.1:1", &[("EXTRA", "more")]);
        assert!(function.says("more", Duration::from_secs(5)).await);
        assert!(!function.says("never", Duration::from_millis(50)).await);
        assert_eq!(function.stdout(), "thing\n");
        assert!(function.exit().is_none());
        if cfg!(target_os = "linux") {
            assert!(function.peak_memory().unwrap() > 100_000);
        }
        assert!(!function.stop().success(), "a signal ends it");
    }
}
