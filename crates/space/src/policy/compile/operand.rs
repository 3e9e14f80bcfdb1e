//! One constraint: its operand, operator and value, checked against each other.
//!
//! Never guesses a unit, a zone or a spelling; which operators an operand takes is a table of its meaning.

use std::collections::BTreeSet;

use crate::identity::did::Did;
use crate::limits::{BUDGET, FREQUENCY_USES, POLICY_LIST};
use crate::policy::compile::{Refusal, Side, UNKNOWN, refusal};
use crate::policy::filter::Filter;
use crate::policy::hold;
use crate::policy::matching::{Key, MatchLimit, Reveal, To};
use crate::policy::model::{Atomic, Operand, Operator};
use crate::policy::network::Network;
use crate::policy::privacy::{Epsilon, PrivacyLimit, Unit};
use crate::policy::reach::{self, Reach};
use crate::policy::span::Span;
use crate::policy::terms::{Cmp, Limit, Member, Test, Topic, Version};
use crate::policy::truth::Truth;
use crate::policy::usage::{Level, Use};
use crate::policy::window::Window;
use crate::time::Time;

/// One constraint: a test of facts, or a limit on the use.
pub(crate) enum Part {
    Test(Test),
    Limit(Limit),
}

/// Whether an operand limits results rather than testing facts.
pub(super) fn limits(it: &Operand) -> bool {
    matches!(
        it,
        Operand::Columns
            | Operand::AggregatesOnly
            | Operand::MinGroup
            | Operand::OutputRows
            | Operand::OutputBytes
            | Operand::DeliveryRate
            | Operand::DeliveryConnections
            | Operand::KeyOperator
            | Operand::ValueExpression
            | Operand::MatchKey
            | Operand::MatchItems
            | Operand::MatchBudget
            | Operand::GroupMatchBudget
            | Operand::MinMatches
            | Operand::MatchShare
            | Operand::MatchResult
            | Operand::MatchReveal
            | Operand::PrivacyBudget
            | Operand::PrivacyUnit
    )
}

pub(crate) fn part(it: &Atomic, side: Side, reach: Reach) -> Result<Part, Refusal> {
    let name = it.left.name();
    let no = |why| refusal(name, why);
    if let Some(term) = it.unsupported.first() {
        return Err(refusal(term, UNKNOWN));
    }
    if let Operator::Unknown(op) = &it.op {
        return Err(refusal(op, UNKNOWN));
    }
    if it.unit.is_some() {
        return Err(no("has a unit, which only a payment may have"));
    }
    if let (Reach::Node, Some(why)) = (reach, reach::operand(&it.left)) {
        return Err(no(why));
    }
    if limits(&it.left) {
        return limit(it).map(Part::Limit);
    }
    Reading { it, side, reach }.test().map(Part::Test)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "called for operands that limit")]
