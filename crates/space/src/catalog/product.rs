//! A product: one immutable version of what circulates, with its offers. DSP calls its face a *dataset*.
//!
//! Never exists with an offer whose terms are unknown or cannot be kept in the way it is delivered.

use std::ops::Deref;

use tidm_crypto::hash::Digest;

use crate::approval::Rules;
use crate::id::Id;
use crate::limits::{DERIVED_FROM, DESCRIPTION_BYTES, KEYWORDS, OFFERS, POLICY_LIST, TITLE_BYTES};
use crate::policy::compile::{Refusal, compile};
use crate::policy::filter::Kind as Compared;
use crate::policy::model::{Kind as PolicyKind, Policy};
use crate::policy::terms::Terms;
use crate::policy::usage::{Level, Use};
use crate::time::Time;

/// A checked product; made by [`Product::new`], read through its [`Draft`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product(Draft);

/// Everything a product says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// This version; the DSP dataset's `@id`.
    pub id: Id,
    /// What all versions of the product share.
    pub line: Id,
    pub version: u64,
    pub title: String,
    pub description: String,
    pub keywords: Vec<String>,
    pub kind: Kind,
    /// Empty for what is no table.
    pub columns: Vec<Column>,
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
    /// SHA-256 of the content of this version.
    pub content: Option<Digest>,
    /// SHA-256 of the origin record (source, time, signature of the device).
    pub origin: Option<Digest>,
    pub grade: Grade,
    pub offers: Vec<Offer>,
    pub published_at: Time,
    /// Whether sample rows may be shown to who may read the catalogue.
    pub preview: bool,
    /// Contracts under which what it is made of was used, as its publisher names them. Told to nobody by a catalogue.
    pub derived_from: Vec<Id>,
    /// Some of those pass their terms on: nobody gets the product on looser terms than an offer's.
    pub bound: bool,
}

impl Draft {
    /// A table or file without offers and details.
    pub fn new(id: Id, line: Id, title: impl Into<String>, kind: Kind, published_at: Time) -> Self {
        Self {
            id,
            line,
            version: 1,
            title: title.into(),
            description: String::new(),
            keywords: vec![],
            kind,
            columns: vec![],
            rows: None,
            bytes: None,
            content: None,
            origin: None,
            grade: Grade::General,
            offers: vec![],
            published_at,
            preview: false,
            derived_from: vec![],
            bound: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Table,
    File,
    App,
    Model,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Table, Self::File, Self::App, Self::Model];

    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::File => "file",
            Self::App => "app",
            Self::Model => "model",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// Arrow's name of the type, for example `Float64`.
    pub data_type: String,
    /// UCUM code, for example `Cel`.
    pub unit: Option<String>,
    pub title: Option<String>,
}

/// GB/T 43697-2024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    General,
    Important,
    Core,
}

impl Grade {
    pub const ALL: [Self; 3] = [Self::General, Self::Important, Self::Core];

    pub fn name(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Important => "important",
            Self::Core => "core",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// 一般, 重要, 核心.
    pub fn zh(self) -> &'static str {
        match self {
            Self::General => "一般",
            Self::Important => "重要",
            Self::Core => "核心",
        }
    }
}

/// A policy that is open to be signed, and the ways of delivery it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    policy: Policy,
    terms: Terms,
    approval: Approval,
    deliveries: Vec<Use>,
    rules: Rules,
}

/// Who says yes to a request for this offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// The node, when the request repeats the offer.
    Auto,
    /// A person.
    Manual,
    /// The node sends its offer back first and agrees when the consumer accepts it.
    Counter,
}

impl Approval {
    pub const ALL: [Self; 3] = [Self::Auto, Self::Manual, Self::Counter];

    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
            Self::Counter => "counter",
        }
    }

    /// `ask` is how people say `manual`.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name == "ask" { Self::Manual.name() } else { name };
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProduct {
    #[error("{0} is empty or too long")]
    Text(&'static str),
    #[error(
        "more than {KEYWORDS} keywords, {POLICY_LIST} columns, {OFFERS} offers or {DERIVED_FROM} contracts that it is made under"
    )]
    TooMany,
    #[error("the version starts at 1")]
    Version,
    #[error("the column {0} is there twice")]
    Column(String),
    #[error("the offer {0} is there twice")]
    SameOffer(Id),
    #[error(
        "the offer {0} is no offer without target: an agreement cannot be offered, and the target is the product"
    )]
    NoOffer(Id),
    #[error("the offer {0} names no way of delivery, or one twice")]
    Deliveries(Id),
    #[error("the offer {offer} has terms that cannot be kept: {}", list(.refusals))]
    Terms { offer: Id, refusals: Vec<Refusal> },
    #[error("the offer {offer} cannot be delivered as {}: {why}", .delivery.name())]
    Delivery { offer: Id, delivery: Use, why: &'static str },
    #[error("the offer {offer} speaks of the column {column}, which the product does not have")]
    UnknownColumn { offer: Id, column: String },
    #[error(
        "the offer {offer} cannot use the column {column} as it says: its values are of another kind"
    )]
    ColumnKind { offer: Id, column: String },
    #[error("core data (核心数据) is not offered")]
    Core,
    #[error(
        "important data (重要数据) is offered for queries only, since nothing less controls what happens to it"
    )]
    Important,
}

