use super::*;

/// `none` and `empty` stand for keys that have no normal form.
fn check(form: Form, ignore_case: bool, cases: &[(&str, &str)]) {
    for (raw, expected) in cases {
        let mut space = Vec::new();
        let found = match form.normal(ignore_case, raw.as_bytes(), &mut space) {
            Ok(key) => std::str::from_utf8(key).unwrap().to_owned(),
            Err(Why::Empty) => "empty".into(),
            Err(Why::Malformed) => "none".into(),
            Err(why) => format!("{why:?}"),
        };
        assert_eq!(found, *expected, "{} of {raw:?}", form.name());
    }
}

#[test]
fn texts() {
    check(
        Form::Text,
        false,
        &[
            ("330106199001011234", "330106199001011234"),
            ("  Ann \t Lee ", "Ann Lee"),
            ("ＡＢＣ１２３", "ABC123"),
            ("张　三", "张 三"),
            ("\u{3000}张三\u{a0}", "张三"),
            ("ﬁne", "fine"),
            ("e\u{301}", "é"),
            ("a\u{200b}b\u{feff}", "ab"),
            ("Ann", "Ann"),
            ("  \u{3000} ", "empty"),
            ("", "empty"),
            ("a\0b", "none"),
            ("a\u{85}b", "a b"),
            ("张\u{7}三", "none"),
        ],
    );
    check(
        Form::Text,
        true,
        &[
            ("Ann LEE", "ann lee"),
            ("ＡＢＣ", "abc"),
            ("ÄÖ", "äö"),
            ("33010619900101123X", "33010619900101123x"),
            ("İ", "i\u{307}"),
            ("Å", "å"),
        ],
    );
}

#[test]
fn exact_and_digits() {
    check(Form::Exact, false, &[(" a ", " a "), ("ＡＢ", "ＡＢ"), ("", "empty"), (" ", " ")]);
    check(
        Form::Digits,
        false,
        &[
            ("33010619900101123X", "33010619900101123"),
            ("３３０１-06", "330106"),
            ("No. 007/12", "00712"),
            ("第 12 号", "12"),
            ("号", "none"),
            (" \u{3000}", "empty"),
            ("abc", "none"),
        ],
    );
    let mut space = Vec::new();
    for form in [Form::Exact, Form::Text, Form::Digits, Form::Phone, Form::Date] {
        assert_eq!(form.normal(false, b"1\xff2", &mut space), Err(Why::Encoding));
        assert_eq!(form.normal(false, &[b'1'; MAX_KEY_BYTES + 1], &mut space), Err(Why::Long));
    }
    // One sign that NFKC makes eighteen: the bound holds behind the form too.
    let wide = "\u{fdfa}".repeat(MAX_KEY_BYTES / 3);
    assert_eq!(Form::Text.normal(false, wide.as_bytes(), &mut space), Err(Why::Long));
}

#[test]
fn phones() {
    check(
        Form::Phone,
        false,
        &[
            ("13812345678", "+8613812345678"),
            ("138 1234 5678", "+8613812345678"),
            ("138-1234-5678", "+8613812345678"),
            ("+86 138 1234 5678", "+8613812345678"),
            ("+86-13812345678", "+8613812345678"),
            ("008613812345678", "+8613812345678"),
            ("0086 (138) 1234-5678", "+8613812345678"),
            ("8613812345678", "+8613812345678"),
            ("013812345678", "+8613812345678"),
            ("＋８６１３８１２３４５６７８", "+8613812345678"),
            ("１３８—１２３４—５６７８", "+8613812345678"),
            ("010-12345678", "+861012345678"),
            ("+86 (0)10 1234 5678", "+861012345678"),
            ("(021) 6234 5678", "+862162345678"),
            ("0755-1234567", "+867551234567"),
            ("0571 87654321", "+8657187654321"),
            ("400-820-8820", "+864008208820"),
            ("+1 (212) 555-0100", "+12125550100"),
            ("0044 20 7946 0958", "+442079460958"),
            ("12345678901", "none"),
            ("1381234567", "none"),
            ("138123456789", "none"),
            ("+86 138 1234 567", "none"),
            ("87654321", "none"),
            ("95588", "none"),
            ("138123456x8", "none"),
            ("13812345678 转 1", "none"),
            ("+0123456789", "none"),
            ("--", "none"),
            (" ", "empty"),
        ],
    );
}

