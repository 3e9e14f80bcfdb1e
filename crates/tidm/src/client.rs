//! The one way to a node: HTTPS with the authorities that its configuration trusts, and a key from the environment or a file.
//!
//! Never prints a key, and never sends one to another address than the node's.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use tidm_node::config::{Config, Security};
use tidm_node::tls;

use crate::cli::{Global, Lang};

/// The key file inside a node's directory.
const KEY_FILE: &str = "cli-key";

#[derive(Debug)]
pub(crate) enum Trouble {
    /// The node's problem document.
    Problem(Value),
    /// The node cannot be reached.
    NoAnswer(String),
    Here(anyhow::Error),
}

impl Trouble {
    /// Whether it may be over soon.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Problem(it) => {
                it.get("status").and_then(Value::as_u64).is_some_and(|it| it >= 500)
            }
            Self::Here(_) => false,
        }
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(it: anyhow::Error) -> Self {
        Self::Here(it)
    }
}

pub(crate) type Outcome<T> = Result<T, Trouble>;

pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    lang: Lang,
}

/// The environment's settings; our own key is none of the node's, and what is no text is no setting.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name != "TIDM_API_KEY")
}

/// The directory's configuration, where there is one.
pub(crate) fn config(global: &Global) -> anyhow::Result<Config> {
    Config::load(&global.dir, environment(), &[])
        .with_context(|| format!("the configuration in {}", global.dir.display()))
}

impl Api {
    pub(crate) fn new(global: &Global) -> anyhow::Result<Self> {
        let found = config(global);
        let ca = match found.as_ref().map(|it| &it.http.security) {
            Ok(Security::Tls { ca, .. }) => ca.clone(),
            Ok(Security::Plain) | Err(_) => None,
        };
        let base = match (&global.url, found) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Ok(config)) => config.http.public_url,
            (None, Err(error)) => {
                return Err(error.context("no --url, and no configuration to take it from"));
            }
        };
        let http = reqwest::Client::builder()
            .use_preconfigured_tls((*tls::client(tls::public_roots(), ca.as_deref())?).clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { http, base, token: token(&global.dir)?, lang: global.lang })
    }

    #[must_use]
    pub(crate) fn with_token(mut self, token: String) -> Self {
        self.token = Some(token);
        self
    }

    /// A request below `/api/v1`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let lang = match self.lang {
            Lang::Zh => "zh-CN",
            Lang::En => "en",
        };
        let request = self
            .http
            .request(method, format!("{}/api/v1{path}", self.base))
            .header("accept-language", lang);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The answer, if it is none of a problem.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Outcome<Response> {
        let answer = request
            .send()
            .await
            .map_err(|why| Trouble::NoAnswer(format!("{}: {}", self.base, innermost(&why))))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        Err(match serde_json::from_str(&text) {
            Ok(problem) => Trouble::Problem(problem),
            Err(_) => Trouble::NoAnswer(format!("{} answers {status}", self.base)),
        })
    }

    pub(crate) async fn json(&self, request: RequestBuilder) -> Outcome<Value> {
        let text = self.text(request).await?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_str(&text).context("the node's answer is no JSON")?)
    }

    pub(crate) async fn text(&self, request: RequestBuilder) -> Outcome<String> {
        let answer = self.send(request).await?;
        answer.text().await.map_err(|why| Trouble::NoAnswer(innermost(&why)))
    }

    pub(crate) async fn get(&self, path: &str) -> Outcome<Value> {
        self.json(self.request(Method::GET, path)).await
    }

    /// As [`Self::post`], with a code of the second factor for what asks for one.
    pub(crate) async fn coded(
        &self,
        path: &str,
        body: &Value,
        code: Option<&str>,
    ) -> Outcome<Value> {
        self.json(with_code(self.request(Method::POST, path).json(body), code)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.json(self.request(Method::POST, path).json(body)).await
    }
}

/// The request, with a code of the second factor where there is one.
pub(crate) fn with_code(request: RequestBuilder, code: Option<&str>) -> RequestBuilder {
    match code {
        Some(code) => request.header("tidm-code", code),
        None => request,
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// From `TIDM_API_KEY`, the node's directory, or the person's configuration.
fn token(dir: &Path) -> anyhow::Result<Option<String>> {
    if let Ok(key) = std::env::var("TIDM_API_KEY") {
        return Ok(Some(key.trim().to_owned()));
    }
    let home =
        std::env::var_os("HOME").map(|it| PathBuf::from(it).join(".config/tidm/credentials"));
    for path in [Some(dir.join(KEY_FILE)), home].into_iter().flatten() {
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    Ok(None)
}

/// Keeps a key for later calls, for its owner alone.
pub(crate) fn keep(dir: &Path, key: &str) -> anyhow::Result<PathBuf> {
    let path = dir.join(KEY_FILE);
    private(&path, key)?;
    Ok(path)
}

/// Writes a file of mode 0600, replacing what was there.
pub(crate) fn private(path: &Path, text: &str) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    drop(std::fs::remove_file(&partial));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)
        .with_context(|| partial.display().to_string())?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&partial, path)?;
    Ok(())
}

/// One path segment.
pub(crate) fn segment(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
