//! What a gate has to count for some terms: which facts it loads, and what a signature must not promise about them.
//!
//! Counters belong to the contract, not to a rule of it: a counted term is signed only where it binds always, so that
//! no alternative and no second permission leads around the counter. Never counts by itself.

use std::time::Duration;

use crate::policy::compile::{Refusal, refusal};
use crate::policy::model::{Constraint, Operand, Policy};
use crate::policy::span::Span;
use crate::policy::terms::{Clause, Terms, Test, Topic};
use crate::time::Time;

/// Those of many uses that a gate has to know of: the newest, at most so many, and none that no period reaches back to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    pub most: u64,
    pub within: Duration,
}

impl Newest {
    /// Whether there is anything to know.
    pub fn any(self) -> bool {
        self.most > 0
    }

    /// Those that began later count.
    pub fn since(self, now: Time) -> Time {
        now.before(self.within)
    }

    /// Of these, newest first.
    pub fn of(self, mut all: Vec<Time>, now: Time) -> Vec<Time> {
        all.retain(|at| *at > self.since(now));
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.truncate(usize::try_from(self.most).unwrap_or(usize::MAX));
        all
    }

    /// So many that began lately deny: one more would be loaded in vain.
    fn add(&mut self, most: u64, span: Span) {
        self.most = self.most.max(most).max(1);
        self.within = self.within.max(span.longest());
    }
}

/// What the gate loads and charges beside the number of uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// When the newest uses began.
    pub starts: Newest,
    pub metered: bool,
    pub size: bool,
    pub records: bool,
    /// What the consumer's legal entity was debited.
    pub group: bool,
    /// The same of that entity's newest uses.
    pub group_starts: Newest,
    /// A lease ends with the hours of the week.
    pub window: bool,
    /// Of the product, from its row.
    pub version: bool,
    /// Who asks from where, which the gate alone sees.
    pub seen: bool,
}

impl Wants {
    pub fn of(terms: &Terms) -> Self {
        let mut out = Self::default();
        terms.grants.iter().chain(&terms.bans).for_each(|it| out.gather(&it.when));
        out.group |= terms
            .grants
            .iter()
            .any(|it| it.limits.matching.group_budget.is_some() || it.limits.privacy.asked());
        out
    }

    /// Whether some term needs a lease for each use to be kept.
    pub fn any(self) -> bool {
        self != Self::default()
    }

    /// Whether some term compares what only the gate knows of who asks, and for what.
    pub fn looks(self) -> bool {
        self.version || self.seen
    }

    fn gather(&mut self, it: &Test) {
        match it {
            Test::All(all) | Test::Any(all) | Test::One(all) | Test::Sequence(all) => {
                all.iter().for_each(|it| self.gather(it));
            }
            Test::Frequency(most, span) => self.starts.add(*most, *span),
            Test::Interval(span) => self.starts.add(1, *span),
            Test::Metered(..) => self.metered = true,
            Test::Size(..) => self.size = true,
            Test::Records(..) => self.records = true,
            Test::Group(..) => self.group = true,
            Test::Entity(it) => {
                if let Test::Frequency(most, span) = **it {
                    self.group_starts.add(most, span);
                } else {
                    // Debited as if it were the contract's own.
                    self.group = true;
                    self.gather(it);
                }
            }
            Test::Window(_) => self.window = true,
            Test::Version(..) | Test::Among(Topic::Version, ..) => self.version = true,
            Test::Network(..) | Test::Among(Topic::Role | Topic::Region, ..) => self.seen = true,
            Test::Clock(..)
            | Test::Count(..)
            | Test::Purpose(..)
            | Test::Recipient(..)
            | Test::Elapsed(..)
            | Test::Delay(..)
            | Test::Kind(_)
            | Test::Enforcement(_)
            | Test::Event(..)
            | Test::Among(..) => {}
        }
    }
}

/// Whether a policy speaks of anything for which a gate loads more than the number of uses. Cheap, for every request.
pub fn mentions(policy: &Policy) -> bool {
    let rules = policy.permissions.iter().chain(&policy.prohibitions);
    rules.flat_map(|it| &it.constraints).any(in_constraint)
}

fn in_constraint(it: &Constraint) -> bool {
    match it {
        Constraint::Atomic(it) => matches!(
            it.left,
            Operand::Frequency
                | Operand::TimeInterval
                | Operand::DataSize
                | Operand::RecordCount
                | Operand::GroupCount
                | Operand::GroupFrequency
                | Operand::GroupMeteredTime
                | Operand::GroupDataSize
                | Operand::GroupRecordCount
                | Operand::GroupMatchBudget
                | Operand::PrivacyBudget
                | Operand::PrivacyUnit
                | Operand::Version
        ),
        Constraint::And(all)
        | Constraint::Or(all)
        | Constraint::Xone(all)
        | Constraint::AndSequence(all) => all.iter().any(in_constraint),
    }
}

