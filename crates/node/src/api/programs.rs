//! Sealed files for programs that speak OpenTDF.
//!
//! Never a key: what is handed out here is an access token to the provider's key service, and ciphertext.

use std::sync::Arc;

use axum::Json;
use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use tidm_space::id::Id;

use super::answer::Answer;
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::{Body, OneId};
use crate::app::App;
use crate::jobs::use_data;
use crate::people::may_use;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgramRequest {
    contract: String,
    /// Goes into the token: the program cannot change it.
    #[serde(default)]
    purpose: Option<String>,
    /// PEM of the RSA public key with which the program signs its requests; then only they are answered.
    #[serde(default)]
    signer: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ProgramToken {
    /// Address of the provider's key access service.
    service: String,
    /// Access token for it: whoever has it may spend the contract's uses.
    token: String,
    expires: String,
}

/// Let a program that speaks OpenTDF open the contract's sealed file, where it permits handing on.
#[utoipa::path(
    post, path = "/uses/programs", tag = "uses", request_body = ProgramRequest, security(("bearer" = ["use"])),
    responses((status = 200, body = ProgramToken), (status = 403, description = "The contract does not permit handing on", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn token(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Body(it): Body<ProgramRequest>,
) -> Answer<impl IntoResponse> {
    let contract = Id::parse(&it.contract)?;
    may_use(&app, &who, &contract).await?;
    let done = use_data::program(&app, &contract, it.purpose, it.signer).await?;
    let token =
        ProgramToken { service: done.service, token: done.token, expires: done.until.to_string() };
    // A token is for one pair of eyes (RFC 9111 §5.2.2.5).
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(token)))
}

/// The sealed file of a contract that permits handing on: an OpenTDF container.
#[utoipa::path(
    get, path = "/uses/programs/{contract}/copy", tag = "uses", params(("contract" = String, Path)), security(("bearer" = ["use"])),
    responses((status = 200, description = "Ciphertext", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 403, description = "The contract does not permit handing on", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn copy(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    OneId(contract): OneId,
) -> Answer<impl IntoResponse> {
    may_use(&app, &who, &contract).await?;
    let sealed = use_data::program_copy(&app, &contract).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, sealed.bytes.to_string()),
    ];
    Ok((headers, Stream::from_stream(sealed.stream)))
}
