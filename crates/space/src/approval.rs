//! Approval rules: what this node says by itself when a negotiation or a transfer reaches a state.
//!
//! A rule never widens what may be said: it picks among the moves that the protocol's own table allows, agrees only to
//! terms that this node offered itself and accepts only terms that it asked for; everything else goes to a person.
//! Rules are kept with the offer, copied into each negotiation that asks for it, and from there into the contract, so
//! that a later offer changes nothing that is under way.

use std::time::Duration;

use crate::limits::{RULE_DELAY, RULES};
use crate::negotiation::machine::table as negotiation_table;
use crate::negotiation::message::{Kind as Said, Role};
use crate::negotiation::state::Name as Stage;
use crate::transfer::machine::table as transfer_table;
use crate::transfer::message::Kind as Moved;
use crate::transfer::state::Name as Phase;

/// A checked list; of those that fit, the first one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// When this is reached, do that, after a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub when: When,
    /// Only when it is reached for the n-th time, counted from 1; every time where absent.
    pub round: Option<u32>,
    pub then: Then,
    pub after: Duration,
}

/// The state that was reached, whoever led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Negotiation(Stage),
    Transfer(Phase),
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing by itself; an operator may go on by hand.
    Hold,
    /// A person decides.
    Ask,
    /// Provider: the listed terms.
    Offer,
    /// Provider: agree to what is on the table, if it is what was offered.
    Agree,
    /// Consumer: accept what is on the table, if it is what was asked for.
    Accept,
    /// Consumer: ask once more for what was asked for first.
    Counter,
    Verify,
    Finalize,
    /// Of a negotiation or a transfer.
    Terminate,
    /// Provider: lay the data ready and start; either side: go on after a suspension.
    Start,
    Suspend,
    Complete,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRules {
    #[error("more than {RULES} rules")]
    TooMany,
    #[error("rule {0}: the {1} cannot {2} when {3} is reached")]
    Impossible(usize, &'static str, &'static str, &'static str),
    #[error("rule {0}: rounds are counted from 1")]
    Round(usize),
    #[error("rule {0}: a delay of more than {seconds} s", seconds = RULE_DELAY.as_secs())]
    Delay(usize),
}

impl Rules {
    /// Checks that the side in this role could do each of them by the protocol's table.
    pub fn new(role: Role, rules: Vec<Rule>) -> Result<Self, BadRules> {
        if rules.len() > RULES {
            return Err(BadRules::TooMany);
        }
        for (index, rule) in rules.iter().enumerate() {
            let number = index + 1;
            if rule.round == Some(0) {
                return Err(BadRules::Round(number));
            }
            if rule.after > RULE_DELAY {
                return Err(BadRules::Delay(number));
            }
            if !possible(role, rule.when, rule.then) {
                let (then, when) = (rule.then.word(), rule.when.word());
                return Err(BadRules::Impossible(number, role.word(), then, when));
            }
        }
        Ok(Self(rules))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn all(&self) -> &[Rule] {
        &self.0
    }

    /// The rule for a state that was reached for the `round`-th time.
    pub fn at(&self, when: When, round: u32) -> Option<&Rule> {
        self.0.iter().find(|it| it.when == when && it.round.is_none_or(|it| it == round))
    }
}

fn possible(role: Role, when: When, then: Then) -> bool {
    match when {
        When::Negotiation(stage) if then == Then::Hold => {
            !stage.is_terminal() && stage != Stage::Initial
        }
        When::Negotiation(stage) if then == Then::Ask => Then::ALL
            .iter()
            .any(|it| it.said() != Some(Said::Terminate) && says(role, stage, it.said()).is_some()),
        When::Negotiation(stage) => says(role, stage, then.said()).is_some(),
        When::Transfer(phase) if then == Then::Hold => {
            !phase.is_terminal() && phase != Phase::Initial
        }
        When::Transfer(phase) => then.moved().is_some_and(|kind| {
            transfer_table(phase, role, kind).is_ok_and(|to| to != phase) && phase != Phase::Initial
        }),
    }
}

/// Where saying this leads, if it leads anywhere.
fn says(role: Role, stage: Stage, kind: Option<Said>) -> Option<Stage> {
    let to = negotiation_table(stage, role, kind?).ok()?;
    (to != stage && stage != Stage::Initial).then_some(to)
}

impl When {
    pub const ALL: [Self; 8] = [
        Self::Negotiation(Stage::Requested),
        Self::Negotiation(Stage::Offered),
        Self::Negotiation(Stage::Accepted),
        Self::Negotiation(Stage::Agreed),
        Self::Negotiation(Stage::Verified),
        Self::Transfer(Phase::Requested),
        Self::Transfer(Phase::Started),
        Self::Transfer(Phase::Suspended),
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Negotiation(Stage::Requested) => "requested",
            Self::Negotiation(Stage::Offered) => "offered",
            Self::Negotiation(Stage::Accepted) => "accepted",
            Self::Negotiation(Stage::Agreed) => "agreed",
            Self::Negotiation(Stage::Verified) => "verified",
            Self::Negotiation(Stage::Initial | Stage::Finalized | Stage::Terminated) => "ended",
            Self::Transfer(Phase::Requested) => "transfer-requested",
            Self::Transfer(Phase::Started) => "transfer-started",
            Self::Transfer(Phase::Suspended) => "transfer-suspended",
            Self::Transfer(Phase::Initial | Phase::Completed | Phase::Terminated) => {
                "transfer-ended"
            }
        }
    }

    /// By its [`word`](Self::word).
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

impl Then {
    pub const ALL: [Self; 12] = [
        Self::Hold,
        Self::Ask,
        Self::Offer,
        Self::Agree,
        Self::Accept,
        Self::Counter,
        Self::Verify,
        Self::Finalize,
        Self::Terminate,
        Self::Start,
        Self::Suspend,
        Self::Complete,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Ask => "ask",
            Self::Offer => "offer",
            Self::Agree => "agree",
            Self::Accept => "accept",
            Self::Counter => "counter",
            Self::Verify => "verify",
            Self::Finalize => "finalize",
            Self::Terminate => "terminate",
            Self::Start => "start",
            Self::Suspend => "suspend",
            Self::Complete => "complete",
        }
    }

    /// By its [`word`](Self::word).
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    /// The message of a negotiation that it is.
    fn said(self) -> Option<Said> {
        Some(match self {
            Self::Offer => Said::Offer,
            Self::Agree => Said::Agree,
            Self::Accept => Said::Accept,
            Self::Counter => Said::Request,
            Self::Verify => Said::Verify,
            Self::Finalize => Said::Finalize,
            Self::Terminate => Said::Terminate,
            Self::Hold | Self::Ask | Self::Start | Self::Suspend | Self::Complete => return None,
        })
    }

    /// The message of a transfer that it is.
    fn moved(self) -> Option<Moved> {
        Some(match self {
            Self::Start => Moved::Start,
            Self::Suspend => Moved::Suspend,
            Self::Complete => Moved::Complete,
            Self::Terminate => Moved::Terminate,
            Self::Hold
            | Self::Ask
            | Self::Offer
            | Self::Agree
            | Self::Accept
            | Self::Counter
            | Self::Verify
            | Self::Finalize => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(when: &str, then: &str) -> Rule {
        let (when, then) = (When::from_word(when).unwrap(), Then::from_word(then).unwrap());
        Rule { when, round: None, then, after: Duration::ZERO }
    }

    /// Every rule that can be made at all, as a reviewer reads it.
    #[test]
    fn rules_are_moves_of_the_tables() {
        let mut seen = String::new();
        for role in Role::ALL {
            for when in When::ALL {
                let possible: Vec<&str> = Then::ALL
                    .into_iter()
                    .filter(|then| possible(role, when, *then))
                    .map(Then::word)
                    .collect();
                seen += &format!("{} {}: {}\n", role.word(), when.word(), possible.join(" "));
            }
        }
        assert_eq!(
            seen.trim(),
            "\
consumer requested: hold terminate
consumer offered: hold ask accept counter terminate
consumer accepted: hold terminate
consumer agreed: hold ask verify terminate
consumer verified: hold terminate
consumer transfer-requested: hold terminate
consumer transfer-started: hold terminate suspend complete
consumer transfer-suspended: hold terminate start
provider requested: hold ask offer agree terminate
provider offered: hold terminate
provider accepted: hold ask agree terminate
provider agreed: hold terminate
provider verified: hold ask finalize terminate
provider transfer-requested: hold terminate start
provider transfer-started: hold terminate suspend complete
provider transfer-suspended: hold terminate start",
            "\n{seen}"
        );
    }

    #[test]
    fn impossible_rules_are_refused_by_number() {
        let delayed = |after| Rule { after, ..rule("requested", "agree") };
        for (role, bad) in [
            (Role::Consumer, vec![rule("requested", "terminate"), rule("requested", "agree")]),
            (Role::Provider, vec![rule("requested", "hold"), rule("requested", "complete")]),
            (Role::Provider, vec![rule("requested", "hold"), delayed(RULE_DELAY * 2)]),
            (
                Role::Provider,
                vec![
                    rule("requested", "hold"),
                    Rule { round: Some(0), ..rule("requested", "agree") },
                ],
            ),
        ] {
            let why = Rules::new(role, bad).unwrap_err().to_string();
            assert!(why.starts_with("rule 2:"), "{why}");
        }
        let many = vec![rule("requested", "agree"); RULES + 1];
        assert_eq!(Rules::new(Role::Provider, many), Err(BadRules::TooMany));
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let first = Rule { round: Some(1), ..rule("requested", "offer") };
        let rules = Rules::new(Role::Provider, vec![first, rule("requested", "terminate")]);
        let rules = rules.unwrap();
        let when = When::Negotiation(Stage::Requested);
        for (round, then) in [(1, Then::Offer), (2, Then::Terminate), (9, Then::Terminate)] {
            assert_eq!(rules.at(when, round).map(|it| it.then), Some(then), "{round}");
        }
        assert_eq!(rules.at(When::Negotiation(Stage::Offered), 1), None);
    }
}
