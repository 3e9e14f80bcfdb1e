//! Settings of people: how administrators are separated, of whom a second factor is asked, where people sign in.
//!
//! Part of the table above, and nothing else.

use super::{Key, Kind, key};

pub(super) const SEPARATION: Key = key(
    ("people", "separation"),
    Kind::Text,
    "\"off\"",
    "三员分立:on 时系统、安全、审计管理员必须是不同账户;off 时一个管理员可兼任",
    "on: system, security and audit administrator are different accounts; off: one administrator may be all",
);
pub(super) const SECOND_FACTOR: Key = key(
    ("people", "second_factor"),
    Kind::Text,
    "\"off\"",
    "要求第二因素(TOTP)的人员:off、administrators 或 everybody",
    "Who must have a second factor (TOTP): off, administrators or everybody",
);
pub(super) const SESSION_MINUTES: Key = key(
    ("people", "session_minutes"),
    Kind::Number,
    "720",
    "会话最长时间(分钟)",
    "A session ends after this long, minutes",
);
pub(super) const IDLE_MINUTES: Key = key(
    ("people", "idle_minutes"),
    Kind::Number,
    "30",
    "会话无操作多久后结束(分钟)",
    "A session that nobody uses ends after this long, minutes",
);
pub(super) const OIDC_ISSUER: Key = key(
    ("people", "oidc_issuer"),
    Kind::Text,
    "\"https://login.example.com\"",
    "身份提供方(OpenID Connect)的 issuer;内网地址另需 peers.allow_private_addresses",
    "Issuer of the identity provider (OpenID Connect); at a private address it needs peers.allow_private_addresses",
);
pub(super) const OIDC_CLIENT: Key = key(
    ("people", "oidc_client"),
    Kind::Text,
    "\"tidm\"",
    "在身份提供方登记的客户端标识;回调地址为 http.public_url/api/oidc",
    "Client id registered there; the redirect address is http.public_url/api/oidc",
);
pub(super) const OIDC_SECRET_FILE: Key = key(
    ("people", "oidc_secret_file"),
    Kind::Text,
    "\"keys/oidc.secret\"",
    "存放客户端密钥的文件(权限 0600);公共客户端不设",
    "File that holds the client's secret, mode 0600; none for a public client",
);
pub(super) const OIDC_ROLES: Key = key(
    ("people", "oidc_roles"),
    Kind::List,
    "[\"groups:quality=analyst\"]",
    "由声明得出的角色:声明:值=角色;三员分立时不授予管理员角色",
    "Roles that follow from claims, CLAIM:VALUE=ROLE; under separation never an administrator's",
);
