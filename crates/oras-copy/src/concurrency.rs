//! The number of transfers at the same time.

use std::num::NonZeroUsize;

/// How many transfers run at the same time. All verbs and options use this type, so that a default means the same
/// everywhere.
///
/// The default depends on the work: the copy engine chooses by size, with few large and many small transfers; requests
/// without content use a small fixed number. A number is an upper limit for both.
///
/// ```
/// use oras_copy::{Concurrency, CopyOptions};
///
/// let options = CopyOptions::default().concurrency(3);
/// assert_eq!(options.concurrency, Concurrency::from(3));
/// assert_eq!(Concurrency::from(0), Concurrency::default());
/// assert_eq!(Concurrency::default().get_or(5), 5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Concurrency(Option<NonZeroUsize>);

impl Concurrency {
    /// Returns the chosen number, or `default` if none was chosen.
    pub fn get_or(self, default: usize) -> usize {
        self.0.map_or(default, NonZeroUsize::get)
    }
}

/// Zero is the default.
impl From<usize> for Concurrency {
    fn from(count: usize) -> Self {
        Self(NonZeroUsize::new(count))
    }
}
