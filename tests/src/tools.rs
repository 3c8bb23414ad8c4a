//! Programs that the tests run as their users do: the SAM CLI and cargo-lambda, of the versions that `infra/tools` names
//! and installs into the target directory. The first time needs the package index of Python.

use std::path::PathBuf;

use crate::python::{Python, run, target, with_apt};

/// The program `sam`. Panics with what `infra/tools` said when it cannot be had.
pub(crate) fn sam() -> PathBuf {
    installed("sam").join("sam")
}

/// The program `cargo-lambda`, likewise.
pub(crate) fn cargo_lambda() -> PathBuf {
    installed("cargo-lambda").join("cargo-lambda")
}

/// The folder of a tool's programs.
fn installed(tool: &str) -> PathBuf {
    find(tool).unwrap_or_else(|why| panic!("{tool} cannot be installed: {why}"))
}

fn find(tool: &str) -> Result<PathBuf, String> {
    let target = target()?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/tools");
    let variable = format!("CARGO_TARGET_DIR={}", target.display());
    let install = || {
        let python = Python::find(&target)?;
        run(&target, "env", &[&variable, &python.program, script, tool])
    };
    let said = install().or_else(|why| {
        if !why.contains("neither venv nor pip") && !why.contains("cannot run python3") {
            return Err(why);
        }
        with_apt(&target).map_err(|_| why)?;
        install()
    })?;
    Ok(PathBuf::from(said.trim()))
}
