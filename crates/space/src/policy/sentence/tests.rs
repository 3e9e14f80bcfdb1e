//! Whatever a person sets is said, in both languages, and survives the wire.

use proptest::prelude::*;

use super::*;
use crate::lang::Lang;
use crate::policy::compile::compile;
use crate::policy::matching::{Key, Reveal, To};
use crate::policy::privacy::Epsilon;
use crate::policy::render::render;
use crate::wire::odrl::{OdrlPolicy, to_json};

fn word() -> impl Strategy<Value = String> {
    "[a-z]{4,8}"
}

prop_compose! {
    pub(crate) fn sentences()(
        (to, purposes, columns) in (
            proptest::collection::btree_set(word(), 0..3),
            proptest::collection::btree_set(word(), 0..3),
            proptest::collection::btree_set(word(), 0..3),
        ),
        (uses, min_group, output_rows, output_bytes) in (
            proptest::option::of(1..1000_u64), proptest::option::of(1..50_u64),
            proptest::option::of(1..9999_u64), proptest::option::of(1..99999_u64),
        ),
        (delivery_rate, delivery_connections) in (
            proptest::option::of(1..u64::from(u32::MAX)), proptest::option::of(1..99_u64),
        ),
        (from, span, has_until) in (proptest::option::of(0..2_000_000_000_000_i64), 0..1_000_000_000_i64, any::<bool>()),
        export in prop_oneof![Just(Export::Unsaid), Just(Export::Forbidden), Just(Export::Permitted)],
        (aggregates_only, delete_after_use) in (any::<bool>(), any::<bool>()),
        price in proptest::option::of(0..u64::MAX),
        kinds in proptest::sample::subsequence(Use::ALL.to_vec(), 0..=5),
        level in proptest::option::of(proptest::sample::select(Level::ALL.to_vec())),
        (within, delay, delete_by) in (
            proptest::option::of(1_u32..900),
            proptest::option::of(1_u32..900),
            proptest::option::of(0_i64..4_000_000_000_000),
        ),
        (keyed, items, budget, least, share, both, reveal) in (
            any::<bool>(), proptest::option::of(1..1000_u64), proptest::option::of(1..1000_u64),
            proptest::option::of(1..1000_u64), proptest::option::of(0..=100_u64), proptest::option::of(any::<bool>()),
            proptest::option::of(proptest::collection::btree_set(proptest::sample::select(&Reveal::ALL[..]), 1..=6)),
        ),
        (rows, mark, split) in (
            proptest::option::of(Just("site = 'A''7' and 温度 >= -1.5")), proptest::option::of(Just("temp:0.01,功率:1;sensor")),
            proptest::option::of(Just("did:web:operator.example")),
        ),
    ) -> Sentences {
        Sentences {
            to: to.iter().map(|w| Did::parse(&format!("did:web:{w}")).unwrap()).collect(),
            uses,
            from: from.map(Time::from_ms),
            until: has_until.then(|| Time::from_ms(from.unwrap_or(0) + span)),
            asker: Asker {
                roles: purposes.iter().cloned().collect(),
                regions: keyed.then(|| "CN-32".to_owned()).into_iter().collect(),
                networks: both.and_then(|_| Network::parse("10.1.0.0/16").ok()).into_iter().collect(),
            },
            consent: has_until,
            tracked: keyed,
            told: both.is_some(),
            purposes: purposes.into_iter().collect(),
            columns: columns.into_iter().collect(),
            rows: rows.map(|it| Filter::parse(it).unwrap()),
            mark: mark.and_then(Mark::parse),
            aggregates_only,
            min_group,
            output_rows,
            output_bytes,
            delivery_rate,
            delivery_connections,
            split_with: split.map(|it| Did::parse(it).unwrap()),
            matching: Matching {
                key: keyed.then(|| Key::parse("零件号:text,maker:credit-code;first").unwrap()),
                items,
                budget,
                group_budget: least,
                least,
                share,
                to: both.map(|both| if both { To::Both } else { To::Consumer }),
                reveal,
            },
            privacy: if keyed && min_group.is_none() {
                Privacy { budget: Epsilon::from_micro(1_050_000), unit: Unit::parse("员工;3") }
            } else {
                Privacy::default()
            },
            export,
            derive: match export {
                Export::Unsaid => Export::Permitted,
                Export::Forbidden => Export::Unsaid,
                Export::Permitted => Export::Forbidden,
            },
            next_policy: has_until,
            delete_after_use,
            price: price.map(|micros| Price { micros, currency: "CNY".to_owned() }),
            kinds,
            level,
            within: within.map(Span::days),
            delay: delay.map(Span::days),
            counted: Counted {
                frequency: items.zip(within).map(|(n, days)| (n, Span::days(days))),
                interval: delay.map(Span::days),
                window: keyed.then(|| Window::parse("Mon-Fri 08:00/18:00+08:00").unwrap()),
                metered: within.map(Span::days),
                bytes: output_bytes,
                rows: output_rows,
                entity_uses: uses,
                entity_frequency: items.zip(within).map(|(n, days)| (n, Span::days(days))),
                entity_metered: delay.map(Span::days),
                entity_bytes: output_rows,
                entity_rows: min_group,
            },
            delete_by: delete_by.filter(|_| !delete_after_use).map(Time::from_ms),
        }
    }
}

