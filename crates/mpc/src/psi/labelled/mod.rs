//! Intersection with labels: for each common item the receiver also gets the sender's label, a record of agreed length.
//!
//! ```text
//!   receiver X                                                     sender Y, labels
//!   F(X)        ◄──── as in [`super`], up to F ────►               F(Y) = (mask, key) per item
//!               ◄──────────── masks, sorted ───────────────
//!               ◄──────────── labels: label ⊕ stream(key), in the order of the masks
//! ```
//!
//! A mask that the receiver finds tells which ciphertext is its own, and the other half of F is the key to it. In the curious
//! variant the halves come from two permutations, in the malicious one from one hash, whose second half serves as proof elsewhere.
//!
//! Threats. As for [`super`], with [`Learns::Receiver`]: the sender learns nothing. The key of a label that the receiver is not due
//! looks random to it, so the label does not show; fillers are random, so the number of real items does not show either. Labels
//! are not authenticated by themselves: a malicious sender may send any label, as it may have any, or two masks of one item,
//! of which the first counts. What travels is compared at
//! the end of the malicious variant.
//!
//! Never does it say how long a label really is: all have the agreed length, and the caller pads.

use zeroize::{Zeroize as _, Zeroizing};

use super::masks::{Code, join, sorted};
use super::{Evaluated, Learns, Output, Receiver, Security, Sender, Set};
use crate::fault::Fault;
use crate::field::Gf;
use crate::hash::{Permutation, domain};
use crate::limits::{LABEL_MESSAGE_BYTES, MAX_LABEL_BYTES};
use crate::random::Stream;
use crate::session::{Session, Setting};
use crate::step::Step;
use crate::vole;

/// What both parties agree on before a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub security: Security,
    /// Each party's set looks as if it had exactly that many items.
    pub receiver_items: u64,
    pub sender_items: u64,
    /// Bytes of every label.
    pub label_bytes: u32,
    /// As in [`super::Terms`].
    pub parts: u32,
}

/// A common item by its place in the receiver's list, and what the sender says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub place: u32,
    pub label: Vec<u8>,
}

impl Terms {
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"psi-labelled".to_vec();
        bytes.extend_from_slice(&self.function().bytes());
        bytes.extend_from_slice(&self.label_bytes.to_le_bytes());
        bytes
    }

    pub(crate) fn function(&self) -> super::Terms {
        let Self { security, receiver_items, sender_items, parts, .. } = *self;
        super::Terms { security, learns: Learns::Receiver, receiver_items, sender_items, parts }
    }

    fn label_bytes(&self) -> Result<usize, Fault> {
        if self.label_bytes > MAX_LABEL_BYTES {
            let (count, most) = (self.label_bytes.into(), MAX_LABEL_BYTES.into());
            return Err(Fault::TooMany { what: "bytes of a label", count, most });
        }
        Ok(self.label_bytes as usize)
    }
}

/// The receiver's whole session: the common items in the order of their places.
pub fn receive(setting: Setting<'_>, terms: &Terms, set: &Set) -> Result<Vec<Found>, Fault> {
    set.fits(terms.receiver_items)?;
    terms.label_bytes()?;
    let mut session = Session::open(setting, &terms.bytes())?;
    let mut function = Receiver::set_up(&mut session, &terms.function())?;
    open(&mut session, &mut function, terms, set)
}

/// What follows the receiver's set-up; any number of times.
pub(crate) fn open(
    session: &mut Session<'_>,
    function: &mut Receiver,
    terms: &Terms,
    set: &Set,
) -> Result<Vec<Found>, Fault> {
    let length = terms.label_bytes()?;
    let evaluated = function.prf(session, set.items())?;
    let origin = evaluated.binned.origin().to_vec();
    let (masks, keys) = halves(evaluated);
    let (count, bits) = (size(terms), terms.function().mask_bits());
    let code = Code::new(count, bits);
    let theirs = code.read(&session.receive(Step::Masks, code.bytes())?)?;
    let own = sorted(&masks, bits);
    let mut matches = Vec::new();
    join(&own, &theirs, |own_index, their_index| {
        matches.push((their_index, own[own_index].1 as usize));
    });
    matches.sort_unstable();
    let mut found = Vec::with_capacity(matches.len());
    let mut next = matches.into_iter().peekable();
    for (begin, end) in batches(count, length) {
        let message = match length {
            0 => Vec::new(),
            _ => session.receive(Step::Labels, (end - begin) * length)?,
        };
        while let Some((their_index, index)) = next.next_if(|(index, _)| *index < end) {
            let at = (their_index - begin) * length;
            let mut label = message.get(at..at + length).unwrap_or_default().to_vec();
            pad(&mut Stream::keyed(keys[index]), &mut label);
            found.push(Found { place: set.place(origin[index] as usize), label });
        }
        session.progress(Step::Labels, end, count)?;
    }
    if terms.security.checked() {
        session.confirm()?;
    }
    // A sender that says two masks of one item has chosen the first. A fault would tell it that the item is here.
    found.sort_by_key(|found| found.place);
    found.dedup_by_key(|found| found.place);
    Ok(found)
}

