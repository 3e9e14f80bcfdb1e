use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use tidm_crypto::hash::Digest;

use super::{Product, REPORT, ROOTS, Report, SIGNED, small};
use crate::appraisal::{Appraisal, Level, Outcome, Reason, SnpTcb, Tcb};
use crate::appraise;
use crate::evidence::{Evidence, Kind};
use crate::made::{Handed, SEV_GUEST, tsm};
use crate::policy::{Chips, LeastTcb, Policy};
use crate::tests::{flip_every_bit, flip_every_byte, folder, time};
use crate::text::Text;
use crate::x509::Certificate;

/// 2025-06-20, when all certificates of the kit are valid.
const NOW: u64 = 1_750_400_000;

struct Case {
    report: Vec<u8>,
    vcek: Vec<u8>,
    ask: Vec<u8>,
    ark: Vec<u8>,
    now: u64,
}

impl Case {
    fn appraise(&self, policy: &Policy) -> Appraisal {
        let kind = Kind::Snp { vcek: &self.vcek, ask: &self.ask, ark: &self.ark };
        appraise(&Evidence { bytes: &self.report, kind }, policy, self.now)
    }

    fn refused(&self, policy: &Policy) -> Vec<Reason> {
        let appraisal = self.appraise(policy);
        assert!(!appraisal.is_accepted());
        assert_eq!(appraisal.level, Level::AtMostE2);
        appraisal.refusals().collect()
    }
}

/// The intermediate and the root of a family.
fn chain(kit: &Path, family: &str) -> [Vec<u8>; 2] {
    certificates(&std::fs::read_to_string(kit.join(format!("cert_chain_{family}"))).unwrap())
}

/// The same of Genoa, which lies here: the kit has none.
fn genoa() -> [Vec<u8>; 2] {
    certificates(include_str!("genoa.pem"))
}

fn certificates(text: &str) -> [Vec<u8>; 2] {
    let der = text.split("-----BEGIN CERTIFICATE-----").skip(1).map(|part| {
        let (body, _) = part.split_once("-----END").unwrap();
        STANDARD.decode(body.split_whitespace().collect::<String>()).unwrap()
    });
    der.collect::<Vec<_>>().try_into().unwrap()
}

fn milan(kit: &Path) -> Case {
    let text = std::fs::read(kit.join("report_milan.hex")).unwrap();
    let digits = text.trim_ascii().chunks(2).map(|it| str::from_utf8(it).unwrap());
    let report: Vec<u8> = digits.map(|it| u8::from_str_radix(it, 16).unwrap()).collect();
    let [ask, ark] = chain(kit, "milan");
    Case { report, vcek: std::fs::read(kit.join("vcek_milan.der")).unwrap(), ask, ark, now: NOW }
}

fn other(kit: &Path) -> Case {
    let report = std::fs::read(kit.join("test-report.bin")).unwrap();
    Case { report, vcek: std::fs::read(kit.join("test-vcek.der")).unwrap(), ..milan(kit) }
}

/// Exactly what a report says.
fn policy(report: &[u8]) -> Policy {
    let tcb = SnpTcb { boot_loader: 3, tee: 0, snp: 8, microcode: 0x73 };
    Policy {
        measurements: BTreeSet::from([report[0x90..0xC0].to_vec()]),
        report_data: report[0x50..0x90].to_vec(),
        chips: Chips::Only(BTreeSet::from([report[0x1A0..0x1E0].to_vec()])),
        least_tcb: LeastTcb { snp: Some(tcb), ..LeastTcb::default() },
        ..Policy::default()
    }
}

#[test]
fn published_reports_are_accepted() {
    let Some(kit) = folder("snp") else { return };
    for case in [milan(&kit), other(&kit)] {
        let policy = policy(&case.report);
        let appraisal = case.appraise(&policy);
        assert!(appraisal.is_accepted(), "{appraisal:?}");
        assert_eq!(appraisal.level, Level::E3);
        let facts = appraisal.facts.unwrap();
        assert_eq!(facts.tcb, Tcb::Snp(policy.least_tcb.snp.unwrap()));
        assert_eq!(facts.chip.len(), 64);
    }
}

/// A published report and its chain, as a guest's kernel would hand them out, become evidence that is accepted.
#[test]
fn what_a_kernel_hands_out_becomes_evidence() {
    let Some(kit) = folder("snp") else { return };
    let case = milan(&kit);
    let auxblob = super::table::tests::table(&case.vcek, &case.ask, &case.ark);
    let handed = Handed { provider: SEV_GUEST.to_owned(), outblob: case.report.clone(), auxblob };
    let data = case.report[0x50..0x90].try_into().unwrap();
    let made = tsm(&handed, data, Some([1; 32])).unwrap();
    let read = Text::read(&made.write().unwrap()).unwrap();
    assert!(appraise(&read.evidence(None), &policy(&case.report), case.now).is_accepted());
}

