//! Appraises attestation evidence: is the machine that answers really the measured software inside a trusted
//! execution environment, and is it the one that holds the key we are about to encrypt to?
//!
//! Read [`appraise`] first, then [`policy::Policy`], then one format: [`snp`], [`intel`], [`csv`] or [`tpm`]. What each
//! proves and what it leaves open stands at the head of its module and in `docs/attestation.md`.
//!
//! Threat model: whoever sends evidence chooses every byte of it, of the certificates and of the collateral beside it.
//! What counts is a signature chain to a root whose digest stands in this crate (for TPMs: to a key the policy names).
//! Deny by default: a claim that nobody checked refuses, and nothing read before a signature held is shown.
//!
//! **Architecture invariant:** pure. Time is an argument; there is no IO, no clock, no randomness. Must never fetch
//! collateral, never accept a debuggable environment, never raise a level above what the evidence proves. It does not
//! detect evidence relayed from another machine beyond the binding of a fresh nonce to a one-time key, nor side
//! channels, nor somebody who opened the chip.

pub mod appraisal;
pub mod csv;
mod der;
pub mod evidence;
pub mod handshake;
pub mod intel;
pub mod limits;
pub mod made;
mod pem;
pub mod policy;
pub mod ranges;
mod reader;
pub mod simulated;
pub mod snp;
pub mod text;
mod time;
pub mod tpm;
mod x509;

#[cfg(test)]
mod tests;

use appraisal::{Appraisal, Claim, Facts, Finding, Level, Outcome, Reason, Tcb};
use evidence::{Evidence, Kind};
use policy::{Chips, Policy};

/// What a format's verifier hands over once the signatures hold.
pub(crate) struct Authentic {
    pub(crate) facts: Facts,
    /// Objections of the format itself, such as a debug bit.
    pub(crate) objections: Vec<Reason>,
}

/// Judges evidence at `now` (seconds since 1970, UTC). Never fails: what cannot be judged is refused, with a reason.
pub fn appraise(evidence: &Evidence<'_>, policy: &Policy, now: u64) -> Appraisal {
    let authentic = match &evidence.kind {
        Kind::Snp { vcek, ask, ark } => snp::authenticate(evidence.bytes, vcek, ask, ark, now),
        Kind::Intel { collateral } => intel::authenticate(evidence.bytes, collateral, now),
        Kind::Csv { hrk, hsk, cek } => csv::authenticate(evidence.bytes, [hrk, hsk, cek], policy),
        Kind::Tpm { key, signature, pcrs } => {
            tpm::authenticate(evidence.bytes, key, signature, pcrs, policy)
        }
        Kind::Simulated => simulated::authenticate(evidence.bytes, policy),
    };
    match authentic {
        Ok(authentic) => judge(authentic, policy),
        Err(reason) => refused(reason),
    }
}

/// Nothing was proven: the claim that broke says why, the others were not looked at.
fn refused(reason: Reason) -> Appraisal {
    let findings = Claim::ALL.map(|claim| Finding {
        claim,
        outcome: if claim == reason.claim() {
            Outcome::Refused(reason)
        } else {
            Outcome::NotAppraised
        },
    });
    Appraisal { findings, facts: None, level: Level::AtMostE2 }
}

fn judge(authentic: Authentic, policy: &Policy) -> Appraisal {
    let Authentic { facts, objections } = authentic;
    let findings = Claim::ALL.map(|claim| {
        let objection = objections.iter().copied().find(|it| it.claim() == claim);
        let outcome = match objection.map_or_else(|| check(claim, &facts, policy), Err) {
            Ok(()) => Outcome::Met,
            Err(reason) => Outcome::Refused(reason),
        };
        Finding { claim, outcome }
    });
    let accepted = findings.iter().all(|it| it.outcome == Outcome::Met);
    let level = match (accepted && facts.tcb.is_of_a_tee(), &facts.chip) {
        (true, chip) if policy.independent_chips.contains(chip) => Level::E4,
        (true, _) => Level::E3,
        (false, _) => Level::AtMostE2,
    };
    Appraisal { findings, facts: Some(facts), level }
}

fn check(claim: Claim, facts: &Facts, policy: &Policy) -> Result<(), Reason> {
    let (holds, reason) = match claim {
        // The value `Authentic` exists only behind these two; debug bits are objections of the format.
        Claim::Endorsed | Claim::Signed | Claim::NoDebug => return Ok(()),
        Claim::Bound => (bound(facts, policy), Reason::OtherReportData),
        Claim::Measured => {
            (policy.measurements.contains(&facts.measurement), Reason::UnknownMeasurement)
        }
        Claim::Current => return current(&facts.tcb, policy),
        Claim::Chip => match &policy.chips {
            Chips::Any => return Ok(()),
            Chips::Only(chips) => (chips.contains(&facts.chip), Reason::UnknownChip),
        },
    };
    if holds { Ok(()) } else { Err(reason) }
}

/// Fields of fixed length hold the expected bytes and then zeros; a TPM's field holds them and nothing else.
fn bound(facts: &Facts, policy: &Policy) -> bool {
    let Some((head, rest)) = facts.report_data.split_at_checked(policy.report_data.len()) else {
        return false;
    };
    let padded = !matches!(facts.tcb, Tcb::Tpm { .. });
    !head.is_empty()
        && head == policy.report_data
        && (rest.is_empty() || padded && rest.iter().all(|byte| *byte == 0))
}

fn current(tcb: &Tcb, policy: &Policy) -> Result<(), Reason> {
    let at_least = |floor: Option<bool>| match floor {
        None => Err(Reason::NoTcbFloor),
        Some(true) => Ok(()),
        Some(false) => Err(Reason::TcbBelowFloor),
    };
    let floor = &policy.least_tcb;
    match tcb {
        Tcb::Snp(tcb) => at_least(floor.snp.map(|least| tcb.is_at_least(&least))),
        Tcb::Csv { firmware } => at_least(floor.csv.map(|least| *firmware >= least)),
        Tcb::Tpm { firmware } => at_least(floor.tpm.map(|least| *firmware >= least)),
        Tcb::Simulated { firmware } => at_least(floor.simulated.map(|least| *firmware >= least)),
        Tcb::Intel { status, since, advisories } => {
            let known = !floor.intel.is_empty();
            let tolerated = advisories.iter().all(|it| !floor.refused_advisories.contains(it));
            let new = *since >= floor.intel_since;
            at_least(known.then(|| floor.intel.contains(status) && new && tolerated))
        }
    }
}
