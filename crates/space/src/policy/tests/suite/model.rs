//! A policy in RDF as a policy of ours, with the names that its nodes have there.

use super::ODRL;
use super::graph::{Graph, Object};
use crate::id::Id;
use crate::policy::model::{
    Action, Atomic, Constraint, Kind, Operand, Operator, Policy, Rule, Value,
};

/// A constraint's name and those of its members.
pub(super) struct Name {
    pub(super) iri: String,
    pub(super) parts: Vec<Self>,
}

/// What a rule is called there, in the order of the model's rules.
pub(super) struct RuleName {
    pub(super) iri: String,
    pub(super) has_action: bool,
    pub(super) constraints: Vec<Name>,
    pub(super) duties: Vec<String>,
}

fn odrl(name: &str) -> String {
    format!("{ODRL}{name}")
}

fn local(iri: &str) -> &str {
    iri.strip_prefix(ODRL).unwrap_or(iri)
}

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

/// Permissions come first in the names, then prohibitions.
pub(super) fn policy(graph: &Graph, iri: &str) -> (Policy, Vec<RuleName>) {
    let mut out = Policy::new(id(iri), Kind::Set);
    let mut names = vec![];
    for (predicate, rules) in
        [("permission", &mut out.permissions), ("prohibition", &mut out.prohibitions)]
    {
        for node in graph.nodes(iri, &odrl(predicate)) {
            let (rule, name) = rule(graph, &node);
            rules.push(rule);
            names.push(name);
        }
    }
    assert!(graph.nodes(iri, &odrl("obligation")).is_empty(), "{iri}: obligations are not read");
    (out, names)
}

fn rule(graph: &Graph, iri: &str) -> (Rule, RuleName) {
    let action = graph.node(iri, &odrl("action"));
    // ODRL §2.6 demands an action; the suite leaves it out where any act is meant.
    let said = action.as_deref().map_or(Action::Use, |it| Action::from_name(local(it)));
    let mut out = Rule::new(said, vec![]);
    out.target = graph.node(iri, &odrl("target")).map(|it| id(&it));
    out.assignee = graph.node(iri, &odrl("assignee")).map(|it| id(&it));
    let mut name = RuleName {
        iri: iri.to_owned(),
        has_action: action.is_some(),
        constraints: vec![],
        duties: graph.nodes(iri, &odrl("duty")),
    };
    for node in graph.nodes(iri, &odrl("constraint")) {
        let (constraint, its) = constraint(graph, &node);
        out.constraints.push(constraint);
        name.constraints.push(its);
    }
    out.duties = name.duties.iter().map(|it| rule_of_duty(graph, it)).collect();
    (out, name)
}

fn rule_of_duty(graph: &Graph, iri: &str) -> Rule {
    rule(graph, iri).0
}

fn constraint(graph: &Graph, iri: &str) -> (Constraint, Name) {
    for (predicate, join) in [
        ("and", Constraint::And as fn(Vec<Constraint>) -> Constraint),
        ("or", Constraint::Or),
        ("xone", Constraint::Xone),
        ("andSequence", Constraint::AndSequence),
    ] {
        let members = graph.nodes(iri, &odrl(predicate));
        if !members.is_empty() {
            let (all, parts) = members.iter().map(|it| constraint(graph, it)).unzip();
            return (join(all), Name { iri: iri.to_owned(), parts });
        }
    }
    let one =
        |name: &str| graph.node(iri, &odrl(name)).unwrap_or_else(|| panic!("{iri}: no {name}"));
    let left = Operand::from_name(local(&one("leftOperand")));
    let op = Operator::from_name(local(&one("operator")));
    let mut right: Vec<Value> = graph
        .objects(iri, &odrl("rightOperand"))
        .map(|it| match it {
            Object::Node(it) => Value::Reference(it.clone()),
            Object::Literal { text, datatype } => {
                Value::Typed { text: text.clone(), datatype: datatype.clone() }
            }
        })
        .collect();
    let right = if right.len() == 1 { right.remove(0) } else { Value::List(right) };
    (Atomic::new(left, op, right).into(), Name { iri: iri.to_owned(), parts: vec![] })
}
