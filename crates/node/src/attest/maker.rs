//! Who makes evidence of this machine: Linux' interface for reports of trusted environments, or nobody.
//!
//! Threat model: a maker vouches for nothing. What it hands out is checked to be of a known kind and to carry what was asked
//! for, so that a broken maker costs an error here and not a use at the gate. Must never make evidence that nobody asked
//! for, never keep any, and never fall back to something weaker.

use tidm_attest::handshake::Nonce;
use tidm_attest::limits::REPORT_DATA;
use tidm_attest::made::{self, NotMade};
use tidm_attest::text::Text;

use super::tsm::{Tsm, TsmFault};
use crate::config;

/// A maker of evidence.
#[derive(Clone, Debug)]
pub enum Maker {
    /// configfs-tsm: AMD SEV-SNP guests and Intel trust domains.
    Tsm(Tsm),
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum MakerFault {
    #[error(transparent)]
    Tsm(#[from] TsmFault),
    #[error(transparent)]
    NotMade(#[from] NotMade),
}

impl Maker {
    /// As the operator chose.
    pub fn of(it: &config::Attest) -> Option<Self> {
        match it {
            config::Attest::None => None,
            config::Attest::Tsm { root } => Some(Self::Tsm(Tsm::new(root.clone()))),
        }
    }

    /// Evidence that answers the challenge `nonce` and carries `data`. Blocks.
    ///
    /// # Errors
    /// [`MakerFault`].
    pub fn make(&self, data: &[u8; REPORT_DATA], nonce: Nonce) -> Result<Text, MakerFault> {
        match self {
            Self::Tsm(tsm) => Ok(made::tsm(&tsm.report(data)?, data, nonce)?),
        }
    }
}
