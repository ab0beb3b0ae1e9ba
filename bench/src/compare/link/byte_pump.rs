//! Forwards the bytes of one direction of one connection, at full speed or slowed down.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use super::ledger::{Ledger, Verdict, Way};
use super::requests::Requests;
use super::{Pace, Plan};

const PIECE: usize = 64 * 1024;
/// The queue length of a slow link in pieces. It exceeds what is in transit at the rate and delay of the
/// link.
const UNDER_WAY: usize = 256;

/// One direction of a connection.
pub(super) struct Pump<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) run: u64,
    pub(super) way: Way,
}

impl Pump<'_> {
    /// Forwards bytes until one side closes or the connection is cut.
    pub(super) fn run(&self, from: &TcpStream, to: &TcpStream, plan: &Plan) {
        match plan.pace {
            None => self.pass_on(from, |piece| (&*to).write_all(piece).is_ok()),
            Some(pace) => self.run_slowly(from, to, pace),
        }
        // The other direction stays open. A peer that is already closed needs no shutdown, so an error is
        // ignored.
        let _ = to.shutdown(Shutdown::Write);
    }

    /// Reads, counts and forwards bytes until `deliver` reports that the receiver closed the connection.
    fn pass_on(&self, mut from: &TcpStream, mut deliver: impl FnMut(&[u8]) -> bool) {
        let mut requests = Requests::default();
        let mut piece = vec![0; PIECE];
        loop {
            let Ok(length @ 1..) = from.read(&mut piece) else { return };
            let verdict = self.ledger.account(self.run, self.way, length);
            let passing = match verdict {
                Verdict::Pass => length,
                Verdict::CutAfter(passing) => passing,
                Verdict::Stale => return,
            };
            if self.way == Way::Up {
                requests.feed(&piece[..passing], |method| self.ledger.count_request(self.run, method));
            }
            let delivered = deliver(&piece[..passing]);
            // The bytes before the cut point are forwarded before the connections are cut.
            if verdict != Verdict::Pass {
                self.ledger.cut(self.run);
                return;
            }
            if !delivered {
                // The sender sees a closed connection.
                let _ = from.shutdown(Shutdown::Read);
                return;
            }
        }
    }

    /// One thread accepts bytes at the rate of the link. The other thread delivers them after the delay of
    /// the link.
    fn run_slowly(&self, from: &TcpStream, to: &TcpStream, pace: Pace) {
        let (entrance, exit) = sync_channel(UNDER_WAY);
        std::thread::scope(|scope| {
            scope.spawn(move || let_out(to, &exit));
            // Opening a connection takes one round trip.
            let mut free_at = Instant::now() + pace.round_trip;
            self.pass_on(from, |piece| {
                free_at = free_at.max(Instant::now()) + pace.time_for(piece.len());
                std::thread::sleep(free_at.saturating_duration_since(Instant::now()));
                entrance.send((free_at + pace.round_trip / 2, piece.to_vec())).is_ok()
            });
            drop(entrance);
        });
    }
}

fn let_out(mut to: &TcpStream, exit: &Receiver<(Instant, Vec<u8>)>) {
    for (due, piece) in exit {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            return;
        }
    }
}

impl Pace {
    fn time_for(self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64)
    }
}
