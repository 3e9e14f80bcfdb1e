//! What if: what a policy answers to one request, and which rule, constraint and fact decided it.
//!
//! Threat: an explanation that differs from the decision. So nothing is decided here: the same evaluation as at the
//! gate is asked, and its steps are put into lines. Never counts, stores or sends anything.

use std::fmt;

use crate::lang::Lang;
use crate::policy::check::reason;
use crate::policy::compile::{Refusal, compile, understand};
use crate::policy::eval::{Verdict, evaluate};
use crate::policy::explain::{Explanation, What};
use crate::policy::facts::Request;
use crate::policy::matching::MatchLimit;
use crate::policy::model::{Conflict, Policy, Rule};
use crate::policy::place;
use crate::policy::privacy::PrivacyLimit;
use crate::policy::terms::{Limit, Limits, Terms, Test};
use crate::policy::truth::Truth;
use crate::policy::words::limit_words;

/// The answer to one request, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Unknown denies too: a fact is missing.
    pub verdict: Truth,
    /// The verdict in one line, with what decided it.
    pub headline: String,
    /// The steps, outermost first.
    pub lines: Vec<Line>,
    /// What a permitted use must keep to.
    pub limits: Vec<String>,
    /// Terms for which a node would not sign this policy at all.
    pub refused: Vec<Refusal>,
}

/// One step of the explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub depth: usize,
    pub truth: Truth,
    /// For example `permission[0].constraint[1]`.
    pub place: Option<String>,
    pub text: String,
    /// This step is why the verdict is what it is.
    pub decided: bool,
}

/// Tries a request against a policy. Terms that a node does not sign are evaluated all the same, as far as they are
/// understood and the request has the facts; an error names those that are not understood.
pub fn try_out(policy: &Policy, request: &Request<'_>, lang: Lang) -> Result<Trial, Vec<Refusal>> {
    let terms = understand(policy)?;
    let refused = compile(policy).err().unwrap_or_default();
    let decision = evaluate(&terms, request);
    let mut teller = Teller { policy, terms: &terms, lang, lines: vec![] };
    teller.step(&decision.why, 0, None, true);
    let mut lines = teller.lines;
    let mut verdict = decision.why.truth;
    for why in terms.unkeepable(request.kind) {
        // The gate gives no lease for such a use, whatever the rules say.
        verdict = Truth::No;
        let text = match lang {
            Lang::Zh => format!("此种使用方式能够保证条款（事实：{}）", reason::zh(why)),
            Lang::En => format!("the terms can be kept in this kind of use (fact: {why})"),
        };
        lines.push(Line { depth: 1, truth: Truth::No, place: None, text, decided: true });
    }
    if let Some(first) = lines.first_mut() {
        first.truth = verdict;
    }
    if verdict != decision.why.truth {
        lines.iter_mut().filter(|it| it.truth != Truth::No).for_each(|it| it.decided = false);
    }
    let headline = headline(verdict, &lines, lang);
    let limits = match decision.verdict {
        Verdict::Permit(it) if verdict == Truth::Yes => said(&it, lang),
        Verdict::Permit(_) | Verdict::Deny(_) | Verdict::Unknown(_) => vec![],
    };
    Ok(Trial { verdict, headline, lines, limits, refused })
}

struct Teller<'a> {
    policy: &'a Policy,
    terms: &'a Terms,
    lang: Lang,
    lines: Vec<Line>,
}

