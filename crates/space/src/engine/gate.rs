//! The gate's unit of work: lease, debit and fact in one commit.
//!
//! Never says more than needed: a stranger learns nothing, a consumer learns which term refused.

use tidm_crypto::hash::sha256;
use tidm_crypto::jws::Unverified;
use tidm_crypto::sign::VerifyingKey;

use crate::contract::{Contract, End};
use crate::evidence::fact::{Closed, Links, What};
use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::identity::member::Group;
use crate::lease::charge::{self, Known, Reserved};
use crate::lease::machine::{self, Gate, Granted, Input as Event, Spent};
use crate::lease::message::{Grant, Outcome, Proven, Request, return_bytes};
use crate::lease::seen::Seen;
use crate::lease::state::{Lease, State};
use crate::limits::CLOCK_SKEW;
use crate::negotiation::message::{Role, Signature};
use crate::policy::counted::{self, Wants};
use crate::policy::privacy::Epsilon;
use crate::policy::usage::Use;

use super::commit::{Answer, Due, Reply, Work};
use super::contract;
use super::input::HoldWish;
use super::node::Node;
use super::notice;
use super::refusal;
use super::view::{More, Needs, View};

/// The JWS type of a holder's word that it gave a lease back.
pub(super) const RETURN_TYPE: &str = "tidm-lease-return+jws";

pub(super) fn needs(request: &Request) -> Needs {
    Needs {
        contract: Some(request.contract.clone()),
        lease_of: Some((request.contract.clone(), request.nonce)),
        spent: Some(request.contract.clone()),
        refusals: true,
        ..Needs::default()
    }
}

/// Terms that count more than uses need more rows; most contracts have none.
pub(super) fn needs_more(node: &Node<'_>, view: &View, request: &Request) -> More {
    let fresh = view.contract.as_ref().filter(|it| it.is_active() && view.lease.is_none());
    let Some(contract) = fresh.filter(|it| counted::mentions(&it.policy)) else {
        return More::default();
    };
    let Ok(terms) = contract.terms() else { return More::default() };
    let wants = Wants::of(&terms);
    let sized = (wants.size || wants.records) && request.kind != Use::Query || wants.version;
    let product = || contract.product.clone();
    let group = || node.groups.on_record(contract);
    More {
        starts: wants.starts.any().then(|| (contract.id.clone(), wants.starts)),
        product: sized.then(product),
        group: wants.group.then(|| (group(), product())),
        group_starts: wants.group_starts.any().then(|| (group(), product(), wants.group_starts)),
        ..More::default()
    }
}

/// The same for a renewal: what was charged with the grant is charged.
pub(super) fn renewal_needs_more(node: &Node<'_>, view: &View) -> More {
    let ours = |it: &&Contract| it.role == Role::Provider && counted::mentions(&it.policy);
    let Some(contract) = view.contract.as_ref().filter(ours) else { return More::default() };
    let Ok(terms) = contract.terms() else { return More::default() };
    let wants = Wants::of(&terms);
    let product = || contract.product.clone();
    More {
        product: wants.version.then(product),
        group: (wants.group && wants.metered).then(|| (node.groups.on_record(contract), product())),
        ..More::default()
    }
}

/// Whose budget a use is charged to.
pub(super) fn charged_to(group: &Option<Group>, contract: &Contract) -> Group {
    group.clone().unwrap_or_else(|| Group::from(&contract.peer))
}