fn limit(it: &Atomic) -> Result<Limit, Refusal> {
    let name = it.left.name();
    let no = |why| refusal(name, why);
    let scalar = || it.right.as_text().ok_or_else(|| no("needs one value"));
    let number = || number(scalar()?).ok_or_else(|| no("needs a whole number"));
    let op = no("does not know this operator");
    Ok(match &it.left {
        Operand::Columns
            if matches!(it.op, Operator::Eq | Operator::IsAnyOf | Operator::IsPartOf) =>
        {
            Limit::Columns(
                list(it)
                    .ok_or_else(|| no("needs a value or a list of values, none empty"))?
                    .into_iter()
                    .collect(),
            )
        }
        Operand::AggregatesOnly => match (&it.op, scalar()?) {
            (Operator::Eq, "true") => Limit::AggregatesOnly,
            _ => return Err(no("is said as eq \"true\" or not at all")),
        },
        Operand::MinGroup if matches!(it.op, Operator::Gteq | Operator::Eq) => {
            Limit::MinGroup(number()?)
        }
        Operand::OutputRows => Limit::OutputRows(cap(&it.op, number()?).ok_or(op)?),
        Operand::OutputBytes => Limit::OutputBytes(cap(&it.op, number()?).ok_or(op)?),
        Operand::DeliveryRate => Limit::DeliveryRate(cap(&it.op, number()?).ok_or(op)?),
        Operand::DeliveryConnections => {
            Limit::DeliveryConnections(cap(&it.op, number()?).ok_or(op)?)
        }
        Operand::KeyOperator if it.op == Operator::Eq => {
            Limit::KeyOperator(Did::parse(scalar()?).map_err(|_| {
                no("needs the DID of the operator, such as did:web:operator.example")
            })?)
        }
        Operand::ValueExpression if it.op == Operator::Eq => Limit::Rows(
            Filter::parse(scalar()?)
                .map_err(|_| no("needs a condition on columns such as temperature >= 20"))?,
        ),
        Operand::PrivacyBudget if matches!(it.op, Operator::Lteq | Operator::Eq) => {
            Limit::Privacy(PrivacyLimit::Budget(Epsilon::parse(scalar()?).ok_or_else(|| {
                no("needs a number above 0, at most 100, with at most six decimals, such as 1.5")
            })?))
        }
        Operand::PrivacyUnit if it.op == Operator::Eq => {
            Limit::Privacy(PrivacyLimit::Unit(Unit::parse(scalar()?).ok_or_else(|| {
                no("needs a column, most rows, and columns with step and range, such as worker;3;hours:0.1:0:60")
            })?))
        }
        Operand::MatchKey
        | Operand::MatchItems
        | Operand::MatchBudget
        | Operand::GroupMatchBudget
        | Operand::MinMatches
        | Operand::MatchShare
        | Operand::MatchResult
        | Operand::MatchReveal => Limit::Matching(match_limit(it)?),
        _ => return Err(op),
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "called for operands about matching")]
fn match_limit(it: &Atomic) -> Result<MatchLimit, Refusal> {
    let no = |why| refusal(it.left.name(), why);
    let scalar = || it.right.as_text().ok_or_else(|| no("needs one value"));
    let number = || number(scalar()?).ok_or_else(|| no("needs a whole number"));
    let op = no("does not know this operator");
    let is = it.op == Operator::Eq;
    Ok(match &it.left {
        Operand::MatchKey if is => MatchLimit::Key(Key::parse(scalar()?).ok_or_else(|| {
            no("needs columns with their normal forms, such as part_no:text,maker:credit-code;first")
        })?),
        Operand::MatchResult if is => MatchLimit::To(
            To::from_name(scalar()?).ok_or_else(|| no("is consumer or both"))?,
        ),
        Operand::MatchReveal
            if matches!(it.op, Operator::Eq | Operator::IsAnyOf | Operator::IsPartOf) =>
        {
            let all: Option<BTreeSet<Reveal>> =
                list(it).and_then(|all| all.iter().map(|it| Reveal::from_name(it)).collect());
            MatchLimit::Reveal(
                all.ok_or_else(|| no("is one or some of rows, size, sum, atLeast and labels"))?,
            )
        }
        Operand::MatchItems => MatchLimit::Items(cap(&it.op, number()?).ok_or(op)?),
        Operand::MatchBudget => MatchLimit::Budget(cap(&it.op, number()?).ok_or(op)?),
        Operand::GroupMatchBudget => {
            MatchLimit::GroupBudget(cap(&it.op, number()?).ok_or(op)?)
        }
        Operand::MatchShare => {
            let percent = cap(&it.op, number()?).ok_or(op)?;
            if percent > 100 {
                return Err(no("is a number of percent, at most 100"));
            }
            MatchLimit::Share(percent)
        }
        Operand::MinMatches if is || it.op == Operator::Gteq => MatchLimit::Least(number()?),
        _ => return Err(op),
    })
}

struct Reading<'a> {
    it: &'a Atomic,
    side: Side,
    reach: Reach,
}

