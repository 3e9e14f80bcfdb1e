//! `xsd:duration` (XML Schema 1.1 §3.3.6), strictly: `P60M` is sixty months, sixty minutes are `PT60M`.
//!
//! Never negative here: a usage period that runs backwards is refused. ODRL's own notes write `P60M` for minutes;
//! the grammar wins, and [`Span::looks_like_minutes`] lets editors warn.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Months, Utc};

use crate::time::Time;

/// Months and a rest in milliseconds: the two do not convert into each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    months: u32,
    ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a duration as xsd:duration writes it, for example P30D, P6M (months) or PT60M (minutes)"
)]
pub struct BadSpan;

impl Span {
    pub fn days(days: u32) -> Self {
        Self { months: 0, ms: u64::from(days) * 86_400_000 }
    }

    pub fn parse(text: &str) -> Result<Self, BadSpan> {
        let rest = text.strip_prefix('P').ok_or(BadSpan)?;
        let (date, time) = match rest.split_once('T') {
            Some((_, "")) => return Err(BadSpan),
            Some((date, time)) => (date, time),
            None => (rest, ""),
        };
        if date.is_empty() && time.is_empty() {
            return Err(BadSpan);
        }
        let mut months = 0_u64;
        let mut ms = 0_u64;
        let mut add = |to_months: bool, number: u64, factor: u64| {
            let slot = if to_months { &mut months } else { &mut ms };
            *slot = number.checked_mul(factor).and_then(|n| slot.checked_add(n)).ok_or(BadSpan)?;
            Ok(())
        };
        let date = part(date, 'Y', |n| add(true, n, 12))?;
        let date = part(date, 'M', |n| add(true, n, 1))?;
        let date = part(date, 'D', |n| add(false, n, 86_400_000))?;
        let time = part(time, 'H', |n| add(false, n, 3_600_000))?;
        let time = part(time, 'M', |n| add(false, n, 60_000))?;
        let time = seconds(time, |n| add(false, n, 1))?;
        if !date.is_empty() || !time.is_empty() {
            return Err(BadSpan);
        }
        Ok(Self { months: u32::try_from(months).map_err(|_| BadSpan)?, ms })
    }

    /// Calendar months first, then the rest (XML Schema 1.1 §E.3.3); clamped at the last writable instant.
    pub fn after(self, start: Time) -> Time {
        let moved = DateTime::<Utc>::from_timestamp_millis(start.ms())
            .and_then(|it| it.checked_add_months(Months::new(self.months)))
            .map_or(i64::MAX, |it| it.timestamp_millis());
        Time::from_ms(moved).after(Duration::from_millis(self.ms))
    }

    pub(super) fn new(months: u32, ms: u64) -> Self {
        Self { months, ms }
    }

    /// No shorter than it is from any start: months count as their longest.
    pub(super) fn longest(self) -> Duration {
        let months = u64::from(self.months).saturating_mul(31 * 86_400_000);
        Duration::from_millis(months.saturating_add(self.ms))
    }

    pub(super) fn months(self) -> u32 {
        self.months
    }

    /// Without the months.
    pub(super) fn ms(self) -> u64 {
        self.ms
    }

    /// Whether it ends no later than `other`, wherever both begin. Months and days compare each with their own.
    pub fn at_most(self, other: Self) -> bool {
        self.months <= other.months && self.ms <= other.ms
    }

    pub fn is_zero(self) -> bool {
        self.months == 0 && self.ms == 0
    }

    /// `P60M`: legal, five years, and most likely meant as an hour.
    pub fn looks_like_minutes(text: &str) -> bool {
        text.strip_prefix('P')
            .and_then(|t| t.strip_suffix('M'))
            .is_some_and(|n| n.parse::<u32>().is_ok_and(|n| n > 12))
    }

