//! Whom the node believes: identity mode, trusted issuers, and what a test profile adds.
//!
//! Never a mode that proves nothing by default.

use std::time::Duration;

use super::check::Context;
use super::error::{ConfigError, text};
use super::{Dcp, Http, Mode, TestProfile, raw};

pub(super) fn identity(
    cx: &Context<'_>,
    raw: raw::Identity,
    http: &Http,
) -> Result<Mode, ConfigError> {
    let (development, dcp) = match raw.mode.as_deref() {
        None | Some("did") => (false, false),
        Some("dcp") => (false, true),
        Some("development") => (true, false),
        Some(other) => {
            return Err(cx.bad(
                "identity.mode",
                other,
                text("没有这种模式", "there is no such mode"),
                text("取值 did、dcp 或 development", "did, dcp or development"),
            ));
        }
    };
    let claims = raw.claims.unwrap_or(false);
    if !development && (claims || raw.tokens_file.is_some()) {
        let key = if claims { "identity.claims" } else { "identity.tokens_file" };
        return Err(ConfigError::missing(
            "identity.mode",
            text(
                format!("{key} 只用于 development 模式"),
                format!("{key} is for the mode development"),
            ),
            text(
                "设置 identity.mode = \"development\",或删除该项",
                "set identity.mode = \"development\", or remove it",
            ),
        ));
    }
    if claims && !http.listen.ip().is_loopback() {
        return Err(cx.bad(
            "identity.claims",
            "true",
            text(
                "JSON 声明不证明任何事:监听地址可从外部访问时,任何人都能冒充任何参与方",
                "a JSON claim proves nothing: at an address that can be reached from outside, anybody could be anybody",
            ),
            text(
                "改为监听 127.0.0.1,或使用 identity.tokens_file",
                "listen on 127.0.0.1, or use identity.tokens_file",
            ),
        ));
    }
    if !development {
        return Ok(if dcp { Mode::Dcp } else { Mode::Did });
    }
    Ok(Mode::Development { claims, tokens: raw.tokens_file.map(|it| cx.path(&it)) })
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
