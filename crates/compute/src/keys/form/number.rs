//! Integers and decimals of any length up to [`MAX_DIGITS`].

use crate::keys::limits::MAX_DIGITS;

/// An integer may have a fraction of zeros (`5.00`, as decimals and spreadsheets have it). An exponent it may not have: that is what
/// a spreadsheet makes of a long id after it has lost its last digits.
pub(super) fn integer(key: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if key.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        return None;
    }
    decimal(key, out)?;
    (!out.contains(&b'.')).then_some(())
}

/// `[+-] digits [. digits] [e [+-] digits]` without exponent, leading and trailing zeros.
pub(super) fn decimal(key: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (negative, key) = signed(key);
    let (mantissa, exponent) = match key.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (key.get(..at)?, small(key.get(at + 1..)?)?),
        None => (key, 0),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (mantissa.get(..at)?, mantissa.get(at + 1..)?),
        None => (mantissa, &[][..]),
    };
    let digits = || whole.iter().chain(fraction);
    if whole.is_empty() && fraction.is_empty() || !digits().all(u8::is_ascii_digit) {
        return None;
    }
    let length = digits().count();
    // Zeros in front and behind say nothing; what is left stands `before` places before the point.
    let leading = digits().take_while(|digit| **digit == b'0').count();
    if leading == length {
        out.push(b'0');
        return Some(());
    }
    let trailing = digits().rev().take_while(|digit| **digit == b'0').count();
    let digits = digits().skip(leading).take(length - leading - trailing);
    let count = i64::try_from(length - leading - trailing).ok()?;
    let before = i64::try_from(whole.len()).ok()? + exponent - i64::try_from(leading).ok()?;
    let most = i64::try_from(MAX_DIGITS).ok()?;
    if count.max(before).max(count - before) > most {
        return None;
    }
    if negative {
        out.push(b'-');
    }
    if before <= 0 {
        out.extend_from_slice(b"0.");
        out.extend((before..0).map(|_| b'0'));
    }
    for (place, digit) in (0..).zip(digits) {
        if place == before && before > 0 {
            out.push(b'.');
        }
        out.push(*digit);
    }
    out.extend((count..before).map(|_| b'0'));
    Some(())
}

fn signed(key: &[u8]) -> (bool, &[u8]) {
    match key {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

/// An exponent of up to three digits.
fn small(key: &[u8]) -> Option<i64> {
    let (negative, digits) = signed(key);
    if digits.is_empty() || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0, |value, digit| 10 * value + i64::from(digit - b'0'));
    Some(if negative { -value } else { value })
}
