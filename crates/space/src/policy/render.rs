//! Policies in sentences, Chinese and English, each with who enforces it (decision D4).
//!
//! Never drops a term: what is not understood is said verbatim and marked as such. A term is never shown with a
//! higher level than the kind of use has.

use crate::lang::Lang;
use crate::policy::compile::{self, Part, Side};
use crate::policy::duty;
use crate::policy::model::{Action, Atomic, Constraint, Policy, Rule};
use crate::policy::terms::{Cmp, Delete, Limit, Member, Test};
use crate::policy::usage::{Level, Use};
use crate::time::Time;

/// One thing a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    pub text: String,
    pub level: Level,
    /// `false`: the term is not understood here and the policy cannot be signed.
    pub understood: bool,
}

/// All sentences of a policy as they hold for one kind of use.
pub fn render(policy: &Policy, lang: Lang, kind: Use) -> Vec<Sentence> {
    let mut out = vec![];
    for (rules, permission) in [(&policy.permissions, true), (&policy.prohibitions, false)] {
        for rule in rules {
            rule_sentences(rule, permission, lang, kind, &mut out);
        }
    }
    for rule in &policy.obligations {
        out.push(duty_sentence(rule, lang, kind));
    }
    out.extend(policy.unsupported.iter().map(|name| unknown(name, lang)));
    out
}

fn unknown(term: &str, lang: Lang) -> Sentence {
    let text = format!("{}{term}", lang.pick("不支持的条款：", "Term not understood: "));
    Sentence { text, level: Level::E0, understood: false }
}

fn said(text: String, level: Level) -> Sentence {
    Sentence { text, level, understood: true }
}

fn rule_sentences(rule: &Rule, permission: bool, lang: Lang, kind: Use, out: &mut Vec<Sentence>) {
    let side = if permission { Side::Grant } else { Side::Ban };
    if let Action::Unknown(name) = &rule.action {
        out.push(unknown(name, lang));
    } else {
        let action = action_words(&rule.action, lang);
        let text = match (permission, rule.constraints.is_empty(), lang) {
            (true, _, Lang::Zh) => format!("允许{action}。"),
            (true, _, Lang::En) => format!("Permitted: {action}."),
            (false, true, Lang::Zh) => format!("禁止{action}。"),
            (false, true, Lang::En) => format!("Prohibited: {action}."),
            (false, false, Lang::Zh) => format!("以下条件同时成立时禁止{action}："),
            (false, false, Lang::En) => {
                format!("Prohibited when all of the following hold: {action}.")
            }
        };
        out.push(said(text, kind.level()));
    }
    for constraint in &rule.constraints {
        // Side by side at the top, each its own sentence.
        match constraint {
            Constraint::And(parts) => {
                out.extend(parts.iter().map(|p| sentence(p, side, lang, kind)));
            }
            Constraint::Atomic(_)
            | Constraint::Or(_)
            | Constraint::Xone(_)
            | Constraint::AndSequence(_) => {
                out.push(sentence(constraint, side, lang, kind));
            }
        }
    }
    out.extend(rule.unsupported.iter().map(|name| unknown(name, lang)));
    out.extend(rule.duties.iter().map(|d| {
        let it = duty_sentence(d, lang, kind);
        Sentence {
            text: format!("{}{}", lang.pick("使用之前：", "Before use: "), it.text), ..it
        }
    }));
}

fn sentence(it: &Constraint, side: Side, lang: Lang, kind: Use) -> Sentence {
    let (text, level, understood) = words(it, side, lang, kind);
    if !understood {
        return Sentence { understood, level, ..unknown(&text, lang) };
    }
    let text = match lang {
        Lang::Zh => format!("{text}。"),
        Lang::En => {
            let mut letters = text.chars();
            let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
            format!("{first}{}.", letters.as_str())
        }
    };
    said(text, level)
}

fn words(it: &Constraint, side: Side, lang: Lang, kind: Use) -> (String, Level, bool) {
    let (parts, joint) = match it {
        Constraint::Atomic(atomic) => return atomic_words(atomic, side, lang, kind),
        Constraint::And(parts) => (parts, lang.pick("并且", " and ")),
        Constraint::Or(parts) => (parts, lang.pick("或者", " or ")),
        Constraint::Xone(parts) => {
            (parts, lang.pick("或者（仅其一）", " or else (only one of them) "))
        }
        Constraint::AndSequence(parts) => (parts, lang.pick("，然后", " and then ")),
    };
    let all: Vec<_> = parts.iter().map(|p| words(p, side, lang, kind)).collect();
    let level = all.iter().map(|(_, level, _)| *level).min().unwrap_or(Level::E0);
    let understood = !all.is_empty() && all.iter().all(|(.., ok)| *ok);
    let texts: Vec<String> = all.into_iter().map(|(text, ..)| text).collect();
    (format!("（{}）", texts.join(joint)), level, understood)
}

