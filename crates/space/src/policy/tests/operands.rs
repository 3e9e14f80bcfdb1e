//! The operands that a data space speaks of, one by one: what facts make of each, and whether a node signs it.
//!
//! A term that is signed has a fact that some place of use knows; a term without one is refused by its name, and yet
//! evaluated where somebody hands the fact in.

use std::sync::LazyLock;
use std::time::Duration;

use crate::lang::Lang;
use crate::policy::compile::{compile, understand};
use crate::policy::eval::{Request, evaluate};
use crate::policy::facts::Deed;
use crate::policy::model::{
    Action, Atomic, Constraint, Kind, Operand, Operator, Policy, Rule, Value,
};
use crate::policy::render::render;
use crate::policy::terms::Topic;
use crate::policy::truth::Truth;
use crate::policy::usage::{Level, Use};
use crate::time::Time;
use crate::wire::samples::id;

static LATELY: LazyLock<[Time; 1]> = LazyLock::new(|| [at("2026-06-01T10:00:00Z")]);

type Facts = fn(&mut Request<'static>);

struct Row {
    operand: &'static str,
    op: Operator,
    value: &'static str,
    /// Facts with which it holds, and with which it does not.
    holds: Facts,
    fails: Facts,
    /// Nothing said: what is always known is not unknown.
    without: Truth,
    /// Signed, at the level for queries; or refused.
    signed: Option<Level>,
}

fn at(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn now(it: &mut Request<'static>, text: &str) {
    it.now = at(text);
}

fn topic(it: &mut Request<'static>, all: &'static [(Topic, &'static [&'static str])]) {
    it.more.topics = all;
}

const E0: Option<Level> = Some(Level::E0);
const E2: Option<Level> = Some(Level::E2);

fn row(
    (operand, op, value): (&'static str, Operator, &'static str),
    (holds, fails, without): (Facts, Facts, Truth),
    signed: Option<Level>,
) -> Row {
    Row { operand, op, value, holds, fails, without, signed }
}

/// Of time and of what is counted.
fn counted() -> Vec<Row> {
    use Operator as O;
    use Truth::{Unknown, Yes};
    const LATE: Facts = |it| now(it, "2028-01-01T00:00:00Z");
    vec![
        row(("dateTime", O::Lteq, "2027-06-30T00:00:00Z"), (|_| {}, LATE, Yes), E2),
        row(
            ("tidm:timeWindow", O::Eq, "Mon-Fri 18:00/22:00+08:00"),
            (|_| {}, |it| now(it, "2026-06-01T22:00:00Z"), Yes),
            E2,
        ),
        row(
            ("elapsedTime", O::Lteq, "P3M"),
            (|_| {}, |it| it.first_use_at = Some(at("2026-01-01T00:00:00Z")), Yes),
            E2,
        ),
        row(
            ("delayPeriod", O::Gteq, "P30D"),
            (
                |it| it.agreed_at = Some(at("2026-01-01T00:00:00Z")),
                |it| it.agreed_at = Some(at("2026-05-31T00:00:00Z")),
                Unknown,
            ),
            E2,
        ),
        row(
            ("meteredTime", O::Lteq, "PT60M"),
            (
                |it| it.more.metered = Some(Duration::from_secs(3600)),
                |it| it.more.metered = Some(Duration::from_secs(3601)),
                Unknown,
            ),
            E2,
        ),
        row(
            ("timeInterval", O::Eq, "P1D"),
            (|it| it.more.uses_at = Some(&[]), |it| it.more.uses_at = Some(&*LATELY), Unknown),
            E2,
        ),
        row(("count", O::Lteq, "3"), (|it| it.uses_so_far = 2, |it| it.uses_so_far = 3, Yes), E2),
        row(
            ("tidm:frequency", O::Lteq, "1/P1D"),
            (|it| it.more.uses_at = Some(&[]), |it| it.more.uses_at = Some(&*LATELY), Unknown),
            E2,
        ),
        row(
            ("tidm:dataSize", O::Lteq, "100"),
            (|it| it.more.bytes = Some(100), |it| it.more.bytes = Some(101), Unknown),
            E2,
        ),
        row(
            ("tidm:recordCount", O::Lteq, "100"),
            (|it| it.more.records = Some(100), |it| it.more.records = Some(101), Unknown),
            E2,
        ),
    ]
}

/// Of who uses it, for what, and where.
fn party() -> Vec<Row> {
    use Operator as O;
    use Truth::{No, Unknown, Yes};
    vec![
        row(
            ("recipient", O::Eq, "did:web:a.example"),
            (|_| {}, |it| it.recipient = "did:web:b.example", Yes),
            E2,
        ),
        row(
            ("tidm:assigneeRole", O::IsAnyOf, "auditor"),
            (
                |it| topic(it, &[(Topic::Role, &["consumer", "auditor"])]),
                |it| topic(it, &[(Topic::Role, &["consumer"])]),
                Unknown,
            ),
            E2,
        ),
        row(
            ("purpose", O::Eq, "quality"),
            (|it| it.purpose = Some("quality"), |it| it.purpose = Some("sale"), Unknown),
            E0,
        ),
        row(
            ("spatial", O::IsPartOf, "CN"),
            (
                |it| topic(it, &[(Topic::Region, &["CN-32", "CN"])]),
                |it| topic(it, &[(Topic::Region, &["DE"])]),
                Unknown,
            ),
            E0,
        ),
        row(
            ("tidm:networkAddress", O::IsAnyOf, "10.1.0.0/16"),
            (
                |it| it.more.network = "10.1.2.3".parse().ok(),
                |it| it.more.network = "10.2.2.3".parse().ok(),
                Unknown,
            ),
            E2,
        ),
        row(
            ("systemDevice", O::Eq, "urn:connector:7"),
            (
                |it| topic(it, &[(Topic::Device, &["urn:connector:7"])]),
                |it| topic(it, &[(Topic::Device, &["urn:connector:8"])]),
                Unknown,
            ),
            None,
        ),
        row(
            ("tidm:application", O::Eq, "urn:app:7"),
            (
                |it| topic(it, &[(Topic::Application, &["urn:app:7"])]),
                |it| topic(it, &[(Topic::Application, &["urn:app:8"])]),
                Unknown,
            ),
            None,
        ),
        row(
            ("tidm:algorithm", O::Eq, "mean"),
            (
                |it| topic(it, &[(Topic::Algorithm, &["mean"])]),
                |it| topic(it, &[(Topic::Algorithm, &["sum"])]),
                Unknown,
            ),
            None,
        ),
        row(
            ("tidm:model", O::Eq, "urn:model:7"),
            (
                |it| topic(it, &[(Topic::Model, &["urn:model:7"])]),
                |it| topic(it, &[(Topic::Model, &["urn:model:8"])]),
                Unknown,
            ),
            None,
        ),
        row(
            ("tidm:executionEnvironment", O::Eq, "tee"),
            (
                |it| topic(it, &[(Topic::Environment, &["tee"])]),
                |it| topic(it, &[(Topic::Environment, &["sandbox"])]),
                // A query takes place in the provider's sandbox, whatever else is known.
                No,
            ),
            // Of a query nobody has evidence; of what is sealed see below.
            E0,
        ),
        row(
            ("tidm:encryptionMode", O::Eq, "enc/cipher"),
            (|it| it.kind = Use::SealedTable, |it| it.kind = Use::Plain, No),
            E2,
        ),
        row(
            ("tidm:deliveryMethod", O::Eq, "dlv/api"),
            (|_| {}, |it| it.kind = Use::SealedTable, Yes),
            E2,
        ),
        row(
            ("event", O::Gteq, "urn:event:recall"),
            (
                |it| it.more.events = Some(&[("urn:event:recall", Time::ZERO)]),
                |it| it.more.events = Some(&[]),
                Unknown,
            ),
            None,
        ),
        row(
            ("version", O::Gteq, "2"),
            (|it| it.more.version = Some("2"), |it| it.more.version = Some("1.9"), Unknown),
            E2,
        ),
    ]
}

fn constraint(it: &Row) -> Constraint {
    let right = Value::text(it.value);
    Atomic::new(Operand::from_name(it.operand), it.op.clone(), right).into()
}

fn policy(constraints: Vec<Constraint>) -> Policy {
    let mut it = Policy::new(id("urn:o"), Kind::Offer);
    it.permissions.push(Rule::new(Action::Use, constraints));
    it
}

/// A Monday.
fn request() -> Request<'static> {
    Request::new(at("2026-06-01T12:00:00Z"), Use::Query, "did:web:a.example")
}

