//! A fair share of the connections for every client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// A connection on which something moved within this time is not closed for another one of the same client.
const ACTIVE: Duration = Duration::from_secs(1);
/// How often it is told that there are too many connections.
const TOLD: Duration = Duration::from_secs(1);

/// The connections that are open. When there are as many as may be, a new one takes the place of one of the client that has the
/// most, so that nobody can keep others out by opening many.
pub(crate) struct Shares {
    limit: usize,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Connection>,
    next: u64,
    closed: u64,
    told: Option<Instant>,
}

#[derive(Clone)]
struct Connection {
    client: IpAddr,
    activity: Arc<Activity>,
    close: Arc<Notify>,
}

/// When something last moved on a connection, and what of a request.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    began: Option<Instant>,
    /// In milliseconds since then.
    last: AtomicU64,
    /// Bytes of the head that is coming, with what came before of a handshake.
    head: AtomicUsize,
    is_body: AtomicBool,
    /// Whether the connection ends with a part of a body that nobody reads.
    is_unread: AtomicBool,
    /// The user who sent the last request.
    user: Mutex<Option<String>>,
}

/// The longest head of a request. hyper would take 400 KiB, as it buffers as much of a body, which is fast; but that many from
/// every connection are too many.
const MAX_HEAD: usize = 32 * 1024;

impl Activity {
    /// Something moves.
    pub(crate) fn note(&self) {
        let since = self.began.map_or(0, |began| began.elapsed().as_millis());
        self.last.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts bytes that came, unless they are a body's; `false` if the head was too long before. What comes at once may be a
    /// head with much of its body.
    pub(crate) fn takes(&self, bytes: usize) -> bool {
        self.is_body.load(Ordering::Relaxed) || self.head.fetch_add(bytes, Ordering::Relaxed) < MAX_HEAD
    }

    /// A head has ended; a body comes next, or another head.
    pub(crate) fn begin(&self, is_body: bool) {
        self.head.store(0, Ordering::Relaxed);
        self.is_body.store(is_body, Ordering::Relaxed);
    }

    /// Notes who sent the request that is answered now.
    pub(crate) fn set_user(&self, user: Option<&str>) {
        *self.user.lock() = user.map(ToOwned::to_owned);
    }

    fn user(&self) -> Option<String> {
        self.user.lock().clone()
    }

    /// Notes that the rest of a body is not read.
    pub(crate) fn leave_unread(&self) {
        self.is_unread.store(true, Ordering::Relaxed);
    }

    /// Returns true if the client may still be sending a body that nobody reads.
    pub(crate) fn has_unread(&self) -> bool {
        self.is_unread.load(Ordering::Relaxed)
    }
}

/// Who has connections: a user, or the address of a client that has not logged in.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Owner {
    User(String),
    Address(IpAddr),
}

impl Connection {
    fn owner(&self) -> Owner {
        self.activity.user().map_or(Owner::Address(self.client), Owner::User)
    }
}

/// The place of one connection, given up when it is dropped.
pub(crate) struct Place {
    shares: Arc<Shares>,
    number: u64,
    pub(crate) activity: Arc<Activity>,
    close: Arc<Notify>,
}

impl Place {
    /// Ready when another client needs the place.
    pub(crate) async fn taken(&self) {
        self.close.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shares.state().open.remove(&self.number);
    }
}

impl Shares {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, began: Instant::now(), state: Mutex::default() }
    }

    /// A place for a connection from `address`. `None` if its client has the most, or would have as many, and all are in use.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let client = client(address);
        let mut state = self.state();
        if state.open.len() >= self.limit {
            let victim = self.victim(&state, client);
            state.closed += 1;
            self.tell(&mut state, client);
            let victim = state.open.remove(&victim?)?;
            victim.close.notify_one();
        }
        let number = state.next;
        state.next += 1;
        let activity = Arc::new(Activity { began: Some(self.began), ..Activity::default() });
        activity.note();
        let connection = Connection { client, activity, close: Arc::default() };
        state.open.insert(number, connection.clone());
        drop(state);
        let Connection { activity, close, .. } = connection;
        Some(Place { shares: Arc::clone(self), number, activity, close })
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.state().open.len()
    }

    /// Connections that were closed or refused because there were too many.
    pub(crate) fn closed(&self) -> u64 {
        self.state().closed
    }

    /// The connection of the client with the most on which nothing has moved for longest, if that may be closed.
    fn victim(&self, state: &State, newcomer: IpAddr) -> Option<u64> {
        let newcomer = Owner::Address(newcomer);
        let mut counts = HashMap::<_, usize>::new();
        let owned: Vec<_> = state.open.iter().map(|(number, open)| (*number, open, open.owner())).collect();
        for (.., owner) in &owned {
            *counts.entry(owner).or_default() += 1;
        }
        let most = counts.values().copied().max()?;
        let own = counts.get(&newcomer).copied().unwrap_or_default();
        let is_own = own == most;
        let last = |connection: &Connection| connection.activity.last.load(Ordering::Relaxed);
        let of_most = owned.iter().filter(|(.., owner)| match is_own {
            true => *owner == newcomer,
            false => counts.get(owner) == Some(&most),
        });
        let (number, connection, _) =
            of_most.min_by_key(|(number, connection, _)| (last(connection), *number))?;
        let idle = self.began.elapsed().saturating_sub(Duration::from_millis(last(connection)));
        // Who would have as many itself does not push out what is in use.
        (own + 1 < most || idle >= ACTIVE).then_some(*number)
    }

    fn tell(&self, state: &mut State, client: IpAddr) {
        if state.told.is_none_or(|told| told.elapsed() >= TOLD) {
            state.told = Some(Instant::now());
            tracing::warn!(%client, limit = self.limit, closed = state.closed, "too many connections");
        }
    }

    /// Never held across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// What is one client: an IPv4 address, or the 64 bits of an IPv6 address that one network has to itself.
