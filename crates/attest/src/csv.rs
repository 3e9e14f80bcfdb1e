//! Hygon CSV reports (version 1): SM2 and SM3 from the root of Hygon over chip and platform keys to the report.
//!
//! **Proves:** a guest with this measurement runs under CSV on a genuine Hygon chip whose firmware has the version named,
//! and asked to have these 64 bytes signed.
//!
//! **Does not prove:** where the chip stands or that nobody opened it; freedom from side channels; that the report was not
//! relayed, beyond the bytes bound. The certificates carry no dates and Hygon publishes no revocations that could be read
//! offline: use the chip list and the oldest firmware. A guest's policy may let its owner move it or leave its registers
//! readable: name the bits you want in [`crate::policy::Policy::csv_bits`]; forbidden debugging is always demanded.
//!
//! Threat model: report and certificates are the prover's; the root is pinned by digest. The signature covers the first
//! 180 bytes *as sent*, where every word is masked by a number (`anonce`) that stands outside of it. Whoever changes that
//! number shifts every word of measurement, policy and report data by the same 32 bits: what results is never a
//! measurement somebody accepted on purpose, which is why a measurement is always demanded. The serial number and the
//! HMAC behind the platform key are not signed at all and not read; the chip is known by its endorsement key.
//!
//! Measurement: 32 bytes. Chip: SHA-256 of the chip endorsement key's `x ‖ y`, highest byte first.

use sm2::dsa::{Signature, VerifyingKey, signature::Verifier as _};
use tidm_crypto::hash::{Digest, sha256};

use crate::Authentic;
use crate::appraisal::{Facts, Reason, Tcb};
use crate::policy::Policy;
use crate::reader::at;

#[cfg(test)]
mod tests;

/// Length of a report.
pub const REPORT: usize = 2548;
/// What the report's signature covers: the bytes before.
pub const SIGNED: usize = 180;
/// Length of the certificates of HRK and HSK, and of CEK and PEK.
pub const ROOT_CERTIFICATE: usize = 832;
pub const CHIP_CERTIFICATE: usize = 2084;

pub(crate) const PLATFORM_KEY: usize = 336;
/// Where the part of the platform key's certificate ends that the chip's key signed, with that signature.
pub(crate) const PLATFORM_KEY_SIGNED: usize = PLATFORM_KEY + CHIP_SIGNED + 8 + 144;
const ROOT_SIGNED: usize = 576;
const CHIP_SIGNED: usize = 1044;
/// SHA-256 of the root certificate (HRK) as Hygon publishes it.
const ROOT: &str = "296efa97580464aca0ab5eefe42199ee05862182508d1629f29cf4dc175b10cd";

/// What keys are for, as certificates and signatures name it.
const HSK: u32 = 0x13;
const HRK: u32 = 0;
const CEK: u32 = 0x1004;
const PEK: u32 = 0x1002;
const SM2: u32 = 4;
const SM2_CURVE: u32 = 3;

/// Bit 0 of a guest's policy forbids debugging.
const NO_DEBUG: u32 = 1;

pub(crate) fn authenticate(
    report: &[u8],
    [hrk, hsk, cek]: [&[u8]; 3],
    policy: &Policy,
) -> Result<Authentic, Reason> {
    let report: &[u8; REPORT] = report.try_into().map_err(|_| Reason::Malformed)?;
    let mask = at(report, 188)?;
    let platform: [u8; CHIP_CERTIFICATE] = unmasked(report, PLATFORM_KEY, mask)?;
    if Digest::parse(ROOT) != Ok(sha256(hrk)) {
        return Err(Reason::UnknownRoot);
    }
    let root = Key::of_root(hrk, HRK, "HYGON-SSD-HRK")?;
    let signer = Key::of_root(hsk, HSK, "HYGON-SSD-HSK")?;
    let chip = Key::of_chip(cek, CEK, "HYGON-SSD-CEK")?;
    let platform_key = Key::of_chip(&platform, PEK, "HYGON-SSD-PEK")?;
    let chained =
        at::<16>(hsk, 20)? == at::<16>(hrk, 4)? && at::<16>(cek, 420)? == at::<16>(hsk, 4)?;
    if !chained {
        return Err(Reason::BrokenChain);
    }
    root.signed(hsk, ROOT_SIGNED, ROOT_SIGNED).ok_or(Reason::BrokenChain)?;
    signer.signed_slot(cek, HSK).ok_or(Reason::BrokenChain)?;
    chip.signed_slot(&platform, CEK).ok_or(Reason::BrokenChain)?;
    let [usage, algorithm] = [180, 184].map(|offset| number(report, offset, mask));
    if (usage?, algorithm?) != (PEK, SM2) {
        return Err(Reason::Unsupported);
    }
    platform_key.signed(report, SIGNED, 192).ok_or(Reason::BadSignature)?;
    let guest = number(report, 176, mask)?;
    let facts = Facts {
        tcb: Tcb::Csv { firmware: at(&platform, 4).map(|[major, minor]| (major, minor))? },
        measurement: unmasked::<32>(report, 144, mask)?.to_vec(),
        chip: sha256(&chip.point).0.to_vec(),
        report_data: unmasked::<64>(report, 64, mask)?.to_vec(),
    };
    let all = [
        (guest & NO_DEBUG == 0, Reason::Debug),
        (guest & policy.csv_bits != policy.csv_bits, Reason::WeakGuestPolicy),
    ];
    let objections = all.into_iter().filter_map(|(applies, reason)| applies.then_some(reason));
    Ok(Authentic { facts, objections: objections.collect() })
}

