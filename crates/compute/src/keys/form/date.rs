//! Dates of the common calendar. A time behind a date is read over: the date counts as it is written, in its own zone.

use super::{DAY, MONTH, YEAR};

/// `2024-01-02`, `2024/1/2`, `2024.1.2`, `20240102`, `2024年1月2日`, each with or without a time.
pub(super) fn normal(key: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = key;
    let year = digits(&mut rest, 4, 4)?;
    let (month, day) = if rest.first()?.is_ascii_digit() {
        (digits(&mut rest, 2, 2)?, digits(&mut rest, 2, 2)?)
    } else {
        let first = byte(&mut rest)?;
        let month = digits(&mut rest, 1, 2)?;
        let second = byte(&mut rest)?;
        let day = digits(&mut rest, 1, 2)?;
        let chinese = (first, second) == (YEAR, MONTH);
        if chinese && byte(&mut rest)? != DAY {
            return None;
        }
        if !chinese && (first != second || !matches!(first, b'-' | b'/' | b'.')) {
            return None;
        }
        (month, day)
    };
    if !(rest.is_empty() || time(rest)) || year == 0 || day == 0 || day > days(year, month)? {
        return None;
    }
    for (value, width) in [(year, 1000), (month, 10), (day, 10)] {
        if width == 10 {
            out.push(b'-');
        }
        let powers = std::iter::successors(Some(width), |power| (*power > 1).then_some(power / 10));
        out.extend(powers.map(|power| b'0' + u8::try_from(value / power % 10).unwrap_or(0)));
    }
    Some(())
}

/// `T` or spaces, `HH:MM`, perhaps seconds, their fraction and a zone.
fn time(rest: &[u8]) -> bool {
    let mut rest = match rest {
        [b'T' | b't', rest @ ..] => rest,
        [b' ', rest @ ..] => rest.trim_ascii_start(),
        _ => return false,
    };
    clock(&mut rest).is_some() && rest.is_empty()
}

fn clock(rest: &mut &[u8]) -> Option<()> {
    let hour = digits(rest, 1, 2)?;
    let minute = after(rest, b':')?;
    if rest.first() == Some(&b':') {
        (after(rest, b':')? <= 60).then_some(())?;
        if rest.first() == Some(&b'.') {
            byte(rest)?;
            digits(rest, 1, 9)?;
        }
    }
    (hour < 24 && minute < 60).then_some(())?;
    match rest.trim_ascii_start() {
        [b'Z' | b'z'] => *rest = &[],
        [b'+' | b'-', zone @ ..] => {
            *rest = zone;
            digits(rest, 2, 2)?;
            if rest.first() == Some(&b':') {
                byte(rest)?;
            }
            if !rest.is_empty() {
                digits(rest, 2, 2)?;
            }
        }
        _ => {}
    }
    Some(())
}

fn after(rest: &mut &[u8], sign: u8) -> Option<u32> {
    (byte(rest)? == sign).then_some(())?;
    digits(rest, 2, 2)
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (&first, behind) = rest.split_first()?;
    *rest = behind;
    Some(first)
}

/// A number of `least` to `most` digits, at most nine; takes as many as there are.
fn digits(rest: &mut &[u8], least: usize, most: usize) -> Option<u32> {
    let count = rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    (count >= least)
        .then(|| number.iter().fold(0, |value, digit| 10 * value + u32::from(digit - b'0')))
}

fn days(year: u32, month: u32) -> Option<u32> {
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}