#[test]
fn dates() {
    check(
        Form::Date,
        false,
        &[
            ("2024-01-02", "2024-01-02"),
            ("2024/1/2", "2024-01-02"),
            ("2024.01.2", "2024-01-02"),
            ("20240102", "2024-01-02"),
            ("２０２４年１月２日", "2024-01-02"),
            (" 2024-1-2 ", "2024-01-02"),
            ("2024-02-29", "2024-02-29"),
            ("2000-02-29", "2000-02-29"),
            ("2024-01-02 23:59:59.5", "2024-01-02"),
            ("2024-01-02T00:00:00Z", "2024-01-02"),
            ("2024-01-02T07:30:00+08:00", "2024-01-02"),
            ("1900-02-29", "none"),
            ("2023-02-29", "none"),
            ("2024-13-01", "none"),
            ("2024-00-01", "none"),
            ("2024-04-31", "none"),
            ("0000-01-01", "none"),
            ("24-01-02", "none"),
            ("2024-1/2", "none"),
            ("2024年1月2", "none"),
            ("2024-01-02日", "none"),
            ("2024-01-02x", "none"),
            ("2024-01-02 24:00", "none"),
            ("2024-01-02 12", "none"),
            ("202401021", "none"),
            ("02-01-2024", "none"),
            ("2024-01", "none"),
            ("", "empty"),
        ],
    );
}

#[test]
fn numbers() {
    check(
        Form::Integer,
        false,
        &[
            ("007", "7"),
            ("+42", "42"),
            ("-042", "-42"),
            ("-0", "0"),
            ("000", "0"),
            ("１２", "12"),
            ("5.00", "5"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("3.30106E+17", "none"),
            ("1,000", "none"),
            ("5.5", "none"),
            ("--5", "none"),
            ("+", "none"),
            ("0x10", "none"),
        ],
    );
    check(
        Form::Decimal,
        false,
        &[
            ("1.50", "1.5"),
            ("001.0", "1"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0.00", "0"),
            ("-0.050", "-0.05"),
            ("1e3", "1000"),
            ("1.25E-2", "0.0125"),
            ("12.5e1", "125"),
            ("100", "100"),
            ("0.00012e2", "0.012"),
            ("1e999", "none"),
            ("1e-999", "none"),
            ("1e", "none"),
            (".", "none"),
            ("e5", "none"),
            ("1.2.3", "none"),
            ("NaN", "none"),
        ],
    );
}

#[test]
fn credit_codes() {
    // Examples of the standard's arithmetic: the codes of public registers.
    check(
        Form::CreditCode,
        false,
        &[
            ("91350100M000100Y43", "91350100M000100Y43"),
            (" 91350100m000100y43 ", "91350100M000100Y43"),
            ("９１３５０１００Ｍ０００１００Ｙ４３", "91350100M000100Y43"),
            ("91350100M000100Y44", "none"),
            ("91350100M000100Y34", "none"),
            ("19350100M000100Y43", "none"),
            ("91350100I000100Y43", "none"),
            ("91350100M000100Y4", "none"),
            ("91350100M000100Y433", "none"),
            ("91350100M00010年43", "none"),
            ("", "empty"),
        ],
    );
}

#[test]
fn every_wrong_character_of_a_credit_code_is_found() {
    let good = b"91350100M000100Y43";
    let letters = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    for place in 0..18 {
        for letter in letters.iter().filter(|letter| **letter != good[place]) {
            let mut bad = *good;
            bad[place] = *letter;
            let found = Form::CreditCode.normal(false, &bad, &mut Vec::new()).map(<[u8]>::to_vec);
            assert_eq!(found, Err(Why::Malformed));
        }
    }
}

proptest::proptest! {
    #[test]
    fn normal_forms_stay_and_no_bytes_make_one_panic(raw: Vec<u8>, ignore_case: bool) {
        every_form_is_stable(&raw, ignore_case)?;
    }

    #[test]
    fn normal_forms_of_likely_keys_stay(raw in "[-+0-9０-９ eE.:/TZ年月日xX]{1,24}", ignore_case: bool) {
        every_form_is_stable(raw.as_bytes(), ignore_case)?;
    }

    #[test]
    fn both_ways_of_texts_are_one(raw in "[ -~\\t\\n]{0,80}") {
        let mut space = Vec::new();
        let short = Form::Text.normal(true, raw.as_bytes(), &mut space).map(<[u8]>::to_vec);
        let long = match text::long_way(&raw) {
            Ok(key) if key.is_empty() => Err(Why::Empty),
            other => other,
        };
        proptest::prop_assert_eq!(short, long);
    }
}

/// A normal form of a normal form is the same. Only texts of letters that NFKC takes apart around white space are not covered.
fn every_form_is_stable(
    raw: &[u8],
    ignore_case: bool,
) -> Result<(), proptest::test_runner::TestCaseError> {
    for form in [
        Form::Exact,
        Form::Text,
        Form::Digits,
        Form::Phone,
        Form::Date,
        Form::Integer,
        Form::Decimal,
        Form::CreditCode,
    ] {
        let case = ignore_case && form == Form::Text;
        let (mut space, mut again) = (Vec::new(), Vec::new());
        if let Ok(key) = form.normal(case, raw, &mut space) {
            proptest::prop_assert_eq!(form.normal(case, key, &mut again), Ok(key));
        }
    }
    Ok(())
}
