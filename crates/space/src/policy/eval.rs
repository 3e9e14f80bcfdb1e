//! What compiled terms answer to one request: permit, deny, or unknown, which is treated as deny (decision D5).
//!
//! Never reads a clock or a counter: every fact is in the [`Request`]. Whoever counts must load the count and store
//! its increase in the same transaction as this decision. Closed world: what no permission grants is denied.

use crate::fault::Fault;
use crate::lang::Lang;
use crate::policy::model::{Action, Conflict};
use crate::policy::render::{action_words, test_words};
use crate::policy::terms::{Clause, Limits, Member, Terms, Test};
use crate::policy::usage::{Level, Use};
use crate::time::Time;

/// The facts of one request. `None` means: not known.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub now: Time,
    pub kind: Use,
    pub action: Action,
    /// The enforcement level that the place of use has proven; [`Use::level`] when nothing more was proven.
    pub level: Level,
    pub purpose: Option<&'a str>,
    /// The proven identity of who asks (a DID between our nodes).
    pub recipient: &'a str,
    /// Columns asked for; `None`: the place of use will keep to the decision's limits.
    pub columns: Option<&'a [String]>,
    /// Uses granted under this contract before this one.
    pub uses_so_far: u64,
    pub first_use_at: Option<Time>,
    pub agreed_at: Option<Time>,
    /// Whether the price was paid; asked only where payment comes first.
    pub paid: Option<bool>,
}

impl<'a> Request<'a> {
    /// A first use of that kind, with nothing else known.
    pub fn new(now: Time, kind: Use, recipient: &'a str) -> Self {
        Self {
            now,
            kind,
            action: kind.action(),
            level: kind.level(),
            purpose: None,
            recipient,
            columns: None,
            uses_so_far: 0,
            first_use_at: None,
            agreed_at: None,
            paid: None,
        }
    }
}

/// Kleene's three values; the order is that of `and`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    No,
    Unknown,
    Yes,
}

impl Truth {
    fn of(it: bool) -> Self {
        if it { Self::Yes } else { Self::No }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The use may happen within these limits.
    Permit(Limits),
    Deny(Vec<Reason>),
    /// Some fact is missing. Denied all the same; the reasons say which fact would help.
    Unknown(Vec<Reason>),
}

/// Why not: which rule, and which test in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// For example `permission[0]`, or `policy` when no rule speaks of the action.
    pub rule: String,
    pub zh: String,
    pub en: String,
}

/// A verdict and how it came about.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    pub why: Explanation,
}

impl Decision {
    /// The limits, or the fault that a caller gets.
    pub fn permitted(self) -> Result<Limits, Fault> {
        let (code, reasons) = match self.verdict {
            Verdict::Permit(limits) => return Ok(limits),
            Verdict::Deny(reasons) => ("policy.denied", reasons),
            Verdict::Unknown(reasons) => ("policy.unknown", reasons),
        };
        let rule = reasons.first().map_or_else(|| "policy".to_owned(), |r| r.rule.clone());
        let said: Vec<String> = reasons.into_iter().map(|r| r.en).collect();
        Err(Fault::denied(code, rule, said.join("; ")))
    }
}

/// One step of the reasoning: what was asked, of which fact, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub zh: String,
    pub en: String,
    pub truth: Truth,
    pub parts: Vec<Self>,
}

impl Explanation {
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
        out.push_str(lang.pick(&self.zh, &self.en));
        out.push('\n');
        for part in &self.parts {
            part.write(lang, depth + 1, out);
        }
    }

    /// The innermost steps that were not true.
    fn failing<'a>(&'a self, out: &mut Vec<&'a Self>) {
        match self.parts.iter().filter(|p| p.truth != Truth::Yes).collect::<Vec<_>>() {
            inner if inner.is_empty() => out.push(self),
            inner => inner.into_iter().for_each(|p| p.failing(out)),
        }
    }
}

fn step(
    zh: impl Into<String>,
    en: impl Into<String>,
    truth: Truth,
    parts: Vec<Explanation>,
) -> Explanation {
    Explanation { zh: zh.into(), en: en.into(), truth, parts }
}

