//! A commit as rows: what [`crate::store`] keeps of it, in the order of the node's statements.
//!
//! Never loses what a row can hold: whatever is missing after `decode` is missing on disk, too.

use std::rc::Rc;

use tidm_space::contract::Contract;
use tidm_space::dataflow::state::Flow;
use tidm_space::engine::commit::Commit;
use tidm_space::evidence;
use tidm_space::lease::state::{Lease, Name as LeaseName};
use tidm_space::negotiation::state::Negotiation;
use tidm_space::time::Time;
use tidm_space::transfer::state::Transfer;
use tidm_space::wire::record;

use crate::store::{CLAIM_MS, Queued, Row, Write};

pub fn negotiation_row(it: &Negotiation) -> Row {
    Row {
        peer: Some(it.peer.clone()),
        pid: it.peer_pid.clone(),
        of: it.state.agreement().map(|it| it.id.clone()),
        nonce: None,
        role: Some(it.role),
        state: it.state.name().token(),
        open: it.is_open(),
        record: record::negotiation::encode(it).into(),
    }
}

pub fn transfer_row(it: &Transfer) -> Row {
    Row {
        peer: Some(it.peer.clone()),
        pid: it.peer_pid.clone(),
        of: Some(it.contract.clone()),
        nonce: None,
        role: Some(it.role),
        state: it.state.name().token(),
        open: it.is_open(),
        record: record::transfer::encode(it).into(),
    }
}

pub fn contract_row(it: &Contract) -> Row {
    Row {
        peer: Some(it.peer.clone()),
        pid: None,
        of: None,
        nonce: None,
        role: Some(it.role),
        state: it.word(),
        open: !it.is_over(),
        record: record::contract::encode(it).into(),
    }
}

pub fn flow_row(it: &Flow) -> Row {
    Row {
        peer: None,
        pid: Some(it.terms.process.clone()),
        of: Some(it.partner.clone()),
        nonce: None,
        role: Some(it.role),
        state: it.state.name().token(),
        open: it.is_open(),
        record: record::flow::encode(it).into(),
    }
}

pub fn lease_row(it: &Lease) -> Row {
    Row {
        peer: Some(it.peer.clone()),
        pid: None,
        of: Some(it.request.contract.clone()),
        nonce: Some(it.request.nonce),
        role: Some(it.role),
        state: it.state.name().word(),
        open: it.state.name() == LeaseName::Granted,
        record: record::lease::encode(it).into(),
    }
}

/// The rows of a commit, in the order of the node's statements.
pub fn stage(commit: &Commit, now: Time) -> Vec<Write> {
    let mut out = Vec::new();
    out.extend(
        commit.negotiations.iter().map(|it| Write::Negotiation(it.id.clone(), negotiation_row(it))),
    );
    out.extend(commit.transfers.iter().map(|it| Write::Transfer(it.id.clone(), transfer_row(it))));
    out.extend(commit.flows.iter().map(|it| Write::Flow(it.id.clone(), flow_row(it))));
    out.extend(commit.contracts.iter().map(|it| Write::Contract(it.id.clone(), contract_row(it))));
    out.extend(commit.leases.iter().map(|it| Write::Lease(it.id.clone(), lease_row(it))));
    out.extend(commit.debits.iter().cloned().map(Write::Debit));
    for it in &commit.products {
        let record: Rc<str> = record::product::encode(it).into();
        let row = Row {
            peer: None,
            pid: None,
            of: None,
            nonce: None,
            role: None,
            state: "listed",
            open: true,
            record,
        };
        out.push(Write::Product(it.id.clone(), row));
    }
    out.extend(
        commit
            .facts
            .iter()
            .map(|it| Write::Fact(it.id.clone(), evidence::encode::encode(it).into())),
    );
    out.extend(commit.refusals.iter().cloned().map(Write::Refusal));
    out.extend(commit.withdrawn.iter().cloned().map(Write::Withdraw));
    out.extend(commit.unsends.iter().cloned().map(Write::Unsend));
    for it in &commit.sends {
        let claimed = if it.next <= now { now.ms() + CLAIM_MS } else { 0 };
        let record = record::send::encode(it).into();
        out.push(Write::Send(
            it.id.clone(),
            Queued { at: it.next, claimed, about: Some(it.about.clone()), record },
        ));
    }
    out.extend(commit.untimers.iter().cloned().map(Write::Untimer));
    for it in &commit.timers {
        let claimed = if it.at <= now { now.ms() + CLAIM_MS } else { 0 };
        let record = record::timer::encode(it).into();
        out.push(Write::Timer(it.key.clone(), Queued { at: it.at, claimed, about: None, record }));
    }
    out.extend(commit.seen.iter().cloned().map(Write::Seen));
    out
}
