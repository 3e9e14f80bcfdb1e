//! One parameter of a template: its name, what it may be, and what it sets.
//!
//! Never takes a value outside its bounds, and never a list longer than a person reads.

use std::collections::BTreeSet;

use crate::identity::did::Did;
use crate::lang::Lang;
use crate::limits::{TEMPLATE_LIST, TEMPLATE_WORD_BYTES};
use crate::policy::matching::{Key, Reveal, To};
use crate::policy::sentence::Sentences;
use crate::policy::span::Span;
use crate::policy::terms::Price;
use crate::policy::usage::{Level, Use};
use crate::policy::window::Window;
use crate::time::Time;

/// One blank of a form.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Stable; unique in its template.
    pub name: &'static str,
    title: (&'static str, &'static str),
    pub shape: Shape,
    pub need: Need,
}

/// Whether it has to be said; each case has an example in the form in which it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It has no default.
    Said(&'static str),
    Default(&'static str),
    /// Where it is not said, the policy says nothing of the matter.
    Open(&'static str),
}

/// What a value is, and what it sets.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    Number { least: u64, most: u64, set: fn(&mut Sentences, u64) },
    Moment(fn(&mut Sentences, Time)),
    Period(fn(&mut Sentences, Span)),
    Words(fn(&mut Sentences, Vec<String>)),
    Parties(fn(&mut Sentences, Vec<Did>)),
    Kinds(fn(&mut Sentences, Vec<Use>)),
    Level(fn(&mut Sentences, Level)),
    Price(fn(&mut Sentences, Price)),
    Key(fn(&mut Sentences, Key)),
    Receiver(fn(&mut Sentences, To)),
    Reveals(fn(&mut Sentences, BTreeSet<Reveal>)),
    Flag(fn(&mut Sentences, bool)),
    Hours(fn(&mut Sentences, Window)),
}

impl Shape {
    /// Stable, for forms that choose an input field by it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Number { .. } => "number",
            Self::Moment(_) => "time",
            Self::Period(_) => "duration",
            Self::Words(_) => "list",
            Self::Parties(_) => "dids",
            Self::Kinds(_) => "kinds",
            Self::Level(_) => "level",
            Self::Price(_) => "price",
            Self::Key(_) => "match-key",
            Self::Receiver(_) => "receiver",
            Self::Reveals(_) => "reveals",
            Self::Flag(_) => "flag",
            Self::Hours(_) => "hours",
        }
    }
}

impl Parameter {
    pub(super) const fn new(
        name: &'static str,
        title: (&'static str, &'static str),
        shape: Shape,
        need: Need,
    ) -> Self {
        Self { name, title, shape, need }
    }

    pub(super) const fn or(self, default: &'static str) -> Self {
        Self { need: Need::Default(default), ..self }
    }

    pub(super) const fn open(self) -> Self {
        let (Need::Said(it) | Need::Default(it) | Need::Open(it)) = self.need;
        Self { need: Need::Open(it), ..self }
    }

