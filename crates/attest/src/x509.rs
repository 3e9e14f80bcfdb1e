//! The certificates of AMD's chain: parsing, and RSA-PSS with SHA-384 between them.
//!
//! Threat model: every byte is from the prover. One encoding of one certificate and nothing behind it; the algorithm
//! inside and outside the signed part must be the one we verify with. Must never take a validity from the clock.

use ring::signature::{RSA_PSS_2048_8192_SHA384, UnparsedPublicKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

use crate::appraisal::Reason;
use crate::limits;
use crate::reader::Reader;

/// `1.2.840.113549.1.1.10`; its parameters are what we verify with, whatever they say.
const RSA_PSS: [u8; 9] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A];

pub(crate) struct Certificate<'a>(X509Certificate<'a>);

impl<'a> Certificate<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, Reason> {
        if der.len() > limits::CERTIFICATE {
            return Err(Reason::BadCertificate);
        }
        let (rest, it) = X509Certificate::from_der(der).map_err(|_| Reason::BadCertificate)?;
        let pss = it.signature_algorithm.algorithm.as_bytes() == RSA_PSS;
        let same = same_algorithm(der).unwrap_or(false);
        let whole = it.signature_value.unused_bits == 0;
        if rest.is_empty() && pss && same && whole {
            Ok(Self(it))
        } else {
            Err(Reason::BadCertificate)
        }
    }

    /// This certificate is valid at `now`, and signed by `issuer`, which it names.
    pub(crate) fn is_issued_by(&self, issuer: &Self, now: u64) -> Result<(), Reason> {
        let time = i64::try_from(now).ok().and_then(|it| ASN1Time::from_timestamp(it).ok());
        if !time.is_some_and(|time| self.0.validity().is_valid_at(time)) {
            return Err(Reason::CertificateOutOfDate);
        }
        let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA384, issuer.key());
        let signed =
            key.verify(self.0.tbs_certificate.as_ref(), &self.0.signature_value.data).is_ok();
        let named = self.0.issuer().as_raw() == issuer.0.subject().as_raw();
        if signed && named { Ok(()) } else { Err(Reason::BrokenChain) }
    }

    /// The content of the key's bit string: a point, or an `RSAPublicKey`.
    pub(crate) fn key(&self) -> &[u8] {
        &self.0.public_key().subject_public_key.data
    }

    /// The subject's only common name.
    pub(crate) fn common_name(&self) -> Option<&str> {
        let mut names = self.0.subject().iter_common_name();
        let name = names.next()?.as_str().ok()?;
        names.next().is_none().then_some(name)
    }

    /// The content of the only extension with this identifier (its encoding without tag and length).
    pub(crate) fn extension(&self, oid: &[u8]) -> Result<&[u8], Reason> {
        let mut found = self.0.extensions().iter().filter(|it| it.oid.as_bytes() == oid);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one.value),
            (Some(_) | None, _) => Err(Reason::BadCertificate),
        }
    }
}

/// The algorithm outside the signed part is byte for byte the one inside: the parser takes tags loosely.
fn same_algorithm(der: &[u8]) -> Result<bool, Reason> {
    let mut certificate = Reader(element(&mut Reader(der))?.1);
    let mut signed = Reader(element(&mut certificate)?.1);
    let (outside, _) = element(&mut certificate)?;
    let (_version, _serial) = (element(&mut signed)?, element(&mut signed)?);
    Ok(outside == element(&mut signed)?.0)
}

/// The next element: whole, and its content.
fn element<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), Reason> {
    let start = reader.0;
    let [_tag, first] = reader.array()?;
    let length = match first {
        0..=0x7F => usize::from(first),
        0x81 => usize::from(u8::from_be_bytes(reader.array()?)),
        0x82 => usize::from(u16::from_be_bytes(reader.array()?)),
        0x80 | 0x83..=0xFF => return Err(Reason::BadCertificate),
    };
    let content = reader.take(length)?;
    let whole = start.get(..start.len().saturating_sub(reader.0.len()));
    Ok((whole.ok_or(Reason::BadCertificate)?, content))
}
