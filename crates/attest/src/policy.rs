//! What a relying party demands. An empty policy accepts nothing; there is no switch for debuggable environments.
//!
//! Must never be taken from whoever sends the evidence.

use std::collections::BTreeSet;

use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain;
use tidm_crypto::hash::sha256;

use crate::appraisal::{IntelStatus, SnpTcb};
use crate::simulated::SimulatedRoot;

/// Demands on evidence.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Accepted measurements, in the form each format's module names.
    pub measurements: BTreeSet<Vec<u8>>,
    /// What the evidence must carry; usually [`report_data`]. Empty accepts nothing.
    pub report_data: Vec<u8>,
    /// The chips that may answer.
    pub chips: Chips,
    /// Chips that are known to stand at an independent operator. Evidence cannot say who owns the room.
    pub independent_chips: BTreeSet<Vec<u8>>,
    /// Oldest firmware accepted.
    pub least_tcb: LeastTcb,
    /// Bits a Hygon guest's own policy must have set, besides the one that forbids debugging: `0x04` encrypts registers,
    /// `0x08` forbids sending the guest elsewhere.
    pub csv_bits: u32,
    /// The PCRs a TPM's quote must be about: three bytes, PCR 0 is the lowest bit of the first. A prover who chose could
    /// quote PCRs that software can reset.
    pub tpm_pcrs: [u8; 3],
    /// Whose simulated evidence counts; only tests can name anybody.
    pub simulated: Option<SimulatedRoot>,
}

/// The chips that may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chips {
    /// Any chip the vendor made. Not enough for a TPM, whose key no root here endorses.
    Any,
    /// These only.
    Only(BTreeSet<Vec<u8>>),
}

impl Default for Chips {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

/// Oldest firmware accepted, by vendor. What is not given accepts nothing of that vendor.
#[derive(Clone, Debug, Default)]
pub struct LeastTcb {
    /// Every component at least this.
    pub snp: Option<SnpTcb>,
    /// Intel's own verdicts that are accepted.
    pub intel: BTreeSet<IntelStatus>,
    /// Oldest date of the level that Intel's verdict is about, in seconds since 1970.
    pub intel_since: u64,
    /// Advisories (`INTEL-SA-…`) that must not be open on the platform.
    pub refused_advisories: BTreeSet<String>,
    /// Major and minor version of Hygon's firmware.
    pub csv: Option<(u8, u8)>,
    /// Version of a TPM's firmware as its maker counts.
    pub tpm: Option<u64>,
    /// Of a simulated environment.
    pub simulated: Option<u64>,
}

/// The bytes a prover must put into its report: they bind the verifier's fresh nonce to the prover's one-time key and to
/// what is asked for with it.
pub fn report_data(nonce: &[u8], one_time_key: &[u8], request: &[u8]) -> [u8; 32] {
    let items = [nonce, one_time_key, request].map(|it| Value::Bytes(it.to_vec()));
    sha256(&tuple(domain::REPORT_DATA, items.to_vec())).0
}
