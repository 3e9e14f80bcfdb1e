//! Intel SGX and TDX quotes (ECDSA, versions 3 to 5), with collateral given by the caller.
//!
//! From the pinned root down: the platform's certified key (PCK) from the chain in the quote, two revocation lists, the
//! quoting enclave's report and its signed identity, the attestation key hashed into that report, the quote's signature,
//! and the level that Intel's signed TCB info gives the platform.
//!
//! **Proves:** an enclave or a trust domain with this measurement runs on a genuine Intel platform that was at the level
//! named when the collateral was issued, and asked to have these 64 bytes quoted.
//!
//! **Does not prove:** where the platform stands or that nobody opened it (interposers on the memory bus extracted such
//! keys); freedom from side channels; that the quote was not relayed, beyond the bytes bound; anything the collateral
//! could not know: within its validity (some thirty days) an older set may hide a later revocation, so ask for fresh ones.
//!
//! Threat model: quote and collateral may both be the prover's; collateral that is unsigned, altered, expired or not yet
//! valid at the time given refuses, as do revoked platforms, debuggable environments, domains without protection of their
//! page tables' errors, and domains bound to service domains.
//!
//! Measurement: SGX `MRENCLAVE` (32 bytes); TDX `MRTD ‖ RTMR0 ‖ RTMR1 ‖ RTMR2 ‖ RTMR3` (240 bytes). Chip: the platform's
//! identifier in its certificate (PPID).

use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use tidm_crypto::hash::sha256;

use crate::Authentic;
use crate::appraisal::{Facts, IntelStatus, Reason, Tcb};
use crate::x509::{Certificate, Revocations};
use crate::{limits, pem};

use collateral::{Set, Signed};
use pck::Platform;
use quote::{Body, Domain, Quote};

mod collateral;
mod level;
mod pck;
mod quote;
#[cfg(test)]
mod tests;

const SGX_DEBUG: u8 = 0x02;
/// A domain's attributes. Any bit of the first byte makes it untrusted.
const TDX_UNDER_DEBUG: u64 = 0xFF;
const TDX_SERVED: u64 = 1 << 17;
/// Errors in the page tables do not reach the domain as exceptions that the host could place.
const TDX_QUIET: u64 = 1 << 28;
const TDX_MIGRATABLE: u64 = 1 << 29;
/// Bits that have no meaning yet and must be zero: 8 to 15, 23 to 26, 32 to 61.
const TDX_RESERVED: u64 = 0x3FFF_FFFF_0780_FF00;

pub(crate) fn authenticate(quote: &[u8], collateral: &[u8], now: u64) -> Result<Authentic, Reason> {
    if quote.len() > limits::EVIDENCE || collateral.len() > limits::COLLATERAL {
        return Err(Reason::TooLong);
    }
    let quote = Quote::parse(quote)?;
    let set = Set::parse(collateral)?;
    // Refusing needs no proof.
    if debuggable(&quote.body)? {
        return Err(Reason::Debug);
    }
    let chain = pem::chain::<3>(quote.chain)?;
    let [leaf, authority, root] = &chain;
    let (leaf, authority) = (Certificate::parse(leaf)?, Certificate::parse(authority)?);
    let root = pck::root(root)?;
    pck::check_chain([&leaf, &authority, &root], now)?;
    let signed = revocations(&set, &root, Some([&leaf, &authority]), now)?;
    vouched(&quote, &leaf)?;
    let platform = Platform::of(&leaf)?;
    let sgx = matches!(quote.body, Body::Enclave(_));
    let quoter = level::quoter(&quote.quoter, &signed.quoter, sgx)?;
    let (standing, measurement, report_data, objections) = match &quote.body {
        Body::Enclave(it) => {
            let standing = level::enclave(&signed.levels, &platform)?.with(quoter);
            (standing, it.measurement()?.to_vec(), it.report_data()?, Vec::new())
        }
        Body::Domain(it) => {
            let standing = level::domain(&signed.levels, &platform, it, quoter)?;
            (standing, it.measurement()?, it.report_data()?, objections(it)?)
        }
    };
    if standing.status == IntelStatus::Revoked {
        return Err(Reason::Revoked);
    }
    let facts = Facts {
        tcb: Tcb::Intel {
            status: standing.status,
            since: standing.since,
            advisories: standing.advisories,
        },
        measurement,
        chip: platform.chip.to_vec(),
        report_data: report_data.to_vec(),
    };
    Ok(Authentic { facts, objections })
}

/// What a trust domain's quote carries; its signatures are not looked at.
pub(crate) fn domain_data(quote: &[u8]) -> Result<[u8; 64], Reason> {
    match Quote::parse(quote)?.body {
        Body::Domain(it) => it.report_data(),
        Body::Enclave(_) => Err(Reason::Unsupported),
    }
}

