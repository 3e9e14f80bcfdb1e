//! What a person tells `tidm policy try` of a use: facts that a gate would look up, or that no gate here has.
//!
//! Never checked against anything: this is a what-if, and its answer holds for facts that are as they are told.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use tidm_space::lease::seen::regions;
use tidm_space::policy::compile::topic;
use tidm_space::policy::eval::{Deed, Facts};
use tidm_space::policy::facts::Sums;
use tidm_space::policy::model::Operand;
use tidm_space::policy::span::Span;
use tidm_space::policy::terms::Topic;
use tidm_space::time::Time;

#[derive(Debug, Args)]
pub(super) struct Told {
    /// Role of who asks, as its membership says; again for each.
    #[arg(long = "role")]
    roles: Vec<String>,
    /// Region of who asks, as its membership says: a code such as CN-32, which lies in CN.
    #[arg(long)]
    region: Option<String>,
    /// Network address that the gate sees.
    #[arg(long)]
    address: Option<IpAddr>,
    /// Version of the product.
    #[arg(long)]
    version: Option<String>,
    /// OPERAND=VALUE[,VALUE] of any operand whose values are names, such as tidm:application=urn:app:7.
    #[arg(long = "fact", value_name = "OPERAND=VALUES")]
    facts: Vec<String>,
    /// NAME@TIME of an event that happened; without any, none is known.
    #[arg(long = "event", value_name = "NAME@TIME")]
    events: Vec<String>,
    /// When an earlier use began, for terms about frequency; again for each.
    #[arg(long = "used-at", value_name = "TIME")]
    used: Vec<String>,
    /// How long all earlier uses took together, such as PT40M.
    #[arg(long)]
    metered: Option<String>,
    /// Bytes of all uses together, this one included.
    #[arg(long)]
    bytes: Option<u64>,
    /// Records of all uses together, this one included.
    #[arg(long)]
    records: Option<u64>,
    /// Earlier uses of the product by the user's legal entity.
    #[arg(long)]
    entity_uses: Option<u64>,
    /// When one of those began; again for each.
    #[arg(long = "entity-used-at", value_name = "TIME")]
    entity_used: Vec<String>,
    /// How long they took together, such as PT40M.
    #[arg(long)]
    entity_metered: Option<String>,
    /// Bytes of them together, this use included.
    #[arg(long)]
    entity_bytes: Option<u64>,
    /// Records of them together, this use included.
    #[arg(long)]
    entity_records: Option<u64>,
    /// Whether the price was paid, where payment comes first.
    #[arg(long)]
    pub(super) paid: Option<bool>,
    /// Place of a duty, remedy or consequence that was done, such as permission[0].duty[0].
    #[arg(long = "done", value_name = "PLACE")]
    done: Vec<String>,
    /// Place of one that was not done yet.
    #[arg(long = "open", value_name = "PLACE")]
    open: Vec<String>,
    /// Place of a duty that was violated.
    #[arg(long = "violated", value_name = "PLACE")]
    violated: Vec<String>,
    /// Place of a prohibition that was infringed, such as prohibition[0].
    #[arg(long = "infringed", value_name = "PLACE")]
    infringed: Vec<String>,
}

/// The same, read.
pub(super) struct Known<'a> {
    told: &'a Told,
    topics: Vec<(Topic, Vec<String>)>,
    events: Vec<(&'a str, Time)>,
    used: Vec<Time>,
    metered: Option<Duration>,
    entity_used: Vec<Time>,
    entity_metered: Option<Duration>,
    deeds: Vec<(&'a str, Deed)>,
    infringed: Vec<&'a str>,
}

impl Told {
    pub(super) fn read<'a>(&'a self, now: Time) -> anyhow::Result<Known<'a>> {
        let time = |it: &str| Time::parse(it).map_err(|why| anyhow::anyhow!("{it}: {why}"));
        let mut topics = vec![];
        if !self.roles.is_empty() {
            topics.push((Topic::Role, self.roles.clone()));
        }
        if let Some(code) = &self.region {
            let all = regions(code).with_context(|| format!("{code} is no code of a region"))?;
            topics.push((Topic::Region, all));
        }
        for it in &self.facts {
            let (name, said) = it.split_once('=').with_context(|| format!("{it} has no ="))?;
            let topic = topic(&Operand::from_name(name))
                .with_context(|| format!("{name} is no operand whose values are names"))?;
            topics.push((topic, said.split(',').map(str::to_owned).collect()));
        }
        let event = |it: &'a str| -> anyhow::Result<(&'a str, Time)> {
            let (name, at) = it.rsplit_once('@').with_context(|| format!("{it} has no @TIME"))?;
            Ok((name, time(at)?))
        };
        let lasted = |it: &str| {
            let span = Span::parse(it).map_err(|_| anyhow::anyhow!("{it} is no duration"))?;
            Ok::<_, anyhow::Error>(span.after(now).since(now))
        };
        let times = |all: &[String]| all.iter().map(|it| time(it)).collect::<anyhow::Result<_>>();
        let deed = |all: &'a [String], deed| all.iter().map(move |it| (it.as_str(), deed));
        let deeds = deed(&self.done, Deed::Done)
            .chain(deed(&self.open, Deed::Open))
            .chain(deed(&self.violated, Deed::Violated));
        Ok(Known {
            told: self,
            topics,
            events: self.events.iter().map(|it| event(it)).collect::<anyhow::Result<_>>()?,
            used: times(&self.used)?,
            metered: self.metered.as_deref().map(lasted).transpose()?,
            entity_used: times(&self.entity_used)?,
            entity_metered: self.entity_metered.as_deref().map(lasted).transpose()?,
            deeds: deeds.collect(),
            infringed: self.infringed.iter().map(String::as_str).collect(),
        })
    }
}

impl Known<'_> {
    pub(super) fn lists(&self) -> Vec<(Topic, Vec<&str>)> {
        fn texts(all: &[String]) -> Vec<&str> {
            all.iter().map(String::as_str).collect()
        }
        self.topics.iter().map(|(topic, all)| (*topic, texts(all))).collect()
    }

    pub(super) fn facts<'a>(&'a self, topics: &'a [(Topic, &'a [&'a str])]) -> Facts<'a> {
        Facts {
            topics,
            network: self.told.address,
            version: self.told.version.as_deref(),
            events: (!self.events.is_empty()).then_some(self.events.as_slice()),
            uses_at: (!self.used.is_empty()).then_some(self.used.as_slice()),
            metered: self.metered,
            bytes: self.told.bytes,
            records: self.told.records,
            group_uses: self.told.entity_uses,
            group: Sums {
                uses_at: (!self.entity_used.is_empty()).then_some(self.entity_used.as_slice()),
                metered: self.entity_metered,
                bytes: self.told.entity_bytes,
                records: self.told.entity_records,
            },
            deeds: &self.deeds,
            infringed: &self.infringed,
            ..Facts::default()
        }
    }
}
