//! Whether a permission and a prohibition can meet in one use (ODRL §2.10), as far as their own words tell.
//!
//! Threat: a policy that is signed and then void whenever both happen to hold. So what cannot be compared (hours of a week,
//! regions, roles) counts as able to meet: never calls two conditions apart that some use could fulfil together.

use crate::policy::span::Span;
use crate::policy::terms::{Clause, Cmp, Member, Test};

/// How a permission and a prohibition of one policy stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// They are about different acts, or their conditions exclude each other.
    Never,
    /// In some use, or for all that the words tell.
    Perhaps,
    /// Whatever the permission permits is prohibited.
    Always,
}

pub(super) fn meeting(grant: &Clause, ban: &Clause) -> Meeting {
    let always = ban.when == Test::All(vec![]) && ban.target.is_none() && ban.assignee.is_none();
    if !ban.action.stops(&grant.action) {
        Meeting::Never
    } else if always && ban.action.covers(&grant.action) {
        Meeting::Always
    } else if !always && exclude((&grant.when, false), (&ban.when, false)) {
        Meeting::Never
    } else {
        Meeting::Perhaps
    }
}

/// A test, and whether it stands in a sequence, where delays count from the step in front.
type Placed<'a> = (&'a Test, bool);

/// Whether no use fulfils both.
#[expect(clippy::wildcard_enum_match_arm, reason = "all others are no groups")]
fn exclude((one, stepped): Placed<'_>, other: Placed<'_>) -> bool {
    match (one, other.0) {
        (Test::All(all), _) => all.iter().any(|it| exclude((it, stepped), other)),
        (Test::Sequence(all), _) => all.iter().any(|it| exclude((it, true), other)),
        // Of alternatives at least one holds, also where it must be the only one.
        (Test::Any(all) | Test::One(all), _) => {
            !all.is_empty() && all.iter().all(|it| exclude((it, stepped), other))
        }
        (_, Test::All(_) | Test::Sequence(_) | Test::Any(_) | Test::One(_)) => {
            exclude(other, (one, stepped))
        }
        _ => contradict((one, stepped), other),
    }
}

/// Of two tests that are no groups.
#[expect(clippy::wildcard_enum_match_arm, reason = "other tests are not compared")]
fn contradict(one: Placed<'_>, other: Placed<'_>) -> bool {
    if let (Some((axis, low, high)), Some((its, from, to))) = (range(one), range(other)) {
        return axis == its && (before(high, from) || before(to, low));
    }
    match (one.0, other.0) {
        (Test::Purpose(how, all), Test::Purpose(its, said))
        | (Test::Recipient(how, all), Test::Recipient(its, said)) => {
            let among = |them: &[String], it: &String| them.contains(it);
            match (how, its) {
                (Member::In, Member::In) => !all.iter().any(|it| among(said, it)),
                (Member::In, Member::NotIn) => all.iter().all(|it| among(said, it)),
                (Member::NotIn, Member::In) => said.iter().all(|it| among(all, it)),
                _ => false,
            }
        }
        (Test::Kind(all), Test::Kind(said)) => !all.iter().any(|it| said.contains(it)),
        (Test::Event(after, name), Test::Event(its, said)) => name == said && after != its,
        _ => false,
    }
}

/// What is counted or measured from one beginning.
#[derive(PartialEq, Eq)]
enum Axis {
    Clock,
    Count,
    Elapsed,
    Delay,
    Metered,
    Size,
    Records,
    Group,
}

/// A value; of a duration its months apart, whose length nobody knows beforehand.
#[derive(Clone, Copy)]
struct Edge {
    months: u32,
    rest: i128,
}

/// Both ends included; `None`: open.
type Ends = (Axis, Option<Edge>, Option<Edge>);

#[expect(clippy::wildcard_enum_match_arm, reason = "other tests are no ranges")]
fn range((it, stepped): Placed<'_>) -> Option<Ends> {
    let number = |n: u64| Edge { months: 0, rest: i128::from(n) };
    let length = |it: Span| Edge { months: it.months(), rest: i128::from(it.ms()) };
    let (axis, cmp, at) = match it {
        Test::Clock(cmp, at) => (Axis::Clock, cmp, Edge { months: 0, rest: at.ms().into() }),
        Test::Count(cmp, n) => (Axis::Count, cmp, number(*n)),
        Test::Size(cmp, n) => (Axis::Size, cmp, number(*n)),
        Test::Records(cmp, n) => (Axis::Records, cmp, number(*n)),
        Test::Group(cmp, n) => (Axis::Group, cmp, number(*n)),
        Test::Elapsed(cmp, span) => (Axis::Elapsed, cmp, length(*span)),
        Test::Metered(cmp, span) => (Axis::Metered, cmp, length(*span)),
        // From the step in front it is over no sooner than from the agreement; of its end nothing is known.
        Test::Delay(cmp, span) if !stepped || matches!(cmp, Cmp::Gt | Cmp::Gteq) => {
            (Axis::Delay, cmp, length(*span))
        }
        _ => return None,
    };
    let next = |by: i128| Some(Edge { rest: at.rest.saturating_add(by), ..at });
    Some(match cmp {
        Cmp::Lt => (axis, None, next(-1)),
        Cmp::Lteq => (axis, None, next(0)),
        Cmp::Gt => (axis, next(1), None),
        Cmp::Gteq => (axis, next(0), None),
        Cmp::Eq => (axis, next(0), next(0)),
        Cmp::Neq => return None,
    })
}

