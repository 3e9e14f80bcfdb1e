//! What one use costs of the budgets that its contract counts, and what its end gives back.
//!
//! Threat: parallel leases that together take more than is left, and an asker who says that it took less. So all that
//! a use could take is charged before anything is released, and only the closing on record gives back. Never charges
//! less than a lease lets happen: seconds are rounded up, and of what cannot be known ahead all that is left is taken. Time
//! for which the consumer had the key, or took part in a matching, comes back on its signed word alone ([`Refunds`]), by our clock when that arrived.

use std::time::Duration;

use crate::catalog::product::Product;
use crate::fault::Fault;
use crate::identity::member::Group;
use crate::policy::counted::Wants;
use crate::policy::facts::{Facts, Request as Asked, Sums};
use crate::policy::hold::length;
use crate::policy::terms::{Cmp, Limits, Terms, Test};
use crate::policy::usage::Use;
use crate::time::Time;

use super::machine::{Debit, DebitKind, Spent};
use super::state::{Lease, State};

/// What only some terms ask for; loaded in the gate's transaction where they do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// When the newest uses began.
    pub starts: Option<&'a [Time]>,
    pub product: Option<&'a Product>,
    /// What the consumer's legal entity was debited for the product's line, and when the newest of those uses began.
    pub group: Option<Spent>,
    pub group_starts: Option<&'a [Time]>,
}

impl Known<'_> {
    /// The product's version, as terms compare it.
    pub(super) fn version(&self) -> Option<String> {
        self.product.map(|it| it.version.to_string())
    }
}

/// What was charged ahead and is given back as far as it was not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// The whole length of the lease.
    pub seconds: Option<u64>,
    /// Of a query, whose result is not known before: the most that may leave.
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
}

/// The facts that a use is held against: all that was charged, and the least that this one takes.
pub(super) fn facts<'a>(wants: Wants, spent: Spent, known: Known<'a>, kind: Use) -> Facts<'a> {
    let (bytes, rows) = sizes(known, kind);
    Facts {
        uses_at: known.starts.filter(|_| wants.starts.any()),
        // A use of no time at all is none.
        metered: wants.metered.then(|| Duration::from_secs(spent.seconds.saturating_add(1))),
        bytes: bytes.filter(|_| wants.size).map(|it| spent.bytes.saturating_add(it)),
        records: rows.filter(|_| wants.records).map(|it| spent.rows.saturating_add(it)),
        group_uses: known.group.map(|it| it.uses),
        group: Sums {
            uses_at: known.group_starts,
            metered: known.group.map(|it| Duration::from_secs(it.seconds.saturating_add(1))),
            bytes: bytes.zip(known.group).map(|(n, it)| it.bytes.saturating_add(n)),
            records: rows.zip(known.group).map(|(n, it)| it.rows.saturating_add(n)),
        },
        ..Facts::default()
    }
}

/// What opens under a key is the whole object; a query takes one at least of what it reserves.
fn sizes(known: Known<'_>, kind: Use) -> (Option<u64>, Option<u64>) {
    match kind {
        Use::Query => (Some(1), Some(1)),
        Use::SealedTable | Use::SealedFile | Use::Plain => {
            (known.product.and_then(|it| it.bytes), known.product.and_then(|it| it.rows))
        }
        Use::Psi => (None, None),
    }
}

/// What a permitted use is charged beside being one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) debits: Vec<(DebitKind, u64)>,
    pub(super) reserved: Reserved,
}

pub(super) fn amounts(
    (wants, terms, limits): (Wants, &Terms, &Limits),
    spent: Spent,
    known: Known<'_>,
    kind: Use,
) -> Result<Charge, Fault> {
    let mut out = Charge::default();
    let (bytes, rows) = sizes(known, kind);
    let all = [
        (wants.size, DebitKind::Bytes, bytes, limits.output_bytes),
        (wants.records, DebitKind::Rows, rows, limits.output_rows),
    ];
    for (wanted, debit, size, most) in all {
        if !wanted {
            continue;
        }
        let amount = if kind == Use::Query {
            let left = least(terms, |it| {
                let (it, so_far) = whose(it, spent, known.group)?;
                cap(it, debit).map(|cap| cap.saturating_sub(so_far.of(debit)))
            });
            // Whatever permission holds: of nothing that is left nothing is taken.
            let left = left.filter(|it| *it > 0).ok_or_else(|| spent_up(debit))?;
            left.min(most.unwrap_or(u64::MAX))
        } else {
            size.ok_or_else(|| spent_up(debit))?
        };
        out.debits.push((debit, amount));
    }
    if kind == Use::Query {
        let of = |kind| out.debits.iter().find_map(|(it, n)| (*it == kind).then_some(*n));
        out.reserved.bytes = of(DebitKind::Bytes);
        out.reserved.rows = of(DebitKind::Rows);
    }
    Ok(out)
}

