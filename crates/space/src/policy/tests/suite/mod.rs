//! Suites of policy, request and state of the world, each with the report that is expected.
//!
//! A suite is a folder of the conformance kits, or one beside this file (`own`), in the layout of the ODRL test suite
//! (`data/policies`, `requests`, `sotw`, `test_cases`, in Turtle) and a row of `table.txt`: kit, cases, passes under the suite's *activation*
//! comparator (state of each rule) and under its *premise* comparator (state of each target, party, action and
//! constraint as well). A suite reads ODRL wider than a node signs it, and calls a rule active whose duties are open;
//! both are said here and nowhere else.

mod graph;
mod model;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use graph::Graph;
use model::{Name, RuleName};

use crate::policy::compile::understand;
use crate::policy::eval::{Deed, Explanation, Facts, Request, RuleReport, Truth, What, report};
use crate::policy::model::{Action, Policy};
use crate::policy::terms::Terms;
use crate::policy::usage::Use;
use crate::time::Time;
use crate::wire::schema::conformance;

const TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
const ODRL: &str = "http://www.w3.org/ns/odrl/2/";
const CASE: &str = "http://example.org/";
const REPORT: &str = "https://w3id.org/force/compliance-report#";
/// What a report says of every rule here: a request *is* the attempt, and [`world`] takes no case whose request names no
/// act. Whether a case expects it too is read from the case.
const ATTEMPTED: &str = "https://w3id.org/force/compliance-report#Attempted";

/// One case. What is expected is kept apart: it must not be evaluated.
struct Case {
    id: String,
    /// Policy, request and state of the world in one graph.
    said: Graph,
    policy: Policy,
    names: Vec<RuleName>,
    request: String,
    /// The case's own file, and the name of the report in it.
    file: Graph,
    report: String,
}

fn cases(kit: &Path) -> Vec<Case> {
    let data = kit.join("data");
    let by_subject = |folder: &str| {
        let all = Graph::folder(&data.join(folder));
        move |iri: &str| {
            let found = all.iter().find(|it| it.says(iri)).cloned();
            found.unwrap_or_else(|| panic!("no file says {iri}"))
        }
    };
    let (policies, requests, worlds) =
        (by_subject("policies"), by_subject("requests"), by_subject("sotw"));
    let mut out = vec![];
    for file in Graph::folder(&data.join("test_cases")) {
        let id = file.of_type(&format!("{CASE}TestCase")).pop().expect("a case in each file");
        let one = |name: &str| file.node(&id, &format!("{CASE}{name}")).expect("part of a case");
        let (policy, request) = (one("policy"), one("request"));
        let said = policies(&policy);
        let (model, names) = model::policy(&said, &policy);
        let said = said.with(&requests(&request)).with(&worlds(&one("sotw")));
        let report = one("expectedReport");
        out.push(Case { id, said, policy: model, names, request, file, report });
    }
    out
}

/// The folder of a row: one of the outside kits, or, with `./`, one of our own beside this file.
fn folder(kit: &str) -> Option<PathBuf> {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/tests/suite");
    kit.strip_prefix("./").map_or_else(|| conformance(kit), |own| Some(here().join(own)))
}

/// A report, as far as the comparators look at it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    /// By rule: the request that it was held against, whether it was attempted, and whether it is active.
    rules: Vec<(String, String, String, String)>,
    /// Kind of premise, the constraint where it is one, and the state.
    premises: Vec<(String, Option<String>, String)>,
}

/// The suite's comparators: the same states of rules, and the same states of premises one by one.
fn compare(expected: &Report, ours: &Report) -> (bool, bool) {
    let rules = |it: &Report| {
        let mut all = it.rules.clone();
        all.sort();
        all
    };
    let activation = rules(expected) == rules(ours);
    let mut states = HashMap::new();
    for (kind, name, state) in &ours.premises {
        states.insert((kind, name), state);
    }
    let premise = expected.premises.len() == ours.premises.len()
        && expected.premises.iter().all(|(kind, name, state)| {
            states.get(&(kind, name)).is_some_and(|ours| *ours == state)
        });
    (activation, activation && premise)
}

