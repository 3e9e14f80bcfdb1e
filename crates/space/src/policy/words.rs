//! Tests and limits in words, Chinese and English: clauses without full stop, for sentences and explanations.
//!
//! Never leaves out a value: what is said here is all that the term says.

use crate::lang::Lang;
use crate::policy::mark::Mark;
use crate::policy::matching::{Equals, MatchLimit, Reveal, To};
use crate::policy::privacy::{PrivacyLimit, Unit};
use crate::policy::span::Span;
use crate::policy::terms::{Cmp, Limit, Member, Test, Topic};
use crate::time::Time;

fn cmp_words(it: Cmp, lang: Lang) -> &'static str {
    match it {
        Cmp::Lt => lang.pick("早于", "before"),
        Cmp::Lteq => lang.pick("不晚于", "no later than"),
        Cmp::Gt => lang.pick("晚于", "after"),
        Cmp::Gteq => lang.pick("不早于", "no earlier than"),
        Cmp::Eq => lang.pick("恰为", "exactly at"),
        Cmp::Neq => lang.pick("不在", "at another time than"),
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
        Test::Sequence(all) => group(all, lang.pick("，然后", " and then ")),
        Test::Clock(cmp, at) => {
            format!("{} {} {}", lang.pick("使用时间", "used"), cmp_words(*cmp, lang), clock(*at))
        }
        Test::Count(cmp, n) => count_words(*cmp, *n, lang),
        Test::Purpose(how, all) => listed("用途", "purpose", *how, all, lang),
        Test::Recipient(how, all) => listed("使用方", "user", *how, all, lang),
        Test::Elapsed(cmp, span) => {
            since(lang.pick("自首次使用起", "since the first use"), *cmp, *span, lang)
        }
        Test::Delay(cmp, span) => {
            since(lang.pick("自签约起", "since the agreement"), *cmp, *span, lang)
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
        Test::Window(it) if zh => format!("仅在以下时段：{it}"),
        Test::Window(it) => format!("only in the hours {it}"),
        Test::Network(how, all) => {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            listed(
                "网络地址（使用控制所见）",
                "network address as the gate sees it",
                *how,
                &all,
                lang,
            )
        }
        Test::Version(cmp, it) => {
            format!("{} {} {it}", lang.pick("数据版本", "version of the data"), sign(*cmp))
        }
        Test::Event(true, it) if zh => format!("仅在事件“{it}”发生之后"),
        Test::Event(true, it) => format!("only after the event {it}"),
        Test::Event(false, it) if zh => format!("仅在事件“{it}”发生之前"),
        Test::Event(false, it) => format!("only before the event {it}"),
        Test::Among(topic, how, all) => {
            listed(topic_words(*topic, Lang::Zh), topic_words(*topic, Lang::En), *how, all, lang)
        }
        Test::Metered(..)
        | Test::Interval(_)
        | Test::Frequency(..)
        | Test::Size(..)
        | Test::Records(..)
        | Test::Group(..)
        | Test::Entity(_) => counted_words(it, lang),
    }
}

fn since(from: &str, cmp: Cmp, span: Span, lang: Lang) -> String {
    let (cmp, span) = (cmp_span(cmp, lang), span.words(lang == Lang::Zh));
    if lang == Lang::Zh { format!("{from}{cmp} {span}") } else { format!("{cmp} {span} {from}") }
}

