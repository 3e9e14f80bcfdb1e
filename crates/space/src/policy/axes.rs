//! Conditions as ranges on axes and as lists of names: whether several leave any room for a use, and which adds nothing.
//!
//! Threat: two conditions that are called apart and hold together all the same, so that a policy is signed which some use
//! makes void. So what cannot be compared (hours of a week, regions, roles) takes no room away, and months, whose length
//! nobody knows beforehand, count from 28 to 31 days. Never looks at limits on results: they hold or not of no use. Of
//! terms that a gate has counted (`gated`) the place of use asks nothing: such are signed in permissions only
//! ([`super::counted`]). Spans that reach beyond the year 9999 all end there; the last millisecond of it is passed over.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::span::Span;
use crate::policy::terms::{Cmp, Member, Test};
use crate::policy::usage::Use;
use crate::time::Time;

/// What is counted or measured from a beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Clock,
    Count,
    Elapsed,
    Delay,
    Metered,
    Size,
    Records,
    Group,
    GroupMetered,
    GroupSize,
    GroupRecords,
}

impl Axis {
    fn code(self) -> &'static str {
        match self {
            Self::Clock => "window.empty",
            Self::Count | Self::Group => "count.never",
            Self::Elapsed => "elapsed.never",
            Self::Delay => "delay.never",
            Self::Metered
            | Self::Size
            | Self::Records
            | Self::GroupMetered
            | Self::GroupSize
            | Self::GroupRecords => "total.never",
        }
    }

    /// The same, over all uses of a legal entity.
    fn of_group(self) -> Option<Self> {
        match self {
            Self::Metered => Some(Self::GroupMetered),
            Self::Size => Some(Self::GroupSize),
            Self::Records => Some(Self::GroupRecords),
            Self::Clock
            | Self::Count
            | Self::Elapsed
            | Self::Delay
            | Self::Group
            | Self::GroupMetered
            | Self::GroupSize
            | Self::GroupRecords => None,
        }
    }

    /// A first use is number 1; amounts are never negative, nor is time for a clock that only goes `forward`.
    fn least(self, forward: bool) -> Option<Edge> {
        let least = match self {
            Self::Clock => return None,
            Self::Elapsed | Self::Delay if !forward => return None,
            Self::Count | Self::Group => 1,
            Self::Elapsed
            | Self::Delay
            | Self::Metered
            | Self::Size
            | Self::Records
            | Self::GroupMetered
            | Self::GroupSize
            | Self::GroupRecords => 0,
        };
        Some(Edge { months: 0, rest: least })
    }
}

/// A value; of a duration its months apart and the rest in nanoseconds, for uses are metered in those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edge {
    months: u32,
    rest: i128,
}

/// A millisecond.
const MS: i128 = 1_000_000;
const DAY: i128 = 86_400_000 * MS;

impl Edge {
    /// How much lies between the two at least, whichever months they are; negative where `to` may come first.
    fn gap(self, to: Self) -> i128 {
        let months = i128::from(to.months) - i128::from(self.months);
        let days = if months < 0 { 31 } else { 28 };
        months * days * DAY + (to.rest - self.rest)
    }
}

/// The values for which a test holds, both ends included; `None`: open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    axis: Axis,
    low: Option<Edge>,
    high: Option<Edge>,
}

impl Range {
    /// In a sequence (`stepped`) a delay counts from the step in front: it is over no sooner than from the agreement, and
    /// of its end nothing is known.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other tests are no ranges")]
    pub(super) fn of(it: &Test, stepped: bool) -> Option<Self> {
        let number = |n: u64| Edge { months: 0, rest: i128::from(n) };
        let length = |it: Span| Edge { months: it.months(), rest: i128::from(it.ms()) * MS };
        let (axis, cmp, at) = match it {
            Test::Clock(cmp, at) => (Axis::Clock, cmp, Edge { months: 0, rest: at.ms().into() }),
            Test::Count(cmp, n) => (Axis::Count, cmp, number(*n)),
            Test::Size(cmp, n) => (Axis::Size, cmp, number(*n)),
            Test::Records(cmp, n) => (Axis::Records, cmp, number(*n)),
            Test::Group(cmp, n) => (Axis::Group, cmp, number(*n)),
            Test::Elapsed(cmp, span) => (Axis::Elapsed, cmp, length(*span)),
            Test::Metered(cmp, span) => (Axis::Metered, cmp, length(*span)),
            Test::Delay(cmp, span) if !stepped || matches!(cmp, Cmp::Gt | Cmp::Gteq) => {
                (Axis::Delay, cmp, length(*span))
            }
            Test::Entity(it) => {
                let own = Self::of(it, stepped)?;
                return Some(Self { axis: own.axis.of_group()?, ..own });
            }
            _ => return None,
        };
        // Clocks count milliseconds.
        let tick = if matches!(axis, Axis::Elapsed | Axis::Delay) { MS } else { 1 };
        let next = |by: i128| Some(Edge { rest: at.rest + by, ..at });
        let (low, high) = match cmp {
            Cmp::Lt => (None, next(-tick)),
            Cmp::Lteq => (None, next(0)),
            Cmp::Gt => (next(tick), None),
            Cmp::Gteq => (next(0), None),
            Cmp::Eq => (next(0), next(0)),
            Cmp::Neq => return None,
        };
        Some(Self { axis, low, high })
    }

