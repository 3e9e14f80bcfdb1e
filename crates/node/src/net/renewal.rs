//! The node's TLS while it runs: certificates, authorities and revocation lists that are replaced in their files are
//! taken without a restart, and an end that comes near is said aloud.
//!
//! Never takes half of a change: files that do not work together (a key without its certificate, a list that cannot
//! be read) change nothing, the last good ones stand, and the log says so until the files are whole again.
//!
//! Threat model: an operator who replaces files one after the other, and a certificate that ends on a Sunday. Open
//! connections keep the certificate that they began with; what clients showed on them is judged anew at each message
//! ([`super::certificates`]), so that a revocation does not wait for them to close.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rustls::{ClientConfig, ServerConfig};
use tokio::time::Instant;

use tidm_space::time::Time;

use super::auth::Gate;
use crate::app::App;
use crate::config::{Config, Security};
use crate::tls::{self, Listening, TlsError};

/// How often the files are looked at: a replaced one is in use before its operator has turned to the next node.
const LOOK: Duration = Duration::from_secs(2);
/// Certificates live for 90 days or less and are renewed in their last third; two weeks before the end something is wrong.
pub const NEAR: Duration = Duration::from_secs(14 * 86_400);
/// How often an end that is near is said again.
const SAY: Duration = Duration::from_secs(86_400);
/// How often it is said again that replaced files do not work.
const COMPLAIN: Duration = Duration::from_secs(60);

/// What a file was when it was read: replacing or rewriting it changes this.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp(Option<(u64, u64, i64, i64)>);

impl Stamp {
    fn of(path: &Path) -> Self {
        let found = std::fs::metadata(path).ok();
        Self(found.map(|it| (it.ino(), it.len(), it.mtime(), it.mtime_nsec())))
    }
}

/// How a node that speaks TLS does so now.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    ca: Option<PathBuf>,
    client: Option<(PathBuf, PathBuf)>,
    /// What is spoken behind the handshake, best first.
    alpn: &'static [&'static str],
    pub listening: Listening,
    now: Mutex<Now>,
}

struct Now {
    stamps: Vec<Stamp>,
    ends: Option<Time>,
}

impl Tls {
    /// `None` where plain HTTP is spoken.
    pub fn open(config: &Config, gate: &Gate) -> anyhow::Result<Option<Self>> {
        let Security::Tls { cert, key, ca } = &config.http.security else { return Ok(None) };
        let (cert, key, ca) = (cert.clone(), key.clone(), ca.clone());
        let client = config.client_certificate.clone();
        // gRPC needs HTTP/2; what else comes over it is served alike.
        let both = config.flight.enabled;
        let alpn: &[&str] = if both { &["h2", "http/1.1"] } else { &["http/1.1"] };
        let listening = Listening::new(server((&cert, &key), alpn, gate)?);
        let now = Mutex::new(Now { stamps: Vec::new(), ends: None });
        let it = Self { cert, key, ca, client, alpn, listening, now };
        it.note(it.stamps(gate));
        Ok(Some(it))
    }

    /// With what we call others now.
    pub fn calling(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let client = self.client.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
        tls::client_showing(tls::public_roots(), self.ca.as_deref(), client)
    }

    /// When the first of our certificates ends.
    pub fn ends(&self) -> Option<Time> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).ends
    }

    fn stamps(&self, gate: &Gate) -> Vec<Stamp> {
        let client = self.client.iter().flat_map(|(cert, key)| [cert, key]);
        let own = [&self.cert, &self.key].into_iter().chain(&self.ca).chain(client);
        let others = gate.certificates().flat_map(|(_, it)| it.files());
        own.map(PathBuf::as_path).chain(others).map(Stamp::of).collect()
    }

    fn note(&self, stamps: Vec<Stamp>) {
        let all = std::iter::once(&self.cert).chain(self.client.as_ref().map(|(cert, _)| cert));
        let ends = all.filter_map(|it| tls::ends(it).ok()).min();
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Now { stamps, ends };
    }

    /// Takes what was replaced; whether anything was.
    ///
    /// # Errors
    /// The files do not work; the ones before stand.
    fn renew(&self, app: &App) -> anyhow::Result<bool> {
        let stamps = self.stamps(&app.gate);
        if self.now.lock().unwrap_or_else(PoisonError::into_inner).stamps == stamps {
            return Ok(false);
        }
        // Everything is read before anything is replaced.
        let own = (self.cert.as_path(), self.key.as_path());
        let (calling, listening) = (self.calling()?, server(own, self.alpn, &app.gate)?);
        let read = app.gate.certificates().map(|(_, it)| Ok((it, it.read()?)));
        let read = read.collect::<anyhow::Result<Vec<_>>>()?;
        app.client.replace(&calling)?;
        for (certificates, read) in read {
            certificates.take(read);
        }
        // Once more: authorities that are new are hinted at.
        let hinted = server(own, self.alpn, &app.gate).unwrap_or(listening);
        self.listening.replace(hinted);
        self.note(stamps);
        Ok(true)
    }
}

fn server(
    (cert, key): (&Path, &Path),
    alpn: &[&str],
    gate: &Gate,
) -> anyhow::Result<Arc<ServerConfig>> {
    let config = match gate.hints() {
        Some(hints) => tls::server_asking(cert, key, alpn, hints),
        None => tls::server(cert, key, alpn),
    };
    config.context("this node cannot listen with TLS")
}

/// Looks at the files until the node stops.
pub async fn run(app: Arc<App>) {
    let Some(tls) = &app.tls else { return };
    let mut said: Option<Instant> = None;
    let mut complained: Option<Instant> = None;
    loop {
        if said.is_none_or(|at| at.elapsed() >= SAY) {
            said = Some(Instant::now());
            say(tls.ends(), app.clock.now());
        }
        tokio::time::sleep(LOOK).await;
        match tls.renew(&app) {
            Ok(false) => complained = None,
            Ok(true) => {
                tracing::info!(ends = ?tls.ends(), "TLS files were replaced and are in use");
                (said, complained) = (None, None);
            }
            Err(why) if complained.is_none_or(|at| at.elapsed() >= COMPLAIN) => {
                complained = Some(Instant::now());
                tracing::warn!(
                    why = format!("{why:#}"),
                    "replaced TLS files do not work; the ones before stand"
                );
            }
            Err(_) => {}
        }
    }
}

fn say(ends: Option<Time>, now: Time) {
    let Some(ends) = ends else { return };
    metrics::gauge!("tidm_certificate_seconds_left").set(ends.since(now).as_secs_f64());
    if ends <= now {
        tracing::error!(%ends, "this node's certificate HAS ENDED: nobody can connect / 本节点证书已过期");
    } else if ends.since(now) < NEAR {
        tracing::warn!(%ends, "this node's certificate ends soon: renew it / 本节点证书即将到期,请更新");
    }
}
