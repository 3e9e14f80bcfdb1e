use std::collections::BTreeSet;

use super::{CHIP_CERTIFICATE, CHIP_SIGNED, PLATFORM_KEY, REPORT, ROOT_SIGNED, unmasked};
use crate::appraisal::{Appraisal, Level, Reason, Tcb};
use crate::appraise;
use crate::evidence::{Evidence, Kind};
use crate::policy::{Chips, LeastTcb, Policy};
use crate::tests::{flip_every_bit, flip_every_byte, flips_of, folder, time};

#[derive(Clone)]
struct Case {
    report: Vec<u8>,
    hrk: Vec<u8>,
    hsk: Vec<u8>,
    cek: Vec<u8>,
}

impl Case {
    fn published() -> Option<Self> {
        let kit = folder("csv")?;
        let read = |name: &str| std::fs::read(kit.join(name)).unwrap();
        let [report, hrk, hsk, cek] = ["report.cert", "hrk.cert", "hsk.cert", "cek.cert"].map(read);
        Some(Self { report, hrk, hsk, cek })
    }

    fn appraise(&self, policy: &Policy) -> Appraisal {
        let Self { report, hrk, hsk, cek } = self;
        appraise(&Evidence { bytes: report, kind: Kind::Csv { hrk, hsk, cek } }, policy, 0)
    }

    fn refused(&self, policy: &Policy) -> Vec<Reason> {
        let appraisal = self.appraise(policy);
        assert!(!appraisal.is_accepted());
        assert_eq!(appraisal.level, Level::AtMostE2);
        appraisal.refusals().collect()
    }

    fn policy(&self) -> Policy {
        let mask: [u8; 4] = self.report[188..192].try_into().unwrap();
        Policy {
            measurements: BTreeSet::from([unmasked::<32>(&self.report, 144, mask)
                .unwrap()
                .to_vec()]),
            report_data: b"user data".to_vec(),
            chips: Chips::Any,
            least_tcb: LeastTcb { csv: Some((1, 3)), ..LeastTcb::default() },
            ..Policy::default()
        }
    }
}

#[test]
fn the_published_report_is_accepted() {
    let Some(case) = Case::published() else { return };
    let appraisal = case.appraise(&case.policy());
    assert!(appraisal.is_accepted(), "{appraisal:?}");
    assert_eq!(appraisal.level, Level::E3);
    let facts = appraisal.facts.unwrap();
    assert_eq!(facts.tcb, Tcb::Csv { firmware: (1, 3) });
    let named = Chips::Only(BTreeSet::from([facts.chip]));
    assert!(case.appraise(&Policy { chips: named, ..case.policy() }).is_accepted());
}

#[test]
fn each_demand_refuses_by_itself() {
    let Some(case) = Case::published() else { return };
    let check = |change: fn(&mut Policy), reason| {
        let mut policy = case.policy();
        change(&mut policy);
        assert_eq!(case.refused(&policy), [reason]);
    };
    check(|it| it.report_data.push(b'!'), Reason::OtherReportData);
    check(|it| it.report_data.truncate(4), Reason::OtherReportData);
    check(|it| it.measurements.clear(), Reason::UnknownMeasurement);
    check(|it| it.chips = Chips::default(), Reason::UnknownChip);
    check(|it| it.least_tcb.csv = None, Reason::NoTcbFloor);
    check(|it| it.least_tcb.csv = Some((1, 4)), Reason::TcbBelowFloor);
    check(|it| it.least_tcb.csv = Some((2, 0)), Reason::TcbBelowFloor);
    // The published guest runs without encrypted registers and may be sent elsewhere.
    check(|it| it.csv_bits = 0x04, Reason::WeakGuestPolicy);
    check(|it| it.csv_bits = 0x08, Reason::WeakGuestPolicy);
}

#[test]
fn the_chain_leads_to_the_pinned_root() {
    let Some(case) = Case::published() else { return };
    let refused = |change: &dyn Fn(&mut Case)| {
        let mut changed = case.clone();
        change(&mut changed);
        let [reason] = changed.refused(&case.policy())[..] else { panic!("one reason") };
        reason
    };
    assert_eq!(refused(&|it| it.hrk.clone_from(&case.hsk)), Reason::UnknownRoot);
    assert_eq!(refused(&|it| it.hsk.clone_from(&case.hrk)), Reason::BadCertificate);
    assert_eq!(refused(&|it| it.cek.truncate(CHIP_CERTIFICATE - 1)), Reason::BadCertificate);
    assert_eq!(refused(&|it| it.report.push(0)), Reason::Malformed);
    assert_eq!(refused(&|it| it.report.truncate(REPORT - 1)), Reason::Malformed);
    assert_eq!(refused(&|it| it.report.clear()), Reason::Malformed);
}

