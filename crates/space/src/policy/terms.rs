//! A policy after compilation: every term known, every value parsed.
//!
//! Never made except by [`super::compile::compile`]; what is here can be evaluated without asking what a word means.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;
use std::fmt;

use crate::id::Id;
use crate::identity::did::Did;
use crate::policy::action::Phase;
use crate::policy::counted::Wants;
use crate::policy::facts::Deed;
use crate::policy::filter::Filter;
use crate::policy::hold::member;
use crate::policy::mark::Mark;
use crate::policy::matching::{Equals, MatchLimit, Matching, Reveal};
use crate::policy::model::{Action, Conflict};
use crate::policy::network::Network;
pub use crate::policy::price::{BadPrice, Price};
use crate::policy::privacy::{self, Privacy, PrivacyLimit};
use crate::policy::span::Span;
pub use crate::policy::truth::Cmp;
use crate::policy::truth::Truth;
use crate::policy::usage::{Level, Use};
use crate::policy::window::Window;
use crate::time::Time;

/// Checked terms. [`super::eval::evaluate`] decides by `grants` and `bans`; `summary` is for showing and for counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub assignee: Option<Id>,
    pub grants: Vec<Clause>,
    pub bans: Vec<Clause>,
    /// Obligations of the policy itself, in its order.
    pub duties: Vec<Duty>,
    pub conflict: Option<Conflict>,
    pub delete: Option<Delete>,
    pub price: Option<Price>,
    /// How copies are marked before they are released.
    pub mark: Option<Mark>,
    pub summary: Summary,
}

/// A permission or prohibition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Where it stands in the policy, for example `permission[0]`.
    pub place: String,
    pub action: Action,
    /// The rule's own asset and party, or the collections they must be part of.
    pub target: Option<Id>,
    pub assignee: Option<Id>,
    pub when: Test,
    /// What the place of use must keep to.
    pub limits: Limits,
    /// Of a permission its duties, of a prohibition its remedies.
    pub duties: Vec<Duty>,
}

/// Something to be done, before, during or after the use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    /// For example `permission[0].duty[1]`.
    pub place: String,
    pub action: Action,
    pub phase: Phase,
    /// By when and how.
    pub when: Test,
    /// Owed besides once the duty was not done; done, they heal that.
    pub consequences: Vec<Self>,
}

/// A condition on the facts of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    All(Vec<Self>),
    Any(Vec<Self>),
    /// Exactly one.
    One(Vec<Self>),
    /// All, each from a moment not before that of the one in front (ODRL `andSequence`).
    Sequence(Vec<Self>),
    Clock(Cmp, Time),
    /// Compares the number of this use (uses so far + 1).
    Count(Cmp, u64),
    Purpose(Member, Vec<String>),
    Recipient(Member, Vec<String>),
    /// Since the first use.
    Elapsed(Cmp, Span),
    /// Since the agreement; inside a sequence also since the step in front.
    Delay(Cmp, Span),
    Kind(Vec<Use>),
    /// At least.
    Enforcement(Level),
    Window(Window),
    /// How long earlier uses took together.
    Metered(Cmp, Span),
    /// No use within such a period before this one.
    Interval(Span),
    /// At most so many uses in any such period, this one included.
    Frequency(u64, Span),
    /// Bytes of all uses together.
    Size(Cmp, u64),
    /// Rows of all uses together.
    Records(Cmp, u64),
    /// Compares the number of this use among all of the consumer's legal entity, of this product's line.
    Group(Cmp, u64),
    /// A frequency, or a sum of time, bytes or rows, over all uses of the product's line by the consumer's legal entity.
    Entity(Box<Self>),
    Network(Member, Vec<Network>),
    Version(Cmp, Version),
    /// The event has happened (`true`), or has not yet.
    Event(bool, String),
    /// What is proven of a matter, held against a list.
    Among(Topic, Member, Vec<String>),
}

/// A matter whose values are names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    Region,
    Device,
    VirtualLocation,
    Role,
    Application,
    Algorithm,
    Model,
    Environment,
    Encryption,
    Delivery,
    Channel,
    Format,
    Industry,
    Language,
    Media,
    Product,
    Version,
}

