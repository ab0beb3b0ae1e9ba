//! Options of the transport: proxies, an own resolver, and the runtime that requests need.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use oras_remote::{
    AddressRefused, Client, ClientOptions, Credential, NameResolver, Proxy, RegistryBlocked, Repository,
    ResolveOverride, RetryPolicy,
};
use oras_store::{ErrorKind, Source};
use oras_testkit::files::write_file;
use oras_testkit::scripted::{Asked, Reply, Scripted};
use tokio::runtime::Builder;

use crate::{blob, collect, options, repository};

#[tokio::test]
async fn uses_the_proxy_of_the_options() {
    let proxy = Scripted::start(|_: &Asked| Reply::new(200).body("hello"));
    let url = format!("http://user:pass@{}", proxy.host());
    let hello = blob("hello");
    let through = options().plain_http(true).proxy(Proxy::by_scheme(Some(&url), None).unwrap());
    let store = repository(through.clone(), "h.test:81/a");
    let got = collect(store.fetch(hello.descriptor(), 0..5).await.unwrap()).await.unwrap();
    assert_eq!(got, "hello");
    let asked = proxy.asked();
    assert_eq!(asked[0].path, format!("http://h.test:81/v2/a/blobs/{}", hello.descriptor().digest));
    assert_eq!(asked[0].header("proxy-authorization"), Some("Basic dXNlcjpwYXNz"));

    // Hosts of `no_proxy` and this machine are reached directly.
    for (options, name) in [
        (through.clone().no_proxy("h.test:81"), "h.test:81/a".to_owned()),
        (through, "localhost:1/a".to_owned()),
    ] {
        let options = options.retry(RetryPolicy::default().retries(0));
        let error = repository(options, &name).fetch(hello.descriptor(), 0..5).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Network, "{error:?}");
    }
    assert_eq!(proxy.asked().len(), 1);
}

/// Resolves every name to the same address, and records the names.
#[derive(Clone)]
struct Fixed(IpAddr, Arc<Mutex<Vec<String>>>);

#[async_trait]
impl NameResolver for Fixed {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.1.lock().unwrap().push(host.to_owned());
        match host {
            "missing.test" => Err(io::Error::other("no such name")),
            _ => Ok(vec![self.0]),
        }
    }
}

#[tokio::test]
async fn resolves_names_by_the_resolver_of_the_options() {
    let server = Scripted::start(|asked: &Asked| {
        let port = asked.header("host").and_then(|host| host.rsplit_once(':')).unwrap().1;
        match asked.path.contains("/elsewhere/") {
            true => Reply::new(307).header("Location", format!("http://other.test:{port}/data")),
            false => Reply::new(200).body("hello"),
        }
    });
    let resolver = Fixed([127, 0, 0, 1].into(), Arc::default());
    let options = options().plain_http(true).resolver(resolver.clone());
    let hello = blob("hello");
    let name = |path: &str| format!("h.test:{}/{path}", server.port());
    for path in ["a", "elsewhere/a"] {
        let got = repository(options.clone(), &name(path)).fetch(hello.descriptor(), 0..5).await.unwrap();
        assert_eq!(collect(got).await.unwrap(), "hello");
    }
    assert_eq!(*resolver.1.lock().unwrap(), ["h.test", "h.test", "other.test"]);
    let missing = repository(options, "missing.test/a").fetch(hello.descriptor(), 0..5).await;
    let error = missing.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.chain().ends_with("dial tcp: lookup missing.test: no such host"), "{error:?}");
}

#[tokio::test]
async fn checks_the_addresses_of_an_own_resolver() {
    // The override sends the client to this server. The registry counts as public, because no look-up says otherwise.
    let server = Scripted::start(|_: &Asked| Reply::new(307).header("Location", "http://inner.test/data"));
    let address = ([127, 0, 0, 1], server.port()).into();
    let resolver = Fixed([10, 0, 0, 1].into(), Arc::default());
    let options = options().plain_http(true).resolver(resolver.clone()).resolve(vec![ResolveOverride::new(
        "public.test",
        80,
        address,
    )]);
    let hello = blob("hello");
    let error = repository(options, "public.test/a").fetch(hello.descriptor(), 0..5).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    assert_eq!(error.find::<AddressRefused>().unwrap().address, IpAddr::from([10, 0, 0, 1]));
    assert_eq!(*resolver.1.lock().unwrap(), ["inner.test"]);
}