impl Teller<'_> {
    fn step(&mut self, it: &Explanation<'_>, depth: usize, place: Option<String>, decided: bool) {
        let at = self.lines.len();
        let text = it.words(self.lang);
        let place = place.or_else(|| self.own_place(&it.what));
        self.lines.push(Line { depth, truth: it.truth, place: place.clone(), text, decided });
        let mut inner = false;
        let mut tests = self.tests(&it.what).into_iter();
        for (i, part) in it.parts.iter().enumerate() {
            let place = match (&it.what, &part.what) {
                (What::Test(group), _) => place.as_ref().map(|it| place::member(group, it, i)),
                (_, What::Test(_)) => tests.next(),
                _ => None,
            };
            let decides = decided && self.decides(it, part);
            inner |= decides;
            self.step(part, depth + 1, place, decides);
        }
        if let Some(line) = self.lines.get_mut(at) {
            line.decided = decided && !inner;
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others have no place of their own")]
    fn own_place(&self, it: &What<'_>) -> Option<String> {
        match it {
            What::Permission(it) | What::Prohibition(it) | What::Free(it) | What::Healed(it) => {
                Some(it.place.clone())
            }
            What::Duty(it) => Some(it.place.clone()),
            _ => None,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only rules have constraints")]
    fn tests(&self, it: &What<'_>) -> Vec<String> {
        let find = |rules: &[Rule], name: &str, said: &str| {
            let mut all = rules.iter().enumerate().map(|(i, it)| (format!("{name}[{i}]"), it));
            all.find(|(it, _)| it == said).map_or_else(Vec::new, |(_, it)| place::tests(it, said))
        };
        match it {
            What::Permission(it) => find(&self.policy.permissions, "permission", &it.place),
            What::Prohibition(it) => find(&self.policy.prohibitions, "prohibition", &it.place),
            _ => vec![],
        }
    }

    /// Whether a part is why its whole has its truth.
    fn decides(&self, whole: &Explanation<'_>, part: &Explanation<'_>) -> bool {
        let granted = |it: &Explanation<'_>| matches!(it.what, What::Permission(_));
        match (&whole.what, &part.what) {
            // What is granted is granted by its rule; what holds inside it need not be told again.
            (What::Permission(_), _) if whole.truth == Truth::Yes => false,
            (What::Asked, What::Permission(_)) => {
                let best = whole.parts.iter().filter(|it| granted(it)).map(|it| it.truth).max();
                best == Some(whole.truth) && part.truth == whole.truth
            }
            (What::Asked, _) if whole.truth == Truth::Yes => false,
            (What::Asked, What::Free(_)) if self.terms.conflict == Some(Conflict::Permission) => {
                let held = whole.parts.iter().any(|it| granted(it) && it.truth == Truth::Yes);
                !held && part.truth == whole.truth
            }
            // A prohibition applies by what holds in it.
            (What::Free(_), _) => true,
            (What::Test(Test::One(_)), _) if whole.truth == Truth::No => {
                let several = whole.parts.iter().filter(|it| it.truth == Truth::Yes).count() > 1;
                (part.truth == Truth::Yes) == several
            }
            _ => part.truth == whole.truth,
        }
    }
}

fn headline(verdict: Truth, lines: &[Line], lang: Lang) -> String {
    let mut why: Vec<String> = vec![];
    for it in lines.iter().filter(|it| it.decided) {
        let applies = it.truth == Truth::Yes
            && it.place.as_ref().is_some_and(|place| place.starts_with("prohibition"));
        let before = if applies { lang.pick("禁止适用 ", "prohibited, since ") } else { "" };
        let text = format!("{before}{}", it.said());
        if !why.contains(&text) {
            why.push(text);
        }
    }
    let verdict = match verdict {
        Truth::Yes => lang.pick("允许", "permitted"),
        Truth::No => lang.pick("拒绝", "denied"),
        Truth::Unknown => lang.pick("缺少事实，按拒绝处理", "denied, since a fact is missing"),
    };
    format!("{verdict}{}{}", lang.pick("：", ": "), why.join(lang.pick("；", "; ")))
}

/// Limits in words, one clause each.
fn said(it: &Limits, lang: Lang) -> Vec<String> {
    let m = &it.matching;
    let all = [
        it.columns.clone().map(Limit::Columns),
        it.aggregates_only.then_some(Limit::AggregatesOnly),
        it.min_group.map(Limit::MinGroup),
        it.output_rows.map(Limit::OutputRows),
        it.output_bytes.map(Limit::OutputBytes),
        it.delivery_rate.map(Limit::DeliveryRate),
        it.delivery_connections.map(Limit::DeliveryConnections),
        it.operator.clone().map(Limit::KeyOperator),
        it.filter.clone().map(Limit::Rows),
        it.privacy.budget.map(|it| Limit::Privacy(PrivacyLimit::Budget(it))),
        it.privacy.unit.clone().map(|it| Limit::Privacy(PrivacyLimit::Unit(it))),
        m.key.clone().map(|it| Limit::Matching(MatchLimit::Key(it))),
        m.items.map(|it| Limit::Matching(MatchLimit::Items(it))),
        m.budget.map(|it| Limit::Matching(MatchLimit::Budget(it))),
        m.group_budget.map(|it| Limit::Matching(MatchLimit::GroupBudget(it))),
        m.least.map(|it| Limit::Matching(MatchLimit::Least(it))),
        m.share.map(|it| Limit::Matching(MatchLimit::Share(it))),
        m.to.map(|it| Limit::Matching(MatchLimit::To(it))),
        m.reveal.clone().map(|it| Limit::Matching(MatchLimit::Reveal(it))),
    ];
    all.into_iter().flatten().map(|it| limit_words(&it, lang)).collect()
}

impl Line {
    /// Mark, place and text: what is asked, and whether it holds.
    fn said(&self) -> String {
        let mark = match self.truth {
            Truth::Yes => '✓',
            Truth::No => '✗',
            Truth::Unknown => '?',
        };
        match self.place.as_deref().filter(|place| !self.text.contains(place)) {
            Some(place) => format!("{mark} [{place}] {}", self.text),
            None => format!("{mark} {}", self.text),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", "  ".repeat(self.depth), self.said())?;
        if self.decided { f.write_str(" ←") } else { Ok(()) }
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline)?;
        self.limits.iter().try_for_each(|it| writeln!(f, "  · {it}"))?;
        self.lines.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}

#[cfg(test)]
mod tests;
