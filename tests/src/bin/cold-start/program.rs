//! The programs that are started: built or installed first, under `target/`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cold-start");

/// A program.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) command: Vec<OsString>,
}

pub(crate) const OURS: &str = "Tributary, `dynamodb-stream`";
pub(crate) const POLL: &str = "Tributary, `sequin-poll`";
pub(crate) const HELLO: &str = "`lambda_runtime` alone";
pub(crate) const NODE: &str = "Node, AWS SDK v3, pg";
pub(crate) const PYTHON: &str = "Python, boto3, psycopg 3";

impl Program {
    /// All of them; ours are the first two. Who has no Node compares with the others.
    pub(crate) fn all(target: &Path) -> Result<Vec<Program>, Failure> {
        let release = target.join("release");
        cargo(target, &["--package", "dynamodb-stream"])?;
        cargo(target, &["--package", "sequin-poll"])?;
        cargo(target, &["--package", "tributary-tests", "--example", "hello"])?;
        let mut programs = vec![
            Program { name: OURS, command: vec![release.join("dynamodb-stream").into()] },
            Program { name: POLL, command: vec![release.join("sequin-poll").into()] },
            Program { name: HELLO, command: vec![release.join("examples/hello").into()] },
        ];
        let place = target.join("cold-start");
        for (name, made) in [(NODE, node(&place)), (PYTHON, python(&place))] {
            match made {
                Ok(command) => programs.push(Program { name, command }),
                Err(error) => crate::report::say(&format!("Without {name}: {error}")),
            }
        }
        Ok(programs)
    }

    /// Whether it reads the secret and connects.
    pub(crate) fn does_all(&self) -> bool {
        self.name != HELLO
    }
}

/// Builds as for deployment: one package by itself, so that only its own features are on.
fn cargo(target: &Path, what: &[&str]) -> Result<(), Failure> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--quiet", "--target-dir"]).arg(target).args(what).current_dir(HERE);
    // Cargo's variables for this very package: build scripts watch them, and would run anew.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    run(&mut command)
}

fn node(place: &Path) -> Result<Vec<OsString>, Failure> {
    let place = place.join("node");
    if !is_fresh(&place, "package.json")? {
        run(Command::new("npm").args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(&place))?;
        keep(&place, "package.json")?;
    }
    // Modules are looked for from where the file is.
    fs::copy(Path::new(HERE).join("function.mjs"), place.join("function.mjs"))?;
    Ok(vec!["node".into(), place.join("function.mjs").into()])
}

fn python(place: &Path) -> Result<Vec<OsString>, Failure> {
    let place = place.join("python");
    let python: PathBuf = place.join("venv/bin/python");
    if !is_fresh(&place, "requirements.txt")? {
        run(Command::new("python3").args(["-m", "venv", "--clear", "venv"]).current_dir(&place))?;
        let install = ["-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"];
        run(Command::new(&python).args(install).current_dir(&place))?;
        keep(&place, "requirements.txt")?;
    }
    Ok(vec![python.into(), Path::new(HERE).join("function.py").into()])
}

/// Whether what this file asks for was installed here. Brings the file, if not.
fn is_fresh(place: &Path, file: &str) -> Result<bool, Failure> {
    let wanted = fs::read_to_string(Path::new(HERE).join(file))?;
    if fs::read_to_string(place.join("installed")).is_ok_and(|installed| installed == wanted) {
        return Ok(true);
    }
    fs::create_dir_all(place)?;
    fs::write(place.join(file), wanted)?;
    Ok(false)
}

fn keep(place: &Path, file: &str) -> Result<(), Failure> {
    fs::copy(place.join(file), place.join("installed"))?;
    Ok(())
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let answer = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if answer.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&answer.stderr)).into())
}
