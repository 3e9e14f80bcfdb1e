//! What compiled terms answer to one request: permit, deny, or unknown, which is treated as deny (decision D5).
//!
//! Never reads a clock or a counter: every fact is in the [`Request`]. Whoever counts must load the count and store
//! its increase in the same transaction as this decision. Closed world: what no permission grants is denied. Where
//! several permissions hold, the widest limits count, so that the order of rules decides nothing.

use crate::fault::Fault;
use crate::lang::Lang;
use crate::policy::action::Phase;
use crate::policy::hold::test;
use crate::policy::model::{Action, Conflict};
use crate::policy::terms::{Clause, Cmp, Duty, Limits, Terms, Test};

pub use crate::policy::explain::{Explanation, Fact, What};
pub use crate::policy::facts::{Deed, Facts, Request};
pub use crate::policy::truth::Truth;

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
pub struct Decision<'a> {
    pub verdict: Verdict,
    pub why: Explanation<'a>,
}

impl Decision<'_> {
    /// The limits, or the fault that a caller gets.
    pub fn permitted(self) -> Result<Limits, Fault> {
        let (code, reasons) = match self.verdict {
            Verdict::Permit(limits) => return Ok(limits),
            Verdict::Deny(reasons) => ("policy.denied", reasons),
            Verdict::Unknown(reasons) => ("policy.unknown", reasons),
        };
        let rule = reasons.first().map_or_else(|| "policy".to_owned(), |r| r.rule.clone());
        Err(Fault::denied(code, rule, said(&reasons, Lang::En))
            .in_chinese(said(&reasons, Lang::Zh)))
    }
}

/// All reasons; where several rules said no, each with the rule that it belongs to.
fn said(all: &[Reason], lang: Lang) -> String {
    let several = all.iter().any(|it| all.first().is_some_and(|first| first.rule != it.rule));
    let one = |it: &Reason| {
        let text = lang.pick(&it.zh, &it.en);
        if several {
            format!("{}{}{text}", it.rule, lang.pick("：", ": "))
        } else {
            text.to_owned()
        }
    };
    let all: Vec<String> = all.iter().map(one).collect();
    all.join(lang.pick("；", "; "))
}

/// What one rule asks of a request, each premise with its answer: for reports rather than for deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleReport<'a> {
    pub place: &'a str,
    pub permission: bool,
    /// Of the rule's target, party, action and constraints.
    pub premises: Vec<Explanation<'a>>,
    /// Of a permission's duties.
    pub duties: Vec<Explanation<'a>>,
}

impl RuleReport<'_> {
    /// Whether the rule is about this request.
    pub fn applies(&self) -> Truth {
        Truth::all(self.premises.iter().map(|it| it.truth))
    }
}

/// All rules, whether or not they are about the act asked for.
pub fn report<'a>(terms: &'a Terms, request: &'a Request<'a>) -> Vec<RuleReport<'a>> {
    let rule = |it: &'a Clause, permission: bool| {
        let matches = if permission { Action::covers } else { Action::stops };
        let action = Truth::of(matches(&it.action, &request.action));
        let mut premises = parties(it, request);
        premises.push(Explanation::new(What::Action(&it.action), action, vec![]));
        premises.extend(constraints(it, request));
        let owed = if permission { &it.duties[..] } else { &[] };
        let duties = owed.iter().map(|it| duty(it, request)).collect();
        RuleReport { place: &it.place, permission, premises, duties }
    };
    let grants = terms.grants.iter().map(|it| rule(it, true));
    grants.chain(terms.bans.iter().map(|it| rule(it, false))).collect()
}

/// Decides one use.
pub fn evaluate<'a>(terms: &'a Terms, request: &'a Request<'a>) -> Decision<'a> {
    let mut parts = vec![];
    let mut reasons = vec![];
    let mut bound = Truth::Yes;
    if let Some(assignee) = &terms.assignee {
        bound = Truth::of(assignee.as_str() == request.recipient);
        let it = Explanation::new(What::Owner(assignee), bound, vec![]);
        note(&mut reasons, "assignee", &it);
        parts.push(it);
    }
    for it in &terms.duties {
        let it = (it, duty(it, request));
        note(&mut reasons, &it.0.place, &it.1);
        bound = bound.min(it.1.truth);
        parts.push(it.1);
    }
    bound = bound.min(healed(terms, request, &mut parts, &mut reasons));
    let banned = bans(terms, request, &mut parts, &mut reasons);
    let (granted, limits) = grants(terms, request, &mut parts, &mut reasons);
    let free = match terms.conflict {
        // A permission that holds wins over any prohibition (ODRL §2.10); one that may hold leaves it open.
        Some(Conflict::Permission) => banned.max(granted),
        Some(Conflict::Prohibition) => banned,
        None | Some(Conflict::Invalid) => {
            banned.min(valid(terms, request, &mut parts, &mut reasons))
        }
    };
    let truth = bound.min(free).min(granted);
    let why = Explanation::new(What::Asked, truth, parts);
    let verdict = match truth {
        Truth::Yes => Verdict::Permit(limits),
        Truth::No => Verdict::Deny(reasons),
        Truth::Unknown => Verdict::Unknown(reasons),
    };
    Decision { verdict, why }
}

