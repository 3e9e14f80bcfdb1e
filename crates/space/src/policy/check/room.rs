//! Whether conditions can hold together, and which of them add nothing.
//!
//! Never calls possible conditions impossible: what cannot be compared (names of places, events) is passed over.

use std::collections::{BTreeMap, BTreeSet};

use crate::lang::Lang;
use crate::limits::CHECK_TERMS;
use crate::policy::check::{Remark, Ruled, Severity};
use crate::policy::compile::Side;
use crate::policy::model::{Kind, Policy};
use crate::policy::place;
use crate::policy::terms::{Clause, Cmp, Member, Test};
use crate::policy::usage::{Level, Use};
use crate::policy::words::test_words;
use crate::time::Time;

/// One condition that binds, and where it stands.
struct Piece<'a> {
    place: String,
    test: &'a Test,
}

/// The conditions of a clause side by side; alternatives stay whole.
fn pieces<'a>(it: &'a Clause, ruled: &Ruled<'_>) -> Vec<Piece<'a>> {
    let mut out = vec![];
    let tests =
        if let Test::All(all) = &it.when { &all[..] } else { std::slice::from_ref(&it.when) };
    let mut places = place::tests(ruled.rule, &ruled.place).into_iter();
    for test in tests {
        let place = places.next().unwrap_or_else(|| ruled.place.clone());
        flatten(test, place, false, &mut out);
    }
    out
}

/// In a sequence (`stepped`) a delay counts from the step in front, not from the agreement.
fn flatten<'a>(test: &'a Test, place: String, stepped: bool, out: &mut Vec<Piece<'a>>) {
    if let Test::All(parts) | Test::Sequence(parts) = test {
        let stepped = stepped || matches!(test, Test::Sequence(_));
        for (i, part) in parts.iter().enumerate() {
            flatten(part, place::member(test, &place, i), stepped, out);
        }
    } else if !(stepped && matches!(test, Test::Delay(..))) {
        out.push(Piece { place, test });
    }
}

/// What is counted or measured from a beginning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

    /// A first use is number 1; time and amounts are never negative.
    fn least(self) -> i128 {
        match self {
            Self::Clock => i128::MIN,
            Self::Count | Self::Group => 1,
            Self::Elapsed
            | Self::Delay
            | Self::Metered
            | Self::Size
            | Self::Records
            | Self::GroupMetered
            | Self::GroupSize
            | Self::GroupRecords => 0,
        }
    }
}

/// The values for which a test holds, both ends included.
#[expect(clippy::wildcard_enum_match_arm, reason = "other tests are no ranges")]
fn range(it: &Test, now: Time) -> Option<(Axis, i128, i128)> {
    let length = |at: Time| i128::from(at.ms()) - i128::from(now.ms());
    let (axis, cmp, at) = match it {
        Test::Clock(cmp, at) => (Axis::Clock, cmp, i128::from(at.ms())),
        Test::Count(cmp, n) => (Axis::Count, cmp, i128::from(*n)),
        Test::Elapsed(cmp, span) => (Axis::Elapsed, cmp, length(span.after(now))),
        Test::Delay(cmp, span) => (Axis::Delay, cmp, length(span.after(now))),
        Test::Metered(cmp, span) => (Axis::Metered, cmp, length(span.after(now))),
        Test::Size(cmp, n) => (Axis::Size, cmp, i128::from(*n)),
        Test::Records(cmp, n) => (Axis::Records, cmp, i128::from(*n)),
        Test::Group(cmp, n) => (Axis::Group, cmp, i128::from(*n)),
        Test::Entity(it) => {
            let (axis, low, high) = range(it, now)?;
            return Some((axis.of_group()?, low, high));
        }
        _ => return None,
    };
    let (low, high) = match cmp {
        Cmp::Lt => (i128::MIN, at - 1),
        Cmp::Lteq => (i128::MIN, at),
        Cmp::Gt => (at + 1, i128::MAX),
        Cmp::Gteq => (at, i128::MAX),
        Cmp::Eq => (at, at),
        Cmp::Neq => return None,
    };
    Some((axis, low, high))
}

/// A value, and which condition set it.
type End = (i128, Option<usize>);

/// What conditions leave over.
#[derive(Clone, Default)]
struct Room<'a> {
    ends: BTreeMap<Axis, (End, End)>,
    /// By matter: values allowed, and values forbidden.
    allowed: BTreeMap<&'static str, BTreeSet<&'a str>>,
    forbidden: BTreeMap<&'static str, BTreeSet<&'a str>>,
    kinds: Option<Vec<Use>>,
}

/// Conditions that cannot hold together.
struct Clash {
    code: &'static str,
    at: usize,
    with: Option<usize>,
}

