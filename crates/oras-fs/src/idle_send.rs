//! Handing over what a blocking thread read, without keeping the thread for a receiver that takes nothing: there are only
//! so many threads, and a server has slow clients.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

/// A thread waits so long for room.
const PATIENCE: Duration = Duration::from_millis(200);

/// What became of an item.
pub(super) enum Sent<T> {
    Taken,
    /// There is no room for it; whoever sends may rest.
    Waiting(T),
    /// Nobody receives any more.
    Gone,
}

/// Sends an item, waiting a little if there is no room; for a thread that may block. No timer of a runtime is needed.
pub(super) fn send<T>(sender: &mpsc::Sender<T>, item: T) -> Sent<T> {
    let item = match sender.try_send(item) {
        Ok(()) => return Sent::Taken,
        Err(mpsc::error::TrySendError::Closed(_)) => return Sent::Gone,
        Err(mpsc::error::TrySendError::Full(item)) => item,
    };
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    // Woken for every single place, a thread would do little else.
    let mut room = pin!(sender.reserve_many(sender.max_capacity().div_ceil(2)));
    let until = Instant::now() + PATIENCE;
    loop {
        match room.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(Ok(mut permits)) => {
                let Some(permit) = permits.next() else { return Sent::Waiting(item) };
                permit.send(item);
                return Sent::Taken;
            }
            Poll::Ready(Err(_)) => return Sent::Gone,
            Poll::Pending => {}
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Sent::Waiting(item);
        }
        thread::park_timeout(left);
    }
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_waits_for_room_but_not_for_ever() {
        let (sender, mut receiver) = mpsc::channel(1);
        assert!(matches!(send(&sender, 1), Sent::Taken));
        assert!(matches!(send(&sender, 2), Sent::Waiting(2)));
        let taker = thread::spawn(move || {
            thread::sleep(PATIENCE / 10);
            let taken = receiver.blocking_recv();
            (taken, receiver)
        });
        assert!(matches!(send(&sender, 3), Sent::Taken));
        let (taken, receiver) = taker.join().unwrap();
        assert_eq!(taken, Some(1));
        drop(receiver);
        assert!(matches!(send(&sender, 4), Sent::Gone));
    }
}
