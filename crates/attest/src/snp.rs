//! AMD SEV-SNP reports (versions 2 to 5) signed by the chip's VCEK, for Milan and Genoa.
//!
//! **Proves:** a guest with this launch measurement runs under SEV-SNP on the chip named, with firmware of the version
//! named, and software at the guest's highest privilege asked to have these 64 bytes signed.
//!
//! **Does not prove:** where the chip stands or that nobody opened it (interposers on the memory bus read such guests);
//! freedom from side channels; what the guest did after launch (only the launch is measured); that AMD did not revoke
//! the certificates since (revocation lists are not read: use the chip list and the oldest firmware); that the report
//! was not relayed, beyond the bytes bound.
//!
//! Threat model: report and certificates are the prover's. The root is pinned by digest and fixes the processor family;
//! keys of clouds (VLEK) name no chip and are refused. Turin has another layout and no public report to test with: refused.
//!
//! Measurement: 48 bytes of launch digest. Chip: 64 bytes of chip identifier.

use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use tidm_crypto::hash::{Digest, sha256};

use crate::Authentic;
use crate::appraisal::{Facts, Reason, SnpTcb, Tcb};
use crate::reader::at;
use crate::x509::Certificate;

pub mod table;

#[cfg(test)]
mod tests;

/// Length of a report.
pub const REPORT: usize = 1184;
/// What the signature covers: the bytes before it.
pub const SIGNED: usize = 0x2A0;
/// Each half of the signature has 72 bytes of which a P-384 number takes 48, lowest byte first.
const HALF: usize = 72;
const NUMBER: usize = 48;

const DEBUG: u64 = 1 << 19;
const MIGRATION_AGENT: u64 = 1 << 18;

/// `1.3.6.1.4.1.3704.1`: AMD's extensions.
const AMD: [u8; 8] = [0x2B, 0x06, 0x01, 0x04, 0x01, 0x9C, 0x78, 0x01];
const PRODUCT: &[u8] = &[2];
const HARDWARE: &[u8] = &[4];
const BOOT_LOADER: &[u8] = &[3, 1];
const TEE: &[u8] = &[3, 2];
const SNP: &[u8] = &[3, 3];
const MICROCODE: &[u8] = &[3, 8];

/// A processor family. Each has its own root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Product {
    Milan,
    Genoa,
}

/// SHA-256 of the root certificates (ARK) in DER as AMD publishes them.
const ROOTS: [(&str, Product); 2] = [
    ("69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd", Product::Milan),
    ("4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1", Product::Genoa),
];

impl Product {
    fn of_root(ark: &[u8]) -> Result<Self, Reason> {
        let digest = Ok(sha256(ark));
        let found = ROOTS.iter().find(|(text, _)| Digest::parse(text) == digest);
        found.map(|(_, product)| *product).ok_or(Reason::UnknownRoot)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
        }
    }

    /// Family and model as reports from version 3 on tell them.
    fn of_cpu(family: u8, model: u8) -> Option<Self> {
        match (family, model) {
            (0x19, 0x00..=0x0F) => Some(Self::Milan),
            (0x19, 0x10..=0x1F | 0xA0..=0xAF) => Some(Self::Genoa),
            _ => None,
        }
    }
}

pub(crate) fn authenticate(
    report: &[u8],
    vcek: &[u8],
    ask: &[u8],
    ark: &[u8],
    now: u64,
) -> Result<Authentic, Reason> {
    let bytes: &[u8; REPORT] = report.try_into().map_err(|_| Reason::Malformed)?;
    let report = Report::parse(bytes)?;
    let product = Product::of_root(ark)?;
    let (ark, ask) = (Certificate::parse(ark)?, Certificate::parse(ask)?);
    let vcek = Certificate::parse(vcek)?;
    ark.is_issued_by(&ark, now)?;
    ask.is_issued_by(&ark, now)?;
    vcek.is_issued_by(&ask, now)?;
    report.fits(&vcek, product)?;
    let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, vcek.key());
    let signed = bytes.get(..SIGNED).ok_or(Reason::Malformed)?;
    key.verify(signed, &signature(bytes)?).map_err(|_| Reason::BadSignature)?;
    let objections = report.objections();
    let Report { chip, measurement, report_data, tcb, .. } = report;
    let facts = Facts {
        tcb: Tcb::Snp(tcb),
        measurement: measurement.to_vec(),
        chip: chip.to_vec(),
        report_data: report_data.to_vec(),
    };
    Ok(Authentic { facts, objections })
}

/// What a report carries, if it is of a kind that can be accepted; its signature is not looked at.
pub(crate) fn report_data(report: &[u8]) -> Result<[u8; 64], Reason> {
    let bytes: &[u8; REPORT] = report.try_into().map_err(|_| Reason::Malformed)?;
    Report::parse(bytes).map(|it| it.report_data)
}

