//! Attributes that a person needs to use a product or a contract: `group=line-3`, `department=quality|design`,
//! `clearance>=3`, all of a rule's needs at once.
//!
//! Never a yes by absence: an attribute that a person does not have meets nothing, nor does a number that is none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::limits::{PEOPLE_WORD_BYTES, PEOPLE_WORDS, RULE_NEEDS, RULE_VALUES};

/// What is known of a person, as the security administrator wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub groups: BTreeSet<String>,
    pub attributes: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    Group(String),
    Is { name: String, any: Vec<String> },
    AtLeast { name: String, least: u32 },
}

/// All of them must be met; a rule without needs is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule(Vec<Need>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRule(String);

/// A word of groups, attributes and their values: bounded, and free of what separates words where they are written.
pub fn word(text: &str) -> Result<&str, BadRule> {
    let fine = !text.is_empty()
        && text.len() <= PEOPLE_WORD_BYTES
        && text == text.trim()
        && !text.chars().any(|it| it.is_control() || "=|<>;,".contains(it));
    if fine {
        Ok(text)
    } else {
        Err(BadRule(format!("a word has 1 to {PEOPLE_WORD_BYTES} bytes and none of = | < > ; ,")))
    }
}

impl Known {
    /// As it is written and kept: `group=line-3;department=quality;clearance=2`.
    pub fn parse(text: &str) -> Result<Self, BadRule> {
        let mut it = Self::default();
        for part in text.split(';').map(str::trim).filter(|it| !it.is_empty()) {
            let (name, value) =
                part.split_once('=').ok_or_else(|| BadRule("write NAME=VALUE".to_owned()))?;
            let (name, value) = (word(name)?.to_owned(), word(value)?.to_owned());
            let fresh = if name == "group" {
                it.groups.insert(value)
            } else {
                it.attributes.insert(name, value).is_none()
            };
            if !fresh || it.groups.len() + it.attributes.len() > PEOPLE_WORDS {
                return Err(BadRule(format!("{part}: twice, or more than {PEOPLE_WORDS} words")));
            }
        }
        Ok(it)
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.groups.iter().map(|it| format!("group={it}"));
        let attributes = self.attributes.iter().map(|(name, value)| format!("{name}={value}"));
        f.write_str(&groups.chain(attributes).collect::<Vec<_>>().join(";"))
    }
}

impl Need {
    pub fn parse(text: &str) -> Result<Self, BadRule> {
        if let Some((name, least)) = text.split_once(">=") {
            let least = least.parse().map_err(|_| BadRule(format!("{name}>= wants a number")))?;
            return Ok(Self::AtLeast { name: word(name)?.to_owned(), least });
        }
        let (name, values) = text.split_once('=').ok_or_else(|| {
            BadRule("write NAME=VALUE, NAME=A|B, NAME>=NUMBER or group=NAME".to_owned())
        })?;
        let name = word(name)?;
        if name == "group" {
            return Ok(Self::Group(word(values)?.to_owned()));
        }
        if values.split('|').count() > RULE_VALUES {
            return Err(BadRule(format!("at most {RULE_VALUES} values of one attribute")));
        }
        let any =
            values.split('|').map(|it| word(it).map(str::to_owned)).collect::<Result<_, _>>()?;
        Ok(Self::Is { name: name.to_owned(), any })
    }

    fn is_met(&self, by: &Known) -> bool {
        match self {
            Self::Group(name) => by.groups.contains(name),
            Self::Is { name, any } => by.attributes.get(name).is_some_and(|it| any.contains(it)),
            Self::AtLeast { name, least } => by
                .attributes
                .get(name)
                .and_then(|it| it.parse::<u32>().ok())
                .is_some_and(|it| it >= *least),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "group={name}"),
            Self::Is { name, any } => write!(f, "{name}={}", any.join("|")),
            Self::AtLeast { name, least } => write!(f, "{name}>={least}"),
        }
    }
}

impl Rule {
    /// Needs separated by `;`, as they are written and kept.
    pub fn parse(text: &str) -> Result<Self, BadRule> {
        let parts = text.split(';').map(str::trim).filter(|it| !it.is_empty());
        let needs: Vec<&str> = parts.take(RULE_NEEDS + 1).collect();
        if needs.is_empty() || needs.len() > RULE_NEEDS {
            return Err(BadRule(format!("1 to {RULE_NEEDS} needs, separated by ;")));
        }
        Ok(Self(needs.into_iter().map(Need::parse).collect::<Result<_, _>>()?))
    }

    /// The first need that is not met.
    pub fn unmet(&self, by: &Known) -> Option<&Need> {
        self.0.iter().find(|it| !it.is_met(by))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join("; "))
    }
}
