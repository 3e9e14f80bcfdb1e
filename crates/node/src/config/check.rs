//! From raw to checked, component by component.
//!
//! Never repairs a value: a setting is as written, or refused with key, value and next step.

mod identity;
mod people;
mod trust;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Uri;
use tidm_space::identity::did::Did;

use super::attest::attest;
use super::credit_code::credit_code_holds;
use super::error::{ConfigError, From, Text, text};
use super::layers::Origins;
use super::objects::objects;
use super::raw::{self, Raw};
use super::{
    Config, Custodian, Evidence, Http, Limits, Members, Node, Peers, Role, Security, Space, Store,
};
use super::{signaling, tc609};
use crate::lang::Lang;
use crate::server::budget::Bounds;

/// Loopback until somebody decides otherwise.
const LISTEN: &str = "127.0.0.1:8443";
const MIB: u64 = 1 << 20;
/// A name on a title bar and in a certificate.
const ORG_CHARS: usize = 200;
/// Witness answers with 16 and more signatures must be readable; beyond that notes grow without gain.
const CUSTODIANS: usize = 16;

/// What every check needs besides the value.
pub(super) struct Context<'a> {
    dir: &'a Path,
    origins: &'a Origins,
}

impl Context<'_> {
    pub(super) fn bad(
        &self,
        key: &str,
        value: &str,
        why: Box<Text>,
        next: Box<Text>,
    ) -> ConfigError {
        let from = self.origins.get(key).copied().unwrap_or(From::Default);
        ConfigError::bad(key, value, from, why, next)
    }

    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.dir.join(text)
    }

    /// A number within bounds; both ends named when it is not.
    pub(super) fn number(
        &self,
        key: &str,
        value: Option<u64>,
        default: u64,
        bounds: (u64, u64),
    ) -> Result<u64, ConfigError> {
        let value = value.unwrap_or(default);
        if (bounds.0..=bounds.1).contains(&value) {
            return Ok(value);
        }
        let (least, most) = bounds;
        Err(self.bad(
            key,
            &value.to_string(),
            text("超出范围", "out of range"),
            text(
                format!("取值 {least} 至 {most},默认 {default}"),
                format!("from {least} to {most}, by default {default}"),
            ),
        ))
    }

    fn did(&self, key: &str, value: &str) -> Result<Did, ConfigError> {
        Did::parse(value).map_err(|_| {
            self.bad(
                key,
                value,
                text("不是合法的 DID", "not a DID"),
                text("例如 did:web:node.example.com", "for example did:web:node.example.com"),
            )
        })
    }
}

pub(super) fn check(dir: &Path, raw: Raw, origins: &Origins) -> Result<Config, ConfigError> {
    let cx = Context { dir, origins };
    let http = http(&cx, raw.http)?;
    let node = node(&cx, raw.node, &http)?;
    let evidence = evidence(&cx, raw.evidence, &http)?;
    let store = store(&cx, raw.store, &node)?;
    witness_state(&cx, &store, &node)?;
    let space = space(&cx, raw.space, &http)?;
    let (identity, client_certificate) = identity::check(&cx, raw.identity, &http, &space)?;
    Ok(Config {
        identity,
        client_certificate,
        attest: attest(&cx, raw.attest)?,
        people: people::people(&cx, raw.people)?,
        test_profile: trust::test_profile(&cx, raw.test_profile)?,
        store,
        objects: objects(&cx, raw.objects, &node)?,
        space,
        limits: limits(&cx, &raw.limits)?,
        peers: peers(&cx, &raw.peers)?,
        flight: trust::flight(&cx, &raw.flight, &http)?,
        sealed: trust::sealed(&cx, &raw.sealed)?,
        signaling: signaling::signaling(&cx, raw.signaling)?,
        tc609: tc609::tc609(&cx, raw.tc609, node.credit_code.as_deref())?,
        dcp: trust::dcp(&cx, raw.dcp)?,
        node,
        http,
        evidence,
    })
}

/// Two replicas of a custodian, each with its own state, could vouch for two forks.
fn witness_state(cx: &Context<'_>, store: &Store, node: &Node) -> Result<(), ConfigError> {
    if matches!(store, Store::Postgres(_)) && node.roles.contains(&Role::Custodian) {
        return Err(cx.bad(
            "node.roles",
            "custodian",
            text(
                "存证方记录见证状态的文件属于单个进程，而 PostgreSQL 节点可有多个副本：两个副本可能各自见证不同分叉",
                "a custodian's witness state belongs to one process, and a node on PostgreSQL may have replicas: two of them could vouch for two forks",
            ),
            text(
                "存证方使用 SQLite，或作为单独节点运行",
                "keep the custodian on SQLite, as a node of its own",
            ),
        ));
    }
    Ok(())
}

