//! `[dcp]` and the identities of `[test_profile]`: whose credentials are believed, and for how long; `[flight]`,
//! which lets other parties' programs in, and `[sealed]`.
//!
//! Never an identity of the test profile by accident: naming one is refused at start without the flag.

use std::time::Duration;

use tidm_crypto::suite::Suite;

use super::Context;
use crate::config::error::{ConfigError, text};
use crate::config::{Dcp, Flight, Http, Sealed, TestProfile, raw};

/// gRPC knows host and port, no path: behind a public URL with one nobody would find the service.
pub(super) fn flight(
    cx: &Context<'_>,
    raw: &raw::Flight,
    http: &Http,
) -> Result<Flight, ConfigError> {
    let enabled = raw.enabled.unwrap_or(false);
    let authority = http.public_url.split_once("://").map_or("", |(_, rest)| rest);
    if enabled && authority.contains('/') {
        return Err(cx.bad(
            "flight.enabled",
            "true",
            text(
                "http.public_url 带有路径,而 gRPC 地址只有主机和端口",
                "http.public_url has a path, and an address of gRPC is host and port only",
            ),
            text(
                "请让 http.public_url 只含主机和端口,或关闭 flight.enabled",
                "give http.public_url host and port only, or leave flight.enabled off",
            ),
        ));
    }
    Ok(Flight { enabled })
}

/// The suite of sealed files.
pub(super) fn sealed(cx: &Context<'_>, raw: &raw::Sealed) -> Result<Sealed, ConfigError> {
    let name = raw.suite.as_deref().unwrap_or(Suite::International.name());
    let suite = Suite::from_name(name).ok_or_else(|| {
        cx.bad(
            "sealed.suite",
            name,
            text("没有这样的算法套件", "there is no such suite"),
            text("请使用 international 或 guomi", "use international or guomi"),
        )
    })?;
    Ok(Sealed { suite })
}

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
