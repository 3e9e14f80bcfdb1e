//! Codes of Arrow Flight SQL.
//!
//! Never a text in one language only, as in [`super::catalogue`].

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "flight.token",
        401,
        Party::Caller,
        ["令牌无效", "No valid token"],
        [
            "请在 authorization 中使用 tidm use flight 给出的令牌;合约或交付已结束时令牌失效",
            "Use the token that `tidm use flight` shows; one whose contract or transfer ended is void",
        ],
    ),
    entry(
        "flight.token-expired",
        401,
        Party::Caller,
        ["令牌已过期", "The token has expired"],
        ["请运行 tidm use flight 获取新令牌", "Run `tidm use flight` for a new one"],
    ),
    entry(
        "flight.suspended",
        403,
        Party::Rule,
        ["交付已暂停", "The transfer is suspended"],
        ["请等待对方恢复,或联系提供方", "Wait until it is resumed, or ask the provider"],
    ),
    entry(
        "flight.ticket",
        400,
        Party::Caller,
        ["票据无效", "Not a valid ticket"],
        [
            "请用同一令牌重新提交语句以取得票据",
            "Ask for the statement again with the same token to get a ticket",
        ],
    ),
    entry(
        "flight.ticket-expired",
        403,
        Party::Caller,
        ["票据已过期", "The ticket has expired"],
        ["请重新提交语句", "Ask for the statement again"],
    ),
    entry(
        "flight.malformed",
        400,
        Party::Caller,
        ["请求无法解析", "The call cannot be read"],
        ["请使用支持 Arrow Flight SQL 的客户端", "Use a client that speaks Arrow Flight SQL"],
    ),
    entry(
        "flight.unknown",
        501,
        Party::Caller,
        ["不支持此操作", "This is not served here"],
        [
            "请使用 SELECT 语句、预备语句或元数据查询",
            "Ask SELECT statements, prepared statements or metadata",
        ],
    ),
    entry(
        "flight.read-only",
        403,
        Party::Rule,
        ["只读服务,不接受写入", "Nothing can be written here"],
        ["请只提交一条 SELECT 语句", "Ask one SELECT statement"],
    ),
    entry(
        "flight.purpose",
        422,
        Party::Caller,
        ["使用目的不可读", "The purpose cannot be read"],
        [
            "请将其 UTF-8 百分号编码后放入 tidm-purpose",
            "Put its UTF-8, percent-encoded, into tidm-purpose",
        ],
    ),
    entry(
        "flight.filter",
        422,
        Party::Caller,
        ["筛选条件过长", "The filter is too long"],
        ["请缩短筛选条件", "Make the filter shorter"],
    ),
    entry(
        "flight.busy",
        429,
        Party::Rule,
        ["同时进行的结果过多", "Too many results at a time"],
        ["请先读完或关闭正在读取的结果", "Read or close the results that are under way first"],
    ),
    entry(
        "flight.stalled",
        403,
        Party::Caller,
        ["读取停滞,结果已丢弃", "Reading stalled and the result was dropped"],
        ["请重新提交语句并持续读取", "Ask the statement again and keep reading"],
    ),
    entry(
        "use.flight",
        422,
        Party::Peer,
        ["提供方未开通分析工具接口", "The provider gives tools no access"],
        [
            "请联系提供方开启 flight.enabled,或改用 tidm use query",
            "Ask the provider to set flight.enabled, or use `tidm use query`",
        ],
    ),
];
