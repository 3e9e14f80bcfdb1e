//! The dictionaries of TC609-6-2025-14 (tables 4, 5.1, 5.2; annexes B.2.3, C.5, C.6) beside our words: 20 actions, 18
//! constraints, 12 operators.
//!
//! Codes are written as printed, slips included. Never a word of ours that means more than TC609's without a note.

use crate::policy::model::{Action, Operand, Operator};
use crate::policy::usage::Use;

/// How well our word fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Same,
    /// Close; the note says in what they differ, Chinese and English.
    Near(&'static str, &'static str),
    /// Close, and never more than TC609's in a permission; anywhere else kept like a missing one, since a prohibition of
    /// less would permit more. The note says in what they differ.
    Granted(&'static str, &'static str),
    /// We have no word; kept as `tc609:` and its code, which no node signs.
    Missing(&'static str, &'static str),
}

#[derive(Debug, PartialEq, Eq)]
pub struct ActionWord {
    pub code: &'static str,
    pub zh: &'static str,
    pub ours: Option<Action>,
    /// The kinds of use that our permission is for, as its first condition; empty: none is said.
    pub kinds: &'static [Use],
    pub fit: Fit,
}

/// What a constraint's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `YYYYMMDDHHMMSS` at UTC+08:00.
    Moment,
    /// ISO 8601 duration.
    Span,
    Number,
    Text,
    /// One name, or a JSON list of names.
    Names,
    /// Like names: addresses and networks, or host names.
    Places,
    /// Decimal, space, ISO 4217.
    Price,
    /// A two-digit code, and our name for it.
    Codes(&'static [(&'static str, &'static str)]),
}

#[derive(Debug, PartialEq, Eq)]
pub struct ConstraintWord {
    pub code: &'static str,
    pub zh: &'static str,
    pub ours: Option<Operand>,
    pub form: Form,
    /// Most characters of a value in dictionary C.6.
    pub most: usize,
    pub fit: Fit,
}

#[derive(Debug, PartialEq, Eq)]
pub struct OperatorWord {
    pub code: &'static str,
    pub zh: &'static str,
    pub ours: Operator,
}

const fn action(
    code: &'static str,
    zh: &'static str,
    ours: Option<Action>,
    fit: Fit,
) -> ActionWord {
    ActionWord { code, zh, ours, kinds: &[], fit }
}

/// Of permissions alone.
const fn granted(
    code: &'static str,
    zh: &'static str,
    ours: Action,
    kinds: &'static [Use],
    (said_zh, said_en): (&'static str, &'static str),
) -> ActionWord {
    ActionWord { code, zh, ours: Some(ours), kinds, fit: Fit::Granted(said_zh, said_en) }
}

const LACKING: Fit = Fit::Missing(
    "ODRL 没有对应操作，以 TC609 名称保留，节点拒绝签署",
    "ODRL has no such action; kept under its TC609 name, which no node signs",
);

pub static ACTIONS: [ActionWord; 20] = [
    action("transform", "转换", Some(Action::Transform), Fit::Same),
    action("anonymize", "匿名化", Some(Action::Anonymize), Fit::Same),
    action("desensitize", "脱敏", None, LACKING),
    granted(
        "access",
        "访问",
        Action::Read,
        &[Use::Query],
        (
            "许可读作经提供方沙箱查询的读取；禁止中保留 TC609 名称，节点拒绝签署",
            "a permission is read as reading by queries at the provider; elsewhere kept under its TC609 name, which no node signs",
        ),
    ),
    action("read", "读取", Some(Action::Read), Fit::Same),
    action("reproduce", "复制", Some(Action::Reproduce), Fit::Same),
    action(
        "storage",
        "存储",
        Some(Action::Archive),
        Fit::Near("archive 仅指非临时存储", "archive means storing that lasts, only"),
    ),
    granted(
        "download",
        "下载",
        Action::Read,
        &[Use::SealedTable, Use::SealedFile],
        (
            "许可读作密封副本的读取，明文交付须另行写明；禁止中保留 TC609 名称，节点拒绝签署",
            "a permission is read as reading a sealed copy, plain delivery must be said; elsewhere kept under its TC609 name, which no node signs",
        ),
    ),
    action(
        "process",
        "加工",
        Some(Action::Derive),
        Fit::Near("derive 总是产生新的数据", "derive always makes a new asset"),
    ),
    action("jointDevelop", "联合开发", None, LACKING),
    action("distribute", "分发", Some(Action::Distribute), Fit::Same),
    granted(
        "compute",
        "计算",
        Action::Aggregate,
        &[],
        (
            "许可读作在提供方沙箱内的汇总查询；禁止中保留 TC609 名称，节点拒绝签署",
            "a permission is read as queries at the provider with aggregate results; elsewhere kept under its TC609 name, which no node signs",
        ),
    ),
    action("grantUse", "授权使用", Some(Action::GrantUse), Fit::Same),
    action(
        "plicyTransmit",
        "策略传递",
        Some(Action::NextPolicy),
        Fit::Near(
            "nextPolicy 可指明其他策略（节点拒绝签署）；不指明时即原策略，与 TC609 相同",
            "nextPolicy may name another policy, which no node signs; where it names none it is the original one, as in TC609",
        ),
    ),
    action("delivery", "交付", None, LACKING),
    action("sell", "交易", Some(Action::Sell), Fit::Same),
    action(
        "logRecordSend",
        "行为记录发送",
        Some(Action::Inform),
        Fit::Near(
            "inform 不限定发送使用记录",
            "inform does not say that records of use are what is sent",
        ),
    ),
    action("delete", "删除", Some(Action::Delete), Fit::Same),
    action("alert", "异常提醒", None, LACKING),
    action("compensate", "补偿", Some(Action::Compensate), Fit::Same),
];

