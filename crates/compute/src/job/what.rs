//! What a job works out: rows, or one answer about them, or rows with what the peer says of them.
//!
//! Sizes, sums and "at least so many" come from shares that are opened once, in the end ([`tidm_mpc::partition::shares`]): no party
//! learns anything of a part. Never more than one answer per job.

use serde::{Deserialize, Serialize};
use tidm_mpc::circuit::{self, Opened, Opens};
use tidm_mpc::partition::plan::Plan;
use tidm_mpc::partition::shares::{self, closing};
use tidm_mpc::session::Party;

use super::failure::Failure;
use super::journal::State;
use super::limits::{
    AHEAD_BYTES_PER_ITEM, LABEL_ROW_BYTES, MAX_DECIMALS, MAX_LABEL_COLUMNS, MAX_LABEL_ENTRY_BYTES,
    SHARED_BYTES_PER_ITEM,
};
use super::order::{Learns, Order, Role, Security};
use crate::keys::{Equals, decimal};

/// Both parties agree on it, names of columns included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum What {
    /// The rows of one's own list that the other has too.
    #[default]
    Rows,
    /// How many items are common.
    Size { within: Within },
    /// The sum of a column of one party over the rows that are common, exact to so many decimals.
    Sum { of: Role, column: String, decimals: u32, within: Within },
    /// Whether so many items are common: one bit.
    AtLeast { least: u64 },
    /// Rows, and columns of the sender with each, in records of so many bytes.
    Labels { columns: Vec<String>, bytes: u32 },
}

/// Where a size or a sum is opened: so many common items at least, and so many at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Within {
    pub least: u64,
    pub most: u64,
}

impl Default for Within {
    fn default() -> Self {
        Self { least: 0, most: u64::MAX }
    }
}

/// The answer, as a report says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// False: the number of common items was not one at which the answer is opened, and nobody learnt it.
    pub within: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// A decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<bool>,
}

impl What {
    pub fn is_rows(&self) -> bool {
        *self == Self::Rows
    }

    /// Whether an answer is opened in the end, and no rows.
    pub fn opens(&self) -> bool {
        match self {
            Self::Size { .. } | Self::Sum { .. } | Self::AtLeast { .. } => true,
            Self::Rows | Self::Labels { .. } => false,
        }
    }

    /// What a party compares with its peer besides the rule; nothing for rows.
    pub(super) fn description(&self) -> Vec<u8> {
        if self.is_rows() { Vec::new() } else { serde_json::to_vec(self).unwrap_or_default() }
    }

    pub(super) fn check(&self, order: &Order) -> Result<(), Failure> {
        if self.is_rows() {
            return Ok(());
        }
        let wrong = |what: &str| Err(Failure::Order(what.to_owned()));
        if order.terms.security == Security::Ecdh {
            return wrong("in the ECDH variant rows are matched, and nothing else is worked out");
        }
        if order.workers != 1 {
            return wrong("a job that is not about rows alone has one worker on each side");
        }
        if self.opens() {
            if order.terms.security != Security::SemiHonest {
                return wrong("an answer without rows is worked out against a curious peer only");
            }
            if order.results != Default::default() {
                return wrong("a job whose answer is no rows writes none");
            }
        }
        match self {
            Self::Sum { decimals, .. } if *decimals > MAX_DECIMALS => {
                Err(Failure::Order(format!("a sum has at most {MAX_DECIMALS} decimals")))
            }
            Self::Labels { columns, bytes } => {
                if columns.is_empty() || columns.len() > MAX_LABEL_COLUMNS {
                    let text = format!("with a match come 1 to {MAX_LABEL_COLUMNS} columns");
                    return Err(Failure::Order(text));
                }
                if *bytes > tidm_mpc::limits::MAX_LABEL_BYTES {
                    let most = tidm_mpc::limits::MAX_LABEL_BYTES;
                    return Err(Failure::Order(format!("with a match come at most {most} bytes")));
                }
                if order.rule.equals == Equals::Multiply {
                    return wrong(
                        "what comes with a match is held for each key once: refuse equal keys, or let the first count",
                    );
                }
                if order.terms.learns == Learns::Both {
                    return wrong("what a sender gives with a match, only the receiver gets");
                }
                self.check_room(order)
            }
            Self::Rows | Self::Size { .. } | Self::Sum { .. } | Self::AtLeast { .. } => {
                if let Some(terms) = self.shares(order) {
                    terms.closing.check()?;
                    terms.check_whole(&order.whole())?;
                }
                self.check_room(order)
            }
        }
    }

