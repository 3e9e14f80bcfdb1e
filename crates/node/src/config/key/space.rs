//! What this node demands of the signatures of its peers, and its further spaces.
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
pub(super) const ALSO: Key = key(
    ("space", "also"),
    Kind::Spaces,
    "[{ mode = \"mtls\", members = \"other.jws\", operator = \"did:web:other.example.com\", client_ca = \"tls/other-ca.crt\" }]",
    "本节点所属的其他数据空间:各有身份模式(did、dcp、mtls)、成员名单和运营方;mtls 另需 client_ca",
    "Further spaces of this node, each with its mode (did, dcp, mtls), member list and operator; mtls needs client_ca, too",
);