impl<'a> Room<'a> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other tests leave everything over")]
    fn add(&mut self, it: &'a Test, at: usize, now: Time) -> Option<Clash> {
        if let Some((axis, low, high)) = range(it, now) {
            let start = ((axis.least(), None), (i128::MAX, None));
            let (least, most) = self.ends.entry(axis).or_insert(start);
            if low > least.0 {
                *least = (low, Some(at));
            }
            if high < most.0 {
                *most = (high, Some(at));
            }
            let with = [least.1, most.1].into_iter().flatten().find(|it| *it != at);
            return (least.0 > most.0).then_some(Clash { code: axis.code(), at, with });
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
            _ => false,
        };
        empty.then_some(Clash { code: "list.empty", at, with: None })
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
            Member::All => return all.len() > 1,
        }
        let none = BTreeSet::new();
        let forbidden = self.forbidden.get(matter).unwrap_or(&none);
        self.allowed.get(matter).is_some_and(|all| all.is_subset(forbidden))
    }
}

/// The first condition that cannot hold with those in front of it.
fn clash<'a>(pieces: &[Piece<'a>], now: Time) -> Result<Room<'a>, Clash> {
    let mut room = Room::default();
    for (at, it) in pieces.iter().enumerate() {
        if let Some(clash) = room.add(it.test, at, now) {
            return Err(clash);
        }
    }
    Ok(room)
}

/// The level that a permission asks for, if it asks for one.
pub(super) fn level(it: &Clause) -> Option<Level> {
    let Test::All(all) = &it.when else { return None };
    all.iter().filter_map(asked).max()
}

fn asked(it: &Test) -> Option<Level> {
    if let Test::Enforcement(level) = it { Some(*level) } else { None }
}

pub(super) fn remarks(ruled: &Ruled<'_>, policy: &Policy, now: Time, out: &mut Vec<Remark>) {
    let Some(clause) = &ruled.clause else { return };
    let pieces = pieces(clause, ruled);
    let never = if ruled.side == Side::Grant { Severity::Error } else { Severity::Warning };
    match clash(&pieces, now) {
        Err(clash) => out.extend(told(&clash, &pieces, never)),
        Ok(room) => {
            ends(&room, &pieces, policy, now, never, out);
            alternatives(&room, &pieces, now, never, out);
            assignee(&room, ruled, policy, never, out);
        }
    }
    needless(&pieces, now, out);
}

