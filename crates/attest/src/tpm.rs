//! TPM 2.0 quotes: a `TPMS_ATTEST` about PCRs of the SHA-256 bank, signed with RSASSA (SHA-256) or ECDSA P-256.
//!
//! **Proves:** the holder of a key that the policy names quoted these PCR values with these bytes bound. If that key is a
//! restricted signing key of a TPM (whoever enrolled it has to know: its certificate or an activated credential), then the
//! machine went through a boot that leads to these values.
//!
//! **Does not prove:** a trusted execution environment: whoever administers the machine reads its memory, so the level is
//! at most E2. Nor that the software measured at boot still runs, that the TPM sits in the machine that answers (relay,
//! cut bus), or that nobody opened it. Clock and reset counters of the quote are not judged.
//!
//! Threat model: quote, signature and values are the prover's; the key is known by digest, from the policy. The policy names
//! the PCRs: a prover who chose could replay a boot into PCRs that software can reset. No other bank and no second selection.
//!
//! Measurement: SHA-256 over the quoted values in rising order. Chip: SHA-256 of the key's `SubjectPublicKeyInfo`.

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use tidm_crypto::hash::sha256;

use crate::Authentic;
use crate::appraisal::{Facts, Reason, Tcb};
use crate::limits;
use crate::policy::{Chips, Policy};
use crate::reader::Reader;
use crate::x509::PublicKey;

pub mod command;

#[cfg(test)]
mod tests;

const MAGIC: [u8; 4] = [0xFF, b'T', b'C', b'G'];
/// `TPM_ST_ATTEST_QUOTE`.
const QUOTE: [u8; 2] = [0x80, 0x18];
const SHA256: [u8; 2] = [0, 0x0B];
const RSASSA: [u8; 2] = [0, 0x14];
const ECDSA: [u8; 2] = [0, 0x18];
/// `1.2.840.113549.1.1.1` and `1.2.840.10045.2.1`: what a key is for.
const RSA_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
const EC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];

pub(crate) fn authenticate(
    quote: &[u8],
    key: &[u8],
    signature: &[u8],
    pcrs: &[[u8; 32]],
    policy: &Policy,
) -> Result<Authentic, Reason> {
    let long = quote.len() > limits::EVIDENCE
        || key.len() > limits::CERTIFICATE
        || signature.len() > limits::TPM_SIGNATURE
        || pcrs.len() > limits::PCRS;
    if long {
        return Err(Reason::TooLong);
    }
    let chip = sha256(key).0.to_vec();
    match &policy.chips {
        Chips::Only(chips) if chips.contains(&chip) => (),
        Chips::Only(_) | Chips::Any => return Err(Reason::UnknownKey),
    }
    let attested = Attested::parse(quote)?;
    verify(key, quote, signature)?;
    if sha256(&pcrs.concat()).0 != attested.digest {
        return Err(Reason::OtherPcrs);
    }
    let demanded = policy.tpm_pcrs != [0; 3] && attested.selection == policy.tpm_pcrs;
    let facts = Facts {
        tcb: Tcb::Tpm { firmware: attested.firmware },
        measurement: attested.digest.to_vec(),
        chip,
        report_data: attested.extra.to_vec(),
    };
    let objections = if demanded { Vec::new() } else { vec![Reason::OtherPcrSelection] };
    Ok(Authentic { facts, objections })
}

/// What a quote carries, and the digest of the values it is about; its signature is not looked at.
pub(crate) fn carried(quote: &[u8]) -> Result<(&[u8], [u8; 32]), Reason> {
    Attested::parse(quote).map(|it| (it.extra, it.digest))
}

/// What we read of a quote.
struct Attested<'a> {
    extra: &'a [u8],
    firmware: u64,
    selection: [u8; 3],
    digest: [u8; 32],
}

impl<'a> Attested<'a> {
    fn parse(quote: &'a [u8]) -> Result<Self, Reason> {
        let mut reader = Reader(quote);
        if reader.array()? != MAGIC || reader.array()? != QUOTE {
            return Err(Reason::Malformed);
        }
        let _signer = sized(&mut reader)?;
        let extra = sized(&mut reader)?;
        if extra.len() > limits::REPORT_DATA {
            return Err(Reason::TooLong);
        }
        // Clock, resets, restarts and whether the clock is safe.
        reader.take(8 + 4 + 4 + 1)?;
        let firmware = u64::from_be_bytes(reader.array()?);
        // One selection, of the SHA-256 bank, in three bytes.
        if reader.array()? != [0, 0, 0, 1] || reader.array()? != SHA256 || reader.array()? != [3] {
            return Err(Reason::Unsupported);
        }
        let selection = reader.array()?;
        let digest = sized(&mut reader)?.try_into().map_err(|_| Reason::Malformed)?;
        reader.end()?;
        Ok(Self { extra, firmware, selection, digest })
    }
}

/// Bytes behind their length (`TPM2B`).
fn sized<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Reason> {
    let length = u16::from_be_bytes(reader.array()?);
    reader.take(usize::from(length))
}

/// Checks a `TPMT_SIGNATURE`; its algorithm must be the one the key is for.
fn verify(key: &[u8], quote: &[u8], signature: &[u8]) -> Result<(), Reason> {
    let mut reader = Reader(signature);
    let (scheme, hash): ([u8; 2], [u8; 2]) = (reader.array()?, reader.array()?);
    let info = PublicKey::parse(key)?;
    let (algorithm, signature): (&'static dyn VerificationAlgorithm, _) = match scheme {
        RSASSA if info.algorithm == RSA_KEY => {
            (&RSA_PKCS1_2048_8192_SHA256, sized(&mut reader)?.to_vec())
        }
        ECDSA if info.algorithm == EC_KEY => {
            (&ECDSA_P256_SHA256_FIXED, [padded(&mut reader)?, padded(&mut reader)?].concat())
        }
        _ => return Err(Reason::Unsupported),
    };
    reader.end()?;
    if hash != SHA256 {
        return Err(Reason::Unsupported);
    }
    let key = UnparsedPublicKey::new(algorithm, info.bits);
    key.verify(quote, &signature).map_err(|_| Reason::BadSignature)
}

/// A number of up to 32 bytes in 32 bytes.
fn padded(reader: &mut Reader<'_>) -> Result<[u8; 32], Reason> {
    let number = sized(reader)?;
    let mut out = [0; 32];
    let start = out.len().checked_sub(number.len()).ok_or(Reason::Malformed)?;
    out.get_mut(start..).ok_or(Reason::Malformed)?.copy_from_slice(number);
    Ok(out)
}
