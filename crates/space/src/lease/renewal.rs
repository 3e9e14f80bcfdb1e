//! Renewal: the gate looks at everything again, and lets a use go on under the same lease.
//!
//! Never brings an ended lease back, and never moves an end towards the past or beyond the contract's. What a grant
//! promises holds for each renewal: the contract stands and is not suspended, its times, purposes and kinds of use permit
//! this use now, and what the longer lease takes of metered time is charged before it is granted. A use that goes on is the
//! same use: its number, its beginning, its rows and bytes were charged with the grant. Evidence that came with the grant is
//! believed for [`EVIDENCE_FRESH`]; from then on each renewal brings its own, and evidence that is refused refuses. A holder
//! that is refused keeps its lease until the end that it has.

use std::time::Duration;

use crate::contract::Contract;
use crate::fault::Fault;
use crate::identity::did::Did;
use crate::identity::member::Group;
use crate::limits::{EVIDENCE_FRESH, LEASE_RENEWAL_PAUSE, LEASE_RENEWALS};
use crate::negotiation::message::Role;
use crate::policy::counted::Wants;
use crate::policy::eval::{Request as Asked, evaluate};
use crate::policy::facts::{Facts, Sums};
use crate::policy::terms::Terms;
use crate::policy::usage::Level;
use crate::time::Time;

use super::charge::{self, Known, Reserved};
use super::machine::{Debit, DebitKind, Spent, end_of, proven_level, stands};
use super::message::{Proven, Renewal};
use super::seen::{Seen, Topics};
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
    pub known: Known<'a>,
    pub seen: &'a Seen,
    /// What this node's appraisal of new evidence came to, where the renewal brought any.
    pub proven: Option<&'a Proven>,
    /// Who asks, as authenticated, and whose budget it is.
    pub from: &'a Did,
    pub group: &'a Group,
}

/// The lease with its new end, and what that is charged; `None`: it stands as it is, because this renewal was made
/// before or would not move its end.
///
/// # Errors
/// [`Fault::Denied`] for what the contract does not permit (any more), [`Fault::Unavailable`] for one that comes too soon.
pub fn renew(
    it: Renewing<'_>,
    asked: &Renewal,
    now: Time,
) -> Result<Option<(Lease, Option<Debit>)>, Fault> {
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
    let shown = proven_level(lease.request.kind, it.proven)?;
    let pause = now.since(lease.renewed.unwrap_or(lease.granted));
    if pause < LEASE_RENEWAL_PAUSE {
        return Err(Fault::Unavailable {
            reason: "this lease was granted or renewed a moment ago".to_owned(),
            retry_after: LEASE_RENEWAL_PAUSE.saturating_sub(pause),
        });
    }
    let (until, metered) = until(it, shown, asked, now)?;
    if until <= lease.until {
        return Ok(None);
    }
    let after = Lease {
        until,
        renewals: asked.number,
        renewed: Some(now),
        level: if lease.level.is_some() { shown.or(lease.level) } else { None },
        reserved: Reserved {
            seconds: lease.reserved.seconds.filter(|_| metered).map(|_| charged(lease, until)),
            ..lease.reserved
        },
        ..lease.clone()
    };
    let debit = metered.then(|| Debit {
        contract: contract.id.clone(),
        group: it.group.clone(),
        kind: DebitKind::Seconds,
        amount: charged(lease, until).saturating_sub(charged(lease, lease.until)),
        back: false,
        renewal: asked.number,
        lease: lease.id.clone(),
        at: now,
    });
    Ok(Some((after, debit.filter(|it| it.amount > 0))))
}

/// What a lease with this end is charged in all.
fn charged(lease: &Lease, until: Time) -> u64 {
    charge::seconds(lease.granted, until)
}

/// The end that the terms permit at this moment, and whether time is metered.
fn until(
    it: Renewing<'_>,
    shown: Option<Level>,
    asked: &Renewal,
    now: Time,
) -> Result<(Time, bool), Fault> {
    let Renewing { contract, lease, session, spent, from, .. } = it;
    if contract.role == Role::Consumer {
        // The provider joined a session of ours, and goes on in it for as long as we may.
        let session = session.filter(|it| it.state == State::Granted && now < it.until);
        let gone = || Fault::denied("lease.session", "session", "this node runs no such session");
        return session.map(|it| (it.until, false)).ok_or_else(gone);
    }
    let terms = contract.terms()?;
    terms.check_not_gone(contract.first_use, now)?;
    let wants = Wants::of(&terms);
    fresh(&terms, lease, shown, now)?;
    let request = &lease.request;
    let level = shown.or(lease.level);
    let about = Topics::of(it.seen, level.is_some());
    let (topics, version) = (about.facts(), it.known.version());
    let deeds = terms.consent(contract.consented.is_some());
    let facts = Asked {
        level: level.unwrap_or_else(|| request.kind.level()),
        purpose: request.purpose.as_deref(),
        // This use is among those that were counted.
        uses_so_far: spent.uses.saturating_sub(1),
        first_use_at: contract.first_use,
        agreed_at: Some(contract.signed_at),
        more: Facts {
            topics: &topics,
            network: it.seen.address,
            version: version.as_deref(),
            deeds: &deeds,
            ..going_on(wants, spent, it.known.group)
        },
        ..Asked::new(now, request.kind, from.as_str())
    };
    let left = charge::seconds_left(&terms, &facts, (spent, it.known.group));
    if wants.metered && left.is_none() {
        let why = "the time of use that the terms permit is charged to the last second: this lease ends when it does";
        return Err(Fault::denied("lease.renewal", "meteredTime", why));
    }
    evaluate(&terms, &facts).permitted()?;
    // What the lease has already is charged already.
    let metered = left.map(|left| {
        let all = charged(lease, lease.until).saturating_add(left);
        lease.granted.after(Duration::from_secs(all))
    });
    Ok((end_of(&terms, &facts, asked.span, metered), wants.metered))
}

/// What terms count of a use that was charged as a whole with its grant: it holds, as it did then. A little more time is
/// what is asked for.
fn going_on(wants: Wants, spent: Spent, group: Option<Spent>) -> Facts<'static> {
    let more = |it: Spent| Duration::from_secs(it.seconds.saturating_add(1));
    Facts {
        uses_at: Some(&[]),
        group_uses: Some(0),
        group: Sums {
            uses_at: Some(&[]),
            metered: group.map(more),
            bytes: Some(0),
            records: Some(0),
        },
        bytes: Some(spent.bytes),
        records: Some(spent.rows),
        metered: wants.metered.then(|| more(spent)),
        ..Facts::default()
    }
}

/// Terms about a trusted environment go by evidence: what came with the grant grows old, what comes with the renewal is new.
fn fresh(terms: &Terms, lease: &Lease, shown: Option<Level>, now: Time) -> Result<(), Fault> {
    let young = lease.level.is_some() && now.since(lease.granted) < EVIDENCE_FRESH;
    if !terms.need_attestation() || young || shown.is_some() {
        return Ok(());
    }
    let why = "the evidence of this lease is none or too old: renew it with new evidence, or it ends when it does";
    Err(Fault::denied("lease.renewal", "attestation", why))
}
