//! Keys of `[limits]`: bounds that an operator may move.

use super::{Key, Kind, key};

pub(super) const EXCEL_MIB: Key = key(
    ("limits", "excel_mib"),
    Kind::Number,
    "64",
    "可读取的 Excel 文件上限(MiB)",
    "Largest Excel file read, MiB",
);

pub(super) const QUERY_SECONDS: Key = key(
    ("limits", "query_seconds"),
    Kind::Number,
    "60",
    "单次查询时限(秒)",
    "Deadline of one query, seconds",
);

pub(super) const WORKER_MIB: Key = key(
    ("limits", "worker_mib"),
    Kind::Number,
    "1024",
    "单个沙箱进程的内存(MiB)",
    "Memory of one sandbox process, MiB",
);

pub(super) const MATCHING_MIB: Key = key(
    ("limits", "matching_mib"),
    Kind::Number,
    "512",
    "单次匹配在本节点的内存(MiB),含其全部计算进程",
    "Memory of one matching at this node, MiB, all its computing processes together",
);

pub(super) const WORKERS: Key = key(
    ("limits", "workers"),
    Kind::Number,
    "2",
    "同时运行的沙箱进程数",
    "Sandbox processes at a time",
);

pub(super) const UPLOAD_MIB: Key = key(
    ("limits", "upload_mib"),
    Kind::Number,
    "4096",
    "单个上传文件上限(MiB)",
    "Largest upload, MiB",
);

pub(super) const DELIVERY_KIB: Key = key(
    ("limits", "delivery_kib"),
    Kind::Number,
    "0",
    "同一合约的交付合计速率上限(KiB/秒);0 为不限",
    "Deliveries of one contract take at most this together, KiB per second; 0: no bound",
);

pub(super) const DELIVERY_CONNECTIONS: Key = key(
    ("limits", "delivery_connections"),
    Kind::Number,
    "8",
    "同一合约同时进行的交付连接数;超出者以 429 拒绝",
    "Connections that deliver under one contract at a time; more are answered 429",
);

pub(super) const STALLED_SECONDS: Key = key(
    ("limits", "stalled_seconds"),
    Kind::Number,
    "120",
    "接收方多久(秒)不取数据即断开",
    "A receiver that takes nothing for this long is cut off, seconds",
);
