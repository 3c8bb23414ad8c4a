//! Core is pure: no runtime, no AWS, no database, no network, no clock, no environment, no files. These tests fail when
//! a dependency or a line of code brings one in.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates that core must not reach, not even through another; a `*` at the end stands for any name that begins so.
const FORBIDDEN_CRATES: [&str; 10] = [
    "tokio",
    "tokio-*",
    "aws-*",
    "aws_lambda_events",
    "lambda_runtime",
    "hyper",
    "hyper-*",
    "rustls",
    "rustls-*",
    "reqwest",
];

/// What core's code must not name.
const FORBIDDEN_PATHS: [&str; 12] = [
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::SystemTime",
    "std::time::Instant",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "Uuid::now_v7",
];

#[test]
fn the_graph_of_core_holds_nothing_impure() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", "tributary-core", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--offline", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"minijinja"), "cargo tree shows another graph than core's: {names:?}");
    let found: Vec<&&str> = names.iter().filter(|name| is_forbidden(name)).collect();
    assert!(found.is_empty(), "core must stay pure, but its graph holds {found:?}");
}

fn is_forbidden(name: &str) -> bool {
    FORBIDDEN_CRATES.iter().any(|forbidden| match forbidden.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == *forbidden,
    })
}

#[test]
fn the_code_of_core_asks_nothing_of_the_world() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    assert!(files.len() > 10, "{}: too few sources", root.display());
    let found: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            impure(&text).into_iter().map(|path| format!("{}: {path}", file.display())).collect::<Vec<_>>()
        })
        .collect();
    assert!(found.is_empty(), "core must stay pure: {found:#?}");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The forbidden paths that a source names outside its tests and comments.
fn impure(source: &str) -> Vec<&'static str> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code: String = code.split_whitespace().collect();
    FORBIDDEN_PATHS.into_iter().filter(|path| names(&code, path)).collect()
}

/// Whether code without white space names a path, also as a member of a group: `std::{env,fmt}`.
fn names(code: &str, path: &str) -> bool {
    let word_ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let Some((parent, last)) = path.rsplit_once("::") else { return false };
    let plain = code.match_indices(path).any(|(at, _)| word_ends(&code[at + path.len()..]));
    let group = format!("{parent}::{{");
    plain
        || code.match_indices(&group).any(|(at, _)| {
            let inside = code[at + group.len()..].split('}').next().unwrap_or_default();
            inside.split(',').any(|member| member.strip_prefix(last).is_some_and(word_ends))
        })
}

#[test]
fn the_search_finds_every_spelling() {
    let check = |source: &str, expect: &[&str]| assert_eq!(impure(source), expect, "{source}");
    check("use std::env;", &["std::env"]);
    check("use std::{\n    fmt,\n    env,\n};", &["std::env"]);
    check("let now = std::time::Instant::now();", &["std::time::Instant", "Instant::now"]);
    check("use std::time::{Duration, SystemTime};", &["std::time::SystemTime"]);
    check("use std::time::Duration;\nuse std::iter::once;", &[]);
    check("/// Unlike `std::env`.\nfn f() {}\n#[cfg(test)]\nmod tests { use std::fs; }", &[]);
}
