//! The section `[attest]`: who makes evidence of this machine.
//!
//! Never a maker by itself: without a word nobody makes any, and whatever machine this is counts as an ordinary one.

use super::check::Context;
use super::error::{ConfigError, text};
use super::{Attest, raw};
use crate::attest::tpm::Place;
use crate::attest::tsm;

/// The kernel's device, with its resource manager.
const TPM: &str = "/dev/tpmrm0";
/// Handles of persistent objects.
const PERSISTENT: std::ops::RangeInclusive<u32> = 0x8100_0000..=0x81FF_FFFF;
/// Firmware, its settings, boot loader, what it loads, secure boot: nothing that software resets.
const PCRS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7"];

pub(super) fn attest(cx: &Context<'_>, raw: raw::Attest) -> Result<Attest, ConfigError> {
    let maker = raw.maker.as_deref().unwrap_or("none");
    for (of, key, value) in [
        ("tsm", "attest.tsm_root", &raw.tsm_root),
        ("tpm", "attest.tpm", &raw.tpm),
        ("tpm", "attest.tpm_key", &raw.tpm_key),
    ] {
        if let Some(value) = value.as_deref().filter(|_| of != maker) {
            return Err(cx.bad(
                key,
                value,
                text(format!("attest.maker 不是 {of}"), format!("attest.maker is not {of}")),
                text("设置 attest.maker,或删除此项", "set attest.maker, or remove it"),
            ));
        }
    }
    match maker {
        "none" => Ok(Attest::None),
        "tsm" => Ok(Attest::Tsm { root: cx.path(raw.tsm_root.as_deref().unwrap_or(tsm::ROOT)) }),
        "tpm" => Ok(Attest::Tpm {
            place: place(cx, raw.tpm.as_deref().unwrap_or(TPM))?,
            key: handle(cx, raw.tpm_key.as_deref().unwrap_or_default())?,
            pcrs: pcrs(cx, raw.tpm_pcrs)?,
        }),
        other => Err(cx.bad(
            "attest.maker",
            other,
            text("没有这种生成方式", "there is no such maker"),
            text("取值 none、tsm 或 tpm", "none, tsm or tpm"),
        )),
    }
}

fn place(cx: &Context<'_>, value: &str) -> Result<Place, ConfigError> {
    Place::parse(value).ok_or_else(|| {
        cx.bad(
            "attest.tpm",
            value,
            text(
                "不是设备路径,也不是模拟器地址",
                "neither a device's path nor an emulator's address",
            ),
            text(
                "例如 /dev/tpmrm0;测试用 emulator:/run/swtpm.sock",
                "for example /dev/tpmrm0; for tests emulator:/run/swtpm.sock",
            ),
        )
    })
}

fn handle(cx: &Context<'_>, value: &str) -> Result<u32, ConfigError> {
    let digits = value.strip_prefix("0x").and_then(|it| u32::from_str_radix(it, 16).ok());
    digits.filter(|it| PERSISTENT.contains(it)).ok_or_else(|| {
        cx.bad(
            "attest.tpm_key",
            value,
            text("不是持久对象的句柄", "not the handle of a persistent key"),
            text(
                "例如 0x81010002;建立方法见 docs/attestation.md",
                "for example 0x81010002; docs/attestation.md says how one is made",
            ),
        )
    })
}

fn pcrs(cx: &Context<'_>, raw: Option<Vec<String>>) -> Result<[u8; 3], ConfigError> {
    let all = raw.unwrap_or_else(|| PCRS.iter().map(|it| (*it).to_owned()).collect());
    let mut bits = [0_u8; 3];
    for text_ in &all {
        let pcr = text_.parse::<usize>().ok();
        let byte = pcr.and_then(|pcr| Some((bits.get_mut(pcr / 8)?, pcr % 8)));
        let Some((byte, bit)) = byte else {
            return Err(cx.bad(
                "attest.tpm_pcrs",
                text_,
                text("PCR 取值 0 至 23", "PCRs are from 0 to 23"),
                text("例如 [\"0\", \"7\"]", "for example [\"0\", \"7\"]"),
            ));
        };
        *byte |= 1 << bit;
    }
    Ok(bits)
}
