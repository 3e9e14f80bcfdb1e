//! What one piece of text is, read strictly: a type is inferred only where nothing is lost.
//!
//! * integers: optional `-`, no leading zero, no `+`, at most 15 digits (more is an identifier);
//! * floats: at most 15 digits before the point; digits beyond a double's precision are rounded;
//! * dates: `2024-01-05`, `2024/1/5`, `2024年1月5日`. Day-first dates are ambiguous: text;
//! * timestamps: a date, `T` or space, `H:MM[:SS[.ffffff]]`, optionally `Z`, `+08:00`, `+0800`.
//!
//! Never panics and never allocates.

/// A value and its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01T00:00:00, no zone.
    Stamp(i64),
    /// Microseconds since 1970-01-01T00:00:00Z.
    StampUtc(i64),
    Text,
}

pub(crate) const DAY_US: i64 = 86_400_000_000;

/// Classifies text of a source without types (CSV). `digits`: longest integer that is a number.
pub(crate) fn classify(text: &str, digits: usize) -> Value {
    let Some(first) = text.as_bytes().first() else { return Value::Text };
    match first {
        b'0'..=b'9' | b'-' | b'.' => {
            number(text, digits).or_else(|| time(text)).unwrap_or(Value::Text)
        }
        b't' | b'T' if text.eq_ignore_ascii_case("true") => Value::Bool(true),
        b'f' | b'F' if text.eq_ignore_ascii_case("false") => Value::Bool(false),
        _ => Value::Text,
    }
}

/// A number by the rules above.
pub(crate) fn number(text: &str, max_digits: usize) -> Option<Value> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let whole = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let rest = unsigned.get(whole..)?;
    let leading_zero = whole > 1 && unsigned.starts_with('0');
    if leading_zero || whole > max_digits {
        return None;
    }
    if rest.is_empty() {
        let negative_zero = unsigned == "0" && unsigned.len() < text.len();
        return if whole == 0 || negative_zero { None } else { text.parse().ok().map(Value::Int) };
    }
    // Only `.`, digits and an exponent may follow; `parse` alone would also take "inf" or "nan".
    let fits =
        rest.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    let has_digit = whole > 0 || rest.as_bytes().get(1).is_some_and(|b| b.is_ascii_digit());
    if !fits || !has_digit {
        return None;
    }
    text.parse::<f64>().ok().filter(|v| v.is_finite()).map(Value::Float)
}

/// A date or timestamp by the rules above.
pub(crate) fn time(text: &str) -> Option<Value> {
    if text.len() < 8 || text.len() > 48 {
        return None;
    }
    let mut scan = Scan(text);
    let year = scan.number(4, 4)?;
    let cn = scan.eat("年");
    let slash = !cn && scan.eat("/");
    if !cn && !slash && !scan.eat("-") {
        return None;
    }
    let month = scan.number(1, 2)?;
    if !scan.eat(if cn {
        "月"
    } else if slash {
        "/"
    } else {
        "-"
    }) {
        return None;
    }
    let day = scan.number(1, 2)?;
    if cn && !scan.eat("日") {
        return None;
    }
    let days = days(i32::try_from(year).ok()?, month, day)?;
    if scan.0.is_empty() {
        return Some(Value::Date(days));
    }
    if !scan.eat("T") && !scan.eat(" ") {
        return None;
    }
    let us = clock(&mut scan)?;
    let local = i64::from(days).checked_mul(DAY_US)?.checked_add(us)?;
    if scan.0.is_empty() {
        return Some(Value::Stamp(local));
    }
    let _space = scan.eat(" ");
    let offset = zone(&mut scan)?;
    scan.0.is_empty().then(|| Value::StampUtc(local.saturating_sub(offset)))
}

/// Days since 1970-01-01 of a calendar day.
pub(crate) fn days(year: i32, month: u32, day: u32) -> Option<i32> {
    let date = chrono::NaiveDate::from_ymd_opt(year, month, day)?;
    i32::try_from(date.signed_duration_since(chrono::NaiveDate::default()).num_days()).ok()
}

fn clock(scan: &mut Scan<'_>) -> Option<i64> {
    let hour = scan.number(1, 2).filter(|h| *h < 24)?;
    if !scan.eat(":") {
        return None;
    }
    let minute = scan.number(2, 2).filter(|m| *m < 60)?;
    let mut us = (i64::from(hour) * 3600 + i64::from(minute) * 60) * 1_000_000;
    if scan.eat(":") {
        let second = scan.number(2, 2).filter(|s| *s < 60)?;
        us += i64::from(second) * 1_000_000;
        if scan.eat(".") {
            us += scan.fraction()?;
        }
    }
    Some(us)
}

