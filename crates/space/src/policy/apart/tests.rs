//! Rows of what meets and what does not; and that nothing which is called apart or impossible ever holds.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::policy::check::check;
use crate::policy::compile::understand;
use crate::policy::eval::{Request, RuleReport, What, report};
use crate::policy::facts::{Facts, Sums};
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
        ((Action::Use, Action::Read), year(), vec![atom(L::ElapsedTime, O::Gt, "P365D")], Perhaps),
        ((Action::Use, Action::Read), year(), vec![atom(L::ElapsedTime, O::Gt, "P373D")], Never),
        ((Action::Use, Action::Read), year(), vec![atom(L::ElapsedTime, O::Gt, "P13M")], Never),
        ((Action::Use, Action::Read), year(), vec![atom(L::MeteredTime, O::Gt, "P2Y")], Perhaps),
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
        // Uses are metered in less than milliseconds.
        (
            (Action::Use, Action::Read),
            vec![atom(L::MeteredTime, O::Lt, "PT1S")],
            vec![atom(L::MeteredTime, O::Gt, "PT0.999S")],
            Perhaps,
        ),
        // What never holds meets nothing, and whoever counts for a whole entity does not count for one contract.
        (
            (Action::Use, Action::Read),
            vec![atom(L::GroupFrequency, O::Lteq, "0/P1D")],
            vec![atom(L::Count, O::Gt, "5")],
            Never,
        ),
        (
            (Action::Use, Action::Read),
            vec![atom(L::GroupFrequency, O::Lteq, "1/P1D")],
            vec![atom(L::GroupFrequency, O::Lteq, "2/P1D")],
            Perhaps,
        ),
        (
            (Action::Use, Action::Read),
            vec![atom(L::GroupDataSize, O::Lteq, "5")],
            vec![atom(L::DataSize, O::Gt, "5")],
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
        assert_eq!(found(&policy(acts, grant.clone(), ban.clone())), should, "{grant:?} {ban:?}");
    }
}

/// All that is counted over a legal entity and can be said of a prohibition; the other budgets of one cannot.
#[test]
fn budgets_of_an_entity_exclude_each_other() {
    use Operand as L;
    use Operator as O;
    let acts = || (Action::Use, Action::Read);
    for (left, most, more) in [
        (L::GroupCount, "5", "4"),
        (L::GroupMeteredTime, "PT2H", "PT1H"),
        (L::GroupDataSize, "100", "99"),
        (L::GroupRecordCount, "100", "99"),
    ] {
        let grant = || vec![atom(left.clone(), O::Lteq, most)];
        for (from, should) in [(most, Meeting::Never), (more, Meeting::Perhaps)] {
            let ban = vec![atom(left.clone(), O::Gt, from)];
            assert_eq!(found(&policy(acts(), grant(), ban)), should, "{left:?} {from}");
        }
    }
    for (left, value) in [(L::GroupMatchBudget, "5"), (L::PrivacyBudget, "1.5")] {
        let it = policy(acts(), vec![], vec![atom(left.clone(), O::Lteq, value)]);
        assert_eq!(understand(&it).unwrap_err()[0].term, left.name());
    }
}

type Sample = (Operand, &'static str, &'static str);

fn ranges() -> Vec<Sample> {
    use Operand as L;
    vec![
        (L::DateTime, "2026-02-27T00:00:00Z", "2026-03-01T12:00:00Z"),
        (L::Count, "2", "3"),
        (L::ElapsedTime, "P1M", "P30D"),
        (L::DelayPeriod, "P1M", "P29D"),
        (L::MeteredTime, "PT100M", "PT100M0.001S"),
        (L::DataSize, "100", "101"),
        (L::RecordCount, "7", "7"),
        (L::GroupCount, "1", "4"),
        (L::GroupMeteredTime, "PT100M", "PT100M0.001S"),
        (L::GroupDataSize, "100", "101"),
        (L::GroupRecordCount, "7", "7"),
    ]
}

