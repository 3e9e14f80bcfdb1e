//! From policy to [`Terms`]: every term understood and every value parsed, or refused with its name (decision D5).
//!
//! [`compile`] is what a node signs by: what nobody here can find out or keep is refused too ([`super::reach`] says
//! why), and so is a policy that some use would make void, or whose permissions no place of use could tell apart. [`compile_signed`] is
//! for what both sides have signed already, where that is told for each use instead ([`super::eval`], [`super::tiers`]). [`understand`] takes all that ODRL says, for evaluations whose caller hands in the facts. Never skips what it
//! does not know. Deviations from ODRL, all towards less: `use` does not include `distribute`; `aggregate` grants only
//! queries with aggregate results; `eq` on `count`, `elapsedTime` and `delayPeriod` is read as the bound that people
//! mean by it; a node's duties are `delete`, `compensate`, `watermark`,
//! `acceptTracking` and `inform`, which hold for every lease, `obtainConsent`, which a person of the provider gives to
//! the whole contract, and `nextPolicy`, which passes on these very terms; whom `inform` tells is the provider. `spatial` is the region of the user as its membership says,
//! for where a use takes place nobody can prove.

use crate::policy::apart::{Meeting, meeting};
use crate::policy::counted;
use crate::policy::derive;
use crate::policy::duty::Duties;
use crate::policy::model::{Action, Conflict, Constraint, Operand, PROFILE, Policy, Rule};
use crate::policy::privacy;
use crate::policy::reach::{self, Reach};
use crate::policy::summary::summary;
use crate::policy::terms::{Clause, Duty, Limit, Limits, Terms, Test, Topic};
use crate::policy::tiers;
use crate::policy::usage::Use;

mod operand;

pub(super) use operand::{Part, part};

/// The matter that an operand is about, where its values are names.
pub fn topic(it: &Operand) -> Option<Topic> {
    operand::topic(it)
}

/// Profiles whose terms are these: ours, ODRL's core, DSP's.
const PROFILES: [&str; 4] = [
    PROFILE,
    "http://www.w3.org/ns/odrl/2/core",
    "http://www.w3.org/ns/odrl/2/",
    "https://w3id.org/dspace/2025/1/odrl-profile.jsonld",
];

/// A term that cannot be honoured here, by name, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{term}: {why}")]
pub struct Refusal {
    pub term: String,
    pub why: &'static str,
}

pub(super) fn refusal(term: impl Into<String>, why: &'static str) -> Refusal {
    Refusal { term: term.into(), why }
}

pub(super) const UNKNOWN: &str = "is not understood here, so it cannot be kept";

/// What a node may sign. All refusals at once, so that a person corrects an offer in one round.
pub fn compile(policy: &Policy) -> Result<Terms, Vec<Refusal>> {
    read(policy, Reach::Node, unsigned)
}

/// What both sides signed: rules of it may overlap or be hard to tell apart, for it may be older than the refusal of such. Never for what is yet to
/// be signed, or listed to be; of a contract it is [`Contract::terms`](crate::contract::Contract::terms).
pub fn compile_signed(policy: &Policy) -> Result<Terms, Vec<Refusal>> {
    read(policy, Reach::Node, |_, _, _| vec![])
}

/// All that is understood, kept here or not. Never for signing.
pub fn understand(policy: &Policy) -> Result<Terms, Vec<Refusal>> {
    read(policy, Reach::Whole, |_, _, _| vec![])
}

/// What permissions and prohibitions are refused for together.
type Together = fn(Option<Conflict>, &[Clause], &[Clause]) -> Vec<Refusal>;

