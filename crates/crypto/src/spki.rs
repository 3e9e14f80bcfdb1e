//! Public keys of outside programs: PEM and SubjectPublicKeyInfo (RFC 7468, RFC 5280), RSA, P-256 and SM2 only.
//!
//! Threat model: the text is a stranger's. DER is read strictly (definite, shortest lengths, nothing left over);
//! what is not one of the three kinds is refused. Must never read a private key.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::error::BadKey;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// An RSA key of 4096 bits takes 800 characters.
const PEM_BYTES: usize = 4096;
/// `rsaEncryption` with NULL parameters (RFC 3279 §2.3.1).
const RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
/// `id-ecPublicKey` with `prime256v1` (RFC 5480 §2.1.1).
const P256: &[u8] =
    &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// `id-ecPublicKey` with `sm2p256v1` (GB/T 33560: 1.2.156.10197.1.301).
const SM2: &[u8] =
    &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 1, 0x82, 0x2d];

/// What a SubjectPublicKeyInfo holds.
#[derive(Debug)]
pub(crate) enum Spki {
    /// Modulus and exponent, big-endian without leading zeros.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A SEC1 point.
    P256(Vec<u8>),
    Sm2(Vec<u8>),
}

/// Reads a `PUBLIC KEY` in PEM.
pub(crate) fn read(pem: &str) -> Result<Spki, BadKey> {
    if pem.len() > PEM_BYTES {
        return Err(BadKey);
    }
    let body = pem.trim().strip_prefix(BEGIN).and_then(|it| it.strip_suffix(END)).ok_or(BadKey)?;
    let text: String = body.chars().filter(|it| !it.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(text).map_err(|_| BadKey)?;
    let mut all = Der(&der);
    let mut outer = Der(all.element(0x30)?);
    let algorithm = outer.element(0x30)?;
    let (unused, bits) = outer.element(3)?.split_first().ok_or(BadKey)?;
    if !all.0.is_empty() || !outer.0.is_empty() || *unused != 0 {
        return Err(BadKey);
    }
    match algorithm {
        RSA => {
            let mut bits = Der(bits);
            let mut pair = Der(bits.element(0x30)?);
            let (modulus, exponent) = (pair.natural()?, pair.natural()?);
            if bits.0.is_empty() && pair.0.is_empty() {
                Ok(Spki::Rsa { modulus, exponent })
            } else {
                Err(BadKey)
            }
        }
        P256 => Ok(Spki::P256(bits.to_vec())),
        SM2 => Ok(Spki::Sm2(bits.to_vec())),
        _ => Err(BadKey),
    }
}

/// The PEM of a P-256 point.
pub(crate) fn write_p256(point: &[u8]) -> Result<String, BadKey> {
    write(P256, point)
}

/// The PEM of an SM2 point.
#[cfg(test)]
pub(crate) fn write_sm2(point: &[u8]) -> Result<String, BadKey> {
    write(SM2, point)
}

fn write(algorithm: &[u8], point: &[u8]) -> Result<String, BadKey> {
    let algorithm = element(0x30, algorithm)?;
    let bits = element(3, &[&[0], point].concat())?;
    let der = element(0x30, &[algorithm, bits].concat())?;
    let text = STANDARD.encode(der);
    let lines: Vec<String> =
        text.as_bytes().chunks(64).map(|it| String::from_utf8_lossy(it).into_owned()).collect();
    Ok(format!("{BEGIN}\n{}\n{END}\n", lines.join("\n")))
}

/// Short form only: a P-256 key needs no more.
fn element(tag: u8, value: &[u8]) -> Result<Vec<u8>, BadKey> {
    let length = u8::try_from(value.len()).ok().filter(|it| *it < 128).ok_or(BadKey)?;
    Ok([&[tag, length], value].concat())
}

struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], BadKey> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(BadKey)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, BadKey> {
        self.take(1)?.first().copied().ok_or(BadKey)
    }

    fn element(&mut self, tag: u8) -> Result<&'a [u8], BadKey> {
        if self.byte()? != tag {
            return Err(BadKey);
        }
        let (length, least) = match self.byte()? {
            short @ 0..=127 => (usize::from(short), 0),
            0x81 => (usize::from(self.byte()?), 128),
            0x82 => (usize::from(self.byte()?) << 8 | usize::from(self.byte()?), 256),
            _ => return Err(BadKey),
        };
        if length < least {
            return Err(BadKey);
        }
        self.take(length)
    }

    /// A positive INTEGER in its shortest form.
    fn natural(&mut self) -> Result<Vec<u8>, BadKey> {
        let bytes = self.element(2)?;
        let (bare, padded) = match bytes {
            [0, rest @ ..] => (rest, true),
            _ => (bytes, false),
        };
        match bare.first() {
            Some(first) if *first != 0 && (*first >= 128) == padded => Ok(bare.to_vec()),
            Some(_) | None => Err(BadKey),
        }
    }
}
