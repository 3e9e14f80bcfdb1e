//! The section `[attest]`: who makes evidence of this machine.
//!
//! Never a maker by itself: without a word nobody makes any, and whatever machine this is counts as an ordinary one.

use super::check::Context;
use super::error::{ConfigError, text};
use super::{Attest, raw};
use crate::attest::tsm;

pub(super) fn attest(cx: &Context<'_>, raw: raw::Attest) -> Result<Attest, ConfigError> {
    let root = raw.tsm_root.as_deref();
    match raw.maker.as_deref().unwrap_or("none") {
        "none" => match root {
            None => Ok(Attest::None),
            Some(root) => Err(cx.bad(
                "attest.tsm_root",
                root,
                text("attest.maker 不是 tsm", "attest.maker is not tsm"),
                text(
                    "设置 attest.maker = \"tsm\",或删除此项",
                    "set attest.maker = \"tsm\", or remove it",
                ),
            )),
        },
        "tsm" => Ok(Attest::Tsm { root: cx.path(root.unwrap_or(tsm::ROOT)) }),
        other => Err(cx.bad(
            "attest.maker",
            other,
            text("没有这种生成方式", "there is no such maker"),
            text("取值 none 或 tsm", "none or tsm"),
        )),
    }
}
