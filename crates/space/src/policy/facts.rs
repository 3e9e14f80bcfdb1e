//! What is known about one use when it is asked for: the snapshot that an evaluation is held against.
//!
//! Never filled in by guessing: what nobody proved or counted stays unknown, and unknown denies.

use core::net::IpAddr;
use std::time::Duration;

use crate::policy::action::Phase;
use crate::policy::model::Action;
use crate::policy::terms::{Duty, Topic};
use crate::policy::usage::{Level, Use};
use crate::time::Time;

/// The facts of one request. `None` means: not known.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub now: Time,
    pub kind: Use,
    pub action: Action,
    /// The enforcement level that the place of use has proven; [`Use::level`] when nothing more was proven.
    pub level: Level,
    pub purpose: Option<&'a str>,
    /// The proven identity of who asks (a DID between our nodes).
    pub recipient: &'a str,
    /// Columns asked for; `None`: the place of use will keep to the decision's limits.
    pub columns: Option<&'a [String]>,
    /// Uses granted under this contract before this one.
    pub uses_so_far: u64,
    pub first_use_at: Option<Time>,
    pub agreed_at: Option<Time>,
    /// Whether the price was paid; asked only where payment comes first.
    pub paid: Option<bool>,
    pub more: Facts<'a>,
}

impl<'a> Request<'a> {
    /// A first use of that kind, with nothing else known.
    pub fn new(now: Time, kind: Use, recipient: &'a str) -> Self {
        Self {
            now,
            kind,
            action: kind.action(),
            level: kind.level(),
            purpose: None,
            recipient,
            columns: None,
            uses_so_far: 0,
            first_use_at: None,
            agreed_at: None,
            paid: None,
            more: Facts::default(),
        }
    }

    /// What is proven of a matter, or what the kind of use is by itself.
    pub(super) fn topic(&self, topic: Topic) -> Option<&'a [&'a str]> {
        let proven = self.more.topics.iter().find(|(it, _)| *it == topic).map(|(_, said)| *said);
        proven.or_else(|| self.kind.is(topic))
    }

    /// What became of the duty at a place of the policy.
    pub(super) fn deed(&self, place: &str) -> Option<Deed> {
        self.more.deeds.iter().find_map(|(it, deed)| (*it == place).then_some(*deed))
    }

    /// What became of a duty; of a payment that comes first, by whether it was paid.
    pub(super) fn became(&self, it: &Duty) -> Option<Deed> {
        let first = it.phase == Phase::Before && *it.action.current() == Action::Compensate;
        let paid = |it: bool| if it { Deed::Done } else { Deed::Open };
        self.deed(&it.place).or_else(|| self.paid.filter(|_| first).map(paid))
    }
}

/// Facts that a node's gate has no source for; whoever evaluates with more knowledge hands them in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The asset asked for.
    pub target: Option<&'a str>,
    /// Collections that the asset is part of, and groups that the recipient is part of (ODRL `partOf`).
    pub target_in: Option<&'a [&'a str]>,
    pub recipient_in: Option<&'a [&'a str]>,
    /// Proven values by matter; of places all that contain each other (`CN-32-05`, `CN-32`, `CN`).
    pub topics: &'a [(Topic, &'a [&'a str])],
    pub network: Option<IpAddr>,
    pub version: Option<&'a str>,
    /// All events that happened, with their times.
    pub events: Option<&'a [(&'a str, Time)]>,
    /// When each earlier use began, in any order.
    pub uses_at: Option<&'a [Time]>,
    /// How long all earlier uses took together.
    pub metered: Option<Duration>,
    /// Bytes and rows of all uses together, this one included.
    pub bytes: Option<u64>,
    pub records: Option<u64>,
    /// Uses of this product's line by all of the recipient's legal entity before this one.
    pub group_uses: Option<u64>,
    /// What else is counted of that entity, as above.
    pub group: Sums<'a>,
    /// A gate has counted for this very use already: what it counts holds. For a second look at the place of use,
    /// which has no counters.
    pub gated: bool,
    /// Duties, remedies and consequences by their places, and what became of each.
    pub deeds: &'a [(&'a str, Deed)],
    /// Places of the prohibitions that were infringed.
    pub infringed: &'a [&'a str],
}

/// What uses add up to; see [`Facts`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums<'a> {
    pub uses_at: Option<&'a [Time]>,
    pub metered: Option<Duration>,
    pub bytes: Option<u64>,
    pub records: Option<u64>,
}

impl<'a> Facts<'a> {
    /// Of the one contract.
    pub(super) fn own(&self) -> Sums<'a> {
        let Self { uses_at, metered, bytes, records, .. } = *self;
        Sums { uses_at, metered, bytes, records }
    }
}

/// What became of a duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Done,
    /// Known to be not done yet.
    Open,
    Violated,
}
