use std::collections::BTreeSet;
use std::ops::Range;

use super::quote::{Body, Quote};
use super::{describe, needs, objections};
use crate::appraisal::{Appraisal, IntelStatus, Level, Reason, Tcb};
use crate::appraise;
use crate::evidence::{Evidence, Kind};
use crate::made::{Handed, NotMade, TDX_GUEST, tsm};
use crate::policy::{Chips, LeastTcb, Policy};
use crate::ranges::ranges;
use crate::tests::{flip_every_byte, flips_of, folder, long, masks, time};
use crate::text::Text;

struct Case {
    quote: Vec<u8>,
    collateral: Vec<u8>,
    now: u64,
    status: IntelStatus,
    data: Range<usize>,
    measured: Vec<Range<usize>>,
}

impl Case {
    fn appraise_at(&self, quote: &[u8], collateral: &[u8], policy: &Policy, now: u64) -> Appraisal {
        appraise(&Evidence { bytes: quote, kind: Kind::Intel { collateral } }, policy, now)
    }

    fn appraise(&self, policy: &Policy) -> Appraisal {
        self.appraise_at(&self.quote, &self.collateral, policy, self.now)
    }

    fn refusals_at(&self, quote: &[u8], collateral: &[u8], now: u64) -> Vec<Reason> {
        self.appraise_at(quote, collateral, &self.policy(), now).refusals().collect()
    }

    fn policy(&self) -> Policy {
        let measured = self.measured.iter().flat_map(|it| self.quote[it.clone()].to_vec());
        Policy {
            measurements: BTreeSet::from([measured.collect()]),
            report_data: self.quote[self.data.clone()].to_vec(),
            chips: Chips::Any,
            least_tcb: LeastTcb { intel: BTreeSet::from([self.status]), ..LeastTcb::default() },
            ..Policy::default()
        }
    }
}

/// A case of the kit, with where its quote keeps what the policy is about.
fn case(name: &str) -> Option<Case> {
    let kit = folder("sgx-tdx")?;
    let read = |name: String| std::fs::read(kit.join(name)).unwrap();
    let (now, status, body) = match name {
        "sgx_quote" => (1_750_400_000, IntelStatus::ConfigurationAndSwHardeningNeeded, None),
        "tdx_quote" | "tdx_quote_outdated" => (1_750_400_000, IntelStatus::UpToDate, Some(48)),
        "tdx_quote_td15ex" => (1_791_500_000, IntelStatus::UpToDate, Some(54)),
        _ => panic!("{name}"),
    };
    let (measured, data) = match body {
        None => (std::iter::once(48 + 64..48 + 96).collect(), 48 + 320..48 + 384),
        Some(at) => (vec![at + 136..at + 184, at + 328..at + 520], at + 520..at + 584),
    };
    let quote = read(name.to_owned());
    let collateral = read(format!("{name}_collateral.json"));
    Some(Case { quote, collateral, now, status, data, measured })
}

const GOOD: [&str; 3] = ["sgx_quote", "tdx_quote", "tdx_quote_td15ex"];

#[test]
fn published_quotes_are_accepted() {
    for case in GOOD.into_iter().filter_map(case) {
        let appraisal = case.appraise(&case.policy());
        assert!(appraisal.is_accepted(), "{appraisal:?}");
        assert_eq!(appraisal.level, Level::E3);
        let facts = appraisal.facts.unwrap();
        assert!(matches!(facts.tcb, Tcb::Intel { status, .. } if status == case.status));
        let named = Chips::Only(BTreeSet::from([facts.chip.clone()]));
        assert!(case.appraise(&Policy { chips: named, ..case.policy() }).is_accepted());
        let mut policy = case.policy();
        policy.independent_chips.insert(facts.chip);
        assert_eq!(case.appraise(&policy).level, Level::E4);
    }
}

#[test]
fn each_demand_refuses_by_itself() {
    for case in GOOD.into_iter().filter_map(case) {
        let check = |change: &dyn Fn(&mut Policy), reason| {
            let mut policy = case.policy();
            change(&mut policy);
            let refusals: Vec<_> = case.appraise(&policy).refusals().collect();
            assert_eq!(refusals, [reason]);
        };
        check(&|it| it.report_data[63] ^= 1, Reason::OtherReportData);
        check(&|it| it.measurements.clear(), Reason::UnknownMeasurement);
        check(&|it| it.chips = Chips::default(), Reason::UnknownChip);
        check(&|it| it.least_tcb.intel.clear(), Reason::NoTcbFloor);
        check(
            &|it| it.least_tcb.intel = BTreeSet::from([IntelStatus::OutOfDate]),
            Reason::TcbBelowFloor,
        );
        let facts = case.appraise(&case.policy()).facts.unwrap();
        let Tcb::Intel { advisories, .. } = facts.tcb else { panic!("Intel") };
        for advisory in advisories {
            check(
                &|it| it.least_tcb.refused_advisories = BTreeSet::from([advisory.clone()]),
                Reason::TcbBelowFloor,
            );
        }
    }
}

