//! Codes of matching over tables.
//!
//! Never a text in one language only, as in [`super::catalogue`].

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "psi.no-table",
        422,
        Party::Peer,
        ["提供方尚未为此版本准备匹配表", "The provider has prepared no table of this version"],
        [
            "请提供方运行 tidm psi table prepare,或不使用 --table 进行匹配",
            "Ask the provider to run tidm psi table prepare, or match without --table",
        ],
    ),
    entry(
        "psi.table-version",
        409,
        Party::Peer,
        ["匹配表不是当前版本", "The table is one of another version"],
        [
            "请重新开始匹配,将获取新表的声明",
            "Begin a new matching: it asks for the new table's statement",
        ],
    ),
    entry(
        "psi.table-signed",
        502,
        Party::Peer,
        [
            "匹配表的签名或内容与合约不符",
            "The table's statement is not the provider's word on this contract",
        ],
        [
            "未获取任何表;请与提供方核对其密钥、产品版本与匹配字段",
            "Nothing was fetched; compare key, product version and matching key with the provider",
        ],
    ),
    entry(
        "psi.table-damaged",
        502,
        Party::Peer,
        ["收到的匹配表与签名的索引不符", "What came is not the table that was signed"],
        [
            "已丢弃收到的内容;请重新开始匹配,若仍如此请提供方重新准备",
            "What came was thrown away; begin a new matching, and if it stays so ask the provider to prepare it anew",
        ],
    ),
    entry(
        "psi.table-items",
        422,
        Party::Caller,
        ["条目数超过匹配表每次会话的上限", "More items than the table takes in one session"],
        ["请分批匹配,或不使用 --table", "Match in smaller lists, or without --table"],
    ),
    entry(
        "psi.table-large",
        422,
        Party::Node,
        ["匹配表超过本节点允许的大小", "The table is larger than this node takes"],
        ["请管理员调整 limits.upload_mib", "Ask the administrator to raise limits.upload_mib"],
    ),
    entry(
        "psi.table-kind",
        422,
        Party::Caller,
        ["匹配表只能给出本方匹配的行", "Over a table only one's own rows can be asked for"],
        [
            "请不使用 --table 提问;结果归双方的合约也不能使用匹配表",
            "Ask without --table; so also where the contract gives the result to both",
        ],
    ),
    entry(
        "psi.table-protocol",
        422,
        Party::Caller,
        [
            "匹配表没有其他协议变体,恶意提供方可能随意作答",
            "A table has no variants of a protocol: a malicious provider may answer at random",
        ],
        [
            "请去掉 --protocol;如需防范恶意对方,请使用 rr22-malicious 而不用 --table",
            "Leave --protocol out; against a peer that does anything use rr22-malicious without --table",
        ],
    ),
    entry(
        "psi.table-key",
        422,
        Party::Caller,
        ["无法确定匹配字段", "It is not clear by which key"],
        ["请用 --key 指明,例如 part_no:text;first", "Say it with --key, as in part_no:text;first"],
    ),
];
