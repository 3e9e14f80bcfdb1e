//! What this node demands of the signatures of its peers.
//!
//! Part of the table above, and nothing else.

use super::{Key, Kind, key};

pub(super) const SIGNATURES: Key = key(
    ("space", "signatures"),
    Kind::Switch,
    "true",
    "合约必须由双方签名",
    "Contracts must be signed by both sides",
);
pub(super) const REFUNDS: Key = key(
    ("space", "refunds"),
    Kind::Switch,
    "true",
    "使用方节点签名归还后,退还密封数据未用的计量时间;关闭则密钥发出后一概不退",
    "Metered time of sealed data comes back for a return that the consumer's node signed; off: never once a key was out",
);
