//! The selection of files of an artifact.

use std::fmt;
use std::sync::Arc;

use oras_spec::Descriptor;

/// A filter for the files of an artifact. The default selects all files. [`PullOptions::selector`](crate::PullOptions)
/// and [`open_file`](fn@crate::open_file) use it.
#[derive(Clone)]
pub struct Selector(Arc<dyn Fn(&Descriptor) -> bool + Send + Sync>);

impl Selector {
    /// Selects the files for whose layer `wants` returns true.
    pub fn new(wants: impl Fn(&Descriptor) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(wants))
    }

    /// Returns true if the file of this layer is selected.
    pub fn wants(&self, layer: &Descriptor) -> bool {
        (self.0)(layer)
    }
}

impl Default for Selector {
    fn default() -> Self {
        Self::new(|_| true)
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Selector")
    }
}
