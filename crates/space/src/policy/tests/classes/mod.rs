//! Which of the known classes of usage policies a node keeps, and which it refuses and why: a table that is tested and
//! whose output is `docs/policy-classes.md`.
//!
//! The 25 classes are those of the IDS usage control catalogue (IDS-G, `UsageControl/Contract`), the terms those of
//! the Catena-X ODRL profile (CX-0152); the policies that say them here, and the documents in `catena`, are ours.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use crate::lang::Lang;
use crate::policy::compile::{compile, understand};
use crate::policy::model::{Operand, Policy};
use crate::policy::render::render;
use crate::policy::usage::Use;
use crate::wire::odrl::{self, OdrlPolicy};

fn atom(left: &str, op: &str, right: &str) -> Json {
    json!({"leftOperand": left, "operator": op, "rightOperand": right})
}

fn permits(constraints: &[Json]) -> Json {
    json!({"permission": [{"action": "use", "constraint": constraints}]})
}

fn owes(action: &str) -> Json {
    json!({"permission": [{"action": "use"}], "obligation": [{"action": action}]})
}

fn first(action: &str) -> Json {
    json!({"permission": [{"action": "use", "duty": [{"action": action}]}]})
}

/// Number and name of a class, with a policy that says it; some are said in two ways.
fn classes() -> Vec<(u8, &'static str, &'static str, Json)> {
    let price = json!([atom("payAmount", "eq", "100.00"), atom("tidm:currency", "eq", "CNY")]);
    let until = || atom("dateTime", "lteq", "2027-06-30T00:00:00Z");
    let from = || atom("dateTime", "gteq", "2027-01-01T00:00:00Z");
    let paid = |all: &[Json]| {
        json!({"permission": [{"action": "use", "constraint": all}],
            "obligation": [{"action": "compensate", "constraint": price}]})
    };
    let statistics = [
        atom("tidm:kindOfUse", "eq", "query"),
        atom("tidm:aggregatesOnly", "eq", "true"),
        atom("tidm:minGroup", "gteq", "5"),
    ];
    vec![
        (1, "指定使用方", "consumer", permits(&[atom("recipient", "eq", "did:web:a.example")])),
        (2, "指定连接器", "connector", permits(&[atom("systemDevice", "eq", "urn:connector:7")])),
        (3, "指定应用", "application", permits(&[atom("tidm:application", "eq", "urn:app:7")])),
        (4, "指定用户角色", "user role", permits(&[atom("tidm:assigneeRole", "eq", "auditor")])),
        (5, "指定地域", "location", permits(&[atom("spatial", "isPartOf", "CN")])),
        (6, "指定用途", "purpose", permits(&[atom("purpose", "eq", "quality")])),
        (7, "事件", "event", permits(&[atom("event", "gteq", "urn:event:recall")])),
        (8, "安全等级", "security level", permits(&[atom("tidm:enforcementLevel", "gteq", "E1")])),
        (
            8,
            "可信执行环境",
            "trusted environment",
            permits(&[atom("tidm:executionEnvironment", "eq", "tee"), atom("count", "lteq", "10")]),
        ),
        (
            8,
            "独立可信执行环境",
            "independent trusted environment",
            permits(&[atom("tidm:enforcementLevel", "gteq", "E4")]),
        ),
        (9, "起止时间", "time interval", permits(&[from(), until()])),
        (
            9,
            "每周时段",
            "hours of a week",
            permits(&[atom("tidm:timeWindow", "eq", "Mon-Fri 08:00/18:00+08:00")]),
        ),
        (10, "时长", "duration", permits(&[atom("elapsedTime", "lteq", "P3M")])),
        (10, "累计时长", "metered time", permits(&[atom("meteredTime", "lteq", "PT60M")])),
        (11, "使用次数", "number of usages", permits(&[atom("count", "lteq", "10")])),
        (11, "使用频次", "rate of usages", permits(&[atom("tidm:frequency", "lteq", "100/P1D")])),
        (
            11,
            "法人使用次数",
            "number of usages of a legal entity",
            permits(&[atom("tidm:groupCount", "lteq", "10")]),
        ),
        (
            11,
            "法人使用频次",
            "rate of usages of a legal entity",
            permits(&[atom("tidm:groupFrequency", "lteq", "100/P1D")]),
        ),
        (
            11,
            "法人累计时长",
            "metered time of a legal entity",
            permits(&[atom("tidm:groupMeteredTime", "lteq", "PT10H")]),
        ),
        (
            11,
            "法人累计数据量",
            "bytes and records of a legal entity",
            permits(&[
                atom("tidm:groupDataSize", "lteq", "1000000"),
                atom("tidm:groupRecordCount", "lteq", "10000"),
            ]),
        ),
        (12, "合约终止时删除", "delete after use", owes("delete")),
        (
            12,
            "限期删除",
            "delete by a date",
            json!({"permission": [{"action": "use"}],
            "obligation": [{"action": "delete", "constraint": [until()]}]}),
        ),
        (
            12,
            "定时长删除",
            "delete within a time",
            json!({"permission": [{"action": "use"}],
            "obligation": [{"action": "delete", "constraint": [atom("elapsedTime", "lteq", "P30D")]}]}),
        ),
        (13, "传输中修改", "modify in transit", first("anonymize")),
        (
            13,
            "仅限部分字段",
            "some columns only",
            permits(&[atom("tidm:columns", "eq", "temperature")]),
        ),
        (
            13,
            "仅限部分记录",
            "some rows only",
            permits(&[atom("tidm:valueExpression", "eq", "site = 'A7'")]),
        ),
        (
            13,
            "放行前加水印",
            "watermark before release",
            json!({"permission": [{"action": "use"}], "obligation": [{"action": "watermark",
                "constraint": [atom("tidm:watermark", "eq", "temperature:0.1;sensor")]}]}),
        ),
        (14, "存储中修改", "modify at rest", owes("anonymize")),
        (15, "使用留痕", "log", owes("acceptTracking")),
        (16, "通知", "inform", owes("inform")),
        (
            17,
            "转交须附策略",
            "pass policy to third party",
            json!({"permission": [
            {"action": "use"}, {"action": "distribute", "duty": [{"action": "nextPolicy"}]}]}),
        ),
        (
            17,
            "禁止转交",
            "no handing on",
            json!({"permission": [{"action": "use"}],
            "prohibition": [{"action": "distribute"}]}),
        ),
        (
            18,
            "数据状态",
            "artifact state",
            permits(&[atom("ids:artifactState", "eq", "anonymized")]),
        ),
        (19, "出售", "sale", paid(&[])),
        (20, "租用", "rental", paid(&[from(), until()])),
        (21, "合同状态", "state", permits(&[atom("ids:state", "eq", "firewallActivated")])),
        (
            22,
            "参与方所在地",
            "participant location",
            permits(&[atom("ids:assigneeLocation", "eq", "CN")]),
        ),
        (23, "取得同意", "consent", first("obtainConsent")),
        (
            24,
            "数据分级",
            "data classification",
            permits(&[atom("ids:dataClassification", "eq", "general")]),
        ),
        (25, "匿名化（隐私计算）", "anonymisation", permits(&statistics)),
        (
            25,
            "加噪声的统计（差分隐私）",
            "noisy statistics (differential privacy)",
            permits(&[
                atom("tidm:privacyBudget", "lteq", "1.5"),
                atom("tidm:privacyUnit", "eq", "worker;3;hours:0.1:0:60"),
            ]),
        ),
    ]
}