fn node(cx: &Context<'_>, raw: raw::Node, http: &Http) -> Result<Node, ConfigError> {
    let org = raw.org.unwrap_or_default().trim().to_owned();
    if org.is_empty() || org.chars().count() > ORG_CHARS || org.chars().any(char::is_control) {
        return Err(cx.bad(
            "node.org",
            &org,
            text("组织名称为空或过长", "the organisation's name is empty or too long"),
            text(
                "运行 `tidm init --org 名称`,或设置 node.org",
                "run `tidm init --org NAME`, or set node.org",
            ),
        ));
    }
    if let Some(code) = raw.credit_code.as_deref().filter(|it| !credit_code_holds(it)) {
        return Err(cx.bad(
            "node.credit_code",
            code,
            text("不是合法的统一社会信用代码(GB 32100:18 位,末位为校验码)", "not a unified social credit code (GB 32100: 18 characters, the last checks the others)"),
            text("请核对营业执照上的代码", "compare it with the business licence"),
        ));
    }
    let did = match raw.did {
        Some(text) => cx.did("node.did", &text)?,
        None => did_of(cx, &http.public_url)?,
    };
    let lang = match raw.lang.as_deref() {
        None => Lang::default(),
        Some(tag) => Lang::parse(tag).ok_or_else(|| {
            cx.bad(
                "node.lang",
                tag,
                text("不支持的语言", "no such language here"),
                text("取值 zh 或 en", "zh or en"),
            )
        })?,
    };
    let data = cx.path(raw.data.as_deref().unwrap_or("data"));
    Ok(Node { org, credit_code: raw.credit_code, did, roles: roles(cx, raw.roles)?, data, lang })
}

fn roles(cx: &Context<'_>, raw: Option<Vec<String>>) -> Result<BTreeSet<Role>, ConfigError> {
    let Some(names) = raw else { return Ok([Role::Provider, Role::Consumer].into()) };
    let all = Role::ALL.map(Role::name).join(", ");
    let next = || text(format!("取值:{all}"), format!("one or more of {all}"));
    let mut roles = BTreeSet::new();
    for name in &names {
        let role = Role::ALL.into_iter().find(|it| it.name() == name);
        roles.insert(role.ok_or_else(|| {
            cx.bad("node.roles", name, text("没有这个角色", "there is no such role"), next())
        })?);
    }
    if roles.is_empty() {
        return Err(cx.bad("node.roles", "", text("没有任何角色", "a node needs a role"), next()));
    }
    Ok(roles)
}

fn http(cx: &Context<'_>, raw: raw::Http) -> Result<Http, ConfigError> {
    let listen = raw.listen.as_deref().unwrap_or(LISTEN);
    let listen: SocketAddr = listen.parse().map_err(|_| {
        cx.bad(
            "http.listen",
            listen,
            text("不是 地址:端口", "not ADDRESS:PORT"),
            text(
                "例如 127.0.0.1:8443 或 0.0.0.0:8443",
                "for example 127.0.0.1:8443 or 0.0.0.0:8443",
            ),
        )
    })?;
    let security = security(cx, &raw, listen)?;
    let scheme = if security == Security::Plain { "http" } else { "https" };
    let public_url = match raw.public_url {
        Some(text) => url(cx, "http.public_url", &text)?,
        None if listen.ip().is_loopback() => format!("{scheme}://localhost:{}", listen.port()),
        None => {
            return Err(ConfigError::missing(
                "http.public_url",
                text(
                    "监听非本机地址时,其他节点需要知道如何访问本节点",
                    "a node that listens beyond loopback must say how others reach it",
                ),
                text(
                    "例如 https://node.example.com:8443",
                    "for example https://node.example.com:8443",
                ),
            ));
        }
    };
    Ok(Http { listen, public_url, security })
}