impl Reading<'_> {
    fn no(&self, why: &'static str) -> Refusal {
        refusal(self.it.left.name(), why)
    }

    fn op<T>(&self, it: Option<T>) -> Result<T, Refusal> {
        it.ok_or_else(|| self.no("does not know this operator"))
    }

    fn scalar(&self) -> Result<&str, Refusal> {
        self.it.right.as_text().ok_or_else(|| self.no("needs one value"))
    }

    fn number(&self) -> Result<u64, Refusal> {
        number(self.scalar()?).ok_or_else(|| self.no("needs a whole number"))
    }

    fn moment(&self) -> Result<Time, Refusal> {
        moment(self.scalar()?)
            .ok_or_else(|| self.no("needs a time with a zone, such as 2026-06-30T00:00:00Z"))
    }

    fn span(&self) -> Result<Span, Refusal> {
        Span::parse(self.scalar()?)
            .map_err(|_| self.no("needs a duration such as P30D or PT60M (xsd:duration)"))
    }

    fn list(&self) -> Result<Vec<String>, Refusal> {
        list(self.it).ok_or_else(|| self.no("needs a value or a list of values, none empty"))
    }

    fn member(&self) -> Result<Member, Refusal> {
        self.op(member(&self.it.op))
    }

    fn upper(&self) -> Result<Cmp, Refusal> {
        let whole = || cmp(&self.it.op).filter(|_| self.reach == Reach::Whole);
        self.op(upper(&self.it.op, self.side).or_else(whole))
    }

    fn lower(&self) -> Result<Cmp, Refusal> {
        let whole = || cmp(&self.it.op).filter(|_| self.reach == Reach::Whole);
        self.op(lower(&self.it.op, self.side).or_else(whole))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are read by `beyond`")]
    fn test(&self) -> Result<Test, Refusal> {
        Ok(match &self.it.left {
            Operand::DateTime => {
                let at = self.moment()?;
                Test::Clock(self.op(self.clock())?, at)
            }
            Operand::UsageEndDate => {
                let last = self.it.op == Operator::Eq && self.side == Side::Grant;
                let at = self.moment()?;
                Test::Clock(self.op(last.then_some(Cmp::Lteq))?, at)
            }
            Operand::Count => Test::Count(self.upper()?, self.number()?),
            Operand::ElapsedTime => Test::Elapsed(self.upper()?, self.span()?),
            Operand::DelayPeriod => Test::Delay(self.lower()?, self.span()?),
            Operand::Purpose | Operand::UsagePurpose => Test::Purpose(self.member()?, self.list()?),
            Operand::Recipient => Test::Recipient(self.member()?, self.list()?),
            Operand::KindOfUse => {
                let kinds: Option<Vec<Use>> =
                    self.list()?.iter().map(|k| Use::from_name(k)).collect();
                let kinds = kinds.ok_or_else(|| {
                    self.no("knows query, sealed-table, sealed-file, plain and psi")
                })?;
                Test::Kind(self.op(kinds_for(&self.it.op, kinds))?)
            }
            Operand::Enforcement => {
                let level = Level::from_name(self.scalar()?)
                    .ok_or_else(|| self.no("is one of E0 to E4"))?;
                let fits =
                    self.side == Side::Grant && matches!(self.it.op, Operator::Gteq | Operator::Eq);
                self.op(fits.then_some(Test::Enforcement(level)))?
            }
            Operand::PayAmount | Operand::Currency => {
                return Err(self.no("belongs into a compensate duty"));
            }
            Operand::Watermark => return Err(self.no("belongs into a duty to watermark")),
            Operand::Unknown(_) => return Err(self.no(UNKNOWN)),
            _ => return self.beyond(),
        })
    }

    /// `eq` and `neq` name one instant, which a node cannot keep to; an evaluator can.
    fn clock(&self) -> Option<Cmp> {
        let instant = || match (self.reach, &self.it.op) {
            (Reach::Whole, Operator::Eq) => Some(Cmp::Eq),
            (Reach::Whole, Operator::Neq) => Some(Cmp::Neq),
            _ => None,
        };
        cmp(&self.it.op).or_else(instant)
    }

    /// Operands that nobody here has the facts for.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are names")]
    fn beyond(&self) -> Result<Test, Refusal> {
        Ok(match &self.it.left {
            Operand::TimeWindow => {
                let eq = (self.it.op == Operator::Eq).then_some(());
                self.op(eq)?;
                Test::Window(Window::parse(self.scalar()?).map_err(|_| {
                    self.no("needs hours of a week such as \"Mon-Fri 08:00/18:00+08:00\"")
                })?)
            }
            Operand::MeteredTime => Test::Metered(self.upper()?, self.span()?),
            Operand::TimeInterval => {
                self.op((self.it.op == Operator::Eq).then_some(()))?;
                Test::Interval(self.period(self.span()?)?)
            }
            Operand::Frequency => self.frequency()?,
            Operand::DataSize => Test::Size(self.upper()?, self.budget()?),
            Operand::RecordCount => Test::Records(self.upper()?, self.budget()?),
            Operand::GroupCount => Test::Group(self.upper()?, self.number()?),
            Operand::GroupFrequency => entity(self.frequency()?),
            Operand::GroupMeteredTime => entity(Test::Metered(self.upper()?, self.span()?)),
            Operand::GroupDataSize => entity(Test::Size(self.upper()?, self.budget()?)),
            Operand::GroupRecordCount => entity(Test::Records(self.upper()?, self.budget()?)),
            Operand::Network => {
                let all: Option<Vec<Network>> =
                    self.list()?.iter().map(|it| Network::parse(it).ok()).collect();
                let all =
                    all.ok_or_else(|| self.no("needs addresses or networks such as 10.1.0.0/16"))?;
                Test::Network(self.member()?, all)
            }
            Operand::Event => {
                let name = self.scalar()?.to_owned();
                let happened = match cmp(&self.it.op) {
                    Some(Cmp::Gt | Cmp::Gteq) => true,
                    Some(Cmp::Lt | Cmp::Lteq) => false,
                    _ => return Err(self.no("is said with gteq (after) or lt (before)")),
                };
                Test::Event(happened, name)
            }
            Operand::Version if cmp(&self.it.op).is_some() => {
                let version = Version::parse(self.scalar()?)
                    .ok_or_else(|| self.no("needs numbers with dots, such as 2.0"))?;
                Test::Version(self.op(cmp(&self.it.op))?, version)
            }
            Operand::Spatial
                if self.reach == Reach::Node && !self.list()?.iter().all(|it| region(it)) =>
            {
                return Err(self.no("needs codes of regions such as CN or CN-32 (ISO 3166)"));
            }
            Operand::Environment if self.reach == Reach::Node && !self.takes_place()? => {
                let why = "is an environment in which no use here takes place: sandbox (02), mpc (03) or, proven by evidence, tee (05)";
                return Err(self.no(why));
            }
            left => Test::Among(self.op(topic(left))?, self.op(among(&self.it.op))?, self.list()?),
        })
    }

    /// Whether some kind of use meets what is said of its environment.
    fn takes_place(&self) -> Result<bool, Refusal> {
        let (how, said) = (self.op(among(&self.it.op))?, self.list()?);
        let place = |kind: &Use| kind.at_best(Topic::Environment);
        Ok(Use::ALL.iter().filter_map(place).any(|is| hold::member(how, &said, is) == Truth::Yes))
    }

    fn frequency(&self) -> Result<Test, Refusal> {
        let (n, span) = self.scalar()?.split_once('/').unwrap_or_default();
        let said = number(n).zip(Span::parse(span).ok());
        let said = said.ok_or_else(|| {
            self.no("needs a number and a period such as 5/P1D (five uses a day)")
        })?;
        let most = self.op(cap(&self.it.op, said.0))?;
        if self.reach == Reach::Node && most > FREQUENCY_USES {
            return Err(self.no("counts more uses than a gate looks back at"));
        }
        Ok(Test::Frequency(most, self.period(said.1)?))
    }

    /// What is reserved ahead is added up, so that it must not come near the end of numbers.
    fn budget(&self) -> Result<u64, Refusal> {
        let most = self.number()?;
        if self.reach == Reach::Node && most > BUDGET {
            return Err(self.no("is a larger budget than a gate keeps"));
        }
        Ok(most)
    }

    /// A period of no length would hold always or never.
    fn period(&self, it: Span) -> Result<Span, Refusal> {
        if it.is_zero() { Err(self.no("needs a period longer than nothing")) } else { Ok(it) }
    }
}