#[test]
fn an_outdated_platform_is_refused() {
    let Some(case) = case("tdx_quote_outdated") else { return };
    let mut seen = BTreeSet::new();
    for at in (1_700_000_000..1_800_000_000).step_by(1_000_000) {
        seen.extend(case.refusals_at(&case.quote, &case.collateral, at));
    }
    // Within the collateral's time it is the platform's level, else the time.
    assert!(seen.remove(&Reason::NoTcbLevel), "{seen:?}");
    let late = [Reason::CollateralOutOfDate, Reason::CertificateOutOfDate];
    assert!(seen.iter().all(|it| late.contains(it)), "{seen:?}");
}

#[test]
fn collateral_has_its_time_and_its_platform() {
    let cases: Vec<_> = GOOD.into_iter().filter_map(case).collect();
    for case in &cases {
        for at in [0, 1_500_000_000, 1_900_000_000, u64::MAX] {
            let refusals = case.refusals_at(&case.quote, &case.collateral, at);
            let late = [Reason::CollateralOutOfDate, Reason::CertificateOutOfDate];
            assert!(refusals.len() == 1 && late.contains(&refusals[0]), "{refusals:?}");
            assert!(describe(&case.collateral, at).is_err());
        }
        for other in cases.iter().filter(|it| it.quote != case.quote) {
            let refusals = case.refusals_at(&case.quote, &other.collateral, case.now);
            let wrong = [Reason::CollateralOutOfDate, Reason::OtherPlatform];
            assert!(refusals.len() == 1 && wrong.contains(&refusals[0]), "{refusals:?}");
        }
        for bad in [&b""[..], b"{}", b"[]", b"{\"tcb_info\": 1}", &[b'['; 1 << 16]] {
            assert_eq!(case.refusals_at(&case.quote, bad, case.now), [Reason::BadCollateral]);
            assert_eq!(describe(bad, case.now), Err(Reason::BadCollateral));
        }
        let text = String::from_utf8(case.collateral.clone()).unwrap();
        let raised = text
            .replace("\\\"tcbStatus\\\":\\\"OutOfDate\\\"", "\\\"tcbStatus\\\":\\\"UpToDate\\\"");
        assert_ne!(raised, text);
        assert_eq!(case.refusals_at(&case.quote, raised.as_bytes(), case.now), [Reason::NotProven]);
        assert_eq!(describe(raised.as_bytes(), case.now), Err(Reason::NotProven));
    }
}

/// Whatever changes in a set: it is refused, or nothing that counts has changed. One bit of every seventh byte, each of the
/// eight in its turn; in the long run every bit of every byte, which takes minutes.
fn flipped_collateral(name: &str, quick: (usize, usize)) {
    let Some(case) = case(name) else { return };
    let genuine = case.appraise(&case.policy());
    let mut tampered = case.collateral.clone();
    let (mut refused, mut unchanged) = (0, 0);
    for at in (0..tampered.len()).step_by(if long() { 1 } else { 7 }) {
        for mask in masks(at) {
            tampered[at] ^= mask;
            let appraisal = case.appraise_at(&case.quote, &tampered, &case.policy(), case.now);
            tampered[at] ^= mask;
            if appraisal.is_accepted() {
                assert_eq!(appraisal, genuine, "byte {at} mask {mask}");
                unchanged += 1;
            } else {
                refused += 1;
            }
        }
    }
    println!("{name}: {refused} flips refused, {unchanged} change nothing");
    if !long() {
        assert_eq!((refused, unchanged), quick, "{name}");
    }
}

#[test]
fn flipped_bits_of_an_sgx_quotes_collateral() {
    flipped_collateral("sgx_quote", (1791, 217));
}

#[test]
fn flipped_bits_of_a_tdx_quotes_collateral() {
    flipped_collateral("tdx_quote", (2072, 224));
}

#[test]
fn flipped_bits_of_a_tdx_1_5_quotes_collateral() {
    flipped_collateral("tdx_quote_td15ex", (2756, 708));
}

#[test]
fn a_set_says_what_it_is_about() {
    for (name, environment, family, from, until) in [
        ("sgx_quote", "SGX", "00a067110000", 1_750_330_571, 1_752_919_278),
        ("tdx_quote", "TDX", "b0c06f000000", 1_750_329_147, 1_752_919_235),
    ] {
        let Some(case) = case(name) else { return };
        let it = describe(&case.collateral, case.now).unwrap();
        assert_eq!((it.environment.as_str(), it.family.as_str()), (environment, family));
        assert_eq!((it.from, it.until), (from, until), "{name}");
        assert_eq!(needs(&case.quote), Some((environment, family.to_owned())));
        assert!(describe(&case.collateral, it.until).is_ok());
        assert!(describe(&case.collateral, it.until + 1).is_err());
    }
}

#[test]
fn a_quote_has_one_length() {
    for case in GOOD.into_iter().filter_map(case) {
        let mut longer = case.quote.clone();
        longer.push(1);
        assert_eq!(case.refusals_at(&longer, &case.collateral, case.now), [Reason::Malformed]);
        let end =
            case.quote.len() - case.quote.iter().rev().skip(1).take_while(|it| **it == 0).count();
        // The certificates end with a zero of their own.
        for length in 0..end - 1 {
            let refusals = case.refusals_at(&case.quote[..length], &case.collateral, case.now);
            assert_eq!(refusals, [Reason::Malformed]);
        }
        longer.resize(crate::limits::EVIDENCE + 1, 0);
        assert_eq!(case.refusals_at(&longer, &case.collateral, case.now), [Reason::TooLong]);
    }
}

