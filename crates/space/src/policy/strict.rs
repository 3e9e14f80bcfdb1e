//! Whether terms are at least as strict as others: what `nextPolicy` asks of every offer of a product made under a contract.
//!
//! Threat: an offer that reads like the terms it has to keep, and permits more. So nothing is inferred that is not written
//! down here: each condition, limit, prohibition and duty of the terms to keep must stand in the offer, the same or
//! narrower along one axis. Never finds a looser offer strict; an offer that is stricter in another way may be refused.

use crate::lang::Lang;
use crate::policy::action::Phase;
use crate::policy::model::{Action, Conflict, Operand};
use crate::policy::price::Price;
use crate::policy::span::Span;
use crate::policy::terms::{Clause, Cmp, Duty, Limit, Member, Terms, Test};
use crate::policy::words::{limit_words, test_words};

mod limits;

/// A term that an offer lacks or loosens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looser {
    /// By its name in the policy: `dateTime`, `delete`, `distribute`.
    pub term: String,
    pub zh: String,
    pub en: String,
}

impl Looser {
    fn new(term: &str, words: impl Fn(Lang) -> String) -> Self {
        Self { term: term.to_owned(), zh: words(Lang::Zh), en: words(Lang::En) }
    }

    fn test(it: &Test) -> Self {
        Self::new(operand(it), |lang| test_words(it, lang))
    }

    fn limit(term: &Operand, it: &Limit) -> Self {
        Self::new(term.name(), |lang| limit_words(it, lang))
    }

    fn action(it: &Action, zh: &str, en: &str) -> Self {
        Self::new(it.name(), |lang| format!("{}{}", lang.pick(zh, en), it.words(lang)))
    }

    fn duty(it: &Duty) -> Self {
        Self::action(&it.action, "义务：", "the duty of ")
    }
}

/// What of `next` an offer does not keep; empty: whatever the offer permits, `next` permits, too. Parties of the
/// policies say nothing here: each contract has its own.
pub fn looser(next: &Terms, offer: &Terms) -> Vec<Looser> {
    let mut out = vec![];
    // Permissions that win over prohibitions would make those that are kept idle.
    let overruled = offer.conflict == Some(Conflict::Permission)
        && next.conflict != Some(Conflict::Permission)
        && !next.bans.is_empty();
    if overruled {
        out.push(Looser::new("conflict", |lang| {
            lang.pick("禁止优先于许可", "prohibitions win over permissions").to_owned()
        }));
    }
    for ban in &next.bans {
        if !offer.bans.iter().any(|it| bans_as_much(it, ban)) {
            out.push(Looser::action(&ban.action, "禁止", "the prohibition of "));
        }
    }
    for owed in &next.duties {
        if !offer.duties.iter().any(|it| as_strict(it, owed)) {
            out.push(Looser::duty(owed));
        }
    }
    for grant in &offer.grants {
        out.extend(more_than(next, grant, &offer.duties));
    }
    out.extend(money_and_marks(next, offer));
    out
}

/// Amounts and marks are said once in a policy, wherever they stand.
fn money_and_marks(next: &Terms, offer: &Terms) -> Vec<Looser> {
    let mut out = vec![];
    if let Some(price) = &next.price {
        let dear = |it: &Price| it.currency == price.currency && it.micros >= price.micros;
        if !offer.price.as_ref().is_some_and(dear) {
            out.push(Looser::new("payAmount", |lang| {
                format!("{}{price}", lang.pick("价格不低于 ", "a price of at least "))
            }));
        }
    }
    if next.mark.is_some() && next.mark != offer.mark {
        out.push(Looser::action(&Action::Watermark, "相同的", "the same "));
    }
    out
}

/// The fewest terms by which a permission goes beyond one of `next`.
fn more_than(next: &Terms, grant: &Clause, duties: &[Duty]) -> Vec<Looser> {
    let same = next.grants.iter().filter(|it| covers_as_much(&it.action, &grant.action));
    let all = same.map(|it| missing(it, grant, duties));
    all.min_by_key(Vec::len)
        .unwrap_or_else(|| vec![Looser::action(&grant.action, "未允许：", "no permission for ")])
}