fn expected(case: &Case) -> Report {
    let of = |node: &str, name: &str| case.file.node(node, &format!("{REPORT}{name}"));
    let mut out = Report::default();
    for rule in case.file.nodes(&case.report, &format!("{REPORT}ruleReport")) {
        let one = |name: &str| of(&rule, name).unwrap_or_default();
        let states = (one("attemptState"), one("activationState"));
        out.rules.push((one("rule"), one("ruleRequest"), states.0, states.1));
    }
    for node in case.file.reach(&case.report) {
        let kind = case.file.node(&node, TYPE).unwrap_or_default();
        let kind = kind.strip_prefix(REPORT).unwrap_or_default();
        if ["TargetReport", "PartyReport", "ActionReport", "ConstraintReport"].contains(&kind) {
            let state = of(&node, "satisfactionState").unwrap_or_default();
            out.premises.push((kind.to_owned(), of(&node, "constraint"), state));
        }
    }
    out
}

/// What the suite's world says, as facts. Nothing is left open: what it does not say is not so.
struct World {
    now: Time,
    action: Action,
    recipient: String,
    target: String,
    recipient_in: Vec<String>,
    target_in: Vec<String>,
    deeds: Vec<(String, Deed)>,
    rule: String,
}

fn world(case: &Case) -> World {
    let said = &case.said;
    let odrl = |name: &str| format!("{ODRL}{name}");
    let rule = said.node(&case.request, &odrl("permission")).expect("a request asks for one act");
    let of = |name: &str| said.node(&rule, &odrl(name)).expect("a request names act and parties");
    let now =
        said.text("http://example.com/request/currentTime", "http://purl.org/dc/terms/issued");
    let (recipient, target) = (of("assignee"), of("target"));
    let action = of("action");
    let mut deeds = vec![];
    for it in said.of_type(&format!("{REPORT}DutyReport")) {
        let duty = said.node(&it, &format!("{REPORT}rule")).expect("a report of a duty names it");
        let state = said.node(&it, &format!("{REPORT}deonticState")).unwrap_or_default();
        let deed = match state.strip_prefix(REPORT) {
            Some("Fulfilled") => Deed::Done,
            Some("Violated") => Deed::Violated,
            // Not known to be either.
            _ => continue,
        };
        for (at, rule) in case.names.iter().enumerate() {
            for (duty_at, name) in rule.duties.iter().enumerate() {
                if *name == duty {
                    deeds.push((format!("permission[{at}].duty[{duty_at}]"), deed));
                }
            }
        }
    }
    World {
        now: Time::parse(&now.expect("a world has a time")).expect("with a zone"),
        action: Action::from_name(action.strip_prefix(ODRL).unwrap_or(&action)),
        recipient_in: said.nodes(&recipient, &odrl("partOf")),
        target_in: said.nodes(&target, &odrl("partOf")),
        recipient,
        target,
        deeds,
        rule,
    }
}

/// The case through our engine.
fn ours(case: &Case, terms: &Terms) -> Report {
    let world = world(case);
    let recipient_in: Vec<&str> = world.recipient_in.iter().map(String::as_str).collect();
    let target_in: Vec<&str> = world.target_in.iter().map(String::as_str).collect();
    let deeds: Vec<(&str, Deed)> = world.deeds.iter().map(|(it, deed)| (&**it, *deed)).collect();
    let request = Request {
        action: world.action.clone(),
        more: Facts {
            target: Some(&world.target),
            recipient_in: Some(&recipient_in),
            target_in: Some(&target_in),
            deeds: &deeds,
            ..Facts::default()
        },
        ..Request::new(world.now, Use::Plain, &world.recipient)
    };
    let mut out = Report::default();
    let rules = report(terms, &request);
    assert_eq!(rules.len(), case.names.len(), "{}", case.id);
    for (rule, name) in rules.iter().zip(&case.names) {
        let state =
            |active: bool| format!("{REPORT}{}", if active { "Active" } else { "Inactive" });
        out.rules.push((
            name.iri.clone(),
            world.rule.clone(),
            ATTEMPTED.to_owned(),
            state(active(rule)),
        ));
        let mut constraints = name.constraints.iter();
        for premise in &rule.premises {
            if matches!(premise.what, What::Test(_)) {
                told(premise, constraints.next().expect("a name each"), &mut out);
                continue;
            }
            for (kind, is) in [
                ("TargetReport", matches!(premise.what, What::Target(_))),
                ("PartyReport", matches!(premise.what, What::Party(_))),
                ("ActionReport", matches!(premise.what, What::Action(_)) && name.has_action),
            ] {
                if is {
                    out.premises.push((kind.to_owned(), None, satisfied(premise)));
                }
            }
        }
        assert!(constraints.next().is_none(), "{}: a constraint was not evaluated", case.id);
    }
    out
}