#[test]
fn an_independent_operator_is_a_matter_of_the_policy() {
    let Some(kit) = folder("snp") else { return };
    let case = milan(&kit);
    let mut policy = policy(&case.report);
    policy.independent_chips.insert(case.report[0x1A0..0x1E0].to_vec());
    assert_eq!(case.appraise(&policy).level, Level::E4);
    policy.report_data[0] ^= 1;
    assert_eq!(case.refused(&policy), [Reason::OtherReportData]);
}

#[test]
fn each_demand_refuses_by_itself() {
    let Some(kit) = folder("snp") else { return };
    let case = milan(&kit);
    let check = |change: fn(&mut Policy), reason| {
        let mut policy = policy(&case.report);
        change(&mut policy);
        assert_eq!(case.refused(&policy), [reason]);
        let met =
            case.appraise(&policy).findings.iter().filter(|it| it.outcome == Outcome::Met).count();
        assert_eq!(met, 6);
    };
    check(|it| it.report_data.clear(), Reason::OtherReportData);
    check(|it| it.report_data.push(0), Reason::OtherReportData);
    check(|it| it.report_data.truncate(63), Reason::OtherReportData);
    check(|it| it.measurements.clear(), Reason::UnknownMeasurement);
    check(|it| it.chips = Chips::default(), Reason::UnknownChip);
    check(|it| it.least_tcb.snp = None, Reason::NoTcbFloor);
    check(|it| it.least_tcb.snp.as_mut().unwrap().microcode += 1, Reason::TcbBelowFloor);
    check(|it| it.least_tcb.snp.as_mut().unwrap().tee += 1, Reason::TcbBelowFloor);
    let all = case.refused(&Policy::default());
    assert_eq!(all.len(), 4, "{all:?}");
}

#[test]
fn chains_and_reports_are_not_mixed() {
    let Some(kit) = folder("snp") else { return };
    let (good, strange) = (milan(&kit), other(&kit));
    let policy = policy(&good.report);
    let [turin_ask, turin_ark] = chain(&kit, "turin");
    let read = |name: &str| std::fs::read(kit.join(name)).unwrap();
    let check = |case: Case, reason| assert_eq!(case.refused(&policy), [reason]);
    check(Case { ark: turin_ark, ask: turin_ask.clone(), ..milan(&kit) }, Reason::UnknownRoot);
    check(Case { ask: turin_ask, ..milan(&kit) }, Reason::BrokenChain);
    check(Case { ark: good.ask.clone(), ..milan(&kit) }, Reason::UnknownRoot);
    check(Case { ask: good.ark.clone(), ..milan(&kit) }, Reason::BrokenChain);
    check(Case { vcek: read("vcek_turin.der"), ..milan(&kit) }, Reason::BrokenChain);
    check(Case { vcek: strange.vcek, ..milan(&kit) }, Reason::OtherChip);
    check(Case { vcek: good.ask, ..milan(&kit) }, Reason::BrokenChain);
    for forged in ["test-vcek-invalid-new.der", "test-vcek-invalid-legacy.der"] {
        check(Case { vcek: read(forged), ..milan(&kit) }, Reason::BrokenChain);
    }
    let leased =
        Case { report: read("test-vlek-report.bin"), vcek: read("test-vlek.der"), ..milan(&kit) };
    check(leased, Reason::OtherKeyKind);
    check(Case { now: 2_000_000_000, ..milan(&kit) }, Reason::CertificateOutOfDate);
    check(Case { now: 1_500_000_000, ..milan(&kit) }, Reason::CertificateOutOfDate);
    check(Case { now: u64::MAX, ..milan(&kit) }, Reason::CertificateOutOfDate);
}

