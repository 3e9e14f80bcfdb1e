//! A policy after compilation: every term known, every value parsed.
//!
//! Never made except by [`super::compile::compile`]; what is here can be evaluated without asking what a word means.

use std::collections::BTreeSet;
use std::fmt;

use crate::id::Id;
use crate::policy::model::{Action, Conflict};
use crate::policy::span::Span;
use crate::policy::usage::{Level, Use};
use crate::time::Time;

/// Checked terms. [`super::eval::evaluate`] decides by `grants` and `bans`; `summary` is for showing and for counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub assignee: Option<Id>,
    pub grants: Vec<Clause>,
    pub bans: Vec<Clause>,
    pub conflict: Option<Conflict>,
    pub delete: Option<Delete>,
    pub price: Option<Price>,
    pub summary: Summary,
}

/// A permission or prohibition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Where it stands in the policy, for example `permission[0]`.
    pub place: String,
    pub action: Action,
    pub when: Test,
    /// What the place of use must keep to.
    pub limits: Limits,
    /// Payment comes before use (a duty of the permission, not of the policy).
    pub prepaid: bool,
}

/// A condition on the facts of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    All(Vec<Self>),
    Any(Vec<Self>),
    /// Exactly one.
    One(Vec<Self>),
    Clock(Cmp, Time),
    /// Compares the number of this use (uses so far + 1).
    Count(Cmp, u64),
    Purpose(Member, Vec<String>),
    Recipient(Member, Vec<String>),
    /// Since the first use.
    Elapsed(Cmp, Span),
    /// Since the agreement.
    Delay(Cmp, Span),
    Kind(Vec<Use>),
    /// At least.
    Enforcement(Level),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cmp {
    Lt,
    Lteq,
    Gt,
    Gteq,
}

impl Cmp {
    pub fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Lt => left < right,
            Self::Lteq => left <= right,
            Self::Gt => left > right,
            Self::Gteq => left >= right,
        }
    }
}

/// Whether a value must be in the list or must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    In,
    NotIn,
}

/// What a use must keep to while it runs; enforced by the sandbox and its output gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `None`: all columns.
    pub columns: Option<BTreeSet<String>>,
    pub aggregates_only: bool,
    /// Fewest rows behind each group of a result.
    pub min_group: Option<u64>,
    pub output_rows: Option<u64>,
    pub output_bytes: Option<u64>,
    /// Bytes per second of all deliveries together; the provider keeps it.
    pub delivery_rate: Option<u64>,
    pub delivery_connections: Option<u64>,
}

impl Limits {
    /// Limits that only a place of use which sees the result can keep.
    pub fn on_results(&self) -> bool {
        self.aggregates_only
            || self.min_group.is_some()
            || self.output_rows.is_some()
            || self.output_bytes.is_some()
    }
}

/// One limit, as one constraint says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    Columns(BTreeSet<String>),
    AggregatesOnly,
    MinGroup(u64),
    OutputRows(u64),
    OutputBytes(u64),
    DeliveryRate(u64),
    DeliveryConnections(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delete {
    /// As soon as a use ends.
    AfterUse,
    By(Time),
    /// Since the first use.
    Within(Span),
}

/// An amount in millionths of the currency's unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub micros: u64,
    /// ISO 4217, three capitals.
    pub currency: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPrice {
    #[error("not an amount such as 100 or 99.50 (at most six decimals)")]
    Amount,
    #[error("not a currency such as CNY (ISO 4217)")]
    Currency,
}

impl Price {
    pub fn parse(amount: &str, currency: &str) -> Result<Self, BadPrice> {
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(BadPrice::Currency);
        }
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 6 {
            return Err(BadPrice::Amount);
        }
        let whole: u64 = whole.parse().map_err(|_| BadPrice::Amount)?;
        let fraction: u64 = format!("{fraction:0<6}").parse().map_err(|_| BadPrice::Amount)?;
        let micros = whole
            .checked_mul(1_000_000)
            .and_then(|n| n.checked_add(fraction))
            .ok_or(BadPrice::Amount)?;
        Ok(Self { micros, currency: currency.to_owned() })
    }

    /// With two to six decimals, for example `99.50`.
    pub fn amount(&self) -> String {
        let mut text = format!("{}.{:06}", self.micros / 1_000_000, self.micros % 1_000_000);
        while text.ends_with('0') && text.rsplit('.').next().is_some_and(|f| f.len() > 2) {
            text.pop();
        }
        text
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

/// What the permissions for reading or using say in common, flat. With several such permissions a field is set only
/// where all agree; alternatives (`or`, `xone`) do not appear. Decide by `evaluate`, never by this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub from: Option<Time>,
    pub until: Option<Time>,
    /// Most uses; `None`: no limit.
    pub uses: Option<u64>,
    pub purposes: Option<Vec<String>>,
    pub recipients: Option<Vec<String>>,
    pub kinds: Option<Vec<Use>>,
    pub limits: Limits,
    /// Handing on to third parties is permitted by a rule of its own, and not prohibited.
    pub export: bool,
    pub delete_after_use: bool,
}

impl Summary {
    /// Whether a kind of use is permitted, as far as kinds go.
    pub fn allows(&self, kind: Use) -> bool {
        self.kinds.as_ref().is_none_or(|all| all.contains(&kind))
    }
}

impl Terms {
    /// Reasons why nobody could keep these terms in such a use; empty when they can be kept or honestly promised.
    pub fn unkeepable(&self, kind: Use) -> Vec<&'static str> {
        let limits = &self.summary.limits;
        let any = self.grants.iter().any(|g| g.limits.on_results());
        let mut why = vec![];
        if !self.summary.allows(kind) {
            why.push("the policy does not permit this kind of use");
        }
        if any && matches!(kind, Use::SealedFile | Use::Plain) {
            why.push(
                "limits on results need a place that sees the result: a query or a sealed table",
            );
        }
        if limits.columns.is_some() && kind == Use::SealedFile {
            why.push("a file has no columns");
        }
        why
    }
}
