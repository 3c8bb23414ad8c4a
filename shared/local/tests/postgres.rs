//! Real servers: that they answer, and that nothing of them stays. Tests with SQL are in the workspace's `tests`.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]

use std::env;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tributary_local::{Options, Origin, Postgres};

/// Whether a Postgres answers there: it takes the request for TLS and refuses it with one letter.
fn answers(url: &str) -> bool {
    let place = url.rsplit_once('@').unwrap().1.split('/').next().unwrap();
    let Ok(mut stream) = TcpStream::connect(place) else { return false };
    let mut letter = [0];
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).is_ok() && stream.read_exact(&mut letter).is_ok() && letter == *b"N"
}

fn soon(what: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while !what() {
        if begin.elapsed() > Duration::from_secs(15) {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn a_given_url_is_taken_as_it_is() {
    let options = Options { url: Some("postgres://h/a".to_owned()), ..Options::default() };
    let postgres = Postgres::find_or_start(&options).unwrap();
    assert_eq!((postgres.url(), postgres.origin()), ("postgres://h/a", &Origin::Given));
    assert_eq!(postgres.url_for("b"), "postgres://h/b");
}

#[test]
fn a_server_answers_until_it_is_stopped() {
    let postgres = Postgres::find_or_start(&Options::default()).unwrap();
    let (url, place) = (postgres.url().to_owned(), postgres.directory().unwrap().to_owned());
    assert!(answers(&url));
    postgres.stop();
    assert!(!answers(&url));
    assert!(!place.exists());
}

#[test]
fn a_wrong_setting_is_reported_in_the_servers_words() {
    let settings = vec![("no_such_setting".to_owned(), "1".to_owned())];
    let error = Postgres::find_or_start(&Options { settings, ..Options::default() }).unwrap_err();
    assert!(error.chain().contains("no_such_setting"), "{error:#}");
    assert!(error.hint().is_some());
}

#[test]
fn a_kept_server_says_how_to_end_it() {
    let postgres = Postgres::find_or_start(&Options { keep: true, ..Options::default() }).unwrap();
    let (url, place) = (postgres.url().to_owned(), postgres.directory().unwrap().to_owned());
    let stop = postgres.stop_command().unwrap().to_owned();
    drop(postgres);
    thread::sleep(Duration::from_millis(300));
    assert!(answers(&url));
    assert!(Command::new("sh").args(["-c", &stop]).status().unwrap().success());
    assert!(soon(|| !place.exists()));
    assert!(!answers(&url));
}

/// Not a test of its own: what the tests below run as another process. Says its server's URL and directory, then waits.
#[test]
fn other_process() {
    let Ok(kind) = env::var("TRIBUTARY_OTHER_PROCESS") else { return };
    let options = Options { shared: kind == "shared", cache: Some(cache(&kind)), ..Options::default() };
    let postgres = Postgres::find_or_start(&options).unwrap();
    let place = postgres.directory().map(|place| place.display().to_string()).unwrap_or_default();
    // Past the test framework, which captures what goes through `println!`.
    writeln!(std::io::stderr(), "server {} {place}", postgres.url()).unwrap();
    thread::sleep(Duration::from_secs(60));
}

fn cache(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-{kind}"))
}

/// Starts [`other_process`] and returns it with its server's URL and directory.
fn other(kind: &str) -> (std::process::Child, String, String) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "other_process", "--nocapture"]).env("TRIBUTARY_OTHER_PROCESS", kind);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.map_while(Result::ok).find(|line| line.starts_with("server ")).unwrap();
    let mut words = line.split(' ').skip(1).map(str::to_owned);
    (child, words.next().unwrap(), words.next().unwrap_or_default())
}

#[test]
fn a_server_does_not_outlive_a_killed_process() {
    let (mut child, url, place) = other("owned");
    assert!(answers(&url));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(soon(|| !Path::new(&place).exists()), "{place} is still there");
    assert!(!answers(&url));
}

#[test]
fn processes_share_a_server_that_outlives_the_first_and_not_the_last() {
    let (mut first, url, place) = other("shared");
    let (mut second, same, none) = other("shared");
    assert_eq!((same.as_str(), none.as_str()), (url.as_str(), ""));
    first.kill().unwrap();
    first.wait().unwrap();
    thread::sleep(Duration::from_millis(4500));
    assert!(answers(&url), "the second process needs it");
    second.kill().unwrap();
    second.wait().unwrap();
    assert!(soon(|| !Path::new(&place).exists()), "{place} is still there");
    assert!(!answers(&url));
    let (mut third, new, _) = other("shared");
    assert_ne!(new, url);
    assert!(answers(&new));
    third.kill().unwrap();
    third.wait().unwrap();
}