    pub fn title(&self, lang: Lang) -> &'static str {
        lang.pick(self.title.0, self.title.1)
    }

    /// A value that is allowed: the default where there is one.
    pub fn example(&self) -> &'static str {
        let (Need::Said(it) | Need::Default(it) | Need::Open(it)) = self.need;
        it
    }

    /// What is allowed, Chinese and English.
    pub fn allowed(&self) -> (String, String) {
        let pair = |zh: &str, en: &str| (zh.to_owned(), en.to_owned());
        let named = |all: &[&str]| all.join(", ");
        match &self.shape {
            Shape::Number { least, most, .. } => {
                (format!("{least} 到 {most} 的整数"), format!("a whole number, {least} to {most}"))
            }
            Shape::Moment(_) => pair(
                "带时区的时间，如 2027-06-30T00:00:00Z",
                "a time with a zone, such as 2027-06-30T00:00:00Z",
            ),
            Shape::Period(_) => pair(
                "大于零的时长，如 P90D 或 PT60M",
                "a duration longer than nothing, such as P90D or PT60M",
            ),
            Shape::Words(_) => (
                format!(
                    "以逗号分隔的 1 到 {TEMPLATE_LIST} 个不同条目，每个至多 {TEMPLATE_WORD_BYTES} 字节"
                ),
                format!(
                    "1 to {TEMPLATE_LIST} different entries with commas between them, each of at most {TEMPLATE_WORD_BYTES} bytes"
                ),
            ),
            Shape::Parties(_) => (
                format!("以逗号分隔的 1 到 {TEMPLATE_LIST} 个不同 DID，如 did:web:a.example"),
                format!(
                    "1 to {TEMPLATE_LIST} different DIDs with commas between them, such as did:web:a.example"
                ),
            ),
            Shape::Kinds(_) => {
                let all = named(&Use::ALL.map(Use::name));
                (format!("以逗号分隔：{all}"), format!("some of {all}, with commas between them"))
            }
            Shape::Level(_) => {
                let all = named(&Level::ALL.map(Level::name));
                (format!("{all} 之一"), format!("one of {all}"))
            }
            Shape::Price(_) => {
                pair("金额和币种，如 99.50 CNY", "an amount and a currency, such as 99.50 CNY")
            }
            Shape::Key(_) => pair(
                "字段及其规范形式，如 part_no:text,maker:credit-code;first",
                "columns with their normal forms, such as part_no:text,maker:credit-code;first",
            ),
            Shape::Receiver(_) => pair("consumer 或 both", "consumer or both"),
            Shape::Reveals(_) => {
                let all = named(&Reveal::ALL.map(Reveal::name));
                (format!("以逗号分隔：{all}"), format!("some of {all}, with commas between them"))
            }
            Shape::Flag(_) => pair("yes 或 no", "yes or no"),
            Shape::Hours(_) => pair(
                "带时区的每周时段，如 Mon-Fri 08:00/18:00+08:00",
                "hours of the week with a zone, such as Mon-Fri 08:00/18:00+08:00",
            ),
        }
    }

    /// `None`: not allowed.
    pub(super) fn set(&self, text: &str, out: &mut Sentences) -> Option<()> {
        match &self.shape {
            Shape::Number { least, most, set } => {
                let plain = text.bytes().all(|b| b.is_ascii_digit());
                let n: u64 = plain.then(|| text.parse().ok()).flatten()?;
                set(out, (*least..=*most).contains(&n).then_some(n)?);
            }
            Shape::Moment(set) => set(out, Time::parse(text).ok()?),
            Shape::Period(set) => {
                set(out, Span::parse(text).ok().filter(|it| !it.is_zero())?);
            }
            Shape::Words(set) => set(out, entries(text)?.map(str::to_owned).collect()),
            Shape::Parties(set) => {
                set(out, entries(text)?.map(Did::parse).collect::<Result<_, _>>().ok()?);
            }
            Shape::Kinds(set) => {
                set(out, entries(text)?.map(Use::from_name).collect::<Option<_>>()?);
            }
            Shape::Level(set) => set(out, Level::from_name(text)?),
            Shape::Price(set) => {
                let (amount, currency) = text.split_once(' ')?;
                set(out, Price::parse(amount, currency.trim_start()).ok()?);
            }
            Shape::Key(set) => set(out, Key::parse(text)?),
            Shape::Receiver(set) => set(out, To::from_name(text)?),
            Shape::Reveals(set) => {
                set(out, entries(text)?.map(Reveal::from_name).collect::<Option<_>>()?);
            }
            Shape::Flag(set) => set(out, flag(text)?),
            Shape::Hours(set) => set(out, Window::parse(text).ok()?),
        }
        Some(())
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Different entries, none empty, between commas (also Chinese ones).
fn entries(text: &str) -> Option<impl Iterator<Item = &str>> {
    let cut = || text.split([',', '，', '、']).map(str::trim);
    let fits = |it: &str| {
        !it.is_empty() && it.len() <= TEMPLATE_WORD_BYTES && !it.contains(char::is_control)
    };
    if cut().nth(TEMPLATE_LIST).is_some() || !cut().all(fits) {
        return None;
    }
    let seen: BTreeSet<&str> = cut().collect();
    (seen.len() == cut().count()).then(cut)
}