fn truth(of: &Policy, facts: Facts) -> Truth {
    let terms = understand(of).unwrap();
    let mut request = request();
    facts(&mut request);
    evaluate(&terms, &request).why.truth
}

#[test]
fn every_operand_is_evaluated_and_signed_or_refused_by_name() {
    let rows: Vec<Row> = counted().into_iter().chain(party()).collect();
    // Beside them, below: data fields, values of fields, amounts of money.
    assert_eq!(rows.len() + 3, 27);
    for it in &rows {
        let of = policy(vec![constraint(it)]);
        assert!(!matches!(Operand::from_name(it.operand), Operand::Unknown(_)), "{}", it.operand);
        assert_eq!(truth(&of, it.holds), Truth::Yes, "{}", it.operand);
        assert_eq!(truth(&of, it.fails), Truth::No, "{}", it.operand);
        assert_eq!(truth(&of, |_| {}), it.without, "{}", it.operand);
        let level = match compile(&of) {
            Ok(_) => {
                let said = render(&of, Lang::En, Use::Query);
                assert!(said.iter().all(|it| it.understood), "{}", it.operand);
                Some(said[1].level)
            }
            Err(why) => {
                assert_eq!((why.len(), &*why[0].term), (1, it.operand));
                None
            }
        };
        assert_eq!(level, it.signed, "{}", it.operand);
        // A key goes to nobody without evidence of the environment: the demand is kept by what the evidence names.
        let sealed = render(&of, Lang::En, Use::SealedTable);
        let proven = sealed.iter().any(|it| it.level >= Level::E3);
        assert_eq!(proven, it.operand == "tidm:executionEnvironment", "{}", it.operand);
    }
}

