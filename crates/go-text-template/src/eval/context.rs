//! The clock and the local time zone of a rendering.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::datetime::time::Time;
use crate::datetime::zone::Zone;

/// The clock and the local time zone, which date functions read.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    pub(crate) local: Zone,
}

impl Default for Context {
    fn default() -> Self {
        Self { clock: Arc::new(SystemTime::now), local: Zone::Local }
    }
}

impl Context {
    /// Returns the current time in the local zone.
    pub(crate) fn now(&self) -> Time {
        Time::from_system((self.clock)(), self.local.clone())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("local", &self.local).finish_non_exhaustive()
    }
}
