//! Deliveries: what leaves without a lease of its own is held against the terms all the same, for as long as it leaves.
//!
//! Never counts: what only a gate counts is not granted for plain delivery at all. A purpose is a promise there (E0), for
//! nothing says one.

use crate::contract::Contract;
use crate::fault::Fault;
use crate::id::Id;
use crate::policy::eval::{Request as Asked, evaluate};
use crate::policy::facts::Facts;
use crate::policy::steady::until as steady_until;
use crate::policy::terms::Terms;
use crate::policy::usage::Use;
use crate::time::Time;

/// The contract's terms, if they let its data leave in this kind of use now.
///
/// # Errors
/// [`Fault::Denied`] `transfer.kind` where they do not grant or cannot keep it, or what [`evaluate`] says of plain bytes.
pub fn deliverable(contract: &Contract, kind: Use, now: Time) -> Result<Terms, Fault> {
    let denied = |why: &str| Fault::denied("transfer.kind", "contract", why);
    let terms = contract.terms()?;
    if !terms.summary.allows(kind) {
        return Err(denied(&format!("the contract does not grant {}", kind.name())));
    }
    if let Some(why) = terms.unkeepable(kind).first() {
        return Err(denied(why));
    }
    terms.check_not_gone(contract.first_use, now)?;
    if kind == Use::Plain {
        asked(contract, &terms, now, |it| evaluate(&terms, it).permitted())?;
    }
    Ok(terms)
}

/// Until when what may leave now may go on leaving, for all that is known now; at that moment [`deliverable`] is asked again.
/// `None`: without end, as what is sealed, which opens under leases alone.
pub fn leaves_until(contract: &Contract, terms: &Terms, kind: Use, now: Time) -> Option<Time> {
    if kind != Use::Plain {
        return None;
    }
    let ended = terms.until(contract.first_use.or(Some(now)));
    let changed = asked(contract, terms, now, |it| steady_until(terms, it));
    ended.into_iter().chain(changed).min()
}

/// What plain bytes that leave are held against the terms by.
fn asked<T>(
    contract: &Contract,
    terms: &Terms,
    now: Time,
    then: impl FnOnce(&Asked<'_>) -> T,
) -> T {
    let purpose = terms.summary.purposes.as_ref().and_then(|all| all.first()).cloned();
    // Whom the terms name is the peer, as was checked when they were signed; other programs have names of their own.
    let party = terms.assignee.as_ref().map_or(contract.peer.as_str(), Id::as_str);
    let deeds = terms.consent(contract.consented.is_some());
    then(&Asked {
        purpose: purpose.as_deref(),
        first_use_at: contract.first_use,
        agreed_at: Some(contract.signed_at),
        more: Facts { deeds: &deeds, ..Facts::default() },
        ..Asked::new(now, Use::Plain, party)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::model::{Action, Constraint, Operand, Operator, Rule};
    use crate::wire::samples::{agreement, at, constraint, contract};

    #[test]
    fn plain_bytes_may_leave_until_time_changes_the_answer() {
        let minute = || constraint(Operand::ElapsedTime, Operator::Lteq, "PT1M");
        let date = |op, second| constraint(Operand::DateTime, op, &at(second).to_string());
        let either = || Constraint::Or(vec![minute(), date(Operator::Lteq, 40)]);
        // What is compared with `lteq` holds for the whole last millisecond.
        let behind = |second| at(second).after(std::time::Duration::from_millis(1));
        for (permitted, prohibited, first_use, until) in [
            (vec![], vec![], None, None),
            (vec![minute()], vec![], None, Some(behind(70))),
            (vec![minute()], vec![], Some(5), Some(behind(65))),
            (vec![either()], vec![], Some(5), Some(behind(40))),
            (vec![], vec![date(Operator::Gteq, 30)], None, Some(at(30))),
            (vec![date(Operator::Lt, 20)], vec![date(Operator::Gteq, 30)], None, Some(at(20))),
        ] {
            let mut policy = agreement(false).policy;
            policy.permissions = vec![Rule::new(Action::Use, permitted)];
            let ban = (!prohibited.is_empty()).then(|| Rule::new(Action::Use, prohibited));
            policy.prohibitions = ban.into_iter().collect();
            let it = Contract { first_use: first_use.map(at), ..contract(policy) };
            let terms = deliverable(&it, Use::Plain, at(10)).unwrap();
            let found = leaves_until(&it, &terms, Use::Plain, at(10));
            assert_eq!(found, until, "{:?}", it.policy);
            assert_eq!(leaves_until(&it, &terms, Use::SealedTable, at(10)), None);
            let Some(until) = until else { continue };
            // Of alternatives the other one still holds then.
            let first_use = Some(it.first_use.unwrap_or_else(|| at(10)));
            let late = deliverable(&Contract { first_use, ..it }, Use::Plain, until);
            assert_eq!(late.is_ok(), until == behind(40), "{until}");
        }
    }
}