/// Decides one use.
pub fn evaluate(terms: &Terms, request: &Request<'_>) -> Decision {
    let mut parts = vec![];
    let mut reasons = vec![];
    let mut bound = Truth::Yes;
    if let Some(assignee) = &terms.assignee {
        bound = Truth::of(assignee.as_str() == request.recipient);
        let it = step(
            format!("合约属于 {assignee}"),
            format!("the contract is {assignee}'s"),
            bound,
            vec![],
        );
        note(&mut reasons, "assignee", &it);
        parts.push(it);
    }
    let banned = bans(terms, request, &mut parts, &mut reasons);
    let (granted, limits) = grants(terms, request, &mut parts, &mut reasons);
    // `perm`: a permission that certainly holds wins over any prohibition (ODRL §2.10).
    let free = if terms.conflict == Some(Conflict::Permission) && granted == Truth::Yes {
        Truth::Yes
    } else {
        banned
    };
    let truth = bound.min(free).min(granted);
    let why = step("该使用是否被允许", "may this use happen", truth, parts);
    let verdict = match truth {
        Truth::Yes => Verdict::Permit(limits),
        Truth::No => Verdict::Deny(reasons),
        Truth::Unknown => Verdict::Unknown(reasons),
    };
    Decision { verdict, why }
}

/// `Yes`: no prohibition stands in the way.
fn bans(
    terms: &Terms,
    request: &Request<'_>,
    parts: &mut Vec<Explanation>,
    reasons: &mut Vec<Reason>,
) -> Truth {
    let mut free = Truth::Yes;
    for ban in terms.bans.iter().filter(|b| touches(&b.action, &request.action)) {
        let active = test(&ban.when, request);
        let truth = match active.truth {
            Truth::Yes => Truth::No,
            Truth::Unknown => Truth::Unknown,
            Truth::No => Truth::Yes,
        };
        let (zh, en) = (action_words(&ban.action, Lang::Zh), action_words(&ban.action, Lang::En));
        let it = step(
            format!("禁止（{}）：{zh}，不适用于本次", ban.place),
            format!("the prohibition ({}) of {en} does not apply", ban.place),
            truth,
            vec![],
        );
        note(reasons, &ban.place, &it);
        parts.push(Explanation { parts: vec![active], ..it });
        free = free.min(truth);
    }
    free
}

/// The first permission that holds, and its limits.
fn grants(
    terms: &Terms,
    request: &Request<'_>,
    parts: &mut Vec<Explanation>,
    reasons: &mut Vec<Reason>,
) -> (Truth, Limits) {
    let mut best = Truth::No;
    let mut asked = false;
    let mut said = vec![];
    for grant in terms.grants.iter().filter(|g| covers(&g.action, &request.action)) {
        asked = true;
        let it = holds(grant, request);
        let truth = it.truth;
        if truth != Truth::Yes {
            note(&mut said, &grant.place, &it);
        }
        parts.push(it);
        if truth == Truth::Yes {
            return (Truth::Yes, grant.limits.clone());
        }
        best = best.max(truth);
    }
    if !asked {
        let (zh, en) =
            (action_words(&request.action, Lang::Zh), action_words(&request.action, Lang::En));
        let it = step(
            format!("没有许可允许“{zh}”"),
            format!("no permission grants {en}"),
            Truth::No,
            vec![],
        );
        note(&mut said, "policy", &it);
        parts.push(it);
    }
    reasons.append(&mut said);
    (best, Limits::default())
}

fn holds(grant: &Clause, request: &Request<'_>) -> Explanation {
    let mut parts = vec![test(&grant.when, request)];
    if grant.prepaid {
        let truth = request.paid.map_or(Truth::Unknown, Truth::of);
        parts.push(step("使用前已付款", "paid before use", truth, vec![]));
    }
    if let (Some(allowed), Some(asked)) = (&grant.limits.columns, request.columns) {
        let outside: Vec<&str> =
            asked.iter().filter(|c| !allowed.contains(*c)).map(String::as_str).collect();
        let list = outside.join(", ");
        parts.push(if outside.is_empty() {
            step("所请求的字段均被允许", "all columns asked for are permitted", Truth::Yes, vec![])
        } else {
            step(
                format!("字段未被允许：{list}"),
                format!("columns not permitted: {list}"),
                Truth::No,
                vec![],
            )
        });
    }
    let truth = parts.iter().map(|p| p.truth).min().unwrap_or(Truth::Yes);
    let (zh, en) = (action_words(&grant.action, Lang::Zh), action_words(&grant.action, Lang::En));
    step(
        format!("许可（{}）：{zh}", grant.place),
        format!("permission ({}): {en}", grant.place),
        truth,
        parts,
    )
}

fn note(reasons: &mut Vec<Reason>, rule: &str, it: &Explanation) {
    if it.truth == Truth::Yes {
        return;
    }
    let mut failing = vec![];
    it.failing(&mut failing);
    let reason =
        |f: &Explanation| Reason { rule: rule.to_owned(), zh: f.zh.clone(), en: f.en.clone() };
    reasons.extend(failing.into_iter().map(reason));
}

