//! The three commands that a TPM 2.0 is asked for its evidence, and its answers (TPM 2.0 Library, parts 2 and 3): the public
//! part of a key, a quote by it, the values of the PCRs it is about.
//!
//! ```text
//!   command:  tag 2 · size 4 · code 4 · handle 4 · [authorization] · parameters
//!   answer:   tag 2 · size 4 · result 4 · [size 4] · parameters · [authorization]
//! ```
//!
//! Threat model: answers come from a device, or from a program that plays one; each length is bounded and within the answer
//! before it is used. Must never judge a quote, nor send a command that changes anything in a TPM.

use crate::appraisal::Reason;
use crate::limits::{PCRS, TPM_ANSWER, TPM_SIGNATURE};
use crate::reader::Reader;

use super::{ECDSA, RSASSA, SHA256, sized};

#[cfg(test)]
mod tests;

const NO_SESSIONS: [u8; 2] = [0x80, 0x01];
const SESSIONS: [u8; 2] = [0x80, 0x02];
const QUOTE: [u8; 4] = [0, 0, 0x01, 0x58];
const READ_PUBLIC: [u8; 4] = [0, 0, 0x01, 0x73];
const PCR_READ: [u8; 4] = [0, 0, 0x01, 0x7E];
/// An empty password, in the one authorization: `TPM_RS_PW`, no nonce, no attributes, nothing.
const EMPTY_PASSWORD: [u8; 13] = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];
const NULL: [u8; 2] = [0, 0x10];
const RSA: [u8; 2] = [0, 0x01];
const ECC: [u8; 2] = [0, 0x23];
const P256: [u8; 2] = [0, 0x03];
const DEFAULT_EXPONENT: [u8; 3] = [1, 0, 1];
/// Attributes of a key that never leaves its TPM and signs only what the TPM itself says.
const FIXED_TPM: u32 = 1 << 1;
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;
/// Digests that one answer holds at most.
const DIGESTS: u32 = 8;

/// Why an answer brings nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TpmFault {
    /// The TPM's own code.
    Refused(u32),
    /// The answer has not its form.
    Malformed,
    /// Longer than any real one.
    TooLong,
    /// A kind of key, curve or signature that nobody here appraises.
    Unsupported,
    /// The key may leave the TPM, or signs what software hands it: its quotes prove nothing.
    NotRestricted,
}

impl std::fmt::Display for TpmFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(code) => write!(f, "the TPM says no (0x{code:03x})"),
            Self::Malformed => f.write_str("the TPM's answer has not its form"),
            Self::TooLong => f.write_str("the TPM's answer is longer than any real one"),
            Self::Unsupported => {
                f.write_str("keys that count are RSA (RSASSA) and P-256 (ECDSA), with SHA-256")
            }
            Self::NotRestricted => f.write_str(
                "the key is no restricted signing key of this TPM: its quotes prove nothing",
            ),
        }
    }
}

impl std::error::Error for TpmFault {}

impl From<Reason> for TpmFault {
    fn from(_: Reason) -> Self {
        Self::Malformed
    }
}

/// A quote as a TPM gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// `TPMS_ATTEST`.
    pub attested: Vec<u8>,
    /// `TPMT_SIGNATURE`.
    pub signature: Vec<u8>,
}

/// How long the answer is whose first bytes these are; `None` before that can be told.
///
/// # Errors
/// [`TpmFault::TooLong`], [`TpmFault::Malformed`].
pub fn length(begun: &[u8]) -> Result<Option<usize>, TpmFault> {
    let Some(size) = begun.get(2..6).and_then(|it| it.first_chunk()) else { return Ok(None) };
    match usize::try_from(u32::from_be_bytes(*size)) {
        Ok(size) if size < 10 => Err(TpmFault::Malformed),
        Ok(size) if size <= TPM_ANSWER => Ok(Some(size)),
        Ok(_) | Err(_) => Err(TpmFault::TooLong),
    }
}

fn command(tag: [u8; 2], code: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let size = u32::try_from(10_usize.saturating_add(body.len())).unwrap_or(u32::MAX);
    [&tag[..], &size.to_be_bytes(), &code, &body].concat()
}