fn list(all: &[Refusal]) -> String {
    all.iter().map(Refusal::to_string).collect::<Vec<_>>().join("; ")
}

impl Offer {
    /// Checks that the terms are understood and can be kept in each delivery.
    pub fn new(
        policy: Policy,
        approval: Approval,
        deliveries: Vec<Use>,
    ) -> Result<Self, BadProduct> {
        let id = policy.id.clone();
        if policy.kind == PolicyKind::Agreement
            || policy.target.is_some()
            || policy.assignee.is_some()
        {
            return Err(BadProduct::NoOffer(id));
        }
        let terms = match compile(&policy) {
            Ok(terms) => terms,
            Err(refusals) => return Err(BadProduct::Terms { offer: id, refusals }),
        };
        let mut distinct = deliveries.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if deliveries.is_empty() || distinct.len() != deliveries.len() {
            return Err(BadProduct::Deliveries(id));
        }
        for delivery in &deliveries {
            if let Some(why) = terms.unkeepable(*delivery).first() {
                return Err(BadProduct::Delivery { offer: id, delivery: *delivery, why });
            }
        }
        Ok(Self {
            policy: Policy { kind: PolicyKind::Offer, ..policy },
            terms,
            approval,
            deliveries,
            rules: Rules::default(),
        })
    }

    /// With rules of the provider that go before [`Offer::approval`], for whatever states they speak of.
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn id(&self) -> &Id {
        &self.policy.id
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    pub fn approval(&self) -> Approval {
        self.approval
    }

    pub fn deliveries(&self) -> &[Use] {
        &self.deliveries
    }
}

impl Product {
    pub fn new(draft: Draft) -> Result<Self, BadProduct> {
        texts(&draft)?;
        if draft.version == 0 {
            return Err(BadProduct::Version);
        }
        if draft.keywords.len() > KEYWORDS
            || draft.columns.len() > POLICY_LIST
            || draft.offers.len() > OFFERS
            || draft.derived_from.len() > DERIVED_FROM
        {
            return Err(BadProduct::TooMany);
        }
        let mut names: Vec<&str> = draft.columns.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows().find(|[a, b]| a == b) {
            return Err(BadProduct::Column((*twice).to_owned()));
        }
        let mut seen: Vec<&Id> = vec![];
        for offer in &draft.offers {
            if seen.contains(&offer.id()) {
                return Err(BadProduct::SameOffer(offer.id().clone()));
            }
            seen.push(offer.id());
            offer_fits(offer, &draft, &names)?;
        }
        Ok(Self(draft))
    }

    /// The version after `newest` of its line, published at `now`.
    #[must_use]
    pub fn follows(mut self, newest: Option<&Self>, now: Time) -> Self {
        self.0.version = newest.map_or(1, |it| it.version.saturating_add(1));
        self.0.published_at = now;
        self
    }

    /// With the contracts that it is made under, and whether some of them pass their terms on.
    #[must_use]
    pub fn made_under(mut self, sources: Vec<Id>, bound: bool) -> Self {
        (self.0.derived_from, self.0.bound) = (sources, bound);
        self
    }

    pub fn offer(&self, id: &Id) -> Option<&Offer> {
        self.0.offers.iter().find(|offer| offer.id() == id)
    }