#[test]
fn reports_a_missing_runtime() {
    let store = repository(options(), "localhost:1/a");
    let hello = blob("hello");
    let resolved = futures_executor::block_on(store.resolve("v1")).unwrap_err();
    let fetched = futures_executor::block_on(store.fetch(hello.descriptor(), 0..5)).err().unwrap();
    for error in [resolved, fetched] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.chain().contains("needs a tokio runtime, and there is none"), "{error:?}");
    }
}

#[test]
fn reports_disabled_timers_and_io() {
    fn enable_nothing(builder: &mut Builder) -> &mut Builder {
        builder
    }
    let server = Scripted::start(|_: &Asked| Reply::new(404));
    for (enable, kind) in [
        (enable_nothing as fn(&mut Builder) -> &mut Builder, ErrorKind::Unsupported),
        (Builder::enable_io, ErrorKind::Unsupported),
        (Builder::enable_time, ErrorKind::Unsupported),
        (Builder::enable_all, ErrorKind::NotFound),
    ] {
        let runtime = enable(&mut Builder::new_current_thread()).build().unwrap();
        let store = repository(options(), &format!("{}/a", server.host()));
        let error = runtime.block_on(store.resolve("v1")).unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        let says_how = error.chain().contains("build the runtime with `enable_all`");
        assert_eq!(says_how, kind == ErrorKind::Unsupported, "{error:?}");
    }
}

/// The proxy in the environment of the child process. Nothing listens there.
const DEAD_PROXY: &str = "http://127.0.0.1:1";

/// Runs itself as a child process with an environment, because a process can't change its own safely.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the child process recognizes itself by its environment")]
async fn reads_the_environment_only_on_request() {
    if std::env::var_os("HTTP_PROXY").is_some_and(|proxy| proxy == DEAD_PROXY) {
        return check_environment().await;
    }
    let directory = tempfile::tempdir().unwrap();
    let registries = directory.path().join("registries.conf");
    write_file(&registries, "[[registry]]\nlocation = \"blocked.test\"\nblocked = true\n");
    write_file(&directory.path().join("config.json"), r#"{"auths":{"h.test":{"auth":"dXNlcjpwYXNz"}}}"#);
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "transport_options::reads_the_environment_only_on_request"])
        .env("HTTP_PROXY", DEAD_PROXY)
        .env("NO_PROXY", "direct.test")
        .env("CONTAINERS_REGISTRIES_CONF", &registries)
        .env("DOCKER_CONFIG", directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

async fn check_environment() {
    let server = Scripted::start(|_: &Asked| Reply::new(200).body("hello"));
    let local = |options: ClientOptions| {
        let resolver = Fixed([127, 0, 0, 1].into(), Arc::default());
        options.plain_http(true).resolver(resolver).retry(RetryPolicy::default().retries(0))
    };
    let fetch = async |options: ClientOptions, host: &str| {
        let store = repository(local(options), &format!("{host}:{}/a", server.port()));
        store.fetch(blob("hello").descriptor(), 0..5).await.map(drop)
    };
    fetch(ClientOptions::default(), "h.test").await.unwrap();
    let options = ClientOptions::from_env().unwrap();
    fetch(options.clone(), "direct.test").await.unwrap();
    fetch(options.clone().proxy(Proxy::none()), "h.test").await.unwrap();
    let error = fetch(options.clone(), "h.test").await.unwrap_err();
    assert!(error.chain().contains("dial tcp 127.0.0.1:1: connect: connection refused"), "{error:?}");

    let client = Client::new(options.clone()).unwrap();
    let blocked = Repository::new(&client, &"blocked.test/a".parse().unwrap()).unwrap_err();
    assert!(blocked.find::<RegistryBlocked>().is_some(), "{blocked:?}");
    for store in [&options.credentials, &options.mirror_credentials] {
        let found = store.get("h.test", None).await.unwrap();
        assert_eq!(found, Some(Credential::basic("user", "pass")));
    }
}