fn security(
    cx: &Context<'_>,
    raw: &raw::Http,
    listen: SocketAddr,
) -> Result<Security, ConfigError> {
    let insecure = raw.insecure_http.unwrap_or(false);
    match (&raw.tls_cert, &raw.tls_key) {
        (Some(_), Some(_)) if insecure => Err(cx.bad(
            "http.insecure_http",
            "true",
            text("与 http.tls_cert 矛盾", "contradicts http.tls_cert"),
            text("删除其中之一", "remove one of them"),
        )),
        (Some(cert), Some(key)) => Ok(Security::Tls {
            cert: cx.path(cert),
            key: cx.path(key),
            ca: raw.tls_ca.as_deref().map(|it| cx.path(it)),
        }),
        (None, None) if !listen.ip().is_loopback() => Err(cx.bad(
            "http.listen",
            &listen.to_string(),
            text(
                "该地址可从外部访问但没有 TLS:令牌和数据会以明文传输(insecure_http 只适用于本机地址)",
                "this address can be reached from outside and there is no TLS: tokens and data would travel in clear (insecure_http is for loopback only)",
            ),
            text("设置 http.tls_cert 和 http.tls_key,或改为 127.0.0.1 并在前面放置反向代理", "set http.tls_cert and http.tls_key, or listen on 127.0.0.1 behind a reverse proxy"),
        )),
        (None, None) if !insecure => Err(ConfigError::missing(
            "http.tls_cert",
            text("没有 TLS 证书,且未允许明文 HTTP", "there is no TLS certificate and plain HTTP is not allowed"),
            text("设置 http.tls_cert 和 http.tls_key;仅在本机试用时可设 http.insecure_http = true", "set http.tls_cert and http.tls_key; for a trial on this machine alone, http.insecure_http = true"),
        )),
        (None, None) => Ok(Security::Plain),
        (Some(_), None) | (None, Some(_)) => Err(ConfigError::missing(
            if raw.tls_cert.is_some() { "http.tls_key" } else { "http.tls_cert" },
            text("证书和私钥必须同时设置", "certificate and key come together"),
            text("同时设置 http.tls_cert 和 http.tls_key", "set both http.tls_cert and http.tls_key"),
        )),
    }
}

fn store(cx: &Context<'_>, raw: raw::Store, node: &Node) -> Result<Store, ConfigError> {
    let Some(url) = raw.url else { return Ok(Store::Sqlite(node.data.join("tidm.db"))) };
    if let Some(path) = url.strip_prefix("sqlite:").filter(|it| !it.is_empty()) {
        let path = path.strip_prefix("//").unwrap_or(path);
        return Ok(Store::Sqlite(cx.path(path)));
    }
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    if rest.is_some_and(|it| !it.is_empty()) {
        return Ok(Store::Postgres(url));
    }
    Err(cx.bad(
        "store.url",
        &url,
        text("只支持 SQLite 和 PostgreSQL", "SQLite and PostgreSQL are the stores there are"),
        text(
            "sqlite:路径 或 postgres://用户:口令@主机/库",
            "sqlite:PATH or postgres://user:password@host/database",
        ),
    ))
}

fn space(cx: &Context<'_>, raw: raw::Space, http: &Http) -> Result<Space, ConfigError> {
    let members = raw.members.as_deref().map(|it| members(cx, "space.members", it)).transpose()?;
    let operator = raw.operator.map(|text| cx.did("space.operator", &text)).transpose()?;
    if let (Some(Members::Url(url)), None) = (&members, &operator) {
        return Err(cx.bad(
            "space.members",
            url,
            text(
                "来自网络的成员名单需要运营方签名",
                "a member list from the network needs an operator who signs it",
            ),
            text("设置 space.operator", "set space.operator"),
        ));
    }
    let infrastructure =
        raw.infrastructure.map(|text| cx.did("space.infrastructure", &text)).transpose()?;
    let signatures = raw.signatures.unwrap_or(true);
    let refunds = raw.refunds.unwrap_or(true);
    let also = raw.also.into_iter().map(|it| identity::also(cx, it, http));
    let also = also.collect::<Result<_, _>>()?;
    Ok(Space { members, operator, infrastructure, signatures, refunds, also })
}

/// Where a signed member list is.
fn members(cx: &Context<'_>, key: &str, value: &str) -> Result<Members, ConfigError> {
    if value.contains("://") {
        return Ok(Members::Url(url(cx, key, value)?));
    }
    Ok(Members::File(cx.path(value)))
}