pub(crate) fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(bits.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn is_taken(place: &Place) -> bool {
        futures::FutureExt::now_or_never(place.taken()).is_some()
    }

    #[test]
    fn who_has_the_most_makes_room_and_nobody_else() {
        let shares = Arc::new(Shares::new(4));
        let [many, few, new] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(address);
        let held: Vec<_> = (0..3).map(|_| shares.enter(many).unwrap()).collect();
        let other = shares.enter(few).unwrap();
        // The one that says nothing for longest goes.
        std::thread::sleep(Duration::from_millis(5));
        held[0].activity.note();
        other.activity.note();
        let place = shares.enter(new).unwrap();
        assert_eq!(held.iter().map(is_taken).collect::<Vec<_>>(), [false, true, false]);
        assert!(!is_taken(&other) && !is_taken(&place));
        assert_eq!((shares.open(), shares.closed()), (4, 1));
        // Its own client doesn't push out what it is using.
        assert!(shares.enter(many).is_none());
        drop(held);
        assert_eq!(shares.open(), 2);
        assert!(shares.enter(many).is_some());
    }

    #[test]
    fn users_behind_one_address_are_told_apart() {
        let shares = Arc::new(Shares::new(3));
        let proxy = address("10.0.0.1");
        let held: Vec<_> = (0..3).map(|_| shares.enter(proxy).unwrap()).collect();
        assert!(shares.enter(proxy).is_none(), "all are in use");
        for place in &held {
            place.activity.set_user(Some("eve"));
        }
        assert!(shares.enter(proxy).is_some(), "the newcomer may be somebody else");
        assert_eq!(held.iter().filter(|place| is_taken(place)).count(), 1);
    }

    #[test]
    fn what_its_own_client_does_not_use_makes_room() {
        let shares = Arc::new(Shares::new(2));
        let client = address("2001:db8::1");
        let held = [shares.enter(client).unwrap(), shares.enter(address("2001:db8::2")).unwrap()];
        assert!(shares.enter(address("2001:db8::3")).is_none(), "all are one client, and in use");
        std::thread::sleep(ACTIVE);
        held[0].activity.note();
        assert!(shares.enter(client).is_some());
        assert_eq!(held.each_ref().map(is_taken), [false, true]);
    }

    #[test]
    fn where_all_have_the_same_nobody_pushes_out_what_is_in_use() {
        let shares = Arc::new(Shares::new(2));
        let held = ["10.0.0.1", "10.0.0.2"].map(|text| shares.enter(address(text)).unwrap());
        assert!(shares.enter(address("10.0.0.3")).is_none());
        std::thread::sleep(ACTIVE);
        held[1].activity.note();
        assert!(shares.enter(address("10.0.0.3")).is_some());
        assert_eq!(held.each_ref().map(is_taken), [true, false]);
    }

    #[test]
    fn heads_are_short_and_bodies_are_not() {
        let activity = Activity::default();
        assert!(activity.takes(MAX_HEAD) && !activity.takes(1));
        activity.begin(true);
        assert!(activity.takes(10 * MAX_HEAD));
        activity.begin(false);
        assert!(activity.takes(1) && activity.takes(MAX_HEAD) && !activity.takes(1));
    }

    #[test]
    fn a_client_is_an_address_or_a_network() {
        assert_eq!(client(address("::ffff:10.0.0.1")), address("10.0.0.1"));
        assert_eq!(client(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
        assert_ne!(client(address("2001:db8:1:2::1")), client(address("2001:db8:1:3::1")));
    }
}
