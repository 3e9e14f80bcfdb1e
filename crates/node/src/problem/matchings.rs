//! Codes of matching lists, the node's own; those of computing processes carry their own advice.
//!
//! Never a text in one language only, as in [`super::catalogue`].

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "psi.terms",
        422,
        Party::Rule,
        ["合约不允许名单匹配", "The contract is not for matching lists"],
        [
            "请查看合约条款,或与提供方商定包含匹配字段的合约",
            "Look at the contract's terms, or agree on one that says by which key lists are matched",
        ],
    ),
    entry(
        "psi.columns",
        422,
        Party::Caller,
        ["匹配字段不符", "The columns do not fit the key"],
        [
            "请按合约的顺序为每个匹配字段给出一个本方字段",
            "Name one column of yours for each column of the contract's key, in its order",
        ],
    ),
    entry(
        "psi.reveal",
        403,
        Party::Rule,
        ["合约不允许给出此内容", "The contract does not reveal this of a match"],
        [
            "请按合约允许的内容提问,或与提供方商定 tidm:matchReveal、tidm:columns",
            "Ask for what the contract reveals, or agree on tidm:matchReveal and tidm:columns with the provider",
        ],
    ),
    entry(
        "psi.parties",
        422,
        Party::Caller,
        ["参与方不符", "The parties do not fit"],
        [
            "多方匹配需要至少两家不同法人的提供方,且都与本节点在同一数据空间",
            "More than two match with at least two providers, different legal entities of one space",
        ],
    ),
    entry(
        "psi.member-key",
        502,
        Party::Peer,
        ["成员的密钥没有其签名", "A member's key is not signed by it"],
        [
            "请勿重复此匹配;请与所列参与方核对其身份文档",
            "Do not repeat it blindly: ask the participant that is named about its identity document",
        ],
    ),
    entry(
        "psi.size",
        422,
        Party::Caller,
        ["名单为空，或超过一次匹配的上限", "A list is empty, or too large for one matching"],
        ["请缩小名单", "Match with a smaller list"],
    ),
    entry(
        "psi.once",
        409,
        Party::Node,
        ["多方匹配只运行一次", "A matching of more than two runs once"],
        ["请重新开始匹配;将再次计入额度", "Begin a new matching; its items count again"],
    ),
    entry(
        "psi.protocol",
        422,
        Party::Caller,
        [
            "所选协议不支持此内容或如此大的名单",
            "This protocol has no such answer, or is not for lists of this size",
        ],
        ["请使用 rr22", "Use rr22"],
    ),
    entry(
        "psi.workers",
        422,
        Party::Caller,
        ["进程数不在范围内", "The number of processes is out of range"],
        ["请减少进程数", "Ask for fewer processes"],
    ),
    entry(
        "psi.list",
        422,
        Party::Caller,
        ["名单无法读取", "The list cannot be read"],
        ["请检查文件格式与扩展名", "Check the file's format and the ending of its name"],
    ),
    entry(
        "psi.table",
        422,
        Party::Rule,
        ["产品不是表", "The product is no table"],
        ["只有表可以匹配,请与提供方确认", "Only tables are matched: ask the provider"],
    ),
    entry(
        "psi.items",
        403,
        Party::Rule,
        ["投入条目超过合约允许", "More items than the contract lets be put in"],
        [
            "请缩小名单,或与提供方商定更高的额度",
            "Put in a smaller list, or agree on more with the provider",
        ],
    ),
    entry(
        "psi.session",
        409,
        Party::Peer,
        ["会话与约定不符", "The session is not the one agreed on"],
        ["请重新开始匹配", "Begin a new matching"],
    ),
    entry(
        "psi.not-joined",
        409,
        Party::Peer,
        ["对方尚未加入会话", "The other side has not joined yet"],
        ["请稍后重试", "Try again in a moment"],
    ),
    entry(
        "psi.over",
        409,
        Party::Peer,
        ["匹配已结束", "The matching is over"],
        ["请重新开始匹配", "Begin a new matching"],
    ),
    entry(
        "psi.attempts",
        403,
        Party::Rule,
        ["会话重启次数过多", "The session was begun too often"],
        ["请重新开始匹配;将再次计入额度", "Begin a new matching; its items count again"],
    ),
    entry(
        "psi.upgrade",
        400,
        Party::Peer,
        ["连接没有升级", "The connection is not upgraded"],
        ["代理需要允许 HTTP/1.1 协议升级", "Proxies in between must let HTTP/1.1 upgrades pass"],
    ),
    entry(
        "psi.cancelled",
        409,
        Party::Caller,
        ["匹配被停止", "The matching was stopped"],
        ["如需结果请重新开始", "Begin a new one if you need the result"],
    ),
    entry(
        "psi.not-running",
        409,
        Party::Caller,
        ["匹配未在本节点运行", "The matching does not run on this node now"],
        [
            "请查看其状态,或在运行它的副本上停止",
            "Look how it stands, or stop it on the replica that runs it",
        ],
    ),
    entry(
        "psi.no-rows",
        409,
        Party::Rule,
        ["没有可取的结果", "There is no result to fetch"],
        ["请查看匹配状态与合约条款", "Look how the matching stands and what the contract says"],
    ),
    entry(
        "psi.result",
        500,
        Party::Node,
        ["结果无法保存", "The result cannot be kept"],
        ["请检查本节点的磁盘与对象存储", "Look at this node's disk and object store"],
    ),
    entry(
        "lease.session",
        403,
        Party::Rule,
        ["没有这样的会话", "There is no such session"],
        ["请由使用方重新发起匹配", "The consumer begins a new matching"],
    ),
];