/// Where in a quote every byte counts: all of it but the lengths and kinds between, which refuse when they do not fit.
pub(crate) fn ranges(quote: &[u8]) -> Vec<(std::ops::Range<usize>, &'static str)> {
    let Ok(it) = Quote::parse(quote) else { return Vec::new() };
    let chain = quote.windows(it.chain.len()).position(|window| window == it.chain).unwrap_or(0);
    let data = chain.saturating_sub(6 + it.quoter_data.len());
    let quoter = data.saturating_sub(2 + 64 + it.quoter.0.len());
    let signature = it.signed.len().saturating_add(4);
    vec![
        (0..it.signed.len(), "signed"),
        (signature..signature.saturating_add(128), "signature"),
        (quoter..data.saturating_sub(2), "quoting-enclave"),
        (data..data.saturating_add(it.quoter_data.len()), "key-binding"),
        (chain..chain.saturating_add(it.chain.len()), "certificates"),
    ]
}

/// Which collateral a quote needs: `SGX` or `TDX`, and the family as [`Described`] names it. Nothing of it is proven.
pub fn needs(quote: &[u8]) -> Option<(&'static str, String)> {
    let quote = Quote::parse(quote.get(..limits::EVIDENCE.min(quote.len()))?).ok()?;
    let [leaf, ..] = pem::chain::<3>(quote.chain).ok()?;
    let platform = Platform::of(&Certificate::parse(&leaf).ok()?).ok()?;
    let environment = match quote.body {
        Body::Enclave(_) => "SGX",
        Body::Domain(_) => "TDX",
    };
    Some((environment, family(&platform.family)))
}

fn family(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What collateral is about, for whoever keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// `SGX` or `TDX`.
    pub environment: String,
    /// The family of platforms, hexadecimal.
    pub family: String,
    /// From when to when all of it holds, in seconds since 1970.
    pub from: u64,
    pub until: u64,
}

/// Checks a set on its own, as before keeping it: everything that needs no quote.
///
/// # Errors
/// The reason for which no quote would be accepted with it at `now`.
pub fn describe(collateral: &[u8], now: u64) -> Result<Described, Reason> {
    if collateral.len() > limits::COLLATERAL {
        return Err(Reason::TooLong);
    }
    let set = Set::parse(collateral)?;
    let chain = pem::chain::<2>(set.pck_crl_issuer_chain.as_bytes())?;
    let [authority, root] = &chain;
    let (authority, root) = (Certificate::parse(authority)?, pck::root(root)?);
    pck::check_authority(&authority, &root, now)?;
    let lists = [
        (Revocations::parse(&set.root_ca_crl)?, &root),
        (Revocations::parse(&set.pck_crl)?, &authority),
    ];
    for (list, issuer) in &lists {
        list.is_issued_by(issuer, now)?;
    }
    let signed = revocations(&set, &root, None, now)?;
    let windows = [lists[0].0.window, lists[1].0.window, signed.window];
    Ok(Described {
        environment: signed.levels.id,
        family: family(&signed.levels.fmspc),
        from: windows.iter().map(|it| it.from).max().unwrap_or(u64::MAX),
        until: windows.iter().map(|it| it.until).min().unwrap_or(0),
    })
}

/// Reads both lists and the signed texts; admits the platform's certificate and the authority above it.
fn revocations(
    set: &Set,
    root: &Certificate<'_>,
    chain: Option<[&Certificate<'_>; 2]>,
    now: u64,
) -> Result<Signed, Reason> {
    let of_root = Revocations::parse(&set.root_ca_crl)?;
    of_root.is_issued_by(root, now)?;
    of_root.admit(root)?;
    if let Some([leaf, authority]) = chain {
        let of_platforms = Revocations::parse(&set.pck_crl)?;
        of_platforms.is_issued_by(authority, now)?;
        of_root.admit(authority)?;
        of_platforms.admit(leaf)?;
    }
    set.read(&of_root, now)
}

/// The certified key signed the quoting enclave's report, which names the attestation key, which signed the quote.
fn vouched(quote: &Quote<'_>, leaf: &Certificate<'_>) -> Result<(), Reason> {
    let verify = |key: &[u8], signed: &[u8], signature: &[u8; 64]| {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
        key.verify(signed, signature).map_err(|_| Reason::NotProven)
    };
    verify(leaf.key(), quote.quoter.0, &quote.quoter_signature)?;
    let named = sha256(&[&quote.key[..], quote.quoter_data].concat());
    if quote.quoter.report_data()? != padded(named.0) {
        return Err(Reason::NotProven);
    }
    verify(&[&[4][..], &quote.key].concat(), quote.signed, &quote.signature)
        .map_err(|_| Reason::BadSignature)
}

fn padded(digest: [u8; 32]) -> [u8; 64] {
    std::array::from_fn(|index| digest.get(index).copied().unwrap_or(0))
}

fn debuggable(body: &Body<'_>) -> Result<bool, Reason> {
    Ok(match body {
        Body::Enclave(it) => it.attributes()?[0] & SGX_DEBUG != 0,
        Body::Domain(it) => it.attributes()? & TDX_UNDER_DEBUG != 0,
    })
}

fn objections(it: &Domain<'_>) -> Result<Vec<Reason>, Reason> {
    let attributes = it.attributes()?;
    let all = [
        (attributes & TDX_RESERVED != 0 || attributes & TDX_QUIET == 0, Reason::WeakGuestPolicy),
        (attributes & TDX_MIGRATABLE != 0, Reason::Migratable),
        (attributes & TDX_SERVED != 0 || it.is_served()?, Reason::Served),
    ];
    Ok(all.into_iter().filter_map(|(applies, reason)| applies.then_some(reason)).collect())
}
