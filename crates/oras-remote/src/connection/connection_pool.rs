//! Pools of connections: connections that are set up alike share one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oras_store::{Error, Kind, Result};
use parking_lot::Mutex;
use reqwest::redirect::Policy;
use url::Url;

use crate::certificates::{self, Certificates};
use crate::guard::{Guard, Resolver, Seen};
use crate::options::ClientOptions;
use crate::tls;

/// Header fields of an answer at most. hyper's own limit of 100 is less than some gateways send; the bytes of a head are
/// bounded too: by hyper's buffer of 408 KiB over HTTP/1.1, by [`MAX_HEADER_LIST`] over HTTP/2.
const MAX_HEADER_FIELDS: usize = 1000;
/// Bytes of the header fields of an answer over HTTP/2 at most.
const MAX_HEADER_LIST: u32 = 408 << 10;

/// The bounds of the time between two pings over HTTP/2, which is a quarter of the idle timeout: with as long for the
/// answer, a dead connection is found in half of that timeout.
const PING_INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));

/// How connections are set up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pool {
    pub(crate) secure: bool,
    /// Does not check the registry's certificate.
    pub(crate) unverified: bool,
    /// Shows the client certificate, which is for the registry alone.
    pub(crate) certificate: bool,
    /// The directory of certificates of the registry.
    pub(crate) directory: Option<PathBuf>,
    /// Past any proxy, as this machine is reached.
    pub(crate) direct: bool,
    /// The SOCKS proxy that is used.
    pub(crate) socks: Option<Url>,
    /// By HTTP/2.
    pub(crate) http2: bool,
    /// The override of addresses that applies.
    pub(crate) rule: Option<usize>,
    /// The rule for addresses of a host that a registry named.
    pub(crate) guard: Option<Guard>,
}

/// The open pools of a client.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    open: Mutex<HashMap<Pool, Opened>>,
    generations: AtomicU64,
}

#[derive(Debug)]
struct Opened {
    http: reqwest::Client,
    generation: u64,
}

/// Names the connections that a request may have used: those of one pool, up to when they were discarded.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pool: Pool,
    generation: u64,
}

impl Pools {
    /// The connections of `pool`, opened if there are none.
    pub(crate) fn get(
        &self,
        pool: Pool,
        options: &ClientOptions,
        seen: &Arc<Seen>,
    ) -> Result<(reqwest::Client, Lease)> {
        let mut open = self.open.lock();
        if let Some(Opened { http, generation }) = open.get(&pool) {
            return Ok((http.clone(), Lease { pool, generation: *generation }));
        }
        let http = build(options, &pool, Arc::clone(seen))?;
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        open.insert(pool.clone(), Opened { http: http.clone(), generation });
        Ok((http, Lease { pool, generation }))
    }

    /// Keeps the connections of `lease` from later requests; requests that are under way keep theirs.
    ///
    /// A server that went silent on one connection may have lost it, and all others of the same time with it: behind a
    /// NAT that forgot them, for example. Over HTTP/2, a retry would even use the same connection.
    pub(crate) fn discard(&self, lease: &Lease) {
        let mut open = self.open.lock();
        if open.get(&lease.pool).is_some_and(|opened| opened.generation == lease.generation) {
            open.remove(&lease.pool);
            tracing::debug!("connections discarded after a timeout");
        }
    }
}

fn build(options: &ClientOptions, pool: &Pool, seen: Arc<Seen>) -> Result<reqwest::Client> {
    let own = pool.directory.as_deref().map_or_else(|| Ok(Certificates::default()), certificates::read)?;
    let tls = if pool.secure {
        tls::configure(options, pool.certificate, &own, (pool.http2, pool.unverified))?
    } else {
        tls::none()?
    };
    let failed = |error: reqwest::Error| Error::new(Kind::Other, "failed to set up HTTP").with_source(error);
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(&options.user_agent)
        .redirect(Policy::none())
        .referer(false)
        .dns_resolver(Resolver { seen, guard: pool.guard.clone() })
        .connect_timeout(options.connect_timeout);
    builder = if pool.http2 {
        let ping = (options.idle_timeout / 4).clamp(PING_INTERVALS.0, PING_INTERVALS.1);
        // Pings are sent while a request waits, so that a connection without one costs nothing.
        builder
            .http2_prior_knowledge()
            .http2_max_header_list_size(MAX_HEADER_LIST)
            .http2_keep_alive_interval(ping)
            .http2_keep_alive_timeout(ping)
    } else {
        builder.http1_only().http1_max_headers(MAX_HEADER_FIELDS)
    };
    if pool.direct {
        builder = builder.no_proxy();
    }
    if let Some(socks) = &pool.socks {
        builder = builder.no_proxy().proxy(reqwest::Proxy::all(socks.clone()).map_err(failed)?);
    }
    if let Some(rule) = pool.rule.and_then(|rule| options.resolve.get(rule)) {
        builder = builder.resolve(&rule.host, (rule.address, rule.address_port).into()).no_proxy();
    }
    builder.build().map_err(failed)
}
