use proptest::prelude::*;

use super::*;

#[test]
fn units_are_read_whole_or_not() {
    for (text, canonical) in [
        ("sensor;1", Some("sensor;1")),
        (" 工号 ; 12 ", Some("工号;12")),
        ("s;3;temp:0.1:-40:120.5,p:1:0:500", Some("s;3;temp:0.1:-40:120.5,p:1:0:500")),
        ("s;3;temp:0.1:-0.0:7.10", None),
        ("s;3;temp:0.1:-0.0:7.1", Some("s;3;temp:0.1:0:7.1")),
        ("s;3;p:100:-300:200", Some("s;3;p:100:-300:200")),
        ("s;3;s:1:0:1", Some("s;3;s:1:0:1")),
        ("s;3;p:100:-350:200", None),
        ("s;3;p:1:5:4", None),
        ("s;3;p:1:0:0", None),
        ("s;3;p:1:0", None),
        ("s;3;p:1:0:1:2", None),
        ("s;3;p:1:0:1,p:1:0:2", None),
        ("s;3;p:2:0:10", None),
        ("s;3;p:1:0:1e3", None),
        ("s;3;p:1:0:+3", None),
        ("s;3;p:1:0:1000000000000000", None),
        ("s;3;p:0.000000001:0:999999999999999", None),
        ("s;3;", None),
        ("s;0", None),
        ("s;-1", None),
        ("s;18446744073709551616", None),
        ("s", None),
        ("", None),
        (";1", None),
        ("s;1;;", None),
        ("a:b;1", None),
        ("a\u{7};1", None),
    ] {
        let it = Unit::parse(text);
        assert_eq!(it.as_ref().map(ToString::to_string).as_deref(), canonical, "{text}");
    }
    let many: Vec<String> = (0..=MATCH_PARTS).map(|i| format!("c{i}:1:0:1")).collect();
    assert_eq!(Unit::parse(&format!("s;1;{}", many.join(","))), None);
    assert_eq!(Unit::parse(&format!("{};1", "x".repeat(MATCH_COLUMN_BYTES + 1))), None);
}

#[test]
fn epsilon_is_never_rounded() {
    for (text, micro) in [
        ("1", Some(1_000_000)),
        ("1.0", Some(1_000_000)),
        ("0.1", Some(100_000)),
        ("0.000001", Some(1)),
        ("100", Some(EPSILON_BUDGET)),
        ("100.000001", None),
        ("0.0000001", None),
        ("0", None),
        ("-1", None),
        ("1e-1", None),
        (".1", None),
        ("1.", None),
        ("NaN", None),
        ("inf", None),
        ("", None),
    ] {
        let it = Epsilon::parse(text);
        assert_eq!(it.map(Epsilon::micro), micro, "{text}");
        assert!(it.is_none_or(|it| Epsilon::parse(&it.to_string()) == Some(it)), "{text}");
    }
    assert_eq!(micro_text(0), "0");
    assert_eq!(micro_text(1_050_000), "1.05");
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "[ab:;,0-9. -]{0,30}") {
        if let Some(it) = Unit::parse(&text) {
            prop_assert_eq!(Unit::parse(&it.to_string()), Some(it));
        }
        if let Some(it) = Epsilon::parse(&text) {
            prop_assert_eq!(Epsilon::parse(&it.to_string()), Some(it));
        }
    }
}