fn evidence(cx: &Context<'_>, raw: raw::Evidence, http: &Http) -> Result<Evidence, ConfigError> {
    let origin = raw.origin.unwrap_or_else(|| {
        let host =
            http.public_url.split_once("://").map_or(http.public_url.as_str(), |(_, rest)| rest);
        format!("{host}/evidence")
    });
    if origin.is_empty()
        || origin.contains("://")
        || origin.contains('+')
        || origin.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        return Err(cx.bad(
            "evidence.origin",
            &origin,
            text("日志名称不含协议头、空白和 +", "a log's name has no scheme, no space and no +"),
            text("例如 node.example.com/evidence", "for example node.example.com/evidence"),
        ));
    }
    let mut custodians = Vec::new();
    for it in raw.custodians {
        let url = url(cx, "evidence.custodians", &it.url)?;
        if it.vkey.split('+').count() < 3 {
            return Err(cx.bad(
                "evidence.custodians",
                &it.vkey,
                text("不是验证公钥", "not a verifier key"),
                text(
                    "格式为 名称+标识+公钥,由存证方提供",
                    "NAME+ID+KEY, as the custodian publishes it",
                ),
            ));
        }
        custodians.push(Custodian { url, vkey: it.vkey });
    }
    for vkey in &raw.watched {
        if vkey.split('+').count() < 3 {
            return Err(cx.bad(
                "evidence.watched",
                vkey,
                text("不是验证公钥", "not a verifier key"),
                text("格式为 名称+标识+公钥", "NAME+ID+KEY, as `tidm evidence key` prints it"),
            ));
        }
    }
    let many = u64::try_from(custodians.len()).unwrap_or(u64::MAX);
    cx.number("evidence.custodians", Some(many), 0, (0, CUSTODIANS as u64))?;
    let quorum = cx.number("evidence.quorum", raw.quorum, many, (0, many))?;
    let interval = cx.number("evidence.checkpoint_ms", raw.checkpoint_ms, 1000, (50, 60_000))?;
    let quorum = usize::try_from(quorum).unwrap_or(CUSTODIANS);
    Ok(Evidence {
        origin,
        custodians,
        quorum,
        interval: Duration::from_millis(interval),
        watched: raw.watched,
    })
}

fn limits(cx: &Context<'_>, raw: &raw::Limits) -> Result<Limits, ConfigError> {
    let workers = cx.number("limits.workers", raw.workers, 2, (1, 256))?;
    let matching = cx.number("limits.matching_mib", raw.matching_mib, 512, (64, 1 << 20))?;
    let rate = cx.number("limits.delivery_kib", raw.delivery_kib, 0, (0, 1 << 30))? * 1024;
    let connections = raw.delivery_connections;
    let connections = cx.number("limits.delivery_connections", connections, 8, (1, 1024))?;
    let stalled = cx.number("limits.stalled_seconds", raw.stalled_seconds, 120, (1, 86_400))?;
    Ok(Limits {
        excel_bytes: cx.number("limits.excel_mib", raw.excel_mib, 64, (1, 1024))? * MIB,
        query_deadline: Duration::from_secs(cx.number(
            "limits.query_seconds",
            raw.query_seconds,
            60,
            (1, 86_400),
        )?),
        worker_memory_bytes: cx.number("limits.worker_mib", raw.worker_mib, 1024, (64, 1 << 20))?
            * MIB,
        matching_memory_bytes: matching * MIB,
        workers: usize::try_from(workers).unwrap_or(1),
        upload_bytes: cx.number("limits.upload_mib", raw.upload_mib, 4096, (1, 1 << 22))? * MIB,
        delivery: Bounds {
            connections: u32::try_from(connections).unwrap_or(1),
            rate: NonZeroU64::new(rate),
        },
        stalled: Duration::from_secs(stalled),
    })
}

fn peers(cx: &Context<'_>, raw: &raw::Peers) -> Result<Peers, ConfigError> {
    let timeout = cx.number("peers.timeout_seconds", raw.timeout_seconds, 30, (1, 600))?;
    Ok(Peers {
        allow_private_addresses: raw.allow_private_addresses.unwrap_or(false),
        timeout: Duration::from_secs(timeout),
    })
}

/// An https address without trailing slash; http only for this machine itself.
pub(super) fn url(cx: &Context<'_>, key: &str, value: &str) -> Result<String, ConfigError> {
    let refuse = |why| {
        cx.bad(
            key,
            value,
            why,
            text("例如 https://node.example.com:8443", "for example https://node.example.com:8443"),
        )
    };
    let uri: Uri = value.parse().map_err(|_| refuse(text("不是合法的地址", "not an address")))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    if host.is_empty() || uri.query().is_some() || value.contains('@') || value.contains('#') {
        return Err(refuse(text(
            "地址需有主机名,且不含用户、查询和片段",
            "it needs a host and has no user, query or fragment",
        )));
    }
    let loopback =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback());
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if loopback => {}
        _ => {
            return Err(refuse(text(
                "必须使用 https(http 仅限本机)",
                "it must be https; http is for this machine only",
            )));
        }
    }
    Ok(value.trim_end_matches('/').to_owned())
}

fn did_of(cx: &Context<'_>, public_url: &str) -> Result<Did, ConfigError> {
    let authority = public_url.split_once("://").map_or(public_url, |(_, rest)| rest);
    let (authority, path) = authority.split_once('/').unwrap_or((authority, ""));
    let mut id = format!("did:web:{}", authority.replace(':', "%3A"));
    for segment in path.split('/').filter(|it| !it.is_empty()) {
        id.push(':');
        id.push_str(segment);
    }
    cx.did("node.did", &id)
}
