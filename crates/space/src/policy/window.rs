//! Hours of a week: `Mon-Fri 08:00/18:00+08:00`, `22:00/06:00Z` (over midnight), `Sat,Sun 00:00/24:00Z`.
//!
//! A fixed zone is part of the text: no zone database is at hand, and a window without a zone would mean another
//! one at each reader. Never read leniently: one spelling, so that printing it gives it back.

use std::fmt;

use crate::time::Time;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY: i64 = 24 * 60;

/// From `from` to before `to`, minutes of the local day, on the days of `days` (bit 0: Monday; the day it begins).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    days: u8,
    from: u16,
    to: u16,
    /// Minutes east of UTC.
    zone: i16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not hours of a week such as \"Mon-Fri 08:00/18:00+08:00\"")]
pub struct BadWindow;

impl Window {
    pub fn parse(text: &str) -> Result<Self, BadWindow> {
        let (days, hours) = match text.split_once(' ') {
            Some((days, hours)) => (read_days(days)?, hours),
            None => (0x7f, text),
        };
        let (from, rest) = hours.split_once('/').ok_or(BadWindow)?;
        let (to, zone) = rest.split_at_checked(5).ok_or(BadWindow)?;
        let it = Self { days, from: clock(from)?, to: clock(to)?, zone: read_zone(zone)? };
        // An empty window would be a prohibition in disguise.
        if it.from == it.to || it.from == 1440 { Err(BadWindow) } else { Ok(it) }
    }

    pub fn holds(self, now: Time) -> bool {
        let local = now.seconds().div_euclid(60) + i64::from(self.zone);
        let (day, minute) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        // 1970-01-01 was a Thursday.
        let on = |day: i64| self.days >> (day + 3).rem_euclid(7) & 1 == 1;
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from < to {
            return on(day) && (from..to).contains(&minute);
        }
        (on(day) && minute >= from) || (on(day - 1) && minute < to)
    }

    /// The first instant after `now` at which it begins or ceases to hold; `None`: it always holds.
    pub fn changes_after(self, now: Time) -> Option<Time> {
        let zone = i64::from(self.zone);
        let today = (now.seconds().div_euclid(60) + zone).div_euclid(DAY);
        let holds = self.holds(now);
        // What it says repeats each week; in between it changes at its two times of day only.
        let days = (today - 1..=today + 8).flat_map(|day| {
            let mut times = [self.from, self.to].map(|it| day * DAY + i64::from(it) - zone);
            times.sort_unstable();
            times
        });
        let times = days.map(|minute| Time::from_ms(minute.saturating_mul(60_000)));
        times.filter(|it| *it > now).find(|it| self.holds(*it) != holds)
    }
}

fn read_days(text: &str) -> Result<u8, BadWindow> {
    let day = |name: &str| DAYS.iter().position(|it| *it == name).ok_or(BadWindow);
    let mut all = 0_u8;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        if first > last {
            return Err(BadWindow);
        }
        for it in first..=last {
            if all >> it & 1 == 1 {
                return Err(BadWindow);
            }
            all |= 1 << it;
        }
    }
    Ok(all)
}

fn clock(text: &str) -> Result<u16, BadWindow> {
    let two = |t: &str| {
        let ok = t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
        ok.then(|| t.parse::<u16>().ok()).flatten().ok_or(BadWindow)
    };
    let (hours, minutes) = text.split_once(':').ok_or(BadWindow)?;
    let all = two(hours)? * 60 + two(minutes)?;
    if text.len() == 5 && two(minutes)? < 60 && all <= 1440 { Ok(all) } else { Err(BadWindow) }
}