/// The second published report comes from another chip, whose certificates nobody published.
#[test]
fn a_report_of_another_chip_is_refused() {
    let (Some(mut case), Some(kit)) = (Case::published(), folder("csv")) else { return };
    let policy = case.policy();
    let text = std::fs::read(kit.join("csv_evidence.json")).unwrap();
    let evidence: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let bytes = evidence["attestation_report"]["data"].as_array().unwrap();
    case.report = bytes.iter().map(|it| u8::try_from(it.as_u64().unwrap()).unwrap()).collect();
    case.report.truncate(REPORT);
    // Its platform key was unmasked by those who published it.
    assert_eq!(case.refused(&policy), [Reason::BadCertificate]);
    let mask: [u8; 4] = case.report[188..192].try_into().unwrap();
    let platform = PLATFORM_KEY..PLATFORM_KEY + CHIP_CERTIFICATE;
    let masked: [u8; CHIP_CERTIFICATE] = unmasked(&case.report, PLATFORM_KEY, mask).unwrap();
    case.report[platform].copy_from_slice(&masked);
    assert_eq!(case.refused(&policy), [Reason::BrokenChain]);
}

/// Signature and chain stay whole when every masked word is shifted alike: only the measurement gives it away.
#[test]
fn a_shifted_mask_leaves_no_accepted_measurement() {
    let check = |shift: [u8; 4], further: &[Reason]| {
        let Some(mut case) = Case::published() else { return };
        let policy = case.policy();
        for range in [180..192, PLATFORM_KEY..PLATFORM_KEY + CHIP_CERTIFICATE] {
            let shifted = case.report[range].iter_mut().zip(shift.iter().cycle());
            shifted.for_each(|(it, by)| *it ^= by);
        }
        let refusals: Vec<_> = case.appraise(&policy).refusals().collect();
        assert_eq!(refusals[..2], [Reason::OtherReportData, Reason::UnknownMeasurement]);
        assert_eq!(refusals[2..], *further);
    };
    check([0, 0, 0, 0x40], &[]);
    // The bit that forbids debugging.
    check([1, 0, 0, 0], &[Reason::Debug]);
}

#[test]
fn flipped_bytes_of_a_report() {
    let Some(case) = Case::published() else { return };
    let policy = case.policy();
    let judge = |bytes: &[u8]| Case { report: bytes.to_vec(), ..case.clone() }.appraise(&policy);
    // The report up to the end of its signature, and in the platform's certificate what the chip signed and its signature.
    let signed = [0..PLATFORM_KEY, PLATFORM_KEY..PLATFORM_KEY + CHIP_SIGNED + 152];
    let (refused, unchanged) = flip_every_byte(&case.report, &signed, judge);
    println!("CSV report: {refused} flips refused, {unchanged} change nothing");
    assert_eq!(unchanged, flips_of(REPORT - PLATFORM_KEY - CHIP_SIGNED - 152));
}

#[test]
fn flipped_bits_of_the_signed_head() {
    let Some(case) = Case::published() else { return };
    let policy = case.policy();
    let judge = |bytes: &[u8]| {
        let report = [bytes, &case.report[192..]].concat();
        Case { report, ..case.clone() }.appraise(&policy)
    };
    let (refused, unchanged) =
        flip_every_bit(&case.report[..192], std::slice::from_ref(&(0..192)), judge);
    assert_eq!((refused, unchanged), (8 * 192, 0));
}

#[test]
fn flipped_bytes_of_certificates() {
    let Some(case) = Case::published() else { return };
    let policy = case.policy();
    let hrk = |bytes: &[u8]| Case { hrk: bytes.to_vec(), ..case.clone() }.appraise(&policy);
    let hsk = |bytes: &[u8]| Case { hsk: bytes.to_vec(), ..case.clone() }.appraise(&policy);
    let cek = |bytes: &[u8]| Case { cek: bytes.to_vec(), ..case.clone() }.appraise(&policy);
    let all = 0..case.hrk.len();
    assert_eq!(flip_every_byte(&case.hrk, &[all], hrk).1, 0);
    let (_, unchanged) =
        flip_every_byte(&case.hsk, &[0..ROOT_SIGNED, ROOT_SIGNED..ROOT_SIGNED + 144], hsk);
    assert_eq!(unchanged, flips_of(112), "the reserved tail");
    let signed = [0..CHIP_SIGNED, CHIP_SIGNED..CHIP_SIGNED + 152];
    let (_, unchanged) = flip_every_byte(&case.cek, &signed, cek);
    assert_eq!(
        unchanged,
        flips_of(CHIP_CERTIFICATE - CHIP_SIGNED - 152),
        "padding and the unused second signature"
    );
}

#[test]
fn a_report_is_judged_quickly() {
    let Some(case) = Case::published() else { return };
    let policy = case.policy();
    let took = time(|| case.appraise(&policy));
    println!("Hygon CSV report: {took:?}");
    assert!(took.as_millis() < 10, "{took:?}");
}
