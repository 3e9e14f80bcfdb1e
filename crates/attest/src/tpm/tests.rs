use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::EncodePublicKey as _;
use serde_json::Value;
use tidm_crypto::hash::sha256;

use crate::appraisal::{Appraisal, Level, Reason, Tcb};
use crate::appraise;
use crate::evidence::{Evidence, Kind};
use crate::policy::{Chips, LeastTcb, Policy};
use crate::tests::{flip_every_bit, folder, time};

#[derive(Clone)]
struct Case {
    quote: Vec<u8>,
    signature: Vec<u8>,
    key: Vec<u8>,
    pcrs: Vec<[u8; 32]>,
    nonce: Vec<u8>,
}

impl Case {
    fn appraise(&self, policy: &Policy) -> Appraisal {
        let Self { quote, signature, key, pcrs, .. } = self;
        appraise(&Evidence { bytes: quote, kind: Kind::Tpm { key, signature, pcrs } }, policy, 0)
    }

    fn refused(&self, policy: &Policy) -> Vec<Reason> {
        let appraisal = self.appraise(policy);
        assert!(!appraisal.is_accepted());
        appraisal.refusals().collect()
    }

    fn policy(&self) -> Policy {
        Policy {
            measurements: BTreeSet::from([sha256(&self.pcrs.concat()).0.to_vec()]),
            report_data: self.nonce.clone(),
            chips: Chips::Only(BTreeSet::from([sha256(&self.key).0.to_vec()])),
            least_tcb: LeastTcb { tpm: Some(firmware(&self.quote)), ..LeastTcb::default() },
            tpm_pcrs: [0xFF; 3],
            ..Policy::default()
        }
    }
}

/// The firmware a quote names, behind two sized fields and the clock.
fn firmware(quote: &[u8]) -> u64 {
    let sized = |at: usize| at + 2 + usize::from(u16::from_be_bytes([quote[at], quote[at + 1]]));
    let at = sized(sized(6)) + 17;
    u64::from_be_bytes(quote[at..at + 8].try_into().unwrap())
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|it| str::from_utf8(it).unwrap());
    digits.map(|it| u8::from_str_radix(it, 16).unwrap()).collect()
}

fn pcrs(values: &Value) -> Vec<[u8; 32]> {
    let values = values.as_array().unwrap().iter();
    values.map(|it| hex(it.as_str().unwrap()).try_into().unwrap()).collect()
}

/// `SubjectPublicKeyInfo` of an RSA key with 2048 bits and the usual exponent.
fn rsa(modulus: &[u8]) -> Vec<u8> {
    let head = "30820122300d06092a864886f70d01010105000382010f003082010a0282010100";
    [&hex(head)[..], modulus, &hex("0203010001")].concat()
}

/// A quote of a virtual TPM in Azure; its key stands in the report of the host.
fn azure() -> Option<Case> {
    let kit = folder("tpm")?;
    let read = |name: &str| std::fs::read(kit.join(name)).unwrap();
    let report = read("hcl-report.bin");
    let start = report.windows(7).position(|it| it == b"{\"keys\"").unwrap();
    let mut values = serde_json::Deserializer::from_slice(&report[start..]).into_iter::<Value>();
    let claims = values.next().unwrap().unwrap();
    let modulus = URL_SAFE_NO_PAD.decode(claims["keys"][0]["n"].as_str().unwrap()).unwrap();
    let quote: Value = serde_json::from_slice(&read("tpm-quote-v1.json")).unwrap();
    let text = |name: &str| hex(quote[name].as_str().unwrap());
    Some(Case {
        quote: text("message"),
        signature: [&hex("0014000b0100")[..], &text("signature")].concat(),
        key: rsa(&modulus),
        pcrs: pcrs(&quote["pcrs"]),
        nonce: b"challenge".to_vec(),
    })
}