/// One selection of the SHA-256 bank.
fn selection(pcrs: [u8; 3]) -> [u8; 10] {
    let [a, b, c] = pcrs;
    [0, 0, 0, 1, SHA256[0], SHA256[1], 3, a, b, c]
}

/// Asks for the public part of the key at a handle.
pub fn read_public(handle: u32) -> Vec<u8> {
    command(NO_SESSIONS, READ_PUBLIC, &[&handle.to_be_bytes()])
}

/// Asks for a quote over these PCRs that carries `data`, by a key that needs no password.
pub fn quote(handle: u32, data: &[u8; 32], pcrs: [u8; 3]) -> Vec<u8> {
    let handle = handle.to_be_bytes();
    let parts = [&handle[..], &EMPTY_PASSWORD, &[0, 32], data, &NULL, &selection(pcrs)];
    command(SESSIONS, QUOTE, &parts)
}

/// Asks for the values of these PCRs; a TPM answers about the first eight of them.
pub fn pcr_read(pcrs: [u8; 3]) -> Vec<u8> {
    command(NO_SESSIONS, PCR_READ, &[&selection(pcrs)])
}

/// Whether a TPM only says that the command is to be sent again: it yields, tests itself, or spares its memory
/// (`TPM_RC_YIELDED`, `TESTING`, `NV_RATE`, `RETRY`).
pub fn again(answer: &[u8]) -> bool {
    let code = answer.get(6..10).and_then(|it| it.first_chunk()).map(|it| u32::from_be_bytes(*it));
    matches!(code, Some(0x908 | 0x90A | 0x920 | 0x922))
}

/// The parameters of an answer that is a yes.
fn parameters(answer: &[u8], sessions: bool) -> Result<Reader<'_>, TpmFault> {
    let size = length(answer)?.ok_or(TpmFault::Malformed)?;
    if size != answer.len() {
        return Err(TpmFault::Malformed);
    }
    let mut reader = Reader(answer);
    let tag: [u8; 2] = reader.array()?;
    reader.take(4)?;
    let code = u32::from_be_bytes(reader.array()?);
    if code != 0 {
        return Err(TpmFault::Refused(code));
    }
    if !sessions {
        return if tag == NO_SESSIONS { Ok(reader) } else { Err(TpmFault::Malformed) };
    }
    let length = usize::try_from(u32::from_be_bytes(reader.array()?));
    let parameters = reader.take(length.map_err(|_| TpmFault::TooLong)?)?;
    if tag == SESSIONS { Ok(Reader(parameters)) } else { Err(TpmFault::Malformed) }
}

/// The answer to [`quote`]; its signature is not checked here.
///
/// # Errors
/// [`TpmFault`].
pub fn quoted(answer: &[u8]) -> Result<Quoted, TpmFault> {
    let mut reader = parameters(answer, true)?;
    let attested = sized(&mut reader)?.to_vec();
    let signature = reader.0.to_vec();
    let mut scheme = Reader(&signature);
    let (algorithm, hash): ([u8; 2], [u8; 2]) = (scheme.array()?, scheme.array()?);
    if !matches!(algorithm, RSASSA | ECDSA) || hash != SHA256 {
        return Err(TpmFault::Unsupported);
    }
    if signature.len() > TPM_SIGNATURE {
        return Err(TpmFault::TooLong);
    }
    Ok(Quoted { attested, signature })
}

/// The answer to [`pcr_read`]: which PCRs it is about, and their values in rising order.
///
/// # Errors
/// [`TpmFault`].
pub fn pcr_values(answer: &[u8]) -> Result<([u8; 3], Vec<[u8; 32]>), TpmFault> {
    let mut reader = parameters(answer, false)?;
    reader.take(4)?;
    let head: [u8; 7] = reader.array()?;
    let told: [u8; 3] = reader.array()?;
    if head != [0, 0, 0, 1, SHA256[0], SHA256[1], 3] {
        return Err(TpmFault::Unsupported);
    }
    let count = u32::from_be_bytes(reader.array()?);
    if count > DIGESTS || count != told.iter().map(|it| it.count_ones()).sum::<u32>() {
        return Err(TpmFault::Malformed);
    }
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(sized(&mut reader)?.try_into().map_err(|_| TpmFault::Malformed)?);
    }
    reader.end()?;
    Ok((told, values))
}

