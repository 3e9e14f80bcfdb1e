//! Points in time and spans, without a clock.
//!
//! Never asks what time it is: `now` is an argument everywhere (see `clippy.toml`).

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

/// Milliseconds since 1970-01-01T00:00:00Z, at most year 9999.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(i64);

/// 9999-12-31T23:59:59.999Z: the last instant RFC 3339 can write.
const LAST_MS: i64 = 253_402_300_799_999;

impl Time {
    pub const ZERO: Self = Self(0);

    /// Clamped into what RFC 3339 can write.
    pub const fn from_ms(ms: i64) -> Self {
        Self(if ms < 0 {
            0
        } else if ms > LAST_MS {
            LAST_MS
        } else {
            ms
        })
    }

    pub fn ms(self) -> i64 {
        self.0
    }

    pub fn seconds(self) -> i64 {
        self.0 / 1000
    }

    /// RFC 3339 with a zone; a time without a zone is refused (ODRL: "time zone strongly recommended").
    pub fn parse(text: &str) -> Result<Self, BadTime> {
        let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| BadTime)?;
        let ms = parsed.timestamp_millis();
        if (0..=LAST_MS).contains(&ms) { Ok(Self(ms)) } else { Err(BadTime) }
    }

    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_ms(self.0.saturating_add(ms))
    }

    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_ms(self.0.saturating_sub(ms))
    }

    /// How long from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it: DateTime<Utc> = DateTime::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&it.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time with a zone as RFC 3339 writes it, for example 2026-06-30T00:00:00Z")]
pub struct BadTime;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_need_a_zone_and_round_trip() {
        let it = Time::parse("2026-06-30T08:00:00+08:00").unwrap();
        assert_eq!(it.to_string(), "2026-06-30T00:00:00.000Z");
        assert_eq!(Time::parse(&it.to_string()), Ok(it));
        for bad in [
            "2026-06-30T08:00:00",
            "2026-06-30",
            "",
            "99999-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(Time::parse(bad), Err(BadTime), "{bad}");
        }
    }

    #[test]
    fn arithmetic_never_wraps() {
        assert_eq!(Time::from_ms(LAST_MS).after(Duration::from_secs(1)).ms(), LAST_MS);
        assert_eq!(Time::ZERO.since(Time::from_ms(5)), Duration::ZERO);
    }
}