    /// In words, for sentences.
    pub fn words(self, zh: bool) -> String {
        let parts = [
            (u64::from(self.months / 12), "年", "years"),
            (u64::from(self.months % 12), "个月", "months"),
            (self.ms / 86_400_000, "天", "days"),
            (self.ms / 3_600_000 % 24, "小时", "hours"),
            (self.ms / 60_000 % 60, "分钟", "minutes"),
            (self.ms / 1000 % 60, "秒", "seconds"),
            (self.ms % 1000, "毫秒", "milliseconds"),
        ];
        let said: Vec<String> = parts
            .into_iter()
            .filter(|(n, ..)| *n > 0)
            .map(
                |(n, z, e)| if zh { format!("{n} {z}") } else { format!("{n} {}", singular(n, e)) },
            )
            .collect();
        match (said.is_empty(), zh) {
            (true, true) => "0 秒".to_owned(),
            (true, false) => "0 seconds".to_owned(),
            (false, _) => said.join(" "),
        }
    }
}

fn singular(n: u64, word: &str) -> &str {
    if n == 1 { word.strip_suffix('s').unwrap_or(word) } else { word }
}

/// Takes `digits` + `letter` off the front when they are there.
fn part(
    text: &str,
    letter: char,
    mut add: impl FnMut(u64) -> Result<(), BadSpan>,
) -> Result<&str, BadSpan> {
    match text.split_once(letter) {
        Some((digits, rest))
            if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) =>
        {
            add(digits.parse().map_err(|_| BadSpan)?)?;
            Ok(rest)
        }
        _ => Ok(text),
    }
}

/// Seconds may have a fraction; below a millisecond nothing is told apart here, so it is refused.
fn seconds(text: &str, mut add: impl FnMut(u64) -> Result<(), BadSpan>) -> Result<&str, BadSpan> {
    let Some((whole, fraction)) = text.strip_suffix('S').and_then(|t| t.split_once('.')) else {
        return part(text, 'S', |n| add(n.checked_mul(1000).ok_or(BadSpan)?));
    };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return Err(BadSpan);
    }
    let whole: u64 = whole.parse().map_err(|_| BadSpan)?;
    let milli: u64 = format!("{fraction:0<3}").parse().map_err(|_| BadSpan)?;
    add(whole.checked_mul(1000).and_then(|n| n.checked_add(milli)).ok_or(BadSpan)?)?;
    Ok("")
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("PT0S");
        }
        f.write_str("P")?;
        for (n, letter) in [(u64::from(self.months), 'M'), (self.ms / 86_400_000, 'D')] {
            if n > 0 {
                write!(f, "{n}{letter}")?;
            }
        }
        let day = self.ms % 86_400_000;
        if day > 0 {
            f.write_str("T")?;
        }
        for (n, letter) in [(day / 3_600_000, 'H'), (day / 60_000 % 60, 'M')] {
            if n > 0 {
                write!(f, "{n}{letter}")?;
            }
        }
        match (day / 1000 % 60, day % 1000) {
            (0, 0) => Ok(()),
            (s, 0) => write!(f, "{s}S"),
            (s, ms) => write!(f, "{s}.{ms:03}S"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_follow_xml_schema() {
        let start = Time::parse("2026-01-31T00:00:00Z").unwrap();
        for (text, end) in [
            ("P60M", Some("2031-01-31T00:00:00.000Z")),
            ("PT60M", Some("2026-01-31T01:00:00.000Z")),
            ("P1M", Some("2026-02-28T00:00:00.000Z")),
            ("P1Y2M3DT4H5M6.5S", Some("2027-04-03T04:05:06.500Z")),
            ("P30D", Some("2026-03-02T00:00:00.000Z")),
            ("PT0S", Some("2026-01-31T00:00:00.000Z")),
            ("P99999M", Some("9999-12-31T23:59:59.999Z")),
            ("", None),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("-P1D", None),
            ("P-1D", None),
            ("P1D2M", None),
            ("P1.5D", None),
            ("P1H", None),
            ("60 minutes", None),
            ("P99999999999999999999D", None),
            ("P18446744073709551615D", None),
            ("PT1.0001S", None),
            ("PT.5S", None),
        ] {
            let span = Span::parse(text);
            assert_eq!(span.map(|s| s.after(start).to_string()).ok().as_deref(), end, "{text}");
            if let Ok(span) = span {
                assert_eq!(Span::parse(&span.to_string()), Ok(span), "{text}");
            }
        }
        assert!(
            Span::looks_like_minutes("P60M")
                && !Span::looks_like_minutes("P3M")
                && !Span::looks_like_minutes("PT60M")
        );
    }
}
