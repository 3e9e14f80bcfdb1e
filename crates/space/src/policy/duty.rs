//! Duties: what is owed for a permission, besides it, or after a prohibition was infringed.
//!
//! A node accepts those that somebody here does or bills: deletion, payment, watermarks of its own, and that uses are tracked and
//! told, which every lease does by itself; and that a person of the provider consents to the contract before any use, which
//! the gate asks; and that products made of the data are offered on no looser terms (`nextPolicy`), which the consumer's node
//! asks when they are published. Never accepts another one for signing: nobody here would do it.

use crate::policy::action::Phase;
use crate::policy::compile::{Part, Refusal, Side, UNKNOWN, part, refusal};
use crate::policy::mark::Mark;
use crate::policy::model::{Action, Constraint, Operand, Operator, Rule};
use crate::policy::reach::Reach;
use crate::policy::terms::{Cmp, Delete, Duty, Price, Test};

#[derive(Default)]
pub(super) struct Duties {
    pub(super) delete: Option<Delete>,
    pub(super) price: Option<Price>,
    pub(super) mark: Option<Mark>,
}

impl Duties {
    /// `condition`: the duty stands inside a rule rather than in the policy.
    pub(super) fn add(
        &mut self,
        rule: &Rule,
        place: &str,
        condition: bool,
        reach: Reach,
        refused: &mut Vec<Refusal>,
    ) -> Option<Duty> {
        let before = refused.len();
        refused.extend(rule.unsupported.iter().map(|name| refusal(name, UNKNOWN)));
        for (name, said) in [("duty", &rule.duties), ("remedy", &rule.remedies)] {
            if !said.is_empty() {
                refused.push(refusal(name, "has no meaning inside a duty"));
            }
        }
        match reach {
            Reach::Node => self.kept(rule, condition, refused),
            Reach::Whole => self.told(rule, refused),
        }
        let when = conditions(rule, reach, refused);
        let mut consequences = vec![];
        for (i, it) in rule.consequences.iter().enumerate() {
            let place = format!("{place}.consequence[{i}]");
            consequences.extend(self.add(it, &place, condition, reach, refused));
        }
        // Whoever asks the gate for a lease tells the provider of the use, before it.
        let told = reach == Reach::Node && rule.action == Action::Inform;
        let phase = if told { Phase::During } else { rule.action.phase(condition) };
        (refused.len() == before).then(|| Duty {
            place: place.to_owned(),
            action: rule.action.clone(),
            phase,
            when,
            consequences,
        })
    }

    /// What a node keeps.
    fn kept(&mut self, rule: &Rule, condition: bool, refused: &mut Vec<Refusal>) {
        let twice = |name: &str| refusal(name, "is said twice");
        for it in &rule.consequences {
            // A deletion that nobody signed for is found by the provider's own node, and is in its log from then on.
            if rule.action != Action::Delete || !told_of(it) {
                refused.push(refusal(
                    it.action.name(),
                    "is understood, but nobody here would do it as a consequence",
                ));
            }
        }
        for (name, said) in [("target", &rule.target), ("assignee", &rule.assignee)] {
            if said.is_some() && rule.action == Action::NextPolicy {
                refused.push(refusal(
                    name,
                    "names other terms to pass on: only those in which the duty stands can be",
                ));
            } else if said.is_some() {
                refused.push(refusal(name, "is understood in the policy only, not in a rule"));
            }
        }
        if rule.action == Action::Delete {
            match delete(rule) {
                Ok(it) if self.delete.is_none_or(|old| old == it) => self.delete = Some(it),
                Ok(_) => refused.push(twice("delete")),
                Err(why) => refused.push(why),
            }
        } else if rule.action == Action::Compensate {
            match price(rule) {
                Ok(it) if self.price.as_ref().is_none_or(|old| *old == it) => self.price = Some(it),
                Ok(_) => refused.push(twice("compensate")),
                Err(why) => refused.push(why),
            }
        } else if rule.action == Action::Watermark && !condition {
            match mark(rule) {
                Ok(it) if self.mark.as_ref().is_none_or(|old| *old == it) => self.mark = Some(it),
                Ok(_) => refused.push(twice("watermark")),
                Err(why) => refused.push(why),
            }
        } else if matches!(
            rule.action,
            Action::AcceptTracking | Action::Inform | Action::ObtainConsent | Action::NextPolicy
        ) {
            if !rule.constraints.is_empty() {
                refused.push(refusal(
                    rule.action.name(),
                    "holds for every use: it takes no conditions",
                ));
            }
        } else {
            refused.push(refusal(rule.action.name(), "is not a duty that can be kept here"));
        }
    }

