//! Codes of suspended and recalled contracts and of renewed leases.
//!
//! Never a text in one language only, as in [`super::catalogue`].

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "contract.suspended",
        403,
        Party::Rule,
        ["合约已被提供方中止", "The provider suspended the contract"],
        [
            "请看中止理由,与提供方联系;恢复后可继续使用",
            "See the reason and talk to the provider; uses go on once it resumes the contract",
        ],
    ),
    entry(
        "contract.suspend",
        422,
        Party::Caller,
        ["只有提供方可以中止或恢复合约", "Only the provider suspends and resumes a contract"],
        ["使用方可以终止合约", "A consumer may end the contract instead"],
    ),
    entry(
        "contract.consent",
        422,
        Party::Caller,
        [
            "只有提供方可以表示同意,且合约条款须要求先取得同意",
            "Only the provider consents, and only where the terms ask for consent first",
        ],
        [
            "请核对合约条款中的义务(obtainConsent)",
            "See whether the terms have a duty to obtain consent (obtainConsent)",
        ],
    ),
    entry(
        "contract.over",
        422,
        Party::Caller,
        [
            "合约已终止,不能中止或恢复",
            "The contract has ended: it is neither suspended nor resumed",
        ],
        ["如仍需使用,请重新签订合约", "Agree a new contract if the data is still needed"],
    ),
    entry(
        "contract.recall",
        422,
        Party::Caller,
        ["只有提供方可以召回已交付的数据", "Only the provider recalls what it delivered"],
        [
            "使用方可以终止合约,副本随之删除",
            "A consumer may end the contract: its copies are deleted",
        ],
    ),
    entry(
        "lease.renewals",
        403,
        Party::Rule,
        ["使用凭证的续期次数已达上限", "This lease was renewed as often as a lease may be"],
        ["请重新发起使用", "Begin a new use"],
    ),
];
