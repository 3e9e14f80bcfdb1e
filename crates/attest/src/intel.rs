//! Intel SGX and TDX quotes (ECDSA, versions 3 to 5), with collateral given by the caller.
//!
//! The chain, the revocation lists, the quoting enclave's identity and the level of the platform are judged by `dcap-qvl`
//! against Intel's production root, which it holds. This module decides what of the result counts.
//!
//! **Proves:** an enclave or a trust domain with this measurement runs on a genuine Intel platform that was at the level
//! named when the collateral was issued, and asked to have these 64 bytes quoted.
//!
//! **Does not prove:** where the platform stands or that nobody opened it (interposers on the memory bus extracted such
//! keys); freedom from side channels; that the quote was not relayed, beyond the bytes bound; anything the collateral
//! could not know: within its validity (some thirty days) an older set may hide a later revocation, so ask for fresh ones.
//!
//! Threat model: quote and collateral may both be the prover's; collateral that is unsigned, altered, expired or not yet
//! valid at the time given refuses. One reason covers all of it ([`Reason::NotProven`]): which signature broke is no
//! business of the prover. Debuggable enclaves, revoked platforms and domains bound to service domains are refused.
//!
//! Measurement: SGX `MRENCLAVE` (32 bytes); TDX `MRTD ‖ RTMR0 ‖ RTMR1 ‖ RTMR2 ‖ RTMR3` (240 bytes). Chip: the platform's
//! identifier in its certificate (PPID).

use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::quote::{EnclaveReport, Quote, Report, TDReport10};
use dcap_qvl::verify::verify;

use crate::Authentic;
use crate::appraisal::{Facts, IntelStatus, Reason, Tcb};
use crate::limits;
use crate::reader::Reader;

#[cfg(test)]
mod tests;

const SGX_DEBUG: u8 = 0x02;
/// Bit 29 of a domain's attributes, in its fourth byte.
const TDX_MIGRATABLE: u8 = 1 << 5;

pub(crate) fn authenticate(quote: &[u8], collateral: &[u8], now: u64) -> Result<Authentic, Reason> {
    if quote.len() > limits::EVIDENCE || collateral.len() > limits::COLLATERAL {
        return Err(Reason::TooLong);
    }
    let parsed = Quote::parse(quote).map_err(|_| Reason::Malformed)?;
    let mut rest = Reader(quote);
    rest.take(parsed.signed_length())?;
    let length = u32::from_le_bytes(rest.array()?);
    rest.take(usize::try_from(length).map_err(|_| Reason::Malformed)?)?;
    // Some platforms hand out the whole buffer.
    if rest.0.iter().any(|it| *it != 0) {
        return Err(Reason::Malformed);
    }
    let collateral: QuoteCollateralV3 =
        serde_json::from_slice(collateral).map_err(|_| Reason::BadCollateral)?;
    // The verifier refuses these as well, in words only. Refusing needs no proof.
    if debuggable(&parsed.report) {
        return Err(Reason::Debug);
    }
    let verified = verify(quote, &collateral, now).map_err(|_| Reason::NotProven)?;
    let status = status(&verified.status).ok_or(Reason::NotProven)?;
    let (measurement, report_data) = match &verified.report {
        Report::SgxEnclave(enclave) => (enclave.mr_enclave.to_vec(), enclave.report_data),
        Report::TD10(_) | Report::TD15(_) | Report::TD15Ex(_) => {
            let domain = domain(&verified.report).ok_or(Reason::Unsupported)?;
            let TDReport10 { mr_td, rt_mr0, rt_mr1, rt_mr2, rt_mr3, .. } = *domain;
            ([mr_td, rt_mr0, rt_mr1, rt_mr2, rt_mr3].concat(), domain.report_data)
        }
    };
    let facts = Facts {
        tcb: Tcb::Intel { status, advisories: verified.advisory_ids },
        measurement,
        chip: verified.ppid,
        report_data: report_data.to_vec(),
    };
    let objections =
        if migratable(&verified.report) { vec![Reason::Migratable] } else { Vec::new() };
    Ok(Authentic { facts, objections })
}

const fn domain(report: &Report) -> Option<&TDReport10> {
    match report {
        Report::SgxEnclave(_) => None,
        Report::TD10(it) => Some(it),
        Report::TD15(it) => Some(&it.base),
        Report::TD15Ex(it) => Some(&it.base.base),
    }
}

/// Any bit of the first byte of a domain's attributes makes it untrusted.
fn debuggable(report: &Report) -> bool {
    match report {
        Report::SgxEnclave(EnclaveReport { attributes: [first, ..], .. }) => first & SGX_DEBUG != 0,
        Report::TD10(_) | Report::TD15(_) | Report::TD15Ex(_) => {
            domain(report).is_none_or(|it| it.td_attributes[0] != 0)
        }
    }
}

fn migratable(report: &Report) -> bool {
    domain(report).is_some_and(|it| it.td_attributes[3] & TDX_MIGRATABLE != 0)
}

/// The verdict's name as Intel's collateral writes it.
fn status(name: &str) -> Option<IntelStatus> {
    Some(match name {
        "UpToDate" => IntelStatus::UpToDate,
        "SWHardeningNeeded" => IntelStatus::SwHardeningNeeded,
        "ConfigurationNeeded" => IntelStatus::ConfigurationNeeded,
        "ConfigurationAndSWHardeningNeeded" => IntelStatus::ConfigurationAndSwHardeningNeeded,
        "OutOfDate" => IntelStatus::OutOfDate,
        "OutOfDateConfigurationNeeded" => IntelStatus::OutOfDateConfigurationNeeded,
        "TDRelaunchAdvised" => IntelStatus::TdRelaunchAdvised,
        "TDRelaunchAdvisedConfigurationNeeded" => IntelStatus::TdRelaunchAdvisedConfigurationNeeded,
        "Revoked" => IntelStatus::Revoked,
        _ => return None,
    })
}
