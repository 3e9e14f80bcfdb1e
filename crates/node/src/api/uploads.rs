//! Bytes ahead of the call that uses them, as one raw stream.
//!
//! Never a name of the caller's choice in the object store: the file's name is kept as text beside it.

#![expect(
    unused_qualifications,
    reason = "utoipa writes out the path of a parameter struct that stands in the same module"
)]

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tidm_crypto::hash::Sha256Hasher;
use tokio_util::io::StreamReader;
use utoipa::{IntoParams, ToSchema};

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::Params;
use crate::app::App;
use crate::jobs::{rest, spool};
use crate::objects::Key;
use crate::store::accounts::{self as rows, UploadRow};

const NAME_BYTES: usize = 255;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Named {
    /// The file's name, for its ending: `readings.csv`.
    name: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Upload {
    /// For `upload` in `POST /products`, or in `POST /matchings` if it came by `PUT /matchings/list`.
    id: String,
    bytes: u64,
    sha256: String,
}

/// Upload a file's bytes as they are.
#[utoipa::path(
    put, path = "/uploads", tag = "products", params(Named), security(("bearer" = ["publish"])),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Upload), (status = 413, description = "Larger than limits.upload_bytes", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Params(named): Params<Named>,
    body: Body,
) -> Answer<impl IntoResponse> {
    let upload = keep(&app, who.account, named, body).await?;
    Ok((StatusCode::CREATED, Json(upload)))
}

/// Bytes of a caller, under a name of ours in the object store.
pub(super) async fn keep(app: &App, account: String, named: Named, body: Body) -> Answer<Upload> {
    named.check()?;
    let id = uuid::Uuid::now_v7().simple().to_string();
    let object = format!("uploads/{id}");
    let reader = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let put =
        app.objects.put(&Key::parse(&object)?, reader, app.config.limits.upload_bytes).await?;
    noted(
        app,
        UploadRow {
            id,
            account,
            object,
            name: named.name,
            bytes: put.bytes,
            digest: put.sha256.to_string(),
            created: app.clock.now(),
        },
    )
    .await
}

/// A list that is to be matched: sealed before it reaches a disk.
pub(super) async fn keep_list(
    app: &App,
    account: String,
    named: Named,
    body: Body,
) -> Answer<Upload> {
    named.check()?;
    let id = uuid::Uuid::now_v7().simple().to_string();
    let object = format!("{}{id}", rest::LISTS);
    let seen = Arc::new(Mutex::new((Sha256Hasher::new(), 0)));
    let (seeing, limit) = (seen.clone(), app.config.limits.upload_bytes);
    let bytes = body.into_data_stream().map_err(std::io::Error::other).inspect_ok(move |it| {
        let mut seen = seeing.lock().unwrap_or_else(PoisonError::into_inner);
        seen.0.update(it);
        seen.1 += it.len() as u64;
    });
    rest::keep(app, &object, bytes, limit).await?;
    let (hasher, bytes) = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    noted(
        app,
        UploadRow {
            id,
            account,
            object,
            name: named.name,
            bytes,
            digest: hasher.finish().to_string(),
            created: app.clock.now(),
        },
    )
    .await
}

impl Named {
    fn check(&self) -> Answer<()> {
        let plain = !self.name.is_empty()
            && self.name.len() <= NAME_BYTES
            && !self.name.contains(['/', '\\', '\0']);
        plain.then_some(()).ok_or_else(|| Fail::field("name", "a file name without folders"))
    }
}

async fn noted(app: &App, row: UploadRow) -> Answer<Upload> {
    let upload = Upload { id: row.id.clone(), bytes: row.bytes, sha256: row.digest.clone() };
    app.writer
        .note(move |conn| {
            let row = row.clone();
            Box::pin(async move { rows::save_upload(conn, &row).await })
        })
        .await?;
    Ok(upload)
}

/// Bytes of a caller that serve this one call, as a file.
pub(super) async fn spooled(
    app: &App,
    account: String,
    named: Named,
    body: Body,
) -> Answer<(spool::Local, UploadRow)> {
    let it = keep(app, account, named, body).await?;
    let row = app.store.upload(&it.id).await?.ok_or_else(|| Fail::not_found("upload"))?;
    Ok((spool::local(app, &row.object).await?, row))
}
