//! Instants as certificates and collateral write them, in seconds since 1970 (UTC). Must never ask a clock.

use crate::der::{Element, GENERALIZED_TIME, UTC_TIME};

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
pub(crate) fn of_der(it: Element<'_>) -> Option<u64> {
    let (year, rest) = match it.tag {
        UTC_TIME => {
            let (year, rest) = it.content.split_first_chunk::<2>()?;
            let year = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = it.content.split_first_chunk::<4>()?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let [m1, m2, d1, d2, h1, h2, n1, n2, s1, s2, b'Z'] = *rest else { return None };
    instant(year, [[m1, m2], [d1, d2], [h1, h2], [n1, n2], [s1, s2]])
}

/// `YYYY-MM-DDTHH:MM:SSZ`, the one form of RFC 3339 that Intel writes.
pub(crate) fn of_text(text: &str) -> Option<u64> {
    let (year, rest) = text.as_bytes().split_first_chunk::<4>()?;
    let [b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'Z'] = *rest else {
        return None;
    };
    instant(number(year)?, [[m1, m2], [d1, d2], [h1, h2], [n1, n2], [s1, s2]])
}

fn instant(year: u64, parts: [[u8; 2]; 5]) -> Option<u64> {
    let mut values = [0; 5];
    for (value, part) in values.iter_mut().zip(parts) {
        *value = number(&part)?;
    }
    let [month, day, hour, minute, second] = values;
    let divides = |n: u64| year.is_multiple_of(n);
    let leap = (divides(4) && !divides(100)) || divides(400);
    let february = if leap { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    let fits = (1..=*months.get(index)?).contains(&day)
        && year >= 1970
        && hour < 24
        && minute < 60
        && second < 60;
    let leaps = |before: u64| before / 4 - before / 100 + before / 400;
    let years = (year.checked_sub(1970)?) * 365 + leaps(year - 1) - leaps(1969);
    let days = years + months.iter().take(index).sum::<u64>() + day.checked_sub(1)?;
    fits.then_some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit.wrapping_sub(b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::{Element, GENERALIZED_TIME, UTC_TIME, of_der, of_text};

    #[test]
    fn instants() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T23:59:59Z", Some(951_868_799)),
            ("2025-06-19T10:56:11Z", Some(1_750_330_571)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("2100-02-29T00:00:00Z", None),
            ("2025-13-01T00:00:00Z", None),
            ("2025-00-01T00:00:00Z", None),
            ("2025-01-00T00:00:00Z", None),
            ("2025-01-01T24:00:00Z", None),
            ("2025-01-01T00:00:60Z", None),
            ("1969-12-31T23:59:59Z", None),
            ("0000-01-01T00:00:00Z", None),
            ("2025-06-19T10:56:11", None),
            ("2025-06-19 10:56:11Z", None),
            ("2025-06-19T10:56:1+Z", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(of_text(text), expected, "{text}");
        }
        let der = |tag, text: &'static str| {
            let content = text.as_bytes();
            of_der(Element { tag, content, whole: content })
        };
        assert_eq!(der(UTC_TIME, "250619105611Z"), Some(1_750_330_571));
        assert_eq!(der(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(der(GENERALIZED_TIME, "20250619105611Z"), Some(1_750_330_571));
        assert_eq!(der(GENERALIZED_TIME, "250619105611Z"), None);
        assert_eq!(der(UTC_TIME, "2506191056Z"), None);
    }
}