/// Whether an end surely lies before a beginning, whichever months they are.
fn before(end: Option<Edge>, beginning: Option<Edge>) -> bool {
    const DAY: i128 = 86_400_000;
    let (Some(end), Some(beginning)) = (end, beginning) else { return false };
    if end.months == beginning.months {
        return end.rest < beginning.rest;
    }
    let length = |it: Edge, days: i128| i128::from(it.months) * days * DAY + it.rest;
    length(end, 31) < length(beginning, 28)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::policy::compile::understand;
    use crate::policy::eval::{Request, report};
    use crate::policy::facts::Facts;
    use crate::policy::model::Value;
    use crate::policy::model::{Action, Atomic, Constraint, Kind, Operand, Operator, Policy, Rule};
    use crate::policy::truth::Truth;
    use crate::policy::usage::Use;
    use crate::time::Time;
    use crate::wire::samples::id;

    fn policy(acts: (Action, Action), grant: Vec<Constraint>, ban: Vec<Constraint>) -> Policy {
        let mut it = Policy::new(id("urn:o"), Kind::Set);
        it.permissions = vec![Rule::new(acts.0, grant)];
        it.prohibitions = vec![Rule::new(acts.1, ban)];
        it
    }

    fn found(it: &Policy) -> Meeting {
        let terms = understand(it).unwrap();
        meeting(&terms.grants[0], &terms.bans[0])
    }

    fn atom(left: Operand, op: Operator, right: &str) -> Constraint {
        Atomic::new(left, op, Value::text(right)).into()
    }

    #[test]
    fn conditions_meet_unless_they_exclude_each_other() {
        use Meeting::{Always, Never, Perhaps};
        use Operand as L;
        use Operator as O;
        let year = || vec![atom(L::ElapsedTime, O::Lteq, "P1Y")];
        let until = |at| vec![atom(L::DateTime, O::Lteq, at)];
        let from = |op, at| vec![atom(L::DateTime, op, at)];
        let at = "2027-01-01T00:00:00Z";
        let either = |all| vec![Constraint::Or(all)];
        let steps = |op| {
            let wait = atom(L::DelayPeriod, op, "PT1H");
            vec![Constraint::AndSequence(vec![atom(L::DateTime, O::Gteq, at), wait])]
        };
        for (acts, grant, ban, should) in [
            ((Action::Use, Action::Use), vec![], vec![], Always),
            ((Action::Read, Action::Use), vec![], vec![], Always),
            ((Action::Use, Action::Read), vec![], vec![], Perhaps),
            ((Action::Print, Action::Read), vec![], vec![], Never),
            ((Action::Use, Action::Distribute), vec![], vec![], Never),
            ((Action::Use, Action::Read), until(at), from(O::Gt, at), Never),
            ((Action::Use, Action::Read), until(at), from(O::Gteq, at), Perhaps),
            ((Action::Use, Action::Read), year(), vec![atom(L::ElapsedTime, O::Gt, "P1Y")], Never),
            (
                (Action::Use, Action::Read),
                year(),
                vec![atom(L::ElapsedTime, O::Gt, "P365D")],
                Perhaps,
            ),
            (
                (Action::Use, Action::Read),
                year(),
                vec![atom(L::ElapsedTime, O::Gt, "P373D")],
                Never,
            ),
            (
                (Action::Use, Action::Read),
                year(),
                vec![atom(L::MeteredTime, O::Gt, "P2Y")],
                Perhaps,
            ),
            (
                (Action::Use, Action::Read),
                vec![atom(L::Purpose, O::Eq, "a")],
                either(vec![atom(L::Purpose, O::Neq, "a"), atom(L::Purpose, O::Eq, "b")]),
                Never,
            ),
            (
                (Action::Use, Action::Read),
                vec![atom(L::Purpose, O::Eq, "a")],
                either(vec![atom(L::Purpose, O::Neq, "a"), atom(L::Count, O::Gt, "5")]),
                Perhaps,
            ),
            (
                (Action::Use, Action::Read),
                vec![atom(L::Spatial, O::Eq, "CN")],
                vec![atom(L::Spatial, O::Neq, "CN")],
                Perhaps,
            ),
            // The step in front makes a delay later, so that only its beginning is known.
            (
                (Action::Use, Action::Read),
                steps(O::Gteq),
                vec![atom(L::DelayPeriod, O::Lt, "PT1H")],
                Never,
            ),
            (
                (Action::Use, Action::Read),
                steps(O::Lt),
                vec![atom(L::DelayPeriod, O::Gteq, "PT1H")],
                Perhaps,
            ),
        ] {
            assert_eq!(
                found(&policy(acts, grant.clone(), ban.clone())),
                should,
                "{grant:?} {ban:?}"
            );
        }
    }

    fn any_atom() -> impl Strategy<Value = Constraint> {
        use Operand as L;
        use Operator as O;
        let op = proptest::sample::select(vec![O::Lt, O::Lteq, O::Gt, O::Gteq]);
        let left = proptest::sample::select(vec![
            (L::DateTime, "2026-02-27T00:00:00Z", "2026-03-01T12:00:00Z"),
            (L::Count, "2", "3"),
            (L::ElapsedTime, "P1M", "P30D"),
            (L::DelayPeriod, "P1M", "P29D"),
            (L::MeteredTime, "PT1H", "PT2H"),
            (L::DataSize, "100", "101"),
            (L::RecordCount, "7", "7"),
            (L::GroupCount, "1", "4"),
        ]);
        let named = proptest::sample::select(vec![
            (L::Purpose, "a", "b"),
            (L::Recipient, "did:web:me", "did:web:you"),
            (L::KindOfUse, "query", "plain"),
        ]);
        let equal = proptest::sample::select(vec![O::Eq, O::Neq]);
        let pick = |(left, one, other), op, first| atom(left, op, if first { one } else { other });
        let event = |op| atom(L::Event, op, "e");
        prop_oneof![
            (left, op.clone(), any::<bool>()).prop_map(move |(it, op, first)| pick(it, op, first)),
            (named, equal, any::<bool>()).prop_map(move |(it, op, first)| pick(it, op, first)),
            op.prop_map(event),
        ]
    }

    fn conditions() -> impl Strategy<Value = Vec<Constraint>> {
        let one = any_atom().prop_recursive(2, 6, 3, |inner| {
            (proptest::collection::vec(inner, 1..3), 0..4).prop_map(|(all, how)| match how {
                0 => Constraint::And(all),
                1 => Constraint::Or(all),
                2 => Constraint::Xone(all),
                _ => Constraint::AndSequence(all),
            })
        });
        proptest::collection::vec(one, 1..3)
    }

    proptest! {
        // Few pairs are apart.
        #![proptest_config(ProptestConfig::with_cases(2048))]

        /// Whatever the facts are: rules that are said to be apart never hold both.
        #[test]
        fn rules_that_are_apart_never_hold_together(
            grant in conditions(),
            ban in conditions(),
            (day, used, agreed, uses) in (0..70_i64, 0..70_i64, 0..70_i64, 0..4_u64),
            (amount, purpose, query, happened) in (99..103_u64, "[abc]", any::<bool>(), any::<bool>()),
        ) {
            let it = policy((Action::Use, Action::Read), grant, ban);
            if found(&it) != Meeting::Never {
                return Ok(());
            }
            let start = Time::parse("2026-01-20T00:00:00Z").unwrap();
            let at = |days: i64| Time::from_ms(start.ms() + days * 86_400_000);
            let events = [("e", at(1))];
            let kind = if query { Use::Query } else { Use::Plain };
            let request = Request {
                uses_so_far: uses,
                first_use_at: Some(at(used.min(day))),
                agreed_at: Some(at(agreed.min(day))),
                purpose: Some(&purpose),
                more: Facts {
                    metered: Some(Duration::from_secs(amount * 60)),
                    bytes: Some(amount),
                    records: Some(amount - 94),
                    group_uses: Some(uses),
                    events: Some(if happened { &events } else { &[] }),
                    ..Facts::default()
                },
                ..Request::new(at(day), kind, "did:web:me")
            };
            let terms = understand(&it).unwrap();
            let both = report(&terms, &request);
            let holds = |it: &crate::policy::eval::RuleReport<'_>| {
                let tests = it.premises.iter().filter(|it| matches!(it.what, crate::policy::eval::What::Test(_)));
                Truth::all(tests.map(|it| it.truth))
            };
            prop_assert!(both.iter().any(|it| holds(it) != Truth::Yes));
        }
    }
}