const ENVIRONMENTS: &[(&str, &str)] = &[
    ("01", "env/usageControl"),
    ("02", "env/sandbox"),
    ("03", "env/mpc"),
    ("04", "env/federated"),
    ("05", "env/tee"),
    ("06", "env/cipherState"),
    ("07", "env/other"),
];
const ENCRYPTION: &[(&str, &str)] =
    &[("01", "enc/plain"), ("02", "enc/cipher"), ("03", "enc/other")];
const DELIVERY: &[(&str, &str)] =
    &[("01", "dlv/file"), ("02", "dlv/stream"), ("03", "dlv/api"), ("04", "dlv/other")];

const fn constraint(
    code: &'static str,
    zh: &'static str,
    ours: Operand,
    form: Form,
    most: usize,
) -> ConstraintWord {
    ConstraintWord { code, zh, ours: Some(ours), form, most, fit: Fit::Same }
}

/// `timeWindow` has two meanings by operator: recurring (`timeInterval`, 01) and elapsed (`elapsedTime`, 11).
pub static CONSTRAINTS: [ConstraintWord; 18] = [
    constraint("time", "时间范围", Operand::DateTime, Form::Moment, 14),
    ConstraintWord {
        code: "timeWindow",
        zh: "时间窗口",
        ours: Some(Operand::TimeInterval),
        form: Form::Span,
        most: 10,
        fit: Fit::Near(
            "等于读作每周期至多一次（timeInterval），小于或等于读作自首次使用起（elapsedTime）",
            "eq is read as one use a period (timeInterval), lteq as since the first use (elapsedTime)",
        ),
    },
    ConstraintWord {
        code: "region",
        zh: "限制地域",
        ours: Some(Operand::Spatial),
        form: Form::Names,
        most: 10,
        fit: Fit::Near(
            "ODRL 的 spatial 应为 IRI，此处保留地区代码",
            "ODRL wants an IRI in spatial; the code of the region stays",
        ),
    },
    constraint("networkAddress", "网络地址", Operand::Network, Form::Places, 45),
    constraint("physicalAddress", "物理地址", Operand::SystemDevice, Form::Names, 20),
    constraint("count", "使用次数", Operand::Count, Form::Number, 16),
    ConstraintWord {
        code: "frequency",
        zh: "使用频次",
        ours: Some(Operand::Frequency),
        form: Form::Number,
        most: 16,
        fit: Fit::Near(
            "与等于的时间窗口同现时读作任意该时段内的次数；无时间窗口则无法解释",
            "beside a timeWindow with eq it is read as uses in any such period; without one it has no period and no reading",
        ),
    },
    constraint("dataSize", "数据规模", Operand::DataSize, Form::Number, 64),
    constraint("dateRecord", "数据记录数", Operand::RecordCount, Form::Number, 16),
    constraint("dataField", "数据字段", Operand::Columns, Form::Names, usize::MAX),
    constraint("valueExpression", "数据字段值", Operand::ValueExpression, Form::Text, 128),
    constraint("application", "应用程序", Operand::Application, Form::Names, 1024),
    constraint("algorithm", "算法", Operand::Algorithm, Form::Names, 1024),
    constraint("machineLearningModels", "机器学习模型", Operand::Model, Form::Names, 1024),
    constraint("executionEnv", "执行环境", Operand::Environment, Form::Codes(ENVIRONMENTS), 2),
    constraint("encryptMode", "加密方式", Operand::Encryption, Form::Codes(ENCRYPTION), 2),
    constraint("deliveryMethod", "交付方式", Operand::DeliveryMethod, Form::Codes(DELIVERY), 2),
    constraint("payAmount", "交易金额", Operand::PayAmount, Form::Price, 128),
];

const fn operator(code: &'static str, zh: &'static str, ours: Operator) -> OperatorWord {
    OperatorWord { code, zh, ours }
}