/// What the chain says of the family and what certificate and report say of it must agree.
#[test]
fn a_chip_of_one_family_is_none_of_the_other() {
    let Some(kit) = folder("snp") else { return };
    let case = milan(&kit);
    let (of_milan, of_genoa) = (case.vcek.clone(), of_genoa(&case.vcek));
    let fits = |vcek: &[u8], cpu, product| {
        let bytes: [u8; REPORT] = says(&case.report, cpu).try_into().unwrap();
        Report::parse(&bytes).unwrap().fits(&Certificate::parse(vcek).unwrap(), product)
    };
    for (product, own, own_cpu, other, other_cpu) in [
        (Product::Milan, &of_milan, MILAN, &of_genoa, GENOA),
        (Product::Genoa, &of_genoa, GENOA, &of_milan, MILAN),
    ] {
        assert_eq!(fits(own, None, product), Ok(()));
        assert_eq!(fits(own, own_cpu, product), Ok(()));
        // The other family's certificate under this root, whatever the report says; and its report beside this certificate.
        for (vcek, cpu) in [(other, None), (other, other_cpu), (other, own_cpu), (own, other_cpu)] {
            assert_eq!(fits(vcek, cpu, product), Err(Reason::OtherChip), "{cpu:?} {product:?}");
        }
    }
}

/// Family and model of a processor, as reports from version 3 on tell them.
const MILAN: Option<(u8, u8)> = Some((0x19, 0x01));
const GENOA: Option<(u8, u8)> = Some((0x19, 0x11));

/// A report that says it is of this processor; nobody signed that.
fn says(report: &[u8], cpu: Option<(u8, u8)>) -> Vec<u8> {
    let mut bytes = report.to_vec();
    if let Some((family, model)) = cpu {
        (bytes[0], bytes[0x188], bytes[0x189]) = (3, family, model);
    }
    bytes
}

/// Milan's certificate as one of Genoa's would be, by its extension and its issuer; AMD signed no such thing.
fn of_genoa(vcek: &[u8]) -> Vec<u8> {
    let mut bytes = vcek.to_vec();
    let at: Vec<usize> =
        (0..bytes.len() - 5).filter(|at| vcek[*at..].starts_with(b"Milan")).collect();
    assert_eq!(at.len(), 2, "in the issuer's name and in the extension");
    for at in at {
        bytes[at..at + 5].copy_from_slice(b"Genoa");
    }
    bytes
}

/// Genoa's own certificates, as AMD publishes them: the root is the one that is pinned.
#[test]
fn genoas_chain_is_amds() {
    let [ask, ark] = genoa();
    assert_eq!(Product::of_root(&ark), Ok(Product::Genoa));
    let (root, middle) = (Certificate::parse(&ark).unwrap(), Certificate::parse(&ask).unwrap());
    assert_eq!((root.is_issued_by(&root, NOW), middle.is_issued_by(&root, NOW)), (Ok(()), Ok(())));
}

/// Both ways: a chip and report of Milan under Genoa's certificates, and what says it is Genoa's under Milan's.
#[test]
fn milan_and_genoa_are_not_mixed() {
    let Some(kit) = folder("snp") else { return };
    let [ask, ark] = genoa();
    let genuine = milan(&kit);
    let policy = policy(&genuine.report);
    assert!(genuine.appraise(&policy).is_accepted());
    for case in [
        // Milan's chip under Genoa's intermediate and root, and under one of both.
        Case { ask: ask.clone(), ark: ark.clone(), ..milan(&kit) },
        Case { ask: ask.clone(), ..milan(&kit) },
        Case { ark: ark.clone(), ..milan(&kit) },
        // Certificates of Genoa in the place of Milan's chip.
        Case { vcek: ask.clone(), ..milan(&kit) },
        Case { vcek: ask.clone(), ask: ask.clone(), ark: ark.clone(), ..milan(&kit) },
    ] {
        assert_eq!(case.refused(&policy), [Reason::BrokenChain]);
    }
    // What says it is Genoa's, under Milan's certificates: the report, the chip's certificate, both, and with Genoa's chain.
    let report = says(&genuine.report, GENOA);
    let vcek = of_genoa(&genuine.vcek);
    for (case, reason) in [
        (Case { report: report.clone(), ..milan(&kit) }, Reason::OtherChip),
        (Case { vcek: vcek.clone(), ..milan(&kit) }, Reason::BrokenChain),
        (Case { report: report.clone(), vcek: vcek.clone(), ..milan(&kit) }, Reason::BrokenChain),
        (
            Case { report, vcek, ask: ask.clone(), ark: ark.clone(), ..milan(&kit) },
            Reason::BrokenChain,
        ),
    ] {
        assert_eq!(case.refused(&policy), [reason]);
    }
    // A key that Genoa's root did sign is no chip's.
    let case = Case { vcek: ask, ask: ark.clone(), ark, ..milan(&kit) };
    assert_eq!(case.refused(&policy), [Reason::OtherKeyKind]);
}

