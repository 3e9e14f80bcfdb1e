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
        "space.country",
        422,
        Party::Caller,
        ["不是地区代码", "This is no code of a region"],
        ["请使用 ISO 3166 代码,如 CN 或 CN-32", "Use a code of ISO 3166 such as CN or CN-32"],
    ),
    entry(
        "space.credit-code",
        422,
        Party::Caller,
        ["不是统一社会信用代码", "This is no unified social credit code"],
        [
            "请核对 18 位代码,最后一位为校验码(GB 32100)",
            "Check its 18 characters; the last one is a check character (GB 32100)",
        ],
    ),
    entry(
        "peer.certificate",
        422,
        Party::Node,
        ["对方不接受本节点的证书", "The other side does not take this node's certificate"],
        [
            "请按对方说明更新证书(identity.client_cert),或请空间运营方处理",
            "Renew or replace the certificate (identity.client_cert) as the other side says, or ask the space's operator",
        ],
    ),
    entry(
        "certificate.missing",
        404,
        Party::Peer,
        ["未出示客户端证书", "No client certificate was shown"],
        [
            "请使用空间 CA 签发的证书建立连接",
            "Connect with the certificate that an authority of the space issued",
        ],
    ),
    entry(
        "certificate.expired",
        404,
        Party::Peer,
        ["客户端证书已过期", "The client certificate has expired"],
        ["请向签发 CA 更新证书", "Renew it with the authority that issued it"],
    ),
    entry(
        "certificate.early",
        404,
        Party::Peer,
        ["客户端证书尚未生效", "The client certificate is not valid yet"],
        ["请核对双方时钟", "Compare the clocks of both sides"],
    ),
    entry(
        "certificate.revoked",
        404,
        Party::Peer,
        ["客户端证书已被吊销", "The client certificate was revoked"],
        ["请重新申领证书", "Get a new one from the authority"],
    ),
    entry(
        "certificate.unchecked",
        404,
        Party::Node,
        ["无法核对证书是否被吊销", "Whether the certificate was revoked cannot be told"],
        [
            "请本节点运营方更新 identity.client_crls 中的吊销列表",
            "This node's operator has to put a current list into identity.client_crls",
        ],
    ),
    entry(
        "certificate.issuer",
        404,
        Party::Peer,
        ["证书不是本空间 CA 签发的", "No authority of the space issued the certificate"],
        ["请使用为本空间签发的证书", "Show the one that was issued for this space"],
    ),
    entry(
        "certificate.purpose",
        404,
        Party::Peer,
        ["证书用途不是客户端认证", "The certificate is not for clients"],
        [
            "请申领扩展密钥用法含 clientAuth 的证书",
            "Get one with the extended key usage clientAuth",
        ],
    ),
    entry(
        "certificate.nameless",
        404,
        Party::Peer,
        ["证书未写明参与方", "The certificate names no participant"],
        [
            "请将 DID 写入 URI 备用名称,或请本节点运营方在 identity.client_names 中登记",
            "Put the DID among its alternative names (URI), or have this node's operator register it in identity.client_names",
        ],
    ),
    entry(
        "certificate.names",
        404,
        Party::Peer,
        ["证书写明了多个参与方", "The certificate names more than one participant"],
        ["一张证书只能对应一个参与方", "One certificate is for one participant"],
    ),
    entry(
        "certificate.invalid",
        404,
        Party::Peer,
        ["证书无法验证", "The certificate cannot be verified"],
        ["请联系签发 CA", "Talk to the authority that issued it"],
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
