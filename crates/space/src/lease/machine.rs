//! The gate's decision, and what ends a lease.
//!
//! Never wraps a key and never asks a clock. `grant` is called with what one transaction loaded, and its
//! result is saved in that same transaction: the debit, the lease and the fact stand or fall together.

use std::time::Duration;

use crate::contract::Contract;
use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::identity::member::Group;
use crate::limits::{LEASE, LEASE_MAX};
use crate::negotiation::message::{Role, Signature};
use crate::policy::counted::Wants;
use crate::policy::eval::{Request as Asked, evaluate};
use crate::policy::facts::Facts;
use crate::policy::matching::Matching;
use crate::policy::model::Action;
use crate::policy::steady::until as steady_until;
use crate::policy::terms::Terms;
use crate::policy::usage::{Level, Use};
use crate::time::Time;

use super::charge::{self, Known, Reserved};
use super::message::{Grant, Outcome, Proven, Request};
use super::privacy;
use super::seen::{Seen, Topics};
use super::state::{Lease, Name, State};

/// One row of the one ledger of debits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debit {
    pub contract: Id,
    /// Whose budget: the consumer's legal entity.
    pub group: Group,
    pub kind: DebitKind,
    pub amount: u64,
    /// Given back: charged ahead by the lease's grant or renewals, and not used by its end.
    pub back: bool,
    /// Which renewal is charged; 0: the grant.
    pub renewal: u32,
    pub lease: Id,
    pub at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebitKind {
    Use,
    Rows,
    Bytes,
    /// Items put into matchings: each tests one guess.
    Items,
    /// Lengths of leases.
    Seconds,
    /// Prices of noisy answers, in millionths of ε.
    Epsilon,
}

impl DebitKind {
    pub const ALL: [Self; 6] =
        [Self::Use, Self::Rows, Self::Bytes, Self::Items, Self::Seconds, Self::Epsilon];

    pub fn word(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::Rows => "rows",
            Self::Bytes => "bytes",
            Self::Items => "items",
            Self::Seconds => "seconds",
            Self::Epsilon => "epsilon",
        }
    }

    /// By its [`word`](Self::word).
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

impl Debit {
    /// Names the row of its lease: one for each kind and renewal, and one for what came back of them.
    pub fn word(&self) -> String {
        match (self.back, self.renewal) {
            (true, _) => format!("{}-back", self.kind.word()),
            (false, 0) => self.kind.word().to_owned(),
            (false, n) => format!("{}-{n}", self.kind.word()),
        }
    }
}

/// What was debited so far under one contract or several, without what was given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub uses: u64,
    pub rows: u64,
    pub bytes: u64,
    pub items: u64,
    pub seconds: u64,
    pub epsilon: u64,
}

impl Spent {
    /// The sum of one kind.
    pub fn of(self, kind: DebitKind) -> u64 {
        match kind {
            DebitKind::Use => self.uses,
            DebitKind::Rows => self.rows,
            DebitKind::Bytes => self.bytes,
            DebitKind::Items => self.items,
            DebitKind::Seconds => self.seconds,
            DebitKind::Epsilon => self.epsilon,
        }
    }

    /// With the sum of one kind.
    #[must_use]
    pub fn with(mut self, kind: DebitKind, sum: u64) -> Self {
        *match kind {
            DebitKind::Use => &mut self.uses,
            DebitKind::Rows => &mut self.rows,
            DebitKind::Bytes => &mut self.bytes,
            DebitKind::Items => &mut self.items,
            DebitKind::Seconds => &mut self.seconds,
            DebitKind::Epsilon => &mut self.epsilon,
        } = sum;
        self
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let add = |all: Self, kind| all.with(kind, all.of(kind).saturating_add(other.of(kind)));
        DebitKind::ALL.into_iter().fold(self, add)
    }
}

/// What the gate looks at.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    pub contract: &'a Contract,
    pub spent: Spent,
    /// The lease that this nonce got before, if any.
    pub earlier: Option<&'a Lease>,
    /// Who asks, as authenticated.
    pub from: &'a Did,
    /// Whose budget it is.
    pub group: &'a Group,
    pub known: Known<'a>,
    pub seen: &'a Seen,
    /// The key goes to a program that is none of this family: nothing holds it to the lease.
    pub outside: bool,
}

