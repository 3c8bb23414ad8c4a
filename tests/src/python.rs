//! A Python of this machine and what it needs to install packages. It installs nothing of ours itself, other than Python
//! where there is none; called by the emulator ([`crate::Aws`]) and by whoever runs a program from the package index
//! (`tools`).

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Prints the version and the real path of an interpreter: what is found in PATH may be a wrapper that needs more of the
/// environment than what it runs gets.
const WHICH_PYTHON: &str = "import sys; print(*sys.version_info[:2], sys.executable, sep=chr(10))";

/// The oldest Python that the packages run on.
const OLDEST_PYTHON: (u32, u32) = (3, 10);

const ADVICE: &str = "install Python 3.10 or newer with venv (`apt-get install python3-venv`, `brew install python`)";

/// The directory with cargo's mark that this program was built into.
pub(crate) fn target() -> Result<PathBuf, String> {
    let program = env::current_exe().map_err(|cause| cause.to_string())?;
    let target = program.ancestors().find(|place| place.join("CACHEDIR.TAG").is_file());
    target.map(Path::to_owned).ok_or_else(|| format!("{} lies in no target directory", program.display()))
}

/// An interpreter.
#[derive(Debug)]
pub(crate) struct Python {
    /// Its real path.
    pub(crate) program: String,
}

impl Python {
    /// That of `PATH`.
    pub(crate) fn find(home: &Path) -> Result<Self, String> {
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
pub(crate) fn pip(home: &Path) -> Result<String, String> {
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
pub(crate) fn with_apt(home: &Path) -> Result<String, String> {
    let install = ["install", "--yes", "--no-install-recommends", "python3", "python3-venv"];
    // A fresh container has no lists of packages.
    run(home, "apt-get", &install)
        .or_else(|_| run(home, "apt-get", &["update"]).and_then(|_| run(home, "apt-get", &install)))
}

/// What a program says that runs in `home`; an error has the end of it.
pub(crate) fn run(home: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
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