fn any_atom(few: Vec<Sample>) -> impl Strategy<Value = Constraint> {
    use Operand as L;
    use Operator as O;
    let op = proptest::sample::select(vec![O::Lt, O::Lteq, O::Gt, O::Gteq]);
    let left = proptest::sample::select(few);
    let often = proptest::sample::select(vec![L::Frequency, L::GroupFrequency]);
    let times = proptest::sample::select(vec!["0/P1D", "1/P1D", "2/P1M"]);
    let named = proptest::sample::select(vec![
        (L::Purpose, "a", "b"),
        (L::Recipient, "did:web:me", "did:web:you"),
        (L::KindOfUse, "query", "plain"),
    ]);
    let equal = proptest::sample::select(vec![O::Eq, O::Neq]);
    let pick = |(left, one, other), op, first| atom(left, op, if first { one } else { other });
    let event = |op| atom(L::Event, op, "e");
    prop_oneof![
        6 => (left, op.clone(), any::<bool>()).prop_map(move |(it, op, first)| pick(it, op, first)),
        3 => (named, equal, any::<bool>()).prop_map(move |(it, op, first)| pick(it, op, first)),
        2 => op.prop_map(event),
        1 => (often, times).prop_map(|(left, said)| atom(left, O::Lteq, said)),
    ]
}

fn conditions(few: Vec<Sample>) -> impl Strategy<Value = Vec<Constraint>> {
    let one = any_atom(few).prop_recursive(2, 6, 3, |inner| {
        (proptest::collection::vec(inner, 1..3), 0..4).prop_map(|(all, how)| match how {
            0 => Constraint::And(all),
            1 => Constraint::Or(all),
            2 => Constraint::Xone(all),
            _ => Constraint::AndSequence(all),
        })
    });
    proptest::collection::vec(one, 1..3)
}

/// Of a permission and of a prohibition, about few matters: else hardly any would be apart.
fn both() -> impl Strategy<Value = (Vec<Constraint>, Vec<Constraint>)> {
    let few = proptest::sample::subsequence(ranges(), 2);
    few.prop_flat_map(|few| (conditions(few.clone()), conditions(few)))
}

/// What the check says of conditions that never hold.
const IMPOSSIBLE: [&str; 8] = [
    "window.empty",
    "count.never",
    "elapsed.never",
    "delay.never",
    "total.never",
    "list.empty",
    "event.never",
    "alternatives.never",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// Whatever the facts are: rules that are said to be apart never hold both, and one that is said to be impossible never
    /// holds.
    #[test]
    fn what_is_called_apart_or_impossible_never_holds(
        (grant, ban) in both(),
        (day, used, agreed, uses) in (0..70_i64, 0..70_i64, 0..70_i64, 0..4_u64),
        (amount, others) in (99..103_u64, 99..103_u64),
        (purpose, query, happened) in ("[abc]", any::<bool>(), any::<bool>()),
    ) {
        let it = policy((Action::Use, Action::Read), grant, ban);
        let start = Time::parse("2026-01-20T00:00:00Z").unwrap();
        let at = |days: i64| Time::from_ms(start.ms() + days * 86_400_000);
        let (events, began) = ([("e", at(1))], [at(day)]);
        let kind = if query { Use::Query } else { Use::Plain };
        // Steps of half a millisecond.
        let lasted = |n: u64| Some(Duration::from_micros(6_000_000_000 + (n - 99) * 500));
        let request = Request {
            uses_so_far: uses,
            first_use_at: Some(at(used.min(day))),
            agreed_at: Some(at(agreed.min(day))),
            purpose: Some(&purpose),
            more: Facts {
                metered: lasted(amount),
                bytes: Some(amount),
                records: Some(amount - 94),
                group_uses: Some(uses),
                uses_at: Some(&began),
                group: Sums {
                    uses_at: Some(&began),
                    metered: lasted(others),
                    bytes: Some(others),
                    records: Some(others - 94),
                },
                events: Some(if happened { &events } else { &[] }),
                ..Facts::default()
            },
            ..Request::new(at(day), kind, "did:web:me")
        };
        let terms = understand(&it).unwrap();
        let told = report(&terms, &request);
        let holds = |it: &RuleReport<'_>| {
            let tests = it.premises.iter().filter(|it| matches!(it.what, What::Test(_)));
            Truth::all(tests.map(|it| it.truth)) == Truth::Yes
        };
        if found(&it) == Meeting::Never {
            prop_assert!(!told.iter().all(holds));
        }
        for remark in check(&it, start, &[]).iter().filter(|it| IMPOSSIBLE.contains(&it.code)) {
            let rule = told.iter().find(|it| remark.place.starts_with(it.place)).unwrap();
            prop_assert!(!holds(rule), "{remark:?}");
        }
    }
}
