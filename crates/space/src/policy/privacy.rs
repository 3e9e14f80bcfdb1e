//! Noisy answers: how much may be learnt of a unit altogether, what a unit is, and how much one may add to an answer.
//!
//! Threat: many small answers that are each harmless give away single rows when they are compared. So answers are numbers with
//! noise, each has its price ε, and the gate counts what is paid ([`crate::lease::privacy`]). The bounds stand in the terms:
//! the provider sets them before anybody asks, and never from the data. Never adds noise itself: that is the worker's.

use std::collections::BTreeSet;
use std::fmt;

use crate::limits::{
    EPSILON_BUDGET, EPSILON_DECIMALS, MATCH_COLUMN_BYTES, MATCH_PARTS, UNIT_BOUND, UNIT_ROWS,
};
use crate::policy::compile::{Refusal, refusal};
use crate::policy::mark::Step;
use crate::policy::model::Action;
use crate::policy::terms::Clause;
use crate::policy::usage::Use;

/// Limits of a permission on noisy answers; both or neither.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Privacy {
    pub budget: Option<Epsilon>,
    pub unit: Option<Unit>,
}

/// One limit, as one constraint says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivacyLimit {
    /// What all answers may cost together, to one legal entity.
    Budget(Epsilon),
    Unit(Unit),
}

/// ε in millionths: at most six decimals, so that nothing is ever rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epsilon(u64);

impl Epsilon {
    /// `None` for zero, and for more than any budget.
    pub fn from_micro(micro: u64) -> Option<Self> {
        (1..=EPSILON_BUDGET).contains(&micro).then_some(Self(micro))
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::from_micro(u64::try_from(decimal(text, EPSILON_DECIMALS)?).ok()?)
    }

    pub fn micro(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epsilon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&micro_text(self.0))
    }
}

/// Millionths of ε as people write them; zero, too.
pub fn micro_text(micro: u64) -> String {
    written(i128::from(micro), EPSILON_DECIMALS)
}

/// What is protected as a whole, and how much it may add. Written `sensor;3;temp:0.1:-40:120,power:1:0:500`: the column that
/// names the unit; most rows of one unit that count; for each column that may be summed its step, and the least and
/// largest sum of one unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit {
    pub column: String,
    pub rows: u64,
    pub sums: Vec<Clamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clamp {
    pub column: String,
    /// What sums are counted in: finer digits do not count.
    pub step: Step,
    /// In steps; not both zero.
    pub low: i64,
    pub high: i64,
}

impl Unit {
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let (column, rows) = (named(parts.next()?)?, parts.next()?.trim());
        let sums = parts.next();
        if parts.next().is_some() || !rows.bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        let rows = rows.parse().ok().filter(|it| (1..=UNIT_ROWS).contains(it))?;
        let sums = match sums {
            None => vec![],
            Some(all) => all.split(',').map(Clamp::parse).collect::<Option<Vec<_>>>()?,
        };
        let mut seen = BTreeSet::new();
        let distinct = sums.iter().all(|it| seen.insert(&it.column));
        (distinct && sums.len() <= MATCH_PARTS).then_some(Self { column, rows, sums })
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.column, self.rows)?;
        let sums: Vec<String> = self.sums.iter().map(ToString::to_string).collect();
        if sums.is_empty() { Ok(()) } else { write!(f, ";{}", sums.join(",")) }
    }
}

impl Clamp {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let column = named(parts.next()?)?;
        let step = Step::parse(parts.next()?.trim())?;
        let (low, high) = (in_steps(parts.next()?, step)?, in_steps(parts.next()?, step)?);
        let some = low <= high && (low, high) != (0, 0) && parts.next().is_none();
        some.then_some(Self { column, step, low, high })
    }

    /// The bounds as numbers of the column.
    pub fn range(&self) -> (String, String) {
        let text = |steps: i64| {
            let exponent = self.step.exponent();
            let power = u32::from(exponent.unsigned_abs());
            if exponent > 0 {
                written(i128::from(steps).saturating_mul(10_i128.saturating_pow(power)), 0)
            } else {
                written(i128::from(steps), power)
            }
        };
        (text(self.low), text(self.high))
    }
}

impl fmt::Display for Clamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.range();
        write!(f, "{}:{}:{low}:{high}", self.column, self.step)
    }
}

fn named(text: &str) -> Option<String> {
    let name = text.trim();
    let fits = !name.is_empty()
        && name.len() <= MATCH_COLUMN_BYTES
        && !name.chars().any(|c| c.is_control() || matches!(c, ':' | ',' | ';'));
    fits.then(|| name.to_owned())
}