#[test]
fn fields_their_values_and_money_are_limits_and_duties() {
    let atom = |left: &str, op, right: &str| -> Constraint {
        Atomic::new(Operand::from_name(left), op, Value::text(right)).into()
    };
    // Data fields: a permitted use keeps to them, and one that asks for others is denied.
    let of = policy(vec![atom("tidm:columns", Operator::Eq, "temp")]);
    let terms = compile(&of).unwrap();
    let (inside, outside) = (["temp".to_owned()], ["line".to_owned()]);
    for (columns, truth) in
        [(None, Truth::Yes), (Some(&inside), Truth::Yes), (Some(&outside), Truth::No)]
    {
        let asked = Request { columns: columns.map(|it| &it[..]), ..request() };
        assert_eq!(evaluate(&terms, &asked).why.truth, truth);
    }
    // Values of fields: which rows a permitted use may touch.
    let of = policy(vec![atom("tidm:valueExpression", Operator::Eq, "temp >= 20")]);
    let limits = evaluate(&compile(&of).unwrap(), &request()).permitted().unwrap();
    assert_eq!(limits.filter.unwrap().to_string(), "temp >= 20");
    // Money: owed by a duty; a condition of a permission it is not.
    let why = compile(&policy(vec![atom("payAmount", Operator::Lteq, "100")])).unwrap_err();
    assert_eq!(why[0].term, "payAmount");
    let price =
        vec![atom("payAmount", Operator::Eq, "100.00"), atom("tidm:currency", Operator::Eq, "CNY")];
    let mut of = policy(vec![]);
    of.permissions[0].duties.push(Rule::new(Action::Compensate, price));
    let paid = |paid| {
        let asked = Request { paid, ..request() };
        evaluate(&understand(&of).unwrap(), &asked).why.truth
    };
    assert_eq!(
        [paid(Some(true)), paid(Some(false)), paid(None)],
        [Truth::Yes, Truth::No, Truth::Unknown]
    );
}

