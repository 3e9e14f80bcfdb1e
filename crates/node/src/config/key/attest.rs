//! Settings of evidence of this machine.
//!
//! Part of the table above, and nothing else.

use super::{Key, Kind, key};

pub(super) const MAKER: Key = key(
    ("attest", "maker"),
    Kind::Text,
    "\"none\"",
    "由谁生成本机的环境证明:none(无)、tsm(Linux 6.7 起的 configfs-tsm:AMD SEV-SNP、Intel TDX 虚拟机)或 tpm(TPM 2.0,不能证明可信执行环境)",
    "Who makes evidence of this machine: none, tsm (configfs-tsm of Linux 6.7 and later: guests of AMD SEV-SNP and Intel TDX) or tpm (TPM 2.0, which proves no trusted environment)",
);
pub(super) const TSM_ROOT: Key = key(
    ("attest", "tsm_root"),
    Kind::Text,
    "\"/sys/kernel/config/tsm/report\"",
    "tsm:configfs-tsm 的报告目录;本进程须可在其中建立目录",
    "tsm: the folder of configfs-tsm for reports; this process must be able to make folders there",
);
pub(super) const TPM: Key = key(
    ("attest", "tpm"),
    Kind::Text,
    "\"/dev/tpmrm0\"",
    "tpm:设备路径;测试用模拟器写作 emulator:/路径 或 emulator:地址:端口",
    "tpm: the device; a program that plays a TPM, for tests, is emulator:/PATH or emulator:ADDRESS:PORT",
);
pub(super) const TPM_KEY: Key = key(
    ("attest", "tpm_key"),
    Kind::Text,
    "\"0x81010002\"",
    "tpm:证明密钥(受限签名密钥,无口令)的持久句柄",
    "tpm: persistent handle of the attestation key, a restricted signing key without a password",
);
pub(super) const TPM_PCRS: Key = key(
    ("attest", "tpm_pcrs"),
    Kind::List,
    "[\"0\", \"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\"]",
    "tpm:引证所涵盖的 PCR(SHA-256)",
    "tpm: the PCRs that a quote is about, of the SHA-256 bank",
);