/// ODRL `includedIn`, narrowed: `use` covers everything but handing on.
fn covers(granted: &Action, asked: &Action) -> bool {
    match granted {
        Action::Use => {
            matches!(asked, Action::Use | Action::Read | Action::Display | Action::Aggregate)
        }
        Action::Read => matches!(asked, Action::Read | Action::Display | Action::Aggregate),
        // A query is read access whose kind and limits the compiler has narrowed.
        Action::Aggregate => matches!(asked, Action::Aggregate | Action::Read),
        Action::Display
        | Action::Distribute
        | Action::Delete
        | Action::Compensate
        | Action::Unknown(_) => granted == asked,
    }
}

/// A prohibition also stops a wider act than it names: who may not read may not use freely.
fn touches(banned: &Action, asked: &Action) -> bool {
    covers(banned, asked) || (covers(asked, banned) && *banned != Action::Distribute)
}

fn test(it: &Test, request: &Request<'_>) -> Explanation {
    let group = |zh: &str, en: &str, all: &[Test], fold: fn(&[Truth]) -> Truth| {
        let parts: Vec<Explanation> = all.iter().map(|t| test(t, request)).collect();
        let truths: Vec<Truth> = parts.iter().map(|p| p.truth).collect();
        step(zh, en, fold(&truths), parts)
    };
    match it {
        Test::All(all) => group("全部满足", "all hold", all, |t| {
            t.iter().copied().min().unwrap_or(Truth::Yes)
        }),
        Test::Any(all) => group("至少一项满足", "at least one holds", all, |t| {
            t.iter().copied().max().unwrap_or(Truth::No)
        }),
        Test::One(all) => group("恰好一项满足", "exactly one holds", all, exactly_one),
        Test::Clock(..)
        | Test::Count(..)
        | Test::Purpose(..)
        | Test::Recipient(..)
        | Test::Elapsed(..)
        | Test::Delay(..)
        | Test::Kind(_)
        | Test::Enforcement(_) => {
            let (truth, fact) = fact(it, request);
            let (zh, en) = (test_words(it, Lang::Zh), test_words(it, Lang::En));
            let unknown = |lang: Lang| lang.pick("未知", "unknown").to_owned();
            step(
                format!("{zh}（事实：{}）", fact.clone().unwrap_or_else(|| unknown(Lang::Zh))),
                format!("{en} (fact: {})", fact.unwrap_or_else(|| unknown(Lang::En))),
                truth,
                vec![],
            )
        }
    }
}

fn exactly_one(truths: &[Truth]) -> Truth {
    let count = |it: Truth| truths.iter().filter(|t| **t == it).count();
    match (count(Truth::Yes), count(Truth::Unknown)) {
        (yes, _) if yes > 1 => Truth::No,
        (_, unknown) if unknown > 0 => Truth::Unknown,
        (yes, _) => Truth::of(yes == 1),
    }
}

/// Truth of one test, and the fact it was held against.
fn fact(it: &Test, request: &Request<'_>) -> (Truth, Option<String>) {
    let member = |how: Member, all: &[String], value: &str| {
        Truth::of(all.iter().any(|v| v == value) == (how == Member::In))
    };
    match it {
        Test::Clock(cmp, at) => {
            (Truth::of(cmp.holds(request.now, *at)), Some(request.now.to_string()))
        }
        Test::Count(cmp, n) => {
            let this = request.uses_so_far.saturating_add(1);
            (Truth::of(cmp.holds(this, *n)), Some(format!("#{this}")))
        }
        Test::Purpose(how, all) => match request.purpose {
            Some(purpose) => (member(*how, all, purpose), Some(purpose.to_owned())),
            None => (Truth::Unknown, None),
        },
        Test::Recipient(how, all) => {
            (member(*how, all, request.recipient), Some(request.recipient.to_owned()))
        }
        Test::Elapsed(cmp, span) => {
            let start = request.first_use_at.unwrap_or(request.now);
            (
                Truth::of(cmp.holds(request.now, span.after(start))),
                Some(format!("{start} → {}", request.now)),
            )
        }
        Test::Delay(cmp, span) => match request.agreed_at {
            Some(at) => (
                Truth::of(cmp.holds(request.now, span.after(at))),
                Some(format!("{at} → {}", request.now)),
            ),
            None => (Truth::Unknown, None),
        },
        Test::Kind(all) => {
            (Truth::of(all.contains(&request.kind)), Some(request.kind.name().to_owned()))
        }
        Test::Enforcement(level) => {
            (Truth::of(request.level >= *level), Some(request.level.name().to_owned()))
        }
        // Groups are walked by `test`.
        Test::All(_) | Test::Any(_) | Test::One(_) => (Truth::Unknown, None),
    }
}

#[cfg(test)]
mod tests;