/// The sender's whole session. `labels` holds one label per place of the caller's list, one after the other.
pub fn send(setting: Setting<'_>, terms: &Terms, set: &Set, labels: &[u8]) -> Result<(), Fault> {
    check_labels(terms, set, labels)?;
    let mut session = Session::open(setting, &terms.bytes())?;
    let mut own = session.stream(b"labels");
    let mut function = Sender::set_up(&mut session, &terms.function())?;
    tell(&mut session, &mut function, terms, (set, labels), &mut own)
}

/// Where the label of an item stands.
fn label<'l>(set: &Set, labels: &'l [u8], length: usize, index: usize) -> Option<&'l [u8]> {
    let begin = (set.place(index) as usize).checked_mul(length)?;
    labels.get(begin..begin.checked_add(length)?)
}

fn check_labels(terms: &Terms, set: &Set, labels: &[u8]) -> Result<(), Fault> {
    set.fits(terms.sender_items)?;
    let length = terms.label_bytes()?;
    if (0..set.len()).any(|index| label(set, labels, length, index).is_none()) {
        return Err(Fault::ApiMisuse("there are fewer labels than items"));
    }
    Ok(())
}

/// What follows the sender's set-up; any number of times. `own` is random, for the fillers.
pub(crate) fn tell(
    session: &mut Session<'_>,
    function: &mut Sender,
    terms: &Terms,
    (set, labels): (&Set, &[u8]),
    own: &mut Stream,
) -> Result<(), Fault> {
    check_labels(terms, set, labels)?;
    let length = terms.label_bytes()?;
    let evaluated = function.prf(session, set.items())?;
    let origin = evaluated.binned.origin().to_vec();
    let keep = evaluated.output.keep;
    let (mut masks, keys) = halves(evaluated);
    let (count, bits) = (size(terms), terms.function().mask_bits());
    masks.extend(own.blocks(count - set.len()).into_iter().map(|mask| mask & keep));
    let sorted = sorted(&masks, bits);
    let list: Vec<u128> = sorted.iter().map(|(mask, _)| *mask).collect();
    session.send(Step::Masks, &Code::new(count, bits).write(&list))?;
    for (begin, end) in batches(count, length) {
        let mut message = vec![0; (end - begin) * length];
        let entries = sorted.get(begin..end).unwrap_or_default();
        for ((_, index), text) in entries.iter().zip(message.chunks_exact_mut(length.max(1))) {
            // Fillers are random: nobody has a key to them.
            let real = keys.get(*index as usize).zip(origin.get(*index as usize));
            match real.and_then(|(key, origin)| {
                Some((key, label(set, labels, length, *origin as usize)?))
            }) {
                Some((key, label)) => {
                    text.copy_from_slice(label);
                    pad(&mut Stream::keyed(*key), text);
                }
                None => pad(own, text),
            }
        }
        if length > 0 {
            session.send(Step::Labels, &message)?;
        }
        session.progress(Step::Labels, end, count)?;
    }
    if terms.security.checked() {
        session.confirm()?;
    }
    Ok(())
}

/// The two halves of F in the order of the bins: what is compared, and what opens a label.
fn halves(evaluated: Evaluated) -> (Vec<u128>, Zeroizing<Vec<u128>>) {
    let Evaluated { run, binned, values, output } = evaluated;
    match output {
        Output { security: vole::Security::SemiHonest | vole::Security::SemiHonestLow, .. } => {
            let mut keys: Vec<u128> = values.iter().map(|Gf(value)| *value).collect();
            let permutation = Permutation::bound(domain::LABELS, &run);
            permutation.tweaked(&mut keys, |index| binned.items().get(index).copied().unwrap_or(0));
            (output.masks(values, binned.items()).0, Zeroizing::new(keys))
        }
        Output { security: vole::Security::Malicious, .. } => {
            let (masks, keys) = output.masks(values, binned.items());
            (masks, Zeroizing::new(keys))
        }
    }
}

/// Adds the stream to the text.
fn pad(stream: &mut Stream, text: &mut [u8]) {
    let mut blocks = stream.blocks(text.len().div_ceil(16));
    for (text, block) in text.chunks_mut(16).zip(&blocks) {
        for (byte, key) in text.iter_mut().zip(block.to_le_bytes()) {
            *byte ^= key;
        }
    }
    blocks.zeroize();
}

fn size(terms: &Terms) -> usize {
    usize::try_from(terms.sender_items).unwrap_or(usize::MAX)
}

/// Which labels travel in one message: from and to.
fn batches(count: usize, length: usize) -> impl Iterator<Item = (usize, usize)> {
    let step = (LABEL_MESSAGE_BYTES / length.max(1)).max(1);
    (0..count).step_by(step).map(move |begin| (begin, (begin + step).min(count)))
}

#[cfg(test)]
mod tests;
