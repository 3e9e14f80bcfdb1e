//! Settings of evidence of this machine.
//!
//! Part of the table above, and nothing else.

use super::{Key, Kind, key};

pub(super) const MAKER: Key = key(
    ("attest", "maker"),
    Kind::Text,
    "\"none\"",
    "由谁生成本机的环境证明:none(无)或 tsm(Linux 6.7 起的 configfs-tsm:AMD SEV-SNP、Intel TDX 虚拟机)",
    "Who makes evidence of this machine: none, or tsm (configfs-tsm of Linux 6.7 and later: guests of AMD SEV-SNP and Intel TDX)",
);
pub(super) const TSM_ROOT: Key = key(
    ("attest", "tsm_root"),
    Kind::Text,
    "\"/sys/kernel/config/tsm/report\"",
    "tsm:configfs-tsm 的报告目录;本进程须可在其中建立目录",
    "tsm: the folder of configfs-tsm for reports; this process must be able to make folders there",
);
