//! Settings of a node that a test kit runs against.
//!
//! Part of the table above, and nothing else.

use super::{Key, Kind, key};

pub(super) const FILE: Key = key(
    ("test_profile", "file"),
    Kind::Text,
    "\"test-profile.toml\"",
    "测试套件所需的数据集、合约与规则",
    "Datasets, contracts and rules that a test kit needs",
);
pub(super) const PIDS_BY_PATH: Key = key(
    ("test_profile", "pids_by_path"),
    Kind::Switch,
    "false",
    "传输消息以路径中的标识为准,不核对消息内的标识",
    "Messages about transfers are about the one in their path, whatever ids they name",
);