fn told(clash: &Clash, pieces: &[Piece<'_>], severity: Severity) -> Option<Remark> {
    let it = pieces.get(clash.at)?;
    let (zh, en) = (test_words(it.test, Lang::Zh), test_words(it.test, Lang::En));
    let with = clash.with.and_then(|at| pieces.get(at));
    Some(match with {
        Some(other) => Remark::new(
            severity,
            &it.place,
            clash.code,
            format!(
                "“{zh}”与“{}”（{}）不能同时成立",
                test_words(other.test, Lang::Zh),
                other.place
            ),
            format!(
                "\"{en}\" cannot hold together with \"{}\" ({})",
                test_words(other.test, Lang::En),
                other.place
            ),
        ),
        None => Remark::new(
            severity,
            &it.place,
            clash.code,
            format!("“{zh}”在此永不成立"),
            format!("\"{en}\" can never hold here"),
        ),
    })
}

/// Windows that are over, or that end before the waiting does.
fn ends(
    room: &Room<'_>,
    pieces: &[Piece<'_>],
    policy: &Policy,
    now: Time,
    never: Severity,
    out: &mut Vec<Remark>,
) {
    let Some((_, (end, Some(at)))) = room.ends.get(&Axis::Clock) else { return };
    let Some(piece) = pieces.get(*at) else { return };
    if *end < i128::from(now.ms()) {
        let over = if policy.kind == Kind::Agreement { Severity::Note } else { never };
        out.push(Remark::new(
            over,
            &piece.place,
            "window.past",
            "使用期限已过",
            "the time of use is already over",
        ));
    } else if let Some(((wait, Some(delay)), _)) = room.ends.get(&Axis::Delay)
        && policy.kind != Kind::Agreement
        && i128::from(now.ms()).saturating_add(*wait) > *end
    {
        out.push(Remark::new(
            never,
            pieces.get(*delay).map_or("policy", |it| &*it.place),
            "window.delay",
            "即使现在签约，等待期满时使用期限也已过",
            "even if signed now, the time of use is over before the delay is",
        ));
    }
}

fn alternatives<'a>(
    room: &Room<'a>,
    pieces: &[Piece<'a>],
    now: Time,
    never: Severity,
    out: &mut Vec<Remark>,
) {
    for it in pieces {
        let (Test::Any(branches) | Test::One(branches)) = it.test else { continue };
        let mut dead = vec![];
        for (i, branch) in branches.iter().enumerate() {
            let mut inner = vec![];
            flatten(branch, place::member(it.test, &it.place, i), false, &mut inner);
            let mut room = room.clone();
            let at = pieces.len();
            if inner.iter().any(|part| room.add(part.test, at, now).is_some()) {
                dead.push((place::member(it.test, &it.place, i), branch));
            }
        }
        if dead.len() == branches.len() {
            out.push(Remark::new(
                never,
                &it.place,
                "alternatives.never",
                "没有一个分支能够成立",
                "none of the alternatives can ever hold",
            ));
            continue;
        }
        for (place, branch) in dead {
            out.push(Remark::new(
                Severity::Warning,
                place,
                "alternative.never",
                format!("“{}”在此永不成立", test_words(branch, Lang::Zh)),
                format!("\"{}\" can never hold here", test_words(branch, Lang::En)),
            ));
        }
    }
}

/// A contract whose consumer its own terms shut out.
fn assignee(
    room: &Room<'_>,
    ruled: &Ruled<'_>,
    policy: &Policy,
    never: Severity,
    out: &mut Vec<Remark>,
) {
    let Some(id) = policy.assignee.as_ref().map(crate::id::Id::as_str) else { return };
    let shut = room.allowed.get("recipient").is_some_and(|all| !all.contains(id))
        || room.forbidden.get("recipient").is_some_and(|all| all.contains(id));
    if shut {
        out.push(Remark::new(
            never,
            &ruled.place,
            "recipient.not-assignee",
            format!("使用方条件排除了策略的使用方 {id}"),
            format!("the condition on users shuts out the policy's own assignee {id}"),
        ));
    }
}

/// A condition in the form in which it is compared with another.
struct Said<'a> {
    test: &'a Test,
    range: Option<(Axis, i128, i128)>,
    /// The matter and the values of a list.
    list: Option<(&'static str, BTreeSet<&'a str>)>,
}

impl<'a> Said<'a> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other tests are compared as they stand")]
    fn new(test: &'a Test, now: Time) -> Self {
        let texts = |all: &'a [String]| all.iter().map(String::as_str).collect();
        let list = match test {
            Test::Purpose(Member::In, all) => Some(("purpose", texts(all))),
            Test::Recipient(Member::In, all) => Some(("recipient", texts(all))),
            Test::Kind(all) => Some(("kind", all.iter().map(|it| it.name()).collect())),
            _ => None,
        };
        Self { test, range: range(test, now), list }
    }

    /// Whether this holds wherever `other` does; of two that say the same, the later one is needless.
    fn implied_by(&self, other: &Self, earlier: bool) -> bool {
        if self.test == other.test {
            return !earlier;
        }
        if let (Some(wide), Some(narrow)) = (&self.range, &other.range) {
            let within = wide.0 == narrow.0 && wide.1 <= narrow.1 && wide.2 >= narrow.2;
            return within && !(wide == narrow && earlier);
        }
        if let (Some(wide), Some(narrow)) = (&self.list, &other.list) {
            let within = wide.0 == narrow.0 && narrow.1.is_subset(&wide.1);
            return within && !(wide == narrow && earlier);
        }
        matches!((asked(self.test), asked(other.test)), (Some(low), Some(high)) if low < high)
    }

    fn always(&self) -> bool {
        let open =
            |(axis, low, high): &(Axis, i128, i128)| *low <= axis.least() && *high == i128::MAX;
        let kinds = |it: &(&str, BTreeSet<&str>)| it.0 == "kind" && it.1.len() == Use::ALL.len();
        self.range.as_ref().is_some_and(open)
            || self.list.as_ref().is_some_and(kinds)
            || asked(self.test) == Some(Level::E0)
    }
}

/// Conditions that another one in the rule makes needless.
fn needless(pieces: &[Piece<'_>], now: Time, out: &mut Vec<Remark>) {
    let all: Vec<_> =
        pieces.iter().take(CHECK_TERMS).map(|it| (it, Said::new(it.test, now))).collect();
    for (i, (it, said)) in all.iter().enumerate() {
        let mut others = all.iter().enumerate().filter(|(j, _)| *j != i);
        if let Some((_, (other, _))) = others.find(|(j, it)| said.implied_by(&it.1, i < *j)) {
            out.push(Remark::new(
                Severity::Note,
                &it.place,
                "term.redundant",
                format!("{} 已经说明，本条件多余", other.place),
                format!("adds nothing to {}", other.place),
            ));
        } else if said.always() {
            out.push(Remark::new(
                Severity::Note,
                &it.place,
                "term.always",
                "总是成立，不起作用",
                "always holds, so that it says nothing",
            ));
        }
    }
}
