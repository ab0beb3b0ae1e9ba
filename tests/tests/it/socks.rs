//! SOCKS5 proxies, which resolve host names.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use oras_testkit::certificates;
use oras_testkit::peers;
use oras_testkit::scripted::{Reply, Scripted};

use crate::sandbox::{Sandbox, ours, texts};
use crate::serve::Served;

/// A SOCKS5 proxy (RFC 1928, RFC 1929) that resolves every name to the same server.
struct Socks {
    port: u16,
    /// The received requests: `user:password` or nothing, then the host and the port.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Socks {
    fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let log = Arc::clone(&log);
                std::thread::spawn(move || drop(relay(client.unwrap(), server, &log)));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn read<const N: usize>(stream: &mut TcpStream) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads a length byte and a text of this length.
fn text(stream: &mut TcpStream) -> std::io::Result<String> {
    let [length] = read(stream)?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn relay(mut client: TcpStream, server: u16, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let [_version] = read(&mut client)?;
    let methods = text(&mut client)?;
    let mut user = String::new();
    if methods.contains('\u{2}') {
        client.write_all(&[5, 2])?;
        let [_version] = read(&mut client)?;
        user = format!("{}:{} ", text(&mut client)?, text(&mut client)?);
        client.write_all(&[1, 0])?;
    } else {
        client.write_all(&[5, 0])?;
    }
    let [_version, _command, _reserved, kind] = read(&mut client)?;
    let host = match kind {
        1 => Ipv4Addr::from(read::<4>(&mut client)?).to_string(),
        3 => text(&mut client)?,
        _ => format!("{:x?}", read::<16>(&mut client)?),
    };
    let port = u16::from_be_bytes(read(&mut client)?);
    log.lock().unwrap().push(format!("{user}{host}:{port}"));
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let (mut back_from, mut back_to) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
    std::io::copy(&mut client, &mut server)?;
    Ok(())
}

#[test]
fn socks_proxy_resolves_names() {
    let sandbox = Sandbox::new();
    let name = "registry.internal.test";
    let Some(made) = certificates::self_signed(&sandbox.work(), "server", &[name]) else {
        return peers::skipped("openssl", "socks_proxy_resolves_names");
    };
    let [certificate, key] = [&made.certificate, &made.key].map(|path| path.to_str().unwrap());
    let plain = Served::start(&sandbox, &[]);
    let secure = Served::start(&sandbox, &["--cert-file", certificate, "--key-file", key]);
    let port = |served: &Served| served.address().rsplit_once(':').unwrap().1.parse().unwrap();
    for (served, port_asked, flags) in
        [(&plain, 80, &["--plain-http"][..]), (&secure, 443, &["--ca-file", certificate])]
    {
        let socks = Socks::start(port(served));
        for (scheme, user) in [("socks5", ""), ("socks5h", ""), ("socks5", "us%40er:pa%3Ass@")] {
            for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
                let is_used = variable == "ALL_PROXY" || (variable == "HTTPS_PROXY") == (port_asked == 443);
                let mut command = sandbox.command(&ours(), &[&["repo", "ls", name], flags].concat());
                command.env(variable, format!("{scheme}://{user}127.0.0.1:{}", socks.port));
                let output = command.output().unwrap();
                let asked = socks.asked();
                assert_eq!(output.status.success(), is_used, "{variable} {scheme}: {}", texts(&output).1);
                let user = if user.is_empty() { "" } else { "us@er:pa:ss " };
                let expected = if is_used { vec![format!("{user}{name}:{port_asked}")] } else { Vec::new() };
                assert_eq!(asked, expected, "{variable} {scheme}");
            }
        }
        // `NO_PROXY` makes the client bypass the proxy.
        let mut command = sandbox.command(&ours(), &[&["repo", "ls", name], flags].concat());
        command
            .env("ALL_PROXY", format!("socks5://127.0.0.1:{}", socks.port))
            .env("NO_PROXY", "internal.test");
        let error = texts(&command.output().unwrap()).1;
        assert!(error.contains("no such host") && socks.asked().is_empty(), "{error}");
    }
}

#[test]
fn redirect_addresses_use_socks_proxy() {
    let sandbox = Sandbox::new();
    for address in ["169.254.169.254", "10.0.0.1", "localhost", "127.0.0.1"] {
        let server = Scripted::start(move |_| {
            Reply::new(307).header("Location", format!("http://{address}/v2/_catalog"))
        });
        let socks = Socks::start(server.port());
        let mut command = sandbox.command(&ours(), &["repo", "ls", "registry.test", "--plain-http"]);
        command.env("HTTP_PROXY", format!("socks5://127.0.0.1:{}", socks.port));
        let error = texts(&command.output().unwrap()).1;
        assert!(error.contains("refusing to connect to"), "{address}: {error}");
        assert_eq!(socks.asked(), ["registry.test:80"], "{address}");
    }
}