#[test]
fn debuggable_environments_are_refused() {
    for (name, at, mask) in [
        ("sgx_quote", 48 + 48, 2),
        ("tdx_quote", 48 + 120, 1),
        ("tdx_quote_td15ex", 54 + 120, 0x40),
    ] {
        let Some(case) = case(name) else { return };
        let mut quote = case.quote.clone();
        quote[at] |= mask;
        assert_eq!(case.refusals_at(&quote, &case.collateral, case.now), [Reason::Debug]);
    }
}

#[test]
fn a_domains_attributes_are_judged() {
    let cases: [(usize, u8, &[Reason]); 5] = [
        (123, 0, &[]),
        (123, 0x20, &[Reason::Migratable]),
        (123, 0x10, &[Reason::WeakGuestPolicy]),
        (122, 0x02, &[Reason::Served]),
        (124, 0x01, &[Reason::WeakGuestPolicy]),
    ];
    for (name, body) in [("tdx_quote", 48), ("tdx_quote_td15ex", 54)] {
        let Some(case) = case(name) else { return };
        for (at, mask, expected) in cases {
            let mut quote = case.quote.clone();
            quote[body + at] ^= mask;
            let quote = Quote::parse(&quote).unwrap_or_else(|_| panic!("{name}"));
            let Body::Domain(domain) = &quote.body else { panic!("a domain") };
            assert_eq!(objections(domain).unwrap(), expected, "{name} {at}");
        }
    }
    let Some(case) = case("tdx_quote_td15ex") else { return };
    let mut quote = case.quote;
    quote[54 + 600] = 1;
    let Body::Domain(domain) = Quote::parse(&quote).unwrap_or_else(|_| panic!()).body else {
        panic!("a domain")
    };
    assert_eq!(objections(&domain).unwrap(), [Reason::Served]);
}

/// `counting` is written out here as `docs/attestation.md` has it: what the program says of a quote must be just that.
fn flips(name: &str, counting: [Range<usize>; 5], expected: (usize, usize)) {
    let Some(case) = case(name) else { return };
    let policy = case.policy();
    let kind = Kind::Intel { collateral: &case.collateral };
    let said = ranges(&Evidence { bytes: &case.quote, kind });
    assert_eq!(said.into_iter().map(|(range, _)| range).collect::<Vec<_>>(), counting, "{name}");
    let found = flip_every_byte(&case.quote, &counting, |bytes| {
        case.appraise_at(bytes, &case.collateral, &policy, case.now)
    });
    println!("{name}: {found:?} flips refused, changing nothing; {} bytes", case.quote.len());
    assert_eq!(found, (flips_of(expected.0), flips_of(expected.1)), "{name}");
    assert_eq!(found.0 + found.1, flips_of(case.quote.len()));
}

#[test]
fn flipped_bytes_of_an_sgx_quote() {
    let counting = [0..432, 436..564, 564..1012, 1014..1046, 1052..4600];
    flips("sgx_quote", counting, (4600, 0));
}

#[test]
fn flipped_bytes_of_a_tdx_quote() {
    let counting = [0..632, 636..764, 770..1218, 1220..1252, 1258..4936];
    flips("tdx_quote", counting, (5006, 0));
}

#[test]
fn flipped_bytes_of_a_tdx_1_5_quote() {
    let counting = [0..939, 943..1071, 1077..1525, 1527..1559, 1565..5247];
    flips("tdx_quote_td15ex", counting, (5247, 0));
}

#[test]
fn a_quote_is_judged_quickly() {
    for name in GOOD {
        let Some(case) = case(name) else { return };
        let policy = case.policy();
        let took = time(|| case.appraise(&policy));
        println!("{name}: {took:?}");
        assert!(took.as_millis() < 10, "{took:?}");
    }
}

/// Published quotes, as a guest's kernel would hand them out, with the collateral of whoever makes the evidence.
#[test]
fn what_a_kernel_hands_out_becomes_evidence() {
    for (name, usable) in [("tdx_quote", true), ("tdx_quote_td15ex", true), ("sgx_quote", false)] {
        let Some(case) = case(name) else { return };
        let (provider, outblob) = (TDX_GUEST.to_owned(), case.quote.clone());
        let handed = Handed { provider, outblob, auxblob: vec![] };
        let data = case.quote[case.data.clone()].try_into().unwrap();
        let made = tsm(&handed, data, Some([1; 32]));
        if !usable {
            assert_eq!(made, Err(NotMade::Report(Reason::Unsupported)));
            continue;
        }
        let made = made.unwrap().with_collateral(case.collateral.clone());
        let read = Text::read(&made.write().unwrap()).unwrap();
        assert!(appraise(&read.evidence(None), &case.policy(), case.now).is_accepted(), "{name}");
    }
}
