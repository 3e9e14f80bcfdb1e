//! The verdict on evidence: one finding per claim, each refusal with a stable code, and what was proven.
//!
//! Must never show facts that no signature covers, and never be accepted with a claim left open.

use std::fmt;

/// What is claimed about the prover. All must be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// The signing key belongs to a genuine chip.
    Endorsed,
    /// That key signed this evidence.
    Signed,
    /// The evidence carries the expected bytes: fresh, and for this key.
    Bound,
    /// The software is one of those accepted.
    Measured,
    /// Nobody can look inside by design.
    NoDebug,
    /// The firmware is new enough.
    Current,
    /// The chip is one of those accepted.
    Chip,
}

impl Claim {
    /// In the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Endorsed,
        Self::Signed,
        Self::Bound,
        Self::Measured,
        Self::NoDebug,
        Self::Current,
        Self::Chip,
    ];
}

impl Claim {
    /// In Chinese and in English.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Endorsed => ("签名密钥属于真实芯片", "the signing key is a genuine chip's"),
            Self::Signed => ("该密钥签署了此证据", "that key signed this evidence"),
            Self::Bound => {
                ("证据绑定挑战值与一次性密钥", "bound to the challenge and the one-time key")
            }
            Self::Measured => ("软件度量值在许可之列", "the measured software is accepted"),
            Self::NoDebug => ("不可调试、不可窥视", "nobody can look inside by design"),
            Self::Current => ("固件足够新", "the firmware is new enough"),
            Self::Chip => ("芯片在许可之列", "the chip is accepted"),
        }
    }
}

/// Declares reasons with their codes and claims in one table, so that none lacks either.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal of $claim:ident,)*) => {
        /// Why a claim is refused. Codes are stable: programs and logs may rely on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The claim it breaks.
            pub const fn claim(self) -> Claim {
                match self { $(Self::$name => Claim::$claim,)* }
            }
        }
    };
}

reasons! {
    /// The evidence has not the form of its format.
    Malformed = "malformed" of Signed,
    /// It is longer than any real one.
    TooLong = "too-long" of Signed,
    /// A version, algorithm or product that is not supported.
    Unsupported = "unsupported" of Signed,
    /// The signature over the evidence does not hold.
    BadSignature = "bad-signature" of Signed,
    /// The values sent beside a TPM's quote are not those it is about.
    OtherPcrs = "other-pcrs" of Signed,
    /// A certificate cannot be read.
    BadCertificate = "bad-certificate" of Endorsed,
    /// A certificate is not signed by the one above it.
    BrokenChain = "broken-chain" of Endorsed,
    /// The topmost certificate is none of the pinned ones.
    UnknownRoot = "unknown-root" of Endorsed,
    /// A certificate is not valid yet or no longer.
    CertificateOutOfDate = "certificate-out-of-date" of Endorsed,
    /// The key that signed is not of the kind that names a chip.
    OtherKeyKind = "other-key-kind" of Endorsed,
    /// Certificate and report speak of different chips or processor families.
    OtherChip = "other-chip" of Endorsed,
    /// Certificate and report speak of different firmware.
    OtherFirmware = "other-firmware" of Endorsed,
    /// The collateral cannot be read.
    BadCollateral = "bad-collateral" of Endorsed,
    /// Collateral or a revocation list is not valid yet or no longer.
    CollateralOutOfDate = "collateral-out-of-date" of Endorsed,
    /// The vendor revoked the platform, its key or somebody above.
    Revoked = "revoked" of Endorsed,
    /// The collateral is about other platforms, or another quoting enclave or module answered.
    OtherPlatform = "other-platform" of Endorsed,
    /// The platform reaches none of the levels that the collateral lists.
    NoTcbLevel = "no-tcb-level" of Endorsed,
    /// A signature within quote or collateral does not hold.
    NotProven = "not-proven" of Endorsed,
    /// No root vouches for this key and the policy does not name it.
    UnknownKey = "unknown-key" of Endorsed,
    /// The evidence carries other bytes than expected.
    OtherReportData = "other-report-data" of Bound,
    /// The measurement is none of those accepted.
    UnknownMeasurement = "unknown-measurement" of Measured,
    /// The quote is about other PCRs than demanded.
    OtherPcrSelection = "other-pcr-selection" of Measured,
    /// The report was asked for by software below the highest privilege level of the guest.
    LowPrivilege = "low-privilege" of Measured,
    /// The guest's own policy lacks bits that are demanded.
    WeakGuestPolicy = "weak-guest-policy" of Measured,
    /// The host may debug the environment.
    Debug = "debug" of NoDebug,
    /// Another environment may take over the state: it could be one that is open.
    Migratable = "migratable" of NoDebug,
    /// A service environment is bound that may see or move the state.
    Served = "served" of NoDebug,
    /// The policy names no oldest firmware for this vendor.
    NoTcbFloor = "no-tcb-floor" of Current,
    /// The firmware is older than the policy wants, or the vendor's verdict on it is not accepted.
    TcbBelowFloor = "tcb-below-floor" of Current,
    /// The policy does not name this chip.
    UnknownChip = "unknown-chip" of Chip,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Endorsed => "endorsed",
            Self::Signed => "signed",
            Self::Bound => "bound",
            Self::Measured => "measured",
            Self::NoDebug => "no-debug",
            Self::Current => "current",
            Self::Chip => "chip",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What became of one claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Met,
    /// It does not.
    Refused(Reason),
    /// An earlier refusal left nothing to judge.
    NotAppraised,
}