/// Counted terms that would not bind always, and those that only the gate looks at where another place would have to.
pub(super) fn unkept(grants: &[Clause], bans: &[Clause]) -> Vec<Refusal> {
    let mut out = vec![];
    let mut found = vec![];
    for it in bans {
        walk(&it.when, false, &mut found);
    }
    out.extend(found.iter().map(|it| refusal(it.name, "is understood in permissions only")));
    found.clear();
    for it in grants {
        walk(&it.when, false, &mut found);
    }
    const ALWAYS: &str = "may not stand inside or/xone/andSequence: it is counted always";
    const LOOKED: &str = "may not stand inside or/xone/andSequence: the gate alone looks at it";
    for it in found.iter().filter(|it| it.inside) {
        out.push(refusal(it.name, if it.looked { LOOKED } else { ALWAYS }));
    }
    // The place of use has no counters: it could not tell which of two permissions the gate found to hold.
    let mut used = grants.iter().filter(|it| it.reads());
    let same = used.next().is_none_or(|first| used.all(|it| it.limits == first.limits));
    const SAME: &str = "is counted for the whole contract, so that all permissions need the same limits on results";
    const ALONE: &str =
        "is looked at by the gate alone, so that all permissions need the same limits on results";
    if let (false, Some(it)) = (same, found.first()) {
        out.push(refusal(it.name, if it.looked { ALONE } else { SAME }));
    }
    out
}

/// A term that the gate alone can tell.
struct Gated {
    name: &'static str,
    /// Among alternatives.
    inside: bool,
    /// Looked at rather than counted.
    looked: bool,
}

fn walk(it: &Test, inside: bool, out: &mut Vec<Gated>) {
    let (name, looked) = match it {
        Test::All(all) => return all.iter().for_each(|it| walk(it, inside, out)),
        Test::Any(all) | Test::One(all) | Test::Sequence(all) => {
            return all.iter().for_each(|it| walk(it, true, out));
        }
        Test::Frequency(..) => ("tidm:frequency", false),
        Test::Interval(_) => ("timeInterval", false),
        Test::Metered(..) => ("meteredTime", false),
        Test::Size(..) => ("tidm:dataSize", false),
        Test::Records(..) => ("tidm:recordCount", false),
        Test::Group(..) => ("tidm:groupCount", false),
        Test::Entity(it) => (entity(it), false),
        Test::Network(..) => ("tidm:networkAddress", true),
        Test::Version(..) | Test::Among(Topic::Version, ..) => ("version", true),
        Test::Among(Topic::Role, ..) => ("tidm:assigneeRole", true),
        Test::Among(Topic::Region, ..) => ("spatial", true),
        Test::Clock(..)
        | Test::Count(..)
        | Test::Purpose(..)
        | Test::Recipient(..)
        | Test::Elapsed(..)
        | Test::Delay(..)
        | Test::Kind(_)
        | Test::Enforcement(_)
        | Test::Window(_)
        | Test::Event(..)
        | Test::Among(..) => return,
    };
    out.push(Gated { name, inside, looked });
}

/// The operand of what is counted over a legal entity.
pub(super) fn entity(it: &Test) -> &'static str {
    if let Test::Frequency(..) = it {
        "tidm:groupFrequency"
    } else if let Test::Metered(..) = it {
        "tidm:groupMeteredTime"
    } else if let Test::Size(..) = it {
        "tidm:groupDataSize"
    } else {
        "tidm:groupRecordCount"
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is loaded answers as all uses would: whether so many began in a period, and whether any did.
        #[test]
        fn the_newest_uses_say_what_all_say(
            all in prop::collection::vec(0_i64..4_000_000_000, 0..40),
            terms in prop::collection::vec((1_u64..12, prop::sample::select(vec!["PT1H", "P1D", "P20D", "P1M"])), 1..4),
        ) {
            let now = Time::from_ms(4_000_000_000);
            let all: Vec<Time> = all.into_iter().map(Time::from_ms).collect();
            let terms: Vec<(u64, Span)> =
                terms.into_iter().map(|(most, span)| (most, Span::parse(span).unwrap())).collect();
            let mut wants = Newest::default();
            terms.iter().for_each(|(most, span)| wants.add(*most, *span));
            let some = wants.of(all.clone(), now);
            prop_assert!(some.is_sorted_by(|a, b| a >= b) && some.len() as u64 <= wants.most);
            for (most, span) in terms {
                let lately = |of: &[Time]| of.iter().filter(|at| span.after(**at) > now).count() as u64;
                prop_assert_eq!(lately(&some) >= most, lately(&all) >= most);
                prop_assert_eq!(lately(&some) > 0, lately(&all) > 0);
            }
        }
    }
}