/// A quote of a TPM, with the key beside it.
fn trustee() -> Option<Case> {
    let text = std::fs::read(folder("tpm")?.join("tpm_evidence.json")).unwrap();
    let evidence: Value = serde_json::from_slice(&text).unwrap();
    let decode = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let quote = decode(&evidence["tpm_quote"]["message"]);
    Some(Case {
        nonce: quote[44..44 + 64].to_vec(),
        quote,
        signature: decode(&evidence["tpm_quote"]["signature"]),
        key: decode(&evidence["ak_public"]),
        pcrs: pcrs(&evidence["tpm_quote"]["pcrs"]),
    })
}

/// A quote built and signed here, with a key of ours: no public quote is signed with ECDSA.
fn ours() -> Case {
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let pcrs = vec![[1; 32], [2; 32]];
    let nonce = crate::policy::report_data(b"fresh", b"one-time key", b"request").to_vec();
    let quote = [
        &hex("ff5443478018000461626364")[..],
        &hex("0020"),
        &nonce,
        &hex("0000000000720001000000030000000001202003120012000300000001"),
        &hex("000b03810000"),
        &hex("0020"),
        sha256(&pcrs.concat()).as_bytes(),
    ]
    .concat();
    resigned(Case {
        quote,
        signature: Vec::new(),
        key: key.verifying_key().to_public_key_der().unwrap().into_vec(),
        pcrs,
        nonce,
    })
}

fn resigned(case: Case) -> Case {
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let made: p256::ecdsa::Signature = key.sign(&case.quote);
    let made = made.to_bytes();
    let signature = [&hex("0018000b0020")[..], &made[..32], &hex("0020"), &made[32..]].concat();
    Case { signature, ..case }
}

#[test]
fn published_quotes_are_accepted_and_prove_no_tee() {
    for case in [azure(), trustee()].into_iter().flatten() {
        let mut policy = case.policy();
        policy.independent_chips.insert(sha256(&case.key).0.to_vec());
        let appraisal = case.appraise(&policy);
        assert!(appraisal.is_accepted(), "{appraisal:?}");
        assert_eq!(appraisal.level, Level::AtMostE2);
        assert!(matches!(appraisal.facts.unwrap().tcb, Tcb::Tpm { firmware } if firmware > 0));
    }
}

fn our_policy(case: &Case) -> Policy {
    let floor = LeastTcb { tpm: Some(firmware(&case.quote)), ..LeastTcb::default() };
    Policy { tpm_pcrs: [0x81, 0, 0], least_tcb: floor, ..case.policy() }
}

#[test]
fn each_demand_refuses_by_itself() {
    let case = ours();
    assert!(
        case.appraise(&our_policy(&case)).is_accepted(),
        "{:?}",
        case.appraise(&our_policy(&case))
    );
    let check = |change: fn(&mut Policy), reason| {
        let mut policy = our_policy(&case);
        change(&mut policy);
        assert_eq!(case.refused(&policy), [reason]);
    };
    check(|it| it.report_data[0] ^= 1, Reason::OtherReportData);
    check(|it| it.report_data.truncate(31), Reason::OtherReportData);
    check(|it| it.measurements.clear(), Reason::UnknownMeasurement);
    check(|it| it.chips = Chips::Any, Reason::UnknownKey);
    check(|it| it.chips = Chips::default(), Reason::UnknownKey);
    check(|it| it.least_tcb.tpm = None, Reason::NoTcbFloor);
    check(|it| it.least_tcb.tpm = Some(u64::MAX), Reason::TcbBelowFloor);
    check(|it| it.tpm_pcrs = [0x83, 0, 0], Reason::OtherPcrSelection);
    check(|it| it.tpm_pcrs = [0; 3], Reason::OtherPcrSelection);
}

#[test]
fn a_quote_about_nothing_is_refused() {
    let mut case = ours();
    let at = case.quote.len() - 34 - 3;
    case.quote[at] = 0;
    let case = resigned(case);
    let policy = Policy { tpm_pcrs: [0; 3], ..our_policy(&case) };
    assert_eq!(case.refused(&policy), [Reason::OtherPcrSelection]);
}

