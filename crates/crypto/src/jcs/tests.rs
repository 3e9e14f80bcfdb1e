use proptest::prelude::*;
use serde_json::json;

use super::*;

fn text(value: &Value) -> String {
    String::from_utf8(canonical(value).unwrap()).unwrap()
}

#[test]
fn rfc8785_section_3_2_2_and_3_2_3() {
    let input = r#"{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    assert_eq!(
        text(&parse(input.as_bytes()).unwrap()),
        "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
         \"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
    );

    let sorting = json!({
        "\u{20ac}": "Euro Sign", "\r": "Carriage Return",
        "\u{fb33}": "Hebrew Letter Dalet With Dagesh", "1": "One",
        "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control",
        "\u{f6}": "Latin Small Letter O With Diaeresis"
    });
    let order: Vec<usize> =
        ["Carriage Return", "One", "Control", "Latin Small", "Euro Sign", "Emoji", "Hebrew"]
            .iter()
            .map(|name| text(&sorting).find(name).unwrap())
            .collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn rfc8785_appendix_b_numbers() {
    let cases: &[(u64, &str)] = &[
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ];
    for (bits, expected) in cases {
        assert_eq!(es6(f64::from_bits(*bits)), *expected, "{bits:016x}");
    }
}

#[test]
fn integers_a_double_cannot_hold_are_refused() {
    for good in [9_007_199_254_740_992_i64, -9_007_199_254_740_992, 1 << 62, i64::MIN] {
        assert!(canonical(&json!(good)).is_ok(), "{good}");
    }
    // 5.240507514111106e18 and 1.8446744073709552e19, as ECMAScript writes them.
    for good in ["5240507514111106000", "18446744073709552000", "-9007199254740994000"] {
        let value = parse(good.as_bytes()).unwrap();
        assert_eq!(canonical(&value).as_deref(), Ok(good.as_bytes()));
    }
    for bad in [json!(9_007_199_254_740_993_i64), json!(i64::MAX), json!(u64::MAX)] {
        assert_eq!(canonical(&bad), Err(BadJson::Number), "{bad}");
    }
}

#[test]
fn parse_refuses_what_readers_would_disagree_on() {
    for bad in [
        &b"{\"a\":1,\"a\":2}"[..],
        b"[{\"a\":{\"b\":1,\"\\u0062\":2}}]",
        b"{} {}",
        b"[1,]",
        b"NaN",
        b"1e999",
        b"\"\\ud800\"",
        b"\"\xff\"",
        b"",
        b"\xef\xbb\xbf{}",
    ] {
        assert!(matches!(parse(bad), Err(BadJson::Syntax(_))), "{bad:?}");
    }
    assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    assert_eq!(parse(&vec![b' '; JSON_MAX_BYTES + 1]), Err(BadJson::TooLarge(JSON_MAX_BYTES)));
    assert_eq!(parse_within(b"[1]", 2), Err(BadJson::TooLarge(2)));
    assert!(
        parse_within(&[&vec![b' '; JSON_MAX_BYTES][..], b"1"].concat(), 2 * JSON_MAX_BYTES).is_ok()
    );
}

#[test]
fn depth_is_bounded() {
    let mut value = json!(0);
    for _ in 0..=JSON_MAX_DEPTH {
        value = json!([value]);
    }
    assert_eq!(canonical(&value), Err(BadJson::TooDeep));
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |it| Number::from_f64(it).map(Value::Number)),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((any::<String>(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Canonical text is a fixed point: reading and writing it again changes nothing.
    #[test]
    fn fixed_point(value in values()) {
        let once = canonical(&value).unwrap();
        let again = canonical(&parse(&once).unwrap()).unwrap();
        prop_assert_eq!(once, again);
    }

    /// Every finite double reads back as itself, minus zero aside.
    #[test]
    fn doubles_read_back(bits in any::<u64>()) {
        let double = f64::from_bits(bits);
        prop_assume!(double.is_finite());
        prop_assert_eq!(es6(double).parse::<f64>().unwrap(), double);
    }
}