/// What the gate found of who asks is not asked for again where the data is used.
#[test]
fn what_the_gate_looks_at_binds_always_and_is_looked_at_once() {
    let role =
        || constraint(&party().into_iter().find(|it| it.operand == "tidm:assigneeRole").unwrap());
    let of = policy(vec![role()]);
    assert_eq!(truth(&of, |it| it.more.gated = true), Truth::Yes);
    let mut either = policy(vec![Constraint::Or(vec![role(), role()])]);
    assert_eq!(compile(&either).unwrap_err()[0].term, "tidm:assigneeRole");
    either = policy(vec![]);
    either.prohibitions.push(Rule::new(Action::Distribute, vec![role()]));
    assert_eq!(compile(&either).unwrap_err()[0].term, "tidm:assigneeRole");
    let kinds = |kind| !compile(&of).unwrap().unkeepable(kind).is_empty();
    assert_eq!(Use::ALL.map(kinds), [false, false, false, true, true]);
}

#[test]
fn consent_comes_first_and_is_given_once() {
    let mut of = policy(vec![]);
    of.permissions[0].duties.push(Rule::new(Action::ObtainConsent, vec![]));
    let terms = compile(&of).unwrap();
    for (given, truth) in [(true, Truth::Yes), (false, Truth::No)] {
        let deeds = terms.consent(given);
        let mut asked = request();
        asked.more.deeds = &deeds;
        assert_eq!(evaluate(&terms, &asked).why.truth, truth, "{given}");
    }
    assert_eq!(evaluate(&terms, &request()).why.truth, Truth::Unknown, "nobody said");
    let said = render(&of, Lang::En, Use::SealedTable);
    assert!(
        said.iter().any(|it| it.text.contains("consents") && it.level == Level::E2),
        "{said:?}"
    );
}

/// A consequence heals the duty that was missed, a remedy the prohibition that was infringed: branches of the explanation.
#[test]
fn consequences_and_remedies_heal() {
    let mut of = policy(vec![]);
    let mut delete = Rule::new(Action::Delete, vec![]);
    delete.consequences.push(Rule::new(Action::Inform, vec![]));
    of.obligations.push(delete);
    compile(&of).expect("a missed deletion is told");
    let mut ban = Rule::new(Action::Distribute, vec![]);
    ban.remedies.push(Rule::new(Action::Delete, vec![]));
    of.prohibitions.push(ban);
    assert_eq!(compile(&of).unwrap_err()[0].term, "remedy");
    const DUTY: &str = "obligation[0]";
    const CONSEQUENCE: &str = "obligation[0].consequence[0]";
    const REMEDY: &str = "prohibition[0].remedy[0]";
    let terms = understand(&of).unwrap();
    let asked = |deeds: &[(&str, Deed)], infringed: &[&str]| {
        let mut request = request();
        (request.more.deeds, request.more.infringed) = (deeds, infringed);
        let decision = evaluate(&terms, &request);
        let said = format!("{:?}", decision.why);
        (decision.why.truth, said)
    };
    for (deeds, infringed, truth) in [
        (&[][..], &[][..], Truth::Yes),
        (&[(DUTY, Deed::Violated)], &[], Truth::Unknown),
        (&[(DUTY, Deed::Violated), (CONSEQUENCE, Deed::Open)], &[], Truth::No),
        (&[(DUTY, Deed::Violated), (CONSEQUENCE, Deed::Done)], &[], Truth::Yes),
        (&[], &["prohibition[0]"], Truth::Unknown),
        (&[(REMEDY, Deed::Open)], &["prohibition[0]"], Truth::No),
        (&[(REMEDY, Deed::Done)], &["prohibition[0]"], Truth::Yes),
    ] {
        let (got, said) = asked(deeds, infringed);
        assert_eq!(got, truth, "{deeds:?} {infringed:?}");
        assert_eq!(said.contains("Healed"), !infringed.is_empty());
    }
    // Others are refused by the name of the act that nobody here would do.
    let mut other = policy(vec![]);
    let mut delete = Rule::new(Action::Delete, vec![]);
    delete.consequences.push(Rule::new(Action::Compensate, vec![]));
    other.obligations.push(delete);
    assert!(compile(&other).unwrap_err().iter().any(|it| it.term == "compensate"));
}
