//! Codes of the federated catalogue: searching others' offers and being told of them.
//!
//! Never a text in one language only, as in [`super::catalogue`].

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "catalog.currency",
        422,
        Party::Caller,
        ["最高价格缺少币种", "The highest price names no currency"],
        [
            "不同币种的价格不能比较;请写明币种,例如 100 CNY",
            "Prices in different currencies are not compared; name one, for example 100 CNY",
        ],
    ),
    entry(
        "catalog.listeners",
        503,
        Party::Node,
        ["目录订阅连接已满", "Too many are listening to the catalogue already"],
        [
            "请稍后重连,或改用回调订阅",
            "Connect again later, or let yourself be called by a subscription",
        ],
    ),
    entry(
        "catalog.subscriptions",
        422,
        Party::Caller,
        ["订阅数量已达上限", "There are as many subscriptions as there may be"],
        ["请删除不再需要的订阅后重试", "Delete one that is not needed any more, then try again"],
    ),
];