proptest! {
    #[test]
    fn what_is_built_survives_the_wire_and_says_the_same(it in sentences()) {
        let policy = build(Id::parse("urn:o").unwrap(), Some(Id::parse("did:web:p").unwrap()), &it).unwrap();
        let bytes = to_json(&policy).to_string();
        let back = crate::wire::odrl::parse(bytes.as_bytes()).unwrap();
        prop_assert_eq!(&back.model, &policy);
        prop_assert_eq!(&back, &OdrlPolicy::from_model(policy.clone()));

        let terms = compile(&policy).map_err(|why| TestCaseError::fail(format!("{why:?}")))?;
        let said = &terms.summary;
        prop_assert_eq!(terms.passes_on(), it.next_policy);
        prop_assert_eq!(terms.price, it.price);
        prop_assert_eq!(&terms.mark, &it.mark);
        prop_assert_eq!(&said.limits.filter, &it.rows);
        prop_assert_eq!(&said.limits.operator, &it.split_with);
        prop_assert_eq!(said.delete_after_use, it.delete_after_use);
        prop_assert_eq!(said.export, it.export == Export::Permitted);
        prop_assert_eq!((said.from, said.until, said.uses), (it.from, it.until, it.uses));
        prop_assert_eq!(said.limits.aggregates_only, it.aggregates_only);
        prop_assert_eq!((said.limits.min_group, said.limits.output_rows, said.limits.output_bytes), (it.min_group, it.output_rows, it.output_bytes));
        prop_assert_eq!((said.limits.delivery_rate, said.limits.delivery_connections), (it.delivery_rate, it.delivery_connections));
        prop_assert_eq!(&*said.limits.matching, &it.matching);
        prop_assert_eq!(&*said.limits.privacy, &it.privacy);
        prop_assert_eq!(said.limits.columns.clone().unwrap_or_default().into_iter().collect::<Vec<_>>(), it.columns);
        prop_assert_eq!(said.purposes.clone().unwrap_or_default(), it.purposes);
        prop_assert_eq!(said.kinds.clone().unwrap_or_default(), it.kinds);
    }

    #[test]
    fn every_choice_is_said_in_both_languages(it in sentences()) {
        let policy = build(Id::parse("urn:o").unwrap(), None, &it).unwrap();
        for (lang, aggregates, export, no_export, delete) in [
            (Lang::Zh, "只能得到汇总结果", "允许导出", "禁止导出", "合约终止时删除"),
            (Lang::En, "nly aggregate results", "Permitted: export", "Prohibited: export", "deleted when the contract ends"),
        ] {
            let all = render(&policy, lang, Use::SealedTable);
            prop_assert!(all.iter().all(|s| s.understood), "{:?}", all);
            let text: String = all.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join("\n");
            let mut wanted: Vec<String> = it.purposes.iter().chain(&it.columns).cloned().collect();
            wanted.extend(it.to.iter().chain(&it.split_with).map(Did::to_string));
            wanted.extend([it.uses, it.min_group, it.output_rows, it.output_bytes, it.delivery_rate, it.delivery_connections, it.matching.items, it.matching.budget, it.matching.least, it.matching.share].into_iter().flatten().map(|n| n.to_string()));
            wanted.extend([it.from, it.until].into_iter().flatten().map(|t| t.to_string().replace(".000Z", "Z")));
            wanted.extend(it.kinds.iter().map(|k| k.words(lang).to_owned()));
            wanted.extend(it.rows.iter().map(Filter::to_string));
            wanted.extend(it.mark.iter().flat_map(|it| it.names().map(str::to_owned).collect::<Vec<_>>()));
            wanted.extend(it.price.iter().map(Price::to_string));
            wanted.extend(it.level.iter().map(|l| l.name().to_owned()));
            wanted.extend(it.privacy.budget.iter().map(|it| format!("{it}")));
            wanted.extend(it.privacy.unit.iter().map(|it| it.column.clone()));
            for (set, words) in [
                (it.aggregates_only, aggregates),
                (it.export == Export::Permitted, export),
                (it.export == Export::Forbidden, no_export),
                (it.delete_after_use, delete),
            ] {
                if set {
                    wanted.push(words.to_owned());
                } else {
                    prop_assert!(!text.contains(words), "{words} in {text}");
                }
            }
            for words in wanted {
                prop_assert!(text.contains(&words), "{words} missing in {text}");
            }
        }
    }
}

