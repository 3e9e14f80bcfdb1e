//! Codes of the bytes' own endpoints: fetching what a transfer delivers, and taking what is pushed.
//!
//! Never a text in one language only, as in [`super::catalogue`].

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "use.seal",
        422,
        Party::Node,
        ["密封数据无法打开", "The sealed data does not open"],
        [
            "请重新获取数据;若仍失败,请联系提供方",
            "Fetch the data again; if that does not help, tell the provider",
        ],
    ),
    entry(
        "delivery.busy",
        429,
        Party::Rule,
        ["该合约的交付连接数已达上限", "All connections of this contract's deliveries are taken"],
        [
            "请按 Retry-After 稍后重试,或等待进行中的交付结束",
            "Try again after Retry-After, or let the deliveries under way end first",
        ],
    ),
    entry(
        "delivery.offset",
        409,
        Party::Caller,
        ["续传位置与已收到的字节数不符", "The upload does not go on where it stopped"],
        [
            "请从应答头 Upload-Offset 所示的位置继续",
            "Go on at the byte that the header Upload-Offset of this answer names",
        ],
    ),
    entry(
        "delivery.broken",
        409,
        Party::Caller,
        ["数据未完整到达", "The bytes did not arrive whole"],
        ["请查询已收到的字节数(HEAD)后继续", "Ask how many are here (HEAD), and go on from there"],
    ),
    entry(
        "delivery.digest",
        422,
        Party::Caller,
        ["到达的数据与声明的摘要不符", "What arrived does not have the announced digest"],
        ["请从头重新推送", "Push it again from its first byte"],
    ),
    entry(
        "delivery.too-large",
        413,
        Party::Rule,
        ["推送的数据超过本节点上限", "More bytes than this node takes"],
        [
            "请由管理员提高 limits.upload_mib,或减少数据",
            "The administrator can raise limits.upload_mib; or deliver less",
        ],
    ),
];