#[test]
fn what_stands_beside_the_quote_must_fit() {
    let (Some(case), Some(other), Some(kit)) = (azure(), trustee(), folder("tpm")) else { return };
    let refused = |change: &dyn Fn(&mut Case)| {
        let mut changed = case.clone();
        change(&mut changed);
        let chips = Chips::Only(BTreeSet::from([sha256(&changed.key).0.to_vec()]));
        let [reason] = changed.refused(&Policy { chips, ..case.policy() })[..] else {
            panic!("one")
        };
        reason
    };
    assert_eq!(refused(&|it| it.pcrs[0][0] ^= 1), Reason::OtherPcrs);
    assert_eq!(refused(&|it| it.pcrs.swap(0, 1)), Reason::OtherPcrs);
    assert_eq!(refused(&|it| it.pcrs.truncate(23)), Reason::OtherPcrs);
    assert_eq!(refused(&|it| it.pcrs.push([0; 32])), Reason::TooLong);
    assert_eq!(refused(&|it| it.key.clone_from(&other.key)), Reason::BadSignature);
    assert_eq!(refused(&|it| it.key.push(0)), Reason::BadCertificate);
    assert_eq!(refused(&|it| it.key.clear()), Reason::BadCertificate);
    assert_eq!(refused(&|it| it.key = ours().key), Reason::Unsupported);
    assert_eq!(refused(&|it| it.signature.clone_from(&other.signature)), Reason::BadSignature);
    assert_eq!(refused(&|it| it.signature = ours().signature), Reason::Unsupported);
    assert_eq!(refused(&|it| it.signature.push(0)), Reason::Malformed);
    assert_eq!(refused(&|it| it.signature.resize(600, 0)), Reason::TooLong);
    assert_eq!(refused(&|it| it.quote.push(0)), Reason::Malformed);
    // A published quote of another key, about other PCRs, with a signature of its own.
    assert_eq!(
        refused(&|it| it.quote = std::fs::read(kit.join("tpm-quote.msg")).unwrap()),
        Reason::BadSignature
    );
    for length in 0..case.quote.len() {
        assert_eq!(refused(&|it| it.quote.truncate(length)), Reason::Malformed);
    }
    for length in 0..case.signature.len() {
        assert_eq!(refused(&|it| it.signature.truncate(length)), Reason::Malformed);
    }
}

#[test]
fn any_flipped_bit_is_refused() {
    let cases = [azure(), trustee()].into_iter().flatten().map(|it| (it.policy(), it));
    for (policy, case) in cases.chain([(our_policy(&ours()), ours())]) {
        let all = |bytes: &[u8]| std::iter::once(0..bytes.len()).collect::<Vec<_>>();
        let quote = |bytes: &[u8]| Case { quote: bytes.to_vec(), ..case.clone() }.appraise(&policy);
        let made =
            |bytes: &[u8]| Case { signature: bytes.to_vec(), ..case.clone() }.appraise(&policy);
        let key = |bytes: &[u8]| Case { key: bytes.to_vec(), ..case.clone() }.appraise(&policy);
        assert_eq!(
            flip_every_bit(&case.quote, &all(&case.quote), quote),
            (8 * case.quote.len(), 0)
        );
        assert_eq!(flip_every_bit(&case.signature, &all(&case.signature), made).1, 0);
        assert_eq!(flip_every_bit(&case.key, &all(&case.key), key).1, 0);
    }
}

#[test]
fn a_quote_is_judged_quickly() {
    for case in [azure(), trustee()].into_iter().flatten() {
        let policy = case.policy();
        let took = time(|| case.appraise(&policy));
        println!("TPM quote: {took:?}");
        assert!(took.as_millis() < 10, "{took:?}");
    }
}