fn count_words(cmp: Cmp, n: u64, lang: Lang) -> String {
    match (cmp, lang) {
        (Cmp::Lteq, Lang::Zh) => format!("最多使用 {n} 次"),
        (Cmp::Lteq, Lang::En) => {
            format!("at most {n} {}", if n == 1 { "use" } else { "uses" })
        }
        (Cmp::Lt, Lang::Zh) => format!("使用少于 {n} 次"),
        (Cmp::Lt, Lang::En) => format!("fewer than {n} uses"),
        (Cmp::Gt, Lang::Zh) => format!("使用超过 {n} 次"),
        (Cmp::Gt, Lang::En) => format!("more than {n} uses"),
        (Cmp::Gteq, Lang::Zh) => format!("使用达到 {n} 次"),
        (Cmp::Gteq, Lang::En) => format!("{n} uses or more"),
        (Cmp::Eq, Lang::Zh) => format!("恰为第 {n} 次使用"),
        (Cmp::Eq, Lang::En) => format!("use number {n}"),
        (Cmp::Neq, Lang::Zh) => format!("不是第 {n} 次使用"),
        (Cmp::Neq, Lang::En) => format!("any use but number {n}"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "called for those that count")]
fn counted_words(it: &Test, lang: Lang) -> String {
    let zh = lang == Lang::Zh;
    match it {
        Test::Metered(cmp, span) if zh => {
            format!("累计使用时长{} {}", cmp_span(*cmp, lang), span.words(zh))
        }
        Test::Metered(cmp, span) => {
            format!("{} {} of use in all", cmp_span(*cmp, lang), span.words(zh))
        }
        Test::Interval(span) if zh => format!("每 {} 至多使用一次", span.words(zh)),
        Test::Interval(span) => format!("at most one use in each {}", span.words(zh)),
        Test::Frequency(n, span) if zh => format!("任意 {} 内至多使用 {n} 次", span.words(zh)),
        Test::Frequency(n, span) => format!("at most {n} uses in any {}", span.words(zh)),
        Test::Size(cmp, n) if zh => format!("累计数据量{} {n} 字节", cmp_span(*cmp, lang)),
        Test::Size(cmp, n) => format!("{} {n} bytes in all", cmp_span(*cmp, lang)),
        Test::Records(cmp, n) if zh => format!("累计记录数{} {n} 条", cmp_span(*cmp, lang)),
        Test::Records(cmp, n) => format!("{} {n} records in all", cmp_span(*cmp, lang)),
        Test::Group(cmp, n) if zh => {
            format!("使用方所属法人在全部合约下累计使用该产品{} {n} 次", cmp_span(*cmp, lang))
        }
        Test::Group(cmp, n) => {
            let cmp = cmp_span(*cmp, lang);
            format!(
                "{cmp} {n} uses of the product by the user's legal entity, all contracts together"
            )
        }
        Test::Entity(it) => {
            let (said, all) = (
                counted_words(it, lang),
                "for all of the user's legal entity, under all contracts about the product that count it",
            );
            if zh {
                format!("使用方所属法人在该产品全部计量此项的合约下{said}")
            } else {
                format!("{said}, {all}")
            }
        }
        // The others are said by `test_words`.
        _ => String::new(),
    }
}

fn sign(it: Cmp) -> &'static str {
    match it {
        Cmp::Lt => "<",
        Cmp::Lteq => "≤",
        Cmp::Gt => ">",
        Cmp::Gteq => "≥",
        Cmp::Eq => "=",
        Cmp::Neq => "≠",
    }
}

fn topic_words(it: Topic, lang: Lang) -> &'static str {
    let (zh, en) = match it {
        Topic::Region => (
            "使用方所在地域（以其会员凭证或名录为准）",
            "region of the user as its membership says",
        ),
        Topic::Device => ("使用设备", "device"),
        Topic::VirtualLocation => ("网络位置", "location in the network"),
        Topic::Role => {
            ("使用方角色（以其会员凭证或名录为准）", "role of the user as its membership says")
        }
        Topic::Application => ("应用程序", "application"),
        Topic::Algorithm => ("算法", "algorithm"),
        Topic::Model => ("机器学习模型", "machine learning model"),
        Topic::Environment => ("执行环境", "execution environment"),
        Topic::Encryption => ("加密方式", "encryption"),
        Topic::Delivery => ("交付方式", "delivery method"),
        Topic::Channel => ("交付渠道", "delivery channel"),
        Topic::Format => ("文件格式", "file format"),
        Topic::Industry => ("行业", "industry"),
        Topic::Language => ("语言", "language"),
        Topic::Media => ("媒介", "medium"),
        Topic::Product => ("产品", "product"),
        Topic::Version => ("数据版本", "version of the data"),
    };
    lang.pick(zh, en)
}

