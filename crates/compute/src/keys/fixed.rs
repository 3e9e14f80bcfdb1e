//! Numbers with a fixed number of decimals, as they stand in lists. Never rounds: a number that does not fit is refused.

/// The number in units of 10^-`decimals`; nothing is zero. Why not, where it is none.
pub fn fixed(text: &[u8], decimals: u32, bound: u64) -> Result<i64, &'static str> {
    const NONE: &str = "is no number";
    let text = text.trim_ascii();
    if text.is_empty() {
        return Ok(0);
    }
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    let (whole, rest) = digits.split_at_checked(point).ok_or(NONE)?;
    let part = rest.strip_prefix(b".").unwrap_or(rest);
    if whole.is_empty() && part.is_empty() || rest == b"." {
        return Err(NONE);
    }
    let part = part.strip_suffix(b"0").map_or(part, |_| {
        let end = part.iter().rposition(|byte| *byte != b'0').map_or(0, |at| at + 1);
        part.get(..end).unwrap_or(part)
    });
    if [whole, part].into_iter().flatten().any(|byte| !byte.is_ascii_digit()) {
        return Err(NONE);
    }
    let missing = usize::try_from(decimals).unwrap_or(0).checked_sub(part.len());
    let missing = missing.ok_or("has more decimals than are summed up")?;
    const LARGE: &str = "is too large to be summed up over so many rows";
    let mut value: u64 = 0;
    let zeros = std::iter::repeat_n(&b'0', missing);
    for digit in whole.iter().chain(part).chain(zeros) {
        let digit = u64::from(digit - b'0');
        value = value.checked_mul(10).and_then(|it| it.checked_add(digit)).ok_or(LARGE)?;
    }
    let value = i64::try_from(value).ok().filter(|it| it.unsigned_abs() <= bound).ok_or(LARGE)?;
    Ok(if negative { -value } else { value })
}

/// The other way round.
pub fn decimal(value: i64, decimals: u32) -> String {
    let digits = usize::try_from(decimals).unwrap_or(0);
    let text = format!("{:0>width$}", value.unsigned_abs(), width = digits + 1);
    let (whole, part) = text.split_at(text.len() - digits);
    let sign = if value < 0 { "-" } else { "" };
    let point = if digits > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_or_refused() {
        let most = u64::MAX >> 1;
        for (text, decimals, value) in [
            ("", 2, Some(0)),
            (" 12.5 ", 2, Some(1250)),
            ("-0.01", 2, Some(-1)),
            ("+7", 0, Some(7)),
            (".5", 1, Some(5)),
            ("1.500000", 1, Some(15)),
            ("1.25", 1, None),
            ("1.", 1, None),
            (".", 1, None),
            ("-", 1, None),
            ("1e3", 1, None),
            ("1,5", 1, None),
            ("１", 1, None),
            ("9223372036854775807", 0, Some(i64::MAX)),
            ("9223372036854775808", 0, None),
            ("99999999999999999999999999", 0, None),
            ("--1", 0, None),
        ] {
            assert_eq!(fixed(text.as_bytes(), decimals, most).ok(), value, "{text:?}");
        }
        assert_eq!((fixed(b"-10", 0, 10), fixed(b"11", 0, 10).is_err()), (Ok(-10), true));
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        for (value, decimals, text) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (-1, 2, "-0.01"),
            (1250, 2, "12.50"),
            (7, 0, "7"),
            (i64::MIN, 3, "-9223372036854775.808"),
        ] {
            assert_eq!(decimal(value, decimals), text);
        }
    }
}
