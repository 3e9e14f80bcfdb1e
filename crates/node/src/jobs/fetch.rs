//! Consumer: fetch what a started transfer delivers, resuming where it broke off, and check its digest.
//!
//! Never trusts the length or bytes of the other side: what does not have the announced digest is
//! thrown away and the transfer ended.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use tidm_crypto::hash::{Digest, Sha256Hasher, sha256};
use tidm_space::engine::input::{Input, Wish};
use tidm_space::id::Id;
use tidm_space::transfer::message::{Body, DataAddress};
use tidm_space::transfer::state::State;

use super::spool;
use crate::app::App;
use crate::objects::Key;
use crate::store::notes::{self, Copy};

/// Runs the job; harmless when repeated.
pub async fn run(app: &Arc<App>, transfer: &Id) -> anyhow::Result<()> {
    let Some(it) = app.store.transfer(transfer).await? else { return Ok(()) };
    let State::Started { address: Some(address) } = &it.state else { return Ok(()) };
    let expected = address
        .property("tidm:sha256")
        .map(Digest::parse)
        .transpose()
        .context("the announced digest is none")?;
    // One partial file per transfer: a second try goes on where the first stopped.
    let partial =
        spool::folder(app)?.join(format!("{}.part", sha256(transfer.as_str().as_bytes())));
    download(app, address, &partial).await?;
    let (bytes, content) = digest(&partial).await?;
    if expected.is_some_and(|it| it != content) {
        tokio::fs::remove_file(&partial).await?;
        let reason = vec!["the bytes that arrived do not have the announced digest".to_owned()];
        let body = Body::Terminate { code: Some("transfer.digest".to_owned()), reason };
        app.writer
            .run(Input::Wish(Box::new(Wish::SayTransfer { transfer: transfer.clone(), body })))
            .await?;
        return Ok(());
    }
    let object = object_of(&it.contract);
    app.objects
        .put(&Key::parse(&object)?, tokio::fs::File::open(&partial).await?, u64::MAX)
        .await?;
    tokio::fs::remove_file(&partial).await?;
    let copy = Copy {
        contract: it.contract.clone(),
        object,
        transfer: transfer.clone(),
        bytes,
        digest: content,
        sealed: address.property("tidm:sealed").unwrap_or("none").to_owned(),
    };
    app.writer
        .note(move |conn| {
            let copy = copy.clone();
            Box::pin(async move { notes::save_copy(conn, &copy).await })
        })
        .await?;
    app.writer
        .run(Input::Wish(Box::new(Wish::Received { transfer: transfer.clone(), bytes, content })))
        .await?;
    Ok(())
}

/// Where a contract's copy lies.
pub fn object_of(contract: &Id) -> String {
    format!("copies/{}", sha256(contract.as_str().as_bytes()))
}

/// Appends what is missing by an HTTP range request (RFC 9110 §14).
async fn download(
    app: &App,
    address: &DataAddress,
    partial: &std::path::Path,
) -> anyhow::Result<()> {
    let url = address.endpoint.as_deref().context("the address names no endpoint")?;
    let mut file = tokio::fs::OpenOptions::new()
        .create(true)
        .append(false)
        .write(true)
        .truncate(false)
        .open(partial)
        .await?;
    let have = file.metadata().await?.len();
    let mut request = app.client.request(reqwest::Method::GET, url).await?;
    if let Some(token) = address.property("authorization") {
        request = request.bearer_auth(token.trim_start_matches("Bearer "));
    }
    if have > 0 {
        request = request.header("range", format!("bytes={have}-"));
    }
    let mut response = request.send().await.context("the data cannot be fetched")?;
    match response.status().as_u16() {
        // The whole, from the start.
        200 => {
            file.set_len(0).await?;
            file.rewind().await?;
        }
        206 => {
            file.seek(std::io::SeekFrom::End(0)).await?;
        }
        // Nothing is missing: all of it is here already.
        416 if have > 0 => return Ok(()),
        status => anyhow::bail!("the data cannot be fetched: HTTP {status}"),
    }
    while let Some(piece) = response.chunk().await.context("the data broke off")? {
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    file.sync_all().await?;
    Ok(())
}

pub(super) async fn digest(path: &std::path::Path) -> anyhow::Result<(u64, Digest)> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut hasher = Sha256Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0_u64;
    loop {
        let read = file.read(&mut buffer).await?;
        if read == 0 {
            return Ok((bytes, hasher.finish()));
        }
        bytes += u64::try_from(read).unwrap_or(0);
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
}
