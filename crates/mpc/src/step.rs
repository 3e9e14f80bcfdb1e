//! The names of the protocols' steps: every message travels under one, and traffic is counted under it.
//!
//! A step's code is part of the wire format. Codes are never used again for something else.

use std::fmt;

/// One kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Step {
    /// What both think they agreed on, and a nonce of each.
    Hello = 1,
    BaseOtPoints = 2,
    BaseOtReplies = 3,
    Extension = 4,
    ExtensionCheck = 5,
    NoiseValues = 6,
    Trees = 7,
    CheckClaim = 8,
    CheckAnswer = 9,
    CheckOpening = 10,
    CoinCommitment = 11,
    CoinShare = 12,
    CoinOpening = 13,
    /// The receiver's items, masked, one message per bin.
    Okvs = 14,
    /// The sender's items under the pseudo-random function.
    Masks = 15,
    /// Which of the sender's masks the receiver found.
    Matches = 16,
    MatchProofs = 17,
    Blinded = 18,
    Evaluated = 19,
    /// What both saw, in the malicious variant.
    Confirmation = 20,
}

/// Every step, in the order of its code.
pub const STEPS: [Step; 20] = [
    Step::Hello,
    Step::BaseOtPoints,
    Step::BaseOtReplies,
    Step::Extension,
    Step::ExtensionCheck,
    Step::NoiseValues,
    Step::Trees,
    Step::CheckClaim,
    Step::CheckAnswer,
    Step::CheckOpening,
    Step::CoinCommitment,
    Step::CoinShare,
    Step::CoinOpening,
    Step::Okvs,
    Step::Masks,
    Step::Matches,
    Step::MatchProofs,
    Step::Blinded,
    Step::Evaluated,
    Step::Confirmation,
];

impl Step {
    pub fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Self> {
        STEPS.into_iter().find(|step| step.code() == code)
    }

    /// Whether the message goes into every session's transcript: all that come before a challenge do.
    pub(crate) fn binds(self) -> bool {
        self.code() <= Self::CheckOpening.code()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::BaseOtPoints => "base-ot-points",
            Self::BaseOtReplies => "base-ot-replies",
            Self::Extension => "extension",
            Self::ExtensionCheck => "extension-check",
            Self::NoiseValues => "noise-values",
            Self::Trees => "trees",
            Self::CheckClaim => "check-claim",
            Self::CheckAnswer => "check-answer",
            Self::CheckOpening => "check-opening",
            Self::CoinCommitment => "coin-commitment",
            Self::CoinShare => "coin-share",
            Self::CoinOpening => "coin-opening",
            Self::Okvs => "okvs",
            Self::Masks => "masks",
            Self::Matches => "matches",
            Self::MatchProofs => "match-proofs",
            Self::Blinded => "blinded",
            Self::Evaluated => "evaluated",
            Self::Confirmation => "confirmation",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_distinct_and_codes_come_back() {
        for (index, step) in STEPS.into_iter().enumerate() {
            assert_eq!(usize::from(step.code()), index + 1);
            assert_eq!(Step::from_code(step.code()), Some(step));
            assert!(STEPS[..index].iter().all(|other| other.name() != step.name()));
        }
        assert_eq!(Step::from_code(0), None);
        assert_eq!(Step::from_code(21), None);
    }
}