fn atomic_words(it: &Atomic, side: Side, lang: Lang, kind: Use) -> (String, Level, bool) {
    match compile::part(it, side) {
        Ok(Part::Test(test)) => (test_words(&test, lang), test_level(&test, kind), true),
        Ok(Part::Limit(limit)) if side == Side::Grant => {
            (limit_words(&limit, lang), limit_level(&limit, kind), true)
        }
        Ok(Part::Limit(_)) | Err(_) => {
            let right = it.right.texts().map_or_else(|| "…".to_owned(), |all| all.join(", "));
            (format!("{} {} {right}", it.left.name(), it.op.name()), Level::E0, false)
        }
    }
}

/// A purpose is what somebody declares: bound into lease and log, enforced by nobody.
fn test_level(it: &Test, kind: Use) -> Level {
    match it {
        Test::Purpose(..) => Level::E0,
        Test::All(_)
        | Test::Any(_)
        | Test::One(_)
        | Test::Clock(..)
        | Test::Count(..)
        | Test::Recipient(..)
        | Test::Elapsed(..)
        | Test::Delay(..)
        | Test::Kind(_)
        | Test::Enforcement(_) => kind.level(),
    }
}

/// Columns of plain data are cut by the provider before delivery; results are seen by queries and sealed tables only.
fn limit_level(it: &Limit, kind: Use) -> Level {
    match (it, kind) {
        (Limit::Columns(_), Use::Plain) => Level::E2,
        // The bytes leave through the provider's own hands, whatever they are.
        (Limit::DeliveryRate(_) | Limit::DeliveryConnections(_), _) => Level::E2,
        (_, Use::SealedFile | Use::Plain) => Level::E0,
        (_, Use::Query | Use::SealedTable) => kind.level(),
    }
}

fn duty_sentence(rule: &Rule, lang: Lang, kind: Use) -> Sentence {
    let compiled = match &rule.action {
        Action::Delete => duty::delete(rule).map(|it| {
            let text = match it {
                Delete::AfterUse => lang
                    .pick("使用后立即删除全部副本。", "All copies are deleted after use.")
                    .to_owned(),
                Delete::By(at) => match lang {
                    Lang::Zh => format!("最迟于 {} 删除全部副本。", clock(at)),
                    Lang::En => format!("All copies are deleted by {}.", clock(at)),
                },
                Delete::Within(span) => match lang {
                    Lang::Zh => format!("首次使用后 {} 内删除全部副本。", span.words(true)),
                    Lang::En => format!(
                        "All copies are deleted within {} of the first use.",
                        span.words(false)
                    ),
                },
            };
            said(text, kind.level())
        }),
        Action::Compensate => duty::price(rule).map(|price| {
            let text = match lang {
                Lang::Zh => format!("价格：{price}。"),
                Lang::En => format!("Price: {price}."),
            };
            // A bill is a claim; no software makes anybody pay.
            said(text, Level::E0)
        }),
        Action::Use
        | Action::Read
        | Action::Display
        | Action::Aggregate
        | Action::Distribute
        | Action::Unknown(_) => {
            return unknown(rule.action.name(), lang);
        }
    };
    compiled.unwrap_or_else(|why| unknown(&why.to_string(), lang))
}

/// An action as a noun phrase (English) or verb (Chinese).
pub(super) fn action_words(it: &Action, lang: Lang) -> &str {
    match it {
        Action::Use => lang.pick("使用", "use"),
        Action::Read => lang.pick("读取", "reading"),
        Action::Display => lang.pick("打开查看", "opening for viewing"),
        Action::Aggregate => lang.pick("汇总查询", "queries with aggregate results"),
        Action::Distribute => lang.pick("导出或转交第三方", "export to third parties"),
        Action::Delete => lang.pick("删除", "deletion"),
        Action::Compensate => lang.pick("付费", "payment"),
        Action::Unknown(name) => name,
    }
}

fn cmp_words(it: Cmp, lang: Lang) -> &'static str {
    match it {
        Cmp::Lt => lang.pick("早于", "before"),
        Cmp::Lteq => lang.pick("不晚于", "no later than"),
        Cmp::Gt => lang.pick("晚于", "after"),
        Cmp::Gteq => lang.pick("不早于", "no earlier than"),
    }
}

