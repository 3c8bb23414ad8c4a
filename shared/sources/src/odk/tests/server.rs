//! A server that answers as it is told, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// `GET /v1/projects/1`.
    pub(super) line: String,
    /// The head, lowercase names.
    pub(super) head: String,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(other, _)| other.eq_ignore_ascii_case(name)))
            .map(|(_, value)| value)
    }
}

type Answerer = dyn Fn(&Asked) -> String + Send + Sync;

/// Listens until it is dropped.
pub(super) struct Server {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers what this gives, byte for byte; a slow answer is one that begins with `slow`.
    pub(super) async fn new(answerer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, answerer): (_, Arc<Answerer>) = (Arc::new(Mutex::default()), Arc::new(answerer));
        let all = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&all), Arc::clone(&answerer)));
            }
        });
        Server { url, asked, task }
    }

    /// Logs in whoever asks, with the tokens t1, t2, …; for the rest gives these answers, one after the other.
    pub(super) async fn with(answers: &[String]) -> Self {
        let (answers, logins) = (Mutex::new(VecDeque::from(answers.to_vec())), Mutex::new(0));
        Server::new(move |asked| {
            if asked.line == "POST /v1/sessions" {
                let mut logins = logins.lock().unwrap();
                *logins += 1;
                return json(
                    200,
                    &format!(r#"{{"token":"t{logins}","csrf":"c","expiresAt":"2026-11-21T08:05:32.777Z"}}"#),
                );
            }
            answers.lock().unwrap().pop_front().unwrap_or_else(|| json(418, "{}"))
        })
        .await
    }

    /// What it was asked, one a line.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

pub(super) const DATE: &str = "date: Fri, 20 Nov 2026 08:16:13 GMT\r\n";

pub(super) fn json(status: u16, body: &str) -> String {
    with(status, "content-type: application/json; charset=utf-8\r\n", body)
}

/// An answer with these headers besides.
pub(super) fn with(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\n{DATE}{headers}content-length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn feed(rows: &str) -> String {
    json(200, &format!(r#"{{"value":[{rows}],"@odata.context":"c"}}"#))
}

pub(super) fn refusal(status: u16, code: &str) -> String {
    json(status, &format!(r#"{{"message":"about hunter2","code":{code}}}"#))
}

async fn serve(mut connection: TcpStream, all: Arc<Mutex<Vec<Asked>>>, answerer: Arc<Answerer>) {
    let mut bytes = Vec::new();
    loop {
        let Some(asked) = read(&mut connection, &mut bytes).await else { return };
        all.lock().unwrap().push(asked.clone());
        let answer = answerer(&asked);
        let (is_slow, answer) = answer.strip_prefix("slow ").map_or((false, answer.as_str()), |rest| (true, rest));
        if is_slow {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        // What is not whole ends the connection.
        let is_whole = !answer.contains("connection: close");
        if connection.write_all(answer.as_bytes()).await.is_err() || !is_whole {
            return;
        }
    }
}

async fn read(connection: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Asked> {
    loop {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let (line, head) = head.split_once("\r\n")?;
            let line = line.rsplit_once(' ')?.0.to_owned();
            let mut asked = Asked { line, head: head.to_owned(), body: String::new() };
            let length: usize = asked.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            if rest.len() >= length {
                asked.body = rest[..length].to_owned();
                bytes.drain(..text.len() - rest.len() + length);
                return Some(asked);
            }
        }
        let mut part = [0; 4096];
        match connection.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
        }
    }
}