/// An infringed prohibition is healed by its remedies (ODRL §2.6.5); one without any is not.
fn healed<'a>(
    terms: &'a Terms,
    request: &'a Request<'a>,
    parts: &mut Vec<Explanation<'a>>,
    reasons: &mut Vec<Reason>,
) -> Truth {
    let mut all = Truth::Yes;
    for ban in &terms.bans {
        if !request.more.infringed.contains(&ban.place.as_str()) {
            continue;
        }
        let done: Vec<Explanation<'a>> = ban.duties.iter().map(|it| remedy(it, request)).collect();
        let truth =
            if done.is_empty() { Truth::No } else { Truth::all(done.iter().map(|it| it.truth)) };
        let it = Explanation::new(What::Healed(ban), truth, done);
        note(reasons, &ban.place, &it);
        parts.push(it);
        all = all.min(truth);
    }
    all
}

/// Whether no prohibition applies.
fn bans<'a>(
    terms: &'a Terms,
    request: &'a Request<'a>,
    parts: &mut Vec<Explanation<'a>>,
    reasons: &mut Vec<Reason>,
) -> Truth {
    let mut free = Truth::Yes;
    for ban in terms.bans.iter().filter(|b| b.action.stops(&request.action)) {
        let mut inner = parties(ban, request);
        inner.extend(constraints(ban, request));
        let applies = Truth::all(inner.iter().map(|it| it.truth));
        let active = Explanation::new(What::Prohibition(ban), applies, inner);
        let truth = applies.opposite();
        // Said by the prohibition itself: what did not fail inside it is no reason.
        note(reasons, &ban.place, &Explanation::new(What::Free(ban), truth, vec![]));
        parts.push(Explanation::new(What::Free(ban), truth, vec![active]));
        free = free.min(truth);
    }
    free
}

/// Whether no permission and prohibition of the policy meet: under `invalid` one such conflict makes it void as a whole,
/// whichever act was asked for (ODRL §2.10). They meet where the acts of both overlap and the conditions of both hold.
fn valid<'a>(
    terms: &'a Terms,
    request: &'a Request<'a>,
    parts: &mut Vec<Explanation<'a>>,
    reasons: &mut Vec<Reason>,
) -> Truth {
    let holds = |it: &'a Clause| {
        let own = Truth::all(parties(it, request).iter().map(|it| it.truth));
        own.min(Truth::all(constraints(it, request).map(|it| it.truth)))
    };
    let mut valid = Truth::Yes;
    for ban in &terms.bans {
        let mut over = terms.grants.iter().filter(|it| ban.action.stops(&it.action)).peekable();
        if over.peek().is_none() {
            continue;
        }
        let applies = holds(ban);
        for grant in over.filter(|_| applies != Truth::No) {
            let truth = applies.min(holds(grant)).opposite();
            valid = valid.min(truth);
            if truth != Truth::Yes {
                let it = Explanation::new(What::Void(grant, ban), truth, vec![]);
                note(reasons, "policy", &it);
                parts.push(it);
            }
        }
    }
    valid
}

/// Whether a permission holds, and the widest limits of those that do.
fn grants<'a>(
    terms: &'a Terms,
    request: &'a Request<'a>,
    parts: &mut Vec<Explanation<'a>>,
    reasons: &mut Vec<Reason>,
) -> (Truth, Limits) {
    let mut best = Truth::No;
    let mut asked = false;
    let mut limits: Option<&Limits> = None;
    let mut said = vec![];
    for grant in terms.grants.iter().filter(|g| g.action.covers(&request.action)) {
        asked = true;
        let it = holds(grant, request);
        best = best.max(it.truth);
        if it.truth == Truth::Yes {
            let wider = limits.is_none_or(|old| grant.limits.cmp_width(old).is_lt());
            limits = if wider { Some(&grant.limits) } else { limits };
        } else {
            note(&mut said, &grant.place, &it);
        }
        parts.push(it);
    }
    if !asked {
        let it = Explanation::new(What::NoPermission(&request.action), Truth::No, vec![]);
        note(&mut said, "policy", &it);
        parts.push(it);
    }
    match limits {
        Some(limits) => (Truth::Yes, limits.clone()),
        None => {
            reasons.append(&mut said);
            (best, Limits::default())
        }
    }
}

fn holds<'a>(grant: &'a Clause, request: &'a Request<'a>) -> Explanation<'a> {
    let mut parts = parties(grant, request);
    parts.extend(constraints(grant, request));
    parts.extend(grant.duties.iter().map(|it| duty(it, request)));
    if let (Some(allowed), Some(asked)) = (&grant.limits.columns, request.columns) {
        let outside: Vec<&str> =
            asked.iter().filter(|c| !allowed.contains(*c)).map(String::as_str).collect();
        let truth = Truth::of(outside.is_empty());
        parts.push(Explanation::new(What::Columns(outside), truth, vec![]));
    }
    let truth = Truth::all(parts.iter().map(|it| it.truth));
    Explanation::new(What::Permission(grant), truth, parts)
}

