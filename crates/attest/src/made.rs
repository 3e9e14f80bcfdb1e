//! Evidence as a machine makes it: what Linux hands a guest (configfs-tsm), or what a TPM signs, brought into the form that
//! is sent.
//!
//! Threat model: provider, report and table come through the guest's kernel from the host. Nothing is believed here and no
//! signature is checked: whoever appraises does that. What is checked is that the report is of a kind that can be accepted
//! at all and carries the bytes that were asked for, so that no evidence of something else is sent. Simulated reports are
//! taken in tests alone, and stay labelled.

use tidm_crypto::hash::sha256;

use crate::appraisal::Reason;
use crate::limits::REPORT_DATA;
use crate::snp::table::{self, NoCertificates};
use crate::text::{Beside, Text};
use crate::tpm::command::Quoted;
use crate::{intel, snp, tpm};

/// Linux' name of the interface behind an AMD guest's reports.
pub const SEV_GUEST: &str = "sev_guest";
/// The same of an Intel trust domain's quotes.
pub const TDX_GUEST: &str = "tdx_guest";

/// What the kernel handed out for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// Who made it: [`SEV_GUEST`] or [`TDX_GUEST`].
    pub provider: String,
    /// The report or quote.
    pub outblob: Vec<u8>,
    /// What the provider put beside it; empty where there is nothing.
    pub auxblob: Vec<u8>,
}

/// Why that is no evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotMade {
    /// Nobody here appraises what this provider makes.
    Provider(String),
    /// The report cannot be read, or nobody would accept its kind.
    Report(Reason),
    /// The report carries other bytes than were asked for.
    OtherData,
    /// The host's table brings no chain for it.
    Certificates(NoCertificates),
}

impl std::fmt::Display for NotMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Provider(name) => write!(
                f,
                "the kernel's provider is {name:?}, and what is known is {SEV_GUEST} and {TDX_GUEST}"
            ),
            Self::Report(reason) => write!(f, "the report is not usable: {}", reason.code()),
            Self::OtherData => f.write_str("the report carries other bytes than were asked for"),
            Self::Certificates(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for NotMade {}

/// Evidence that answers the challenge `nonce`, of a report that was asked to carry `data`.
///
/// # Errors
/// [`NotMade`].
pub fn tsm(
    it: &Handed,
    data: &[u8; REPORT_DATA],
    nonce: Option<[u8; 32]>,
) -> Result<Text, NotMade> {
    let report = &it.outblob;
    let (carried, beside) = match it.provider.as_str() {
        SEV_GUEST => {
            let carried = snp::report_data(report).map_err(NotMade::Report)?;
            let chain = table::certificates(&it.auxblob).map_err(NotMade::Certificates)?;
            (carried, Beside::Snp { vcek: chain.vcek, ask: chain.ask, ark: chain.ark })
        }
        TDX_GUEST => {
            let carried = intel::domain_data(report).map_err(NotMade::Report)?;
            (carried, Beside::Intel { collateral: None })
        }
        #[cfg(any(test, feature = "simulated"))]
        crate::simulated::PROVIDER => {
            let carried = crate::simulated::report_data(report).map_err(NotMade::Report)?;
            (carried, Beside::Simulated)
        }
        other => return Err(NotMade::Provider(other.chars().take(32).collect())),
    };
    if carried != *data {
        return Err(NotMade::OtherData);
    }
    Ok(Text { report: report.clone(), nonce, beside })
}

/// The same of a TPM's quote, by the key `key` (`SubjectPublicKeyInfo`), over these values of PCRs.
///
/// # Errors
/// [`NotMade`].
pub fn tpm(
    it: Quoted,
    key: Vec<u8>,
    pcrs: Vec<[u8; 32]>,
    data: &[u8; 32],
    nonce: Option<[u8; 32]>,
) -> Result<Text, NotMade> {
    let Quoted { attested, signature } = it;
    let (carried, digest) = tpm::carried(&attested).map_err(NotMade::Report)?;
    if carried != data {
        return Err(NotMade::OtherData);
    }
    if digest != sha256(&pcrs.concat()).0 {
        return Err(NotMade::Report(Reason::OtherPcrs));
    }
    Ok(Text { report: attested, nonce, beside: Beside::Tpm { key, signature, pcrs } })
}

#[cfg(test)]
mod tests {
    use super::{Handed, NotMade, SEV_GUEST, TDX_GUEST, tsm};
    use crate::appraisal::Reason;
    use crate::simulated::{Machine, PROVIDER};
    use crate::snp::table::NoCertificates;
    use crate::text::Text;

    fn handed(provider: &str, outblob: &[u8], auxblob: &[u8]) -> Handed {
        Handed {
            provider: provider.to_owned(),
            outblob: outblob.to_vec(),
            auxblob: auxblob.to_vec(),
        }
    }

    fn data(byte: u8) -> [u8; 64] {
        std::array::from_fn(|at| if at < 32 { byte } else { 0 })
    }

    /// The first bytes that a Milan report has, and nothing that anybody signed.
    fn unsigned_report(byte: u8) -> Vec<u8> {
        let mut report = vec![0; crate::snp::REPORT];
        report[0] = 2;
        report[0x34] = 1;
        report[0x50..0x70].fill(byte);
        report
    }

    #[test]
    fn made_evidence_is_read_as_it_was_made() {
        let simulated = Machine::new(1, [2; 32]).evidence([5; 32]);
        let table = crate::snp::table::tests::table(b"vcek", b"ask", b"ark");
        let snp = unsigned_report(5);
        for (it, name) in [
            (handed(PROVIDER, &simulated, b""), "simulated"),
            (handed(SEV_GUEST, &snp, &table), "snp"),
        ] {
            let made = tsm(&it, &data(5), Some([9; 32])).unwrap();
            let read = Text::read(&made.write().unwrap()).unwrap();
            assert_eq!(read, made);
            assert_eq!(read.nonce, Some([9; 32]));
            assert_eq!(read.evidence(None).kind.name(), name);
        }
    }

    #[test]
    fn what_nobody_would_accept_is_not_sent() {
        let (simulated, snp) = (Machine::new(1, [2; 32]).evidence([5; 32]), unsigned_report(5));
        let (mut cloud, mut future) = (snp.clone(), snp.clone());
        cloud[0x48] = 0b100;
        future[0] = 9;
        let none = NotMade::Certificates(NoCertificates::Empty);
        for (it, byte, expected) in [
            (handed(PROVIDER, &simulated, b""), 6, NotMade::OtherData),
            (handed(PROVIDER, &simulated[1..], b""), 5, NotMade::Report(Reason::Malformed)),
            (handed(SEV_GUEST, &snp, b""), 5, none),
            (handed(SEV_GUEST, &cloud, b""), 5, NotMade::Report(Reason::OtherKeyKind)),
            (handed(SEV_GUEST, &future, b""), 5, NotMade::Report(Reason::Unsupported)),
            (handed(SEV_GUEST, &snp[1..], b""), 5, NotMade::Report(Reason::Malformed)),
            (handed(TDX_GUEST, &snp, b""), 5, NotMade::Report(Reason::Malformed)),
            (handed("arm_cca_guest", &snp, b""), 5, NotMade::Provider("arm_cca_guest".to_owned())),
        ] {
            assert_eq!(tsm(&it, &data(byte), None), Err(expected), "{}", it.provider);
        }
    }
}