fn entity(it: Test) -> Test {
    Test::Entity(Box::new(it))
}

/// A code by its letters; whether there is such a region nobody here knows.
fn region(it: &str) -> bool {
    it.split('-').all(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Operands whose values are names.
pub(super) fn topic(it: &Operand) -> Option<Topic> {
    let table = [
        (Operand::Spatial, Topic::Region),
        (Operand::SystemDevice, Topic::Device),
        (Operand::VirtualLocation, Topic::VirtualLocation),
        (Operand::Role, Topic::Role),
        (Operand::Application, Topic::Application),
        (Operand::Algorithm, Topic::Algorithm),
        (Operand::Model, Topic::Model),
        (Operand::Environment, Topic::Environment),
        (Operand::Encryption, Topic::Encryption),
        (Operand::DeliveryMethod, Topic::Delivery),
        (Operand::DeliveryChannel, Topic::Channel),
        (Operand::FileFormat, Topic::Format),
        (Operand::Industry, Topic::Industry),
        (Operand::Language, Topic::Language),
        (Operand::Media, Topic::Media),
        (Operand::Product, Topic::Product),
        (Operand::Version, Topic::Version),
    ];
    table.into_iter().find_map(|(operand, topic)| (operand == *it).then_some(topic))
}

fn among(op: &Operator) -> Option<Member> {
    let all = || matches!(op, Operator::IsAllOf | Operator::HasPart).then_some(Member::All);
    member(op).or_else(all)
}

fn cmp(op: &Operator) -> Option<Cmp> {
    let table = [
        (Operator::Lt, Cmp::Lt),
        (Operator::Lteq, Cmp::Lteq),
        (Operator::Gt, Cmp::Gt),
        (Operator::Gteq, Cmp::Gteq),
    ];
    table.into_iter().find_map(|(known, cmp)| (known == *op).then_some(cmp))
}

/// A permission up to a bound (`eq` reads as "at most"), a prohibition beyond one.
fn upper(op: &Operator, side: Side) -> Option<Cmp> {
    match (cmp(op), side) {
        (Some(it @ (Cmp::Lt | Cmp::Lteq)), Side::Grant)
        | (Some(it @ (Cmp::Gt | Cmp::Gteq)), Side::Ban) => Some(it),
        (None, Side::Grant) if *op == Operator::Eq => Some(Cmp::Lteq),
        _ => None,
    }
}

fn lower(op: &Operator, side: Side) -> Option<Cmp> {
    match (cmp(op), side) {
        (Some(it @ (Cmp::Gt | Cmp::Gteq)), Side::Grant)
        | (Some(it @ (Cmp::Lt | Cmp::Lteq)), Side::Ban) => Some(it),
        (None, Side::Grant) if *op == Operator::Eq => Some(Cmp::Gteq),
        _ => None,
    }
}

fn member(op: &Operator) -> Option<Member> {
    if matches!(op, Operator::Eq | Operator::IsA | Operator::IsAnyOf | Operator::IsPartOf) {
        return Some(Member::In);
    }
    matches!(op, Operator::Neq | Operator::IsNoneOf).then_some(Member::NotIn)
}

fn kinds_for(op: &Operator, said: Vec<Use>) -> Option<Vec<Use>> {
    Some(match member(op)? {
        Member::In | Member::All => said,
        Member::NotIn => Use::ALL.into_iter().filter(|k| !said.contains(k)).collect(),
    })
}

fn cap(op: &Operator, n: u64) -> Option<u64> {
    if *op == Operator::Lt {
        return n.checked_sub(1);
    }
    matches!(op, Operator::Lteq | Operator::Eq).then_some(n)
}

/// A whole number, plainly written: no sign, no exponent.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn list(it: &Atomic) -> Option<Vec<String>> {
    let texts = it.right.texts()?;
    let ok = !texts.is_empty()
        && texts.len() <= POLICY_LIST
        && texts.iter().all(|t| !t.trim().is_empty());
    let one_for_eq =
        texts.len() == 1 || !matches!(it.op, Operator::Eq | Operator::Neq | Operator::IsA);
    (ok && one_for_eq).then(|| texts.into_iter().map(str::to_owned).collect())
}

/// RFC 3339, and DSP's own examples, which leave out the seconds (`2023-12-31T06:00Z`).
fn moment(text: &str) -> Option<Time> {
    let short = || {
        let (head, zone) = text.split_at_checked(16)?;
        (head.as_bytes().get(13) == Some(&b':') && zone.starts_with(['Z', '+', '-']))
            .then(|| Time::parse(&format!("{head}:00{zone}")).ok())
            .flatten()
    };
    Time::parse(text).ok().or_else(short)
}
