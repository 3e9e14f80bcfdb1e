//! Certificates and revocation lists of vendors' chains: own strict reading, and the signatures between them.
//!
//! Threat model: every byte is from the prover. One encoding of one certificate and nothing behind it; the algorithm
//! inside and outside the signed part must be the same and one we verify with; an extension that is critical and not
//! known here refuses. Must never take a validity from the clock; which names, purposes and depths a chain needs is for
//! the format's module to say.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PSS_2048_8192_SHA384, UnparsedPublicKey, VerificationAlgorithm,
};

use crate::appraisal::Reason;
use crate::der::{BIT_STRING, BOOLEAN, Der, INTEGER, OCTET_STRING, OID, SEQUENCE, SET, bits};
use crate::{limits, time};

/// `1.2.840.113549.1.1.10`; its parameters are what we verify with, whatever they say.
const RSA_PSS: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A];
/// `1.2.840.10045.4.3.2`.
const ECDSA_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const KEY_USAGE: &[u8] = &[0x55, 0x1D, 0x0F];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 0x13];

/// Something signed: what, with which algorithm, and the signature.
struct Signed<'a> {
    part: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn read(der: &'a [u8]) -> Result<Self, Reason> {
        let mut outer = Der::only(der, SEQUENCE)?;
        let part = outer.element()?.whole;
        let algorithm = outer.element()?.whole;
        let signature = bits(outer.expect(BIT_STRING)?)?;
        outer.end()?;
        Ok(Self { part, algorithm, signature })
    }

    fn is_by(&self, key: &[u8]) -> Result<(), Reason> {
        let oid = Der::only(self.algorithm, SEQUENCE)?.expect(OID)?;
        let algorithm: &'static dyn VerificationAlgorithm = if oid == RSA_PSS {
            &RSA_PSS_2048_8192_SHA384
        } else if oid == ECDSA_SHA256 {
            &ECDSA_P256_SHA256_ASN1
        } else {
            return Err(Reason::BadCertificate);
        };
        let key = UnparsedPublicKey::new(algorithm, key);
        key.verify(self.part, self.signature).map_err(|_| Reason::BrokenChain)
    }
}

/// When something is valid, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: u64,
    pub(crate) until: u64,
}

impl Window {
    fn read(der: &mut Der<'_>) -> Result<Self, Reason> {
        let mut instant = || time::of_der(der.element()?).ok_or(Reason::BadCertificate);
        Ok(Self { from: instant()?, until: instant()? })
    }

    pub(crate) fn holds(&self, now: u64) -> bool {
        (self.from..=self.until).contains(&now)
    }
}

pub(crate) struct Certificate<'a> {
    signed: Signed<'a>,
    serial: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    pub(crate) window: Window,
    key: PublicKey<'a>,
    extensions: Vec<Extension<'a>>,
}

impl<'a> Certificate<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, Reason> {
        if der.len() > limits::CERTIFICATE {
            return Err(Reason::BadCertificate);
        }
        let signed = Signed::read(der)?;
        let mut part = Der::only(signed.part, SEQUENCE)?;
        // Version 3, the only one with extensions.
        if part.expect(0xA0)? != [INTEGER, 1, 2] {
            return Err(Reason::BadCertificate);
        }
        let serial = part.expect(INTEGER)?;
        if part.element()?.whole != signed.algorithm {
            return Err(Reason::BadCertificate);
        }
        let issuer = part.element()?.whole;
        let mut validity = part.sequence()?;
        let window = Window::read(&mut validity)?;
        validity.end()?;
        let subject = part.element()?.whole;
        let key = PublicKey::parse(part.element()?.whole)?;
        let extensions = part.expect(0xA3).and_then(Extension::all)?;
        part.end()?;
        let known = |it: &&Extension<'_>| [KEY_USAGE, BASIC_CONSTRAINTS].contains(&it.oid);
        if extensions.iter().any(|it| it.critical && !known(&it)) {
            return Err(Reason::BadCertificate);
        }
        Ok(Self { signed, serial, issuer, subject, window, key, extensions })
    }

    /// This certificate is valid at `now`, and signed by `issuer`, which it names.
    pub(crate) fn is_issued_by(&self, issuer: &Self, now: u64) -> Result<(), Reason> {
        if !self.window.holds(now) {
            return Err(Reason::CertificateOutOfDate);
        }
        self.signed.is_by(issuer.key())?;
        if self.issuer == issuer.subject { Ok(()) } else { Err(Reason::BrokenChain) }
    }

    /// The content of the key's bit string: a point, or an `RSAPublicKey`.
    pub(crate) const fn key(&self) -> &'a [u8] {
        self.key.bits
    }

    /// It may sign certificates.
    pub(crate) fn is_authority(&self) -> bool {
        let constraints = self.extension(BASIC_CONSTRAINTS);
        let authority = constraints
            .and_then(|it| Der::only(it, SEQUENCE)?.optional(BOOLEAN))
            .is_ok_and(|it| it == Some(&[0xFF]));
        // The sixth bit: a key for signing certificates.
        let usage = self.extension(KEY_USAGE).and_then(|it| {
            let mut usage = Der::new(it);
            usage.expect(BIT_STRING)
        });
        authority && usage.is_ok_and(|it| it.get(1).is_some_and(|bits| bits & 0x04 != 0))
    }

    /// The subject's only common name.
    pub(crate) fn common_name(&self) -> Option<&'a str> {
        let mut parts = Der::only(self.subject, SEQUENCE).ok()?;
        let mut found = None;
        while !parts.is_empty() {
            let mut set = Der::new(parts.expect(SET).ok()?);
            while !set.is_empty() {
                let mut pair = set.sequence().ok()?;
                let oid = pair.expect(OID).ok()?;
                let value = pair.element().ok()?;
                if oid == COMMON_NAME {
                    let name = std::str::from_utf8(value.content).ok()?;
                    if found.replace(name).is_some() {
                        return None;
                    }
                }
            }
        }
        found
    }

    /// The content of the only extension with this identifier (its encoding without tag and length).
    pub(crate) fn extension(&self, oid: &[u8]) -> Result<&'a [u8], Reason> {
        let mut found = self.extensions.iter().filter(|it| it.oid == oid);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one.value),
            (Some(_) | None, _) => Err(Reason::BadCertificate),
        }
    }
}

