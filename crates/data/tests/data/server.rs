//! An HTTP server on the loopback device that misbehaves in the ways that networks do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Bytes that answer a request, and what comes then.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

#[derive(Clone, Copy)]
pub(crate) enum Then {
    /// The connection is closed.
    Close,
    /// Nothing, without closing.
    Silence,
    /// The same bytes again until the client goes away.
    Again,
}

impl Reply {
    /// `head`, status and headers with `|` between them, and `body`.
    pub(crate) fn new(head: &str, body: &[u8]) -> Self {
        let head = head.replace('|', "\r\n");
        let mut bytes = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").into_bytes();
        bytes.extend(body);
        let then = Then::Close;
        Self { bytes, then }
    }

    /// A body whose length is announced as `length`.
    pub(crate) fn announced(length: usize, body: &[u8]) -> Self {
        Self::new(&format!("200 OK|Content-Length: {length}"), body)
    }

    /// The whole body, its length announced.
    pub(crate) fn body(body: &[u8]) -> Self {
        Self::announced(body.len(), body)
    }

    /// A redirect to another address.
    pub(crate) fn redirect(location: &str) -> Self {
        let head = format!("302 Found|Location: {location}|Content-Length: 0");
        Self::new(&head, &[])
    }

    pub(crate) fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }
}

/// A running server; its threads end with the test process.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// Answer every request for a path with `reply(path)`, `piece` bytes at a time with pauses between.
    pub(crate) fn slow(
        piece: usize,
        reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (reply, seen) = (Arc::new(reply), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (reply, seen) = (reply.clone(), seen.clone());
                thread::spawn(move || {
                    if let Some(path) = requested(&stream) {
                        seen.fetch_add(1, Ordering::SeqCst);
                        // The client may leave in the middle, which ends this thread and nothing else.
                        let _ = answer(&stream, &reply(&path), piece);
                    }
                });
            }
        });
        Self { address, requests }
    }

    /// The same in one piece.
    pub(crate) fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::slow(usize::MAX, reply)
    }

    /// Address ending in `/`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Requests received so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// An address ending in `/` where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

fn requested(mut stream: &TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).ok()?;
    Some(request.split(' ').nth(1)?.to_owned())
}

fn answer(mut stream: &TcpStream, reply: &Reply, piece: usize) -> std::io::Result<()> {
    loop {
        for piece in reply.bytes.chunks(piece) {
            stream.write_all(piece)?;
            let pause = if piece.len() < 100 { 10 } else { 0 };
            thread::sleep(Duration::from_millis(pause));
        }
        match reply.then {
            Then::Close => return Ok(()),
            // Returns when the client gives up.
            Then::Silence => return stream.read(&mut [0]).map(drop),
            Then::Again => {}
        }
    }
}
