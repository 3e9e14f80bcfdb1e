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
    entry(
        "attest.not-configured",
        422,
        Party::Node,
        ["本节点未配置环境证明要求", "This node has no demands on evidence"],
        [
            "请运营者写好 attest/policy.json(见 tidm attest policy)并重启,或改用其他条款",
            "Let the operator write attest/policy.json (see tidm attest policy) and restart, or use other terms",
        ],
    ),
    entry(
        "attest.refused",
        403,
        Party::Rule,
        ["环境证明被拒绝", "The evidence of the environment is refused"],
        [
            "请按所列代码检查环境;重试时须索取新的挑战",
            "Look at the codes listed; ask for a new challenge before you try again",
        ],
    ),
    entry(
        "attest.no-maker",
        422,
        Party::Node,
        [
            "合约要求可信执行环境,而本节点不生成环境证明",
            "The contract demands a trusted environment, and this node makes no evidence of its own",
        ],
        [
            "请在 AMD SEV-SNP 或 Intel TDX 虚拟机中运行本节点并设置 attest.maker = \"tsm\";或请提供方改用其他条款",
            "Run this node in a guest of AMD SEV-SNP or Intel TDX and set attest.maker = \"tsm\"; or ask the provider for other terms",
        ],
    ),
    entry(
        "attest.maker",
        422,
        Party::Node,
        ["本机未能生成环境证明", "This machine made no evidence"],
        [
            "请按所述原因检查本机:内核、驱动、权限,以及宿主机提供的证书",
            "Look at what is said about this machine: kernel, driver, permissions, and the certificates that its host hands out",
        ],
    ),
    entry(
        "attest.malformed",
        400,
        Party::Caller,
        ["环境证明无法读取", "The evidence of the environment cannot be read"],
        ["请检查证据的格式", "Check the form of the evidence"],
    ),
];