    /// What an evaluator is told about; deletion and price where they are said plainly.
    fn told(&mut self, rule: &Rule, refused: &mut Vec<Refusal>) {
        if let Action::Unknown(name) = &rule.action {
            refused.push(refusal(name, UNKNOWN));
        } else if rule.action == Action::Delete {
            self.delete = self.delete.or_else(|| delete(rule).ok());
        } else if rule.action == Action::Watermark {
            // Another vocabulary's watermark is a duty like any other; ours is read.
            if rule.constraints.iter().any(speaks_of_marks) {
                match mark(rule) {
                    Ok(it) => self.mark = self.mark.take().or(Some(it)),
                    Err(why) => refused.push(why),
                }
            }
        } else if rule.action == Action::Compensate && rule.constraints.iter().any(speaks_of_money)
        {
            // An amount among conditions of other kinds; one that cannot be read is refused all the same.
            let said = rule.constraints.iter().filter(|it| speaks_of_money(it)).cloned();
            match price(&Rule::new(Action::Compensate, said.collect())) {
                Ok(it) => self.price = self.price.take().or(Some(it)),
                Err(why) => refused.push(why),
            }
        }
    }
}

/// Consequences of a missed deletion that hold by themselves: the provider is told, and it is on record.
pub(super) fn told_of(it: &Rule) -> bool {
    matches!(it.action, Action::AcceptTracking | Action::Inform)
        && it.constraints.is_empty()
        && it.consequences.is_empty()
}

/// By when and how; amounts of money and ways of marking are not conditions. A node's duties were checked whole already.
fn conditions(rule: &Rule, reach: Reach, refused: &mut Vec<Refusal>) -> Test {
    let mut tests = vec![];
    for it in rule.constraints.iter().filter(|it| !speaks_of_money(it) && !speaks_of_marks(it)) {
        match nested(it, reach) {
            Ok(test) => tests.push(test),
            Err(why) if reach == Reach::Whole => refused.push(why),
            Err(_) => {}
        }
    }
    Test::All(tests)
}

fn speaks_of_money(it: &Constraint) -> bool {
    match it {
        Constraint::Atomic(it) => matches!(it.left, Operand::PayAmount | Operand::Currency),
        Constraint::And(_)
        | Constraint::Or(_)
        | Constraint::Xone(_)
        | Constraint::AndSequence(_) => false,
    }
}

fn speaks_of_marks(it: &Constraint) -> bool {
    match it {
        Constraint::Atomic(it) => it.left == Operand::Watermark,
        Constraint::And(_)
        | Constraint::Or(_)
        | Constraint::Xone(_)
        | Constraint::AndSequence(_) => false,
    }
}

fn nested(it: &Constraint, reach: Reach) -> Result<Test, Refusal> {
    let all = |parts: &[Constraint]| -> Result<Vec<Test>, Refusal> {
        if parts.is_empty() {
            return Err(refusal("constraint", "is a logical constraint without members"));
        }
        parts.iter().map(|it| nested(it, reach)).collect()
    };
    Ok(match it {
        Constraint::And(parts) => Test::All(all(parts)?),
        Constraint::Or(parts) => Test::Any(all(parts)?),
        Constraint::Xone(parts) => Test::One(all(parts)?),
        Constraint::AndSequence(parts) => Test::Sequence(all(parts)?),
        Constraint::Atomic(it) => match part(it, Side::Grant, reach)? {
            Part::Test(test) => test,
            Part::Limit(_) => {
                return Err(refusal(it.left.name(), "limits a use and says nothing of a duty"));
            }
        },
    })
}

/// `delete` alone means when the contract ends; with a time, by then; with a duration, so long after the first use.
pub(super) fn delete(rule: &Rule) -> Result<Delete, Refusal> {
    match rule.constraints.as_slice() {
        [] => Ok(Delete::AfterUse),
        [Constraint::Atomic(it)] => match part(it, Side::Grant, Reach::Node)? {
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

/// `tidm:watermark eq "temp:0.1;sensor"` and nothing else: a mark that cannot be set by what is said is none.
pub(super) fn mark(rule: &Rule) -> Result<Mark, Refusal> {
    let [Constraint::Atomic(it)] = rule.constraints.as_slice() else {
        return Err(refusal(
            "watermark",
            "needs one tidm:watermark that says how, and nothing else",
        ));
    };
    let no = |why| refusal(it.left.name(), why);
    if it.left != Operand::Watermark {
        return Err(no("has no meaning in a duty to watermark"));
    }
    if !it.unsupported.is_empty() || it.unit.is_some() || it.op != Operator::Eq {
        return Err(no("is said with eq"));
    }
    it.right.as_text().and_then(Mark::parse).ok_or_else(|| {
        no("needs columns with the step by which they may change, and the key of rows: temp:0.1;sensor")
    })
}