/// How long a lease may last by what is left of the time that is metered; `None`: it is not.
pub(super) fn seconds_left(
    terms: &Terms,
    asked: &Asked<'_>,
    (spent, group): (Spent, Option<Spent>),
) -> Option<u64> {
    // One that is used up decides nothing more: the evaluation knows.
    let open = |it: &Test| {
        let (it, so_far) = whose(it, spent, group)?;
        metered_cap(it, asked)?.checked_sub(so_far.seconds).filter(|left| *left > 0)
    };
    least(terms, open)
}

/// A test of sums, and those that it is about: the contract's, or its legal entity's. `None`: nobody knows those.
fn whose(it: &Test, own: Spent, group: Option<Spent>) -> Option<(&Test, Spent)> {
    if let Test::Entity(it) = it { Some((&**it, group?)) } else { Some((it, own)) }
}

/// A lease's length in whole seconds, a begun one counted whole.
pub(super) fn seconds(from: Time, until: Time) -> u64 {
    u64::try_from(until.since(from).as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

fn spent_up(what: DebitKind) -> Fault {
    let rule = if what == DebitKind::Bytes { "tidm:dataSize" } else { "tidm:recordCount" };
    Fault::denied(
        "policy.denied",
        rule,
        format!("no {} are left or their number is not known", what.word()),
    )
}

/// The largest total with which a test of amounts still holds.
fn cap(it: &Test, what: DebitKind) -> Option<u64> {
    match (it, what) {
        (Test::Size(cmp, n), DebitKind::Bytes) | (Test::Records(cmp, n), DebitKind::Rows) => {
            largest(*cmp, *n)
        }
        _ => None,
    }
}

fn largest(cmp: Cmp, n: u64) -> Option<u64> {
    match cmp {
        Cmp::Lteq => Some(n),
        Cmp::Lt => Some(n.saturating_sub(1)),
        // A node signs upper bounds alone.
        Cmp::Gt | Cmp::Gteq | Cmp::Eq | Cmp::Neq => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other tests meter nothing")]
fn metered_cap(it: &Test, asked: &Asked<'_>) -> Option<u64> {
    match it {
        Test::Metered(cmp, span) => {
            let all = length(*span, asked);
            // Whole seconds below a bound that may lie between two.
            let below = u64::from(*cmp == Cmp::Lt && all.subsec_nanos() == 0);
            largest(Cmp::Lteq, all.as_secs().saturating_sub(below))
        }
        _ => None,
    }
}

/// The least of what the permissions' tests say. Counted ones stand side by side ([`crate::policy::counted`]).
fn least(terms: &Terms, of: impl Fn(&Test) -> Option<u64>) -> Option<u64> {
    fn visit(it: &Test, of: &impl Fn(&Test) -> Option<u64>, out: &mut Option<u64>) {
        if let Test::All(all) = it {
            all.iter().for_each(|it| visit(it, of, out));
        } else if let Some(n) = of(it) {
            *out = Some(out.map_or(n, |old| old.min(n)));
        }
    }
    let mut out = None;
    terms.grants.iter().for_each(|it| visit(&it.when, &of, &mut out));
    out
}

/// Whether time comes back that a key was out for: only its holder knows whether it stopped using it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refunds {
    /// For a return that the holder signed: its word, kept as evidence.
    #[default]
    Signed,
    /// Never: all that was granted is charged.
    Never,
}

/// What the closing of a lease gives back. Nothing where nobody said what came of it: it may all have been used.
pub fn given_back(it: &Lease, group: &Group, refunds: Refunds) -> Vec<Debit> {
    let State::Returned { at, outcome, receipt } = &it.state else { return vec![] };
    let Reserved { seconds: lasted, rows, bytes } = it.reserved;
    // Whoever held a key, or half of a matching, says itself how long: a word that only its signature makes one.
    let its_word = matches!(it.request.kind, Use::SealedTable | Use::SealedFile | Use::Psi);
    let signed = receipt.is_some() && refunds == Refunds::Signed;
    let lasted = lasted.filter(|_| signed || !its_word);
    let all = [
        (DebitKind::Seconds, lasted, seconds(it.granted, *at)),
        (DebitKind::Rows, rows, outcome.rows),
        (DebitKind::Bytes, bytes, outcome.bytes),
    ];
    let unused = all.into_iter().filter_map(|(kind, had, used)| {
        let amount = had?.saturating_sub(used);
        (amount > 0).then(|| Debit {
            contract: it.request.contract.clone(),
            group: group.clone(),
            kind,
            amount,
            back: true,
            renewal: 0,
            lease: it.id.clone(),
            at: *at,
        })
    });
    unused.collect()
}