/// The gate's yes.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// A fresh lease with its debits.
    New { lease: Lease, debits: Vec<Debit> },
    /// The same nonce and key again: the same lease, uncharged.
    Again(Lease),
}

/// [`grant_proven`] for who showed no evidence.
pub fn grant(gate: Gate<'_>, request: &Request, id: Id, now: Time) -> Result<Granted, Fault> {
    grant_proven(gate, request, None, id, now)
}

/// Contract holds → asker is its consumer → nonce → evidence → terms (time, count, purpose, kind of use) → debit.
pub fn grant_proven(
    gate: Gate<'_>,
    request: &Request,
    proven: Option<&Proven>,
    id: Id,
    now: Time,
) -> Result<Granted, Fault> {
    let Gate { contract, spent, earlier, from, group, known, seen, outside } = gate;
    if contract.role != Role::Provider || contract.id != request.contract {
        return Err(Fault::ApiMisuse("the gate was asked with a contract that is not its own"));
    }
    if contract.peer != *from {
        // Somebody else's contract: not even its existence is told.
        return Err(Fault::NotFound { what: "contract" });
    }
    contract.check_active()?;
    let terms = contract.terms()?;
    terms.check_not_gone(contract.first_use.or(Some(now)), now)?;
    let wants = Wants::of(&terms);
    // Evidence was judged when the lease was granted.
    let level = if earlier.is_some() { None } else { proven_level(request.kind, proven)? };
    let about = Topics::of(seen, level.is_some());
    let (topics, version) = (about.facts(), known.version());
    let deeds = terms.consent(contract.consented.is_some());
    let asked = Asked {
        // What a program outside of the node does with a bare key is a promise.
        level: if outside { Level::E0 } else { level.unwrap_or_else(|| request.kind.level()) },
        more: Facts {
            topics: &topics,
            network: seen.address,
            version: version.as_deref(),
            deeds: &deeds,
            ..charge::facts(wants, spent, known, request.kind)
        },
        purpose: request.purpose.as_deref(),
        // A use that is asked for again is among those that were counted.
        uses_so_far: spent.uses.saturating_sub(u64::from(earlier.is_some())),
        first_use_at: contract.first_use,
        agreed_at: Some(contract.signed_at),
        ..Asked::new(now, request.kind, from.as_str())
    };
    if outside {
        exported(&terms, &asked)?;
    }
    // Behind the check above: a nonce of a use inside brings no key outside.
    if let Some(earlier) = earlier {
        return again(earlier, request, now);
    }
    if (request.kind != Use::Plain || wants.any())
        && let Some(why) = terms.unkeepable(request.kind).first()
    {
        return Err(Fault::denied("policy.denied", "tidm:kindOfUse", *why));
    }
    let limits = evaluate(&terms, &asked).permitted()?;
    if request.kind == Use::Psi {
        matched(&limits.matching, request, (spent, known.group))?;
    }
    let price = privacy::price(&limits.privacy, request, spent, known)?;
    let left = charge::seconds_left(&terms, &asked, (spent, known.group));
    let metered = left.map(|it| now.after(Duration::from_secs(it)));
    let until = end_of(&terms, &asked, request.span, metered);
    let mut charge = charge::amounts((wants, &terms, &limits), spent, known, request.kind)?;
    if wants.metered {
        let length = charge::seconds(now, until);
        charge.debits.push((DebitKind::Seconds, length));
        // Who has the bare key has it also after giving the lease back.
        charge.reserved.seconds = (!outside).then_some(length);
    }
    let uses_left =
        terms.summary.uses.map(|limit| limit.saturating_sub(spent.uses).saturating_sub(1));
    let lease = Lease {
        id: id.clone(),
        role: Role::Provider,
        peer: from.clone(),
        request: request.clone(),
        granted: now,
        until,
        renewals: 0,
        renewed: None,
        uses_left,
        epsilon_left: price.map(|it| it.left),
        level: level.filter(|_| terms.need_attestation()),
        reserved: charge.reserved,
        state: State::Granted,
    };
    let debit = |kind, amount| Debit {
        contract: contract.id.clone(),
        group: group.clone(),
        kind,
        amount,
        back: false,
        renewal: 0,
        lease: id.clone(),
        at: now,
    };
    let items = request.items.filter(|_| request.kind == Use::Psi);
    let mut debits = vec![debit(DebitKind::Use, 1)];
    debits.extend(items.map(|items| debit(DebitKind::Items, items)));
    debits.extend(price.map(|it| debit(DebitKind::Epsilon, it.amount)));
    debits.extend(charge.debits.into_iter().map(|(kind, amount)| debit(kind, amount)));
    Ok(Granted::New { lease, debits })
}

