//! Every template builds what a node signs and people read; every class a node keeps has one; errors name their cause.

use std::fmt::Write;

use super::*;
use crate::policy::compile::compile;
use crate::policy::model::PROFILE;
use crate::policy::render::render;
use crate::policy::usage::Use;
use crate::wire::odrl::{OdrlPolicy, to_json};

/// Classes with their templates.
const COVERED: [(u8, &[&str]); 17] = [
    (1, &["named-consumers"]),
    (4, &["role"]),
    (5, &["region"]),
    (6, &["purpose"]),
    (8, &["enforced", "kinds"]),
    (9, &["period", "hours", "delete-by", "rental", "paced-delivery"]),
    (10, &["duration", "metered", "embargo"]),
    (11, &["trial", "counted", "rate", "burn"]),
    (12, &["burn", "delete-by", "rental"]),
    (13, &["columns", "statistics"]),
    (15, &["tracked"]),
    (16, &["told"]),
    (17, &["open", "kinds", "burn", "rental", "passed-on"]),
    (19, &["sale"]),
    (20, &["rental"]),
    (23, &["consent"]),
    (25, &["statistics", "matching"]),
];

fn whole(it: &Template) -> BTreeMap<String, String> {
    it.parameters.iter().map(|p| (p.name.to_owned(), p.example().to_owned())).collect()
}

#[test]
fn templates_build_what_a_node_signs_and_people_read() {
    assert!(templates().len() >= 12);
    for template in templates() {
        let name = template.name;
        assert_eq!(Template::by_name(name).unwrap().title(Lang::En), template.title(Lang::En));
        for given in [template.example(), whole(template)] {
            let policy = template.build(&given).unwrap_or_else(|why| panic!("{name}: {why}"));
            let terms = compile(&policy).unwrap_or_else(|why| panic!("{name}: {why:?}"));
            let back = OdrlPolicy::parse(to_json(&policy)).unwrap().model;
            assert!(back.same_terms(&policy), "{name}");
            assert_eq!(compile(&back).unwrap(), terms, "{name}");
            assert_eq!(to_json(&back), to_json(&policy), "{name}");
            assert!(policy.profile.iter().all(|it| it == PROFILE));
            assert!(
                Use::ALL.iter().any(|kind| terms.unkeepable(*kind).is_empty()),
                "{name}: no kind of use keeps it"
            );
            for lang in [Lang::Zh, Lang::En] {
                let said = render(&policy, lang, Use::Query);
                assert!(said.iter().all(|it| it.understood && !it.text.is_empty()), "{said:?}");
                assert!(said.len() > 1, "{name} says nothing");
                assert!(!template.title(lang).is_empty() && !template.about(lang).is_empty());
            }
        }
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<&str> = templates().iter().map(|it| it.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), templates().len());
    for template in templates() {
        let mut names: Vec<&str> = template.parameters.iter().map(|it| it.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), template.parameters.len(), "{}", template.name);
    }
}

#[test]
fn every_class_that_a_node_keeps_has_a_template() {
    let kept = crate::policy::tests::classes::kept();
    assert!(kept.into_iter().eq(COVERED.iter().map(|it| it.0)));
    for number in 1..=25 {
        let has: Vec<&str> = templates()
            .iter()
            .filter(|it| it.classes.contains(&number))
            .map(|it| it.name)
            .collect();
        let should = COVERED.iter().find(|(it, _)| *it == number).map_or(&[][..], |(_, all)| all);
        assert_eq!(has, should, "class {number}");
    }
}

/// Each parameter changes the policy: none is asked for and then forgotten.
#[test]
fn every_parameter_says_something() {
    for template in templates() {
        let whole_policy = template.build(&whole(template)).unwrap();
        for parameter in template.parameters {
            let mut less = whole(template);
            match parameter.need {
                Need::Said(_) => {
                    less.remove(parameter.name);
                    let why = template.build(&less).unwrap_err();
                    assert_eq!((&*why.parameter, &why.value), (parameter.name, &None));
                    continue;
                }
                Need::Open(_) => drop(less.remove(parameter.name)),
                Need::Default(_) => {
                    let other = match (parameter.shape, parameter.shape.name()) {
                        (Shape::Number { least, .. }, _) => (least + 2).to_string(),
                        (_, "duration") => "P7D".to_owned(),
                        (_, "level") => "E2".to_owned(),
                        (_, "receiver") => "both".to_owned(),
                        (_, "flag") => "no".to_owned(),
                        (_, other) => panic!("no other value of {other}"),
                    };
                    less.insert(parameter.name.to_owned(), other);
                }
            }
            let other = template.build(&less).unwrap();
            assert!(!other.same_terms(&whole_policy), "{}: {}", template.name, parameter.name);
        }
    }
}

