//! Points in time.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::datetime::calendar::{from_days, to_days};
use crate::datetime::zone::Zone;

const SECONDS_PER_DAY: i64 = 86_400;

/// A point in time and the zone in which it is shown: Go's `time.Time`.
#[derive(Clone, Debug)]
pub struct Time {
    /// Seconds since 1970 in UTC.
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
    pub(crate) zone: Zone,
}

/// The date and time of day of a [`Time`] in its zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
    pub(crate) nanos: u32,
    /// From 0, Sunday.
    pub(crate) weekday: u32,
    /// From 1.
    pub(crate) year_day: u32,
    pub(crate) offset: i32,
    pub(crate) zone: Arc<str>,
}

impl Time {
    /// Go's zero time, the first second of the year 1.
    pub(crate) const ZERO: Self = Self { seconds: -62_135_596_800, nanos: 0, zone: Zone::Utc };

    pub(crate) fn from_system(time: SystemTime, zone: Zone) -> Self {
        let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => (since.as_secs() as i64, since.subsec_nanos()),
            Err(before) => {
                // Nanoseconds always count forward, so a time before 1970 borrows a second.
                let before = before.duration();
                let borrow = i64::from(before.subsec_nanos() > 0);
                let nanos = (1_000_000_000 - before.subsec_nanos()) % 1_000_000_000;
                (-(before.as_secs() as i64) - borrow, nanos)
            }
        };
        Self { seconds, nanos, zone }
    }

    pub(crate) fn in_zone(&self, zone: Zone) -> Self {
        Self { zone, ..self.clone() }
    }

    /// Returns the time that is later by `nanos` nanoseconds.
    pub(crate) fn add(&self, nanos: i64) -> Self {
        // Euclidean division keeps the nanoseconds positive for negative durations.
        let total = i64::from(self.nanos) + nanos.rem_euclid(1_000_000_000);
        let carry = nanos.div_euclid(1_000_000_000) + total / 1_000_000_000;
        Self {
            seconds: self.seconds.saturating_add(carry),
            nanos: (total % 1_000_000_000) as u32,
            zone: self.zone.clone(),
        }
    }

    /// Returns the nanoseconds since an earlier time, limited to the range of `i64` as in Go.
    pub(crate) fn since(&self, earlier: &Self) -> i64 {
        // The difference of two `i64` in nanoseconds fits `i128` only.
        let seconds = i128::from(self.seconds) - i128::from(earlier.seconds);
        let nanos = seconds * 1_000_000_000 + i128::from(self.nanos) - i128::from(earlier.nanos);
        nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Returns the date and time of day.
    pub(crate) fn civil(&self) -> Civil {
        let (offset, zone) = self.zone.offset(self.seconds);
        let local = self.seconds.saturating_add(offset.into());
        let days = local.div_euclid(SECONDS_PER_DAY);
        let second = local.rem_euclid(SECONDS_PER_DAY) as u32;
        let (year, month, day) = from_days(days);
        Civil {
            year,
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            nanos: self.nanos,
            // 1970-01-01 was a Thursday.
            weekday: (days + 4).rem_euclid(7) as u32,
            year_day: (days - to_days(year, 1, 1) + 1) as u32,
            offset,
            zone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_calendar() {
        assert_eq!(from_days(0), (1970, 1, 1));
        assert_eq!(from_days(to_days(2024, 2, 29)), (2024, 2, 29));
        assert_eq!(from_days(to_days(-1, 12, 31)), (-1, 12, 31));
        let zero = Time::ZERO.civil();
        assert_eq!((zero.year, zero.month, zero.day, zero.weekday, zero.year_day), (1, 1, 1, 1, 1));
    }

    #[test]
    fn adds_and_subtracts_durations() {
        let later = Time::ZERO.add(-1);
        assert_eq!((later.seconds, later.nanos), (Time::ZERO.seconds - 1, 999_999_999));
        assert_eq!(Time::ZERO.since(&later), 1);
    }
}
