//! Terms as a person chooses them.
//!
//! Never guesses: what cannot be read is refused with the name of its field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use tidm_space::identity::did::Did;
use tidm_space::policy::filter::Filter;
use tidm_space::policy::mark::Mark;
use tidm_space::policy::matching::{Key, Matching, Reveal, To};
use tidm_space::policy::model::Policy;
use tidm_space::policy::network::Network;
use tidm_space::policy::privacy::{Epsilon, Privacy, Unit};
use tidm_space::policy::sentence::template::{Template, templates};
use tidm_space::policy::sentence::{Asker, Counted, Export, Sentences};
use tidm_space::policy::span::Span;
use tidm_space::policy::terms::Price;
use tidm_space::policy::usage::{Level, Use};
use tidm_space::policy::window::Window;
use tidm_space::time::Time;
use tidm_space::wire::odrl;

use super::answer::{Answer, Fail};

/// Choices; what is left out is not said.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Choices {
    /// A template by name (`tidm policy template` lists them), filled in with `values`; beside it `kinds` alone.
    template: Option<String>,
    values: BTreeMap<String, String>,
    /// A whole policy in ODRL 2.2, for what no choice says; nothing beside it. Its id and parties are this node's to write.
    #[schema(value_type = Option<Object>)]
    policy: Option<serde_json::Value>,
    /// DIDs of recipients; empty: whoever signs.
    to: Vec<String>,
    /// Most uses.
    uses: Option<u64>,
    /// RFC 3339 with a zone.
    from: Option<String>,
    until: Option<String>,
    /// So long from the first use, for example `P90D`.
    within: Option<String>,
    /// Not before so long after the agreement.
    delay: Option<String>,
    purposes: Vec<String>,
    columns: Vec<String>,
    /// Only rows for which this holds: `site = 'A7' and temperature >= 20`.
    rows: Option<String>,
    aggregates_only: bool,
    /// Fewest rows behind each group of a result.
    min_group: Option<u64>,
    output_rows: Option<u64>,
    output_bytes: Option<u64>,
    /// Bytes per second of all deliveries together.
    delivery_rate: Option<u64>,
    /// Connections that deliver at a time.
    delivery_connections: Option<u64>,
    /// Columns by which lists are matched, with normal forms: `part_no:text,maker:credit-code;first`.
    match_key: Option<String>,
    /// Most items that the consumer matches at a time, and under the contract altogether.
    match_items: Option<u64>,
    match_budget: Option<u64>,
    /// A result of fewer matches is not shown.
    min_matches: Option<u64>,
    /// Nor one that matches more percent of the consumer's items.
    match_share: Option<u64>,
    /// consumer or both.
    match_result: Option<String>,
    /// Noisy answers only: what they may cost together (ε), for example `1.5`, and whose rows are protected: column, most
    /// rows, columns that may be summed with step and range, for example `worker;3;hours:0.1:0:60`. Both or neither.
    privacy_budget: Option<String>,
    privacy_unit: Option<String>,
    /// Most uses in any such period, for example `5/P1D`.
    frequency: Option<String>,
    /// At most one use in each such period, for example `PT1H`.
    interval: Option<String>,
    /// Hours of the week, for example `Mon-Fri 08:00/18:00+08:00`.
    window: Option<String>,
    /// Time of use altogether, for example `PT10H`.
    metered: Option<String>,
    /// Bytes and rows altogether.
    total_bytes: Option<u64>,
    total_rows: Option<u64>,
    /// Most uses by the consumer's legal entity, under all its contracts.
    entity_uses: Option<u64>,
    /// The same of its uses in any such period, of its time, bytes and rows, and of items put into matchings.
    entity_frequency: Option<String>,
    entity_metered: Option<String>,
    entity_bytes: Option<u64>,
    entity_rows: Option<u64>,
    entity_items: Option<u64>,
    /// What of a match is revealed: rows, size, sum, atLeast, labels, common; rows alone when empty.
    match_reveal: Vec<String>,
    /// Roles and regions (ISO 3166) of who may use it, as its membership says.
    roles: Vec<String>,
    regions: Vec<String>,
    /// Addresses and networks that the gate may be asked from: `10.1.0.0/16`.
    addresses: Vec<String>,
    /// A person of the provider consents to the contract before any use.
    consent: bool,
    /// Each use is on record at both parties; the provider is told of each before it.
    tracked: bool,
    told: bool,
    /// Handing on to third parties: true permits, false forbids.
    export: Option<bool>,
    /// Products made of the data and offered to others: true permits, false forbids.
    derive: Option<bool>,
    /// Such products are offered on no looser terms than these.
    next_policy: bool,
    delete_after_use: bool,
    /// All copies are deleted by then, and the contract ends (RFC 3339); not together with `deleteAfterUse`.
    delete_by: Option<String>,
    /// For example `100 CNY`.
    price: Option<String>,
    /// Mark copies before they leave: columns with the step by which a value may change, then the key of rows,
    /// `temperature:0.1,power:1;sensor,at`.
    watermark: Option<String>,
    /// DID of the operator that the key of what is sealed is split with: it and the provider must both release it.
    split_with: Option<String>,
    /// Kinds of use: query, sealed-table, sealed-file, plain, psi; empty: whatever the product is delivered as.
    kinds: Vec<String>,
    /// Least enforcement level, E0 to E4.
    level: Option<String>,
}

