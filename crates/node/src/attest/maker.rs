//! Who makes evidence of this machine: Linux' interface for reports of trusted environments, a TPM, or nobody.
//!
//! Threat model: a maker vouches for nothing. What it hands out is checked to be of a known kind and to carry what was asked
//! for, so that a broken maker costs an error here and not a use at the gate. Must never make evidence that nobody asked
//! for, never keep any, and never fall back to something weaker.

use tidm_attest::handshake::Nonce;
use tidm_attest::limits::REPORT_DATA;
use tidm_attest::made::{self, NotMade};
use tidm_attest::text::Text;

use super::tpm::{self, Tpm};
use super::tsm::{Tsm, TsmFault};
use crate::config;

/// A maker of evidence.
#[derive(Clone, Debug)]
pub enum Maker {
    /// configfs-tsm: AMD SEV-SNP guests and Intel trust domains.
    Tsm(Tsm),
    /// A TPM 2.0, whose quotes prove no trusted environment.
    Tpm(Tpm),
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum MakerFault {
    #[error(transparent)]
    Tsm(#[from] TsmFault),
    #[error(transparent)]
    Tpm(#[from] tpm::Fault),
    #[error(transparent)]
    NotMade(#[from] NotMade),
}

impl Maker {
    /// As the operator chose.
    pub fn of(it: &config::Attest) -> Option<Self> {
        match it {
            config::Attest::None => None,
            config::Attest::Tsm { root } => Some(Self::Tsm(Tsm::new(root.clone()))),
            config::Attest::Tpm { place, key, pcrs } => {
                if !matches!(place, tpm::Place::Device(_)) {
                    tracing::warn!(%place, "a program that plays a TPM makes the evidence: it proves nothing about this machine");
                }
                Some(Self::Tpm(Tpm { place: place.clone(), key: *key, pcrs: *pcrs }))
            }
        }
    }

    /// Whether what it makes can prove a trusted environment at all.
    pub const fn is_of_a_tee(&self) -> bool {
        match self {
            Self::Tsm(_) => true,
            Self::Tpm(_) => false,
        }
    }

    /// Evidence that carries `bound`, and answers the challenge `nonce` where there is one. Blocks.
    ///
    /// # Errors
    /// [`MakerFault`].
    pub fn make(&self, bound: &[u8; 32], nonce: Option<Nonce>) -> Result<Text, MakerFault> {
        match self {
            Self::Tsm(tsm) => {
                // Processors' fields are longer: the digest, then zeros.
                let mut data = [0; REPORT_DATA];
                for (to, from) in data.iter_mut().zip(bound) {
                    *to = *from;
                }
                Ok(made::tsm(&tsm.report(&data)?, &data, nonce)?)
            }
            Self::Tpm(tpm) => Ok(tpm.evidence(bound, nonce)??),
        }
    }
}
