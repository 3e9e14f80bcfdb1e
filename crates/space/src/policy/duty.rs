//! Duties that can be kept: deletion and payment.
//!
//! Never accepts another duty: nobody here would do it.

use crate::policy::compile::{Part, Refusal, Side, UNKNOWN, part, refusal};
use crate::policy::model::{Action, Constraint, Operand, Operator, Rule};
use crate::policy::terms::{Cmp, Delete, Price, Test};

#[derive(Default)]
pub(super) struct Duties {
    pub(super) delete: Option<Delete>,
    pub(super) price: Option<Price>,
}

impl Duties {
    pub(super) fn add(&mut self, rule: &Rule, refused: &mut Vec<Refusal>) {
        refused.extend(rule.unsupported.iter().map(|name| refusal(name, UNKNOWN)));
        if !rule.duties.is_empty() {
            refused.push(refusal("duty", "has no meaning inside a duty"));
        }
        let twice = |name: &str| refusal(name, "is said twice");
        match &rule.action {
            Action::Delete => match delete(rule) {
                Ok(it) if self.delete.is_none_or(|old| old == it) => self.delete = Some(it),
                Ok(_) => refused.push(twice("delete")),
                Err(why) => refused.push(why),
            },
            Action::Compensate => match price(rule) {
                Ok(it) if self.price.as_ref().is_none_or(|old| *old == it) => self.price = Some(it),
                Ok(_) => refused.push(twice("compensate")),
                Err(why) => refused.push(why),
            },
            Action::Use
            | Action::Read
            | Action::Display
            | Action::Aggregate
            | Action::Distribute
            | Action::Unknown(_) => {
                refused.push(refusal(rule.action.name(), "is not a duty that can be kept here"));
            }
        }
    }
}

/// `delete` alone means after use; with a time, by then; with a duration, so long after the first use.
pub(super) fn delete(rule: &Rule) -> Result<Delete, Refusal> {
    match rule.constraints.as_slice() {
        [] => Ok(Delete::AfterUse),
        [Constraint::Atomic(it)] => match part(it, Side::Grant)? {
            Part::Test(Test::Clock(Cmp::Lteq | Cmp::Lt, at)) => Ok(Delete::By(at)),
            Part::Test(Test::Elapsed(Cmp::Lteq | Cmp::Lt, span)) => Ok(Delete::Within(span)),
            Part::Test(_) | Part::Limit(_) => {
                Err(refusal(it.left.name(), "cannot say when to delete"))
            }
        },
        _ => Err(refusal("delete", "has more than one constraint")),
    }
}

/// `payAmount eq "99.50"` with `tidm:currency eq "CNY"` beside it, or ODRL's `unit`.
pub(super) fn price(rule: &Rule) -> Result<Price, Refusal> {
    let (mut amount, mut currency) = (None, None);
    for constraint in &rule.constraints {
        let Constraint::Atomic(it) = constraint else {
            return Err(refusal("compensate", "has a price that is no plain amount"));
        };
        let bad = |why| refusal(it.left.name(), why);
        if !it.unsupported.is_empty() || it.op != Operator::Eq {
            return Err(bad("is said with eq"));
        }
        let value = it.right.as_text().ok_or_else(|| bad("needs one value"))?;
        let old = if it.left == Operand::PayAmount {
            currency = currency.or(it.unit.as_deref());
            amount.replace(value)
        } else if it.left == Operand::Currency {
            currency.replace(value).filter(|old| *old != value)
        } else {
            return Err(bad("has no meaning in a price"));
        };
        if old.is_some() {
            return Err(bad("is said twice"));
        }
    }
    let amount = amount.ok_or_else(|| refusal("compensate", "has no payAmount"))?;
    let currency = currency.ok_or_else(|| refusal("payAmount", "has no currency"))?;
    // Currencies as IRIs, as ODRL's examples write them, end in the code.
    let code = currency.rsplit(['/', '#', ':']).next().unwrap_or(currency);
    Price::parse(amount, code).map_err(|_| {
        refusal("payAmount", "needs an amount such as 99.50 and a currency such as CNY")
    })
}