/// What one permission of `next` asks and one of the offer does not.
fn missing(next: &Clause, grant: &Clause, duties: &[Duty]) -> Vec<Looser> {
    let mut out = vec![];
    for (said, has, name) in
        [(&next.target, &grant.target, "target"), (&next.assignee, &grant.assignee, "assignee")]
    {
        if let Some(id) = said.as_ref().filter(|_| said != has) {
            out.push(Looser::new(name, |_| id.to_string()));
        }
    }
    let has = parts(&grant.when);
    out.extend(parts(&next.when).into_iter().filter(|it| !follows(&has, it)).map(Looser::test));
    out.extend(limits::wider(&next.limits, &grant.limits));
    let owed = |it: &&Duty| {
        let mut own = grant.duties.iter().chain(duties);
        !own.any(|has| as_strict(has, it))
    };
    out.extend(next.duties.iter().filter(owed).map(Looser::duty));
    out
}

/// Whether a permission for `wide` permits whatever one for `narrow` does. Asked of every action: `aggregate` covers
/// `read` and not what `read` covers.
fn covers_as_much(wide: &Action, narrow: &Action) -> bool {
    wide == narrow
        || Action::KNOWN.iter().all(|asked| !narrow.covers(asked) || wide.covers(asked))
            && wide.covers(narrow)
}

/// Whether a prohibition of the offer applies wherever one to keep does.
fn bans_as_much(it: &Clause, kept: &Clause) -> bool {
    let stops = |asked: &Action| !kept.action.stops(asked) || it.action.stops(asked);
    let free = |own: &Option<_>, said: &Option<_>| own.is_none() || own == said;
    let same = it.action == kept.action || Action::KNOWN.iter().all(stops);
    let when = parts(&kept.when);
    same && free(&it.target, &kept.target)
        && free(&it.assignee, &kept.assignee)
        && parts(&it.when).into_iter().all(|own| follows(&when, own))
        // Remedies heal an infringement.
        && (it.duties.is_empty() || same_duties(&it.duties, &kept.duties))
}

fn same_duties(one: &[Duty], other: &[Duty]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same_duty(a, b))
}

/// But for the places where they stand.
fn same_duty(a: &Duty, b: &Duty) -> bool {
    a.action.current() == b.action.current()
        && a.phase == b.phase
        && a.when == b.when
        && same_duties(&a.consequences, &b.consequences)
}

/// Whether a duty asks at least what another one does: no later, and before the use where that one does.
fn as_strict(it: &Duty, owed: &Duty) -> bool {
    let sooner = it.action == Action::Delete
        && owed.action == Action::Delete
        // Deletion after use is said by no condition at all, which any other would seem to imply.
        && owed.when != Test::All(vec![])
        && parts(&owed.when).into_iter().all(|test| follows(&parts(&it.when), test));
    it.action.current() == owed.action.current()
        && (it.phase == owed.phase || it.phase == Phase::Before)
        && (it.when == owed.when || sooner)
        && same_duties(&it.consequences, &owed.consequences)
}

/// The conditions that all have to hold, however they are nested.
fn parts(it: &Test) -> Vec<&Test> {
    if let Test::All(all) = it { all.iter().flat_map(parts).collect() } else { vec![it] }
}

/// Whether `it` holds wherever all of these do.
fn follows(all: &[&Test], it: &Test) -> bool {
    all.iter().any(|by| implies(by, it))
}

/// Whether `it` is at least as true as `by`, of whatever request: both are held against the same fact.
fn implies(by: &Test, it: &Test) -> bool {
    match (by, it) {
        _ if by == it => true,
        (Test::Clock(a, x), Test::Clock(b, y)) => within((*a, x.ms()), (*b, y.ms())),
        (Test::Count(a, x), Test::Count(b, y))
        | (Test::Size(a, x), Test::Size(b, y))
        | (Test::Records(a, x), Test::Records(b, y))
        | (Test::Group(a, x), Test::Group(b, y)) => within((*a, *x), (*b, *y)),
        (Test::Entity(x), Test::Entity(y)) => implies(x, y),
        (Test::Elapsed(a, x), Test::Elapsed(b, y))
        | (Test::Delay(a, x), Test::Delay(b, y))
        | (Test::Metered(a, x), Test::Metered(b, y)) => spanned((*a, *x), (*b, *y)),
        (Test::Interval(x), Test::Interval(y)) => y.at_most(*x),
        (Test::Frequency(n, x), Test::Frequency(m, y)) => n <= m && y.at_most(*x),
        (Test::Enforcement(x), Test::Enforcement(y)) => x >= y,
        (Test::Kind(x), Test::Kind(y)) => x.iter().all(|kind| y.contains(kind)),
        (Test::Purpose(a, x), Test::Purpose(b, y))
        | (Test::Recipient(a, x), Test::Recipient(b, y)) => listed(*a, x, *b, y),
        (Test::Network(a, x), Test::Network(b, y)) => listed(*a, x, *b, y),
        (Test::Among(s, a, x), Test::Among(t, b, y)) => s == t && listed(*a, x, *b, y),
        // Alternatives, sequences, windows, versions and events are kept as they are written.
        (_, _) => false,
    }
}

