//! What holds for every policy and every state of knowledge.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::id::Id;
use crate::policy::compile::{compile, understand};
use crate::policy::model::{Atomic, Constraint, Kind, Operand, Operator, Policy, Rule, Value};
use crate::policy::terms::Topic;
use crate::policy::usage::Use;
use crate::time::Time;
use crate::wire::odrl::{OdrlPolicy, to_json};

const NOW: &str = "2026-06-01T00:00:00Z";
const PLACES: [&str; 2] = ["CN-32", "CN"];
const EVENTS: [(&str, i64); 1] = [("audit", 1_700_000_000_000)];

fn atom() -> impl Strategy<Value = Constraint> {
    use Operand as L;
    use Operator as O;
    let said = vec![
        (L::DateTime, O::Lteq, NOW),
        (L::DateTime, O::Lt, NOW),
        (L::DateTime, O::Neq, NOW),
        (L::Count, O::Lteq, "2"),
        (L::ElapsedTime, O::Lteq, "P1M"),
        (L::DelayPeriod, O::Gteq, "PT1H"),
        (L::Purpose, O::Eq, "a"),
        (L::Purpose, O::Neq, "a"),
        (L::Recipient, O::Eq, "did:web:me"),
        (L::KindOfUse, O::Eq, "query"),
        (L::TimeWindow, O::Eq, "Mon 00:00/12:00Z"),
        (L::Spatial, O::IsPartOf, "CN"),
        (L::Spatial, O::Neq, "CN-32"),
        (L::Version, O::Gteq, "2"),
        (L::Event, O::Gteq, "audit"),
        (L::Event, O::Lt, "audit"),
        (L::Frequency, O::Lteq, "1/P1D"),
        (L::MeteredTime, O::Lteq, "PT1H"),
        (L::DataSize, O::Lteq, "100"),
        (L::Network, O::IsPartOf, "10.0.0.0/8"),
    ];
    proptest::sample::select(said)
        .prop_map(|(left, op, right)| Atomic::new(left, op, Value::text(right)).into())
}

fn constraint() -> impl Strategy<Value = Constraint> {
    atom().prop_recursive(3, 12, 3, |inner| {
        (proptest::collection::vec(inner, 1..4), 0..4).prop_map(|(parts, how)| match how {
            0 => Constraint::And(parts),
            1 => Constraint::Or(parts),
            2 => Constraint::Xone(parts),
            _ => Constraint::AndSequence(parts),
        })
    })
}

/// Limits stand at the top of a permission only.
fn limit() -> impl Strategy<Value = Constraint> {
    let said = vec![
        (Operand::MinGroup, Operator::Gteq, "5"),
        (Operand::OutputRows, Operator::Lteq, "10"),
        (Operand::Columns, Operator::Eq, "t"),
        (Operand::ValueExpression, Operator::Eq, "t >= 20"),
    ];
    proptest::sample::select(said)
        .prop_map(|(left, op, right)| Atomic::new(left, op, Value::text(right)).into())
}

fn action() -> impl Strategy<Value = Action> {
    proptest::sample::select(vec![
        Action::Use,
        Action::Read,
        Action::Print,
        Action::Sell,
        Action::Copy,
    ])
}

fn rules(limits: usize) -> impl Strategy<Value = Vec<Rule>> {
    let duty =
        proptest::sample::select(vec![Action::ObtainConsent, Action::Inform, Action::Watermark]);
    let rule = (
        action(),
        proptest::collection::vec(constraint(), 0..3),
        proptest::collection::vec(limit(), 0..=limits),
        proptest::option::of(duty),
        proptest::option::of(Just("urn:club")),
    );
    let rule = rule.prop_map(move |(action, mut all, limits_said, duty, party)| {
        all.extend(limits_said);
        let mut it = Rule::new(action, all);
        it.assignee = party.map(|it| Id::parse(it).unwrap());
        let owed: Vec<Rule> = duty.into_iter().map(|it| Rule::new(it, vec![])).collect();
        *(if limits > 0 { &mut it.duties } else { &mut it.remedies }) = owed;
        it
    });
    proptest::collection::vec(rule, 0..4)
}

prop_compose! {
    fn policy()(
        permissions in rules(2),
        prohibitions in rules(0),
        conflict in proptest::option::of(proptest::sample::select(vec![
            Conflict::Permission, Conflict::Prohibition, Conflict::Invalid,
        ])),
    ) -> Policy {
        let mut it = Policy::new(Id::parse("urn:o").unwrap(), Kind::Set);
        it.permissions = permissions;
        it.prohibitions = prohibitions;
        it.conflict = conflict;
        it
    }
}