#[test]
fn choices_that_make_no_sense_are_refused() {
    let base = Sentences::default;
    let one = Did::parse("did:web:a").unwrap();
    for (it, expected) in [
        (Sentences { uses: Some(0), ..base() }, BadSentences::Zero("uses")),
        (Sentences { min_group: Some(0), ..base() }, BadSentences::Zero("min_group")),
        (
            Sentences { from: Some(Time::from_ms(2)), until: Some(Time::from_ms(1)), ..base() },
            BadSentences::Period,
        ),
        (Sentences { purposes: vec![" ".to_owned()], ..base() }, BadSentences::List("purposes")),
        (Sentences { to: vec![one.clone(), one], ..base() }, BadSentences::List("to")),
        (Sentences { kinds: vec![Use::Plain, Use::Plain], ..base() }, BadSentences::List("kinds")),
    ] {
        assert_eq!(build(Id::parse("o").unwrap(), None, &it), Err(expected));
    }
}

#[test]
fn levels_are_no_higher_than_the_use() {
    let it = Sentences {
        uses: Some(5),
        purposes: vec!["quality".to_owned()],
        columns: vec!["t".to_owned()],
        min_group: Some(5),
        delivery_rate: Some(1_000_000),
        price: Some(Price::parse("99.5", "CNY").unwrap()),
        ..Sentences::default()
    };
    let policy = build(Id::parse("o").unwrap(), None, &it).unwrap();
    // permission, uses, purpose, columns, min group, delivery rate, price
    for (kind, levels) in [
        (Use::Query, ["E2", "E2", "E0", "E2", "E2", "E0", "E0"]),
        (Use::SealedTable, ["E1", "E1", "E0", "E1", "E1", "E2", "E0"]),
        (Use::SealedFile, ["E1", "E1", "E0", "E0", "E0", "E2", "E0"]),
        (Use::Plain, ["E0", "E0", "E0", "E2", "E0", "E2", "E0"]),
    ] {
        let got: Vec<&str> =
            render(&policy, Lang::En, kind).iter().map(|s| s.level.name()).collect();
        assert_eq!(got, levels, "{kind:?}");
    }
}

/// Copies are kept from others, and deleted, by who keeps the copy; of results that are rows nobody does.
#[test]
fn what_becomes_of_results_is_a_promise() {
    let policy = |constraints: serde_json::Value| {
        OdrlPolicy::parse(serde_json::json!({"@id": "urn:o", "@type": "Offer",
            "permission": [{"action": "use", "constraint": constraints}],
            "prohibition": [{"action": "distribute"}], "obligation": [{"action": "delete"}]}))
        .unwrap()
        .model
    };
    let sums = policy(
        serde_json::json!([{"leftOperand": "tidm:aggregatesOnly", "operator": "eq", "rightOperand": true}]),
    );
    let rows = policy(serde_json::json!([]));
    for (of, kind, level) in [
        (&rows, Use::Query, "E0"),
        (&sums, Use::Query, "E2"),
        (&rows, Use::SealedTable, "E1"),
        (&rows, Use::SealedFile, "E1"),
        (&rows, Use::Plain, "E0"),
        (&rows, Use::Psi, "E0"),
    ] {
        let said = render(of, Lang::En, kind);
        let of =
            |word: &str| said.iter().find(|it| it.text.starts_with(word)).unwrap().level.name();
        assert_eq!([of("Prohibited"), of("All copies")], [level; 2], "{kind:?}: {said:?}");
    }
}

/// Whatever a node refuses, its sentences say so too: what cannot be signed never reads as if it could.
#[test]
fn what_is_refused_never_reads_as_kept() {
    let atom = |left: &str, op: &str, right: &str| serde_json::json!({"leftOperand": left, "operator": op, "rightOperand": right});
    let one = |it: serde_json::Value| serde_json::json!({"permission": [it]});
    for rules in [
        one(serde_json::json!({"action": "sell"})),
        one(serde_json::json!({"action": "dance"})),
        one(serde_json::json!({"action": "use", "target": "urn:x"})),
        one(serde_json::json!({"action": "use", "assignee": "urn:x"})),
        one(serde_json::json!({"action": "use", "duty": [{"action": "reviewPolicy"}]})),
        one(
            serde_json::json!({"action": "use", "constraint": [atom("systemDevice", "eq", "urn:d")]}),
        ),
        one(serde_json::json!({"action": "use", "constraint": [atom("weather", "eq", "fine")]})),
        one(serde_json::json!({"action": "use", "duty": [
            {"action": "delete", "consequence": [{"action": "reviewPolicy"}]}]})),
        serde_json::json!({"permission": [{"action": "use"}],
            "prohibition": [{"action": "distribute", "remedy": [{"action": "delete"}]}]}),
        serde_json::json!({"permission": [{"action": "use"}], "obligation": [{"action": "delete", "assignee": "urn:x"}]}),
    ] {
        let mut it = serde_json::json!({"@id": "o", "@type": "Offer"});
        for (key, value) in rules.as_object().unwrap() {
            it[key] = value.clone();
        }
        let policy = OdrlPolicy::parse(it).unwrap().model;
        assert!(compile(&policy).is_err(), "{rules}");
        for lang in [Lang::Zh, Lang::En] {
            let said = render(&policy, lang, Use::Query);
            assert!(said.iter().any(|it| !it.understood), "{rules}: {said:?}");
        }
    }
}
