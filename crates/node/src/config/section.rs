//! The sections of the settings, with their headings.
//!
//! Never a section without one: the template shows them in this order.

/// Sections with their headings, in the order of the template.
pub const SECTIONS: &[(&str, &str, &str)] = &[
    ("node", "本节点及其所属组织", "This node and its organisation"),
    ("http", "网络接入", "Network access"),
    ("store", "状态数据库", "State database"),
    ("objects", "大对象存储", "Object storage"),
    ("space", "数据空间", "The data space"),
    ("evidence", "存证日志与存证方", "Evidence log and custodians"),
    ("limits", "资源上限", "Bounds"),
    ("peers", "与其他节点的连接", "Connections to other nodes"),
    ("flight", "分析工具接口(Arrow Flight SQL)", "Analysts' tools (Arrow Flight SQL)"),
    ("sealed", "密封文件", "Sealed files"),
    ("signaling", "外部控制面与数据面", "Control planes and data planes of other programs"),
    ("tc609", "数字合约与使用控制接口(TC609)", "Digital contracts and usage control (TC609)"),
    ("dcp", "凭证与钱包(DCP)", "Credentials and wallets (DCP)"),
    ("identity", "对等方如何证明身份", "How peers prove who they are"),
    ("attest", "本机的环境证明", "Evidence of this machine"),
    ("people", "本节点的人员", "People of this node"),
    (
        "test_profile",
        "测试配置;仅与 serve --allow-test-profile 同用",
        "Test profile; only with serve --allow-test-profile",
    ),
];
