//! Bytes ahead of the call that uses them, as one raw stream.
//!
//! Never a name of the caller's choice in the object store: the file's name is kept as text beside it.

#![expect(
    unused_qualifications,
    reason = "utoipa writes out the path of a parameter struct that stands in the same module"
)]

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio_util::io::StreamReader;
use utoipa::{IntoParams, ToSchema};

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::Params;
use crate::app::App;
use crate::jobs::spool;
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
    /// For `upload` in `POST /products` or `POST /matchings`.
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
    let plain = !named.name.is_empty()
        && named.name.len() <= NAME_BYTES
        && !named.name.contains(['/', '\\', '\0']);
    if !plain {
        return Err(Fail::field("name", "a file name without folders"));
    }
    let id = uuid::Uuid::now_v7().simple().to_string();
    let object = format!("uploads/{id}");
    let reader = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let put =
        app.objects.put(&Key::parse(&object)?, reader, app.config.limits.upload_bytes).await?;
    let row = UploadRow {
        id: id.clone(),
        account,
        object,
        name: named.name,
        bytes: put.bytes,
        digest: put.sha256.to_string(),
        created: app.clock.now(),
    };
    app.writer
        .note(move |conn| {
            let row = row.clone();
            Box::pin(async move { rows::save_upload(conn, &row).await })
        })
        .await?;
    Ok(Upload { id, bytes: put.bytes, sha256: put.sha256.to_string() })
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
