//! What a prover sends: the signed bytes, and beside them what is needed to check their signature.
//!
//! Everything in here is from outside and unchecked. Must never be stored as if it were proven.

/// Evidence as received.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The report or quote itself, in the vendor's binary form.
    pub bytes: &'a [u8],
    /// Its format, with the certificates or collateral that go with it.
    pub kind: Kind<'a>,
}

/// The formats.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// AMD SEV-SNP report and its three certificates, each in DER.
    Snp { vcek: &'a [u8], ask: &'a [u8], ark: &'a [u8] },
    /// Intel SGX or TDX quote, and Intel's signed collateral as JSON.
    Intel { collateral: &'a [u8] },
    /// Hygon CSV report (it holds the PEK), and the three certificates above the PEK in Hygon's binary form.
    Csv { hrk: &'a [u8], hsk: &'a [u8], cek: &'a [u8] },
    /// TPM 2.0 `TPMS_ATTEST`, the attestation key as `SubjectPublicKeyInfo`, a `TPMT_SIGNATURE`, and the values of the
    /// quoted PCRs of the SHA-256 bank in rising order.
    Tpm { key: &'a [u8], signature: &'a [u8], pcrs: &'a [[u8; 32]] },
    /// No hardware at all: counts in tests alone.
    Simulated,
}

impl Kind<'_> {
    /// The format's name as it is shown and logged: `simulated` says that no hardware made it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Snp { .. } => "snp",
            Self::Intel { .. } => "intel",
            Self::Csv { .. } => "csv",
            Self::Tpm { .. } => "tpm",
            Self::Simulated => "simulated",
        }
    }
}
