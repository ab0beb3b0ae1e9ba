//! Sends from a blocking thread to a channel, with a timeout.
//!
//! A thread must not wait without limit for a slow receiver: the thread pool is limited, and a server has slow clients.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

/// How long a thread waits for room in the channel. A much shorter time would end and restart the thread for receivers
/// that are only slightly slow.
const SEND_TIMEOUT: Duration = Duration::from_millis(200);

/// The outcome of [`send_timeout`].
pub(crate) enum SendOutcome<T> {
    /// The item is in the channel.
    Sent,
    /// The channel stayed full. The caller gets the item back.
    TimedOut(T),
    /// The receiver is closed.
    Closed,
}

/// Sends `item`, and waits up to [`SEND_TIMEOUT`] for room. Blocks the thread, and works without the timer of a
/// runtime.
pub(crate) fn send_timeout<T>(sender: &mpsc::Sender<T>, item: T) -> SendOutcome<T> {
    let item = match sender.try_send(item) {
        Ok(()) => return SendOutcome::Sent,
        Err(mpsc::error::TrySendError::Closed(_)) => return SendOutcome::Closed,
        Err(mpsc::error::TrySendError::Full(item)) => item,
    };
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    // Waits until half of the channel is free. Otherwise the receiver would wake the thread for every single item.
    let mut room = pin!(sender.reserve_many(sender.max_capacity().div_ceil(2)));
    let deadline = Instant::now() + SEND_TIMEOUT;
    loop {
        match room.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(Ok(mut permits)) => {
                // Dropping the unused permits returns their room to the channel.
                let Some(permit) = permits.next() else { return SendOutcome::TimedOut(item) };
                permit.send(item);
                return SendOutcome::Sent;
            }
            Poll::Ready(Err(_)) => return SendOutcome::Closed,
            Poll::Pending => {}
        }
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return SendOutcome::TimedOut(item);
        }
        thread::park_timeout(remaining);
    }
}

/// A waker that unparks a thread.
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
    fn waits_for_room_until_the_timeout() {
        let (sender, mut receiver) = mpsc::channel(1);
        assert!(matches!(send_timeout(&sender, 1), SendOutcome::Sent));
        assert!(matches!(send_timeout(&sender, 2), SendOutcome::TimedOut(2)));
        let taker = thread::spawn(move || {
            thread::sleep(SEND_TIMEOUT / 10);
            let taken = receiver.blocking_recv();
            (taken, receiver)
        });
        assert!(matches!(send_timeout(&sender, 3), SendOutcome::Sent));
        let (taken, receiver) = taker.join().unwrap();
        assert_eq!(taken, Some(1));
        drop(receiver);
        assert!(matches!(send_timeout(&sender, 4), SendOutcome::Closed));
    }
}