/// A rule is active there unless a premise fails or a duty is violated; open duties may still be done.
fn active(rule: &RuleReport<'_>) -> bool {
    rule.applies() == Truth::Yes && rule.duties.iter().all(|it| it.truth != Truth::No)
}

fn satisfied(it: &Explanation<'_>) -> String {
    let holds = it.truth == Truth::Yes;
    format!("{REPORT}{}", if holds { "Satisfied" } else { "Unsatisfied" })
}

/// A constraint and its members, each under its own name.
fn told(it: &Explanation<'_>, name: &Name, out: &mut Report) {
    out.premises.push(("ConstraintReport".to_owned(), Some(name.iri.clone()), satisfied(it)));
    assert_eq!(it.parts.len(), name.parts.len(), "{}", name.iri);
    for (part, name) in it.parts.iter().zip(&name.parts) {
        told(part, name, out);
    }
}

/// Rows of `table.txt`: kit, cases, passes by activation, passes by premises.
fn table() -> impl Iterator<Item = (&'static str, [usize; 3])> {
    let rows = include_str!("table.txt").lines().filter(|it| !it.starts_with('#'));
    rows.map(|row| {
        let mut words = row.split_whitespace();
        let kit = words.next().expect("a kit");
        (kit, [(); 3].map(|()| words.next().expect("three numbers").parse().expect("a number")))
    })
}

#[test]
fn suites_pass_as_the_table_says() {
    for (kit, wanted) in table() {
        let Some(folder) = folder(kit) else { continue };
        let all = cases(&folder);
        let (mut activation, mut premise, mut failed) = (0, 0, vec![]);
        for case in &all {
            let terms =
                understand(&case.policy).unwrap_or_else(|why| panic!("{}: {why:?}", case.id));
            let (by_state, by_premise) = compare(&expected(case), &ours(case, &terms));
            activation += usize::from(by_state);
            premise += usize::from(by_premise);
            if !by_premise {
                let how = if by_state { "premises" } else { "activation" };
                failed.push(format!("{} ({how})", case.id));
            }
        }
        println!(
            "{kit}: {} cases, {activation} by activation, {premise} by premises; not: {failed:?}",
            all.len()
        );
        assert_eq!([all.len(), activation, premise], wanted, "{kit}: {failed:?}");
    }
}

/// A comparator that lets everything pass would make the table worthless.
#[test]
fn a_wrong_report_does_not_pass() {
    let rule = |active: &str| ("r".to_owned(), "q".to_owned(), "a".to_owned(), active.to_owned());
    let premise = |state: &str| ("ActionReport".to_owned(), None, state.to_owned());
    let good = Report { rules: vec![rule("Active")], premises: vec![premise("Satisfied")] };
    for (other, wanted) in [
        (
            Report { rules: vec![rule("Inactive")], premises: vec![premise("Satisfied")] },
            (false, false),
        ),
        (
            Report { rules: vec![rule("Active")], premises: vec![premise("Unsatisfied")] },
            (true, false),
        ),
        (Report { rules: vec![rule("Active")], premises: vec![] }, (true, false)),
        (Report::default(), (false, false)),
    ] {
        assert_eq!(compare(&good, &other), wanted, "{other:?}");
    }
    assert_eq!(compare(&good, &good), (true, true));
}
