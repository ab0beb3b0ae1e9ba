//! The other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use super::connection_activity::ConnectionActivity;

/// The other end of the connection on which a request arrived.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) activity: Arc<ConnectionActivity>,
}