impl Choices {
    /// A whole policy, where one was given instead of choices.
    pub(super) fn whole(&self) -> Answer<Option<Policy>> {
        let Some(policy) = &self.policy else { return Ok(None) };
        let alone = Self { policy: self.policy.clone(), ..Self::default() };
        if *self != alone {
            return Err(Fail::field("policy", "a whole policy stands alone, without other terms"));
        }
        let read = odrl::parse(policy.to_string().as_bytes());
        Ok(Some(read.map_err(|why| Fail::field("policy", why))?.model))
    }

    fn filled(&self, name: &str) -> Answer<Sentences> {
        let template = Template::by_name(name).ok_or_else(|| {
            let names: Vec<&str> = templates().iter().map(|it| it.name).collect();
            Fail::field("template", format!("one of {}", names.join(", ")))
        })?;
        let alone = Self {
            template: self.template.clone(),
            values: self.values.clone(),
            kinds: self.kinds.clone(),
            ..Self::default()
        };
        if *self != alone {
            let why = "a template says all terms by itself: fill in its values, and name kinds of use at most";
            return Err(Fail::field("template", why));
        }
        let mut said =
            template.sentences(&self.values).map_err(|why| Fail::field("values", why))?;
        if !self.kinds.is_empty() {
            said.kinds = kinds("kinds", &self.kinds)?;
        }
        Ok(said)
    }

    pub(super) fn read(&self) -> Answer<Sentences> {
        if let Some(name) = &self.template {
            return self.filled(name);
        }
        if !self.values.is_empty() {
            return Err(Fail::field("values", "go with a template"));
        }
        let span = |name: &str, it: &Option<String>| {
            it.as_deref().map(Span::parse).transpose().map_err(|why| Fail::field(name, why))
        };
        let time = |name: &str, it: &Option<String>| {
            it.as_deref().map(Time::parse).transpose().map_err(|why| Fail::field(name, why))
        };
        let to: Result<Vec<Did>, Fail> =
            self.to.iter().map(|it| Did::parse(it).map_err(|why| Fail::field("to", why))).collect();
        let level = match &self.level {
            None => None,
            Some(name) => {
                Some(Level::from_name(name).ok_or_else(|| Fail::field("level", "E0 to E4"))?)
            }
        };
        Ok(Sentences {
            to: to?,
            uses: self.uses,
            from: time("from", &self.from)?,
            until: time("until", &self.until)?,
            within: span("within", &self.within)?,
            delay: span("delay", &self.delay)?,
            delete_by: time("deleteBy", &self.delete_by)?,
            purposes: self.purposes.clone(),
            asker: self.asker()?,
            consent: self.consent,
            columns: self.columns.clone(),
            rows: self.rows.as_deref().map(rows).transpose()?,
            split_with: self.split_with.as_deref().map(operator).transpose()?,
            mark: self.watermark.as_deref().map(mark).transpose()?,
            aggregates_only: self.aggregates_only,
            min_group: self.min_group,
            output_rows: self.output_rows,
            output_bytes: self.output_bytes,
            delivery_rate: self.delivery_rate,
            delivery_connections: self.delivery_connections,
            matching: self.matching()?,
            privacy: self.privacy()?,
            counted: self.counted()?,
            export: permission(self.export),
            derive: permission(self.derive),
            next_policy: self.next_policy,
            delete_after_use: self.delete_after_use,
            price: self.price.as_deref().map(price).transpose()?,
            kinds: kinds("kinds", &self.kinds)?,
            level,
            tracked: self.tracked,
            told: self.told,
        })
    }
}

impl Choices {
    fn asker(&self) -> Answer<Asker> {
        let network = |it: &String| Network::parse(it).map_err(|why| Fail::field("addresses", why));
        Ok(Asker {
            roles: self.roles.clone(),
            regions: self.regions.clone(),
            networks: self.addresses.iter().map(network).collect::<Result<_, _>>()?,
        })
    }

