//! The names of the protocols' steps: every message travels under one, and traffic is counted under it.
//!
//! A step's code is part of the wire format. Codes are never used again for something else.

use std::fmt;

/// Makes the enum, the list and the names from one table.
macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident = $code:literal, $name:literal;)*) => {
        /// One kind of message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Step {
            $($(#[$doc])* $step = $code,)*
        }

        /// Every step, in the order of its code.
        pub const STEPS: &[Step] = &[$(Step::$step),*];

        impl Step {
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$step => $name,)*
                }
            }
        }
    };
}

steps! {
    /// What both think they agreed on, and a nonce of each.
    Hello = 1, "hello";
    BaseOtPoints = 2, "base-ot-points";
    BaseOtReplies = 3, "base-ot-replies";
    Extension = 4, "extension";
    ExtensionCheck = 5, "extension-check";
    NoiseValues = 6, "noise-values";
    Trees = 7, "trees";
    CheckClaim = 8, "check-claim";
    CheckAnswer = 9, "check-answer";
    CheckOpening = 10, "check-opening";
    CoinCommitment = 11, "coin-commitment";
    CoinShare = 12, "coin-share";
    CoinOpening = 13, "coin-opening";
    /// The receiver's items, masked, one message per bin.
    Okvs = 14, "okvs";
    /// The sender's items under the pseudo-random function.
    Masks = 15, "masks";
    /// Which of the sender's masks the receiver found.
    Matches = 16, "matches";
    MatchProofs = 17, "match-proofs";
    Blinded = 18, "blinded";
    Evaluated = 19, "evaluated";
    /// What both saw, in the malicious variant.
    Confirmation = 20, "confirmation";
    /// What makes a pseudo-random function give chosen values, one message per bin.
    Hint = 30, "hint";
    /// The sender's labels, encrypted, in the order of its masks.
    Labels = 31, "labels";
    /// What each member of a session of many puts into the keys that members share.
    MemberNonce = 32, "member-nonce";
    MemberNonces = 33, "member-nonces";
    /// A client's items for a server's table, blinded.
    TableBlinded = 40, "table-blinded";
    TableEvaluated = 41, "table-evaluated";
    /// Trees of transfers of bits.
    BitTrees = 50, "bit-trees";
    /// Masked inputs of gates, one level of all circuits.
    Gates = 51, "gates";
    /// Masked bits that choose, and what they choose among, masked.
    Choices = 52, "choices";
    Products = 53, "products";
    /// Shares of what is opened.
    Opening = 54, "opening";
    /// What a party brings to a connection of a job in parts.
    Greeting = 200, "greeting";
    /// Which parts it has kept the results of.
    Finished = 201, "finished";
    /// Its parts are cut.
    Ready = 202, "ready";
    /// Which part runs now.
    Part = 203, "part";
    /// The result of a part is safe.
    Kept = 204, "kept";
    /// Which runs its shares of the parts come from.
    Runs = 210, "runs";
}

impl Step {
    pub fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Self> {
        STEPS.iter().copied().find(|step| step.code() == code)
    }

    /// Whether the message goes into every session's transcript: all that come before a challenge do.
    pub(crate) fn binds(self) -> bool {
        self.code() <= Self::CheckOpening.code()
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
        for (index, step) in STEPS.iter().copied().enumerate() {
            assert_eq!(Step::from_code(step.code()), Some(step));
            let before = &STEPS[..index];
            assert!(before.iter().all(|other| other.code() < step.code()));
            assert!(before.iter().all(|other| other.name() != step.name()));
        }
        assert_eq!(Step::from_code(0), None);
        assert_eq!(Step::from_code(255), None);
    }
}