fn read(policy: &Policy, reach: Reach, together: Together) -> Result<Terms, Vec<Refusal>> {
    let mut refused: Vec<Refusal> =
        policy.unsupported.iter().map(|name| refusal(name, UNKNOWN)).collect();
    refused.extend(
        policy
            .profile
            .iter()
            .filter(|p| !PROFILES.contains(&p.as_str()))
            .map(|p| refusal(p, "is an unknown profile")),
    );
    let mut reader = Reader { reach, duties: Duties::default(), refused };
    let mut clauses = |rules: &[Rule], name: &str, side| -> Vec<Clause> {
        let all = rules.iter().enumerate();
        all.filter_map(|(i, rule)| reader.clause(rule, format!("{name}[{i}]"), side)).collect()
    };
    let grants = clauses(&policy.permissions, "permission", Side::Grant);
    let bans = clauses(&policy.prohibitions, "prohibition", Side::Ban);
    let Reader { mut duties, mut refused, .. } = reader;
    let mut owed = vec![];
    for (i, rule) in policy.obligations.iter().enumerate() {
        owed.extend(duties.add(rule, &format!("obligation[{i}]"), false, reach, &mut refused));
    }
    refused.extend(together(policy.conflict, &grants, &bans));
    if reach == Reach::Node {
        refused.extend(counted::unkept(&grants, &bans));
        refused.extend(derive::unkept(&grants, &bans));
        refused.extend(privacy::unkept(&grants));
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    let summary = summary(&grants, &bans, duties.delete);
    Ok(Terms {
        assignee: policy.assignee.clone(),
        grants,
        bans,
        duties: owed,
        conflict: policy.conflict,
        delete: duties.delete,
        price: duties.price,
        mark: duties.mark,
        summary,
    })
}

/// What is refused until it is signed, and borne from then on.
fn unsigned(strategy: Option<Conflict>, grants: &[Clause], bans: &[Clause]) -> Vec<Refusal> {
    let mut out = void(strategy, grants, bans);
    out.extend(tiers::unkept(grants));
    out
}

/// Prohibitions that make the whole policy void, or would in some use (ODRL §2.10, `invalid`).
fn void(strategy: Option<Conflict>, grants: &[Clause], bans: &[Clause]) -> Vec<Refusal> {
    const VOID: &str =
        "is permitted and prohibited at once, which makes the policy void (ODRL conflict)";
    const PERHAPS: &str = "may be permitted and prohibited at once, which would make the whole policy void: needs conditions that exclude each other, or conflict prohibit or perm";
    let mut out = vec![];
    if !voids(strategy) {
        return out;
    }
    for ban in bans {
        let all: Vec<Meeting> = grants.iter().map(|it| meeting(it, ban)).collect();
        if all.contains(&Meeting::Always) {
            out.push(refusal(ban.action.name(), VOID));
        } else if all.contains(&Meeting::Perhaps) {
            out.push(refusal(ban.action.name(), PERHAPS));
        }
    }
    out
}

/// Whether one conflict makes the whole policy void.
fn voids(strategy: Option<Conflict>) -> bool {
    matches!(strategy, None | Some(Conflict::Invalid))
}

/// A permission and a prohibition by which some use would make the policy void.
pub(super) fn overlap(terms: &Terms) -> Option<(&Clause, &Clause)> {
    let met = |ban| terms.grants.iter().find(|it| meeting(it, ban) != Meeting::Never);
    let mut bans = terms.bans.iter().filter(|_| voids(terms.conflict));
    bans.find_map(|ban| Some((met(ban)?, ban)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Grant,
    Ban,
}

struct Reader {
    reach: Reach,
    duties: Duties,
    refused: Vec<Refusal>,
}

impl Reader {
    fn refuse(&mut self, term: impl Into<String>, why: &'static str) {
        self.refused.push(refusal(term, why));
    }

    fn clause(&mut self, rule: &Rule, place: String, side: Side) -> Option<Clause> {
        let before = self.refused.len();
        self.refused.extend(rule.unsupported.iter().map(|name| refusal(name, UNKNOWN)));
        self.action(&rule.action);
        self.parties(rule);
        let mut tests = vec![];
        let mut limits = Limits::default();
        for constraint in &rule.constraints {
            match constraint {
                // An `and` of limits is the same as its members side by side.
                Constraint::And(parts) if parts.iter().any(is_limit) => {
                    for part in parts {
                        self.top(part, side, &mut tests, &mut limits);
                    }
                }
                Constraint::And(parts) if parts.is_empty() => {}
                Constraint::Atomic(_)
                | Constraint::And(_)
                | Constraint::Or(_)
                | Constraint::Xone(_)
                | Constraint::AndSequence(_) => {
                    self.top(constraint, side, &mut tests, &mut limits);
                }
            }
        }
        if rule.action == Action::Aggregate {
            limits.aggregates_only = true;
            tests.push(Test::Kind(vec![Use::Query]));
        }
        let owed = self.owed(rule, &place, side);
        (self.refused.len() == before).then(|| Clause {
            place,
            action: rule.action.clone(),
            target: rule.target.clone(),
            assignee: rule.assignee.clone(),
            when: Test::All(tests),
            limits,
            duties: owed,
        })
    }

    fn action(&mut self, it: &Action) {
        if let Action::Unknown(name) = it {
            self.refuse(name, UNKNOWN);
        } else if self.reach == Reach::Node && !reach::exercised(it) {
            let duty = matches!(
                it,
                Action::Delete
                    | Action::Compensate
                    | Action::AcceptTracking
                    | Action::Inform
                    | Action::ObtainConsent
                    | Action::NextPolicy
            );
            let why = if duty {
                "is a duty, not a use"
            } else {
                "is understood, but no use here exercises it"
            };
            self.refuse(it.name(), why);
        }
    }

    /// DSP has parties and target in the policy; a node compares those alone.
    fn parties(&mut self, rule: &Rule) {
        if self.reach == Reach::Node {
            for (name, said) in [("target", &rule.target), ("assignee", &rule.assignee)] {
                if said.is_some() {
                    self.refuse(name, "is understood in the policy only, not in a rule");
                }
            }
        }
    }

    fn owed(&mut self, rule: &Rule, place: &str, side: Side) -> Vec<Duty> {
        if side == Side::Ban && !rule.duties.is_empty() {
            self.refuse("duty", "has no meaning in a prohibition");
        }
        if !rule.consequences.is_empty() {
            self.refuse("consequence", "has no meaning outside a duty");
        }
        if !rule.remedies.is_empty() {
            if side == Side::Grant {
                self.refuse("remedy", "has no meaning outside a prohibition");
            } else if self.reach == Reach::Node {
                self.refuse("remedy", "is understood, but nobody here learns of infringements");
            }
        }
        let (name, all) = match side {
            Side::Grant => ("duty", &rule.duties),
            Side::Ban => ("remedy", &rule.remedies),
        };
        let mut out = vec![];
        for (i, duty) in all.iter().enumerate() {
            let place = format!("{place}.{name}[{i}]");
            out.extend(self.duties.add(duty, &place, true, self.reach, &mut self.refused));
        }
        out
    }

    fn top(&mut self, it: &Constraint, side: Side, tests: &mut Vec<Test>, limits: &mut Limits) {
        match it {
            Constraint::Atomic(atomic) => match part(atomic, side, self.reach) {
                Ok(Part::Test(test)) => tests.push(test),
                Ok(Part::Limit(limit)) if side == Side::Grant => {
                    if !narrow(limits, limit) {
                        self.refuse(atomic.left.name(), "is said twice, and not the same");
                    }
                }
                Ok(Part::Limit(_)) => {
                    self.refuse(atomic.left.name(), "is understood in permissions only");
                }
                Err(why) => self.refused.push(why),
            },
            Constraint::And(_)
            | Constraint::Or(_)
            | Constraint::Xone(_)
            | Constraint::AndSequence(_) => tests.extend(self.nested(it, side)),
        }
    }

    /// Inside alternatives only tests of facts make sense: a limit that holds "or" something else limits nothing.
    fn nested(&mut self, it: &Constraint, side: Side) -> Option<Test> {
        let mut all = |parts: &[Constraint]| {
            if parts.is_empty() {
                self.refuse("constraint", "is a logical constraint without members");
            }
            parts.iter().filter_map(|p| self.nested(p, side)).collect::<Vec<_>>()
        };
        match it {
            Constraint::And(parts) => Some(Test::All(all(parts))),
            Constraint::AndSequence(parts) => Some(Test::Sequence(all(parts))),
            Constraint::Or(parts) => Some(Test::Any(all(parts))),
            Constraint::Xone(parts) => Some(Test::One(all(parts))),
            Constraint::Atomic(atomic) => match part(atomic, side, self.reach) {
                Ok(Part::Test(test)) => Some(test),
                Ok(Part::Limit(_)) => {
                    self.refuse(
                        atomic.left.name(),
                        "may not stand inside and/or/xone: it limits results always",
                    );
                    None
                }
                Err(why) => {
                    self.refused.push(why);
                    None
                }
            },
        }
    }
}

pub(super) fn is_limit(it: &Constraint) -> bool {
    match it {
        Constraint::Atomic(it) => operand::limits(&it.left),
        Constraint::And(_)
        | Constraint::Or(_)
        | Constraint::Xone(_)
        | Constraint::AndSequence(_) => false,
    }
}

/// Both limits hold: the narrower of the two. `false` where both cannot.
fn narrow(limits: &mut Limits, limit: Limit) -> bool {
    let least = |slot: &mut Option<u64>, n: u64| *slot = Some(slot.map_or(n, |old| old.min(n)));
    match limit {
        Limit::Columns(new) => {
            limits.columns = Some(match limits.columns.take() {
                Some(old) => old.intersection(&new).cloned().collect(),
                None => new,
            });
        }
        Limit::AggregatesOnly => limits.aggregates_only = true,
        Limit::MinGroup(n) => limits.min_group = Some(limits.min_group.map_or(n, |old| old.max(n))),
        Limit::OutputRows(n) => least(&mut limits.output_rows, n),
        Limit::OutputBytes(n) => least(&mut limits.output_bytes, n),
        Limit::DeliveryRate(n) => least(&mut limits.delivery_rate, n),
        Limit::DeliveryConnections(n) => least(&mut limits.delivery_connections, n),
        Limit::KeyOperator(new) => {
            return limits.operator.get_or_insert_with(|| new.clone()) == &new;
        }
        Limit::Rows(new) => {
            limits.filter = Some(match limits.filter.take() {
                Some(old) => old.and(new),
                None => new,
            });
        }
        Limit::Matching(limit) => return limits.matching.narrow(limit),
        Limit::Privacy(limit) => return limits.privacy.narrow(limit),
    }
    true
}

#[cfg(test)]
mod tests;