#[test]
fn any_flipped_bit_of_a_report_is_refused() {
    let Some(kit) = folder("snp") else { return };
    let mut case = milan(&kit);
    let policy = policy(&case.report);
    let report = case.report.clone();
    let judge =
        |bytes: &[u8]| Case { report: bytes.to_vec(), ..milan_like(&case) }.appraise(&policy);
    let (refused, unchanged) = flip_every_bit(&report, &[0..SIGNED, SIGNED..REPORT], judge);
    assert_eq!((refused, unchanged), (8 * REPORT, 0));
    case.report.push(0);
    assert_eq!(case.refused(&policy), [Reason::Malformed]);
    for length in 0..REPORT {
        case.report.truncate(length);
        assert!(!case.appraise(&policy).is_accepted());
        case.report.clone_from(&report);
    }
}

fn milan_like(case: &Case) -> Case {
    let Case { report, vcek, ask, ark, now } = case;
    Case {
        report: report.clone(),
        vcek: vcek.clone(),
        ask: ask.clone(),
        ark: ark.clone(),
        now: *now,
    }
}

#[test]
fn any_flipped_byte_of_a_certificate_is_refused() {
    let Some(kit) = folder("snp") else { return };
    let case = milan(&kit);
    let policy = policy(&case.report);
    let whole = |bytes: &[u8]| std::iter::once(0..bytes.len()).collect::<Vec<_>>();
    let vcek = |bytes: &[u8]| Case { vcek: bytes.to_vec(), ..milan_like(&case) }.appraise(&policy);
    let ask = |bytes: &[u8]| Case { ask: bytes.to_vec(), ..milan_like(&case) }.appraise(&policy);
    let ark = |bytes: &[u8]| Case { ark: bytes.to_vec(), ..milan_like(&case) }.appraise(&policy);
    assert_eq!(flip_every_byte(&case.vcek, &whole(&case.vcek), vcek).1, 0);
    assert_eq!(flip_every_byte(&case.ask, &whole(&case.ask), ask).1, 0);
    assert_eq!(flip_every_bit(&case.ark, &whole(&case.ark), ark).1, 0);
}

#[test]
fn a_report_is_read_before_it_is_believed() {
    let Some(kit) = folder("snp") else { return };
    let case = milan(&kit);
    let read = |at: usize, value: u8| {
        let mut bytes: [u8; REPORT] = case.report.clone().try_into().unwrap();
        bytes[at] = value;
        Report::parse(&bytes).map(|it| it.objections())
    };
    assert_eq!(read(0, 2), Ok(vec![]));
    assert_eq!(read(0x08 + 2, 0x0B), Ok(vec![Reason::Debug]));
    assert_eq!(read(0x08 + 2, 0x07), Ok(vec![Reason::Migratable]));
    assert_eq!(read(0x30, 1), Ok(vec![Reason::LowPrivilege]));
    assert_eq!(read(0, 1), Err(Reason::Unsupported));
    assert_eq!(read(0, 6), Err(Reason::Unsupported));
    assert_eq!(read(0x34, 2), Err(Reason::Unsupported));
    assert_eq!(read(0x48, 4), Err(Reason::OtherKeyKind));
    assert_eq!(read(0x48, 0x1C), Err(Reason::OtherKeyKind));
}

#[test]
fn roots_and_processors_are_of_one_family() {
    use Product::{Genoa, Milan};
    for (family, model, product) in [
        (0x19, 0x01, Some(Milan)),
        (0x19, 0x11, Some(Genoa)),
        (0x19, 0xA0, Some(Genoa)),
        (0x19, 0x20, None),
        (0x1A, 0x02, None),
        (0x17, 0x31, None),
    ] {
        assert_eq!(Product::of_cpu(family, model), product);
    }
    assert!(ROOTS.iter().all(|(digest, _)| Digest::parse(digest).is_ok()));
}

#[test]
fn small_numbers_have_one_encoding() {
    assert_eq!(small(&[2, 1, 0x7F]), Ok(0x7F));
    assert_eq!(small(&[2, 2, 0, 0xCE]), Ok(0xCE));
    for bad in [&[2, 1, 0x80][..], &[2, 2, 0, 0x7F], &[2, 2, 1, 0], &[4, 1, 0], &[2, 1], &[]] {
        assert_eq!(small(bad), Err(Reason::BadCertificate));
    }
}

#[test]
fn a_report_is_judged_quickly() {
    let Some(kit) = folder("snp") else { return };
    let case = milan(&kit);
    let policy = policy(&case.report);
    let took = time(|| case.appraise(&policy));
    println!("SEV-SNP report: {took:?}");
    assert!(took.as_millis() < 10, "{took:?}");
}
