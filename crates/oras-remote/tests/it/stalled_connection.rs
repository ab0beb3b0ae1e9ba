//! Connections that stall: no byte arrives, and no error is reported.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use oras_remote::{HttpVersion, RateLimit, RootCertificates};
use oras_store::{ErrorKind, PushMode, ReadStore, Target};
use oras_testkit::http2::Http2;
use oras_testkit::tls::Certificate;

use crate::registry::skipped;
use crate::{options, repository};

type Switches = Arc<Mutex<Vec<Arc<AtomicBool>>>>;

/// Forwards connections to a server until they are stalled. Then those of clients stay open, but nothing is
/// forwarded.
struct SilentProxy {
    port: u16,
    accepted: Arc<AtomicUsize>,
    /// The switches of the forwarding connections.
    passing: Switches,
}

impl SilentProxy {
    fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (accepted, passing) = (Arc::<AtomicUsize>::default(), Switches::default());
        let (count, switches) = (Arc::clone(&accepted), Arc::clone(&passing));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                let switch = Arc::new(AtomicBool::new(true));
                switches.lock().unwrap().push(Arc::clone(&switch));
                let (back_from, back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let back = Arc::clone(&switch);
                std::thread::spawn(move || pass(back_from, back_to, &back, false));
                std::thread::spawn(move || pass(client, server, &switch, true));
            }
        });
        Self { port, accepted, passing }
    }

    /// Stalls all open connections.
    fn kill(&self) {
        self.passing.lock().unwrap().drain(..).for_each(|switch| switch.store(false, Ordering::SeqCst));
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, passes: &AtomicBool, tells: bool) {
    let mut buffer = [0; 4096];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        if !passes.load(Ordering::SeqCst) || to.write_all(&buffer[..size]).is_err() {
            break;
        }
    }
    if tells || passes.load(Ordering::SeqCst) {
        drop(to.shutdown(Shutdown::Write));
    }
    if !passes.load(Ordering::SeqCst) {
        // The client is not notified.
        std::thread::sleep(Duration::from_secs(120));
    }
}

#[tokio::test]
async fn retries_after_a_stall_on_a_new_connection() {
    let test = "retries_after_silence_use_a_new_connection";
    let directory = tempfile::tempdir().unwrap();
    let Some(certificate) = Certificate::make(directory.path(), &["localhost"]) else {
        return skipped(&format!("skipped: needs openssl ({test})"));
    };
    let server = Http2::start(&certificate, r#"{"name":"a","tags":["v1"]}"#);
    let server_port = server.host().rsplit_once(':').unwrap().1.parse().unwrap();
    for http_version in [HttpVersion::Http2, HttpVersion::Auto] {
        let proxy = SilentProxy::start(server_port);
        let options = options()
            .plain_http(false)
            .roots(RootCertificates::none().pem(&certificate.certificate))
            .http_version(http_version)
            .idle_timeout(Duration::from_secs(2));
        let store = repository(options, &format!("localhost:{}/a", proxy.port));
        for round in 0..3 {
            let begun = Instant::now();
            let tags: Vec<String> = store.tags_after(None).try_collect().await.unwrap();
            assert_eq!((tags, round), (vec!["v1".to_owned()], round));
            // A ping detects the dead connection before the idle timeout.
            assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
            proxy.kill();
        }
        assert!(proxy.accepted.load(Ordering::SeqCst) >= 3);
    }
    assert!(server.answered() >= 6);
}

/// Over HTTP/1.1 there are no pings: the idle timeout ends the wait, and connections that were idle at that time are
/// not used again.
#[tokio::test]
async fn discards_idle_connections_after_a_stall() {
    let server = oras_testkit::scripted::Scripted::start(|_| {
        oras_testkit::scripted::Reply::new(200).body(r#"{"name":"a","tags":["v1"]}"#)
    });
    let proxy = SilentProxy::start(server.port());
    let options = options().idle_timeout(Duration::from_secs(1));
    let store = repository(options, &format!("localhost:{}/a", proxy.port));
    let ask = || async { store.tags_after(None).try_collect::<Vec<String>>().await };
    // More idle connections than there are retries.
    let answers = futures::future::join_all((0..8).map(|_| ask())).await;
    assert!(answers.iter().all(Result::is_ok));
    proxy.kill();
    let begun = Instant::now();
    let answer = ask().await;
    assert!(answer.is_ok(), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// Over HTTP/1.1, bytes that the registry did not accept within the idle timeout are sent over a new connection.
#[tokio::test]
async fn resumes_an_upload_soon_after_a_stall() {
    let registry = oras_testkit::registry::Process::ours(&[]);
    let proxy = Arc::new(SilentProxy::start(registry.port()));
    let idle = Duration::from_secs(2);
    let options = options().idle_timeout(idle).limit_rate(RateLimit::per_second(8 << 20));
    let store = repository(options, &format!("localhost:{}/a", proxy.port));
    let content = crate::blob(vec![7; 8 << 20]);
    let begun = Instant::now();
    let killer = Arc::clone(&proxy);
    let kill = async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        killer.kill();
    };
    let (pushed, ()) = futures::join!(store.push(&content, PushMode::Untagged), kill);
    pushed.unwrap();
    let took = begun.elapsed();
    assert!(took > idle && took < 4 * idle, "{took:?}");
    assert!(store.exists(content.descriptor()).await.unwrap());
}

#[tokio::test]
async fn times_out_on_endless_informational_responses() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                while client.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n").is_ok() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
    });
    let retry = options().retry.retries(1);
    let options = options().idle_timeout(Duration::from_millis(300)).retry(retry);
    let store = repository(options, &format!("localhost:{port}/a"));
    let resolved = tokio::time::timeout(Duration::from_secs(30), store.resolve("v1")).await;
    assert_eq!(resolved.expect("it ends").unwrap_err().kind(), ErrorKind::Network);
}
