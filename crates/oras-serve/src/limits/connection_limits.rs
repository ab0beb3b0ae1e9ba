//! The limit of open connections, and the choice of the connection to close when it is reached.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::client_id::{ClientId, client_network};
use super::connection_activity::ConnectionActivity;

/// A connection on which bytes moved within this time is not closed for a new connection of the same client.
const ACTIVE: Duration = Duration::from_secs(1);
/// The minimum time between two "too many connections" lines in the log, so that a flood of clients does not fill it.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The open connections. When the limit is reached, a new connection replaces a connection of the client with the most
/// connections, so that one client can't lock out other clients by opening many connections.
pub(crate) struct ConnectionLimits {
    limit: usize,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    open: HashMap<u64, Connection>,
    next_number: u64,
    closed: u64,
    last_logged: Option<Instant>,
}

#[derive(Clone)]
struct Connection {
    network: IpAddr,
    activity: Arc<ConnectionActivity>,
    close: Arc<Notify>,
}

impl Connection {
    fn client(&self) -> ClientId {
        self.activity.user().map_or(ClientId::Network(self.network), |user| ClientId::User(user.into()))
    }
}

/// The slot of one connection, which is freed when it is dropped.
pub(crate) struct ConnectionSlot {
    limits: Arc<ConnectionLimits>,
    number: u64,
    pub(crate) activity: Arc<ConnectionActivity>,
    close: Arc<Notify>,
}

impl ConnectionSlot {
    /// Waits until the connection must close to make room for a new connection.
    pub(crate) async fn evicted(&self) {
        self.close.notified().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        // An evicted connection has no entry any more. Numbers are never reused, so this can't remove another one.
        self.limits.connections.lock().open.remove(&self.number);
    }
}

impl ConnectionLimits {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, connections: Mutex::default() }
    }

    /// Takes a slot for a connection from `address`. Returns `None` if the limit is reached and no connection may be
    /// closed: the client would have at least as many connections as any other client, and all candidates are active.
    pub(crate) fn acquire(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionSlot> {
        let network = client_network(address);
        let mut connections = self.connections.lock();
        if connections.open.len() >= self.limit {
            let victim = connections.victim(network);
            // Refused connections count as well: `victim` may be `None`.
            connections.closed += 1;
            connections.log(network, self.limit);
            let victim = connections.open.remove(&victim?)?;
            // The slot is free at once, and the closed connection ends a moment later. `notify_one` stores a permit, so
            // a connection that does not wait yet also sees it.
            victim.close.notify_one();
        }
        let number = connections.next_number;
        connections.next_number += 1;
        let activity = Arc::new(ConnectionActivity::new());
        let connection = Connection { network, activity, close: Arc::default() };
        connections.open.insert(number, connection.clone());
        drop(connections);
        let Connection { activity, close, .. } = connection;
        Some(ConnectionSlot { limits: Arc::clone(self), number, activity, close })
    }

    /// Returns the number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.connections.lock().open.len()
    }

    /// Returns how many connections were closed or refused because of the limit.
    pub(crate) fn closed(&self) -> u64 {
        self.connections.lock().closed
    }
}

impl Connections {
    /// Returns the connection to close, if there is one: the longest idle connection of the client with the most
    /// connections.
    fn victim(&self, newcomer: IpAddr) -> Option<u64> {
        // The user of a new connection is not known yet.
        let newcomer = ClientId::Network(newcomer);
        let mut counts = HashMap::<_, usize>::new();
        let open: Vec<_> =
            self.open.iter().map(|(number, open)| (*number, open.activity.last(), open.client())).collect();
        for (.., client) in &open {
            *counts.entry(client).or_default() += 1;
        }
        let most = counts.values().copied().max()?;
        let own = counts.get(&newcomer).copied().unwrap_or_default();
        // If the client of the new connection has the most connections, one of its own connections is closed.
        let of_most = open.iter().filter(|(.., client)| match own == most {
            true => *client == newcomer,
            false => counts.get(client) == Some(&most),
        });
        let (number, last, _) = of_most.min_by_key(|(number, last, _)| (*last, *number))?;
        // Closing an active connection is fair only if the client of the new connection then has fewer connections
        // than the other client had before.
        (own + 1 < most || last.elapsed() >= ACTIVE).then_some(*number)
    }

    fn log(&mut self, client: IpAddr, limit: usize) {
        if self.last_logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
            self.last_logged = Some(Instant::now());
            tracing::warn!(%client, limit, closed = self.closed, "too many connections");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn is_evicted(slot: &ConnectionSlot) -> bool {
        futures::FutureExt::now_or_never(slot.evicted()).is_some()
    }

    #[test]
    fn client_with_most_connections_makes_room() {
        let limits = Arc::new(ConnectionLimits::new(4));
        let [many, few, new] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(address);
        let held: Vec<_> = (0..3).map(|_| limits.acquire(many).unwrap()).collect();
        let other = limits.acquire(few).unwrap();
        // The one that has been idle for longest is closed.
        std::thread::sleep(Duration::from_millis(5));
        held[0].activity.record();
        other.activity.record();
        let slot = limits.acquire(new).unwrap();
        assert_eq!(held.iter().map(is_evicted).collect::<Vec<_>>(), [false, true, false]);
        assert!(!is_evicted(&other) && !is_evicted(&slot));
        assert_eq!((limits.open(), limits.closed()), (4, 1));
        // A new connection does not replace an active connection of the same client.
        assert!(limits.acquire(many).is_none());
        drop(held);
        assert_eq!(limits.open(), 2);
        assert!(limits.acquire(many).is_some());
    }

    #[test]
    fn users_behind_one_address_are_counted_separately() {
        let limits = Arc::new(ConnectionLimits::new(3));
        let proxy = address("10.0.0.1");
        let held: Vec<_> = (0..3).map(|_| limits.acquire(proxy).unwrap()).collect();
        assert!(limits.acquire(proxy).is_none(), "all are active");
        for slot in &held {
            slot.activity.set_user(Some("eve"));
        }
        assert!(limits.acquire(proxy).is_some(), "the newcomer may be another user");
        assert_eq!(held.iter().filter(|slot| is_evicted(slot)).count(), 1);
    }

    #[test]
    fn client_replaces_its_own_idle_connection() {
        let limits = Arc::new(ConnectionLimits::new(2));
        let client = address("2001:db8::1");
        let held = [limits.acquire(client).unwrap(), limits.acquire(address("2001:db8::2")).unwrap()];
        assert!(limits.acquire(address("2001:db8::3")).is_none(), "all are one client, and active");
        std::thread::sleep(ACTIVE);
        held[0].activity.record();
        assert!(limits.acquire(client).is_some());
        assert_eq!(held.each_ref().map(is_evicted), [false, true]);
    }

    #[test]
    fn client_with_equal_share_replaces_only_idle_connections() {
        let limits = Arc::new(ConnectionLimits::new(2));
        let held = ["10.0.0.1", "10.0.0.2"].map(|text| limits.acquire(address(text)).unwrap());
        assert!(limits.acquire(address("10.0.0.3")).is_none());
        std::thread::sleep(ACTIVE);
        held[1].activity.record();
        assert!(limits.acquire(address("10.0.0.3")).is_some());
        assert_eq!(held.each_ref().map(is_evicted), [true, false]);
    }
}
