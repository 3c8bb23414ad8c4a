//! A DynamoDB that knows one table: enough to see what the command line asks of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::program::Program;

/// The fake. It serves until the test's process ends.
pub(crate) struct Dynamodb {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Dynamodb {
    /// With a table `users` of this many users.
    pub(crate) fn start(users: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let noted = Arc::clone(&noted);
                thread::spawn(move || serve(stream, users, &noted));
            }
        });
        Dynamodb { url, asked }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How often an operation was asked for.
    pub(crate) fn asked(&self, operation: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == operation).count()
    }
}

/// As somebody who may do anything, and whom nobody else is asked about.
pub(crate) fn signed_in(program: Program) -> Program {
    program
        .with("AWS_ACCESS_KEY_ID", "somebody")
        .with("AWS_SECRET_ACCESS_KEY", "something")
        .with("AWS_CONFIG_FILE", "/dev/null")
        .with("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .with("AWS_EC2_METADATA_DISABLED", "true")
}

fn serve(stream: TcpStream, users: usize, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut operation, mut line) = (0, String::new(), String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let Some((name, value)) = line.trim_end().split_once(':') else {
                if line.trim_end().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "x-amz-target" => operation = value.rsplit('.').next().unwrap().to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let request: Value = serde_json::from_slice(&body).unwrap();
        let (status, answer) = answer(&operation, &request, users);
        asked.lock().unwrap().push(operation);
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if reader.get_mut().write_all((head + &answer).as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(operation: &str, request: &Value, users: usize) -> (&'static str, Value) {
    if request["TableName"] != "users" {
        let kind = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException";
        return ("400 Bad Request", json!({ "__type": kind, "message": "Requested resource not found" }));
    }
    let answer = match operation {
        "DescribeTable" => json!({ "Table": {
            "TableName": "users",
            "ItemCount": users,
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
            "LatestStreamArn": "arn:aws:dynamodb:us-east-1:000000000000:table/users/stream/2024-05-01T12:00:00.123",
        } }),
        // All users are in the first segment.
        "Scan" if request["Segment"].as_u64().unwrap_or(0) == 0 => {
            let item = |number| json!({ "id": { "S": format!("00000000-0000-4000-8000-{number:012}") } });
            let items: Vec<Value> = (0..users).map(item).collect();
            json!({ "Count": items.len(), "Items": items, "ConsumedCapacity": { "CapacityUnits": 0.5 } })
        }
        "Scan" => json!({ "Count": 0, "Items": [] }),
        _ => json!({}),
    };
    ("200 OK", answer)
}
