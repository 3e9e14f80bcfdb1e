//! A simulated environment, for tests only: evidence that no hardware made, and says so in its first bytes.
//!
//! **Proves:** nothing about any machine. It exists so that the walk around evidence (challenge, binding, policy, release)
//! can be tested without hardware.
//!
//! Threat model: never accepted outside of tests. A policy accepts it only with a [`SimulatedRoot`], which nothing but
//! this crate's tests and builds with the feature `simulated` (asked for by tests of other crates alone) can make; no
//! file, no message and no setting names one. The format is checked like the others: hostile bytes may come here too.
//!
//! Layout: label 32, chip 32, firmware 8 (little endian), debug 1, measurement 48, report data 64; the chip's Ed25519 key
//! 32, the root's signature over label, chip and that key 64, the chip's signature over all before it 64.

use tidm_crypto::sign::{KeyKind, VerifyingKey};

use crate::Authentic;
use crate::appraisal::{Facts, Reason, Tcb};
use crate::policy::Policy;
use crate::reader::{Reader, at};

/// What every simulated artefact begins with.
pub const LABEL: &[u8; 32] = b"simulated TEE: for tests only!!\n";
/// Length of a report.
pub const REPORT: usize = BODY + 32 + 64 + 64;
/// Label, chip, firmware, debug, measurement, report data.
const BODY: usize = 32 + 32 + 8 + 1 + 48 + 64;

/// Whose simulated chips a test believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedRoot(VerifyingKey);

pub(crate) fn authenticate(report: &[u8], policy: &Policy) -> Result<Authentic, Reason> {
    let Some(SimulatedRoot(root)) = &policy.simulated else {
        return Err(Reason::UnknownRoot);
    };
    let report: &[u8; REPORT] = report.try_into().map_err(|_| Reason::Malformed)?;
    let mut reader = Reader(report);
    let body: [u8; BODY] = reader.array()?;
    let (key, endorsement): ([u8; 32], [u8; 64]) = (reader.array()?, reader.array()?);
    if at::<32>(&body, 0)? != *LABEL {
        return Err(Reason::Malformed);
    }
    let chip = at::<32>(&body, 32)?;
    root.verify(&endorsed(&chip, &key), &endorsement).map_err(|_| Reason::BrokenChain)?;
    let key =
        VerifyingKey::from_bytes(KeyKind::Ed25519, &key).map_err(|_| Reason::BadCertificate)?;
    let signed = report.get(..REPORT - 64).ok_or(Reason::Malformed)?;
    key.verify(signed, &reader.array::<64>()?).map_err(|_| Reason::BadSignature)?;
    let facts = Facts {
        tcb: Tcb::Simulated { firmware: u64::from_le_bytes(at(&body, 64)?) },
        measurement: at::<48>(&body, 73)?.to_vec(),
        chip: chip.to_vec(),
        report_data: at::<64>(&body, 121)?.to_vec(),
    };
    let objections = if at::<1>(&body, 72)? == [0] { Vec::new() } else { vec![Reason::Debug] };
    Ok(Authentic { facts, objections })
}

/// What such a report carries.
#[cfg(any(test, feature = "simulated"))]
pub(crate) fn report_data(report: &[u8]) -> Result<[u8; 64], Reason> {
    let report: &[u8; REPORT] = report.try_into().map_err(|_| Reason::Malformed)?;
    if at::<32>(report, 0)? == *LABEL { at(report, 121) } else { Err(Reason::Malformed) }
}

/// The name under which tests hand out such reports, in the place of a kernel.
#[cfg(any(test, feature = "simulated"))]
pub const PROVIDER: &str = "simulated";

fn endorsed(chip: &[u8; 32], key: &[u8; 32]) -> Vec<u8> {
    [&LABEL[..], chip, key].concat()
}

#[cfg(any(test, feature = "simulated"))]
pub use machine::Machine;

/// The side that makes evidence.
#[cfg(any(test, feature = "simulated"))]
mod machine {
    use tidm_crypto::sign::SigningKey;

    use super::{KeyKind, LABEL, SimulatedRoot, endorsed};

    /// A simulated machine. Its keys follow from the numbers given, so that tests repeat.
    #[derive(Clone, Debug)]
    pub struct Machine {
        /// The number of its root.
        pub root: u8,
        /// Which one.
        pub chip: [u8; 32],
        /// Of its firmware.
        pub firmware: u64,
        /// Whether its host may look inside.
        pub debug: bool,
        /// What runs on it.
        pub measurement: [u8; 48],
    }

    #[expect(clippy::unwrap_used, reason = "32 bytes are an Ed25519 key; built for tests only")]
    fn key(seed: [u8; 32]) -> SigningKey {
        SigningKey::from_secret_bytes(KeyKind::Ed25519, &seed).unwrap()
    }

    impl SimulatedRoot {
        /// The root of this number.
        pub fn new(number: u8) -> Self {
            Self(key([number; 32]).verifying_key())
        }
    }

    impl Machine {
        /// A machine below the root of this number.
        pub const fn new(root: u8, chip: [u8; 32]) -> Self {
            Self { root, chip, firmware: 7, debug: false, measurement: [0x5A; 48] }
        }

        /// Evidence that carries these bytes.
        #[expect(clippy::unwrap_used, reason = "an Ed25519 key has 32 bytes; built for tests only")]
        pub fn evidence(&self, data: [u8; 32]) -> Vec<u8> {
            let own = key(self.chip.map(|byte| byte ^ 0xA5));
            let public: [u8; 32] = own.verifying_key().to_bytes().try_into().unwrap();
            let endorsement = key([self.root; 32]).sign(&endorsed(&self.chip, &public));
            let firmware = self.firmware.to_le_bytes();
            let signed = [
                &LABEL[..],
                &self.chip,
                &firmware,
                &[u8::from(self.debug)],
                &self.measurement,
                &data,
                &[0; 32],
                &public,
                &endorsement,
            ]
            .concat();
            let signature = own.sign(&signed);
            [signed, signature].concat()
        }
    }
}