    /// Every way in which some offer delivers the product.
    pub fn deliveries(&self) -> Vec<Use> {
        Use::ALL
            .into_iter()
            .filter(|kind| self.0.offers.iter().any(|o| o.deliveries.contains(kind)))
            .collect()
    }
}

fn texts(it: &Draft) -> Result<(), BadProduct> {
    let title_ok = !it.title.trim().is_empty() && it.title.len() <= TITLE_BYTES;
    let keyword_ok = |k: &String| !k.trim().is_empty() && k.len() <= TITLE_BYTES;
    let column_ok = |c: &Column| {
        let rest = [Some(&c.data_type), c.unit.as_ref(), c.title.as_ref()];
        !c.name.trim().is_empty()
            && c.name.len() <= TITLE_BYTES
            && rest.into_iter().flatten().all(|t| t.len() <= TITLE_BYTES)
    };
    for (name, ok) in [
        ("the title", title_ok),
        ("the description", it.description.len() <= DESCRIPTION_BYTES),
        ("a keyword", it.keywords.iter().all(keyword_ok)),
        ("a column", it.columns.iter().all(column_ok)),
    ] {
        if !ok {
            return Err(BadProduct::Text(name));
        }
    }
    Ok(())
}

fn offer_fits(offer: &Offer, draft: &Draft, names: &[&str]) -> Result<(), BadProduct> {
    match draft.grade {
        Grade::Core => return Err(BadProduct::Core),
        Grade::Important if offer.deliveries.iter().any(|d| d.level() < Level::E2) => {
            return Err(BadProduct::Important);
        }
        Grade::Important | Grade::General => {}
    }
    let tables_only = "only tables are delivered like that";
    for delivery in &offer.deliveries {
        if draft.kind != Kind::Table && matches!(delivery, Use::Query | Use::SealedTable | Use::Psi)
        {
            let offer = offer.id().clone();
            return Err(BadProduct::Delivery { offer, delivery: *delivery, why: tables_only });
        }
    }
    if offer.terms.cut() && draft.kind != Kind::Table {
        let delivery = offer.deliveries.first().copied().unwrap_or(Use::Plain);
        let offer = offer.id().clone();
        return Err(BadProduct::Delivery {
            offer,
            delivery,
            why: "only tables have rows and columns",
        });
    }
    // A product whose columns are not listed yet cannot contradict its offer.
    if names.is_empty() { Ok(()) } else { columns_fit(offer, draft, names) }
}

/// Columns that the terms speak of exist, and hold what the terms compare or mark.
fn columns_fit(offer: &Offer, draft: &Draft, names: &[&str]) -> Result<(), BadProduct> {
    let id = || offer.id().clone();
    let limits = || offer.terms.grants.iter().map(|it| &it.limits);
    let filters = || limits().filter_map(|it| it.filter.as_ref());
    let listed = limits().filter_map(|it| it.columns.as_ref()).flatten().map(String::as_str);
    let filtered = filters().flat_map(|it| it.columns());
    let marked = offer.terms.mark.iter().flat_map(|it| it.names());
    let units = || limits().filter_map(|it| it.privacy.unit.as_ref());
    let summed = || units().flat_map(|it| &it.sums).map(|it| &*it.column);
    let protected = units().map(|it| &*it.column).chain(summed());
    let mut said = listed.chain(filtered).chain(marked).chain(protected);
    if let Some(column) = said.find(|it| names.binary_search(it).is_err()) {
        return Err(BadProduct::UnknownColumn { offer: id(), column: column.to_owned() });
    }
    let kind = |name: &str| {
        let column = draft.columns.iter().find(|it| it.name == name)?;
        kind_of(&column.data_type)
    };
    let numbers = offer.terms.mark.iter().flat_map(|it| &it.columns).map(|it| &*it.column);
    let no_number = numbers.chain(summed()).find(|it| kind(it) != Some(Compared::Number));
    // Whole numbers or text: what tells rows of different units apart exactly.
    let exact = |name: &str| {
        let column = draft.columns.iter().find(|it| it.name == name);
        let whole = |it: &str| it.contains("Int") && kind_of(it) == Some(Compared::Number);
        let fits = |it: &str| whole(it) || kind_of(it) == Some(Compared::Text);
        column.is_some_and(|it| fits(&it.data_type))
    };
    let no_unit = units().map(|it| &*it.column).find(|it| !exact(it));
    match filters().find_map(|it| it.misfit(kind)).or(no_number).or(no_unit) {
        Some(column) => Err(BadProduct::ColumnKind { offer: id(), column: column.to_owned() }),
        None => Ok(()),
    }
}

/// What a column of Arrow's type holds, as far as conditions and marks go.
pub fn kind_of(data_type: &str) -> Option<Compared> {
    let (name, _) = data_type.split_once('(').unwrap_or((data_type, ""));
    Some(match name {
        "Int8" | "Int16" | "Int32" | "Int64" | "UInt8" | "UInt16" | "UInt32" | "UInt64"
        | "Float32" | "Float64" | "Decimal128" => Compared::Number,
        "Utf8" | "LargeUtf8" | "Utf8View" => Compared::Text,
        "Boolean" => Compared::Flag,
        "Date32" => Compared::Date,
        // `Timestamp(µs)`, or with the zone after a comma.
        "Timestamp" => {
            Compared::Moment { zoned: data_type.contains(',') && !data_type.contains("None") }
        }
        _ => return None,
    })
}

impl Deref for Product {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.0
    }
}

#[cfg(test)]
mod tests;
