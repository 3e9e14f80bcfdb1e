//! Codes of keys that are split between provider and operator.
//!
//! Never a text in one language only, as in [`super::catalogue`].

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "split.held",
        403,
        Party::Rule,
        ["运营方暂停放行其密钥份额", "The operator holds back its share of the key"],
        [
            "请看原因(首次使用前不予说明),与运营方联系;恢复后可继续使用,提供方未因此计数",
            "See the reason (before a first use none is told) and talk to the operator; uses go on once it takes the hold away",
        ],
    ),
    entry(
        "split.lease",
        403,
        Party::Peer,
        ["运营方不接受此使用凭证", "The operator does not take this lease"],
        [
            "请重新发起使用;若再次出现,请核对各节点时钟",
            "Begin the use again; check the nodes' clocks if it happens again",
        ],
    ),
    entry(
        "split.deposit",
        403,
        Party::Peer,
        [
            "密钥份额不属于此合约或此运营方",
            "The deposited share is not of this contract or operator",
        ],
        [
            "请与提供方联系,由其重新密封并交付",
            "Talk to the provider: it has to seal and deliver anew",
        ],
    ),
    entry(
        "split.statement",
        403,
        Party::Peer,
        [
            "关于密钥份额的声明未经其签署方证实",
            "A statement about a share is not proven to be its signer's",
        ],
        [
            "请与提供方和运营方核对身份文档与时钟",
            "Check the identity documents and clocks of provider and operator",
        ],
    ),
    entry(
        "split.not-operator",
        422,
        Party::Peer,
        ["该节点不是密钥份额的运营方", "That node is no operator of shares"],
        ["运营方节点须具有 intermediary 角色", "An operator's node needs the role intermediary"],
    ),
    entry(
        "split.grant",
        502,
        Party::Peer,
        ["密钥份额与使用凭证不符", "Shares and lease do not belong together"],
        ["请与提供方和运营方联系", "Talk to the provider and the operator"],
    ),
    entry(
        "split.refused",
        403,
        Party::Peer,
        ["运营方拒绝放行其密钥份额", "The operator refused its share of the key"],
        ["请看其原因,与运营方联系", "See its reason and talk to the operator"],
    ),
    entry(
        "split.key",
        502,
        Party::Peer,
        ["运营方的公钥声明不可用", "The operator's statement of its key cannot be used"],
        ["请核对运营方节点的时钟与身份", "Check the clock and identity of the operator's node"],
    ),
    entry(
        "split.program",
        403,
        Party::Rule,
        [
            "分割密钥只释放给节点,不释放给其他程序",
            "A split key goes to nodes only, not to other programs",
        ],
        ["请改用 tidm use open 打开文件", "Open the file with tidm use open instead"],
    ),
];