/// A claim and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The claim.
    pub claim: Claim,
    /// What became of it.
    pub outcome: Outcome,
}

/// Enforcement level that the evidence supports (E0 contract … E4 independent trusted environment).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No trusted execution environment was proven; what else holds is not for this crate to say.
    AtMostE2,
    /// A trusted environment, at the consumer as far as we know.
    E3,
    /// A trusted environment on a chip that the policy knows to stand at an independent operator.
    E4,
}

impl Level {
    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtMostE2 => "≤ E2",
            Self::E3 => "E3",
            Self::E4 => "E4",
        }
    }
}

/// Components of AMD's firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnpTcb {
    /// Boot loader.
    pub boot_loader: u8,
    /// Operating system of the security processor.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub microcode: u8,
}

impl SnpTcb {
    /// Whether no component is older.
    pub const fn is_at_least(&self, floor: &Self) -> bool {
        self.boot_loader >= floor.boot_loader
            && self.tee >= floor.tee
            && self.snp >= floor.snp
            && self.microcode >= floor.microcode
    }
}

/// Intel's verdict on a platform, as its collateral gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IntelStatus {
    UpToDate,
    SwHardeningNeeded,
    ConfigurationNeeded,
    ConfigurationAndSwHardeningNeeded,
    OutOfDate,
    OutOfDateConfigurationNeeded,
    TdRelaunchAdvised,
    TdRelaunchAdvisedConfigurationNeeded,
    Revoked,
}

impl IntelStatus {
    /// Those that a policy may accept; a revoked platform is refused always.
    pub const ALL: [Self; 8] = [
        Self::UpToDate,
        Self::SwHardeningNeeded,
        Self::ConfigurationNeeded,
        Self::ConfigurationAndSwHardeningNeeded,
        Self::OutOfDate,
        Self::OutOfDateConfigurationNeeded,
        Self::TdRelaunchAdvised,
        Self::TdRelaunchAdvisedConfigurationNeeded,
    ];

    /// As Intel writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SwHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSwHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            Self::TdRelaunchAdvised => "TDRelaunchAdvised",
            Self::TdRelaunchAdvisedConfigurationNeeded => "TDRelaunchAdvisedConfigurationNeeded",
            Self::Revoked => "Revoked",
        }
    }
}

/// State of the firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tcb {
    /// The version AMD's key in the report is derived from.
    Snp(SnpTcb),
    /// Intel's verdict, the date of the level it is about, and the advisories open on the platform.
    Intel { status: IntelStatus, since: u64, advisories: Vec<String> },
    /// Major and minor version of Hygon's firmware.
    Csv { firmware: (u8, u8) },
    /// A TPM's firmware. A TPM is no trusted execution environment.
    Tpm { firmware: u64 },
    /// Of a simulated environment, in tests.
    Simulated { firmware: u64 },
}

impl Tcb {
    pub(crate) const fn is_of_a_tee(&self) -> bool {
        !matches!(self, Self::Tpm { .. })
    }
}

/// What is proven by signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// State of the firmware.
    pub tcb: Tcb,
    /// What was measured, in the form the format's module names.
    pub measurement: Vec<u8>,
    /// Which chip, in the form the format's module names.
    pub chip: Vec<u8>,
    /// The bytes the prover bound.
    pub report_data: Vec<u8>,
}

/// The verdict.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appraisal {
    /// One per claim, in the order of [`Claim::ALL`].
    pub findings: [Finding; 7],
    /// What is proven; missing when the signatures prove nothing.
    pub facts: Option<Facts>,
    /// What the evidence supports.
    pub level: Level,
}

impl Appraisal {
    /// Whether every claim is met.
    pub fn is_accepted(&self) -> bool {
        self.findings.iter().all(|it| it.outcome == Outcome::Met)
    }

    /// Every refusal.
    pub fn refusals(&self) -> impl Iterator<Item = Reason> + '_ {
        self.findings.iter().filter_map(|it| match it.outcome {
            Outcome::Refused(reason) => Some(reason),
            Outcome::Met | Outcome::NotAppraised => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Claim, Reason};

    #[test]
    fn codes_are_unique_words() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|it| it.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        let plain = |code: &str| code.bytes().all(|it| it.is_ascii_lowercase() || it == b'-');
        assert!(codes.iter().all(|code| plain(code)));
    }

    #[test]
    fn every_claim_can_be_refused() {
        let claims: BTreeSet<_> = Reason::ALL.iter().map(|it| it.claim()).collect();
        assert_eq!(claims, BTreeSet::from(Claim::ALL));
    }
}