/// A test as a clause without full stop.
pub(super) fn test_words(it: &Test, lang: Lang) -> String {
    let zh = lang == Lang::Zh;
    let group = |all: &[Test], joint: &str| {
        let texts: Vec<String> = all.iter().map(|t| test_words(t, lang)).collect();
        format!("（{}）", texts.join(joint))
    };
    match it {
        Test::All(all) => group(all, lang.pick("并且", " and ")),
        Test::Any(all) => group(all, lang.pick("或者", " or ")),
        Test::One(all) => group(all, lang.pick("或者（仅其一）", " or else (only one of them) ")),
        Test::Clock(cmp, at) => {
            format!("{} {} {}", lang.pick("使用时间", "used"), cmp_words(*cmp, lang), clock(*at))
        }
        Test::Count(cmp, n) => match (cmp, lang) {
            (Cmp::Lteq, Lang::Zh) => format!("最多使用 {n} 次"),
            (Cmp::Lteq, Lang::En) => {
                format!("at most {n} {}", if *n == 1 { "use" } else { "uses" })
            }
            (Cmp::Lt, Lang::Zh) => format!("使用少于 {n} 次"),
            (Cmp::Lt, Lang::En) => format!("fewer than {n} uses"),
            (Cmp::Gt, Lang::Zh) => format!("使用超过 {n} 次"),
            (Cmp::Gt, Lang::En) => format!("more than {n} uses"),
            (Cmp::Gteq, Lang::Zh) => format!("使用达到 {n} 次"),
            (Cmp::Gteq, Lang::En) => format!("{n} uses or more"),
        },
        Test::Purpose(how, all) => listed("用途", "purpose", *how, all, lang),
        Test::Recipient(how, all) => listed("使用方", "user", *how, all, lang),
        Test::Elapsed(cmp, span) => {
            let (from, cmp, span) = (
                lang.pick("自首次使用起", "since the first use"),
                cmp_span(*cmp, lang),
                span.words(zh),
            );
            if zh { format!("{from}{cmp} {span}") } else { format!("{cmp} {span} {from}") }
        }
        Test::Delay(cmp, span) => {
            let (from, cmp, span) = (
                lang.pick("自签约起", "since the agreement"),
                cmp_span(*cmp, lang),
                span.words(zh),
            );
            if zh { format!("{from}{cmp} {span}") } else { format!("{cmp} {span} {from}") }
        }
        Test::Kind(all) => {
            let names: Vec<&str> = all.iter().map(|k| k.words(lang)).collect();
            format!(
                "{}{}",
                lang.pick("使用方式仅限：", "only as: "),
                names.join(lang.pick("、", ", "))
            )
        }
        Test::Enforcement(level) => {
            format!(
                "{} {level}（{}）",
                lang.pick("控制强度不低于", "enforcement at least"),
                level.words(lang)
            )
        }
    }
}

fn cmp_span(it: Cmp, lang: Lang) -> &'static str {
    match it {
        Cmp::Lt => lang.pick("少于", "less than"),
        Cmp::Lteq => lang.pick("不超过", "at most"),
        Cmp::Gt => lang.pick("超过", "more than"),
        Cmp::Gteq => lang.pick("至少", "at least"),
    }
}

fn listed(zh: &str, en: &str, how: Member, all: &[String], lang: Lang) -> String {
    let list = all.join(lang.pick("、", ", "));
    match (how, lang) {
        (Member::In, Lang::Zh) => format!("{zh}仅限：{list}"),
        (Member::In, Lang::En) => format!("{en} only: {list}"),
        (Member::NotIn, Lang::Zh) => format!("{zh}不得为：{list}"),
        (Member::NotIn, Lang::En) => format!("{en} not: {list}"),
    }
}

fn limit_words(it: &Limit, lang: Lang) -> String {
    let n = |zh: &str, n: u64, zh_after: &str, en: &str, en_after: &str| match lang {
        Lang::Zh => format!("{zh} {n} {zh_after}"),
        Lang::En => format!("{en} {n} {en_after}"),
    };
    match it {
        Limit::Columns(all) => {
            let names: Vec<&str> = all.iter().map(String::as_str).collect();
            format!(
                "{}{}",
                lang.pick("仅限字段：", "only the columns: "),
                names.join(lang.pick("、", ", "))
            )
        }
        Limit::AggregatesOnly => lang.pick("只能得到汇总结果", "only aggregate results").to_owned(),
        Limit::MinGroup(rows) => {
            n("每个结果分组至少包含", *rows, "行", "at least", "rows behind each group of a result")
        }
        Limit::OutputRows(rows) => n("每次结果至多", *rows, "行", "at most", "rows in a result"),
        Limit::OutputBytes(bytes) => {
            n("每次结果至多", *bytes, "字节", "at most", "bytes in a result")
        }
        Limit::DeliveryRate(bytes) => n(
            "交付合计每秒至多",
            *bytes,
            "字节",
            "at most",
            "bytes per second for all deliveries together",
        ),
        Limit::DeliveryConnections(all) => {
            n("交付同时至多", *all, "个连接", "at most", "connections at a time for deliveries")
        }
    }
}

/// A time without needless milliseconds.
fn clock(at: Time) -> String {
    at.to_string().replace(".000Z", "Z")
}