fn zone(scan: &mut Scan<'_>) -> Option<i64> {
    if scan.eat("Z") || scan.eat("z") {
        return Some(0);
    }
    let sign = if scan.eat("+") {
        1
    } else if scan.eat("-") {
        -1
    } else {
        return None;
    };
    let hours = scan.number(2, 2).filter(|h| *h <= 14)?;
    let minutes = if scan.eat(":") || !scan.0.is_empty() {
        scan.number(2, 2).filter(|m| *m < 60)?
    } else {
        0
    };
    Some(sign * (i64::from(hours) * 60 + i64::from(minutes)) * 60_000_000)
}

struct Scan<'a>(&'a str);

impl Scan<'_> {
    fn eat(&mut self, token: &str) -> bool {
        let rest = self.0.strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn number(&mut self, min: usize, max: usize) -> Option<u32> {
        let digits = self.0.bytes().take(max).take_while(u8::is_ascii_digit).count();
        let (text, rest) = self.0.split_at_checked(digits).filter(|_| digits >= min)?;
        self.0 = rest;
        text.parse().ok()
    }

    /// Digits after the point as microseconds. Finer ones would be lost: not a timestamp.
    fn fraction(&mut self) -> Option<i64> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (text, rest) = self.0.split_at_checked(digits).filter(|_| (1..=9).contains(&digits))?;
        self.0 = rest;
        let mut us = 0i64;
        for (i, digit) in text.bytes().enumerate() {
            if i < 6 {
                us = us * 10 + i64::from(digit - b'0');
            } else if digit != b'0' {
                return None;
            }
        }
        Some((digits..6).fold(us, |us, _| us * 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_strictly() {
        const T: Value = Value::Text;
        let day = |y, m, d| days(y, m, d).unwrap();
        let us = |y, m, d, s: f64| {
            i64::from(day(y, m, d)) * DAY_US + (s * 1e6).round().to_string().parse::<i64>().unwrap()
        };
        let table = [
            ("0", Value::Int(0)),
            ("-7", Value::Int(-7)),
            ("007", T),
            ("-0", T),
            ("+5", T),
            ("1 000", T),
            ("-", T),
            (".", T),
            ("123456789012345", Value::Int(123_456_789_012_345)),
            ("1234567890123456", T),
            ("110101199003070011", T),
            ("0.5", Value::Float(0.5)),
            (".5", Value::Float(0.5)),
            ("1.", Value::Float(1.0)),
            ("00.5", T),
            ("1e5", Value::Float(1e5)),
            ("1e999", T),
            ("1.2.3", T),
            ("e5", T),
            ("-.e", T),
            ("1-2", T),
            ("NaN", T),
            ("inf", T),
            ("-inf", T),
            ("0x10", T),
            ("91110000802100433B", T),
            ("true", Value::Bool(true)),
            ("FALSE", Value::Bool(false)),
            ("t", T),
            ("2024-01-05", Value::Date(day(2024, 1, 5))),
            ("2024/1/5", Value::Date(day(2024, 1, 5))),
            ("2024年1月5日", Value::Date(day(2024, 1, 5))),
            ("2024-02-30", T),
            ("2024-13-01", T),
            ("05/01/2024", T),
            ("2024-1/5", T),
            ("2024-01-05T", T),
            ("20240105", Value::Int(20_240_105)),
            ("2024-01-05 08:30", Value::Stamp(us(2024, 1, 5, 30_600.0))),
            ("2024-01-05T08:30:01.5", Value::Stamp(us(2024, 1, 5, 30_601.5))),
            ("2024-01-05T08:30:00Z", Value::StampUtc(us(2024, 1, 5, 30_600.0))),
            ("2024-01-05 08:30:00+08:00", Value::StampUtc(us(2024, 1, 5, 1_800.0))),
            ("2024-01-05 08:30:00 +0800", Value::StampUtc(us(2024, 1, 5, 1_800.0))),
            ("2024-01-05 08:30:00-03", Value::StampUtc(us(2024, 1, 5, 41_400.0))),
            ("2024-01-05 24:00:00", T),
            ("2024-01-05 08:30:00.123456789", T),
            ("2024-01-05 08:30:00.123456000", Value::Stamp(us(2024, 1, 5, 30_600.123_456))),
            ("2024-01-05 08:30:00+99:00", T),
            ("", T),
            ("值", T),
            ("1值", T),
        ];
        for (text, expected) in table {
            assert_eq!(classify(text, 15), expected, "{text}");
        }
    }
}
