//! What a noisy answer costs, held against what is left of the budget.
//!
//! Threat: many answers, each with little noise, add up to one without; a second contract, or a second account of the same
//! legal entity, must not begin at zero again. So the price is charged before the statement runs, to the contract
//! and to the entity for the product's line, whichever has less left, and nothing of it comes back: not for a
//! statement that is refused, nor for one that never ran. Composition is the plain sum. Never knows a statement or a row.

use crate::fault::Fault;
use crate::policy::privacy::{Epsilon, Privacy, micro_text};

use super::charge::Known;
use super::machine::Spent;
use super::message::Request;

const RULE: &str = "tidm:privacyBudget";

/// What one answer is charged, and what is left after it, in millionths of ε.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Price {
    pub(super) amount: u64,
    pub(super) left: u64,
}

/// # Errors
/// [`Fault::Denied`] `privacy.unasked` for a price where the terms have none, `privacy.epsilon` for none where they have,
/// `privacy.budget` for more than is left; `policy.unknown` where nobody knows what is.
pub(super) fn price(
    terms: &Privacy,
    request: &Request,
    spent: Spent,
    known: Known<'_>,
) -> Result<Option<Price>, Fault> {
    let (budget, asked) = match (terms.asked(), terms.budget, request.epsilon) {
        (false, _, None) => return Ok(None),
        (false, _, Some(_)) => {
            let why = "these terms have no privacy budget: answers have no noise and no price";
            return Err(Fault::denied("privacy.unasked", RULE, why));
        }
        (true, Some(budget), Some(asked)) => (budget, asked),
        (true, _, _) => {
            let why = "answers under these terms are noisy: say what this one may cost (epsilon)";
            return Err(Fault::denied("privacy.epsilon", RULE, why));
        }
    };
    let Some(entity) = known.group.map(|it| it.epsilon) else {
        let why = "what the legal entity has spent on this product is not known";
        return Err(Fault::denied("policy.unknown", RULE, why));
    };
    let left = left(budget, spent.epsilon.max(entity));
    match left.checked_sub(asked.micro()) {
        Some(left) => Ok(Some(Price { amount: asked.micro(), left })),
        None => {
            let left = micro_text(left);
            let why = format!("ε {asked} is asked for, {left} of {budget} is left");
            Err(Fault::denied("privacy.budget", RULE, why))
        }
    }
}

/// What is left of a budget, in millionths.
pub fn left(budget: Epsilon, spent: u64) -> u64 {
    budget.micro().saturating_sub(spent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::privacy::Unit;
    use crate::wire::samples;

    fn terms(micro: u64) -> Privacy {
        Privacy { budget: Epsilon::from_micro(micro), unit: Unit::parse("s;1") }
    }

    fn ask(
        terms: &Privacy,
        own: u64,
        entity: Option<u64>,
        asked: u64,
    ) -> Result<Option<Price>, Fault> {
        let request = Request { epsilon: Epsilon::from_micro(asked), ..samples::request(1) };
        let spent = Spent { epsilon: own, ..Spent::default() };
        price(
            terms,
            &request,
            spent,
            Known {
                group: entity.map(|epsilon| Spent { epsilon, ..Spent::default() }),
                ..Known::default()
            },
        )
    }

    #[test]
    fn a_price_is_said_known_and_left() {
        let budget = terms(1_000_000);
        for (own, entity, asked, code) in [
            (0, Some(0), 0, Some("privacy.epsilon")),
            (0, None, 1, Some("policy.unknown")),
            (0, Some(0), 1_000_000, None),
            (0, Some(0), 1_000_001, Some("privacy.budget")),
            (999_999, Some(0), 1, None),
            (1_000_000, Some(0), 1, Some("privacy.budget")),
            // Another contract of the same entity.
            (0, Some(999_999), 2, Some("privacy.budget")),
            // An entity that a contract belongs to no more.
            (u64::MAX, Some(0), 1, Some("privacy.budget")),
        ] {
            let got = ask(&budget, own, entity, asked);
            assert_eq!(got.as_ref().err().map(Fault::code), code, "{own} {entity:?} {asked}");
            if let Ok(Some(it)) = got {
                assert_eq!((it.amount, it.left), (asked, 1_000_000 - own - asked));
            }
        }
        let none = Privacy::default();
        assert_eq!(ask(&none, 0, None, 0), Ok(None));
        assert_eq!(ask(&none, 0, None, 1).unwrap_err().code(), "privacy.unasked");
        // Half of the terms is never signed, and is no permission.
        let half = Privacy { unit: Unit::parse("s;1"), budget: None };
        assert_eq!(ask(&half, 0, Some(0), 1).unwrap_err().code(), "privacy.epsilon");
    }

    proptest! {
        /// Whatever is asked for, in whatever order and under whichever of two contracts: no budget is exceeded.
        #[test]
        fn debits_never_exceed_the_budget(
            budget in 1_u64..2_000_000, asked in prop::collection::vec((any::<bool>(), 1_u64..500_000), 0..60),
        ) {
            let (terms, mut spent) = (terms(budget), [0_u64; 2]);
            for (second, asked) in asked {
                let entity = spent.iter().sum();
                let own = &mut spent[usize::from(second)];
                match ask(&terms, *own, Some(entity), asked) {
                    Ok(Some(it)) => {
                        *own += it.amount;
                        prop_assert_eq!(it.left, budget - entity - asked);
                    }
                    other => {
                        prop_assert_eq!(other.unwrap_err().code(), "privacy.budget");
                        prop_assert!(entity + asked > budget);
                    }
                }
                prop_assert!(spent.iter().sum::<u64>() <= budget);
            }
        }
    }
}
