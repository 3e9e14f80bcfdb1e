//! The registration of the other half of a connector: who it is, where it hears us, how both prove who they are.
//!
//! Never a default yes: a plane that is not registered is nobody, and one that registered names no data set
//! may have none moved. Secrets are hidden by `Debug`.

use std::fmt;

use crate::id::Id;

use super::message::Plane;

/// One registered plane. The same id again replaces it whole (DPS §Registration).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub id: Id,
    /// Which half it is.
    pub plane: Plane,
    /// Base of its signaling endpoint, without a trailing slash.
    pub endpoint: String,
    /// Data plane: the transfer profiles that it runs. DSP calls them formats.
    pub profiles: Vec<String>,
    pub labels: Vec<String>,
    /// Control plane: the data sets that it may have moved. `*` is all of them.
    pub datasets: Vec<String>,
    pub authorization: Authorization,
}

impl Registration {
    /// Whether this control plane may have that data set moved.
    pub fn may_move(&self, dataset: &Id) -> bool {
        self.plane == Plane::Control
            && self.datasets.iter().any(|it| it == "*" || it == dataset.as_str())
    }
}

/// How the two planes know each other.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// One secret in each direction, presented as a bearer token.
    Bearer {
        /// We present this.
        present: String,
        /// It presents this.
        accept: String,
    },
    /// Neither proves anything: the network keeps others out. Only for tests.
    Network,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer { .. } => "Bearer(…)",
            Self::Network => "Network",
        })
    }
}
