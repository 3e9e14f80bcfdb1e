//! `[identity]`: the mode in which peers prove who they are, checked against where the node listens.
//!
//! Never a mode by accident: a setting of another mode than the one chosen is refused, not ignored.

use super::Context;
use crate::config::error::{ConfigError, text};
use crate::config::{Http, Mode, raw};

pub(super) fn check(
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
