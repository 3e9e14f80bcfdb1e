//! An infrastructure node keeps our sealed objects: PUT under a token that we sign, GET under one for the transfer.
//!
//! Threat model: that node sees ciphertext, sizes and times. It never gets a key, and a token names one
//! object, one right and an end. It could lose or alter bytes: digests find that, our own copy mends it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use tidm_crypto::hash::Digest;
use tidm_space::identity::did::Did;
use tidm_space::transfer::message::DataAddress;
use tidm_space::transfer::state::Transfer;

use crate::app::App;
use crate::store::notes::Seal;

/// Longest life of a token to fetch.
const GET: Duration = Duration::from_secs(24 * 3600);
/// Life of a token to store or delete.
const PUT: Duration = Duration::from_secs(600);
/// The JWS type, so that no other token of ours passes for one.
pub const TYPE: &str = "tidm-object+jwt";

/// What a token for objects says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectClaims {
    /// Whose object it is.
    pub iss: String,
    /// The infrastructure node.
    pub aud: String,
    /// The object.
    pub sub: String,
    /// `put`, `get` or `delete`.
    pub right: String,
    /// Seconds since 1970.
    pub exp: i64,
    /// `put`: the bytes must have this digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Where a sealed object was put, as the seal's row keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Elsewhere {
    node: String,
    url: String,
    object: String,
}

fn token(
    app: &App,
    node: &Did,
    object: &str,
    right: &str,
    life: Duration,
    sha256: Option<Digest>,
) -> anyhow::Result<String> {
    let claims = ObjectClaims {
        iss: app.identity.did.to_string(),
        aud: node.to_string(),
        sub: object.to_owned(),
        right: right.to_owned(),
        exp: app.clock.now().after(life).seconds(),
        sha256: sha256.map(|it| it.to_string()),
    };
    use tidm_space::engine::node::Signer as _;
    Ok(app.identity.sign(TYPE, serde_json::to_string(&claims)?.as_bytes()))
}

/// Stores the file at the configured infrastructure node; empty where none is configured.
pub async fn store(app: &App, file: &Path, bytes: u64, digest: Digest) -> anyhow::Result<String> {
    let Some(node) = &app.config.space.infrastructure else { return Ok(String::new()) };
    let base = app.directory.dsp_base(node).await?;
    let object = uuid::Uuid::now_v7().simple().to_string();
    let url = format!("{base}/tidm/1/objects/{object}");
    let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(
        tokio::fs::File::open(file).await?,
    ));
    let answer = app
        .client
        .upload(reqwest::Method::PUT, &url)
        .await?
        .bearer_auth(token(app, node, &object, "put", PUT, Some(digest))?)
        .header("content-length", bytes)
        .body(body)
        .send()
        .await
        .with_context(|| format!("the infrastructure node {node} cannot be reached"))?;
    anyhow::ensure!(
        answer.status().is_success(),
        "the infrastructure node {node} answers {} to a PUT",
        answer.status()
    );
    Ok(serde_json::to_string(&Elsewhere { node: node.to_string(), url, object })?)
}

/// The address under which a transfer's consumer fetches it there.
pub async fn address(
    app: &App,
    _transfer: &Transfer,
    seal: &Seal,
) -> anyhow::Result<Option<DataAddress>> {
    if seal.elsewhere.is_empty() {
        return Ok(None);
    }
    let at: Elsewhere = serde_json::from_str(&seal.elsewhere)?;
    let node = Did::parse(&at.node)?;
    let token = token(app, &node, &at.object, "get", GET, None)?;
    Ok(Some(DataAddress {
        endpoint_type: "https://w3id.org/idsa/v4.1/HTTP".to_owned(),
        endpoint: Some(at.url),
        properties: vec![
            ("authorization".to_owned(), token),
            ("authType".to_owned(), "bearer".to_owned()),
        ],
    }))
}

/// Deletes it there. That node says yes to what is gone already, and a refused token gets the answer of what is not there:
/// so that answer is no deletion.
pub async fn delete(app: &App, seal: &Seal) -> anyhow::Result<()> {
    if seal.elsewhere.is_empty() {
        return Ok(());
    }
    let at: Elsewhere = serde_json::from_str(&seal.elsewhere)?;
    let node = Did::parse(&at.node)?;
    let bearer = token(app, &node, &at.object, "delete", PUT, None)?;
    let answer = app
        .client
        .request(reqwest::Method::DELETE, &at.url)
        .await?
        .bearer_auth(bearer)
        .send()
        .await?;
    anyhow::ensure!(
        answer.status().is_success(),
        "the infrastructure node {node} answers {} to a DELETE",
        answer.status()
    );
    Ok(())
}
