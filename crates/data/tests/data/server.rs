//! An HTTP server on the loopback device that misbehaves in the ways that networks do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the server does when it is asked for a path.
#[derive(Clone)]
pub(crate) enum Reply {
    /// The whole body, its length announced.
    Body(Vec<u8>),
    /// The whole body, its end marked by closing the connection.
    Unannounced(Vec<u8>),
    /// The body in pieces of this many bytes with pauses between them.
    Pieces(Vec<u8>, usize),
    /// What the request's range asks for of this body, the whole without one; as Apache and S3 do.
    Ranges(Vec<u8>),
    /// Status 206 with this `Content-Range` and this body, whatever was asked for.
    Partial(Option<&'static str>, Vec<u8>),
    /// A status line such as `404 Not Found`.
    Status(&'static str),
    /// A redirect to another address.
    Redirect(String),
    /// Announces this many bytes, sends the given ones and closes the connection.
    CutOff(usize, Vec<u8>),
    /// Announces this many bytes, sends the given ones and then nothing, without closing.
    Stall(usize, Vec<u8>),
    /// Zeros until the client goes away.
    Endless,
    /// Closes the connection without an answer.
    Nothing,
    /// Bytes that are no HTTP.
    Garbage,
}

/// A running server; its threads end with the test process.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// What the server reads of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    path: String,
    /// Value of the header `Range`.
    range: Option<String>,
}

impl Server {
    /// Answer every request for a path with `reply(path)`.
    pub(crate) fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (reply, seen) = (Arc::new(reply), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (reply, seen) = (reply.clone(), seen.clone());
                thread::spawn(move || {
                    if let Some(request) = read_request(&stream) {
                        seen.lock().unwrap().push(request.clone());
                        // The client may leave in the middle, which ends this thread and nothing else.
                        let _ = answer(&stream, reply(&request.path), request.range.as_deref());
                    }
                });
            }
        });
        Self { address, requests }
    }

    /// Address ending in `/`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Requests received so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// Header `Range` of each request so far; `whole` where there is none.
    pub(crate) fn ranges(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let range = |request: &Request| request.range.clone().unwrap_or("whole".to_owned());
        requests.iter().map(range).collect()
    }
}

/// An address ending in `/` where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

fn read_request(mut stream: &TcpStream) -> Option<Request> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).ok()?;
    let range = request
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("range"));
    Some(Request {
        path: request.split(' ').nth(1)?.to_owned(),
        range: range.map(|(_, value)| value.to_owned()),
    })
}

fn answer(mut stream: &TcpStream, reply: Reply, range: Option<&str>) -> std::io::Result<()> {
    let announce = |length: usize| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    let unannounced = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    match reply {
        Reply::Ranges(body) => {
            let Some(range) = range else {
                stream.write_all(announce(body.len()).as_bytes())?;
                return stream.write_all(&body);
            };
            let from = range.strip_prefix("bytes=").unwrap();
            let from: usize = from.strip_suffix('-').unwrap().parse().unwrap();
            if from >= body.len() {
                return write!(
                    stream,
                    "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{}\r\n\
                     Content-Length: 0\r\nConnection: close\r\n\r\n",
                    body.len()
                );
            }
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n",
                body.len() - 1,
                body.len(),
                body.len() - from
            )?;
            stream.write_all(&body[from..])
        }
        Reply::Partial(range, body) => {
            let range = range.map(|range| format!("Content-Range: {range}\r\n"));
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n",
                range.unwrap_or_default(),
                body.len()
            )?;
            stream.write_all(&body)
        }
        Reply::Body(body) => {
            stream.write_all(announce(body.len()).as_bytes())?;
            stream.write_all(&body)
        }
        Reply::Unannounced(body) => {
            stream.write_all(unannounced)?;
            stream.write_all(&body)
        }
        Reply::Pieces(body, size) => {
            stream.write_all(announce(body.len()).as_bytes())?;
            for piece in body.chunks(size) {
                thread::sleep(Duration::from_millis(10));
                stream.write_all(piece)?;
            }
            Ok(())
        }
        Reply::Status(status) => {
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
        Reply::Redirect(location) => write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        ),
        Reply::CutOff(length, body) => {
            stream.write_all(announce(length).as_bytes())?;
            stream.write_all(&body)
        }
        Reply::Stall(length, body) => {
            stream.write_all(announce(length).as_bytes())?;
            stream.write_all(&body)?;
            // Returns when the client gives up.
            stream.read(&mut [0]).map(drop)
        }
        Reply::Endless => {
            stream.write_all(unannounced)?;
            loop {
                stream.write_all(&[0; 4096])?;
            }
        }
        Reply::Nothing => Ok(()),
        Reply::Garbage => stream.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n"),
    }
}
