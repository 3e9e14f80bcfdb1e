//! The parts of a job, whatever it works out: rows as ever, shares, or labels; and what of the list they take besides keys.

use tidm_mpc::circuit::Opened;
use tidm_mpc::fault::Fault;
use tidm_mpc::partition::labels::{self, Labels};
use tidm_mpc::partition::part::Distinct;
use tidm_mpc::partition::plan::Plan;
use tidm_mpc::partition::run::{Done, Loaded, Parts, receive, send};
use tidm_mpc::partition::shares::{self, Share, Shares};
use tidm_mpc::psi::labelled::Found;
use tidm_mpc::session::{Party, Session};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::journal::{Entry, Journal};
use super::kept::Kept;
use super::limits::LABEL_ROW_BYTES;
use super::order::{Order, Role};
use super::what::What;
use super::work::Work;
use crate::keys;

/// What this party brings besides its keys; empty where the job takes nothing.
#[derive(Default)]
pub struct Extra {
    values: Zeroizing<Vec<i64>>,
    labels: Zeroizing<Vec<u8>>,
}

impl Extra {
    /// Reads it from the list, and refuses what cannot be computed with: nothing of the list has left by then.
    pub(super) fn read(order: &Order) -> Result<Self, Failure> {
        let list = (order.source.place(), order.format());
        let mut extra = Self::default();
        match &order.what {
            What::Sum { of, column, decimals, .. } if *of == order.role => {
                let bound = order.what.shares(order).map_or(0, |terms| match terms.closing.opens {
                    tidm_mpc::circuit::Opens::Sum { bound } => bound,
                    tidm_mpc::circuit::Opens::Size | tidm_mpc::circuit::Opens::AtLeast(_) => 0,
                });
                let most = order.memory / 16;
                extra.values = keys::values(list, column, *decimals, bound, most)?.into();
            }
            What::Labels { columns, bytes } if order.role == Role::Sender => {
                let most = order.memory / 2 / (u64::from(*bytes) + LABEL_ROW_BYTES);
                let bytes = usize::try_from(*bytes).unwrap_or(usize::MAX);
                extra.labels = keys::labels(list, columns, bytes, most)?.into();
            }
            What::Rows
            | What::Size { .. }
            | What::Sum { .. }
            | What::AtLeast { .. }
            | What::Labels { .. } => {}
        }
        Ok(extra)
    }
}

/// All parts over one connection, and the answer where there is one.
pub(super) fn run(
    session: &mut Session<'_>,
    order: &Order,
    plan: &Plan,
    work: &mut Work<'_>,
    extra: &Extra,
) -> Result<(), Fault> {
    if let What::Labels { bytes, .. } = &order.what {
        return labels::run(session, plan, *bytes, &mut More { work, extra, bytes: *bytes });
    }
    if let Some(terms) = order.what.shares(order) {
        let mut more = More { work, extra, bytes: 0 };
        return shares::run(session, plan, &terms, &mut more).map(drop);
    }
    match session.party() {
        Party::Receiver => receive(session, plan, work),
        Party::Sender => send(session, plan, work),
    }
}

/// Parts with what goes with them.
struct More<'m, 'w> {
    work: &'m mut Work<'w>,
    extra: &'m Extra,
    /// Of a label.
    bytes: u32,
}

impl More<'_, '_> {
    /// Written down; durable with what is kept of the part next.
    fn note(&mut self, kept: Kept) -> Result<(), Fault> {
        self.work.journal().note(&Entry::More(kept)).map_err(spill)
    }
}

/// No part has this number: there are 4,096 at most.
const CLOSING: u32 = u32::MAX;

/// The first runs that are opened stand, and they are opened at most as often as a part runs: a peer that was changed may shift its
/// share each time, and hears an answer for it.
fn begin_closing(journal: &mut Journal, runs: &[u8; 32]) -> Result<(), Fault> {
    match journal.state().map_err(spill)?.more.closing {
        None => journal.keep(&Entry::More(Kept::Closing(*runs))).map_err(spill)?,
        Some(first) if first == *runs => {}
        Some(_) => {
            let what =
                "it ran parts again after their totals were opened: begin a new job on both sides";
            return Err(Fault::PeerIncompatible { what });
        }
    }
    journal.begin(CLOSING)
}

fn spill(why: Failure) -> Fault {
    Fault::Spill { reason: why.to_string() }
}

impl Parts for More<'_, '_> {
    fn claim(&mut self) -> Result<Option<(Loaded, Option<u32>)>, Fault> {
        self.work.claim()
    }

    fn named(&mut self, part: u32, next: Option<u32>) -> Result<Loaded, Fault> {
        self.work.named(part, next)
    }

    fn keep(&mut self, done: &Done) -> Result<(), Fault> {
        self.work.keep(done)
    }

    fn finished(&mut self, part: u32) -> Result<(), Fault> {
        self.work.finished(part)
    }
}

impl Shares for More<'_, '_> {
    fn values(&self) -> &[i64] {
        &self.extra.values
    }

    fn added_up(&mut self, distinct: &Distinct, part: u32) -> Result<Vec<i64>, Fault> {
        self.work.added_up(distinct, part, &self.extra.values)
    }

    fn keep_share(&mut self, share: &Share) -> Result<(), Fault> {
        self.note(Kept::Share(*share))
    }

    fn shares(&mut self) -> Result<Vec<Share>, Fault> {
        let state = self.work.journal().state().map_err(spill)?;
        let done = |share: &&Share| state.parts.contains_key(&share.part);
        Ok(state.more.shares.values().filter(done).copied().collect())
    }

    fn begin_closing(&mut self, runs: &[u8; 32]) -> Result<(), Fault> {
        begin_closing(self.work.journal(), runs)
    }

    fn keep_opened(&mut self, opened: &Opened) -> Result<(), Fault> {
        self.work.journal().keep(&Entry::More(Kept::Opened(*opened))).map_err(spill)
    }
}

impl Labels for More<'_, '_> {
    fn labels(&self) -> &[u8] {
        &self.extra.labels
    }

    fn keep_labels(&mut self, part: u32, found: &[Found]) -> Result<(), Fault> {
        self.note(Kept::Labels { part, bytes: self.bytes, found: found.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::MAX_RUNS;
    use super::*;

    #[test]
    fn only_the_runs_opened_first_are_opened_again_and_not_often() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Journal::open(dir.path(), [1; 32], None).unwrap();
        for _ in 0..MAX_RUNS {
            // Every time another process.
            begin_closing(&mut open(), &[7; 32]).unwrap();
            let other = begin_closing(&mut open(), &[8; 32]).unwrap_err();
            assert_eq!(other.code(), "mpc.peer-incompatible");
        }
        let often = begin_closing(&mut open(), &[7; 32]).unwrap_err();
        assert_eq!(often.code(), "mpc.too-many");
        let mut journal = open();
        for size in [Some(5), Some(6)] {
            let opened = Opened { size, ..Opened::default() };
            journal.note(&Entry::More(Kept::Opened(opened))).unwrap();
        }
        assert_eq!(journal.state().unwrap().more.opened.unwrap().size, Some(5));
    }
}
