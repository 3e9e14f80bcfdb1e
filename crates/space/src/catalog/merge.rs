//! What a reading of a catalogue changes in what is known: which entries are new, changed, the same or gone.
//!
//! Threat model: an intermediary may say anything of others. What a provider says itself always wins; an
//! intermediary neither replaces nor removes what its provider said.

use tidm_crypto::hash::Digest;

/// What is known of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// `None`: kept by a version that did not compute it; any reading is a change of it.
    pub digest: Option<Digest>,
    /// From the provider itself.
    pub direct: bool,
}

/// Whose word a reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The provider's.
    Own,
    /// An intermediary's, of a provider whose own catalogue we read (`fresh`) or cannot read.
    Passed { fresh: bool },
}

/// What happens to one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Kept and announced.
    Add,
    /// Replaced and announced.
    Replace,
    /// Replaced in silence: the offer is the same, what is known of it is better.
    Adopt,
    /// Nothing to write.
    Keep,
    /// Not believed.
    Ignore,
}

/// What a reading means for the entry it names.
pub fn verdict(known: Option<&Known>, said: &Digest, word: Word) -> Verdict {
    match (known, word) {
        (_, Word::Passed { fresh: true }) => Verdict::Ignore,
        (None, Word::Own | Word::Passed { fresh: false }) => Verdict::Add,
        (Some(Known { direct: true, .. }), Word::Passed { fresh: false }) => Verdict::Ignore,
        (Some(Known { digest: Some(old), direct }), word) if old == said => {
            if word == Word::Own && !direct { Verdict::Adopt } else { Verdict::Keep }
        }
        (Some(_), Word::Own | Word::Passed { fresh: false }) => Verdict::Replace,
    }
}

/// Whether an entry that a whole reading of `via`'s catalogue did not show is gone. `own`: it is an offer of the
/// catalogue's owner; `from_there`: it is known from this catalogue.
pub fn is_gone(own: bool, from_there: bool) -> bool {
    // Who offers something knows whether it still does; others know only what they told us themselves.
    own || from_there
}

#[cfg(test)]
mod tests {
    use tidm_crypto::hash::sha256;

    use super::*;

    #[test]
    fn who_is_believed_and_what_is_announced() {
        let (old, new) = (sha256(b"old"), sha256(b"new"));
        let known = |direct| Some(Known { digest: Some(old), direct });
        let (own, heard) = (Word::Own, Word::Passed { fresh: false });
        let doubted = Word::Passed { fresh: true };
        for (known, said, word, wanted) in [
            (None, new, own, Verdict::Add),
            (None, new, heard, Verdict::Add),
            (None, new, doubted, Verdict::Ignore),
            (known(true), old, own, Verdict::Keep),
            (known(true), new, own, Verdict::Replace),
            (known(true), new, doubted, Verdict::Ignore),
            (known(true), old, heard, Verdict::Ignore),
            (known(true), new, heard, Verdict::Ignore),
            (known(false), old, own, Verdict::Adopt),
            (known(false), old, heard, Verdict::Keep),
            (known(false), new, heard, Verdict::Replace),
            (Some(Known { digest: None, direct: false }), new, own, Verdict::Replace),
            (Some(Known { digest: None, direct: true }), new, doubted, Verdict::Ignore),
        ] {
            assert_eq!(verdict(known.as_ref(), &said, word), wanted, "{known:?} {word:?}");
        }
        assert!(is_gone(true, false) && is_gone(false, true) && !is_gone(false, false));
    }
}
