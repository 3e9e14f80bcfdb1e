//! Renewals of leases: the gate's unit of work, and the holder's.
//!
//! Never a second use: what goes on is the same one, and is charged for its time alone.

use crate::evidence::fact::{Links, What};
use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::lease::charge::Known;
use crate::lease::message::{Proven, Renewal};
use crate::lease::renewal::{Renewing, renew};
use crate::lease::seen::Seen;
use crate::lease::state::{Lease, State};
use crate::limits::{CLOCK_SKEW, LEASE_MAX};
use crate::negotiation::message::Role;
use crate::policy::usage::Use;
use crate::time::Time;

use super::commit::{Answer, Due, Reply, Work};
use super::gate;
use super::refusal;
use super::view::Needs;

pub(super) fn needs(it: &Renewal) -> Needs {
    Needs {
        lease: Some(it.lease.clone()),
        lease_contract: true,
        refusals: true,
        ..Needs::default()
    }
}

/// The gate: may this use go on?
pub(super) fn asked(
    work: &mut Work<'_>,
    (from, seen): (&Did, &Seen),
    it: &Renewal,
    proven: Option<&Proven>,
) -> Answer {
    let found = work.view.lease.clone();
    let found = found.filter(|lease| {
        lease.id == it.lease && lease.role == Role::Provider && lease.peer == *from
    });
    let (Some(lease), Some(contract)) = (found, work.view.contract.as_ref()) else {
        return Err(Fault::NotFound { what: "lease" });
    };
    let same = |held: &&Lease| {
        held.role == Role::Consumer
            && held.request.kind == Use::Psi
            && held.request.query.is_some()
            && held.request.query == lease.request.query
    };
    let session = work.view.open_leases.iter().find(same);
    let known =
        Known { product: work.view.product.as_ref(), group: work.view.group, ..Known::default() };
    let (spent, group) = (work.view.spent, gate::charged_to(&contract.group, contract));
    let lease_now = &lease;
    let group = &group;
    let renewing =
        Renewing { contract, lease: lease_now, session, spent, known, seen, proven, from, group };
    match renew(renewing, it, work.now) {
        Ok(None) => Ok(Reply::Lease(lease.grant())),
        Ok(Some((after, debit))) => {
            let grant = after.grant();
            work.commit.debits.extend(debit);
            gate::appraised(work, gate::links(&after), proven);
            moved(work, after);
            Ok(Reply::Lease(grant))
        }
        Err(fault) => {
            if let Fault::Denied { code, rule, .. } = &fault
                && let Some(more) =
                    refusal::counted(work, &lease.request.contract, &gate::told_as(code, proven))
            {
                let links = Links { lease: Some(lease.id.clone()), ..gate::links(&lease) };
                gate::appraised(work, links.clone(), proven);
                let what = What::LeaseRefused {
                    kind: lease.request.kind,
                    code: (*code).to_owned(),
                    rule: rule.clone(),
                    more,
                };
                work.fact(links, what);
            }
            Err(fault)
        }
    }
}

/// The holder: the gate let it go on until then.
pub(super) fn heard(work: &mut Work<'_>, id: &Id, number: u32, until: Time) -> Answer {
    let found = work.view.lease.clone();
    let found = found.filter(|it| it.id == *id && it.role == Role::Consumer);
    let mut lease = found.ok_or(Fault::NotFound { what: "lease" })?;
    if lease.state != State::Granted {
        return Err(Fault::refused("lease.over", "this lease has ended already"));
    }
    if until > work.now.after(LEASE_MAX).after(CLOCK_SKEW) {
        return Err(Fault::misbehaved("lease.grant", "longer than a lease may be"));
    }
    if until <= lease.until || number <= lease.renewals {
        return Ok(Reply::Lease(lease.grant()));
    }
    (lease.until, lease.renewals, lease.renewed) = (until, number, Some(work.now));
    let grant = lease.grant();
    moved(work, lease);
    Ok(Reply::Lease(grant))
}

/// Either side: row, timer and fact of the new end.
fn moved(work: &mut Work<'_>, lease: Lease) {
    let what = What::LeaseRenewed { number: lease.renewals, until: lease.until };
    work.fact(gate::links(&lease), what);
    work.timer(lease.until, Due::LeaseEnd { lease: lease.id.clone() });
    work.commit.leases.push(lease);
}
