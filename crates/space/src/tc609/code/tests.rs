//! Published values, every slip that the check claims to catch, and what must not be taken for a code.

use proptest::prelude::*;

use super::*;

const CONTRACT_CODE: &str = "8491310000MA0DEMQ19R3101202509010930007QX4M2ZBW";

#[test]
fn published_check_characters_come_out() {
    for (body, check) in [
        ("G123498654321", 'H'),
        ("G123489654321", 'Y'),
        ("ABCDE27000069", 'C'),
        ("591310000MA0DEMQ19R31011BH95JZY", '4'),
        ("691310000MA0DEMQ19R0026A7K2M9QX", 'Q'),
        ("491310000MA0DEMQ19R3101K3T8W5RD", 'E'),
        ("591310000MA0DEMQ19R310100000078", '*'),
        ("8491310000MA0DEMQ19R3101202509010930007QX4M2ZB", 'W'),
    ] {
        assert_eq!(check_character(body), Some(check), "{body}");
        assert!(checks(&format!("{body}{check}")));
    }
    for bad in ["a", "中", "A-1"] {
        assert_eq!(check_character(bad), None, "{bad}");
    }
}

#[test]
fn a_contract_code_tells_its_segments_and_is_built_from_them() {
    let code = ContractCode::parse(CONTRACT_CODE).unwrap();
    assert_eq!((code.subject(), code.region()), ("91310000MA0DEMQ19R", "3101"));
    let at = Time::parse("2025-09-01T09:30:00+08:00").unwrap();
    assert_eq!(code.issued(), Some(at));
    let issue = Issue { subject: code.subject(), region: "3101", at, random: "7QX4M2ZB" };
    assert_eq!(ContractCode::build(&issue).unwrap(), code);
    for bad in [
        Issue { subject: "91310000MA0DEMQ19", ..issue },
        Issue { subject: "91310000MA0DEMQ19r", ..issue },
        Issue { region: "31A1", ..issue },
        Issue { random: "7QX4M2Z*", ..issue },
        Issue { random: "中7QX4M", ..issue },
        Issue { at: Time::from_ms(1), ..issue },
    ] {
        assert!(ContractCode::build(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn every_wrong_character_and_every_swap_of_neighbours_is_caught() {
    let valid: Vec<char> = CONTRACT_CODE.chars().collect();
    let text = |it: &[char]| it.iter().collect::<String>();
    let (mut changes, mut swaps) = (0, 0);
    for at in 0..valid.len() {
        for other in ALPHABET.iter().map(|it| char::from(*it)).filter(|it| *it != valid[at]) {
            let mut wrong = valid.clone();
            wrong[at] = other;
            assert!(!checks(&text(&wrong)), "{}", text(&wrong));
            assert!(ContractCode::parse(&text(&wrong)).is_err());
            changes += 1;
        }
        // Swaps of characters up to 35 apart: weights repeat after 36.
        for far in (at + 1)..valid.len().min(at + 36) {
            let mut wrong = valid.clone();
            wrong.swap(at, far);
            if wrong != valid {
                assert!(!checks(&text(&wrong)), "{}", text(&wrong));
                swaps += 1;
            }
        }
    }
    assert_eq!(changes, 47 * 36);
    assert!(swaps > 700, "{swaps}");
    // What it does not claim: 36 apart, the weights are the same.
    let mut far = valid;
    far.swap(2, 38);
    assert!(text(&far) != CONTRACT_CODE && checks(&text(&far)));
}

#[test]
fn hostile_codes_are_refused_with_a_reason() {
    for (text, why) in [
        ("", BadCode::Length(0)),
        (&CONTRACT_CODE[1..], BadCode::Length(46)),
        (&"8".repeat(100_000), BadCode::Length(100_000)),
        (&CONTRACT_CODE.to_lowercase(), BadCode::Segment("subject")),
        (&CONTRACT_CODE.replace("3101", "31O1"), BadCode::Segment("region")),
        (&CONTRACT_CODE.replace("20250901", "20250931"), BadCode::Time),
        (&CONTRACT_CODE.replace("093000", "093060"), BadCode::Time),
        (&CONTRACT_CODE.replace('W', "V"), BadCode::Check),
        (&CONTRACT_CODE.replace('W', " "), BadCode::Segment("check character")),
        (&CONTRACT_CODE.replace("Q19R", "Q１9R"), BadCode::Segment("subject")),
        (&CONTRACT_CODE.replace("84", "*4"), BadCode::Segment("type")),
    ] {
        assert_eq!(ContractCode::parse(text), Err(why), "{text:.60}");
    }
}

#[test]
fn other_codes_are_of_their_kind() {
    let product = "691310000MA0DEMQ19R0026A7K2M9QXQ";
    let long = format!("{product}•1215202502281BH95JZY");
    for (text, ok) in [
        (product.to_owned(), true),
        (long.clone(), true),
        (format!("{product}•"), false),
        (format!("{product}•{}", "1".repeat(33)), false),
        (format!("{product}·1215"), false),
        (format!("{product}•12 15"), false),
        (format!("{product}•12%15"), false),
        ("591310000MA0DEMQ19R31011BH95JZY4".to_owned(), false),
    ] {
        assert_eq!(ProductCode::parse(&text).is_ok(), ok, "{text}");
    }
    for (text, result) in [
        ("591310000MA0DEMQ19R31011BH95JZY4", Ok(())),
        ("491310000MA0DEMQ19R3101K3T8W5RDE", Ok(())),
        ("591310000MA0DEMQ19R310100000078*", Ok(())),
        ("591310000MA0DEMQ19R31011BH95JZY5", Err(BadCode::Check)),
        (product, Err(BadCode::Kind)),
        ("59131", Err(BadCode::Length(5))),
    ] {
        assert_eq!(NodeCode::parse(text).map(|_| ()), result, "{text}");
    }
    assert!(SubjectCode::parse("91310000MA0DEMQ19R").is_ok());
    assert_eq!(SubjectCode::parse("91310000MA0DEMQ19*"), Err(BadCode::Segment("subject")));
    let id = urn(&long).unwrap();
    assert!(id.as_str().is_ascii());
    assert_eq!(product_of(&id).unwrap().as_str(), long);
}

proptest! {
    #[test]
    fn built_codes_parse(subject in "[0-9A-Z]{18}", region in "[0-9]{4}", random in "[0-9A-Z]{8}", at in 0_i64..253_000_000_000) {
        let at = Time::from_ms(at * 1000);
        let code = ContractCode::build(&Issue { subject: &subject, region: &region, at, random: &random }).unwrap();
        prop_assert_eq!(ContractCode::parse(code.as_str()), Ok(code.clone()));
        prop_assert_eq!(code.issued(), Some(at));
        prop_assert_eq!(code.subject(), subject);
    }

    #[test]
    fn slips_in_any_text_are_caught(body in "[0-9A-Z]{1,60}", at in 0..60_usize, other in 0..37_usize) {
        let code: Vec<u8> = format!("{body}{}", check_character(&body).unwrap()).into_bytes();
        let at = at % code.len();
        let mut wrong = code.clone();
        wrong[at] = ALPHABET[other];
        prop_assert_eq!(checks(std::str::from_utf8(&wrong).unwrap()), wrong == code);
        let mut swapped = code.clone();
        swapped.swap(at, (at + 1) % code.len());
        if at + 1 < code.len() {
            prop_assert_eq!(checks(std::str::from_utf8(&swapped).unwrap()), swapped == code);
        }
    }
}
