//! Intel quotes as bytes: versions 3 (SGX), 4 and 5 (TDX), with their signatures and the chain inside.
//!
//! Threat model: every byte is the prover's; nothing read here counts before `super` checked the signatures. One layout
//! per version: a length that does not end where the next field begins is malformed. Behind the whole only zeros.

use crate::appraisal::Reason;
use crate::reader::{Reader, at};

const HEADER: usize = 48;
const ENCLAVE: usize = 384;
const DOMAIN_1_0: usize = 584;
const DOMAIN_1_5: usize = 648;
const DOMAIN_1_5_EX: usize = 885;
/// ECDSA on P-256.
const KEY_KIND: u16 = 2;
const SGX: u32 = 0;
const TDX: u32 = 0x81;
const INTEL_QE: [u8; 16] = [
    0x93, 0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9, 0x94, 0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06, 0x07,
];
/// Kinds of certification data: a PCK chain in PEM, and the quoting enclave's report around such data.
const PCK_CHAIN: u16 = 5;
const QE_REPORT: u16 = 6;

pub(super) struct Quote<'a> {
    /// What the attestation key signed: header and body.
    pub(super) signed: &'a [u8],
    pub(super) body: Body<'a>,
    pub(super) signature: [u8; 64],
    /// The attestation key, `x ‖ y`.
    pub(super) key: [u8; 64],
    /// The quoting enclave's report, and the signature of the platform's certified key over it.
    pub(super) quoter: Enclave<'a>,
    pub(super) quoter_signature: [u8; 64],
    /// Hashed with the attestation key into that report.
    pub(super) quoter_data: &'a [u8],
    /// The certificates of the platform's key, PEM.
    pub(super) chain: &'a [u8],
}

/// Who is attested.
pub(super) enum Body<'a> {
    Enclave(Enclave<'a>),
    Domain(Domain<'a>),
}

/// The report of an SGX enclave.
pub(super) struct Enclave<'a>(pub(super) &'a [u8; ENCLAVE]);

impl Enclave<'_> {
    pub(super) fn misc(&self) -> Result<[u8; 4], Reason> {
        at(self.0, 16)
    }

    pub(super) fn attributes(&self) -> Result<[u8; 16], Reason> {
        at(self.0, 48)
    }

    pub(super) fn measurement(&self) -> Result<[u8; 32], Reason> {
        at(self.0, 64)
    }

    pub(super) fn signer(&self) -> Result<[u8; 32], Reason> {
        at(self.0, 128)
    }

    pub(super) fn product(&self) -> Result<u16, Reason> {
        at(self.0, 256).map(u16::from_le_bytes)
    }

    pub(super) fn version(&self) -> Result<u16, Reason> {
        at(self.0, 258).map(u16::from_le_bytes)
    }

    pub(super) fn report_data(&self) -> Result<[u8; 64], Reason> {
        at(self.0, 320)
    }
}

/// The report of a trust domain, 1.0 or longer.
pub(super) struct Domain<'a>(&'a [u8]);

impl Domain<'_> {
    /// Versions of the TDX module and of what loads it, when the domain was launched.
    pub(super) fn launched_on(&self) -> Result<[u8; 16], Reason> {
        at(self.0, 0)
    }

    /// The same as of now; from 1.5 on.
    pub(super) fn runs_on(&self) -> Result<Option<[u8; 16]>, Reason> {
        self.longer().then(|| at(self.0, DOMAIN_1_0)).transpose()
    }

    pub(super) fn module_signer(&self) -> Result<[u8; 48], Reason> {
        at(self.0, 64)
    }

    pub(super) fn module_attributes(&self) -> Result<[u8; 8], Reason> {
        at(self.0, 112)
    }

    pub(super) fn attributes(&self) -> Result<u64, Reason> {
        at(self.0, 120).map(u64::from_le_bytes)
    }

    /// `MRTD ‖ RTMR0 ‖ … ‖ RTMR3`.
    pub(super) fn measurement(&self) -> Result<Vec<u8>, Reason> {
        Ok([&at::<48>(self.0, 136)?[..], &at::<192>(self.0, 328)?].concat())
    }

    pub(super) fn report_data(&self) -> Result<[u8; 64], Reason> {
        at(self.0, 520)
    }

    /// Whether service domains are bound, which may see or move this one's state.
    pub(super) fn is_served(&self) -> Result<bool, Reason> {
        Ok(self.longer() && at::<48>(self.0, DOMAIN_1_0 + 16)? != [0; 48])
    }

    const fn longer(&self) -> bool {
        self.0.len() > DOMAIN_1_0
    }
}

