//! The time, from a clock that tests can set.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The first and the last microsecond that RFC 3339 can write, counted as in [`Timestamp`].
const YEAR_0: i64 = -62_167_219_200_000_000;
const END_OF_YEAR_9999: i64 = 253_402_300_799_999_999;

/// An instant in UTC, in whole microseconds since 1970.
///
/// Both databases keep microseconds, so a time that is read back equals the time
/// that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates a timestamp from microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns the time from `earlier` to this timestamp, or zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Converts the timestamp to the type of the `time` crate. A time that RFC 3339 cannot write,
    /// such as PostgreSQL's `infinity`, becomes the nearest that it can.
    pub fn to_offset_date_time(self) -> OffsetDateTime {
        let micros = self.0.clamp(YEAR_0, END_OF_YEAR_9999);
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Formats the timestamp as RFC 3339, for instance `2026-11-22T09:30:00.123456Z`.
    pub fn to_rfc3339(self) -> String {
        self.to_offset_date_time()
            .format(&Rfc3339)
            .unwrap_or_default()
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        Self(i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX))
    }
}

/// The text is not a time as RFC 3339 writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time as in 2026-11-22T09:30:00Z")]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp)?;
        Ok(at.into())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(micros(later)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(micros(earlier)))
    }
}

/// A clock. All code that compares or stores times takes them from a clock that it is
/// given, so that a test can run two workers whose clocks differ.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Microseconds that this clock is ahead of the machine's. Its clones share it.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// Returns the machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self {
            ahead: Arc::new(AtomicI64::new(0)),
        }
    }

    /// Returns a clock that is behind the machine's by this much. For tests.
    #[must_use]
    pub fn behind(by: Duration) -> Self {
        let clock = Self::system();
        clock.ahead.fetch_sub(micros(by), Ordering::SeqCst);
        clock
    }

    /// Moves this clock and all its clones forward. For tests.
    pub fn advance(&self, by: Duration) {
        self.ahead.fetch_add(micros(by), Ordering::SeqCst);
    }

    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that reads the machine's clock"
        )]
        let machine = Timestamp::from(OffsetDateTime::now_utc());
        Timestamp(machine.0 + self.ahead.load(Ordering::SeqCst))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_rfc_3339_is_written_as_the_nearest() {
        for (micros, text) in [
            (i64::MIN, "0000-01-01T00:00:00Z"),
            (YEAR_0 - 1, "0000-01-01T00:00:00Z"),
            (0, "1970-01-01T00:00:00Z"),
            (END_OF_YEAR_9999 + 1, "9999-12-31T23:59:59.999999Z"),
            (i64::MAX, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).to_rfc3339(), text);
        }
    }

    #[test]
    fn a_clock_and_its_clones_move_together() {
        let clock = Clock::system();
        let clone = clock.clone();
        let before = clock.now();
        clock.advance(Duration::from_hours(1));
        assert!(clone.now() >= before + Duration::from_hours(1));
    }

    #[test]
    fn a_timestamp_is_formatted_as_rfc_3339_in_utc() {
        let at = Timestamp::from_micros(1_795_338_600_123_456);
        assert_eq!(at.to_rfc3339(), "2026-11-22T09:10:00.123456Z");
    }
}