/// The rule's own target and party, where it names any.
fn parties<'a>(it: &'a Clause, request: &'a Request<'a>) -> Vec<Explanation<'a>> {
    let mut out = vec![];
    let within = |said: &str, is: Option<&str>, groups: Option<&[&str]>| {
        if is == Some(said) || groups.is_some_and(|all| all.contains(&said)) {
            Truth::Yes
        } else if is.is_none() || groups.is_none() {
            Truth::Unknown
        } else {
            Truth::No
        }
    };
    let more = &request.more;
    if let Some(id) = &it.target {
        let truth = within(id.as_str(), more.target, more.target_in);
        let fact = more.target.map_or(Fact::Unknown, Fact::Text);
        out.push(Explanation { what: What::Target(id), fact, truth, parts: vec![] });
    }
    if let Some(id) = &it.assignee {
        let truth = within(id.as_str(), Some(request.recipient), more.recipient_in);
        let fact = Fact::Text(request.recipient);
        out.push(Explanation { what: What::Party(id), fact, truth, parts: vec![] });
    }
    out
}

/// One step for each constraint of the rule, in its order.
fn constraints<'a>(
    it: &'a Clause,
    request: &'a Request<'a>,
) -> impl Iterator<Item = Explanation<'a>> {
    let all = if let Test::All(all) = &it.when { all } else { std::slice::from_ref(&it.when) };
    all.iter().map(|it| test(it, request, None))
}

/// Whether a duty stands in the way of the use: one that comes first and is not done, and any that was violated and
/// is not made good by its consequences (ODRL §2.6.4). What is owed from the use on does not.
fn duty<'a>(it: &'a Duty, request: &'a Request<'a>) -> Explanation<'a> {
    let first = it.phase == Phase::Before;
    let deed = request.became(it);
    let mut parts = vec![];
    let truth = match deed {
        Some(Deed::Done) => Truth::Yes,
        Some(Deed::Violated) => owed_besides(it, request, &mut parts),
        Some(Deed::Open) => match overdue(&it.when, request) {
            Truth::Yes => owed_besides(it, request, &mut parts),
            Truth::No => Truth::of(!first),
            // Certain only where both would answer the same.
            Truth::Unknown => {
                let late = owed_besides(it, request, &mut parts);
                if late == Truth::of(!first) { late } else { Truth::Unknown }
            }
        },
        // The gate asked; the place of use has nobody to ask.
        None if request.more.gated && it.action == Action::ObtainConsent => Truth::Yes,
        None if first => Truth::Unknown,
        None => Truth::Yes,
    };
    Explanation::new(What::Duty(it), truth, parts)
}

fn owed_besides<'a>(
    it: &'a Duty,
    request: &'a Request<'a>,
    parts: &mut Vec<Explanation<'a>>,
) -> Truth {
    if it.consequences.is_empty() {
        return Truth::No;
    }
    parts.extend(it.consequences.iter().map(|it| remedy(it, request)));
    Truth::all(parts.iter().map(|it| it.truth))
}

/// What has to be done by now, whatever its kind.
fn remedy<'a>(it: &'a Duty, request: &'a Request<'a>) -> Explanation<'a> {
    let mut parts = vec![];
    let truth = match request.deed(&it.place) {
        Some(Deed::Done) => Truth::Yes,
        Some(Deed::Open) => Truth::No,
        Some(Deed::Violated) => owed_besides(it, request, &mut parts),
        None => Truth::Unknown,
    };
    Explanation::new(What::Duty(it), truth, parts)
}

/// Whether a deadline among the conditions has passed.
#[expect(clippy::wildcard_enum_match_arm, reason = "other tests are no deadlines")]
fn overdue(it: &Test, request: &Request<'_>) -> Truth {
    match it {
        Test::Clock(Cmp::Lt | Cmp::Lteq, _)
        | Test::Elapsed(Cmp::Lt | Cmp::Lteq, _)
        | Test::Delay(Cmp::Lt | Cmp::Lteq, _) => test(it, request, None).truth.opposite(),
        Test::All(all) => Truth::any(all.iter().map(|it| overdue(it, request))),
        _ => Truth::No,
    }
}

fn note(reasons: &mut Vec<Reason>, rule: &str, it: &Explanation<'_>) {
    if it.truth == Truth::Yes {
        return;
    }
    let mut failing = vec![];
    it.failing(&mut failing);
    let reason = |f: &Explanation<'_>| Reason {
        rule: rule.to_owned(),
        zh: f.words(Lang::Zh),
        en: f.words(Lang::En),
    };
    reasons.extend(failing.into_iter().map(reason));
}

#[cfg(test)]
mod tests;
