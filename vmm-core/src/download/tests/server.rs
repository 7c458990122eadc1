//! A web server on this computer, for one test.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What was asked for: the path, and the lines of the header in lower case.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) header: Vec<String>,
}

impl Request {
    /// What a field of the header says.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.header.iter().find_map(|line| line.strip_prefix(&prefix))
    }

    /// Where the range that is asked for begins.
    pub(super) fn from(&self) -> Option<usize> {
        self.field("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// A server, whose answers the test gives. Its thread ends with the tests.
pub(super) struct Server {
    pub(super) port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers each request as `answer` writes it to the connection, which is closed behind it.
    pub(super) fn new(answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (seen.clone(), answer.clone());
                thread::spawn(move || serve(connection, &seen, &*answer));
            }
        });
        Self { port, requests }
    }

    pub(super) fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What was asked for at `path` so far.
    pub(super) fn requests(&self, path: &str) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| request.path == path).cloned().collect()
    }
}

fn serve(
    mut connection: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request, &mut TcpStream),
) {
    let lines = BufReader::new(connection.try_clone().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let header = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        format!("{}: {}", name.to_ascii_lowercase(), value.trim())
    });
    let request = Request { path, header: header.collect() };
    seen.lock().unwrap().push(request.clone());
    answer(&request, &mut connection);
}

/// Writes the header of an answer, with `fields` each ended by `\r\n`. Who asked may be gone.
pub(super) fn head(connection: &mut TcpStream, status: &str, fields: &str) {
    let text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{fields}\r\n");
    let _ = connection.write_all(text.as_bytes());
}

/// Answers with all of `body`.
pub(super) fn whole(connection: &mut TcpStream, tag: &str, body: &[u8]) {
    head(connection, "200 OK", &format!("ETag: \"{tag}\"\r\nContent-Length: {}\r\n", body.len()));
    let _ = connection.write_all(body);
}

/// Answers with the part of `body` that is asked for if its tag is `tag` still, else with all.
pub(super) fn ranged(request: &Request, connection: &mut TcpStream, tag: &str, body: &[u8]) {
    match request.from() {
        Some(from) if request.field("if-range") == Some(&format!("\"{tag}\"")) => {
            let fields = format!(
                "ETag: \"{tag}\"\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{}\r\n",
                body.len() - from,
                body.len() - 1,
                body.len()
            );
            head(connection, "206 Partial Content", &fields);
            let _ = connection.write_all(&body[from..]);
        }
        _ => whole(connection, tag, body),
    }
}
