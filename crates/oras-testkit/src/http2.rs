//! An HTTP/2 server over TLS (RFC 9113) with one response to all requests.

use std::io::{Error, Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::tls::Certificate;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` by the static table of HPACK (RFC 7541, appendix A).
const STATUS_200: &[u8] = &[0x88];

/// An HTTP/2 server on a free port of 127.0.0.1. Dropping it stops the server.
#[derive(Debug)]
pub struct Http2 {
    address: SocketAddr,
    answered: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl Http2 {
    /// Starts a server that answers every request with 200 and `body`.
    pub fn start(certificate: &Certificate, body: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let (tls, body) = (certificate.server(true), Arc::new(body.as_bytes().to_vec()));
        let (answered, ended): (Arc<AtomicUsize>, Arc<AtomicBool>) = Default::default();
        let (count, over) = (Arc::clone(&answered), Arc::clone(&ended));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let (tls, count, body) = (tls.clone(), Arc::clone(&count), Arc::clone(&body));
                std::thread::spawn(move || {
                    drop(tls.accept(stream).and_then(|tls| serve(tls, &count, &body)))
                });
            }
        });
        Self { address, answered, ended }
    }

    /// Returns the address, `localhost:PORT`.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// Returns the number of answered requests.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(mut stream: impl Read + Write, count: &AtomicUsize, body: &[u8]) -> Result<()> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface)?;
    if preface != PREFACE {
        return Err(Error::other("this is no HTTP/2"));
    }
    send(&mut stream, SETTINGS, 0, [0; 4], &[])?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, number @ ..] = head;
        let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
        stream.read_exact(&mut payload)?;
        match kind {
            SETTINGS | PING if flags & ACK == 0 => {
                let echo = if kind == PING { &payload[..] } else { &[] };
                send(&mut stream, kind, ACK, number, echo)?;
            }
            HEADERS => {
                count.fetch_add(1, Ordering::Relaxed);
                send(&mut stream, HEADERS, END_HEADERS, number, STATUS_200)?;
                send(&mut stream, DATA, END_STREAM, number, body)?;
            }
            GOAWAY => return Ok(()),
            _ => {}
        }
    }
}

fn send(stream: &mut impl Write, kind: u8, flags: u8, number: [u8; 4], payload: &[u8]) -> Result<()> {
    let length = u32::try_from(payload.len()).map_err(Error::other)?.to_be_bytes();
    let frame = [&length[1..], &[kind, flags], &number, payload].concat();
    stream.write_all(&frame)?;
    stream.flush()
}