fn cmp_span(it: Cmp, lang: Lang) -> &'static str {
    match it {
        Cmp::Lt => lang.pick("少于", "less than"),
        Cmp::Lteq => lang.pick("不超过", "at most"),
        Cmp::Gt => lang.pick("超过", "more than"),
        Cmp::Gteq => lang.pick("至少", "at least"),
        Cmp::Eq => lang.pick("恰为", "exactly"),
        Cmp::Neq => lang.pick("不是", "anything but"),
    }
}

fn listed(zh: &str, en: &str, how: Member, all: &[String], lang: Lang) -> String {
    let list = all.join(lang.pick("、", ", "));
    match (how, lang) {
        (Member::In, Lang::Zh) => format!("{zh}仅限：{list}"),
        (Member::In, Lang::En) => format!("{en} only: {list}"),
        (Member::NotIn, Lang::Zh) => format!("{zh}不得为：{list}"),
        (Member::NotIn, Lang::En) => format!("{en} not: {list}"),
        (Member::All, Lang::Zh) => format!("{zh}须全部包括：{list}"),
        (Member::All, Lang::En) => format!("{en} with all of: {list}"),
    }
}

pub(super) fn limit_words(it: &Limit, lang: Lang) -> String {
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
        Limit::KeyOperator(operator) => match lang {
            Lang::Zh => format!("密钥分为两份，须由提供方与 {operator} 双方放行"),
            Lang::En => {
                format!("the key is split: the provider and {operator} must both release it")
            }
        },
        Limit::Matching(limit) => match_words(limit, lang),
        Limit::Privacy(limit) => privacy_words(limit, lang),
        Limit::Rows(filter) => {
            format!("{}{filter}", lang.pick("仅限满足条件的行：", "only the rows with "))
        }
    }
}

/// What a watermark changes, as a sentence.
pub(super) fn mark_words(it: &Mark, lang: Lang) -> String {
    let one = |column: &str, step: &dyn std::fmt::Display| format!("{column} ± {step}");
    let columns: Vec<String> = it.columns.iter().map(|it| one(&it.column, &it.step)).collect();
    let (columns, key) = (columns.join(lang.pick("、", ", ")), it.key.join(lang.pick("、", ", ")));
    match lang {
        Lang::Zh => format!(
            "提供方在放行前加入水印：约八分之一的数值有改动，至多改动一步（{columns}）；以 {key} 区分各行。"
        ),
        Lang::En => format!(
            "The provider sets a watermark before release: about one value in eight changes, by one step at most ({columns}); rows are told apart by {key}."
        ),
    }
}

fn privacy_words(it: &PrivacyLimit, lang: Lang) -> String {
    match (it, lang) {
        (PrivacyLimit::Budget(it), Lang::Zh) => {
            format!(
                "只能得到加噪声的统计结果，使用方所属法人在全部合约下对该产品的隐私预算合计 ε 不超过 {it}"
            )
        }
        (PrivacyLimit::Budget(it), Lang::En) => format!(
            "only sums and counts with noise, at a total ε of at most {it} for the product by the user's legal entity, all contracts together"
        ),
        (PrivacyLimit::Unit(it), _) => unit_words(it, lang),
    }
}

