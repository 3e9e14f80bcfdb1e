//! What a policy costs, for sorting offers; known even where other terms are not understood.
//!
//! Never decides whether anything was paid: a bill is a claim between people.

use crate::policy::duty;
use crate::policy::model::{Action, Constraint, Operand, Policy, Rule};
use crate::policy::terms::Price;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cost {
    /// No payment is asked for.
    Free,
    Price(Price),
    /// A payment is asked for in a way that is not understood here.
    Unclear,
}

/// What somebody who uses this has to pay.
pub fn of(policy: &Policy) -> Cost {
    let duties = policy.permissions.iter().flat_map(|it| &it.duties);
    let mut found = policy.obligations.iter().chain(duties).filter(|it| asks(it)).map(duty::price);
    let odd = policy.permissions.iter().any(|it| it.constraints.iter().any(speaks_of_money));
    match (odd, found.next(), found.next()) {
        (false, None, _) => Cost::Free,
        (false, Some(Ok(price)), None) => Cost::Price(price),
        (_, _, _) => Cost::Unclear,
    }
}

fn speaks_of_money(it: &Constraint) -> bool {
    match it {
        Constraint::Atomic(atomic) => atomic.left == Operand::PayAmount,
        Constraint::And(all)
        | Constraint::Or(all)
        | Constraint::Xone(all)
        | Constraint::AndSequence(all) => all.iter().any(speaks_of_money),
    }
}

fn asks(rule: &Rule) -> bool {
    rule.action == Action::Compensate || rule.constraints.iter().any(speaks_of_money)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::policy::model::{Atomic, Kind, Operator, Value};

    fn pay(amount: &str, currency: Option<&str>) -> Rule {
        let one = |left, value: &str| Atomic::new(left, Operator::Eq, Value::text(value)).into();
        let mut all = vec![one(Operand::PayAmount, amount)];
        all.extend(currency.map(|it| one(Operand::Currency, it)));
        Rule::new(Action::Compensate, all)
    }

    fn policy(obligations: Vec<Rule>, duties: Vec<Rule>, constraints: Vec<Constraint>) -> Policy {
        let mut it = Policy::new(Id::parse("urn:o").unwrap(), Kind::Offer);
        it.permissions.push(Rule { duties, ..Rule::new(Action::Use, constraints) });
        it.obligations = obligations;
        it
    }

    #[test]
    fn a_price_is_found_wherever_it_stands() {
        let price = Cost::Price(Price::parse("99.50", "CNY").unwrap());
        let amount: Constraint =
            Atomic::new(Operand::PayAmount, Operator::Eq, Value::text("5")).into();
        for (it, cost) in [
            (policy(vec![], vec![], vec![]), Cost::Free),
            (policy(vec![Rule::new(Action::Delete, vec![])], vec![], vec![]), Cost::Free),
            (policy(vec![pay("99.50", Some("CNY"))], vec![], vec![]), price.clone()),
            (policy(vec![], vec![pay("99.50", Some("CNY"))], vec![]), price),
            (policy(vec![pay("99.50", None)], vec![], vec![]), Cost::Unclear),
            (policy(vec![pay("much", Some("CNY"))], vec![], vec![]), Cost::Unclear),
            (
                policy(vec![pay("1", Some("CNY")), pay("2", Some("CNY"))], vec![], vec![]),
                Cost::Unclear,
            ),
            (policy(vec![], vec![], vec![Constraint::Or(vec![amount])]), Cost::Unclear),
        ] {
            assert_eq!(of(&it), cost, "{it:?}");
        }
    }
}