fn read_zone(text: &str) -> Result<i16, BadWindow> {
    if text == "Z" {
        return Ok(0);
    }
    let (sign, rest) = text.split_at_checked(1).ok_or(BadWindow)?;
    let minutes = i16::try_from(clock(rest)?).map_err(|_| BadWindow)?;
    match sign {
        _ if minutes > 14 * 60 || minutes == 0 => Err(BadWindow),
        "+" => Ok(minutes),
        "-" => Ok(-minutes),
        _ => Err(BadWindow),
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != 0x7f {
            let on: Vec<&str> =
                (0..7).filter(|it| self.days >> it & 1 == 1).map(|it| DAYS[it]).collect();
            write!(f, "{} ", on.join(","))?;
        }
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{}/{}", clock(self.from), clock(self.to))?;
        match self.zone {
            0 => f.write_str("Z"),
            it if it < 0 => write!(f, "-{}", clock(it.unsigned_abs())),
            it => write!(f, "+{}", clock(it.unsigned_abs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn windows_hold_in_their_own_zone() {
        // 2026-06-01 is a Monday.
        for (text, at, holds) in [
            ("Mon-Fri 08:00/18:00+08:00", "2026-06-01T00:00:00Z", true),
            ("Mon-Fri 08:00/18:00+08:00", "2026-06-01T09:59:59Z", true),
            ("Mon-Fri 08:00/18:00+08:00", "2026-06-01T10:00:00Z", false),
            ("Mon-Fri 08:00/18:00+08:00", "2026-05-31T23:59:59Z", false),
            ("Sat,Sun 00:00/24:00Z", "2026-05-31T23:59:59Z", true),
            ("Sat,Sun 00:00/24:00Z", "2026-06-01T00:00:00Z", false),
            ("Mon 22:00/06:00Z", "2026-06-02T05:59:00Z", true),
            ("Mon 22:00/06:00Z", "2026-06-01T05:59:00Z", false),
            ("22:00/06:00-05:00", "2026-06-01T03:00:00Z", true),
            ("22:00/06:00-05:00", "2026-06-01T12:00:00Z", false),
        ] {
            let window = Window::parse(text).unwrap();
            assert_eq!(window.holds(Time::parse(at).unwrap()), holds, "{text} {at}");
        }
        for bad in [
            "",
            "08:00/18:00",
            "8:00/18:00Z",
            "08:00/18:00+0800",
            "08:00-18:00Z",
            "Fri-Mon 08:00/18:00Z",
            "Mon,Mon 08:00/18:00Z",
            "mon 08:00/18:00Z",
            "08:60/18:00Z",
            "24:00/18:00Z",
            "08:00/08:00Z",
            "08:00/24:01Z",
            "08:00/18:00+15:00",
            "08:00/18:00+00:00",
            "  08:00/18:00Z",
            "08:00/18:0é",
            "P7D",
        ] {
            assert_eq!(Window::parse(bad), Err(BadWindow), "{bad}");
        }
    }

    #[test]
    fn ends_of_windows() {
        for (text, at, end) in [
            ("Mon-Fri 08:00/18:00+08:00", "2026-06-01T00:00:00Z", Some("2026-06-01T10:00:00Z")),
            ("Mon-Fri 08:00/18:00+08:00", "2026-06-05T10:00:00Z", Some("2026-06-08T00:00:00Z")),
            ("Sat,Sun 00:00/24:00Z", "2026-05-30T12:00:00Z", Some("2026-06-01T00:00:00Z")),
            ("Mon 22:00/06:00Z", "2026-06-01T23:59:59.999Z", Some("2026-06-02T06:00:00Z")),
            ("22:00/06:00-05:00", "2026-06-01T03:00:00Z", Some("2026-06-01T11:00:00Z")),
            ("Sun 00:00/24:00Z", "2026-06-01T00:00:00Z", Some("2026-06-07T00:00:00Z")),
            ("00:00/24:00Z", "2026-06-01T12:00:00Z", None),
        ] {
            let end = end.map(|it| Time::parse(it).unwrap());
            let window = Window::parse(text).unwrap();
            assert_eq!(window.changes_after(Time::parse(at).unwrap()), end, "{text} {at}");
        }
    }

    proptest! {
        /// The same answer at every instant up to the change, the other one at it, in whatever zone.
        #[test]
        fn nothing_changes_before_the_change(
            days in 1_u8..=0x7f, from in 0_u16..1440, to in 0_u16..=1440, zone in -840_i16..=840,
            now in 864_000_000_i64..2_000_000_000_000, within in 0.0..1.0_f64,
        ) {
            prop_assume!(from != to);
            let it = Window { days, from, to, zone };
            let now = Time::from_ms(now);
            let holds = it.holds(now);
            let end = it.changes_after(now);
            // A week and a day are looked at whole where it never changes.
            let last = end.map_or_else(|| now.ms() + 8 * 86_400_000, Time::ms);
            prop_assert!(last > now.ms());
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a week")]
            let inside = now.ms() + ((last - 1 - now.ms()) as f64 * within) as i64;
            prop_assert_eq!(it.holds(Time::from_ms(inside)), holds);
            prop_assert_eq!(it.holds(Time::from_ms(last - 1)), holds);
            prop_assert!(end.is_none_or(|end| it.holds(end) != holds));
        }

        #[test]
        fn printing_gives_it_back(
            days in 1_u8..=0x7f, from in 0_u16..1440, to in 0_u16..=1440, zone in -840_i16..=840,
        ) {
            prop_assume!(from != to);
            let it = Window { days, from, to, zone };
            prop_assert_eq!(Window::parse(&it.to_string()), Ok(it));
        }
    }
}
