//! A mutex that a panic does not poison.

use std::sync::{MutexGuard, PoisonError};

/// A [`std::sync::Mutex`] that can be locked also after a thread panicked while it held the lock.
///
/// For values that are consistent after each single change, such as a set or a counter. `parking_lot` has such a mutex,
/// too, but it adds five crates to programs that only use layouts.
///
/// ```
/// use oras_fs::Mutex;
///
/// let seen = Mutex::new(Vec::new());
/// seen.lock().push("sha256:44136fa355b3");
/// assert_eq!(seen.lock().len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Makes an unlocked mutex with this value.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Waits for the lock. It is released when the guard is dropped.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_after_a_panic() {
        let mutex = Mutex::new(1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut value = mutex.lock();
            *value += 1;
            panic!("while the lock is held");
        }));
        assert!(panicked.is_err());
        assert_eq!(*mutex.lock(), 2);
    }
}