/// Handing on is permitted by a rule of its own, with its own conditions.
fn exported(terms: &Terms, asked: &Asked<'_>) -> Result<(), Fault> {
    evaluate(terms, asked).permitted()?;
    let distribute = Asked { action: Action::Distribute, ..asked.clone() };
    if terms.summary.export && evaluate(terms, &distribute).permitted().is_ok() {
        return Ok(());
    }
    let why = "a program outside of the node may get the key only where the contract permits to hand the content on";
    Err(Fault::denied("policy.export", "odrl:distribute", why))
}

/// The level that evidence proves for a use. Only where a key is released does the asker's environment matter; refused
/// evidence refuses the use, whether or not its terms ask for any.
pub(super) fn proven_level(kind: Use, proven: Option<&Proven>) -> Result<Option<Level>, Fault> {
    match (proven, kind) {
        (Some(it), _) if !it.refused.is_empty() => {
            Err(Fault::denied("attest.refused", "attestation", it.refused.clone()))
        }
        (Some(it), Use::SealedTable | Use::SealedFile) => {
            Ok(it.level.filter(|level| *level >= Level::E3))
        }
        (Some(_), Use::Query | Use::Plain | Use::Psi) | (None, _) => Ok(None),
    }
}

/// The terms of a matching that are known before it: what is put in, at a time and altogether.
fn matched(
    terms: &Matching,
    request: &Request,
    (spent, group): (Spent, Option<Spent>),
) -> Result<(), Fault> {
    let (Some(_), Some(items)) = (request.query, request.items) else {
        return Err(Fault::misbehaved(
            "lease.session",
            "a matching needs its session and its size",
        ));
    };
    // Of a legal entity whose sums nobody knows nothing is left.
    let group = group.map_or(u64::MAX, |it| it.items);
    for (rule, most, so_far) in [
        ("tidm:matchItems", terms.items, 0),
        ("tidm:matchBudget", terms.budget, spent.items),
        ("tidm:groupMatchBudget", terms.group_budget, group),
    ] {
        if let Some(most) = most.filter(|most| so_far.saturating_add(items) > *most) {
            let why = format!(
                "{items} items are asked for, {so_far} were put in before, at most {most} may be"
            );
            return Err(Fault::denied("psi.items", rule, why));
        }
    }
    Ok(())
}

/// The consumer's gate: the provider may join the session for which it granted `ours`, with its own list. Nothing is
/// debited, for the provider is asked to; what it may learn is in the contract.
pub fn join(
    gate: Gate<'_>,
    ours: &Lease,
    request: &Request,
    id: Id,
    now: Time,
) -> Result<Granted, Fault> {
    let Gate { contract, earlier, from, .. } = gate;
    if contract.role != Role::Consumer || contract.peer != *from || contract.id != request.contract
    {
        return Err(Fault::NotFound { what: "contract" });
    }
    contract.check_active()?;
    if let Some(earlier) = earlier {
        return again(earlier, request, now);
    }
    let same = ours.role == Role::Consumer
        && ours.request.contract == contract.id
        && (request.kind, ours.request.kind) == (Use::Psi, Use::Psi)
        && request.query.is_some()
        && request.query == ours.request.query;
    if !same || ours.state != State::Granted || ours.until <= now {
        return Err(Fault::denied("lease.session", "session", "this node runs no such session"));
    }
    let lease = Lease {
        id,
        role: Role::Provider,
        peer: from.clone(),
        request: request.clone(),
        granted: now,
        until: ours.until,
        renewals: 0,
        renewed: None,
        uses_left: None,
        epsilon_left: None,
        level: None,
        reserved: Reserved::default(),
        state: State::Granted,
    };
    Ok(Granted::New { lease, debits: vec![] })
}

