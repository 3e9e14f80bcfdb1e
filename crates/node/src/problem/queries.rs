//! Codes of statements that are run at a provider or over a sealed table.
//!
//! Never a text in one language only, as in [`super::catalogue`].

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "query.raw-rows",
        403,
        Party::Rule,
        ["只允许输出聚合结果", "Only aggregates may leave"],
        ["请使用 avg、sum、count 等聚合", "Aggregate with avg, sum, count and the like"],
    ),
    entry(
        "query.small-group",
        403,
        Party::Rule,
        ["分组过小", "A group is too small"],
        ["请使用更粗的分组", "Group more coarsely"],
    ),
    entry(
        "query.noise",
        403,
        Party::Rule,
        ["该语句没有加噪声的回答", "The statement has no noisy answer"],
        [
            "请只使用 SELECT count(*)、sum(字段) FROM data WHERE 字段与常量的比较；可求和的字段见合约条款",
            "Use SELECT count(*), sum(column) FROM data WHERE columns compare with constants; the terms say which columns",
        ],
    ),
    entry(
        "privacy.epsilon",
        403,
        Party::Rule,
        ["未说明回答的隐私代价 ε", "The statement does not say what its answer may cost"],
        ["请说明 ε，如 --epsilon 0.1", "Say ε, for example --epsilon 0.1"],
    ),
    entry(
        "privacy.budget",
        403,
        Party::Rule,
        ["隐私预算不足", "Not enough is left of the privacy budget"],
        [
            "请使用更小的 ε；预算由所属法人的全部合约共用，用完后须与提供方重新商定",
            "Ask for less; all contracts of the legal entity share the budget, and only the provider can agree on more",
        ],
    ),
    entry(
        "privacy.unasked",
        403,
        Party::Rule,
        ["合约没有隐私预算", "The contract has no privacy budget"],
        ["请不要说明 ε：回答不加噪声", "Ask without ε: answers have no noise"],
    ),
    entry(
        "query.too-many-rows",
        403,
        Party::Rule,
        ["结果行数超出合约", "More result rows than the contract allows"],
        ["请聚合或使用 LIMIT", "Aggregate, or use LIMIT"],
    ),
    entry(
        "query.column",
        403,
        Party::Rule,
        ["该列不存在或未开放", "No such column, or the contract does not open it"],
        ["请查看产品的列和合约条款", "See the product's columns and the contract's terms"],
    ),
    entry(
        "query.malformed",
        422,
        Party::Caller,
        ["语句无法理解", "The statement cannot be understood"],
        ["请检查语法;表名为 data", "Check the syntax; the table's name is data"],
    ),
    entry(
        "query.not-allowed",
        422,
        Party::Caller,
        ["语句中有不可用的内容", "The statement uses what is not available"],
        ["请只使用一条 SELECT 及常用函数", "Use one SELECT and ordinary functions"],
    ),
    entry(
        "query.deadline",
        422,
        Party::Caller,
        ["语句运行超时", "The statement took too long"],
        ["请缩小查询范围", "Ask for less"],
    ),
];