impl Topic {
    pub const ALL: [Self; 17] = [
        Self::Region,
        Self::Device,
        Self::VirtualLocation,
        Self::Role,
        Self::Application,
        Self::Algorithm,
        Self::Model,
        Self::Environment,
        Self::Encryption,
        Self::Delivery,
        Self::Channel,
        Self::Format,
        Self::Industry,
        Self::Language,
        Self::Media,
        Self::Product,
        Self::Version,
    ];
}

/// Numbers with dots, compared number by number; trailing zeros say nothing (`2` is `2.0`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u64>);

impl Version {
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let all: Option<Vec<u64>> =
            text.split('.').map(|t| digits(t).then(|| t.parse().ok()).flatten()).collect();
        let mut all = all?;
        while all.len() > 1 && all.last() == Some(&0) {
            all.pop();
        }
        Some(Self(all))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&all.join("."))
    }
}

/// Whether a value must be in the list or must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    In,
    NotIn,
    /// All of the list's values are among the facts.
    All,
}

/// What a use must keep to while it runs; enforced by the sandbox and its output gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limits {
    /// `None`: all columns.
    pub columns: Option<BTreeSet<String>>,
    pub aggregates_only: bool,
    /// Fewest rows behind each group of a result.
    pub min_group: Option<u64>,
    pub output_rows: Option<u64>,
    pub output_bytes: Option<u64>,
    /// Bytes per second of all deliveries together; the provider keeps it.
    pub delivery_rate: Option<u64>,
    pub delivery_connections: Option<u64>,
    /// Who releases the other share of the data key; `None`: the provider releases it whole.
    pub operator: Option<Did>,
    /// Which rows may be touched; `None`: all.
    pub filter: Option<Filter>,
    pub matching: Box<Matching>,
    pub privacy: Box<Privacy>,
}

impl Limits {
    /// Orders limits from wide to narrow, and otherwise somehow: where several permissions hold, which one is
    /// taken must not depend on the order in which they are written.
    pub(super) fn cmp_width(&self, other: &Self) -> Ordering {
        let key = |it: &Self| {
            (
                it.filter.is_some(),
                Reverse(it.columns.as_ref().map_or(usize::MAX, BTreeSet::len)),
                it.aggregates_only,
                it.min_group.unwrap_or(0),
                Reverse(it.output_rows.unwrap_or(u64::MAX)),
                Reverse(it.output_bytes.unwrap_or(u64::MAX)),
                Reverse(it.delivery_rate.unwrap_or(u64::MAX)),
                Reverse(it.delivery_connections.unwrap_or(u64::MAX)),
                it.operator.is_some(),
            )
        };
        key(self).cmp(&key(other)).then_with(|| self.cmp(other))
    }

    /// Limits that only a place of use which sees the result can keep.
    pub fn on_results(&self) -> bool {
        self.aggregates_only
            || self.min_group.is_some()
            || self.output_rows.is_some()
            || self.output_bytes.is_some()
    }
}

/// One limit, as one constraint says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    Columns(BTreeSet<String>),
    AggregatesOnly,
    MinGroup(u64),
    OutputRows(u64),
    OutputBytes(u64),
    DeliveryRate(u64),
    DeliveryConnections(u64),
    KeyOperator(Did),
    Rows(Filter),
    Matching(MatchLimit),
    Privacy(PrivacyLimit),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delete {
    /// When the contract ends, however it does.
    AfterUse,
    By(Time),
    /// Since the first use.
    Within(Span),
}

/// What the permissions for reading or using say in common, flat. With several such permissions a field is set only
/// where all agree; alternatives (`or`, `xone`) do not appear. Decide by `evaluate`, never by this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub from: Option<Time>,
    pub until: Option<Time>,
    /// Most uses; `None`: no limit.
    pub uses: Option<u64>,
    pub purposes: Option<Vec<String>>,
    pub recipients: Option<Vec<String>>,
    pub kinds: Option<Vec<Use>>,
    pub limits: Limits,
    /// Handing on to third parties is permitted by a rule of its own, and not prohibited.
    pub export: bool,
    pub delete_after_use: bool,
}

