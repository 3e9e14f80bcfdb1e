//! What holds for every policy and every state of knowledge.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::id::Id;
use crate::policy::compile::{compile, understand};
use crate::policy::facts::Sums;
use crate::policy::model::{Atomic, Constraint, Kind, Operand, Operator, Policy, Rule, Value};
use crate::policy::terms::Topic;
use crate::policy::usage::Use;
use crate::time::Time;
use crate::wire::odrl::{OdrlPolicy, to_json};

const NOW: &str = "2026-06-01T00:00:00Z";
const EVENTS: [(&str, i64); 1] = [("audit", 1_700_000_000_000)];

type Said = (Operand, Operator, &'static str);

/// Every operand that is a condition, as rules on either side may have it.
fn tests() -> Vec<Said> {
    use Operand as L;
    use Operator as O;
    let mut all = vec![
        (L::DateTime, O::Lteq, NOW),
        (L::DateTime, O::Lt, NOW),
        (L::DateTime, O::Neq, NOW),
        (L::Count, O::Lteq, "2"),
        (L::ElapsedTime, O::Lteq, "P1M"),
        (L::DelayPeriod, O::Gteq, "PT1H"),
        (L::Purpose, O::Eq, "a"),
        (L::UsagePurpose, O::Eq, "a"),
        (L::UsageEndDate, O::Eq, NOW),
        (L::Purpose, O::Neq, "a"),
        (L::Recipient, O::Eq, "did:web:me"),
        (L::KindOfUse, O::Eq, "query"),
        (L::TimeWindow, O::Eq, "Mon 00:00/12:00Z"),
        (L::Version, O::Gteq, "2"),
        (L::Version, O::IsAnyOf, "2.1"),
        (L::Event, O::Gteq, "audit"),
        (L::Event, O::Lt, "audit"),
        (L::Frequency, O::Lteq, "1/P1D"),
        (L::TimeInterval, O::Eq, "P1D"),
        (L::MeteredTime, O::Lteq, "PT1H"),
        (L::DataSize, O::Lteq, "100"),
        (L::RecordCount, O::Gt, "100"),
        (L::GroupCount, O::Lteq, "2"),
        (L::GroupFrequency, O::Lteq, "1/P1D"),
        (L::GroupMeteredTime, O::Lteq, "PT1H"),
        (L::GroupDataSize, O::Lteq, "100"),
        (L::GroupRecordCount, O::Lteq, "100"),
        (L::Network, O::IsPartOf, "10.0.0.0/8"),
        (L::Network, O::IsNoneOf, "10.1.0.0/16"),
        (L::Encryption, O::Eq, "enc/plain"),
        (L::DeliveryMethod, O::Neq, "dlv/api"),
    ];
    for left in [
        L::Spatial,
        L::SystemDevice,
        L::VirtualLocation,
        L::Role,
        L::Application,
        L::Algorithm,
        L::Model,
        L::Environment,
        L::DeliveryChannel,
        L::FileFormat,
        L::Industry,
        L::Language,
        L::Media,
        L::Product,
    ] {
        all.extend([(left.clone(), O::IsPartOf, VALUES[0]), (left, O::Neq, VALUES[1])]);
    }
    all
}

/// What is proven of each matter whose values are names.
const VALUES: [&str; 2] = ["CN", "CN-32"];

/// Limits stand at the top of a permission only, and so does a demand for a level.
const LIMITS: [Said; 20] = [
    (Operand::MinGroup, Operator::Gteq, "5"),
    (Operand::OutputRows, Operator::Lteq, "10"),
    (Operand::OutputBytes, Operator::Lteq, "4096"),
    (Operand::Columns, Operator::Eq, "t"),
    (Operand::ValueExpression, Operator::Eq, "t >= 20"),
    (Operand::AggregatesOnly, Operator::Eq, "true"),
    (Operand::DeliveryRate, Operator::Lteq, "1000"),
    (Operand::DeliveryConnections, Operator::Lteq, "2"),
    (Operand::KeyOperator, Operator::Eq, "did:web:operator.example"),
    (Operand::MatchKey, Operator::Eq, "id:text;first"),
    (Operand::MatchItems, Operator::Lteq, "100"),
    (Operand::MatchBudget, Operator::Lteq, "1000"),
    (Operand::GroupMatchBudget, Operator::Lteq, "2000"),
    (Operand::PrivacyBudget, Operator::Lteq, "1.5"),
    (Operand::PrivacyUnit, Operator::Eq, "worker;3;hours:0.1:0:60"),
    (Operand::MinMatches, Operator::Gteq, "3"),
    (Operand::MatchShare, Operator::Lteq, "50"),
    (Operand::MatchResult, Operator::Eq, "consumer"),
    (Operand::MatchReveal, Operator::Eq, "size"),
    (Operand::Enforcement, Operator::Gteq, "E2"),
];

fn constraint_of((left, op, right): Said) -> Constraint {
    Atomic::new(left, op, Value::text(right)).into()
}

/// Duties that have conditions of their own kind.
fn owed() -> Vec<Rule> {
    let rule =
        |action, all: &[Said]| Rule::new(action, all.iter().cloned().map(constraint_of).collect());
    let price =
        [(Operand::PayAmount, Operator::Eq, "100.00"), (Operand::Currency, Operator::Eq, "CNY")];
    let mark = [(Operand::Watermark, Operator::Eq, "t:0.1;sensor")];
    vec![
        rule(Action::Compensate, &price),
        rule(Action::Watermark, &mark),
        rule(Action::Delete, &[(Operand::DateTime, Operator::Lteq, NOW)]),
        rule(Action::Delete, &[]),
        rule(Action::ObtainConsent, &[]),
        rule(Action::Inform, &[(Operand::DelayPeriod, Operator::Lt, "P1D")]),
        rule(Action::Inform, &[]),
        rule(Action::ReviewPolicy, &[(Operand::ElapsedTime, Operator::Lteq, "P1D")]),
        rule(Action::AcceptTracking, &[]),
        rule(Action::Anonymize, &[]),
    ]
}

/// The generators know every word of the model.
#[test]
fn no_operand_is_left_out() {
    let owed = owed();
    let duties = owed.iter().flat_map(|it| &it.constraints).filter_map(|it| match it {
        Constraint::Atomic(it) => Some(it.left.clone()),
        Constraint::And(_)
        | Constraint::Or(_)
        | Constraint::Xone(_)
        | Constraint::AndSequence(_) => None,
    });
    let said = tests().into_iter().chain(LIMITS).map(|it| it.0);
    let all: Vec<Operand> = said.chain(duties).collect();
    for it in Operand::KNOWN {
        assert!(all.contains(it), "{it:?}");
    }
    // Each of them is understood where it stands.
    for it in tests().into_iter().chain(LIMITS) {
        let mut policy = Policy::new(Id::parse("urn:o").unwrap(), Kind::Set);
        policy.permissions = vec![Rule::new(Action::Use, vec![constraint_of(it.clone())])];
        policy.obligations.clone_from(&owed);
        assert!(understand(&policy).is_ok(), "{it:?} {:?}", understand(&policy));
    }
}

fn atom() -> impl Strategy<Value = Constraint> {
    proptest::sample::select(tests()).prop_map(constraint_of)
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

fn limit() -> impl Strategy<Value = Constraint> {
    proptest::sample::select(LIMITS.to_vec()).prop_map(constraint_of)
}

/// With consequences, where it was missed.
fn duty() -> impl Strategy<Value = Rule> {
    let one = || proptest::sample::select(owed());
    (one(), proptest::option::of(one())).prop_map(|(mut it, then)| {
        it.consequences.extend(then);
        it
    })
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

/// Permissions with their limits and duties, or prohibitions with their remedies.
fn rules(permissions: bool) -> impl Strategy<Value = Vec<Rule>> {
    let limits = if permissions { 0..=2 } else { 0..=0_usize };
    let rule = (
        action(),
        proptest::collection::vec(constraint(), 0..3),
        proptest::collection::vec(limit(), limits),
        proptest::collection::vec(duty(), 0..3),
        proptest::option::of(Just("urn:club")),
        proptest::option::of(Just("urn:line")),
    );
    let rule = rule.prop_map(move |(action, mut all, limits, owed, party, asset)| {
        all.extend(limits);
        let mut it = Rule::new(action, all);
        it.assignee = party.map(|it| Id::parse(it).unwrap());
        it.target = asset.map(|it| Id::parse(it).unwrap());
        *(if permissions { &mut it.duties } else { &mut it.remedies }) = owed;
        it
    });
    proptest::collection::vec(rule, 0..4)
}

prop_compose! {
    fn policy()(
        permissions in rules(true),
        prohibitions in rules(false),
        obligations in proptest::collection::vec(duty(), 0..3),
        conflict in proptest::option::of(proptest::sample::select(vec![
            Conflict::Permission, Conflict::Prohibition, Conflict::Invalid,
        ])),
    ) -> Policy {
        let mut it = Policy::new(Id::parse("urn:o").unwrap(), Kind::Set);
        it.permissions = permissions;
        it.prohibitions = prohibitions;
        it.obligations = obligations;
        it.conflict = conflict;
        it
    }
}

/// What was done of what is owed, and which prohibitions were infringed: by two bits for each place.
struct World {
    deeds: Vec<(String, Deed)>,
    infringed: Vec<String>,
}

impl World {
    /// `turned`: the same of the same rules, where all lists of rules are written the other way round.
    fn of(it: &Policy, bits: u64, turned: bool) -> Self {
        let mut out = Self { deeds: vec![], infringed: vec![] };
        let lists = [
            ("permission", &it.permissions, "duty"),
            ("prohibition", &it.prohibitions, "remedy"),
            ("obligation", &it.obligations, ""),
        ];
        for (at, (name, rules, inner)) in lists.into_iter().enumerate() {
            for (i, rule) in rules.iter().enumerate() {
                let place = format!("{name}[{i}]");
                let key = at * 11 + 5 * if turned { rules.len() - 1 - i } else { i };
                let bit = |key: usize| bits >> (key % 31 * 2) & 3;
                if name == "prohibition" && bit(key) == 3 {
                    out.infringed.push(place.clone());
                }
                let mut tell = |place: String, key: usize, duty: &Rule| {
                    let deed = |key| {
                        [None, Some(Deed::Done), Some(Deed::Open), Some(Deed::Violated)]
                            [usize::try_from(bit(key)).unwrap()]
                    };
                    out.deeds.extend(deed(key).map(|it| (place.clone(), it)));
                    for j in 0..duty.consequences.len() {
                        let place = format!("{place}.consequence[{j}]");
                        out.deeds.extend(deed(key + 13).map(|it| (place, it)));
                    }
                };
                if inner.is_empty() {
                    tell(place, key, rule);
                    continue;
                }
                for (j, duty) in rule.duties.iter().chain(&rule.remedies).enumerate() {
                    tell(format!("{place}.{inner}[{j}]"), key + j + 1, duty);
                }
            }
        }
        out
    }
}

/// `known`: which facts are, one bit each.
fn verdict(terms: &Terms, asked: &Action, known: u32, world: &World) -> (Truth, Verdict) {
    let has = |bit: u32| known >> bit & 1 == 1;
    let now = Time::parse(NOW).unwrap();
    let events = EVENTS.map(|(name, at)| (name, Time::from_ms(at)));
    let uses = [now];
    // A version is a fact of its own, and the kind of use tells the rest.
    let names =
        Topic::ALL.into_iter().filter(|it| *it != Topic::Version && Use::Query.is(*it).is_none());
    let topics: Vec<(Topic, &[&str])> = names
        .enumerate()
        .filter(|(at, _)| has(16 + u32::try_from(at % 15).unwrap()))
        .map(|(_, it)| (it, &VALUES[..]))
        .collect();
    let (club, line) = (["urn:club"], ["urn:line"]);
    let deeds: Vec<(&str, Deed)> = world.deeds.iter().map(|(at, it)| (&**at, *it)).collect();
    let infringed: Vec<&str> = world.infringed.iter().map(String::as_str).collect();
    let request = Request {
        action: asked.clone(),
        purpose: has(0).then_some("a"),
        agreed_at: has(1).then_some(Time::ZERO),
        paid: has(2).then_some(true),
        more: Facts {
            topics: &topics,
            version: has(3).then_some("2.1"),
            events: has(4).then_some(&events[..]),
            uses_at: has(5).then_some(&uses[..]),
            metered: has(6).then_some(Duration::from_secs(60)),
            bytes: has(7).then_some(101),
            network: has(8).then(|| "10.1.1.1".parse().unwrap()),
            recipient_in: has(9).then_some(&club[..]),
            records: has(10).then_some(101),
            group_uses: has(11).then_some(1),
            group: Sums {
                uses_at: has(5).then_some(&uses[..]),
                metered: has(6).then_some(Duration::from_secs(60)),
                bytes: has(7).then_some(101),
                records: has(10).then_some(101),
            },
            target: has(12).then_some("urn:product"),
            target_in: has(13).then_some(&line[..]),
            gated: false,
            deeds: &deeds,
            infringed: &infringed,
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
        obligations: rules(&it.obligations),
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
    fn every_policy_gets_an_answer(it in policy(), asked in action(), known in any::<u32>(), bits in any::<u64>()) {
        if let Ok(terms) = understand(&it) {
            let (truth, verdict) = verdict(&terms, &asked, known, &World::of(&it, bits, false));
            prop_assert_eq!(truth == Truth::Yes, matches!(verdict, Verdict::Permit(_)));
        }
    }

    /// One more prohibition, duty, obligation or condition of all permissions never permits more.
    #[test]
    fn denials_are_monotone(
        it in policy(),
        (more, extra, owed) in (rules(false), constraint(), duty()),
        asked in action(),
        known in any::<u32>(),
        bits in any::<u64>(),
    ) {
        let mut stricter = it.clone();
        stricter.prohibitions.extend(more);
        let mut narrower = it.clone();
        let mut burdened = it.clone();
        for rule in &mut narrower.permissions {
            rule.constraints.push(extra.clone());
        }
        for rule in &mut burdened.permissions {
            rule.duties.push(owed.clone());
        }
        burdened.obligations.push(owed);
        if let Ok(terms) = understand(&it) {
            let before = verdict(&terms, &asked, known, &World::of(&it, bits, false)).0;
            for other in [stricter, narrower, burdened] {
                // Refused is stricter still.
                if let Ok(terms) = understand(&other) {
                    let after = verdict(&terms, &asked, known, &World::of(&other, bits, false)).0;
                    // A condition of which nobody knows makes a certain conflict an uncertain one: denied all the same.
                    let open = other.conflict.is_none_or(|it| it == Conflict::Invalid);
                    prop_assert!(after <= before || open && after != Truth::Yes, "{before:?} {after:?}");
                }
            }
        }
    }

    #[test]
    fn the_order_of_writing_decides_nothing(it in policy(), asked in action(), known in any::<u32>(), bits in any::<u64>()) {
        let other = turned(&it);
        if let (Ok(one), Ok(two)) = (understand(&it), understand(&other)) {
            let one = verdict(&one, &asked, known, &World::of(&it, bits, false));
            let two = verdict(&two, &asked, known, &World::of(&other, bits, true));
            prop_assert_eq!(one.0, two.0);
            // Two filters in one permission are joined in their order.
            let width = |it: Option<Limits>| it.map(|it| Limits { filter: None, ..it });
            prop_assert_eq!(width(limits(one.1)), width(limits(two.1)));
        } else {
            prop_assert_eq!(understand(&it).is_ok(), understand(&other).is_ok());
        }
    }

    /// What is certain stays so whatever other facts become known; what was done is the same.
    #[test]
    fn knowing_more_never_takes_back(it in policy(), asked in action(), known in any::<u32>(), more in any::<u32>(), bits in any::<u64>()) {
        if let Ok(terms) = understand(&it) {
            let world = World::of(&it, bits, false);
            let less = verdict(&terms, &asked, known, &world).0;
            let then = verdict(&terms, &asked, known | more, &world).0;
            prop_assert!(less == Truth::Unknown || less == then, "{less:?} {then:?}");
        }
    }

    /// Under `invalid` a policy permits what it permits under `prohibit`, or nothing; under `perm` no less.
    #[test]
    fn strategies_stand_in_order(it in policy(), asked in action(), known in any::<u32>(), bits in any::<u64>()) {
        let world = World::of(&it, bits, false);
        let under = |conflict| {
            let it = Policy { conflict: Some(conflict), ..it.clone() };
            understand(&it).map(|it| verdict(&it, &asked, known, &world))
        };
        if let (Ok(invalid), Ok(prohibit), Ok(perm)) =
            (under(Conflict::Invalid), under(Conflict::Prohibition), under(Conflict::Permission))
        {
            prop_assert!(invalid.0 <= prohibit.0 && prohibit.0 <= perm.0);
            if invalid.0 == Truth::Yes {
                prop_assert_eq!(limits(invalid.1), limits(prohibit.1));
            }
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
        it.conflict = Some(Conflict::Prohibition);
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