struct Extension<'a> {
    oid: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

impl<'a> Extension<'a> {
    /// The extensions in the field that holds them.
    fn all(field: &'a [u8]) -> Result<Vec<Self>, Reason> {
        let mut list = Der::only(field, SEQUENCE)?;
        let mut out = Vec::new();
        while !list.is_empty() {
            let mut one = list.sequence()?;
            let oid = one.expect(OID)?;
            let critical = one.optional(BOOLEAN)?.is_some_and(|it| it != [0]);
            let value = one.expect(OCTET_STRING)?;
            one.end()?;
            out.push(Self { oid, critical, value });
        }
        Ok(out)
    }
}

/// A `SubjectPublicKeyInfo`.
pub(crate) struct PublicKey<'a> {
    /// The algorithm's identifier.
    pub(crate) algorithm: &'a [u8],
    /// The content of the bit string.
    pub(crate) bits: &'a [u8],
}

impl<'a> PublicKey<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, Reason> {
        let mut info = Der::only(der, SEQUENCE)?;
        let algorithm = info.sequence()?.expect(OID)?;
        let bits = bits(info.expect(BIT_STRING)?)?;
        info.end()?;
        Ok(Self { algorithm, bits })
    }
}

/// A list of revoked certificates, whole and of one issuer.
pub(crate) struct Revocations<'a> {
    signed: Signed<'a>,
    issuer: &'a [u8],
    pub(crate) window: Window,
    serials: Vec<&'a [u8]>,
}

impl<'a> Revocations<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, Reason> {
        let signed = Signed::read(der)?;
        let mut part = Der::only(signed.part, SEQUENCE)?;
        // Version 2.
        if part.expect(INTEGER)? != [1] || part.element()?.whole != signed.algorithm {
            return Err(Reason::BadCertificate);
        }
        let issuer = part.element()?.whole;
        let window = Window::read(&mut part)?;
        let mut serials = Vec::new();
        if let Some(entries) = part.optional(SEQUENCE)? {
            let mut entries = Der::new(entries);
            while !entries.is_empty() {
                let mut entry = entries.sequence()?;
                serials.push(entry.expect(INTEGER)?);
                let _revoked_at = entry.element()?;
                if let Some(more) = entry.optional(SEQUENCE)? {
                    // A critical extension may say that the entry is about another issuer's certificate.
                    not_critical(more)?;
                }
                entry.end()?;
            }
        }
        // A critical one may say that this list is a part or a change only.
        for extension in Extension::all(part.expect(0xA0)?)? {
            if extension.critical {
                return Err(Reason::BadCertificate);
            }
        }
        part.end()?;
        Ok(Self { signed, issuer, window, serials })
    }

    /// The list is valid at `now` and signed by `issuer`, which it names.
    pub(crate) fn is_issued_by(&self, issuer: &Certificate<'_>, now: u64) -> Result<(), Reason> {
        if !self.window.holds(now) {
            return Err(Reason::CollateralOutOfDate);
        }
        if self.issuer != issuer.subject {
            return Err(Reason::OtherPlatform);
        }
        self.signed.is_by(issuer.key())
    }

    /// Refuses a certificate of the same issuer that is on the list.
    pub(crate) fn admit(&self, it: &Certificate<'_>) -> Result<(), Reason> {
        let listed = it.issuer != self.issuer || self.serials.contains(&it.serial);
        if listed { Err(Reason::Revoked) } else { Ok(()) }
    }
}

fn not_critical(content: &[u8]) -> Result<(), Reason> {
    let mut list = Der::new(content);
    while !list.is_empty() {
        let mut one = list.sequence()?;
        one.expect(OID)?;
        if one.optional(BOOLEAN)?.is_some() {
            return Err(Reason::BadCertificate);
        }
        one.expect(OCTET_STRING)?;
        one.end()?;
    }
    Ok(())
}