/// What we read of a report; nothing of it counts before the signature held.
struct Report {
    policy: u64,
    privilege: u32,
    cpu: Option<(u8, u8)>,
    tcb: SnpTcb,
    report_data: [u8; 64],
    measurement: [u8; 48],
    chip: [u8; 64],
}

impl Report {
    fn parse(bytes: &[u8; REPORT]) -> Result<Self, Reason> {
        let number = |offset| at(bytes, offset).map(u32::from_le_bytes);
        let version = number(0)?;
        let (ecdsa_p384, vcek) = (number(0x34)? == 1, number(0x48)? & 0b1_1100 == 0);
        if !matches!(version, 2..=5) || !ecdsa_p384 {
            return Err(Reason::Unsupported);
        }
        if !vcek {
            return Err(Reason::OtherKeyKind);
        }
        let [boot_loader, tee, _, _, _, _, snp, microcode] = at(bytes, 0x180)?;
        let [family, model] = at(bytes, 0x188)?;
        Ok(Self {
            policy: u64::from_le_bytes(at(bytes, 0x08)?),
            privilege: number(0x30)?,
            cpu: (version >= 3).then_some((family, model)),
            tcb: SnpTcb { boot_loader, tee, snp, microcode },
            report_data: at(bytes, 0x50)?,
            measurement: at(bytes, 0x90)?,
            chip: at(bytes, 0x1A0)?,
        })
    }

    /// The certificate is a VCEK of this product, this chip and this firmware.
    fn fits(&self, vcek: &Certificate<'_>, product: Product) -> Result<(), Reason> {
        if vcek.common_name() != Some("SEV-VCEK") {
            return Err(Reason::OtherKeyKind);
        }
        let extension = |tail: &[u8]| vcek.extension(&[&AMD, tail].concat());
        // IA5String, such as "Milan-B0": the family and a stepping.
        let name = match extension(PRODUCT)? {
            [0x16, length, name @ ..] if name.len() == usize::from(*length) => name,
            _ => return Err(Reason::BadCertificate),
        };
        let family = name.split(|it| *it == b'-').next();
        let cpu = self.cpu.map(|(family, model)| Product::of_cpu(family, model));
        if family != Some(product.name().as_bytes()) || cpu.is_some_and(|it| it != Some(product)) {
            return Err(Reason::OtherChip);
        }
        // Older certificates hold the bytes themselves, newer ones an OCTET STRING of them.
        let chip = extension(HARDWARE)?;
        let chip = chip.strip_prefix(&[0x04, 0x40]).filter(|it| it.len() == 64).unwrap_or(chip);
        if chip != self.chip {
            return Err(Reason::OtherChip);
        }
        let tcb = SnpTcb {
            boot_loader: small(extension(BOOT_LOADER)?)?,
            tee: small(extension(TEE)?)?,
            snp: small(extension(SNP)?)?,
            microcode: small(extension(MICROCODE)?)?,
        };
        if tcb == self.tcb { Ok(()) } else { Err(Reason::OtherFirmware) }
    }

    fn objections(&self) -> Vec<Reason> {
        let all = [
            (self.policy & DEBUG != 0, Reason::Debug),
            (self.policy & MIGRATION_AGENT != 0, Reason::Migratable),
            (self.privilege != 0, Reason::LowPrivilege),
        ];
        all.into_iter().filter_map(|(applies, reason)| applies.then_some(reason)).collect()
    }
}

/// An INTEGER of one byte.
const fn small(der: &[u8]) -> Result<u8, Reason> {
    match der {
        [0x02, 1, value @ 0..=0x7F] | [0x02, 2, 0, value @ 0x80..=0xFF] => Ok(*value),
        _ => Err(Reason::BadCertificate),
    }
}

/// `r ‖ s` with the highest byte first. The rest of the field is zero: one encoding per signature.
fn signature(bytes: &[u8; REPORT]) -> Result<[u8; 2 * NUMBER], Reason> {
    let field = bytes.get(SIGNED..).ok_or(Reason::Malformed)?;
    let mut out = [0; 2 * NUMBER];
    for (number, half) in out.chunks_exact_mut(NUMBER).zip(field.chunks(HALF)) {
        number.copy_from_slice(half.get(..NUMBER).ok_or(Reason::Malformed)?);
        number.reverse();
    }
    let padding = field
        .chunks(HALF)
        .enumerate()
        .flat_map(|(index, part)| part.iter().skip(if index < 2 { NUMBER } else { 0 }));
    if padding.copied().all(|it| it == 0) { Ok(out) } else { Err(Reason::BadSignature) }
}
