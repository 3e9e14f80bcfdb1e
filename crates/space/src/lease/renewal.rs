//! Renewal: the gate looks at everything again, and lets a use go on under the same lease.
//!
//! Never debits, never brings an ended lease back, and never moves an end towards the past or beyond the contract's.
//! What a grant promises holds for each renewal: the contract stands and is not suspended, its times, purposes and
//! kinds of use permit this use now. A holder that is refused keeps its lease until the end that it has.

use crate::contract::Contract;
use crate::fault::Fault;
use crate::identity::did::Did;
use crate::limits::{LEASE_RENEWAL_PAUSE, LEASE_RENEWALS};
use crate::negotiation::message::Role;
use crate::policy::compile::compile;
use crate::policy::counted::Wants;
use crate::policy::eval::{Request as Asked, evaluate};
use crate::time::Time;

use super::machine::{Spent, end_of, stands};
use super::message::Renewal;
use super::state::{Lease, State};

/// What the gate looks at.
#[derive(Clone, Copy, Debug)]
pub struct Renewing<'a> {
    pub contract: &'a Contract,
    /// Ours: this node's gate granted it.
    pub lease: &'a Lease,
    /// Of a matching that the peer joined under `lease`: the lease that we hold in the same session.
    pub session: Option<&'a Lease>,
    pub spent: Spent,
    /// Who asks, as authenticated.
    pub from: &'a Did,
}

/// The lease with its new end; `None`: it stands as it is, because this renewal was made before or would not move its
/// end.
///
/// # Errors
/// [`Fault::Denied`] for what the contract does not permit (any more), [`Fault::Unavailable`] for one that comes too soon.
pub fn renew(it: Renewing<'_>, asked: &Renewal, now: Time) -> Result<Option<Lease>, Fault> {
    let Renewing { contract, lease, from, .. } = it;
    if lease.role != Role::Provider
        || lease.peer != *from
        || contract.peer != *from
        || contract.id != lease.request.contract
    {
        return Err(Fault::NotFound { what: "lease" });
    }
    contract.check_active()?;
    stands(lease, now)?;
    if asked.number == lease.renewals && asked.number > 0 {
        return Ok(None);
    }
    if Some(asked.number) != lease.renewals.checked_add(1) {
        let why = format!("this lease was renewed {} times before", lease.renewals);
        return Err(Fault::misbehaved("lease.renewal", why));
    }
    if lease.renewals >= LEASE_RENEWALS {
        let why = format!("a lease is renewed {LEASE_RENEWALS} times at most: begin a new use");
        return Err(Fault::denied("lease.renewals", "lease", why));
    }
    let pause = now.since(lease.renewed.unwrap_or(lease.granted));
    if pause < LEASE_RENEWAL_PAUSE {
        return Err(Fault::Unavailable {
            reason: "this lease was granted or renewed a moment ago".to_owned(),
            retry_after: LEASE_RENEWAL_PAUSE.saturating_sub(pause),
        });
    }
    let until = until(it, asked, now)?;
    Ok((until > lease.until).then(|| Lease {
        until,
        renewals: asked.number,
        renewed: Some(now),
        ..lease.clone()
    }))
}

/// The end that the terms permit at this moment.
fn until(it: Renewing<'_>, asked: &Renewal, now: Time) -> Result<Time, Fault> {
    let Renewing { contract, lease, session, spent, from } = it;
    if contract.role == Role::Consumer {
        // The provider joined a session of ours, and goes on in it for as long as we may.
        let session = session.filter(|it| it.state == State::Granted && now < it.until);
        let gone = || Fault::denied("lease.session", "session", "this node runs no such session");
        return session.map(|it| it.until).ok_or_else(gone);
    }
    let terms = compile(&contract.policy).map_err(|_| {
        Fault::ApiMisuse("a contract with terms that nobody here can enforce was signed")
    })?;
    if Wants::of(&terms).any() {
        let why = "what these terms count is charged with each lease: this one ends, and a new one may be asked for";
        return Err(Fault::denied("lease.renewal", "lease", why));
    }
    if terms.need_attestation() {
        let why =
            "evidence is judged with each lease: this one ends, and a new one may be asked for";
        return Err(Fault::denied("lease.renewal", "lease", why));
    }
    let request = &lease.request;
    let facts = Asked {
        purpose: request.purpose.as_deref(),
        // This use is among those that were counted.
        uses_so_far: spent.uses.saturating_sub(1),
        first_use_at: contract.first_use,
        agreed_at: Some(contract.signed_at),
        ..Asked::new(now, request.kind, from.as_str())
    };
    evaluate(&terms, &facts).permitted()?;
    Ok(end_of(&terms, &facts, asked.span, spent))
}
