//! What of a match is asked for: held against the contract on both nodes, told to the computing process, read from its report.
//!
//! Never decides by a peer's word: each side reads its own copy of the contract.

use serde_json::Value;

use tidm_compute::job::order::{Report, Role as Part};
use tidm_compute::job::what::{What, Within};
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::policy::matching::Matching as Terms;
use tidm_space::psi::asked::Opening;
use tidm_space::psi::{Asked, Protocol};
use tidm_space::wire::tidm::psi;

use super::terms;
use crate::store::matchings::Record;

/// Whether the contract lets it be worked out so.
///
/// # Errors
/// [`Fault::Refused`] `psi.*` with what stands against it.
pub(super) fn check(
    contract: &Contract,
    asked: &Asked,
    by: (Protocol, u32, u64),
) -> Result<(), Fault> {
    let (matching, _) = terms(contract)?;
    let all = contract.terms()?;
    asked.allowed(&matching, all.summary.limits.columns.as_ref(), by)
}

/// As a row keeps it.
pub(super) fn record(asked: &Asked) -> Option<Value> {
    psi::asked_doc(asked)
}

/// What a row says.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] for a row that this node did not write.
pub(super) fn of(record: &Record) -> Result<Asked, Fault> {
    record.asked.as_ref().map_or(Ok(Asked::Rows), psi::read_asked)
}

/// As the process is told. The provider is the sender.
pub(super) fn what(asked: Asked, terms: &Terms, consumers: u64) -> What {
    let Opening { least, most } = terms.opening(consumers);
    let within = Within { least, most };
    match asked {
        Asked::Rows => What::Rows,
        Asked::Size => What::Size { within },
        Asked::Sum { column, decimals } => What::Sum { of: Part::Sender, column, decimals, within },
        Asked::AtLeast(least) => What::AtLeast { least },
        Asked::Labels { columns, bytes } => What::Labels { columns, bytes },
    }
}

/// Takes an answer out of a report: into the row where it may be seen, or the terms that withhold it.
pub(super) fn keep(record: &mut Record, report: &mut Report, terms: &Terms) {
    let Some(answer) = report.answer.take() else { return };
    if !answer.within {
        let least = terms.least.map(|_| "tidm:minMatches");
        let share = terms.share.map(|_| "tidm:matchShare");
        let withheld: Vec<&str> = least.into_iter().chain(share).collect();
        record.withheld = Some(withheld.join(", "));
        return;
    }
    let said = answer.size.is_some() || answer.sum.is_some() || answer.at_least.is_some();
    let mut doc = serde_json::Map::new();
    doc.extend(answer.size.map(|it| ("size".to_owned(), it.into())));
    doc.extend(answer.sum.map(|it| ("sum".to_owned(), it.into())));
    doc.extend(answer.at_least.map(|it| ("atLeast".to_owned(), it.into())));
    record.answer = said.then(|| doc.into());
}
