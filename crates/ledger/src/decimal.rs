//! The one decimal notation of all C2SP texts: ASCII digits, no sign, no leading zero.
//! Must never accept a second spelling of a number: signed bytes would have two meanings.

/// `None` unless `text` is exactly what formatting the number would give.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let canonical = !text.is_empty()
        && text.bytes().all(|it| it.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// As [`parse`], at most `max`.
pub(crate) fn parse_up_to(text: &str, max: u64) -> Option<u64> {
    parse(text).filter(|&it| it <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_per_number() {
        for good in [0, 1, 10, 255, u64::MAX] {
            assert_eq!(parse(&good.to_string()), Some(good));
        }
        for bad in [
            "",
            "00",
            "01",
            "+1",
            "-0",
            "-1",
            " 1",
            "1 ",
            "1\r",
            "1_0",
            "٣",
            "18446744073709551616",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(parse_up_to("11", 10), None);
    }
}