/// Left operands of CX-0152, a value of each, and how a node is told the same where it can be.
const CATENA_X: [(&str, &str, &str); 25] = [
    ("Membership", "active", "a space admits members by their credentials"),
    ("FrameworkAgreement", "DataExchangeGovernance:1.0", ""),
    ("Dismantler", "active", ""),
    ("BusinessPartnerNumber", "BPNL000000000000", "`recipient`"),
    ("BusinessPartnerGroup", "gold", "`recipient` with a list"),
    ("UsagePurpose", "cx.core.qualityNotifications:1", ""),
    ("UsageRestriction", "cx.restriction.thirdParty:1", "a prohibition of `distribute`"),
    ("ExclusiveUsage", "cx.exclusive.all:1", ""),
    ("AffiliatesBpnl", "BPNL000000000000", "`recipient` with a list"),
    ("AffiliatesRegion", "cx.region.all:1", ""),
    ("ConfidentialInformationMeasures", "cx.measures.all:1", ""),
    ("ConfidentialInformationSharing", "cx.sharing.none:1", "a prohibition of `distribute`"),
    ("ContractReference", "urn:contract:1", ""),
    ("ContractTermination", "cx.termination.all:1", ""),
    ("DataFrequency", "cx.frequency.once:1", "`count`"),
    ("DataUsageEndDate", "2027-06-30T00:00:00Z", ""),
    (
        "DataUsageEndDurationDays",
        "90",
        "`dateTime` with the day; `elapsedTime` begins at the first use",
    ),
    ("DataUsageEndDefinition", "cx.end.contract:1", ""),
    ("DataProvisioningEndDate", "2027-06-30T00:00:00Z", PROVIDED),
    ("DataProvisioningEndDurationDays", "90", PROVIDED),
    ("JurisdictionLocation", "CN", ""),
    ("Liability", "cx.liability.all:1", ""),
    ("Precedence", "cx.precedence.contract:1", ""),
    ("VersionChanges", "cx.version.all:1", ""),
    ("WarrantyDurationMonths", "12", ""),
];

