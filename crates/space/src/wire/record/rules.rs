//! Approval rules inside a row.
//!
//! Never a rule that could not be made today: what is read is checked as if an operator had just written it.

use serde_json::{Map, Value};

use crate::approval::{Rule, Rules, Then, When};
use crate::fault::Fault;
use crate::negotiation::message::Role;
use crate::wire::dsp::put;
use crate::wire::json::Fields;

/// No rules, no member: most offers have none.
pub(super) fn put_rules(doc: &mut Map<String, Value>, rules: &Rules) {
    if !rules.is_empty() {
        doc.insert("rules".to_owned(), rules.all().iter().map(write).collect());
    }
}

fn write(it: &Rule) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "when", Some(it.when.word()));
    put(&mut doc, "round", it.round);
    put(&mut doc, "then", Some(it.then.word()));
    put(&mut doc, "afterMs", u64::try_from(it.after.as_millis()).ok());
    Value::Object(doc)
}

pub(super) fn read_rules(of: &Fields<'_>, role: Role) -> Result<Rules, Fault> {
    let rules = of.values("rules").iter().map(|it| read(&Fields::at(it, "rules")?));
    Rules::new(role, rules.collect::<Result<_, Fault>>()?).map_err(|why| of.wrong("rules", why))
}

fn read(of: &Fields<'_>) -> Result<Rule, Fault> {
    Ok(Rule {
        when: of.word("when", When::from_word)?,
        round: match of.get("round") {
            Some(_) => Some(of.small_number("round")?),
            None => None,
        },
        then: of.word("then", Then::from_word)?,
        after: std::time::Duration::from_millis(of.number("afterMs")?),
    })
}