fn unit_words(it: &Unit, lang: Lang) -> String {
    let zh = lang == Lang::Zh;
    let one = |column: &str, (low, high): (String, String), step: &dyn std::fmt::Display| {
        if zh {
            format!("{column} 之和计入 {low} 至 {high}（步长 {step}）")
        } else {
            format!("a sum of {column} from {low} to {high} in steps of {step}")
        }
    };
    let sums: Vec<String> =
        it.sums.iter().map(|it| one(&it.column, it.range(), &it.step)).collect();
    let (column, rows) = (&it.column, it.rows);
    let mut out = if zh {
        format!("以 {column} 为受保护的单位，每个单位至多计入 {rows} 行")
    } else {
        format!("what is protected is each {column}, which counts with at most {rows} rows")
    };
    for sum in sums {
        out.push_str(lang.pick("、", ", "));
        out.push_str(&sum);
    }
    out
}

fn match_words(it: &MatchLimit, lang: Lang) -> String {
    let zh = lang == Lang::Zh;
    match it {
        MatchLimit::Key(key) => {
            let parts: Vec<String> =
                key.parts.iter().map(|it| format!("{} ({})", it.column, it.form.name())).collect();
            let equals = match key.equals {
                Equals::Refuse => lang.pick("不允许重复", "without repeated keys"),
                Equals::First => lang.pick("重复时取第一条", "of rows with equal keys the first"),
                Equals::Multiply => lang.pick("重复时全部计入", "all rows with equal keys"),
            };
            format!(
                "{}{}{}{equals}",
                lang.pick("名单按以下字段匹配：", "lists are matched by "),
                parts.join(lang.pick("、", ", ")),
                lang.pick("；", "; ")
            )
        }
        MatchLimit::Items(n) if zh => format!("使用方每次至多投入 {n} 个条目"),
        MatchLimit::Items(n) => format!("at most {n} items of the consumer at a time"),
        MatchLimit::Budget(n) if zh => format!("使用方累计至多投入 {n} 个条目"),
        MatchLimit::Budget(n) => format!("at most {n} items of the consumer under the contract"),
        MatchLimit::GroupBudget(n) if zh => {
            format!("使用方所属法人在该产品全部合约下累计至多投入 {n} 个条目")
        }
        MatchLimit::GroupBudget(n) => {
            format!(
                "at most {n} items of the consumer's legal entity, under all contracts about the product"
            )
        }
        MatchLimit::Least(n) if zh => format!("匹配数不足 {n} 时不给出结果"),
        MatchLimit::Least(n) => format!("no result of fewer than {n} matches"),
        MatchLimit::Share(n) if zh => format!("匹配数超过使用方条目的 {n}% 时不给出结果"),
        MatchLimit::Share(n) => {
            format!("no result that matches more than {n} % of the consumer's items")
        }
        MatchLimit::To(To::Consumer) => {
            lang.pick("匹配结果仅使用方得到", "only the consumer gets the matches").to_owned()
        }
        MatchLimit::To(To::Both) => {
            lang.pick("匹配结果双方都得到", "both parties get the matches").to_owned()
        }
        MatchLimit::Reveal(all) => {
            let words: Vec<&str> = all.iter().map(|it| reveal_words(*it, lang)).collect();
            let before = lang.pick("匹配只给出：", "of a match is revealed: ");
            format!("{before}{}", words.join(lang.pick("、", ", ")))
        }
    }
}

fn reveal_words(it: Reveal, lang: Lang) -> &'static str {
    match it {
        Reveal::Rows => lang.pick("匹配的行", "the rows that match"),
        Reveal::Size => lang.pick("匹配数量", "how many match"),
        Reveal::Sum => {
            lang.pick("提供方字段在匹配行上的和", "sums of the provider's columns over them")
        }
        Reveal::AtLeast => {
            lang.pick("匹配数是否达到给定值", "whether at least a given number match")
        }
        Reveal::Common => lang.pick(
            "与另外至少一家提供方一起匹配时各方共有的行",
            "the rows that all have, matched together with at least one other provider",
        ),
        Reveal::Labels => {
            lang.pick("匹配行及提供方的字段", "the rows that match with columns of the provider")
        }
    }
}

/// A time without needless milliseconds.
pub(super) fn clock(at: Time) -> String {
    at.to_string().replace(".000Z", "Z")
}