/// Whether all whole numbers that the first bound admits are admitted by the second.
fn within<T: Into<i128>>((a, x): (Cmp, T), (b, y): (Cmp, T)) -> bool {
    match (ends(a, x.into()), ends(b, y.into())) {
        (Some(narrow), Some(wide)) => narrow.0 >= wide.0 && narrow.1 <= wide.1,
        (_, _) => false,
    }
}

fn ends(cmp: Cmp, n: i128) -> Option<(i128, i128)> {
    Some(match cmp {
        Cmp::Lt => (i128::MIN, n.saturating_sub(1)),
        Cmp::Lteq => (i128::MIN, n),
        Cmp::Gt => (n.saturating_add(1), i128::MAX),
        Cmp::Gteq => (n, i128::MAX),
        Cmp::Eq => (n, n),
        Cmp::Neq => return None,
    })
}

/// The same of durations, which begin at one moment: a shorter one ends no later.
fn spanned((a, x): (Cmp, Span), (b, y): (Cmp, Span)) -> bool {
    match (a, b) {
        (Cmp::Lt, Cmp::Lt | Cmp::Lteq) | (Cmp::Lteq, Cmp::Lteq) => x.at_most(y),
        (Cmp::Gt, Cmp::Gt | Cmp::Gteq) | (Cmp::Gteq, Cmp::Gteq) => y.at_most(x),
        (_, _) => false,
    }
}

/// Of lists of allowed values a part is narrower, of lists of forbidden ones and of those demanded the whole.
fn listed<T: PartialEq>(a: Member, x: &[T], b: Member, y: &[T]) -> bool {
    let part = |of: &[T], whole: &[T]| of.iter().all(|it| whole.contains(it));
    match (a, b) {
        (Member::In, Member::In) => part(x, y),
        (Member::NotIn, Member::NotIn) | (Member::All, Member::All) => part(y, x),
        (_, _) => false,
    }
}

/// The name of what a condition speaks about.
pub(super) fn operand(it: &Test) -> &'static str {
    match it {
        Test::All(_) => "and",
        Test::Any(_) => "or",
        Test::One(_) => "xone",
        Test::Sequence(_) => "andSequence",
        Test::Clock(..) => "dateTime",
        Test::Count(..) => "count",
        Test::Purpose(..) => "purpose",
        Test::Recipient(..) => "recipient",
        Test::Elapsed(..) => "elapsedTime",
        Test::Delay(..) => "delayPeriod",
        Test::Kind(_) => "tidm:kindOfUse",
        Test::Enforcement(_) => "tidm:enforcementLevel",
        Test::Window(_) => "tidm:timeWindow",
        Test::Metered(..) => "meteredTime",
        Test::Interval(_) => "timeInterval",
        Test::Frequency(..) => "tidm:frequency",
        Test::Size(..) => "tidm:dataSize",
        Test::Records(..) => "tidm:recordCount",
        Test::Group(..) => "tidm:groupCount",
        Test::Entity(it) => crate::policy::counted::entity(it),
        Test::Network(..) => "tidm:networkAddress",
        Test::Version(..) => "version",
        Test::Event(..) => "event",
        Test::Among(topic, ..) => {
            let of = |it: &&Operand| crate::policy::compile::topic(it) == Some(*topic);
            Operand::KNOWN.iter().find(of).map_or("constraint", Operand::name)
        }
    }
}

#[cfg(test)]
mod tests;