/// A plain decimal as a whole number of steps; `None` where it lies between two, or too far out.
fn in_steps(text: &str, step: Step) -> Option<i64> {
    let exponent = step.exponent();
    let power = u32::from(exponent.unsigned_abs());
    let steps = if exponent > 0 {
        let (all, size) = (decimal(text, 0)?, 10_i128.checked_pow(power)?);
        (all % size == 0).then_some(all / size)?
    } else {
        decimal(text, power)?
    };
    i64::try_from(steps).ok().filter(|it| it.unsigned_abs() <= UNIT_BOUND)
}

/// A plain decimal times `10^decimals`: no exponent, no more decimals than those, no more than fifteen digits in front.
fn decimal(text: &str, decimals: u32) -> Option<i128> {
    let text = text.trim();
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, rest) = digits.split_once('.').map_or((digits, None), |(a, b)| (a, Some(b)));
    let plain = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit());
    let rest_fits = rest.is_none_or(|it| plain(it) && it.len() <= decimals as usize);
    if !plain(whole) || whole.len() > 15 || !rest_fits {
        return None;
    }
    let rest = rest.unwrap_or_default();
    let zeros = "0".repeat((decimals as usize).saturating_sub(rest.len()));
    let all: i128 = format!("{whole}{rest}{zeros}").parse().ok()?;
    Some(sign * all)
}

/// `all / 10^decimals` without needless zeros.
fn written(all: i128, decimals: u32) -> String {
    let size = 10_u128.saturating_pow(decimals);
    let (whole, rest) = (all.unsigned_abs() / size, all.unsigned_abs() % size);
    let sign = if all < 0 { "-" } else { "" };
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let rest = format!("{rest:0>width$}", width = decimals as usize);
    format!("{sign}{whole}.{}", rest.trim_end_matches('0'))
}

impl Privacy {
    /// Both hold. Two different units cannot: `false`.
    #[must_use]
    pub(super) fn narrow(&mut self, limit: PrivacyLimit) -> bool {
        match limit {
            PrivacyLimit::Budget(new) => {
                self.budget = Some(self.budget.map_or(new, |old| old.min(new)));
            }
            PrivacyLimit::Unit(new) => {
                return *self.unit.get_or_insert_with(|| new.clone()) == new;
            }
        }
        true
    }

    /// Whether answers are noisy.
    pub fn asked(&self) -> bool {
        self.budget.is_some() || self.unit.is_some()
    }
}

/// Terms under which noise would protect nothing, by name.
pub(super) fn unkept(grants: &[Clause]) -> Vec<Refusal> {
    const BUDGET: &str = "tidm:privacyBudget";
    const UNIT: &str = "tidm:privacyUnit";
    let afterwards = |it: &Clause| matches!(it.action, Action::Distribute | Action::Derive);
    let used = || grants.iter().filter(|it| !afterwards(it));
    let mut out = vec![];
    if grants.iter().any(|it| afterwards(it) && it.limits.privacy.asked()) {
        out.push(refusal(
            BUDGET,
            "belongs to the permission of the use, not to that of handing on",
        ));
    }
    let Some(first) = used().next() else { return out };
    if used().any(|it| it.limits.privacy != first.limits.privacy) {
        out.push(refusal(
            BUDGET,
            "is spent for the whole contract, so that all permissions need the same budget and unit",
        ));
    }
    let limits = &first.limits;
    match (limits.privacy.budget, &limits.privacy.unit) {
        (None, None) => return out,
        (Some(_), None) => {
            out.push(refusal(BUDGET, "needs tidm:privacyUnit beside it: whose rows are protected"));
        }
        (None, Some(_)) => {
            out.push(refusal(UNIT, "needs tidm:privacyBudget beside it: how much may be learnt"));
        }
        (Some(_), Some(_)) => {}
    }
    if used().any(|it| it.limits.min_group.is_some()) {
        out.push(refusal(
            "tidm:minGroup",
            "cannot stand beside noise: that a group is too small would be an exact answer",
        ));
    }
    let mut columns = used().filter_map(|it| it.limits.columns.as_ref());
    let sums = || limits.privacy.unit.iter().flat_map(|it| &it.sums);
    if columns.any(|all| sums().any(|it| !all.contains(&it.column))) {
        out.push(refusal(UNIT, "lets a column be summed that the terms do not permit"));
    }
    out
}

/// Why such a use cannot be noisy.
pub(super) fn unnoised(grants: &[Clause], kind: Use) -> Option<&'static str> {
    let asked = grants.iter().any(|it| it.limits.privacy.asked());
    (asked && kind != Use::Query)
        .then_some("noise is added at the provider alone: a query in its sandbox")
}

#[cfg(test)]
mod tests;
