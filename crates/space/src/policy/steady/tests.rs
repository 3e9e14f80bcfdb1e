use proptest::prelude::*;

use super::*;
use crate::policy::compile::compile;
use crate::policy::eval::{Verdict, evaluate};
use crate::policy::usage::Use;
use crate::wire::odrl::OdrlPolicy;

fn terms(rules: serde_json::Value) -> Terms {
    let mut it = serde_json::json!({"@id": "urn:o", "@type": "Offer"});
    it.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    compile(&OdrlPolicy::parse(it).unwrap().model).unwrap()
}

fn atom(left: &str, op: &str, right: &str) -> serde_json::Value {
    serde_json::json!({"leftOperand": left, "operator": op, "rightOperand": right})
}

fn one(left: &'static str) -> impl Strategy<Value = serde_json::Value> {
    let time = (0_i64..8 * 86_400).prop_map(|it| Time::from_ms(it * 1000).to_string());
    let window = proptest::sample::select(vec![
        "Mon-Fri 08:00/18:00+08:00",
        "Thu,Sun 22:00/06:00-05:00",
        "00:30/00:00Z",
    ]);
    let span = proptest::sample::select(vec!["PT30M", "P1D", "PT90S", "P3D"]);
    match left {
        "dateTime" => {
            let op = proptest::sample::select(vec!["lt", "lteq", "gt", "gteq"]);
            (op, time).prop_map(|(op, at)| atom("dateTime", op, &at)).boxed()
        }
        "tidm:timeWindow" => window.prop_map(|it| atom("tidm:timeWindow", "eq", it)).boxed(),
        "elapsedTime" => span.prop_map(|it| atom("elapsedTime", "lteq", it)).boxed(),
        _ => span.prop_map(|it| atom("delayPeriod", "gteq", it)).boxed(),
    }
}

fn any_time() -> impl Strategy<Value = serde_json::Value> {
    proptest::sample::select(vec!["dateTime", "tidm:timeWindow", "elapsedTime", "delayPeriod"])
        .prop_flat_map(one)
}

proptest! {
    /// Whatever alternatives and prohibitions there are: the answer is the same through the whole lease.
    #[test]
    fn the_answer_holds_until_then(
        all in proptest::collection::vec(any_time(), 0..3),
        others in proptest::collection::vec(any_time(), 1..4),
        group in proptest::sample::select(vec!["or", "xone", "and"]),
        ban in prop_oneof![one("dateTime"), one("tidm:timeWindow")],
        banned in any::<bool>(),
        now in 0_i64..8 * 86_400_000,
        within in 0_i64..=1000,
    ) {
        let mut constraints = all;
        constraints.push(serde_json::json!({group: others}));
        let mut rules = serde_json::json!({"permission": [{"action": "use", "constraint": constraints}]});
        if banned {
            rules["prohibition"] = serde_json::json!([{"action": "read", "constraint": [ban]}]);
        }
        let terms = terms(rules);
        let at = |ms: i64| {
            let mut it = Request::new(Time::from_ms(ms), Use::Query, "did:web:a.example");
            it.first_use_at = Some(Time::from_ms(3_600_000).min(Time::from_ms(now)));
            it.agreed_at = Some(Time::ZERO);
            it
        };
        let permits = |ms: i64| matches!(evaluate(&terms, &at(ms)).verdict, Verdict::Permit(_));
        let end = until(&terms, &at(now)).map_or_else(|| now + 9 * 86_400_000, Time::ms);
        prop_assert!(end > now);
        prop_assert_eq!(permits(now + (end - 1 - now) * within / 1000), permits(now));
        prop_assert_eq!(permits(end - 1), permits(now));
    }
}