/// Which facts are known, one bit each.
fn verdict(terms: &Terms, asked: &Action, known: u16) -> (Truth, Verdict) {
    let has = |bit: u16| known >> bit & 1 == 1;
    let now = Time::parse(NOW).unwrap();
    let events = EVENTS.map(|(name, at)| (name, Time::from_ms(at)));
    let uses = [now];
    let topics = [(Topic::Region, &PLACES[..])];
    let club = ["urn:club"];
    let request = Request {
        action: asked.clone(),
        purpose: has(0).then_some("a"),
        agreed_at: has(1).then_some(Time::ZERO),
        more: Facts {
            topics: if has(2) { &topics } else { &[] },
            version: has(3).then_some("2.1"),
            events: has(4).then_some(&events[..]),
            uses_at: has(5).then_some(&uses[..]),
            metered: has(6).then_some(Duration::from_secs(60)),
            bytes: has(7).then_some(101),
            network: has(8).then(|| "10.1.1.1".parse().unwrap()),
            recipient_in: has(9).then_some(&club[..]),
            ..Facts::default()
        },
        ..Request::new(now, Use::Query, "did:web:me")
    };
    let decision = evaluate(terms, &request);
    (decision.why.truth, decision.verdict)
}

fn reversed(it: &Constraint) -> Constraint {
    let turn = |all: &[Constraint]| all.iter().rev().map(reversed).collect();
    match it {
        Constraint::And(all) => Constraint::And(turn(all)),
        Constraint::Or(all) => Constraint::Or(turn(all)),
        Constraint::Xone(all) => Constraint::Xone(turn(all)),
        // Order is what these say.
        Constraint::AndSequence(_) | Constraint::Atomic(_) => it.clone(),
    }
}

fn turned(it: &Policy) -> Policy {
    let rules = |all: &[Rule]| {
        let rule = |it: &Rule| Rule {
            constraints: it.constraints.iter().rev().map(reversed).collect(),
            ..it.clone()
        };
        all.iter().rev().map(rule).collect()
    };
    Policy {
        permissions: rules(&it.permissions),
        prohibitions: rules(&it.prohibitions),
        ..it.clone()
    }
}

fn limits(it: Verdict) -> Option<Limits> {
    match it {
        Verdict::Permit(limits) => Some(limits),
        Verdict::Deny(_) | Verdict::Unknown(_) => None,
    }
}

proptest! {
    #[test]
    fn every_policy_gets_an_answer(it in policy(), asked in action(), known in any::<u16>()) {
        if let Ok(terms) = understand(&it) {
            let (truth, verdict) = verdict(&terms, &asked, known);
            prop_assert_eq!(truth == Truth::Yes, matches!(verdict, Verdict::Permit(_)));
        }
    }

    /// One more prohibition, or one more condition of a permission, never permits more.
    #[test]
    fn denials_are_monotone(it in policy(), more in rules(0), extra in constraint(), asked in action(), known in any::<u16>()) {
        let mut stricter = it.clone();
        stricter.prohibitions.extend(more);
        let mut narrower = it.clone();
        for rule in &mut narrower.permissions {
            rule.constraints.push(extra.clone());
        }
        if let Ok(terms) = understand(&it) {
            let before = verdict(&terms, &asked, known).0;
            for other in [stricter, narrower] {
                // Refused is stricter still.
                if let Ok(terms) = understand(&other) {
                    let after = verdict(&terms, &asked, known).0;
                    prop_assert!(after <= before, "{before:?} {after:?}");
                }
            }
        }
    }

    #[test]
    fn the_order_of_writing_decides_nothing(it in policy(), asked in action(), known in any::<u16>()) {
        if let (Ok(one), Ok(other)) = (understand(&it), understand(&turned(&it))) {
            let (one, other) = (verdict(&one, &asked, known), verdict(&other, &asked, known));
            prop_assert_eq!(one.0, other.0);
            // Two filters in one permission are joined in their order.
            let width = |it: Option<Limits>| it.map(|it| Limits { filter: None, ..it });
            prop_assert_eq!(width(limits(one.1)), width(limits(other.1)));
        } else {
            prop_assert_eq!(understand(&it).is_ok(), understand(&turned(&it)).is_ok());
        }
    }

    /// What is certain stays so whatever else becomes known.
    #[test]
    fn knowing_more_never_takes_back(it in policy(), asked in action(), known in any::<u16>(), more in any::<u16>()) {
        if let Ok(terms) = understand(&it) {
            let less = verdict(&terms, &asked, known).0;
            let then = verdict(&terms, &asked, known | more).0;
            prop_assert!(less == Truth::Unknown || less == then, "{less:?} {then:?}");
        }
    }

    /// compile(print(p)) = compile(p).
    #[test]
    fn printing_keeps_the_meaning(it in policy()) {
        let back = OdrlPolicy::parse(to_json(&it)).unwrap().model;
        prop_assert_eq!(understand(&back), understand(&it));
    }

    /// What a node signs means the same to every other reader of this program.
    #[test]
    fn signed_terms_are_understood_terms(
        parts in proptest::collection::vec((atom(), limit()), 0..3),
        ban in proptest::option::of(atom()),
        delete in any::<bool>(),
    ) {
        let mut it = Policy::new(Id::parse("urn:o").unwrap(), Kind::Offer);
        let all = parts.into_iter().flat_map(|(test, limit)| [test, limit]).collect();
        it.permissions = vec![Rule::new(Action::Use, all)];
        it.prohibitions = ban.into_iter().map(|it| Rule::new(Action::Read, vec![it])).collect();
        if delete {
            it.obligations = vec![Rule::new(Action::Delete, vec![])];
        }
        if let Ok(terms) = compile(&it) {
            prop_assert_eq!(understand(&it), Ok(terms));
        }
    }
}
