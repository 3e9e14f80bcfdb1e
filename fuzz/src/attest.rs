//! Targets in `tidm-attest`: evidence of each format with the certificates, collateral and values beside it; texts.
//!
//! An input is a row of parts, each behind its length in two bytes. Nothing a fuzzer finds may be accepted, but for the
//! one seed that is signed with a key of ours.

use tidm_attest::appraisal::{Level, Outcome};
use tidm_attest::appraise;
use tidm_attest::evidence::{Evidence, Kind};
use tidm_attest::made::Handed;
use tidm_attest::policy::{Chips, Policy};
use tidm_attest::tpm::command;
use tidm_crypto::hash::sha256;

use crate::{Parser, choose};

/// When the published certificates are valid.
const NOW: u64 = 1_750_400_000;

/// Evidence, and what lies beside it.
pub(crate) fn evidence(data: &[u8]) {
    const PARSERS: [Parser; 11] =
        [snp, intel, csv, tpm, simulated, collateral, text, demands, certificates, handed, answers];
    choose(&PARSERS, data);
}

/// The first `N` parts; what is missing is empty.
fn parts<const N: usize>(mut data: &[u8]) -> [&[u8]; N] {
    std::array::from_fn(|_| {
        let Some((length, rest)) = data.split_first_chunk() else { return &[][..] };
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (part, rest) = rest.split_at(length);
        data = rest;
        part
    })
}

/// A verdict is whole: accepted means every claim, and facts are shown only where the signatures held.
fn judge(bytes: &[u8], kind: Kind<'_>, policy: &Policy) -> bool {
    let appraisal = appraise(&Evidence { bytes, kind }, policy, NOW);
    assert_ne!(appraisal.is_accepted(), appraisal.refusals().count() > 0);
    let open = appraisal.findings.iter().any(|it| it.outcome == Outcome::NotAppraised);
    assert_eq!(open, appraisal.facts.is_none());
    assert!(appraisal.is_accepted() || appraisal.level == Level::AtMostE2);
    appraisal.facts.is_some()
}

fn any_chip() -> Policy {
    Policy { chips: Chips::Any, ..Policy::default() }
}

fn snp(data: &[u8]) {
    let [report, vcek, ask, ark] = parts(data);
    judge(report, Kind::Snp { vcek, ask, ark }, &any_chip());
}

fn intel(data: &[u8]) {
    let [quote, collateral] = parts(data);
    judge(quote, Kind::Intel { collateral }, &any_chip());
}

fn csv(data: &[u8]) {
    let [report, hrk, hsk, cek] = parts(data);
    judge(report, Kind::Csv { hrk, hsk, cek }, &any_chip());
}

/// Without a root, which only tests can make, nothing of it is believed.
fn simulated(data: &[u8]) {
    assert!(!judge(data, Kind::Simulated, &any_chip()));
}

/// A set on its own: what is accepted holds at that time.
fn collateral(data: &[u8]) {
    if let Ok(it) = tidm_attest::intel::describe(data, NOW) {
        assert!(it.from <= NOW && NOW <= it.until);
    }
}

/// Evidence as text, with what lies beside it.
fn text(data: &[u8]) {
    if let Ok(it) = tidm_attest::text::Text::read(data) {
        let evidence = it.evidence(None);
        judge(evidence.bytes, evidence.kind, &any_chip());
        for (range, _) in tidm_attest::ranges::ranges(&evidence) {
            assert!(range.start <= range.end && range.end <= evidence.bytes.len());
        }
    }
}

/// A policy as text: whatever it says, it does not say what evidence must carry, nor whose simulated evidence counts.
fn demands(data: &[u8]) {
    if let Ok(it) = tidm_attest::text::policy(data) {
        assert!(it.report_data.is_empty() && it.simulated.is_none());
    }
}

/// A host's table of certificates: whatever is found lies in it, or is what PEM there says.
fn certificates(data: &[u8]) {
    if let Ok(it) = tidm_attest::snp::table::certificates(data) {
        for found in [it.vcek, it.ask, it.ark] {
            assert!(found.len() <= tidm_attest::limits::CERTIFICATE);
            let pem = data.windows(10).any(|it| it == b"-----BEGIN");
            assert!(pem || data.windows(found.len()).any(|it| it == found));
        }
    }
}

/// What a kernel hands out: what is made of it is read again as it was, and carries what was asked for.
fn handed(data: &[u8]) {
    let [provider, outblob, auxblob] = parts(data);
    let it = Handed {
        provider: String::from_utf8_lossy(provider).into_owned(),
        outblob: outblob.to_vec(),
        auxblob: auxblob.to_vec(),
    };
    if let Ok(made) = tidm_attest::made::tsm(&it, &[0; 64], None) {
        let written = made.write().unwrap_or_default();
        assert_eq!(tidm_attest::text::Text::read(&written), Ok(made));
        assert!(outblob.windows(64).any(|it| it == [0; 64]));
    }
}

/// Answers of a TPM. A key that is read is one that verifiers read.
fn answers(data: &[u8]) {
    let _ = command::length(data);
    if let Ok(it) = command::quoted(data) {
        assert!(it.attested.len() + it.signature.len() < data.len());
        drop(tidm_attest::made::tpm(it, Vec::new(), Vec::new(), &[0; 32], None));
    }
    if let Ok((told, values)) = command::pcr_values(data) {
        let count: u32 = told.iter().map(|it| it.count_ones()).sum();
        assert_eq!(values.len(), usize::try_from(count).unwrap_or(usize::MAX));
    }
    if let Ok(key) = command::public(data) {
        assert!(key.starts_with(&[0x30]) && key.len() <= tidm_attest::limits::CERTIFICATE);
    }
}

/// The policy names the key, so that what lies behind that check is reached; without it nothing is proven.
fn tpm(data: &[u8]) {
    let [quote, key, signature, values] = parts(data);
    let (pcrs, _) = values.as_chunks::<32>();
    let kind = Kind::Tpm { key, signature, pcrs };
    let chips = Chips::Only([sha256(key).0.to_vec()].into());
    judge(quote, kind, &Policy { chips, ..Policy::default() });
    assert!(!judge(quote, kind, &any_chip()));
}
