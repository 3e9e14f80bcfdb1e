//! The row of a timer or job.
//!
//! Never its own key: that is derived from what is due, and checked on reading.

use serde_json::Map;

use crate::engine::commit::{Due, Job, Timer};
use crate::fault::Fault;
use crate::id::Id;
use crate::wire::dsp::put;
use crate::wire::json::Fields;

use super::{BadRecord, fields, open, row};

pub fn encode(it: &Timer) -> String {
    let (what, id) = subject(&it.what);
    let mut doc = Map::new();
    put(&mut doc, "key", Some(it.key.as_str()));
    put(&mut doc, "what", Some(what));
    put(&mut doc, "id", Some(id.as_str()));
    put(&mut doc, "at", Some(it.at.to_string()));
    put(&mut doc, "attempts", Some(it.attempts));
    row(doc)
}

pub fn decode(text: &str) -> Result<Timer, BadRecord> {
    let value = open(text)?;
    let top = fields(&value)?;
    let what = read_subject(&top)?;
    let timer = Timer {
        key: what.key(),
        at: top.time("at")?,
        attempts: top.small_number("attempts")?,
        what,
    };
    if top.text("key")? == timer.key {
        Ok(timer)
    } else {
        Err(top.wrong("key", "does not fit what is due").into())
    }
}

fn subject(it: &Due) -> (&'static str, &Id) {
    match it {
        Due::NegotiationIdle(id) => ("negotiation-idle", id),
        Due::TransferIdle(id) => ("transfer-idle", id),
        Due::NegotiationRule(id) => ("negotiation-rule", id),
        Due::TransferRule(id) => ("transfer-rule", id),
        Due::LeaseEnd { lease } => ("lease-end", lease),
        Due::ContractEnd { contract } => ("contract-end", contract),
        Due::DeletionDue { contract } => ("deletion-due", contract),
        Due::Job(Job::Provide { transfer }) => ("provide", transfer),
        Due::Job(Job::Fetch { transfer }) => ("fetch", transfer),
        Due::Job(Job::Push { transfer }) => ("push", transfer),
        Due::Job(Job::DestroyKey { contract }) => ("destroy-key", contract),
        Due::Job(Job::Erase { contract }) => ("erase", contract),
        Due::Job(Job::Flow { flow }) => ("flow", flow),
    }
}

fn read_subject(of: &Fields<'_>) -> Result<Due, Fault> {
    let id = of.id("id")?;
    Ok(match of.text("what")? {
        "negotiation-idle" => Due::NegotiationIdle(id),
        "transfer-idle" => Due::TransferIdle(id),
        "negotiation-rule" => Due::NegotiationRule(id),
        "transfer-rule" => Due::TransferRule(id),
        "lease-end" => Due::LeaseEnd { lease: id },
        "contract-end" => Due::ContractEnd { contract: id },
        "deletion-due" => Due::DeletionDue { contract: id },
        "provide" => Due::Job(Job::Provide { transfer: id }),
        "fetch" => Due::Job(Job::Fetch { transfer: id }),
        "push" => Due::Job(Job::Push { transfer: id }),
        "destroy-key" => Due::Job(Job::DestroyKey { contract: id }),
        "erase" => Due::Job(Job::Erase { contract: id }),
        "flow" => Due::Job(Job::Flow { flow: id }),
        _ => return Err(of.wrong("what", "unknown")),
    })
}
