//! `[dcp]` and the identities of `[test_profile]`: whose credentials are believed, and for how long.
//!
//! Never an identity of the test profile by accident: naming one is refused at start without the flag.

use std::time::Duration;

use super::Context;
use crate::config::error::{ConfigError, text};
use crate::config::{Dcp, TestProfile, raw};

pub(super) fn test_profile(
    cx: &Context<'_>,
    raw: raw::TestProfile,
) -> Result<TestProfile, ConfigError> {
    // Each is a path segment of ours and a segment of its DID.
    let wrong = |it: &&String| it.is_empty() || !it.bytes().all(|c| c.is_ascii_lowercase());
    if let Some(name) = raw.identities.iter().find(wrong) {
        return Err(cx.bad(
            "test_profile.identities",
            name,
            text("只能由小写字母组成", "only small letters"),
            text("例如 [\"holder\"]", "for example [\"holder\"]"),
        ));
    }
    Ok(TestProfile {
        file: raw.file.map(|it| cx.path(&it)),
        pids_by_path: raw.pids_by_path.unwrap_or(false),
        identities: raw.identities,
        secret_file: raw.secret_file.map(|it| cx.path(&it)),
        allowed: false,
    })
}

pub(super) fn dcp(cx: &Context<'_>, raw: raw::Dcp) -> Result<Dcp, ConfigError> {
    let issuers = raw.issuers.iter().map(|it| cx.did("dcp.issuers", it));
    let cache = cx.number("dcp.cache_seconds", raw.cache_seconds, 3600, (0, 86_400))?;
    let status = cx.number("dcp.status_seconds", raw.status_seconds, 60, (0, 3600))?;
    Ok(Dcp {
        issuers: issuers.collect::<Result<_, _>>()?,
        membership_age: Duration::from_secs(cache),
        status_age: Duration::from_secs(status),
    })
}
