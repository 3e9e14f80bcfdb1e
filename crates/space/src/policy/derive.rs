//! Whether a contract permits its consumer to make products of the data and to offer them to others.
//!
//! ODRL counts deriving among the uses; here it must be said, like handing on: a permission to `derive` or to `distribute`.
//! Who may hand the data on may hand on what was made of it. A prohibition of either that may apply wins, whatever the
//! policy's own strategy is. Never asks whether something was in fact made of the data: nobody here can tell.

use crate::lang::Lang;
use crate::policy::compile::{Refusal, overlap, refusal};
use crate::policy::eval::{Decision, Explanation, Reason, Verdict, What, evaluate, report};
use crate::policy::facts::Request;
use crate::policy::model::Action;
use crate::policy::strict::operand;
use crate::policy::terms::{Clause, Limits, Terms, Test};
use crate::policy::truth::Truth;

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// This rule forbids it.
    Prohibited { rule: String, action: Action },
    /// No permission says it.
    Unsaid,
    /// One does, and its conditions do not hold, or nobody knows whether.
    Unmet(Vec<Reason>),
}

/// Whether this consumer may publish now; of the request's facts only those of time and party are looked at.
pub fn permitted(terms: &Terms, request: &Request<'_>) -> Result<(), Refused> {
    let acts = [Action::Derive, Action::Distribute];
    for action in &acts {
        let asked = Request { action: action.clone(), ..request.clone() };
        let stops = report(terms, &asked)
            .into_iter()
            .find(|it| !it.permission && it.applies() != Truth::No)
            .map(|it| it.place.to_owned());
        let banned = stops.and_then(|place| terms.bans.iter().find(|it| it.place == place));
        if let Some(ban) = banned {
            return Err(Refused::Prohibited {
                rule: ban.place.clone(),
                action: ban.action.clone(),
            });
        }
    }
    if let Some((grant, ban)) = overlap(terms) {
        // Signed before such were refused. Whether the two meet the facts of a use would tell, and a publication is none.
        let why = Explanation::new(What::Void(grant, ban), Truth::Unknown, vec![]);
        let (zh, en) = (why.words(Lang::Zh), why.words(Lang::En));
        return Err(Refused::Unmet(vec![Reason { rule: "policy".to_owned(), zh, en }]));
    }
    let mut unmet = vec![];
    let mut said = false;
    for action in acts {
        // A permission to use says nothing of it, although ODRL counts it among the uses.
        let grants: Vec<Clause> =
            terms.grants.iter().filter(|it| it.action == action).cloned().collect();
        said |= !grants.is_empty();
        if grants.is_empty() {
            continue;
        }
        let own = Terms { grants, bans: vec![], ..terms.clone() };
        let asked = Request { action, ..request.clone() };
        match evaluate(&own, &asked) {
            Decision { verdict: Verdict::Permit(_), .. } => return Ok(()),
            Decision { verdict: Verdict::Deny(why) | Verdict::Unknown(why), .. } => {
                unmet.extend(why);
            }
        }
    }
    Err(if said { Refused::Unmet(unmet) } else { Refused::Unsaid })
}

/// Conditions on deriving that no node could hold a publication against: it is no use, and no gate sees it.
pub(super) fn unkept(grants: &[Clause], bans: &[Clause]) -> Vec<Refusal> {
    let mut out = vec![];
    for it in grants.iter().chain(bans).filter(|it| it.action == Action::Derive) {
        foreign(&it.when, &mut out);
        if it.limits != Limits::default() {
            out.push(refusal(it.action.name(), OTHERWISE));
        }
    }
    out
}

const OTHERWISE: &str =
    "says nothing of a publication: derived products are bound by times and recipients alone";

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else there is, no publication shows it"
)]
fn foreign(it: &Test, out: &mut Vec<Refusal>) {
    match it {
        Test::All(all) | Test::Any(all) | Test::One(all) | Test::Sequence(all) => {
            all.iter().for_each(|it| foreign(it, out));
        }
        Test::Clock(..) | Test::Recipient(..) | Test::Delay(..) => {}
        _ => out.push(refusal(operand(it), OTHERWISE)),
    }
}

#[cfg(test)]
mod tests;