/// Provider: may this use happen?
pub(super) fn asked(
    work: &mut Work<'_>,
    (from, seen): (&Did, &Seen),
    request: &Request,
    proven: Option<&Proven>,
    outside: bool,
) -> Answer {
    let Some(contract) = work.view.contract.as_ref().filter(|it| it.role == Role::Provider) else {
        return Err(Fault::NotFound { what: "contract" });
    };
    let known = Known {
        starts: work.view.starts.as_deref(),
        product: work.view.product.as_ref(),
        group: work.view.group,
        group_starts: work.view.group_starts.as_deref(),
    };
    let group = work.node.groups.of_consumer(contract);
    let gate = Gate {
        contract,
        spent: work.view.spent,
        earlier: work.view.lease.as_ref(),
        from,
        group: &charged_to(&group, contract),
        known,
        seen,
        outside,
    };
    let id = work.ids.fresh();
    match machine::grant_proven(gate, request, proven, id, work.now) {
        Ok(Granted::Again(lease)) => Ok(Reply::Lease(lease.grant())),
        Ok(Granted::New { lease, debits }) => {
            let begun = contract::first_used(work, contract);
            if begun.is_some() || contract.group != group {
                let contract = begun.unwrap_or_else(|| contract.clone());
                work.commit.contracts.push(Contract { group, ..contract });
            }
            let uses = work.view.spent.uses.saturating_add(1);
            work.commit.debits.extend(debits);
            appraised(work, links(&lease), proven);
            Ok(Reply::Lease(granted(work, lease, uses)))
        }
        Err(fault) => {
            if let Fault::Denied { code, rule, .. } = &fault
                && let Some(more) =
                    refusal::counted(work, &request.contract, &told_as(code, proven))
            {
                let links = Links {
                    peer: Some(from.clone()),
                    contract: Some(request.contract.clone()),
                    ..Links::default()
                };
                appraised(work, links.clone(), proven);
                let what = What::LeaseRefused {
                    kind: request.kind,
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

/// What a refusal is counted as. Evidence is refused for one of our reasons first: each is told.
pub(super) fn told_as(code: &str, proven: Option<&Proven>) -> String {
    let first = proven.and_then(|it| it.refused.split(',').next()).filter(|it| !it.is_empty());
    first.map_or_else(|| code.to_owned(), |first| format!("{code} {first}"))
}

/// Why a key was released or not: the appraisal, beside the gate's answer.
pub(super) fn appraised(work: &mut Work<'_>, links: Links, proven: Option<&Proven>) {
    if let Some(Proven { format, evidence, level, refused }) = proven {
        let (format, refused) = ((*format).to_owned(), refused.clone());
        let what = What::Appraised { evidence: *evidence, level: *level, refused, format };
        work.fact(links, what);
    }
}

/// A fresh lease of ours: fact, timer, row.
fn granted(work: &mut Work<'_>, lease: Lease, uses: u64) -> Grant {
    let it = &lease.request;
    let what = What::LeaseGranted {
        kind: it.kind,
        purpose: it.purpose.clone(),
        query: it.query,
        key: sha256(&it.key),
        uses,
        epsilon: it.epsilon.map_or(0, Epsilon::micro),
        until: lease.until,
    };
    work.fact(links(&lease), what);
    work.timer(lease.until, Due::LeaseEnd { lease: lease.id.clone() });
    let grant = lease.grant();
    work.commit.leases.push(lease);
    grant
}

/// Consumer: the provider may join the session that it granted `ours` for.
pub(super) fn join(work: &mut Work<'_>, ours: Lease, request: &Request) -> Answer {
    let Some(contract) = work.view.contract.as_ref() else {
        return Err(Fault::NotFound { what: "contract" });
    };
    let (spent, earlier) = (work.view.spent, work.view.lease.as_ref());
    let from = contract.peer.clone();
    let group = Group::from(&from);
    let known = Known::default();
    let (group, seen) = (&group, &Seen::default());
    let gate = Gate { contract, spent, earlier, from: &from, group, known, seen, outside: false };
    match machine::join(gate, &ours, request, work.ids.fresh(), work.now)? {
        Granted::Again(lease) => Ok(Reply::Lease(lease.grant())),
        // Not one of the counted uses: its number is 0.
        Granted::New { lease, .. } => Ok(Reply::Lease(granted(work, lease, 0))),
    }
}

pub(super) fn links(it: &Lease) -> Links {
    Links {
        peer: Some(it.peer.clone()),
        contract: Some(it.request.contract.clone()),
        lease: Some(it.id.clone()),
        ..Links::default()
    }
}

/// Provider: the consumer's receipt for a use.
pub(super) fn returned(
    work: &mut Work<'_>,
    (from, key): (&Did, Option<&VerifyingKey>),
    id: &Id,
    outcome: Outcome,
    receipt: Option<Signature>,
) -> Answer {
    let Some(lease) = work
        .view
        .lease
        .clone()
        .filter(|it| it.id == *id && it.role == Role::Provider && it.peer == *from)
    else {
        return Err(Fault::NotFound { what: "lease" });
    };
    if let Some(receipt) = &receipt {
        signed(receipt, &return_bytes(id, from, &outcome), key)?;
    }
    end_lease(work, lease, Event::Return(outcome, receipt))?;
    Ok(Reply::Nothing)
}

/// A signature that is there and wrong is not taken for a missing one.
fn signed(receipt: &Signature, bytes: &[u8], key: Option<&VerifyingKey>) -> Result<(), Fault> {
    let wrong = |why| Fault::misbehaved("lease.receipt", why);
    let key = key.ok_or_else(|| wrong("your key is not known"))?;
    let parsed = Unverified::parse(&receipt.0).map_err(|_| wrong("the receipt is not a JWS"))?;
    if parsed.verify(key).is_ok_and(|payload| *payload == *bytes) {
        Ok(())
    } else {
        Err(wrong("the receipt's signature does not verify"))
    }
}

/// The lease's time is over.
pub(super) fn expired(work: &mut Work<'_>) -> Answer {
    let Some(lease) = work.view.lease.clone() else { return Ok(Reply::Nothing) };
    if lease.state == State::Granted && lease.until > work.now {
        // It was renewed after this timer was taken from the store.
        work.timer(lease.until, Due::LeaseEnd { lease: lease.id });
        return Ok(Reply::Nothing);
    }
    end_lease(work, lease, Event::Expire)?;
    Ok(Reply::Nothing)
}

/// Consumer: the peer's gate granted this; keep it beside our other facts.
pub(super) fn hold(work: &mut Work<'_>, wish: HoldWish) -> Answer {
    let HoldWish { request, grant } = wish;
    // A provider holds leases for joining a matching, and no others.
    let may = |it: &&Contract| it.role == Role::Consumer || request.kind == Use::Psi;
    let Some(contract) = work.view.contract.as_ref().filter(may) else {
        return Err(Fault::NotFound { what: "contract" });
    };
    if let Some(held) = &work.view.lease {
        // A grant of another request, or one of ours, under this name.
        if held.role != Role::Consumer || held.request != request {
            let why = "this lease was granted for another use";
            return Err(Fault::misbehaved("lease.grant", why));
        }
        // The answer came twice: what became of the lease meanwhile stands.
        return match held.state {
            State::Granted => Ok(Reply::Lease(held.grant())),
            State::Returned { .. } | State::Expired { .. } | State::Revoked { .. } => {
                Err(Fault::refused("lease.over", "this lease has ended already"))
            }
        };
    }
    contract.check_active()?;
    if grant.until.after(CLOCK_SKEW) <= work.now {
        return Err(Fault::refused(
            "lease.over",
            "the grant arrived after the lease's time was over",
        ));
    }
    let lease = Lease {
        id: grant.lease.clone(),
        role: Role::Consumer,
        peer: contract.peer.clone(),
        request,
        granted: work.now,
        until: grant.until,
        renewals: 0,
        renewed: None,
        uses_left: grant.uses_left,
        epsilon_left: grant.epsilon_left,
        level: None,
        reserved: Reserved::default(),
        state: State::Granted,
    };
    if contract.role == Role::Consumer {
        let begun = contract::first_used(work, contract);
        work.commit.contracts.extend(begun);
    }
    work.fact(links(&lease), What::LeaseHeld { kind: lease.request.kind, until: lease.until });
    work.timer(lease.until, Due::LeaseEnd { lease: lease.id.clone() });
    work.commit.leases.push(lease);
    Ok(Reply::Lease(grant))
}

/// Consumer: the gate ended a lease that we did not return. One that we never held opened nothing here.
pub(super) fn heard_end(
    work: &mut Work<'_>,
    from: &Did,
    contract: &Id,
    id: &Id,
    how: Closed,
) -> Answer {
    let contract = contract::of_peer(work, from, contract)?;
    let event = match how {
        Closed::Revoked => Some(Event::Revoke),
        Closed::Expired => Some(Event::Expire),
        Closed::Returned => None,
    };
    match work.view.lease.clone() {
        Some(held) if held.role == Role::Consumer && held.request.contract == contract.id => {
            let event = event.ok_or_else(|| {
                Fault::misbehaved("lease.how", "what this node holds is returned by this node")
            })?;
            end_lease(work, held, event)?;
        }
        Some(_) => return Err(Fault::NotFound { what: "lease" }),
        // A consumer grants leases for joining a matching, and no others.
        None if contract.role == Role::Provider && !may_match(&contract) => {
            return Err(Fault::NotFound { what: "lease" });
        }
        // Of those none is used without this node.
        None if contract.role == Role::Provider && how == Closed::Returned => {
            return Err(Fault::misbehaved(
                "lease.role",
                "only the provider's gate ends a lease so",
            ));
        }
        // One that we never held and that was used all the same: by a program of ours, straight at the gate.
        None => missed(work, &contract, id, how),
    }
    Ok(Reply::Contract(contract.id))
}

/// Whether the consumer can have granted leases for joining a matching.
fn may_match(contract: &Contract) -> bool {
    contract.terms().is_ok_and(|terms| terms.summary.allows(Use::Psi))
}

/// Once for each lease, however often the peer says it, and some a minute, however many it invents.
fn missed(work: &mut Work<'_>, contract: &Contract, id: &Id, how: Closed) {
    let Some(more) = refusal::missing(work, &contract.id, id) else { return };
    let links = Links {
        peer: Some(contract.peer.clone()),
        contract: Some(contract.id.clone()),
        lease: Some(id.clone()),
        ..Links::default()
    };
    work.fact(links, What::LeaseMissed { how, more });
}

/// Either side: what came of a lease that we hold or granted. The consumer also tells the gate.
pub(super) fn close(work: &mut Work<'_>, id: &Id, outcome: Outcome) -> Answer {
    let Some(lease) = work.view.lease.clone().filter(|it| it.id == *id) else {
        return Err(Fault::NotFound { what: "lease" });
    };
    let mut receipt = None;
    if lease.role == Role::Consumer
        && let Some(contract) = work.view.contract.clone()
    {
        let payload = return_bytes(&lease.id, work.node.me, &outcome);
        let signature = Signature(work.node.signer.sign(RETURN_TYPE, &payload));
        notice::lease_returned(work, &contract, &lease, &outcome, &signature);
        receipt = Some(signature);
    }
    end_lease(work, lease, Event::Return(outcome, receipt))?;
    Ok(Reply::Nothing)
}

/// Provider: a program of the consumer used this lease. Its node held none, so that it is told of the use.
pub(super) fn used(work: &mut Work<'_>, id: &Id, outcome: Outcome) -> Answer {
    let found = work.view.lease.clone().filter(|it| it.id == *id && it.role == Role::Provider);
    let lease = found.ok_or(Fault::NotFound { what: "lease" })?;
    end_lease(work, lease.clone(), Event::Return(outcome, None))?;
    if lease.state == State::Granted
        && let Some(contract) = work.view.contract.clone()
    {
        notice::lease_ended(work, &contract, &lease, Closed::Returned);
    }
    Ok(Reply::Nothing)
}

/// Ends a lease, and the contract with it where its last use is over.
pub(super) fn end_lease(work: &mut Work<'_>, lease: Lease, event: Event) -> Result<(), Fault> {
    let (after, changed) = machine::next(&lease, event, work.now)?;
    if !changed {
        return Ok(());
    }
    let (how, outcome) = match &after.state {
        State::Returned { outcome, receipt, .. } => {
            let receipt = receipt.as_ref().map(|it| sha256(it.0.as_bytes()));
            (Closed::Returned, Some((outcome.clone(), receipt)))
        }
        State::Revoked { .. } => (Closed::Revoked, None),
        State::Expired { .. } | State::Granted => (Closed::Expired, None),
    };
    let (rows, bytes, result, receipt) =
        outcome.map_or((0, 0, None, None), |(it, receipt)| (it.rows, it.bytes, it.result, receipt));
    work.fact(links(&after), What::LeaseClosed { how, rows, bytes, result, receipt });
    work.untimer(&Due::LeaseEnd { lease: after.id.clone() });
    if let Some(contract) = work.view.contract.as_ref().filter(|_| lease.role == Role::Provider) {
        let group = charged_to(&contract.group, contract);
        work.commit.debits.extend(charge::given_back(&after, &group, work.node.refunds));
    }
    if lease.role == Role::Provider
        && how != Closed::Returned
        && let Some(contract) = work.view.contract.clone()
    {
        // Its answer may never have arrived; the consumer's own account needs to know.
        notice::lease_ended(work, &contract, &after, how);
    }
    work.commit.leases.push(after);
    let others = |open: &Lease| open.role == Role::Provider && open.id != lease.id;
    if lease.role == Role::Provider
        && how != Closed::Revoked
        && let Some(contract) = work.view.contract.clone().filter(|it| it.role == Role::Provider)
        && used_up(&contract, work.view.spent)
        && !work.view.open_leases.iter().any(others)
    {
        let reason = "all uses are used".to_owned();
        contract::end_active(work, contract, End::UsedUp, Role::Provider, reason)?;
    }
    Ok(())
}

/// No use is left; the contract ends when the last open lease does.
pub(super) fn used_up(contract: &Contract, spent: Spent) -> bool {
    contract.is_active()
        && contract
            .terms()
            .is_ok_and(|terms| terms.last_use().is_some_and(|last| spent.uses >= last))
}