const PROVIDED: &str = "nothing: the provider owes it, and no use ends by it";

/// Whole policies in that profile's form: name, document, and the names by which it is refused.
macro_rules! samples {
    ($($name:literal: $refused:expr,)*) => {
        &[$(($name, include_str!(concat!("catena/", $name, ".json")), &$refused)),*]
    };
}

const SAMPLES: &[(&str, &str, &[&str])] = samples! {
    "access-membership": ["access", "Membership"],
    "access-partner": ["access", "Membership", "BusinessPartnerNumber"],
    "access-group": ["access", "BusinessPartnerGroup"],
    "usage-usual": ["Membership", "FrameworkAgreement"],
    "usage-purpose": [],
    "usage-purpose-and-end-date": [],
    "usage-either": [],
    "usage-nothing-else": ["use"],
    "usage-prefixed": [],
    "usage-end-days": ["DataUsageEndDurationDays"],
    "usage-frequency-once": ["DataFrequency"],
    "usage-affiliates": ["AffiliatesBpnl", "AffiliatesRegion"],
    "usage-contract-reference": ["ContractReference", "Precedence"],
    "usage-restriction": ["UsageRestriction"],
    "usage-provisioning-end": ["use"],
    "usage-all-together": [
        "FrameworkAgreement",
        "ContractReference",
        "DataFrequency",
        "ExclusiveUsage",
        "VersionChanges",
        "AffiliatesBpnl",
        "ManagedLegalEntityBpnl",
        "WarrantyDurationMonths",
        "Liability",
        "ConfidentialInformationSharing",
        "JurisdictionLocation",
        "UsageRestriction",
        "AffiliatesRegion",
        "use",
    ],
};

fn policy(rules: &Json) -> Policy {
    let mut it = json!({"@id": "urn:o", "@type": "Offer"});
    for (key, value) in rules.as_object().unwrap() {
        it[key] = value.clone();
    }
    OdrlPolicy::parse(it).unwrap().model
}

/// The words of a policy in one cell: what is said of the matter, without the bare "Permitted: use".
fn words(it: &Policy, lang: Lang, kind: Use) -> String {
    let bare = lang.pick("允许使用。", "Permitted: use.");
    let all = render(it, lang, kind);
    let said: Vec<&str> = all.iter().map(|it| &*it.text).filter(|it| *it != bare).collect();
    said.join(lang.pick("", " "))
}

/// Kept, by whom for each kind of use; or refused, and why.
fn answer(it: &Policy) -> String {
    match compile(it) {
        Ok(terms) => {
            let kinds = Use::ALL.into_iter().filter(|kind| terms.unkeepable(*kind).is_empty());
            let level = |kind: Use| {
                let all = render(it, Lang::En, kind);
                let least =
                    all.iter().skip(1).map(|it| it.level).min().unwrap_or_else(|| kind.level());
                format!("{} {least}", kind.name())
            };
            format!("kept: {}", kinds.map(level).collect::<Vec<_>>().join(", "))
        }
        Err(all) => {
            let mut why: Vec<(&str, Vec<String>)> = vec![];
            for it in &all {
                let term = format!("`{}`", it.term);
                match why.iter_mut().find(|(why, _)| *why == it.why) {
                    Some((_, terms)) => terms.push(term),
                    None => why.push((it.why, vec![term])),
                }
            }
            let said = |(why, terms): &(&str, Vec<String>)| {
                let each = if terms.len() > 1 { "each of " } else { "" };
                format!("{each}{} {why}", terms.join(", "))
            };
            format!("refused: {}", why.iter().map(said).collect::<Vec<_>>().join("; "))
        }
    }
}

/// In both languages, for a kind of use in which it can be kept.
fn sentences(it: &Policy) -> String {
    let kept = |kind: &Use| compile(it).is_ok_and(|terms| terms.unkeepable(*kind).is_empty());
    let kind = Use::ALL.into_iter().find(kept).unwrap_or(Use::Query);
    format!("{} {}", words(it, Lang::Zh, kind), words(it, Lang::En, kind))
}

fn document() -> String {
    let mut out = include_str!("head.md").to_owned();
    for (number, zh, en, rules) in classes() {
        let it = policy(&rules);
        writeln!(out, "| {number} | {zh} {en} | {} | {} |", sentences(&it), answer(&it)).unwrap();
    }
    out.push_str(include_str!("templates.md"));
    out.push_str(include_str!("catena.md"));
    for (left, value, instead) in CATENA_X {
        let it = policy(&permits(&[atom(left, "eq", value)]));
        let instead = match (instead, compile(&it)) {
            ("", Ok(_)) => "",
            ("", Err(_)) => "nothing",
            (instead, _) => instead,
        };
        writeln!(out, "| `{left}` | {} | {instead} |", answer(&it)).unwrap();
    }
    out.push_str(include_str!("samples.md"));
    for (name, text, _) in SAMPLES {
        let it = odrl::parse(text.as_bytes()).unwrap().model;
        let said = if compile(&it).is_ok() { sentences(&it) } else { String::new() };
        writeln!(out, "| `{name}` | {said} | {} |", answer(&it)).unwrap();
    }
    out
}

