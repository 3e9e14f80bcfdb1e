//! The API's own description: OpenAPI 3.1, made from the handlers.
//!
//! Never written by hand: a route that is not described does not exist, since both come from one list.

use axum::Extension;
use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

/// The frame around the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "tidm node API",
        description = "数据空间节点接口 / API of a data space node. Errors are RFC 9457 problem documents in Chinese or English (Accept-Language). Lists are paged by `cursor`. Creating calls take an `Idempotency-Key`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/api/v1")),
    components(schemas(ProblemDocument)),
    modifiers(&Bearer)
)]
pub(super) struct Base;

/// RFC 9457 with our members.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes `Problem::document`, which writes it")]
pub(super) struct ProblemDocument {
    /// `urn:tidm:problem:` and the code.
    r#type: String,
    title: String,
    status: u16,
    /// Stable and short, for programs.
    code: String,
    /// Whose turn it is: `caller`, `peer`, `node` or `rule`.
    party: String,
    /// What the reader can do now.
    next_step: String,
    detail: Option<String>,
    /// The term, field or earlier event that led here.
    cause: Option<String>,
}

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A session's token or an API key. Scopes: read, publish, contract, use, audit, accounts, rights, people-log, own, admin (on a key: all that its owner may). The header tidm-code carries a code of the second factor."))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document's bytes, made once.
#[derive(Clone)]
pub(super) struct Document(Bytes);

impl Document {
    pub(super) fn new(it: &utoipa::openapi::OpenApi) -> Self {
        let text = it.to_pretty_json().unwrap_or_else(|error| {
            tracing::error!(%error, "the API's description cannot be written");
            "{}".to_owned()
        });
        Self(text.into())
    }
}

pub(super) async fn serve(Extension(it): Extension<Document>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/vnd.oai.openapi+json;version=3.1")], it.0)
}