/// All twelve are ODRL's operators of the same name.
pub static OPERATORS: [OperatorWord; 12] = [
    operator("01", "等于", Operator::Eq),
    operator("02", "大于", Operator::Gt),
    operator("03", "大于或等于", Operator::Gteq),
    operator("04", "包含部分", Operator::HasPart),
    operator("05", "属于实例", Operator::IsA),
    operator("06", "全部属于", Operator::IsAllOf),
    operator("07", "任意属于", Operator::IsAnyOf),
    operator("08", "不属于", Operator::IsNoneOf),
    operator("09", "属于部分", Operator::IsPartOf),
    operator("10", "小于", Operator::Lt),
    operator("11", "小于或等于", Operator::Lteq),
    operator("12", "不等于", Operator::Neq),
];

impl ActionWord {
    /// Also by the spelling that was probably meant.
    pub fn by_code(code: &str) -> Option<&'static Self> {
        let code = if code == "policyTransmit" { "plicyTransmit" } else { code };
        ACTIONS.iter().find(|it| it.code == code)
    }

    /// What says the same of whatever kind of use; outside of permissions (`granted`) fewer do.
    pub fn for_ours(it: &Action, granted: bool) -> Option<&'static Self> {
        let fits = |word: &&Self| granted || !matches!(word.fit, Fit::Granted(..));
        let mut all = ACTIONS.iter().filter(fits).filter(|word| word.kinds.is_empty());
        all.find(|word| word.ours.as_ref() == Some(it))
    }
}

impl ConstraintWord {
    pub fn by_code(code: &str) -> Option<&'static Self> {
        let code = if code == "dataRecord" { "dateRecord" } else { code };
        CONSTRAINTS.iter().find(|it| it.code == code)
    }

    pub fn for_ours(it: &Operand) -> Option<&'static Self> {
        const SECOND: [(Operand, Operand); 2] = [
            (Operand::ElapsedTime, Operand::TimeInterval),
            (Operand::VirtualLocation, Operand::Network),
        ];
        let it =
            SECOND.iter().find_map(|(other, first)| (other == it).then_some(first)).unwrap_or(it);
        CONSTRAINTS.iter().find(|word| word.ours.as_ref() == Some(it))
    }
}

impl OperatorWord {
    /// By its two digits, or by its name.
    pub fn by_code(code: &str) -> Option<&'static Self> {
        OPERATORS.iter().find(|it| it.code == code || it.ours.name() == code)
    }

    pub fn for_ours(it: &Operator) -> Option<&'static Self> {
        OPERATORS.iter().find(|word| word.ours == *it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page is written by hand; its tables are these.
    #[test]
    fn the_page_has_every_word_of_the_tables() {
        let page = include_str!("../../../../docs/tc609.md");
        let row = |cells: &[&str]| {
            let start = format!("| {} |", cells.join(" | "));
            assert!(page.contains(&start), "docs/tc609.md lacks {start}");
        };
        for it in &ACTIONS {
            let ours =
                it.ours.as_ref().map_or_else(|| "none".to_owned(), |it| format!("`{}`", it.name()));
            row(&[&format!("`{}`", it.code), it.zh, &ours]);
        }
        for it in &CONSTRAINTS {
            let ours =
                it.ours.as_ref().map_or_else(|| "none".to_owned(), |it| format!("`{}`", it.name()));
            row(&[&format!("`{}`", it.code), it.zh, &ours]);
        }
        for it in &OPERATORS {
            row(&[&format!("`{}`", it.code), it.zh, &format!("`{}`", it.ours.name())]);
        }
    }

    #[test]
    fn no_word_stands_for_two() {
        for it in &ACTIONS {
            assert_eq!(ActionWord::by_code(it.code), Some(it));
            if let Some(ours) = &it.ours {
                let bare = it.kinds.is_empty();
                assert_eq!(ActionWord::for_ours(ours, true) == Some(it), bare);
                let anywhere = !matches!(it.fit, Fit::Granted(..));
                assert_eq!(ActionWord::for_ours(ours, false) == Some(it), anywhere);
                let same = |other: &&ActionWord| other.ours == it.ours && other.kinds == it.kinds;
                assert_eq!(ACTIONS.iter().filter(same).count(), 1, "{}", it.code);
            }
            assert_eq!(it.ours.is_none(), matches!(it.fit, Fit::Missing(..)), "{}", it.code);
        }
        for it in &CONSTRAINTS {
            assert_eq!(ConstraintWord::by_code(it.code), Some(it));
            if let Some(ours) = &it.ours {
                assert_eq!(ConstraintWord::for_ours(ours), Some(it));
            }
            assert_eq!(it.ours.is_none(), matches!(it.fit, Fit::Missing(..)), "{}", it.code);
        }
        for (i, it) in OPERATORS.iter().enumerate() {
            assert_eq!(it.code, format!("{:02}", i + 1));
            assert_eq!(OperatorWord::for_ours(&it.ours), Some(it));
            assert_eq!(OperatorWord::by_code(it.ours.name()), Some(it));
        }
        assert_eq!(OPERATORS.len(), Operator::KNOWN.len());
    }
}
