//! Codes of credentials and memberships with their sentences, beside the catalogue.
//!
//! Never placeholders, as there.

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "issuance.uninvited",
        403,
        Party::Rule,
        ["运营方未邀请本组织", "The operator has not invited this organisation"],
        [
            "请运营方执行 `tidm space invite` 后再加入",
            "Ask the operator to run `tidm space invite`, then join again",
        ],
    ),
    entry(
        "space.invitation",
        422,
        Party::Caller,
        ["不是有效的空间邀请", "This is no invitation to a space"],
        [
            "请完整复制运营方给出的 tidm-invitation: 文本",
            "Copy the whole text that begins with tidm-invitation: from the operator",
        ],
    ),
    entry(
        "space.refused",
        403,
        Party::Rule,
        ["运营方拒绝了加入申请", "The operator refused the request to join"],
        [
            "请向运营方确认邀请仍有效且针对本节点的 DID",
            "Ask the operator whether the invitation still holds and names this node's DID",
        ],
    ),
    entry(
        "space.role",
        422,
        Party::Caller,
        ["没有这种角色", "There is no such role"],
        [
            "可用角色:provider, consumer, custodian, intermediary, infrastructure",
            "Roles are provider, consumer, custodian, intermediary, infrastructure",
        ],
    ),
    entry(
        "credential.revoked",
        403,
        Party::Rule,
        ["凭证已被吊销", "The credential was revoked"],
        ["请联系空间运营方", "Talk to the space's operator"],
    ),
    entry(
        "wallet.full",
        422,
        Party::Node,
        ["钱包已满", "The wallet is full"],
        ["请待旧凭证到期后重试", "Try again when older credentials have ended"],
    ),
];
