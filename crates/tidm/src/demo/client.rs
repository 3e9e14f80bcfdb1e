//! A program that uses one node through its public API.
//!
//! Never a way past the API: what the demo shows, any program with a key can do.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use tidm_node::lang::Lang;

use super::trouble::Trouble;

/// Longer than any single call of the walk on a slow machine.
const ANSWER: Duration = Duration::from_secs(60);

/// One node, seen from outside.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    http: reqwest::Client,
    /// What people call the node.
    pub(crate) name: String,
    /// `https://localhost:PORT`.
    pub(crate) url: String,
    token: Option<String>,
    lang: Lang,
}

impl Api {
    /// Speaks TLS 1.3 and trusts the demo's own CA beside the public roots.
    pub(crate) fn new(
        name: &str,
        url: &str,
        ca: Option<&std::path::Path>,
        lang: Lang,
    ) -> Result<Self, Trouble> {
        let failed = |why: &dyn std::fmt::Display| Trouble::here("TLS", why);
        let tls = tidm_node::tls::client(tidm_node::tls::public_roots(), ca)
            .map_err(|why| failed(&why))?;
        let http = reqwest::Client::builder()
            .use_preconfigured_tls((*tls).clone())
            .timeout(ANSWER)
            .no_proxy()
            .build()
            .map_err(|why| failed(&why))?;
        Ok(Self { http, name: name.to_owned(), url: url.to_owned(), token: None, lang })
    }

    /// Makes the administrator with the one-time token, signs in, and makes an API key for the walk.
    pub(crate) async fn set_up(&mut self, token: &str, password: &str) -> Result<(), Trouble> {
        let admin = json!({"token": token, "name": "admin", "password": password});
        self.post("/setup", &admin).await?;
        let session =
            self.post("/session", &json!({"name": "admin", "password": password})).await?;
        self.token = Some(text(&session, "token")?.to_owned());
        let scopes = ["read", "publish", "contract", "use", "audit", "admin"];
        let key = self.post("/keys", &json!({"title": "tidm demo", "scopes": scopes})).await?;
        self.token = Some(text(&key, "token")?.to_owned());
        Ok(())
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Trouble> {
        self.json(self.request(Method::GET, path)).await
    }

    /// As [`Self::get`], said in another language than the walk's.
    pub(crate) async fn get_in(&self, lang: Lang, path: &str) -> Result<Value, Trouble> {
        self.json(self.request_in(lang, Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        self.json(self.request(Method::POST, path).json(body)).await
    }

    /// A file's bytes.
    pub(crate) async fn put(&self, path: &str, body: Vec<u8>) -> Result<Value, Trouble> {
        self.json(self.request(Method::PUT, path).body(body)).await
    }

    /// A body that is not JSON.
    pub(crate) async fn bytes(&self, path: &str) -> Result<Vec<u8>, Trouble> {
        self.answer(self.request(Method::GET, path)).await.map(|(_, body)| body)
    }

    /// Whether anything answers with success at `path` below the node's root.
    pub(crate) async fn answers(&self, path: &str) -> bool {
        let asked =
            self.http.get(format!("{}{path}", self.url)).timeout(Duration::from_secs(2)).send();
        asked.await.is_ok_and(|it| it.status().is_success())
    }

    /// Bytes at a full address with a bearer token of another kind; the status is the caller's to judge.
    pub(crate) async fn raw(
        &self,
        url: &str,
        bearer: &str,
        json: String,
    ) -> Result<(StatusCode, Vec<u8>), Trouble> {
        let request = self
            .http
            .post(url)
            .bearer_auth(bearer)
            .header("content-type", "application/json")
            .body(json);
        let answer = request.send().await.map_err(|why| self.silent(why))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|why| self.silent(why))?;
        Ok((status, body.to_vec()))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_in(self.lang, method, path)
    }

    fn request_in(&self, lang: Lang, method: Method, path: &str) -> RequestBuilder {
        let language = lang.pick("zh", "en");
        let it = self
            .http
            .request(method, format!("{}/api/v1{path}", self.url))
            .header("accept-language", language);
        match &self.token {
            Some(token) => it.bearer_auth(token),
            None => it,
        }
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value, Trouble> {
        let (status, body) = self.answer(request).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body)
            .map_err(|_| self.silent(format!("HTTP {status}, and no JSON")))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Trouble> {
        let answer = request.send().await.map_err(|why| self.silent(why))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|why| self.silent(why))?;
        if status.is_success() {
            return Ok((status, body.to_vec()));
        }
        let problem = serde_json::from_slice(&body)
            .unwrap_or_else(|_| json!({"title": String::from_utf8_lossy(&body)}));
        Err(Trouble::Said { node: self.name.clone(), status: status.as_u16(), problem })
    }

    fn silent(&self, why: impl std::fmt::Display) -> Trouble {
        Trouble::Silent { node: self.name.clone(), why: why.to_string() }
    }
}

/// A text member that must be there.
pub(crate) fn text<'a>(it: &'a Value, name: &str) -> Result<&'a str, Trouble> {
    it.get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| Trouble::unexpected(format!("an answer has no `{name}`: {it}")))
}

/// A number that must be there.
pub(crate) fn number(it: &Value, name: &str) -> Result<u64, Trouble> {
    it.get(name)
        .and_then(Value::as_u64)
        .ok_or_else(|| Trouble::unexpected(format!("an answer has no number `{name}`: {it}")))
}

/// The rows of a page.
pub(crate) fn items(it: &Value) -> &[Value] {
    it.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// As a path segment or query value.
pub(crate) fn segment(it: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in it.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