/// A lease never outlives the contract and its copies, nor what only time changes in its terms, nor the time that is metered.
pub(super) fn end_of(
    terms: &Terms,
    asked: &Asked<'_>,
    span: Duration,
    metered: Option<Time>,
) -> Time {
    let span = if span.is_zero() { LEASE } else { span.min(LEASE_MAX) };
    let ended = terms.until(asked.first_use_at.or(Some(asked.now)));
    let ends = [ended, steady_until(terms, asked), metered];
    ends.into_iter().flatten().fold(asked.now.after(span), Time::min)
}

fn again(earlier: &Lease, request: &Request, now: Time) -> Result<Granted, Fault> {
    if earlier.request != *request {
        return Err(Fault::misbehaved("lease.nonce", "this nonce was used for another request"));
    }
    stands(earlier, now)?;
    Ok(Granted::Again(earlier.clone()))
}

pub(super) fn stands(it: &Lease, now: Time) -> Result<(), Fault> {
    let (code, why) = match &it.state {
        State::Granted if now < it.until => return Ok(()),
        State::Granted | State::Expired { .. } => {
            ("lease.expired", format!("the lease ended at {}", it.until))
        }
        State::Returned { at, .. } => ("lease.returned", format!("the lease was returned at {at}")),
        State::Revoked { at } => ("lease.revoked", format!("the lease was revoked at {at}")),
    };
    Err(Fault::denied(code, "lease", why))
}

impl Lease {
    pub fn grant(&self) -> Grant {
        Grant {
            lease: self.id.clone(),
            contract: self.request.contract.clone(),
            until: self.until,
            uses_left: self.uses_left,
            epsilon_left: self.epsilon_left,
        }
    }
}

/// What ends a lease.
#[derive(Clone, Debug)]
pub enum Input {
    /// The user of the data says what came of it, and may sign that.
    Return(Outcome, Option<Signature>),
    /// Its time is over.
    Expire,
    /// The contract ended.
    Revoke,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ask,
    Return,
    Expire,
    Revoke,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Ask, Self::Return, Self::Expire, Self::Revoke];
}

impl Input {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Return(..) => Kind::Return,
            Self::Expire => Kind::Expire,
            Self::Revoke => Kind::Revoke,
        }
    }
}

/// `(state, input, now) -> (state, changed?)`. A repeated or late input changes nothing.
pub fn next(it: &Lease, input: Input, now: Time) -> Result<(Lease, bool), Fault> {
    let from = it.state.name();
    let to = table(from, input.kind())
        .map_err(|_| Fault::misbehaved("lease.unexpected", "not possible for this lease"))?;
    if to == from {
        return Ok((it.clone(), false));
    }
    let mut it = it.clone();
    it.state = match input {
        Input::Return(outcome, receipt) => State::Returned { at: now, outcome, receipt },
        Input::Expire => State::Expired { at: now },
        Input::Revoke => State::Revoked { at: now },
    };
    Ok((it, true))
}

/// The transition table: every legal move, and nothing else.
pub fn table(state: Name, input: Kind) -> Result<Name, Unexpected> {
    Ok(match (state, input) {
        (Name::None | Name::Granted, Kind::Ask) => Name::Granted,
        (Name::Granted, Kind::Return) => Name::Returned,
        (Name::Granted, Kind::Expire) => Name::Expired,
        (Name::Granted, Kind::Revoke) => Name::Revoked,
        // Late or repeated endings: the first one stands. A revoked or expired lease never opens again.
        (
            Name::Returned | Name::Expired | Name::Revoked,
            Kind::Return | Kind::Expire | Kind::Revoke,
        ) => state,
        (Name::Returned | Name::Expired | Name::Revoked, Kind::Ask) | (Name::None, _) => {
            return Err(Unexpected);
        }
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unexpected;