#[test]
fn the_document_says_what_the_code_does() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policy-classes.md");
    let (is, should) = (std::fs::read_to_string(file).unwrap_or_default(), document());
    if is != should {
        let made = std::env::temp_dir().join("policy-classes.md");
        std::fs::write(&made, &should).unwrap();
        panic!("docs/policy-classes.md is not what the code says; {} is", made.display());
    }
}

/// No class is passed over, and none is taken for kept that somebody would have to trust us for.
/// The classes that a node keeps in some way of saying them.
pub(in crate::policy) fn kept() -> std::collections::BTreeSet<u8> {
    let kept = |rules: &Json| compile(&policy(rules)).is_ok();
    classes().iter().filter(|(.., it)| kept(it)).map(|(it, ..)| *it).collect()
}

#[test]
fn every_class_is_kept_or_refused_by_name() {
    let all = classes();
    for number in 1..=25 {
        assert!(all.iter().any(|(it, ..)| *it == number), "class {number}");
    }
    let kept = |rules: &Json| compile(&policy(rules)).is_ok();
    let numbers: Vec<u8> = all.iter().filter(|(.., it)| kept(it)).map(|(it, ..)| *it).collect();
    assert_eq!(
        numbers,
        [
            1, 4, 5, 6, 8, 8, 8, 9, 9, 10, 10, 11, 11, 11, 11, 11, 11, 12, 12, 12, 13, 13, 13, 15,
            16, 17, 17, 19, 20, 23, 25, 25
        ]
    );
    for (number, _, en, rules) in &all {
        if let Err(why) = compile(&policy(rules)) {
            assert!(!why.is_empty(), "{number} {en}");
            // Words of other vocabularies are not guessed at.
            let foreign = why.iter().any(|it| it.term.starts_with("ids:"));
            assert_eq!(understand(&policy(rules)).is_err(), foreign, "{number} {en}");
        }
    }
}

#[test]
fn catena_x_terms_are_refused_by_name_or_kept_as_ours() {
    let ours = |left: &str, value: &str| {
        let (name, op) = match left {
            "UsagePurpose" => ("purpose", "eq"),
            "DataUsageEndDate" => ("dateTime", "lteq"),
            _ => return None,
        };
        Some(compile(&policy(&permits(&[atom(name, op, value)]))).unwrap())
    };
    for (left, value, _) in CATENA_X {
        let answer = compile(&policy(&permits(&[atom(left, "eq", value)])));
        if let Some(same) = ours(left, value) {
            assert_eq!(answer, Ok(same), "{left}");
            continue;
        }
        let why = answer.unwrap_err();
        assert_eq!(why.len(), 1);
        assert_eq!(why[0].term, left);
        assert!(matches!(Operand::from_name(left), Operand::Unknown(_)), "{left}");
    }
    // What the profile does not say of them is not guessed at.
    let end = "DataUsageEndDate";
    for (op, value) in [
        ("lteq", "2027-06-30T00:00:00Z"),
        ("gteq", "2027-06-30T00:00:00Z"),
        ("eq", "2027-06-30T00:00:00"),
        ("eq", "90"),
    ] {
        assert_eq!(compile(&policy(&permits(&[atom(end, op, value)]))).unwrap_err()[0].term, end);
    }
    let ban = json!({"permission": [{"action": "use"}],
        "prohibition": [{"action": "use", "constraint": [atom(end, "eq", "2027-06-30T00:00:00Z")]}]});
    assert_eq!(compile(&policy(&ban)).unwrap_err()[0].term, end);
}

/// Each is refused by every name that is not kept, and goes back to its author as it came.
#[test]
fn catena_x_policies_are_kept_whole_or_refused_by_each_name() {
    for (name, text, refused) in SAMPLES {
        let it = odrl::parse(text.as_bytes()).unwrap();
        assert_eq!(odrl::to_json(&it.model), it.original, "{name}");
        let why = compile(&it.model).err().unwrap_or_default();
        let terms: Vec<&str> = why.iter().map(|it| &*it.term).collect();
        assert_eq!(terms, *refused, "{name}");
    }
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/src/policy/tests/classes/catena");
    assert_eq!(std::fs::read_dir(files).unwrap().count(), SAMPLES.len());
}
