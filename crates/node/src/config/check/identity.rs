//! `[identity]` and the modes of further spaces: how peers prove who they are, checked against where the node listens.
//!
//! Never a mode by accident: a setting of another mode than the one chosen is refused, not ignored.

use std::path::PathBuf;

use super::Context;
use crate::config::error::{ConfigError, Text, text};
use crate::config::{Also, Authorities, Http, Mode, Security, Space, raw};

/// The mode of the first space, and what we show to servers that ask for a certificate.
pub(super) type Checked = (Mode, Option<(PathBuf, PathBuf)>);

pub(super) fn check(
    cx: &Context<'_>,
    raw: raw::Identity,
    http: &Http,
    space: &Space,
) -> Result<Checked, ConfigError> {
    // Whom a list names needs no credential; where there is no list, credentials are what makes a member.
    let usual = if space.members.is_some() { "did" } else { "dcp" };
    let mode = raw.mode.as_deref().unwrap_or(usual);
    if !["did", "dcp", "mtls", "development"].contains(&mode) {
        let next = text("取值 did、dcp、mtls 或 development", "did, dcp, mtls or development");
        return Err(cx.bad("identity.mode", mode, no_mode(), next));
    }
    let claims = raw.claims.unwrap_or(false);
    let any_mtls = mode == "mtls" || space.also.iter().any(|it| matches!(it.mode, Mode::Mtls(_)));
    for (key, set, of, ok) in [
        ("identity.claims", claims, "development", mode == "development"),
        ("identity.tokens_file", raw.tokens_file.is_some(), "development", mode == "development"),
        ("identity.client_ca", raw.client_ca.is_some(), "mtls", mode == "mtls"),
        ("identity.client_crls", !raw.client_crls.is_empty(), "mtls", mode == "mtls"),
        ("identity.client_names", raw.client_names.is_some(), "mtls", mode == "mtls"),
        ("identity.client_cert", raw.client_cert.is_some(), "mtls", any_mtls),
        ("identity.client_key", raw.client_key.is_some(), "mtls", any_mtls),
    ] {
        if set && !ok {
            return Err(of_another_mode("identity.mode", key, of));
        }
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
    let certificate = client_certificate(cx, (raw.client_cert, raw.client_key), http)?;
    let mode = match mode {
        "dcp" => Mode::Dcp,
        "development" => {
            Mode::Development { claims, tokens: raw.tokens_file.map(|it| cx.path(&it)) }
        }
        "mtls" => {
            let files = (raw.client_ca, raw.client_crls, raw.client_names);
            mtls(cx, ("identity.mode", "identity.client_ca"), files, http)?
        }
        _ => Mode::Did,
    };
    Ok((mode, certificate.filter(|_| any_mtls)))
}

/// A further space. Never `development`: what believes claims is the whole of a node or nothing of it.
pub(super) fn also(cx: &Context<'_>, raw: raw::Also, http: &Http) -> Result<Also, ConfigError> {
    const KEY: &str = "space.also";
    let missing = |what: &str| {
        ConfigError::missing(
            KEY,
            text(format!("缺少 {what}"), format!("{what} is missing")),
            text(
                "每个空间需要 mode、operator,以及(dcp 除外)members",
                "each space needs mode and operator, and members unless its mode is dcp",
            ),
        )
    };
    let mode = raw.mode.as_deref().ok_or_else(|| missing("mode"))?;
    let files = (raw.client_ca, raw.client_crls, raw.client_names);
    if mode != "mtls" && (files.0.is_some() || !files.1.is_empty() || files.2.is_some()) {
        return Err(of_another_mode(KEY, "client_*", "mtls"));
    }
    let mode = match mode {
        "did" => Mode::Did,
        "dcp" => Mode::Dcp,
        "mtls" => mtls(cx, (KEY, KEY), files, http)?,
        other => {
            return Err(cx.bad(
                KEY,
                other,
                no_mode(),
                text("取值 did、dcp 或 mtls", "did, dcp or mtls"),
            ));
        }
    };
    let operator = raw.operator.ok_or_else(|| missing("operator"))?;
    let operator = cx.did(KEY, &operator)?;
    let members = raw.members.as_deref().map(|it| super::members(cx, KEY, it)).transpose()?;
    if members.is_none() && mode != Mode::Dcp {
        return Err(missing("members"));
    }
    Ok(Also { mode, members, operator })
}

fn mtls(
    cx: &Context<'_>,
    (mode_key, ca_key): (&str, &str),
    (ca, crls, names): (Option<String>, Vec<String>, Option<String>),
    http: &Http,
) -> Result<Mode, ConfigError> {
    if http.security == Security::Plain {
        return Err(cx.bad(
            mode_key,
            "mtls",
            text(
                "双向 TLS 需要本节点自己终结 TLS;明文 HTTP 上没有客户端证书",
                "mutual TLS needs this node to speak TLS itself; over plain HTTP nobody shows a certificate",
            ),
            text("设置 http.tls_cert 和 http.tls_key", "set http.tls_cert and http.tls_key"),
        ));
    }
    let ca = ca.ok_or_else(|| {
        ConfigError::missing(
            ca_key,
            text(
                "mtls 模式需要 client_ca:哪些 CA 为成员签发证书",
                "the mode mtls needs client_ca: the authorities that vouch for members",
            ),
            text("设为 CA 证书文件(PEM)", "set it to a file of CA certificates, PEM"),
        )
    })?;
    Ok(Mode::Mtls(Authorities {
        ca: cx.path(&ca),
        crls: crls.iter().map(|it| cx.path(it)).collect(),
        names: names.map(|it| cx.path(&it)),
    }))
}

/// As configured, or the one that we listen with.
fn client_certificate(
    cx: &Context<'_>,
    pair: (Option<String>, Option<String>),
    http: &Http,
) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    match (pair, &http.security) {
        ((Some(cert), Some(key)), _) => Ok(Some((cx.path(&cert), cx.path(&key)))),
        ((None, None), Security::Tls { cert, key, .. }) => Ok(Some((cert.clone(), key.clone()))),
        ((None, None), Security::Plain) => Ok(None),
        ((cert, _), _) => Err(ConfigError::missing(
            if cert.is_some() { "identity.client_key" } else { "identity.client_cert" },
            text("证书和私钥必须同时设置", "certificate and key come together"),
            text(
                "同时设置 identity.client_cert 和 identity.client_key",
                "set both identity.client_cert and identity.client_key",
            ),
        )),
    }
}

fn no_mode() -> Box<Text> {
    text("没有这种模式", "there is no such mode")
}

fn of_another_mode(at: &str, key: &str, mode: &str) -> ConfigError {
    // In a further space the key of the mode is just that.
    let set = if at == "identity.mode" { at } else { "mode" };
    ConfigError::missing(
        at,
        text(format!("{key} 只用于 {mode} 模式"), format!("{key} is for the mode {mode}")),
        text(
            format!("设置 {set} = \"{mode}\",或删除该项"),
            format!("set {set} = \"{mode}\", or remove it"),
        ),
    )
}
