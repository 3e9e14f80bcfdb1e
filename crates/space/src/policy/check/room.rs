//! Whether conditions can hold together, and which of them add nothing.
//!
//! Never calls possible conditions impossible: what cannot be compared (names of places, events) is passed over.

use std::collections::BTreeSet;

use crate::lang::Lang;
use crate::limits::CHECK_TERMS;
use crate::policy::axes::{Clash, Range, Room};
use crate::policy::check::{Remark, Ruled, Severity};
use crate::policy::compile::Side;
use crate::policy::model::{Kind, Policy};
use crate::policy::place;
use crate::policy::terms::{Clause, Member, Test};
use crate::policy::usage::{Level, Use};
use crate::policy::words::test_words;
use crate::time::Time;

/// One condition that binds, and where it stands.
struct Piece<'a> {
    place: String,
    test: &'a Test,
    /// It stands in a sequence.
    stepped: bool,
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
        out.push(Piece { place, test, stepped });
    }
}

/// The first condition that cannot hold with those in front of it.
fn clash<'a>(pieces: &[Piece<'a>]) -> Result<Room<'a>, (usize, Clash)> {
    let mut room = Room::forward();
    for (at, it) in pieces.iter().enumerate() {
        if let Some(clash) = room.add(it.test, false, at) {
            return Err((at, clash));
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
    match clash(&pieces) {
        Err((at, clash)) => out.extend(told(at, &clash, &pieces, never)),
        Ok(room) => {
            ends(&room, &pieces, policy, now, never, out);
            alternatives(&room, &pieces, never, out);
            assignee(&room, ruled, policy, never, out);
        }
    }
    needless(&pieces, out);
}

fn told(at: usize, clash: &Clash, pieces: &[Piece<'_>], severity: Severity) -> Option<Remark> {
    let it = pieces.get(at)?;
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
    let Some((end, at)) = room.end() else { return };
    let Some(piece) = pieces.get(at) else { return };
    if end < i128::from(now.ms()) {
        let over = if policy.kind == Kind::Agreement { Severity::Note } else { never };
        out.push(Remark::new(
            over,
            &piece.place,
            "window.past",
            "使用期限已过",
            "the time of use is already over",
        ));
    } else if let Some((begin, delay)) = room.begin(now)
        && policy.kind != Kind::Agreement
        && i128::from(begin.ms()) > end
    {
        out.push(Remark::new(
            never,
            pieces.get(delay).map_or("policy", |it| &*it.place),
            "window.delay",
            "即使现在签约，等待期满时使用期限也已过",
            "even if signed now, the time of use is over before the delay is",
        ));
    }
}

fn alternatives<'a>(room: &Room<'a>, pieces: &[Piece<'a>], never: Severity, out: &mut Vec<Remark>) {
    for it in pieces {
        let (Test::Any(branches) | Test::One(branches)) = it.test else { continue };
        let mut dead = vec![];
        for (i, branch) in branches.iter().enumerate() {
            let mut inner = vec![];
            flatten(branch, place::member(it.test, &it.place, i), it.stepped, &mut inner);
            let mut room = room.clone();
            let at = pieces.len();
            if inner.iter().any(|part| room.add(part.test, false, at).is_some()) {
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
    if room.shuts_out(id) {
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
    range: Option<Range>,
    /// The matter and the values of a list.
    list: Option<(&'static str, BTreeSet<&'a str>)>,
}

impl<'a> Said<'a> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other tests are compared as they stand")]
    fn new(test: &'a Test) -> Self {
        let texts = |all: &'a [String]| all.iter().map(String::as_str).collect();
        let list = match test {
            Test::Purpose(Member::In, all) => Some(("purpose", texts(all))),
            Test::Recipient(Member::In, all) => Some(("recipient", texts(all))),
            Test::Kind(all) => Some(("kind", all.iter().map(|it| it.name()).collect())),
            _ => None,
        };
        Self { test, range: Range::of(test, false), list }
    }

    /// Whether this holds wherever `other` does; of two that say the same, the later one is needless.
    fn implied_by(&self, other: &Self, earlier: bool) -> bool {
        if self.test == other.test {
            return !earlier;
        }
        if let (Some(wide), Some(narrow)) = (&self.range, &other.range) {
            return wide.covers(narrow) && !(wide == narrow && earlier);
        }
        if let (Some(wide), Some(narrow)) = (&self.list, &other.list) {
            let within = wide.0 == narrow.0 && narrow.1.is_subset(&wide.1);
            return within && !(wide == narrow && earlier);
        }
        matches!((asked(self.test), asked(other.test)), (Some(low), Some(high)) if low < high)
    }

    fn always(&self) -> bool {
        let kinds = |it: &(&str, BTreeSet<&str>)| it.0 == "kind" && it.1.len() == Use::ALL.len();
        self.range.as_ref().is_some_and(Range::always)
            || self.list.as_ref().is_some_and(kinds)
            || asked(self.test) == Some(Level::E0)
    }
}

/// Conditions that another one in the rule makes needless.
fn needless(pieces: &[Piece<'_>], out: &mut Vec<Remark>) {
    let all: Vec<_> = pieces.iter().take(CHECK_TERMS).map(|it| (it, Said::new(it.test))).collect();
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