impl<'a> Quote<'a> {
    pub(super) fn parse(quote: &'a [u8]) -> Result<Self, Reason> {
        let mut reader = Reader(quote);
        let header = reader.array::<HEADER>()?;
        let version = u16::from_le_bytes(at(&header, 0)?);
        let environment = u32::from_le_bytes(at(&header, 4)?);
        let supported = u16::from_le_bytes(at(&header, 2)?) == KEY_KIND
            && at::<16>(&header, 12)? == INTEL_QE
            && matches!((version, environment), (3, SGX) | (4 | 5, TDX));
        if !supported {
            return Err(Reason::Malformed);
        }
        let length = match version {
            3 => ENCLAVE,
            4 => DOMAIN_1_0,
            _ => described(&mut reader)?,
        };
        let body = reader.take(length)?;
        let signed = quote.get(..quote.len().saturating_sub(reader.0.len()));
        let signed = signed.ok_or(Reason::Malformed)?;
        let body = match version {
            3 => Body::Enclave(Enclave(body.try_into().map_err(|_| Reason::Malformed)?)),
            _ => Body::Domain(Domain(body)),
        };
        let length = u32::from_le_bytes(reader.array()?);
        let mut rest = Reader(reader.take(usize::try_from(length).map_err(|_| Reason::TooLong)?)?);
        // Some platforms hand out the whole buffer.
        if reader.0.iter().any(|it| *it != 0) {
            return Err(Reason::Malformed);
        }
        let (signature, key) = (rest.array()?, rest.array()?);
        if version > 3 {
            rest = Reader(certification(&mut rest, QE_REPORT)?);
        }
        let quoter = rest.take(ENCLAVE)?.try_into().map_err(|_| Reason::Malformed)?;
        let quoter_signature = rest.array()?;
        let length = u16::from_le_bytes(rest.array()?);
        let quoter_data = rest.take(usize::from(length))?;
        let chain = certification(&mut rest, PCK_CHAIN)?;
        let quoter = Enclave(quoter);
        Ok(Self { signed, body, signature, key, quoter, quoter_signature, quoter_data, chain })
    }
}

/// Version 5 says what follows, and how long it is.
fn described(reader: &mut Reader<'_>) -> Result<usize, Reason> {
    let kind = u16::from_le_bytes(reader.array()?);
    let size = usize::try_from(u32::from_le_bytes(reader.array()?));
    let length = match kind {
        2 => DOMAIN_1_0,
        3 => DOMAIN_1_5,
        4 => DOMAIN_1_5_EX,
        _ => return Err(Reason::Malformed),
    };
    if size == Ok(length) { Ok(length) } else { Err(Reason::Malformed) }
}

/// Certification data of this kind, which is all that is left.
fn certification<'a>(reader: &mut Reader<'a>, kind: u16) -> Result<&'a [u8], Reason> {
    let found = u16::from_le_bytes(reader.array()?);
    let length = u32::from_le_bytes(reader.array()?);
    let data = reader.take(usize::try_from(length).map_err(|_| Reason::TooLong)?)?;
    reader.end()?;
    if found == kind { Ok(data) } else { Err(Reason::Malformed) }
}
