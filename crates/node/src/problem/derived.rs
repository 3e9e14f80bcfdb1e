//! Codes of products that are made under contracts.
//!
//! Never a text in one language only, as in [`super::catalogue`].

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "derive.looser",
        403,
        Party::Rule,
        [
            "条款宽于来源合约须传递的条款",
            "These terms are looser than those that a source contract passes on",
        ],
        [
            "请按说明补上所缺条款或收紧数值,或与来源合约的提供方协商新合约",
            "Add or tighten the terms that the detail lists, or negotiate a new contract with the source's provider",
        ],
    ),
    entry(
        "derive.not-permitted",
        403,
        Party::Rule,
        [
            "来源合约未允许制作并提供衍生产品",
            "A source contract does not permit products made of its data",
        ],
        [
            "请与提供方协商含 derive 或 distribute 许可的合约(其发布时用 --derive)",
            "Negotiate a contract with a permission to derive or distribute (its provider publishes with --derive)",
        ],
    ),
    entry(
        "derive.prohibited",
        403,
        Party::Rule,
        ["来源合约禁止制作并提供衍生产品", "A source contract prohibits products made of its data"],
        [
            "不要发布;如确有需要,请与提供方协商新合约",
            "Do not publish it; negotiate another contract with the provider if you need to",
        ],
    ),
    entry(
        "derive.ended",
        403,
        Party::Rule,
        ["来源合约已结束", "A source contract has ended"],
        [
            "已发布的版本仍然有效;新版本需要一份有效的来源合约,并以新的产品线发布",
            "What is published stays; a new version needs a source contract in force, and a line of its own",
        ],
    ),
    entry(
        "derive.role",
        422,
        Party::Caller,
        ["本节点不是该合约的使用方", "This node is not the consumer of that contract"],
        [
            "请填写本节点作为使用方的合约;自有数据无需填写",
            "Name contracts under which this node is the consumer; data of your own need none",
        ],
    ),
    entry(
        "derive.too-many",
        422,
        Party::Caller,
        ["来源合约过多", "Too many source contracts"],
        [
            "请将产品拆分,每个产品的来源合约不超过上限",
            "Split the product, so that each is made under fewer contracts",
        ],
    ),
];
