//! The certificates that a host hands its guest beside an SEV-SNP report: the table of the extended guest request (AMD's
//! GHCB specification), which Linux shows as `auxblob`.
//!
//! ```text
//!   GUID 16 · offset 4 · length 4      one entry each, lowest byte first; the GUID's bytes stand as its text reads
//!   zeros 24                           the end of the entries
//!   certificates                       where the entries say, DER or PEM
//! ```
//!
//! Threat model: the table is the host's, which may write anything. Each length is bounded and within the table before it
//! is used. Must never judge a certificate: whoever appraises the evidence does.

use crate::appraisal::Reason;
use crate::limits::{CERTIFICATE, CERTIFICATE_ENTRIES, CERTIFICATE_TABLE};
use crate::pem;
use crate::reader::Reader;

const VCEK: [u8; 16] = 0x63da758d_e664_4564_adc5_f4b93be8accd_u128.to_be_bytes();
const VLEK: [u8; 16] = 0xa8074bc2_a25a_483e_aae6_39c045a0b8a1_u128.to_be_bytes();
const ASK: [u8; 16] = 0x4ab7b379_bbac_4fe4_a02f_05aef327c782_u128.to_be_bytes();
const ARK: [u8; 16] = 0xc0b406a4_a803_4952_9743_3fb6014cd0ae_u128.to_be_bytes();
const PEM: &[u8] = b"-----BEGIN";

/// The chain of a chip's key, in DER and unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    pub vcek: Vec<u8>,
    pub ask: Vec<u8>,
    pub ark: Vec<u8>,
}

/// Why a table brings no chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCertificates {
    /// The host put none in.
    Empty,
    /// This one is not in it.
    Missing(&'static str),
    /// A cloud's key signs, which names no chip.
    Vlek,
    /// Longer, or with more entries, than any real one.
    TooLong,
    /// It has not the form of such a table, or names one kind twice.
    Malformed,
}

impl std::fmt::Display for NoCertificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("the host put no certificates into its table"),
            Self::Missing(name) => write!(f, "the host's table of certificates has no {name}"),
            Self::Vlek => {
                f.write_str("the host's table has a cloud's key (VLEK), which names no chip")
            }
            Self::TooLong => {
                f.write_str("the host's table of certificates is longer than any real one")
            }
            Self::Malformed => f.write_str("the host's table of certificates has not its form"),
        }
    }
}

impl From<Reason> for NoCertificates {
    fn from(_: Reason) -> Self {
        Self::Malformed
    }
}

/// Reads the three certificates of a table.
///
/// # Errors
/// [`NoCertificates`].
pub fn certificates(table: &[u8]) -> Result<Certificates, NoCertificates> {
    if table.len() > CERTIFICATE_TABLE {
        return Err(NoCertificates::TooLong);
    }
    if table.is_empty() {
        return Err(NoCertificates::Empty);
    }
    let (mut vcek, mut ask, mut ark, mut cloud, mut any) = (None, None, None, false, false);
    let mut reader = Reader(table);
    for count in 0.. {
        let (guid, place): ([u8; 16], [u8; 8]) = (reader.array()?, reader.array()?);
        if guid == [0; 16] && place == [0; 8] {
            break;
        }
        if count == CERTIFICATE_ENTRIES {
            return Err(NoCertificates::TooLong);
        }
        any = true;
        let kept = match guid {
            VCEK => &mut vcek,
            ASK => &mut ask,
            ARK => &mut ark,
            // Lists of revocation and whatever else is put there.
            other => {
                cloud |= other == VLEK;
                continue;
            }
        };
        if kept.replace(certificate(table, place)?).is_some() {
            return Err(NoCertificates::Malformed);
        }
    }
    match (vcek, ask, ark) {
        _ if !any => Err(NoCertificates::Empty),
        (None, _, _) if cloud => Err(NoCertificates::Vlek),
        (None, _, _) => Err(NoCertificates::Missing("VCEK")),
        (_, None, _) => Err(NoCertificates::Missing("ASK")),
        (_, _, None) => Err(NoCertificates::Missing("ARK")),
        (Some(vcek), Some(ask), Some(ark)) => Ok(Certificates { vcek, ask, ark }),
    }
}

/// One certificate, where its entry says.
fn certificate(table: &[u8], place: [u8; 8]) -> Result<Vec<u8>, NoCertificates> {
    let mut reader = Reader(&place);
    let number = |it| usize::try_from(u32::from_le_bytes(it));
    let (offset, length) = (number(reader.array()?), number(reader.array()?));
    let (Ok(offset), Ok(length)) = (offset, length) else { return Err(NoCertificates::Malformed) };
    if length == 0 || length > CERTIFICATE {
        return Err(NoCertificates::Malformed);
    }
    let found = table.get(offset..).and_then(|rest| rest.get(..length));
    let found = found.ok_or(NoCertificates::Malformed)?;
    if found.starts_with(PEM) {
        let [der] = pem::chain::<1>(found)?;
        return Ok(der);
    }
    Ok(found.to_vec())
}