/// All values of a selection, from a TPM that answers `ask`ed for some of them at a time.
///
/// # Errors
/// What `ask` says; a TPM that tells nothing of what is left, or more than was asked for.
pub fn all_values<E: From<TpmFault>>(
    pcrs: [u8; 3],
    mut ask: impl FnMut(Vec<u8>) -> Result<Vec<u8>, E>,
) -> Result<Vec<[u8; 32]>, E> {
    let (mut left, mut all) = (pcrs, Vec::new());
    while left != [0; 3] {
        let (told, values) = pcr_values(&ask(pcr_read(left))?)?;
        let within = told.iter().zip(left).all(|(told, left)| told & !left == 0);
        if told == [0; 3] || !within || all.len() + values.len() > PCRS {
            return Err(TpmFault::Malformed.into());
        }
        all.extend(values);
        for (left, told) in left.iter_mut().zip(told) {
            *left &= !told;
        }
    }
    Ok(all)
}

/// The answer to [`read_public`]: the key as `SubjectPublicKeyInfo`, if its quotes can prove anything.
///
/// # Errors
/// [`TpmFault`].
pub fn public(answer: &[u8]) -> Result<Vec<u8>, TpmFault> {
    let mut reader = parameters(answer, false)?;
    let mut key = Reader(sized(&mut reader)?);
    let (kind, _name_hash): ([u8; 2], [u8; 2]) = (key.array()?, key.array()?);
    let attributes = u32::from_be_bytes(key.array()?);
    let wanted = FIXED_TPM | RESTRICTED | SIGN;
    if attributes & (wanted | DECRYPT) != wanted {
        return Err(TpmFault::NotRestricted);
    }
    let _policy = sized(&mut key)?;
    // A signing key has no symmetric algorithm.
    if key.array()? != NULL {
        return Err(TpmFault::Unsupported);
    }
    let scheme: [u8; 2] = key.array()?;
    let hash: [u8; 2] = key.array()?;
    let info = match (kind, scheme) {
        _ if hash != SHA256 => return Err(TpmFault::Unsupported),
        (RSA, RSASSA) => rsa(&mut key)?,
        (ECC, ECDSA) => p256(&mut key)?,
        _ => return Err(TpmFault::Unsupported),
    };
    key.end()?;
    Ok(info)
}

fn rsa(key: &mut Reader<'_>) -> Result<Vec<u8>, TpmFault> {
    let (bits, exponent): ([u8; 2], [u8; 4]) = (key.array()?, key.array()?);
    let modulus = sized(key)?;
    let bits = usize::from(u16::from_be_bytes(bits));
    let highest = modulus.first().is_some_and(|it| it & 0x80 != 0);
    if !matches!(bits, 2048 | 3072 | 4096) || modulus.len() * 8 != bits || !highest {
        return Err(TpmFault::Unsupported);
    }
    // Zero stands for the usual one.
    if !matches!(exponent, [0, 0, 0, 0] | [0, 1, 0, 1]) {
        return Err(TpmFault::Unsupported);
    }
    let modulus = der(0x02, &[&[0], modulus]);
    let numbers = der(0x30, &[&modulus, &der(0x02, &[&DEFAULT_EXPONENT])]);
    let algorithm = der(0x30, &[&der(0x06, &[super::RSA_KEY]), &der(0x05, &[])]);
    Ok(der(0x30, &[&algorithm, &der(0x03, &[&[0], &numbers])]))
}

fn p256(key: &mut Reader<'_>) -> Result<Vec<u8>, TpmFault> {
    /// `1.2.840.10045.3.1.7`.
    const CURVE: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
    if key.array()? != P256 || key.array()? != NULL {
        return Err(TpmFault::Unsupported);
    }
    let (x, y) = (super::padded(key)?, super::padded(key)?);
    let algorithm = der(0x30, &[&der(0x06, &[super::EC_KEY]), &der(0x06, &[CURVE])]);
    Ok(der(0x30, &[&algorithm, &der(0x03, &[&[0, 4], &x, &y])]))
}

/// One DER value; what stands here is below 64 KiB.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let [high, low] = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, 0..=0x7F) => &[tag, low],
        (0, _) => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [head, &body].concat()
}