    /// Whether no value is in both.
    fn excludes(&self, other: &Self) -> bool {
        let before = |end: Option<Edge>, beginning: Option<Edge>| {
            end.zip(beginning).is_some_and(|(end, beginning)| end.gap(beginning) > 0)
        };
        self.axis == other.axis && (before(self.high, other.low) || before(other.high, self.low))
    }

    fn never(&self, forward: bool) -> bool {
        let least = self.axis.least(forward);
        least.zip(self.high).is_some_and(|(least, high)| high.gap(least) > 0)
    }

    /// Whether all of `other` is in it.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let below = |low: Edge| other.low.is_some_and(|it| low.gap(it) >= 0);
        let above = |high: Edge| other.high.is_some_and(|it| it.gap(high) >= 0);
        self.axis == other.axis && self.low.is_none_or(below) && self.high.is_none_or(above)
    }

    /// Whether it leaves nothing out, for a clock that only goes forward.
    pub(super) fn always(&self) -> bool {
        let least = self.axis.least(true);
        let open = |low: Edge| least.is_some_and(|least| low.gap(least) >= 0);
        self.high.is_none() && self.low.is_none_or(open)
    }
}

/// What conditions leave over; each of them has a number.
#[derive(Clone, Default)]
pub(super) struct Room<'a> {
    forward: bool,
    ranges: Vec<(Range, usize)>,
    /// By matter: values allowed, and values forbidden.
    allowed: BTreeMap<&'static str, BTreeSet<&'a str>>,
    forbidden: BTreeMap<&'static str, BTreeSet<&'a str>>,
    kinds: Option<Vec<Use>>,
    /// Whether they happened already.
    events: BTreeMap<&'a str, (bool, usize)>,
}

/// Why a condition leaves nothing over, and the one in front that it is at odds with, if it is one.
pub(super) struct Clash {
    pub(super) code: &'static str,
    pub(super) with: Option<usize>,
}

impl<'a> Room<'a> {
    /// As far as one node's clock tells, which never goes backwards.
    pub(super) fn forward() -> Self {
        Self { forward: true, ..Self::default() }
    }

    /// Takes away what a test that is no group leaves out; with a clash nothing is left.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other tests leave everything over")]
    pub(super) fn add(&mut self, it: &'a Test, stepped: bool, at: usize) -> Option<Clash> {
        if let Some(range) = Range::of(it, stepped) {
            let with = self.ranges.iter().find(|(it, _)| it.excludes(&range)).map(|(_, at)| *at);
            let clash = with.is_some() || range.never(self.forward);
            self.ranges.push((range, at));
            return clash.then(|| Clash { code: range.axis.code(), with });
        }
        let empty = match it {
            Test::Purpose(how, all) => self.list("purpose", *how, all),
            Test::Recipient(how, all) => self.list("recipient", *how, all),
            Test::Kind(all) => {
                let kinds = self.kinds.get_or_insert_with(|| Use::ALL.to_vec());
                kinds.retain(|it| all.contains(it));
                kinds.is_empty()
            }
            Test::Frequency(most, _) => *most == 0,
            Test::Entity(it) => matches!(**it, Test::Frequency(0, _)),
            Test::Event(after, name) => {
                let (said, with) = *self.events.entry(name).or_insert((*after, at));
                return (said != *after).then_some(Clash { code: "event.never", with: Some(with) });
            }
            _ => false,
        };
        empty.then_some(Clash { code: "list.empty", with: None })
    }

    fn list(&mut self, matter: &'static str, how: Member, all: &'a [String]) -> bool {
        let said = || all.iter().map(String::as_str);
        match how {
            Member::In => {
                let mut new: BTreeSet<&str> = said().collect();
                if let Some(old) = self.allowed.get(matter) {
                    new.retain(|it| old.contains(it));
                }
                self.allowed.insert(matter, new);
            }
            Member::NotIn => self.forbidden.entry(matter).or_default().extend(said()),
            // One value cannot be several.
            Member::All => {
                let mut distinct = said();
                let first = distinct.next();
                return distinct.any(|it| Some(it) != first);
            }
        }
        let none = BTreeSet::new();
        let forbidden = self.forbidden.get(matter).unwrap_or(&none);
        self.allowed.get(matter).is_some_and(|all| all.is_subset(forbidden))
    }

    /// Whether a recipient is shut out.
    pub(super) fn shuts_out(&self, recipient: &str) -> bool {
        self.allowed.get("recipient").is_some_and(|all| !all.contains(recipient))
            || self.forbidden.get("recipient").is_some_and(|all| all.contains(recipient))
    }

    /// The last moment by the clock, in milliseconds, and the condition that sets it.
    pub(super) fn end(&self) -> Option<(i128, usize)> {
        let clock = self.ranges.iter().filter(|(it, _)| it.axis == Axis::Clock);
        clock.filter_map(|(it, at)| Some((it.high?.rest, *at))).min_by_key(|(end, _)| *end)
    }

    /// When the longest delay is over for what is agreed on now, and the condition that sets it.
    pub(super) fn begin(&self, now: Time) -> Option<(Time, usize)> {
        let delays = self.ranges.iter().filter(|(it, _)| it.axis == Axis::Delay);
        let over = |it: Edge| {
            let ms = u64::try_from(it.rest / MS).unwrap_or(u64::MAX);
            Span::new(it.months, ms).after(now)
        };
        delays.filter_map(|(it, at)| Some((over(it.low?), *at))).max_by_key(|(begin, _)| *begin)
    }
}
