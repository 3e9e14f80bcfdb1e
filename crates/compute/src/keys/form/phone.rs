//! Telephone numbers in E.164. A number without a country is one of mainland China; one without an area is none, since it is not
//! known where it rings.

/// Digits of a number with its country, after E.164.
const LENGTHS: std::ops::RangeInclusive<usize> = 7..=15;

pub(super) fn normal(key: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (plus, key) = match key {
        [b'+', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut digits = Vec::with_capacity(key.len());
    for &byte in key {
        match byte {
            b'0'..=b'9' => digits.push(byte),
            b' ' | b'-' | b'(' | b')' | b'.' | b'/' | b'\t' => {}
            _ => return None,
        }
    }
    let abroad = if plus { Some(&digits[..]) } else { digits.strip_prefix(b"00") };
    match abroad {
        Some([b'8', b'6', national @ ..]) => {
            mainland(national.strip_prefix(b"0").unwrap_or(national), out)
        }
        Some(number) if LENGTHS.contains(&number.len()) && number.first() != Some(&b'0') => {
            out.push(b'+');
            out.extend_from_slice(number);
            Some(())
        }
        Some(_) => None,
        None => match digits.as_slice() {
            [b'8', b'6', mobile @ ..] if is_mobile(mobile) => mainland(mobile, out),
            [b'0', national @ ..] => mainland(national, out),
            number if is_mobile(number) || is_service(number) => mainland(number, out),
            _ => None,
        },
    }
}

/// A number without its leading zero.
fn mainland(number: &[u8], out: &mut Vec<u8>) -> Option<()> {
    // Areas have two digits (10, 2x) or three, numbers in them seven or eight.
    let landline = match number {
        [b'1', b'0', ..] | [b'2', ..] => matches!(number.len(), 9 | 10),
        [b'3'..=b'9', ..] => matches!(number.len(), 10 | 11),
        _ => false,
    };
    if !(landline || is_mobile(number)) {
        return None;
    }
    out.extend_from_slice(b"+86");
    out.extend_from_slice(number);
    Some(())
}

fn is_mobile(number: &[u8]) -> bool {
    matches!(number, [b'1', b'3'..=b'9', rest @ ..] if rest.len() == 9)
}

/// 400 and 800 numbers, dialled without a zero.
fn is_service(number: &[u8]) -> bool {
    number.len() == 10 && (number.starts_with(b"400") || number.starts_with(b"800"))
}