/// The table that a host would write of these, for tests.
#[cfg(test)]
pub(crate) fn written(entries: &[([u8; 16], &[u8])]) -> Vec<u8> {
    let mut head = Vec::new();
    let mut body = Vec::new();
    let start = 24 * (entries.len() + 1);
    for (guid, bytes) in entries {
        head.extend_from_slice(guid);
        head.extend_from_slice(&u32::try_from(start + body.len()).unwrap().to_le_bytes());
        head.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
        body.extend_from_slice(bytes);
    }
    head.extend_from_slice(&[0; 24]);
    [head, body].concat()
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::{ARK, ASK, Certificates, NoCertificates, VCEK, VLEK, certificates, written};
    use crate::limits::{CERTIFICATE, CERTIFICATE_ENTRIES, CERTIFICATE_TABLE};

    /// A table of these three.
    pub(crate) fn table(vcek: &[u8], ask: &[u8], ark: &[u8]) -> Vec<u8> {
        written(&[(VCEK, vcek), (ASK, ask), (ARK, ark)])
    }

    fn chain() -> Certificates {
        Certificates { vcek: b"vcek".to_vec(), ask: b"ask".to_vec(), ark: b"ark".to_vec() }
    }

    #[test]
    fn a_guid_stands_in_the_table_as_its_text_reads() {
        assert_eq!(VCEK[..8], [0x63, 0xDA, 0x75, 0x8D, 0xE6, 0x64, 0x45, 0x64]);
        assert_eq!(ARK[14..], [0xD0, 0xAE]);
    }

    #[test]
    fn three_certificates_are_found_in_any_order_and_among_others() {
        assert_eq!(certificates(&table(b"vcek", b"ask", b"ark")), Ok(chain()));
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            STANDARD.encode(b"ask")
        );
        let entries: [([u8; 16], &[u8]); 5] = [
            ([7; 16], b"list"),
            (ARK, b"ark"),
            (VLEK, b"cloud"),
            (ASK, pem.as_bytes()),
            (VCEK, b"vcek"),
        ];
        assert_eq!(certificates(&written(&entries)), Ok(chain()));
    }

    #[test]
    fn what_is_missing_is_named() {
        let large = vec![1; CERTIFICATE + 1];
        let many = vec![([7; 16], &b"x"[..]); CERTIFICATE_ENTRIES + 1];
        let cases: [(Vec<u8>, NoCertificates); 11] = [
            (vec![], NoCertificates::Empty),
            (vec![0; 4096], NoCertificates::Empty),
            (vec![0; 23], NoCertificates::Malformed),
            (written(&[(ASK, b"a"), (ARK, b"a")]), NoCertificates::Missing("VCEK")),
            (written(&[(VLEK, b"a"), (ASK, b"a"), (ARK, b"a")]), NoCertificates::Vlek),
            (written(&[(VCEK, b"a"), (ARK, b"a")]), NoCertificates::Missing("ASK")),
            (written(&[(VCEK, b"a"), (ASK, b"a")]), NoCertificates::Missing("ARK")),
            (written(&[(VCEK, b"a"), (VCEK, b"a")]), NoCertificates::Malformed),
            (table(&large, b"a", b"a"), NoCertificates::Malformed),
            (written(&many), NoCertificates::TooLong),
            (vec![1; CERTIFICATE_TABLE + 1], NoCertificates::TooLong),
        ];
        for (table, expected) in cases {
            assert_eq!(certificates(&table), Err(expected));
        }
    }

    /// Offsets and lengths at every bound, and every cut: nothing is read outside of the table.
    #[test]
    fn hostile_places_are_refused() {
        let good = table(b"vcek", b"ask", b"ark");
        for length in 0..good.len() {
            assert!(certificates(&good[..length]).is_err(), "{length}");
        }
        let size = u32::try_from(good.len()).unwrap();
        for (offset, length) in
            [(size, 1), (size - 1, 2), (u32::MAX, 1), (u32::MAX, u32::MAX), (0, u32::MAX), (96, 0)]
        {
            let mut bad = good.clone();
            bad[16..20].copy_from_slice(&offset.to_le_bytes());
            bad[20..24].copy_from_slice(&length.to_le_bytes());
            assert_eq!(certificates(&bad), Err(NoCertificates::Malformed), "{offset} {length}");
        }
    }
}
