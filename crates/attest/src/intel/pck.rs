//! The certificate of a platform's key (PCK): Intel's chain above it, and what it says about the platform.
//!
//! Threat model: the chain is the prover's until it ends at the pinned root. Every certificate has one place in it, by
//! its common name and by what its issuer may do: a platform's key must not vouch for another, nor sign collateral.

use tidm_crypto::hash::{Digest, sha256};

use crate::appraisal::Reason;
use crate::der::{Der, INTEGER, OCTET_STRING, OID, SEQUENCE};
use crate::x509::Certificate;

/// SHA-256 of Intel's root certificate ("Intel SGX Root CA") in DER, as Intel publishes it.
const ROOT: &str = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3";
const LEAF: &str = "Intel SGX PCK Certificate";
const AUTHORITIES: [&str; 2] = ["Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA"];

/// `1.2.840.113741.1.13.1`: what Intel says about the platform; its parts go on from there.
const SGX: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF8, 0x4D, 0x01, 0x0D, 0x01];
const PPID: u8 = 1;
const TCB: u8 = 2;
const PCE: u8 = 3;
const FMSPC: u8 = 4;
/// Within the TCB.
const PCE_VERSION: u8 = 17;
const CPU_VERSION: u8 = 18;

/// Intel's root, by its digest.
pub(super) fn root(der: &[u8]) -> Result<Certificate<'_>, Reason> {
    if Digest::parse(ROOT) == Ok(sha256(der)) {
        Certificate::parse(der)
    } else {
        Err(Reason::UnknownRoot)
    }
}

/// Checks the chain; revocation is for the caller.
pub(super) fn check_chain(
    [leaf, authority, root]: [&Certificate<'_>; 3],
    now: u64,
) -> Result<(), Reason> {
    check_authority(authority, root, now)?;
    leaf.is_issued_by(authority, now)?;
    let placed = leaf.common_name() == Some(LEAF) && !leaf.is_authority();
    if placed { Ok(()) } else { Err(Reason::OtherKeyKind) }
}

/// The authority above platforms' keys.
pub(super) fn check_authority(
    authority: &Certificate<'_>,
    root: &Certificate<'_>,
    now: u64,
) -> Result<(), Reason> {
    root.is_issued_by(root, now)?;
    authority.is_issued_by(root, now)?;
    let named = authority.common_name().is_some_and(|name| AUTHORITIES.contains(&name));
    if named && authority.is_authority() { Ok(()) } else { Err(Reason::OtherKeyKind) }
}

/// What Intel certified about a platform.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Platform {
    /// Its identifier.
    pub(super) chip: [u8; 16],
    /// Family, model and so on: which collateral is about it.
    pub(super) family: [u8; 6],
    pub(super) pce: [u8; 2],
    /// Versions of its sixteen components.
    pub(super) components: [u8; 16],
    pub(super) pce_version: u16,
}

impl Platform {
    pub(super) fn of(certificate: &Certificate<'_>) -> Result<Self, Reason> {
        let all = Der::only(certificate.extension(SGX)?, SEQUENCE)?;
        let tcb = Der::new(part(all, &[TCB], SEQUENCE)?);
        Ok(Self {
            chip: exact(part(all, &[PPID], OCTET_STRING)?)?,
            family: exact(part(all, &[FMSPC], OCTET_STRING)?)?,
            pce: exact(part(all, &[PCE], OCTET_STRING)?)?,
            components: exact(part(tcb, &[TCB, CPU_VERSION], OCTET_STRING)?)?,
            pce_version: number(part(tcb, &[TCB, PCE_VERSION], INTEGER)?)?,
        })
    }
}

/// The value with this identifier, below Intel's, and this tag.
fn part<'a>(mut all: Der<'a>, tail: &[u8], tag: u8) -> Result<&'a [u8], Reason> {
    let mut found = None;
    while !all.is_empty() {
        let mut one = all.sequence()?;
        let oid = one.expect(OID)?;
        let value = one.element()?;
        one.end()?;
        if oid.strip_prefix(SGX) == Some(tail)
            && (value.tag != tag || found.replace(value.content).is_some())
        {
            return Err(Reason::BadCertificate);
        }
    }
    found.ok_or(Reason::BadCertificate)
}

fn exact<const N: usize>(content: &[u8]) -> Result<[u8; N], Reason> {
    content.try_into().map_err(|_| Reason::BadCertificate)
}

/// A number of up to 16 bits, not negative.
fn number(content: &[u8]) -> Result<u16, Reason> {
    match *content {
        [low @ 0..=0x7F] => Ok(u16::from(low)),
        [high @ 0..=0x7F, low] | [0, high @ 0x80..=0xFF, low] => {
            Ok(u16::from_be_bytes([high, low]))
        }
        _ => Err(Reason::BadCertificate),
    }
}
