//! `[people]`: how administrators are separated, of whom a second factor is asked, which identity provider is believed.
//!
//! Never a half-configured provider: issuer and client come together, and each mapping must name a role that exists.

use std::time::Duration;

use tidm_space::people::decide::{SecondFactor, Settings};
use tidm_space::people::oidc::Mapping;
use tidm_space::people::role::Role;

use super::{Context, url};
use crate::config::error::{ConfigError, text};
use crate::config::{Oidc, People, raw};

pub(super) fn people(cx: &Context<'_>, raw: raw::People) -> Result<People, ConfigError> {
    let no = |key: &str, value: &str, all: &str| {
        let next = text(format!("取值 {all}"), format!("one of {all}"));
        cx.bad(key, value, text("没有这个取值", "there is no such value"), next)
    };
    let separation = match raw.separation.as_deref().unwrap_or("off") {
        "on" => true,
        "off" => false,
        other => return Err(no("people.separation", other, "on, off")),
    };
    let second_factor = match raw.second_factor.as_deref().unwrap_or("off") {
        "off" => SecondFactor::Off,
        "administrators" => SecondFactor::Administrators,
        "everybody" => SecondFactor::Everybody,
        other => return Err(no("people.second_factor", other, "off, administrators, everybody")),
    };
    let session = cx.number("people.session_minutes", raw.session_minutes, 720, (5, 10_080))?;
    let idle = cx.number("people.idle_minutes", raw.idle_minutes, 30, (1, 1440))?;
    Ok(People {
        settings: Settings { separation, second_factor },
        session: Duration::from_secs(session * 60),
        idle: Duration::from_secs(idle * 60),
        oidc: oidc(cx, raw.oidc_issuer, raw.oidc_client, raw.oidc_secret_file, &raw.oidc_roles)?,
    })
}

fn oidc(
    cx: &Context<'_>,
    issuer: Option<String>,
    client: Option<String>,
    secret_file: Option<String>,
    roles: &[String],
) -> Result<Option<Oidc>, ConfigError> {
    let (issuer, client) = match (issuer, client) {
        (None, None) if secret_file.is_none() && roles.is_empty() => return Ok(None),
        (Some(issuer), Some(client)) if !client.is_empty() => (issuer, client),
        (issuer, _) => {
            let key = if issuer.is_none() { "people.oidc_issuer" } else { "people.oidc_client" };
            return Err(ConfigError::missing(
                key,
                text("身份提供方与客户端标识须同时设置", "issuer and client id come together"),
                text(
                    "设置 people.oidc_issuer 和 people.oidc_client",
                    "set people.oidc_issuer and people.oidc_client",
                ),
            ));
        }
    };
    url(cx, "people.oidc_issuer", &issuer)?;
    let mut mappings = Vec::new();
    for it in roles {
        let all = Role::ALL.map(Role::word).join(", ");
        mappings.push(Mapping::parse(it).ok_or_else(|| {
            cx.bad(
                "people.oidc_roles",
                it,
                text("不是 声明:值=角色", "not CLAIM:VALUE=ROLE"),
                text(format!("角色:{all}"), format!("roles are {all}")),
            )
        })?);
    }
    let secret_file = secret_file.map(|it| cx.path(&it));
    Ok(Some(Oidc { issuer, client, secret_file, roles: mappings }))
}