impl Summary {
    /// Whether a kind of use is permitted, as far as kinds go.
    pub fn allows(&self, kind: Use) -> bool {
        self.kinds.as_ref().is_none_or(|all| all.contains(&kind))
    }
}

impl Clause {
    /// Whether it is about uses of the data, rather than about handing on or making products of them.
    pub fn reads(&self) -> bool {
        !matches!(self.action, Action::Distribute | Action::Derive)
    }
}

impl Terms {
    /// Whether products made of the data may be offered on no looser terms than these.
    pub fn passes_on(&self) -> bool {
        self.owed().any(|it| it.action == Action::NextPolicy)
    }

    /// Duties of the policy and of its permissions.
    fn owed(&self) -> impl Iterator<Item = &Duty> {
        self.duties.iter().chain(self.grants.iter().flat_map(|it| &it.duties))
    }

    /// Whether only evidence of a trusted environment can meet some of these terms.
    pub fn need_attestation(&self) -> bool {
        self.grants.iter().chain(&self.bans).any(|it| attested(&it.when, Use::SealedTable))
    }

    /// Reasons why nobody could keep these terms in such a use; empty when they can be kept or honestly promised.
    pub fn unkeepable(&self, kind: Use) -> Vec<&'static str> {
        let any = self.grants.iter().any(|g| g.limits.on_results());
        let mut why = vec![];
        if !self.summary.allows(kind) {
            why.push("the policy does not permit this kind of use");
        }
        let read = || self.grants.iter().filter(|it| it.reads());
        let first = read().next();
        if first.is_some() && read().all(|it| attested(&it.when, kind)) && !kind.reaches(Level::E3)
        {
            why.push(
                "a trusted environment is proven where a key is released: sealed tables and files",
            );
        }
        if first.is_some() && read().all(|it| otherwise(&it.when, kind)) {
            why.push("the terms ask for another way of encryption or of delivery, or another environment");
        }
        if any && matches!(kind, Use::SealedFile | Use::Plain) {
            why.push(
                "limits on results need a place that sees the result: a query or a sealed table",
            );
        }
        if kind == Use::SealedFile && self.grants.iter().any(|g| g.limits.columns.is_some()) {
            why.push("a file has no columns");
        }
        let handed = kind == Use::Plain || (kind == Use::SealedFile && self.summary.export);
        if kind == Use::Plain && self.bans.iter().any(|it| it.action == Action::Derive) {
            why.push("plain bytes can be put to any use, derived products among them");
        }
        if handed && self.tracked() {
            why.push("uses of what is handed over are seen by no gate: they can be neither tracked nor told");
        }
        if kind == Use::Psi {
            self.unmatchable(any, &mut why);
        }
        why.extend(privacy::unnoised(&self.grants, kind));
        self.uncut(kind, &mut why);
        self.uncounted(kind, &mut why);
        why
    }

    /// Whether what leaves under these terms is less than the product, or marked: a copy of the contract's own.
    pub fn cut(&self) -> bool {
        let limits = &self.summary.limits;
        limits.columns.is_some() || self.filtered() || self.mark.is_some()
    }

    /// Whether some permission is for some rows only.
    pub fn filtered(&self) -> bool {
        self.grants.iter().any(|g| g.limits.filter.is_some())
    }

    /// What the one copy of a contract cannot be at once, or what its kind of use has no copy for.
    fn uncut(&self, kind: Use, why: &mut Vec<&'static str>) {
        let limits = &self.summary.limits;
        let read = || self.grants.iter().filter(|g| g.reads());
        if kind == Use::SealedFile && self.filtered() {
            why.push("a file has no rows");
        }
        if read().any(|g| g.limits.filter != limits.filter) {
            why.push("permissions for different rows cannot be kept in one copy");
        }
        if matches!(kind, Use::Plain | Use::SealedTable)
            && read().any(|g| g.limits.columns != limits.columns)
        {
            why.push("permissions for different columns cannot be kept in one copy");
        }
        if read().any(|g| g.limits.operator != limits.operator) {
            why.push("permissions with different operators cannot be kept in one copy");
        }
        if read().any(|g| g.limits.operator.is_some())
            && !matches!(kind, Use::SealedTable | Use::SealedFile)
        {
            why.push("a split key is for sealed tables and files");
        }
        let Some(mark) = &self.mark else { return };
        if !matches!(kind, Use::SealedTable | Use::Plain) {
            why.push("a watermark is set in tables that leave the provider");
        }
        let hidden = |all: &BTreeSet<String>| mark.names().any(|it| !all.contains(it));
        if limits.columns.as_ref().is_some_and(hidden) {
            why.push("the watermark would be in columns that the terms do not permit");
        }
    }

    /// What only a gate counts and cuts needs a lease for each use, and amounts need a place that knows them.
    fn uncounted(&self, kind: Use, why: &mut Vec<&'static str>) {
        let wants = Wants::of(self);
        if kind == Use::Plain && wants.looks() {
            why.push(
                "plain bytes are used without a lease, so that no gate looks at who asks, from where and for which version",
            );
        } else if kind == Use::Plain && wants.any() {
            why.push(
                "plain bytes are used without a lease, so that no gate counts or ends their uses",
            );
        }
        if kind == Use::Psi && (wants.size || wants.records) {
            why.push("a matching is bounded by its items, not by bytes or records");
        }
        if kind == Use::SealedFile && wants.records {
            why.push("a file has no records that could be counted");
        }
    }

    /// Places of the duties by which a person of the provider consents first, and what became of each.
    pub fn consent(&self, given: bool) -> Vec<(&str, Deed)> {
        let deed = if given { Deed::Done } else { Deed::Open };
        let asked = self.owed().filter(|it| it.action == Action::ObtainConsent);
        asked.map(|it| (it.place.as_str(), deed)).collect()
    }

    /// Whether each use is to be tracked or told.
    fn tracked(&self) -> bool {
        self.owed().any(|it| matches!(it.action, Action::AcceptTracking | Action::Inform))
    }

    /// A match says of each item whether the provider has it: that is a row, and no aggregate.
    fn unmatchable(&self, on_results: bool, why: &mut Vec<&'static str>) {
        let limits = &self.summary.limits;
        match &limits.matching.key {
            None => why.push("no term says by which key lists are matched (tidm:matchKey)"),
            Some(key) => {
                let hidden =
                    |all: &BTreeSet<String>| key.parts.iter().any(|it| !all.contains(&it.column));
                if limits.columns.as_ref().is_some_and(hidden) {
                    why.push("lists would be matched by a column that the terms do not permit");
                }
            }
        }
        let it = &limits.matching;
        let multiplied = it.key.as_ref().is_some_and(|key| key.equals == Equals::Multiply);
        let bounded = it.least.is_some() || it.share.is_some();
        if multiplied && bounded && (it.reveals(Reveal::Rows) || it.reveals(Reveal::Labels)) {
            why.push("a smallest or largest result counts keys: equal keys must be refused or the first count");
        }
        if on_results {
            why.push("limits on results cannot be kept where single rows are matched");
        }
        if self.filtered() {
            why.push("lists are matched whole: a condition on rows cannot be kept");
        }
    }
}

/// Whether a condition asks for what such a use is not, whatever evidence says.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others depend on more than the kind")]
fn otherwise(it: &Test, kind: Use) -> bool {
    match it {
        Test::All(all) => all.iter().any(|it| otherwise(it, kind)),
        Test::Among(topic, how, all) => {
            kind.at_best(*topic).is_some_and(|is| member(*how, all, is) == Truth::No)
        }
        _ => false,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others are proven otherwise")]
fn attested(it: &Test, kind: Use) -> bool {
    match it {
        Test::Among(Topic::Environment, ..) => kind.is(Topic::Environment).is_none(),
        Test::Enforcement(level) => *level >= Level::E3,
        Test::All(all) | Test::Any(all) | Test::One(all) | Test::Sequence(all) => {
            all.iter().any(|it| attested(it, kind))
        }
        _ => false,
    }
}