/// The `N` bytes at `offset`, a multiple of four, with the mask taken off.
fn unmasked<const N: usize>(
    report: &[u8],
    offset: usize,
    mask: [u8; 4],
) -> Result<[u8; N], Reason> {
    let mut out = at(report, offset)?;
    out.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(out)
}

fn number(report: &[u8], offset: usize, mask: [u8; 4]) -> Result<u32, Reason> {
    unmasked(report, offset, mask).map(u32::from_le_bytes)
}

/// A public key with the name its owner signs under.
struct Key {
    name: &'static str,
    /// `x ‖ y`, highest byte first.
    point: [u8; 64],
}

impl Key {
    /// The key of an HRK or HSK certificate.
    fn of_root(certificate: &[u8], usage: u32, name: &'static str) -> Result<Self, Reason> {
        let ours = certificate.len() == ROOT_CERTIFICATE && word(certificate, 36)? == usage;
        if ours { Self::read(certificate, 64, name) } else { Err(Reason::BadCertificate) }
    }

    /// The key of a CEK or PEK certificate.
    fn of_chip(certificate: &[u8], usage: u32, name: &'static str) -> Result<Self, Reason> {
        let ours = certificate.len() == CHIP_CERTIFICATE
            && word(certificate, 8)? == usage
            && word(certificate, 12)? == SM2;
        if ours { Self::read(certificate, 16, name) } else { Err(Reason::BadCertificate) }
    }

    fn read(certificate: &[u8], offset: usize, name: &'static str) -> Result<Self, Reason> {
        let length = u16::from_le_bytes(at(certificate, offset.saturating_add(148))?);
        let start = offset.saturating_add(150);
        let user = certificate.get(start..start.saturating_add(usize::from(length)));
        let point = coordinates(certificate, offset.saturating_add(4));
        match point {
            Some(point)
                if word(certificate, offset)? == SM2_CURVE && user == Some(name.as_bytes()) =>
            {
                Ok(Self { name, point })
            }
            Some(_) | None => Err(Reason::BadCertificate),
        }
    }

    /// Whether the signature at `offset` is this key's over the first `length` bytes.
    fn signed(&self, bytes: &[u8], length: usize, offset: usize) -> Option<()> {
        let point = [&[4][..], &self.point].concat();
        let key = VerifyingKey::from_sec1_bytes(self.name, &point).ok()?;
        let signature = Signature::from_slice(&coordinates(bytes, offset)?).ok()?;
        key.verify(bytes.get(..length)?, &signature).ok()
    }

    /// Whether the first of a chip certificate's two signatures, made as `usage`, is this key's. The second belongs to
    /// the machine's owner and is not read.
    fn signed_slot(&self, certificate: &[u8], usage: u32) -> Option<()> {
        let kind = (word(certificate, CHIP_SIGNED).ok()?, word(certificate, CHIP_SIGNED + 4).ok()?);
        if kind != (usage, SM2) {
            return None;
        }
        self.signed(certificate, CHIP_SIGNED, CHIP_SIGNED + 8)
    }
}

fn word(bytes: &[u8], offset: usize) -> Result<u32, Reason> {
    at(bytes, offset).map(u32::from_le_bytes)
}

/// Two numbers in fields of 72 bytes, lowest byte first, of which 32 count and the others are zero.
fn coordinates(bytes: &[u8], offset: usize) -> Option<[u8; 64]> {
    let field: [u8; 144] = at(bytes, offset).ok()?;
    let mut out = [0; 64];
    for (number, half) in out.chunks_exact_mut(32).zip(field.chunks_exact(72)) {
        let (value, padding) = half.split_at_checked(32)?;
        number.copy_from_slice(value);
        number.reverse();
        if padding.iter().any(|it| *it != 0) {
            return None;
        }
    }
    Some(out)
}