    fn check_room(&self, order: &Order) -> Result<(), Failure> {
        let (needs, has) = (self.resident(order), order.memory / 2);
        if needs <= has {
            return Ok(());
        }
        Err(Failure::Order(format!(
            "values and labels of so many rows take {needs} bytes of memory, and {has} are given for them"
        )))
    }

    /// Bytes that a party holds besides its parts.
    pub(super) fn resident(&self, order: &Order) -> u64 {
        match self {
            Self::Sum { of, .. } if *of == order.role => order.own_items().saturating_mul(8),
            Self::Labels { bytes, .. } => {
                let common = order.terms.receiver_items.min(order.terms.sender_items);
                let count = match order.role {
                    Role::Sender => order.own_items(),
                    Role::Receiver => common,
                };
                count.saturating_mul(u64::from(*bytes) + LABEL_ROW_BYTES)
            }
            Self::Rows | Self::Size { .. } | Self::Sum { .. } | Self::AtLeast { .. } => 0,
        }
    }

    /// Memory per item of a part that runs, and of the one made ready meanwhile.
    pub(super) fn bytes_per_item(&self) -> u64 {
        let run = match self.opens() {
            true => SHARED_BYTES_PER_ITEM,
            false => tidm_mpc::limits::RUN_BYTES_PER_ITEM,
        };
        run + AHEAD_BYTES_PER_ITEM
    }

    /// Whether parts of this size can run.
    pub(super) fn runs(&self, order: &Order, plan: &Plan) -> bool {
        let (receiver, sender) = plan.part_items();
        match self {
            Self::Labels { bytes, .. } => {
                receiver.min(sender).saturating_mul(u64::from(*bytes) + LABEL_ROW_BYTES)
                    <= MAX_LABEL_ENTRY_BYTES
            }
            Self::Rows => true,
            Self::Size { .. } | Self::Sum { .. } | Self::AtLeast { .. } => {
                self.shares(order).is_some_and(|terms| terms.of_part(plan).is_ok())
            }
        }
    }

    /// What the shares of a job are about, where it is one of shares.
    pub(super) fn shares(&self, order: &Order) -> Option<shares::Terms> {
        let plan = Plan { whole: order.whole(), parts: 1 };
        let common = plan.whole.receiver_items.min(plan.whole.sender_items);
        let (opens, of, within) = match self {
            Self::Rows | Self::Labels { .. } => return None,
            Self::Size { within } => (Opens::Size, None, *within),
            Self::AtLeast { least } => (Opens::AtLeast(*least), None, Within::default()),
            Self::Sum { of, within, .. } => {
                let bound = shares::Terms::bound(common);
                let of = if *of == Role::Sender { Party::Sender } else { Party::Receiver };
                (Opens::Sum { bound }, Some(of), *within)
            }
        };
        let learns = match order.terms.learns {
            Learns::Receiver => circuit::Learns::Receiver,
            Learns::Both => circuit::Learns::Both,
        };
        Some(shares::Terms {
            of,
            closing: closing(&plan, opens, learns, within.least, within.most),
        })
    }

    /// Whether this party has all that it will have.
    pub(super) fn complete(&self, state: &State) -> bool {
        state.complete() && (!self.opens() || state.more.opened.is_some())
    }

    pub(super) fn answer(&self, opened: &Opened) -> Answer {
        let decimals = match self {
            Self::Sum { decimals, .. } => *decimals,
            Self::Rows | Self::Size { .. } | Self::AtLeast { .. } | Self::Labels { .. } => 0,
        };
        let Opened { within, size, sum, at_least } = *opened;
        Answer { within, size, sum: sum.map(|sum| decimal(sum, decimals)), at_least }
    }
}
