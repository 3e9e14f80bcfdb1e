//! Where a term stands in its policy, for example `permission[0].constraint[2].or[1]`.
//!
//! Never counts in another order than [`super::compile`]: a place that is off by one blames another term.

use crate::policy::compile::is_limit;
use crate::policy::model::{Constraint, Rule};
use crate::policy::terms::Test;

/// The places of a compiled clause's tests, in their order. Limits are no tests.
pub(super) fn tests(rule: &Rule, place: &str) -> Vec<String> {
    let mut out = vec![];
    for (i, it) in rule.constraints.iter().enumerate() {
        let here = format!("{place}.constraint[{i}]");
        match it {
            // Read as its members side by side, see `compile`.
            Constraint::And(parts) if parts.iter().any(is_limit) => {
                let tests = parts.iter().enumerate().filter(|(_, it)| !is_limit(it));
                out.extend(tests.map(|(j, _)| format!("{here}.and[{j}]")));
            }
            Constraint::And(parts) if parts.is_empty() => {}
            Constraint::Atomic(_) if is_limit(it) => {}
            Constraint::Atomic(_)
            | Constraint::And(_)
            | Constraint::Or(_)
            | Constraint::Xone(_)
            | Constraint::AndSequence(_) => out.push(here),
        }
    }
    out
}

/// The place of a group's member.
pub(super) fn member(group: &Test, place: &str, i: usize) -> String {
    let name = match group {
        Test::Any(_) => "or",
        Test::One(_) => "xone",
        Test::Sequence(_) => "andSequence",
        Test::All(_)
        | Test::Clock(..)
        | Test::Count(..)
        | Test::Purpose(..)
        | Test::Recipient(..)
        | Test::Elapsed(..)
        | Test::Delay(..)
        | Test::Kind(_)
        | Test::Enforcement(_)
        | Test::Window(_)
        | Test::Metered(..)
        | Test::Interval(_)
        | Test::Frequency(..)
        | Test::Size(..)
        | Test::Records(..)
        | Test::Group(..)
        | Test::Entity(_)
        | Test::Network(..)
        | Test::Version(..)
        | Test::Event(..)
        | Test::Among(..) => "and",
    };
    format!("{place}.{name}[{i}]")
}
