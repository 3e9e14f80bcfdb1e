//! The section `[signaling]`: Data Plane Signaling, from raw to checked.
//!
//! Never on by itself: without `enabled` no plane of another program is heard, whatever else is set.

use std::collections::BTreeMap;

use tidm_space::dataflow::message::Profile;
use tidm_space::id::Id;

use super::check::Context;
use super::error::{ConfigError, text};
use super::{Signaling, raw};

const PROFILES: usize = 64;

pub(super) fn signaling(cx: &Context<'_>, raw: raw::Signaling) -> Result<Signaling, ConfigError> {
    let mut profiles = vec![Profile::HTTP_PULL.to_owned(), Profile::HTTP_PUSH.to_owned()];
    profiles.extend(raw.profiles);
    for name in &profiles {
        if Profile::new(name.as_str()).direction().is_none() || profiles.len() > PROFILES {
            return Err(cx.bad(
                "signaling.profiles",
                name,
                text(
                    "名称须以 -pull 或 -push 结尾,至多 64 个",
                    "a profile's name ends in -pull or -push, and there are at most 64",
                ),
                text("例如 http-pull", "for example http-pull"),
            ));
        }
    }
    for name in &raw.background {
        if !profiles.contains(name) {
            return Err(cx.bad(
                "signaling.background",
                name,
                text("不在 signaling.profiles 之中", "it is not one of signaling.profiles"),
                text("请先加入 signaling.profiles", "add it to signaling.profiles first"),
            ));
        }
    }
    let mut sources = BTreeMap::new();
    for pair in &raw.sources {
        let found = pair.split_once('=').and_then(|(id, url)| Some((Id::parse(id).ok()?, url)));
        let Some((dataset, address)) = found else {
            return Err(cx.bad(
                "signaling.sources",
                pair,
                text("不是 数据集=地址", "not DATASET=ADDRESS"),
                text(
                    "例如 urn:dataset:1=https://provider.example.com/data",
                    "for example urn:dataset:1=https://provider.example.com/data",
                ),
            ));
        };
        sources.insert(dataset, address.to_owned());
    }
    Ok(Signaling {
        enabled: raw.enabled.unwrap_or(false),
        profiles,
        background: raw.background,
        sources,
        trust_network: raw.trust_network.unwrap_or(false),
    })
}
