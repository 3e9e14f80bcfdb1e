//! Codes of digital contracts in the words of TC609.
//!
//! Never a text in one language only, as in [`super::catalogue`].

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "tc609.unset",
        422,
        Party::Node,
        ["本节点没有 TC609 标识", "This node has no TC609 codes"],
        [
            "请在配置 [tc609] 中填写 connector 与 platform",
            "Set connector and platform in the section [tc609] of the configuration",
        ],
    ),
    entry(
        "tc609.partner",
        422,
        Party::Node,
        ["对方的连接器标识未知", "The other side's connector code is not known"],
        [
            "请在 tc609.partners 中登记对方的标识与 DID",
            "Add the other side's code and DID to tc609.partners",
        ],
    ),
    entry(
        "tc609.product",
        422,
        Party::Rule,
        ["产品没有 TC609 标识", "The product has no TC609 code"],
        ["产品标识须为 UUID,请联系提供方", "Products are named by UUIDs here: ask the provider"],
    ),
    entry(
        "tc609.unsigned",
        422,
        Party::Rule,
        ["合约未经各方签署", "The contract is not signed by every party"],
        [
            "请等待签署完成;未签署的合约没有 TC609 文档",
            "Wait until all have signed; without signatures there is no TC609 document",
        ],
    ),
    entry(
        "tc609.document",
        422,
        Party::Rule,
        ["合约无法写成 TC609 文档", "The contract cannot be written as a TC609 document"],
        ["请查看详情中的原因", "The detail names the reason"],
    ),
    entry(
        "tc609.code",
        409,
        Party::Node,
        ["合约标识码冲突", "The contract's code is taken"],
        ["请重试", "Try again"],
    ),
    entry(
        "archive.size",
        422,
        Party::Node,
        ["合约存档过大", "The contract's archive would be too large"],
        [
            "消息或文件超出存档上限,详情中有原因;请单独导出凭证",
            "More messages or bytes than an archive may have, as the detail says: export its receipts one by one",
        ],
    ),
];
