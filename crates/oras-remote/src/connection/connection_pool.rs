//! Connection pools. Requests with the same connection settings share one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oras_store::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use reqwest::redirect::Policy;

use crate::client_options::ClientOptions;
use crate::config::certs_d::{self, Certificates};
use crate::connection::address_guard::{AddressGuard, GuardedResolver, RegistryAddresses};
use crate::connection::proxy::ProxyServer;
use crate::connection::tls_config;

/// The maximum number of header fields of an answer. hyper's limit of 100 is too low for some gateways. The bytes are
/// bounded too: by hyper's buffer of 408 KiB over HTTP/1.1, by [`MAX_HEADER_LIST`] over HTTP/2.
const MAX_HEADER_FIELDS: usize = 1000;
/// The maximum size in bytes of the header fields of an answer over HTTP/2.
const MAX_HEADER_LIST: u32 = 408 << 10;

/// Bounds of the interval between HTTP/2 pings, which is a quarter of the idle timeout. The answer to a ping has the
/// same timeout, so a dead connection is detected in half of the idle timeout.
const PING_INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));

/// The settings of connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub(crate) secure: bool,
    /// Does not verify the server's certificate.
    pub(crate) unverified: bool,
    /// Uses the client certificate, which only the registry may see.
    pub(crate) certificate: bool,
    /// The registry's directory in `certs.d`.
    pub(crate) directory: Option<PathBuf>,
    /// The proxy; `None` connects directly.
    pub(crate) proxy: Option<ProxyServer>,
    /// Uses HTTP/2.
    pub(crate) http2: bool,
    /// The index of the address override that applies.
    pub(crate) rule: Option<usize>,
    /// The guard for a host that a registry named.
    pub(crate) guard: Option<AddressGuard>,
}

/// The open pools of a client.
#[derive(Debug, Default)]
pub(crate) struct ConnectionPools {
    open: Mutex<HashMap<PoolKey, Opened>>,
    generations: AtomicU64,
}

#[derive(Debug)]
struct Opened {
    http: reqwest::Client,
    generation: u64,
}

/// The pool and generation of a request's connection. A generation ends when its connections are discarded.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pool: PoolKey,
    generation: u64,
}

impl ConnectionPools {
    /// Returns the connections for `pool`, and opens a pool if there is none.
    pub(crate) fn get(
        &self,
        pool: PoolKey,
        options: &ClientOptions,
        registries: &Arc<RegistryAddresses>,
    ) -> Result<(reqwest::Client, Lease)> {
        let mut open = self.open.lock();
        if let Some(Opened { http, generation }) = open.get(&pool) {
            return Ok((http.clone(), Lease { pool, generation: *generation }));
        }
        // Built under the lock, so that concurrent requests share one pool instead of opening several.
        let http = build(options, &pool, Arc::clone(registries))?;
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        open.insert(pool.clone(), Opened { http: http.clone(), generation });
        Ok((http, Lease { pool, generation }))
    }

    /// Removes the connections of `lease` from the pool, so that later requests open new ones. Requests in flight
    /// keep theirs.
    ///
    /// After a timeout on one connection, all others of its generation may be dead too, for example because a NAT
    /// dropped them. Over HTTP/2, a retry would even use the same connection.
    pub(crate) fn discard(&self, lease: &Lease) {
        let mut open = self.open.lock();
        // Another request may have replaced the pool already. Its new connections must stay.
        if open.get(&lease.pool).is_some_and(|opened| opened.generation == lease.generation) {
            open.remove(&lease.pool);
            tracing::debug!("connections discarded after a timeout");
        }
    }
}

fn build(
    options: &ClientOptions,
    pool: &PoolKey,
    registries: Arc<RegistryAddresses>,
) -> Result<reqwest::Client> {
    let own = pool.directory.as_deref().map_or_else(|| Ok(Certificates::default()), certs_d::read)?;
    let tls = if pool.secure {
        tls_config::configure(options, pool.certificate, &own, (pool.http2, pool.unverified))?
    } else {
        tls_config::none()?
    };
    let failed =
        |error: reqwest::Error| Error::new(ErrorKind::Other, "failed to set up HTTP").with_source(error);
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(&options.user_agent)
        // `redirect.rs` follows redirects, because credentials depend on each address.
        .redirect(Policy::none())
        .referer(false)
        .dns_resolver(GuardedResolver {
            registries,
            guard: pool.guard.clone(),
            own: options.resolver.clone(),
        })
        // Without this, reqwest would use the proxies of the environment.
        .no_proxy()
        .connect_timeout(options.connect_timeout);
    builder = if pool.http2 {
        let ping = (options.idle_timeout / 4).clamp(PING_INTERVALS.0, PING_INTERVALS.1);
        // Pings are sent only while a request waits, so an idle connection costs nothing.
        builder
            .http2_prior_knowledge()
            .http2_max_header_list_size(MAX_HEADER_LIST)
            .http2_keep_alive_interval(ping)
            .http2_keep_alive_timeout(ping)
    } else {
        builder.http1_only().http1_max_headers(MAX_HEADER_FIELDS)
    };
    if let Some(proxy) = &pool.proxy {
        builder = builder.proxy(proxy.for_reqwest().map_err(failed)?);
    }
    if let Some(rule) = pool.rule.and_then(|rule| options.resolve.get(rule)) {
        builder = builder.resolve(&rule.host, (rule.address, rule.address_port).into());
    }
    builder.build().map_err(failed)
}