    fn counted(&self) -> Answer<Counted> {
        let span = |name: &str, it: &Option<String>| {
            it.as_deref().map(Span::parse).transpose().map_err(|why| Fail::field(name, why))
        };
        let frequency = |name: &str, it: &Option<String>| {
            let Some(text) = it else { return Ok(None) };
            let read = text
                .split_once('/')
                .and_then(|(n, span)| Some((n.parse().ok()?, Span::parse(span).ok()?)));
            let why = "a number and a period, such as 5/P1D";
            read.map(Some).ok_or_else(|| Fail::field(name, why))
        };
        let window = self.window.as_deref().map(Window::parse).transpose();
        Ok(Counted {
            frequency: frequency("frequency", &self.frequency)?,
            interval: span("interval", &self.interval)?,
            window: window.map_err(|why| Fail::field("window", why))?,
            metered: span("metered", &self.metered)?,
            bytes: self.total_bytes,
            rows: self.total_rows,
            entity_uses: self.entity_uses,
            entity_frequency: frequency("entityFrequency", &self.entity_frequency)?,
            entity_metered: span("entityMetered", &self.entity_metered)?,
            entity_bytes: self.entity_bytes,
            entity_rows: self.entity_rows,
        })
    }

    fn privacy(&self) -> Answer<Privacy> {
        let budget = |text: &String| {
            Epsilon::parse(text)
                .ok_or_else(|| Fail::field("privacyBudget", "above 0, at most 100, such as 1.5"))
        };
        let unit = |text: &String| {
            let why = "a column, most rows, and columns with step and range, such as worker;3;hours:0.1:0:60";
            Unit::parse(text).ok_or_else(|| Fail::field("privacyUnit", why))
        };
        Ok(Privacy {
            budget: self.privacy_budget.as_ref().map(budget).transpose()?,
            unit: self.privacy_unit.as_ref().map(unit).transpose()?,
        })
    }

    fn matching(&self) -> Answer<Matching> {
        let key = |text: &String| {
            Key::parse(text).ok_or_else(|| {
                Fail::field(
                    "matchKey",
                    "columns with normal forms, such as part_no:text,maker:credit-code;first",
                )
            })
        };
        let to = |text: &String| {
            To::from_name(text).ok_or_else(|| Fail::field("matchResult", "consumer or both"))
        };
        let reveal = |name: &String| {
            Reveal::from_name(name).ok_or_else(|| {
                Fail::field("matchReveal", "some of rows, size, sum, atLeast, labels, common")
            })
        };
        if self.match_share.is_some_and(|it| it > 100) {
            return Err(Fail::field("matchShare", "a number of percent, at most 100"));
        }
        Ok(Matching {
            key: self.match_key.as_ref().map(key).transpose()?,
            items: self.match_items,
            budget: self.match_budget,
            group_budget: self.entity_items,
            least: self.min_matches,
            share: self.match_share,
            to: self.match_result.as_ref().map(to).transpose()?,
            reveal: match self.match_reveal.as_slice() {
                [] => None,
                all => Some(all.iter().map(reveal).collect::<Result<_, _>>()?),
            },
        })
    }
}

fn permission(said: Option<bool>) -> Export {
    match said {
        None => Export::Unsaid,
        Some(false) => Export::Forbidden,
        Some(true) => Export::Permitted,
    }
}

fn rows(text: &str) -> Answer<Filter> {
    Filter::parse(text).map_err(|why| Fail::field("rows", why))
}

fn operator(text: &str) -> Answer<Did> {
    Did::parse(text).map_err(|why| Fail::field("splitWith", why))
}

fn mark(text: &str) -> Answer<Mark> {
    Mark::parse(text).ok_or_else(|| {
        Fail::field(
            "watermark",
            "columns with a step that is a power of ten, and the key of rows, such as temperature:0.1;sensor",
        )
    })
}

fn price(text: &str) -> Answer<Price> {
    let (amount, currency) = text
        .trim()
        .split_once(' ')
        .ok_or_else(|| Fail::field("price", "an amount and a currency, for example 100 CNY"))?;
    Price::parse(amount, currency.trim()).map_err(|why| Fail::field("price", why))
}

/// Kinds of use by name, or by their DSP format.
pub(super) fn kinds(field: &str, names: &[String]) -> Answer<Vec<Use>> {
    names.iter().map(|name| kind(field, name)).collect()
}

pub(super) fn kind(field: &str, name: &str) -> Answer<Use> {
    let found = Use::from_name(name).or_else(|| Use::from_format(name));
    found.ok_or_else(|| {
        Fail::field(
            field,
            format!("{name} is not one of query, sealed-table, sealed-file, plain, psi"),
        )
    })
}
