//! Templates: offers that people often make, each filled in with a few named values and said back as sentences.
//!
//! Threat: a value that is read leniently, or a template that says more than its form, becomes a contract that nobody
//! meant. So every value has a type and bounds, and an error names parameter, value and what is allowed. Never offers
//! a term that no node keeps: each template becomes [`Sentences`], which are checked. The classes are those of the IDS
//! usage control catalogue (IDS-G, `UsageControl/Contract`); `docs/policy-classes.md` lists them all, and
//! `docs/policy-templates.md` the templates.

use std::collections::BTreeMap;

use crate::id::Id;
use crate::lang::Lang;
use crate::limits::TEMPLATE_SHOWN_CHARS;
use crate::policy::model::Policy;
use crate::policy::sentence::{BadSentences, Sentences, build};

mod list;
mod parameter;
mod values;

pub use parameter::{Need, Parameter, Shape};

/// One template.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// Stable, for forms and links.
    pub name: &'static str,
    title: (&'static str, &'static str),
    about: (&'static str, &'static str),
    /// Numbers of the IDS classes that it covers.
    pub classes: &'static [u8],
    pub parameters: &'static [Parameter],
    /// What it says besides its parameters, once those are set.
    finish: fn(&mut Sentences),
}

/// A value that a template does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words(Lang::En))]
pub struct BadParameter {
    pub parameter: String,
    /// As given, shortened; `None`: not given.
    pub value: Option<String>,
    allowed: (String, String),
}

impl BadParameter {
    fn new(parameter: &str, value: Option<&str>, allowed: (String, String)) -> Self {
        let value = value.map(shown);
        Self { parameter: shown(parameter), value, allowed }
    }

    pub fn allowed(&self, lang: Lang) -> &str {
        lang.pick(&self.allowed.0, &self.allowed.1)
    }

    pub fn words(&self, lang: Lang) -> String {
        let (name, allowed) = (&self.parameter, self.allowed(lang));
        match (&self.value, lang) {
            (Some(value), Lang::Zh) => format!("参数 {name} 不能为“{value}”；允许：{allowed}"),
            (Some(value), Lang::En) => format!("{name} cannot be \"{value}\"; allowed: {allowed}"),
            (None, Lang::Zh) => format!("缺少参数 {name}；允许：{allowed}"),
            (None, Lang::En) => format!("{name} is not given; allowed: {allowed}"),
        }
    }
}

/// Outside text for a message: short, and on one line.
fn shown(text: &str) -> String {
    let mut letters = text.chars();
    let head = letters.by_ref().take(TEMPLATE_SHOWN_CHARS);
    let mut out: String = head.map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if letters.next().is_some() {
        out.push('…');
    }
    out
}

/// All templates, the plainest first.
pub fn templates() -> &'static [Template] {
    list::ALL
}

impl Template {
    pub fn by_name(name: &str) -> Option<&'static Self> {
        templates().iter().find(|it| it.name == name)
    }

    pub fn title(&self, lang: Lang) -> &'static str {
        lang.pick(self.title.0, self.title.1)
    }

    /// What it is for, in one sentence.
    pub fn about(&self, lang: Lang) -> &'static str {
        lang.pick(self.about.0, self.about.1)
    }

    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|it| it.name == name)
    }

    /// What a form is filled in with at first: defaults, and an example for what must be said.
    pub fn example(&self) -> BTreeMap<String, String> {
        let said = |it: &Parameter| match it.need {
            Need::Said(example) | Need::Default(example) => {
                Some((it.name.to_owned(), example.to_owned()))
            }
            Need::Open(_) => None,
        };
        self.parameters.iter().filter_map(said).collect()
    }

    /// The checked choices. Whoever makes an offer of them calls [`build`] with its id and assigner.
    pub fn sentences(&self, given: &BTreeMap<String, String>) -> Result<Sentences, BadParameter> {
        if let Some((name, value)) = given.iter().find(|(name, _)| self.parameter(name).is_none()) {
            let names: Vec<&str> = self.parameters.iter().map(|it| it.name).collect();
            let names = names.join(", ");
            let allowed = if names.is_empty() {
                ("此模板没有参数".to_owned(), "this template has no parameters".to_owned())
            } else {
                (format!("参数 {names}"), format!("the parameters {names}"))
            };
            return Err(BadParameter::new(name, Some(value), allowed));
        }
        let mut out = Sentences::default();
        for parameter in self.parameters {
            let text = given.get(parameter.name).map(|it| it.trim()).filter(|it| !it.is_empty());
            let text = match (text, parameter.need) {
                (Some(text), _) | (None, Need::Default(text)) => text,
                (None, Need::Open(_)) => continue,
                (None, Need::Said(_)) => {
                    return Err(BadParameter::new(parameter.name, None, parameter.allowed()));
                }
            };
            if parameter.set(text, &mut out).is_none() {
                return Err(BadParameter::new(parameter.name, Some(text), parameter.allowed()));
            }
        }
        (self.finish)(&mut out);
        match super::check(&out) {
            Ok(()) => Ok(out),
            Err(why) => Err(together(&why, given)),
        }
    }

    /// An offer whose id is the template's: whoever offers it gives it an id of its own.
    pub fn build(&self, given: &BTreeMap<String, String>) -> Result<Policy, BadParameter> {
        let said = self.sentences(given)?;
        let id = format!("urn:tidm:policy-template:{}", self.name);
        let bad = |allowed: String| BadParameter::new(self.name, None, (allowed.clone(), allowed));
        let id = Id::parse(&id).map_err(|why| bad(why.to_string()))?;
        build(id, None, &said).map_err(|why| together(&why, given))
    }
}

/// Values that are each allowed, and not together.
fn together(why: &BadSentences, given: &BTreeMap<String, String>) -> BadParameter {
    let (name, zh, en) = match why {
        BadSentences::Period => ("until", "不早于 from 的时间", "a time not before `from`"),
        BadSentences::Privacy => (
            "privacy_unit",
            "与 privacy_budget 同时给出，且不与 min_group 并用",
            "together with `privacy_budget`, and not with `min_group`",
        ),
        BadSentences::Delete => ("delete_by", "与 delete 二选一", "only one way of deletion"),
        BadSentences::Zero(name) => (*name, "大于 0", "more than 0"),
        BadSentences::List(name) => {
            (*name, "互不相同且非空的条目", "entries that are not empty and not repeated")
        }
    };
    let value = given.get(name).map(String::as_str);
    BadParameter::new(name, value, (zh.to_owned(), en.to_owned()))
}

#[cfg(test)]
mod tests;