#[test]
fn bad_values_are_refused_with_what_is_allowed() {
    let many = (0..=256).map(|i| format!("p{i}")).collect::<Vec<_>>().join(",");
    let (long, wide) = ("x".repeat(257), "9".repeat(500));
    for (template, parameter, value, allowed) in [
        ("counted", "uses", "0", "1 to 1000000"),
        ("counted", "uses", "1000001", "1 to 1000000"),
        ("counted", "uses", "+5", "whole number"),
        ("counted", "uses", "ten", "whole number"),
        ("counted", "uses", &wide, "whole number"),
        ("counted", "times", "5", "the parameters uses, recipients"),
        ("open", "uses", "5", "no parameters"),
        ("period", "from", "2027-01-01", "a time with a zone"),
        ("period", "until", "2026-01-01T00:00:00Z", "not before `from`"),
        ("duration", "within", "90 days", "P90D"),
        ("duration", "within", "PT0S", "longer than nothing"),
        ("named-consumers", "recipients", "a.example", "DIDs"),
        ("named-consumers", "recipients", "did:web:a.example,did:web:a.example", "different"),
        ("purpose", "purposes", "a,,b", "different entries"),
        ("purpose", "purposes", &many, "1 to 256"),
        ("purpose", "purposes", &long, "256 bytes"),
        ("purpose", "purposes", "a\u{7}b", "different entries"),
        ("statistics", "min_group", "1", "2 to 1000000"),
        ("sale", "price", "100", "99.50 CNY"),
        ("sale", "price", "1e3 CNY", "99.50 CNY"),
        ("sale", "forbid_export", "true", "yes or no"),
        ("kinds", "kinds", "query, teleport", "some of query"),
        ("enforced", "level", "E5", "E0, E1, E2, E3, E4"),
        ("matching", "match_key", "a:words", "normal forms"),
        ("matching", "match_share", "101", "1 to 100"),
        ("matching", "match_result", "all", "consumer or both"),
        ("matching", "match_reveal", "size,all", "some of rows"),
        ("rate", "per_day", "1001", "1 to 1000"),
        ("hours", "hours", "08:00-18:00", "with a zone"),
    ] {
        let it = Template::by_name(template).unwrap();
        let mut given = it.example();
        given.insert(parameter.to_owned(), value.to_owned());
        let why = it.build(&given).unwrap_err();
        assert_eq!(why.parameter, parameter, "{template} {value}");
        assert!(why.to_string().contains(allowed), "{why}");
        assert!(why.value.is_some_and(|it| it.chars().count() <= TEMPLATE_SHOWN_CHARS + 1));
        for lang in [Lang::Zh, Lang::En] {
            let said = it.build(&given).unwrap_err().words(lang);
            assert!(said.contains(parameter) && !said.contains('\u{7}'), "{said}");
        }
    }
    assert!(Template::by_name("none").is_none());
}

fn words(it: &Policy, lang: Lang) -> String {
    let said: Vec<String> =
        render(it, lang, Use::Query).into_iter().skip(1).map(|it| it.text).collect();
    said.join(lang.pick("", " "))
}

fn document() -> String {
    let mut out = include_str!("head.md").to_owned();
    let mut shapes: BTreeMap<&str, (String, String)> = BTreeMap::new();
    for template in templates() {
        let it = template.build(&template.example()).unwrap();
        let classes: Vec<String> = template.classes.iter().map(u8::to_string).collect();
        let parameters: Vec<String> = template.parameters.iter().map(parameter).collect();
        writeln!(
            out,
            "| `{}` | **{} {}** {} {} | {} | {} | {} {} |",
            template.name,
            template.title(Lang::Zh),
            template.title(Lang::En),
            template.about(Lang::Zh),
            template.about(Lang::En),
            classes.join(", "),
            parameters.join("<br>"),
            words(&it, Lang::Zh),
            words(&it, Lang::En),
        )
        .unwrap();
        for it in template.parameters.iter().filter(|it| it.shape.name() != "number") {
            shapes.insert(it.shape.name(), it.allowed());
        }
    }
    out.push_str("\n## Types of parameters\n\n| type | allowed |\n|---|---|\n");
    out.push_str("| number | 整数，范围见参数 a whole number in the parameter's range |\n");
    for (name, (zh, en)) in shapes {
        writeln!(out, "| {name} | {zh} {en} |").unwrap();
    }
    out
}

fn parameter(it: &Parameter) -> String {
    let need = match it.need {
        Need::Said(example) => format!("required, e.g. `{example}`"),
        Need::Default(value) => format!("default `{value}`"),
        Need::Open(example) => format!("optional, e.g. `{example}`"),
    };
    let range = if let Shape::Number { least, most, .. } = it.shape {
        format!(" {least}–{most}")
    } else {
        String::new()
    };
    let (zh, en) = (it.title(Lang::Zh), it.title(Lang::En));
    format!("`{}` {zh} {en}: {}{range}, {need}", it.name, it.shape.name())
}

#[test]
fn the_document_says_what_the_code_does() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policy-templates.md");
    let (is, should) = (std::fs::read_to_string(file).unwrap_or_default(), document());
    if is != should {
        let made = std::env::temp_dir().join("policy-templates.md");
        std::fs::write(&made, &should).unwrap();
        panic!("docs/policy-templates.md is not what the code says; {} is", made.display());
    }
}
