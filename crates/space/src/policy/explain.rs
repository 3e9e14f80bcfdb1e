//! How a verdict came about: which rule, which constraint, which fact; said in words only where somebody reads it.
//!
//! Never decides anything. An evaluation happens at every use and is read rarely, so that a tree of references is
//! kept and words are made on demand.

use core::net::IpAddr;
use std::fmt;
use std::time::Duration;

use crate::id::Id;
use crate::lang::Lang;
use crate::policy::action::Phase;
use crate::policy::model::Action;
use crate::policy::terms::{Clause, Duty, Test};
use crate::policy::truth::Truth;
use crate::policy::words::test_words;
use crate::time::Time;

/// One step of the reasoning: what was asked, of which fact, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation<'a> {
    pub what: What<'a>,
    pub fact: Fact<'a>,
    pub truth: Truth,
    pub parts: Vec<Self>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// May this use happen?
    Asked,
    /// The contract is somebody's.
    Owner(&'a Id),
    Permission(&'a Clause),
    /// A prohibition that does not apply (true) or does (false).
    Free(&'a Clause),
    /// The conditions of a prohibition.
    Prohibition(&'a Clause),
    /// A prohibition that was infringed is healed.
    Healed(&'a Clause),
    Target(&'a Id),
    Party(&'a Id),
    Action(&'a Action),
    Test(&'a Test),
    Duty(&'a Duty),
    /// Columns asked for that no permission has.
    Columns(Vec<&'a str>),
    NoPermission(&'a Action),
    /// A permission and a prohibition do not meet (true), or do, which voids the policy (ODRL conflict `invalid`).
    Void(&'a Clause, &'a Clause),
}

/// What the question was held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<'a> {
    /// Nothing of its own: the parts have it.
    Parts,
    Unknown,
    At(Time),
    Between(Time, Time),
    Number(u64),
    /// The number of this use.
    Use(u64),
    Text(&'a str),
    Texts(&'a [&'a str]),
    Address(IpAddr),
    Lasted(Duration),
}

impl<'a> Explanation<'a> {
    pub(super) fn new(what: What<'a>, truth: Truth, parts: Vec<Self>) -> Self {
        Self { what, fact: Fact::Parts, truth, parts }
    }

    /// An indented outline, one step a line, `✓`, `✗` or `?` in front.
    pub fn render(&self, lang: Lang) -> String {
        let mut out = String::new();
        self.write(lang, 0, &mut out);
        out
    }

    fn write(&self, lang: Lang, depth: usize, out: &mut String) {
        let mark = match self.truth {
            Truth::Yes => '✓',
            Truth::No => '✗',
            Truth::Unknown => '?',
        };
        out.push_str(&"  ".repeat(depth));
        out.push(mark);
        out.push(' ');
        out.push_str(&self.words(lang));
        out.push('\n');
        for part in &self.parts {
            part.write(lang, depth + 1, out);
        }
    }

    /// The innermost steps that were not true.
    pub(super) fn failing<'s>(&'s self, out: &mut Vec<&'s Self>) {
        match self.parts.iter().filter(|p| p.truth != Truth::Yes).collect::<Vec<_>>() {
            inner if inner.is_empty() => out.push(self),
            inner => inner.into_iter().for_each(|p| p.failing(out)),
        }
    }

    /// This step alone, in words.
    pub fn words(&self, lang: Lang) -> String {
        let mut out = self.asked(lang);
        if self.fact != Fact::Parts {
            let (before, after) = (lang.pick("（事实：", " (fact: "), lang.pick("）", ")"));
            out.push_str(before);
            out.push_str(&Said(&self.fact, lang).to_string());
            out.push_str(after);
        }
        out
    }

    fn asked(&self, lang: Lang) -> String {
        let zh = lang == Lang::Zh;
        let rule = |name: &str, it: &Clause| {
            let action = it.action.words(lang);
            if zh {
                format!("{name}（{}）：{action}", it.place)
            } else {
                format!("{name} ({}): {action}", it.place)
            }
        };
        match &self.what {
            What::Asked => lang.pick("该使用是否被允许", "may this use happen").to_owned(),
            What::Owner(it) if zh => format!("合约属于 {it}"),
            What::Owner(it) => format!("the contract is {it}'s"),
            What::Permission(it) => rule(lang.pick("许可", "permission"), it),
            What::Prohibition(it) => rule(lang.pick("禁止", "prohibition"), it),
            What::Free(it) => {
                let action = it.action.words(lang);
                if zh {
                    format!("禁止（{}）：{action}，不适用于本次", it.place)
                } else {
                    format!("the prohibition ({}) of {action} does not apply", it.place)
                }
            }
            What::Healed(it) if zh => format!("对禁止（{}）的违反已补救", it.place),
            What::Healed(it) => format!("the infringement of {} is healed", it.place),
            What::Target(it) if zh => format!("数据为 {it} 或属于它"),
            What::Target(it) => format!("the data are {it} or part of it"),
            What::Party(it) if zh => format!("使用方为 {it} 或属于它"),
            What::Party(it) => format!("the user is {it} or part of it"),
            What::Action(it) if zh => format!("行为属于“{}”", it.words(lang)),
            What::Action(it) => format!("the act is {} or part of it", it.words(lang)),
            What::Test(it) => group(it, lang).map_or_else(|| test_words(it, lang), str::to_owned),
            What::Duty(it) => duty(it, lang),
            What::Columns(outside) if outside.is_empty() => {
                lang.pick("所请求的字段均被允许", "all columns asked for are permitted").to_owned()
            }
            What::Columns(outside) => {
                format!(
                    "{}{}",
                    lang.pick("字段未被允许：", "columns not permitted: "),
                    outside.join(", ")
                )
            }
            What::NoPermission(it) if zh => format!("没有许可允许“{}”", it.words(lang)),
            What::NoPermission(it) => format!("no permission grants {}", it.words(lang)),
            What::Void(grant, ban) if zh => {
                format!("许可（{}）与禁止（{}）不冲突，否则策略整体无效", grant.place, ban.place)
            }
            What::Void(grant, ban) => {
                let (grant, ban) = (&grant.place, &ban.place);
                format!("{grant} and {ban} do not conflict, which would make the whole policy void")
            }
        }
    }
}

/// A group by its kind; its members are steps of their own.
fn group(it: &Test, lang: Lang) -> Option<&'static str> {
    if matches!(it, Test::All(_)) {
        return Some(lang.pick("全部满足", "all hold"));
    }
    if matches!(it, Test::Any(_)) {
        return Some(lang.pick("至少一项满足", "at least one holds"));
    }
    if matches!(it, Test::One(_)) {
        return Some(lang.pick("恰好一项满足", "exactly one holds"));
    }
    let sequence = lang.pick("依次满足", "all hold, one after the other");
    matches!(it, Test::Sequence(_)).then_some(sequence)
}

fn duty(it: &Duty, lang: Lang) -> String {
    if it.action.current() == &Action::Compensate && it.phase == Phase::Before {
        return lang.pick("使用前已付款", "paid before use").to_owned();
    }
    let action = it.action.words(lang);
    match (it.phase, lang) {
        (Phase::Before, Lang::Zh) => format!("使用前的义务（{}）：{action}", it.place),
        (Phase::During, Lang::Zh) => format!("使用中的义务（{}）：{action}", it.place),
        (Phase::After, Lang::Zh) => format!("使用后的义务（{}）：{action}", it.place),
        (Phase::Before, Lang::En) => format!("duty before use ({}): {action}", it.place),
        (Phase::During, Lang::En) => format!("duty during use ({}): {action}", it.place),
        (Phase::After, Lang::En) => format!("duty after use ({}): {action}", it.place),
    }
}

struct Said<'a>(&'a Fact<'a>, Lang);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Fact::Parts => Ok(()),
            Fact::Unknown => f.write_str(self.1.pick("未知", "unknown")),
            Fact::At(it) => it.fmt(f),
            Fact::Between(from, to) => write!(f, "{from} → {to}"),
            Fact::Number(it) => it.fmt(f),
            Fact::Use(it) => write!(f, "#{it}"),
            Fact::Text(it) => f.write_str(it),
            Fact::Texts(all) => f.write_str(&all.join(self.1.pick("、", ", "))),
            Fact::Address(it) => it.fmt(f),
            Fact::Lasted(it) => write!(f, "{} s", it.as_secs()),
        }
    }
}
