use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::policy::compile::understand;
use crate::policy::eval::evaluate;
use crate::policy::usage::Use;
use crate::wire::odrl::OdrlPolicy;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const EVENT: (&str, Time) = ("urn:recall", Time::from_ms(50 * HOUR));

fn terms(rules: Json) -> Terms {
    let mut it = json!({"@id": "urn:o", "@type": "Offer"});
    it.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    understand(&OdrlPolicy::parse(it).unwrap().model).unwrap()
}

fn atom(left: &str, op: &str, right: &str) -> Json {
    json!({"leftOperand": left, "operator": op, "rightOperand": right})
}

/// Asked at a moment; agreed at the beginning of time, first used an hour later.
fn asked(ms: i64) -> Request<'static> {
    let mut it = Request::new(Time::from_ms(ms), Use::Query, "did:web:a.example");
    it.first_use_at = Some(Time::from_ms(HOUR.min(ms)));
    it.agreed_at = Some(Time::ZERO);
    it.more.events = Some(&[EVENT]);
    it.more.deeds = &[("obligation[0]", Deed::Open)];
    it
}

/// A delay counts from the step in front: wherever the sequence stands, the lease ends when that is over.
#[test]
fn a_delay_in_a_sequence_counts_from_the_step_in_front() {
    let from = atom("dateTime", "gteq", "1970-01-02T00:00:00Z");
    let delay = atom("delayPeriod", "gteq", "PT6H");
    let recall = atom("event", "gteq", EVENT.0);
    let used = atom("elapsedTime", "lteq", "P9D");
    for (constraint, now, end) in [
        (json!({"andSequence": [from, delay]}), DAY + HOUR, Some(DAY + 6 * HOUR)),
        (json!({"andSequence": [from, delay]}), HOUR, Some(DAY)),
        (json!({"andSequence": [delay, from]}), HOUR, Some(6 * HOUR)),
        (json!({"andSequence": [from, {"and": [delay]}]}), DAY + HOUR, Some(DAY + 6 * HOUR)),
        (json!({"andSequence": [{"andSequence": [from]}, delay]}), DAY, Some(DAY + 6 * HOUR)),
        (json!({"andSequence": [from, delay, delay]}), DAY + 6 * HOUR, Some(DAY + 12 * HOUR)),
        (json!({"andSequence": [recall, delay]}), DAY, Some(EVENT.1.ms())),
        (json!({"andSequence": [recall, delay]}), EVENT.1.ms(), Some(EVENT.1.ms() + 6 * HOUR)),
        // One of two: what begins to hold ends what was permitted.
        (
            json!({"xone": [{"andSequence": [from, delay]}, used]}),
            2 * DAY,
            Some(9 * DAY + HOUR + 1),
        ),
        (json!({"xone": [{"andSequence": [from, delay]}, used]}), DAY + 1, Some(DAY + 6 * HOUR)),
        (delay, DAY, None),
    ] {
        let it = terms(json!({"permission": [{"action": "use", "constraint": [constraint]}]}));
        let until = until(&it, &asked(now)).map(Time::ms);
        assert_eq!(until, end, "{constraint} at {now}");
    }
}

fn one(left: &'static str) -> impl Strategy<Value = Json> {
    let time = (0_i64..8 * 86_400).prop_map(|it| Time::from_ms(it * 1000).to_string());
    let window = proptest::sample::select(vec![
        "Mon-Fri 08:00/18:00+08:00",
        "Thu,Sun 22:00/06:00-05:00",
        "00:30/00:00Z",
    ]);
    let span = || proptest::sample::select(vec!["PT30M", "P1D", "PT90S", "P3D"]);
    let op = || proptest::sample::select(vec!["lt", "lteq", "gt", "gteq"]);
    match left {
        "dateTime" => (op(), time).prop_map(|(op, at)| atom("dateTime", op, &at)).boxed(),
        "tidm:timeWindow" => window.prop_map(|it| atom("tidm:timeWindow", "eq", it)).boxed(),
        "event" => op().prop_map(|op| atom("event", op, EVENT.0)).boxed(),
        _ => (op(), span()).prop_map(move |(op, it)| atom(left, op, it)).boxed(),
    }
}

/// Tests of time, in groups of every kind, three deep.
fn any_time() -> impl Strategy<Value = Json> {
    const ALL: &[&str] = &["dateTime", "tidm:timeWindow", "elapsedTime", "delayPeriod", "event"];
    let leaf = proptest::sample::select(ALL).prop_flat_map(one);
    leaf.prop_recursive(3, 12, 3, |inner| {
        let group = proptest::sample::select(vec!["or", "xone", "and", "andSequence"]);
        (group, proptest::collection::vec(inner, 1..4)).prop_map(|(group, all)| json!({group: all}))
    })
}

proptest! {
    /// Whatever groups, alternatives, prohibitions and deadlines there are: the answer is the same through the whole lease.
    #[test]
    fn the_answer_holds_until_then(
        all in proptest::collection::vec(any_time(), 1..4),
        ban in proptest::option::of(any_time()),
        conflict in proptest::sample::select(vec!["perm", "prohibit", "invalid"]),
        deadline in proptest::option::of(any_time()),
        now in 0_i64..8 * DAY,
        within in 0_i64..=1000,
    ) {
        let mut rules = json!({"conflict": conflict,
            "permission": [{"action": "use", "constraint": all}, {"action": "print", "constraint": []}]});
        if let Some(ban) = ban {
            rules["prohibition"] = json!([{"action": "read", "constraint": [ban]}]);
        }
        if let Some(deadline) = deadline {
            rules["obligation"] = json!([{"action": "inform", "constraint": [deadline]}]);
        }
        let terms = terms(rules);
        let first = asked(now).first_use_at;
        let answer = |ms: i64| {
            let it = Request { first_use_at: first, ..asked(ms) };
            evaluate(&terms, &it).why.truth
        };
        let end = until(&terms, &asked(now)).map_or_else(|| now + 9 * DAY, Time::ms);
        prop_assert!(end > now);
        prop_assert_eq!(answer(now + (end - 1 - now) * within / 1000), answer(now));
        prop_assert_eq!(answer(end - 1), answer(now));
    }
}
