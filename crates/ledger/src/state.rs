//! The start rule (house D15): may a node go on with its log, given what its custodians saw of it?
//!
//! A directory restored from a backup is a fork waiting to happen: the node would give indexes a
//! second time that its custodians have cosigned once. Must never answer [`Start::Ready`] when any
//! custodian has seen more, or something else, than the node itself has.

use crate::tree::{Hash, HashSource, MissingHash, root_at};

/// What a custodian answered when asked for the last head of our log that it cosigned.
///
/// The caller has verified the custodian's cosignature on that head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// No answer in time.
    Silent,
    /// It never cosigned this log (404).
    Never,
    /// Size and root of the last head it cosigned.
    Head(u64, Hash),
}

/// A custodian and what it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custodian {
    /// Its name, for the operator.
    pub name: String,
    /// What it saw.
    pub seen: Seen,
}

/// Whether and how the node may start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Start {
    /// Nothing contradicts our log: lease, append and sign.
    Ready,
    /// Too few custodians answered to rule out a rollback: no lease and no checkpoint until one has.
    ReadOnly,
    /// A custodian saw more than we have: refuse to start, restore the missing entries first.
    Behind {
        /// The custodian that saw most.
        custodian: String,
        /// Entries it saw.
        witnessed: u64,
        /// Entries we have.
        own: u64,
    },
    /// A custodian saw another tree at a size we have: refuse to start, keep everything as evidence.
    Forked {
        /// That custodian.
        custodian: String,
        /// The size at which the trees differ.
        size: u64,
        /// Root it saw.
        witnessed: Hash,
        /// Our root at that size.
        own: Hash,
    },
    /// The tiles do not make our own checkpoint, or cannot be read: refuse to start, run the audit.
    Damaged {
        /// What is wrong with them.
        why: String,
    },
}

/// Decides from our own last durable checkpoint (`size`, `root`), the tiles behind `tree` and the
/// custodians' answers. Every witnessed head is recomputed from our own tree.
pub fn start(own: (u64, Hash), custodians: &[Custodian], tree: &impl HashSource) -> Start {
    let damaged = |error: MissingHash| Start::Damaged { why: error.to_string() };
    let (size, root) = own;
    match root_at(size, tree) {
        Ok(found) if found == root => {}
        Ok(found) => {
            let why = format!("the tiles make root {found} of {size} entries, not {root}");
            return Start::Damaged { why };
        }
        Err(error) => return damaged(error),
    }
    let mut behind: Option<(&Custodian, u64)> = None;
    for custodian in custodians {
        let Seen::Head(witnessed_size, witnessed) = custodian.seen else { continue };
        if witnessed_size > size {
            if behind.is_none_or(|(_, most)| witnessed_size > most) {
                behind = Some((custodian, witnessed_size));
            }
            continue;
        }
        match root_at(witnessed_size, tree) {
            Ok(ours) if ours == witnessed => {}
            Ok(own) => {
                // Worse than being behind, and not cured by restoring entries: said first.
                return Start::Forked {
                    custodian: custodian.name.clone(),
                    size: witnessed_size,
                    witnessed,
                    own,
                };
            }
            Err(error) => return damaged(error),
        }
    }
    if let Some((custodian, witnessed)) = behind {
        return Start::Behind { custodian: custodian.name.clone(), witnessed, own: size };
    }
    let confirmed = custodians.iter().any(|it| matches!(it.seen, Seen::Head(..)));
    let silent = custodians.iter().any(|it| it.seen == Seen::Silent);
    // "Never" alone, beside a silent custodian, comes as well from one that was added yesterday.
    if silent && !confirmed { Start::ReadOnly } else { Start::Ready }
}

#[cfg(test)]
mod tests;
