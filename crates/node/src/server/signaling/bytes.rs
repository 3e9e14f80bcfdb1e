//! The bytes of our data plane's flows: served to a pull, taken from a push.
//!
//! Threat model: a token is 32 random bytes of which only the digest is kept. It opens one flow, while that is
//! started (a push also as soon as it is prepared) and its data set may still be moved; what is under way when
//! the flow is suspended or ends is cut off within a second. Wrong, unknown and dead tokens get the same answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio_util::io::StreamReader;

use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::secret::ct_eq;
use tidm_space::dataflow::message::{Direction, Plane};
use tidm_space::dataflow::state::{Flow, Name};
use tidm_space::engine::input::{Input, Wish};
use tidm_space::id::Id;
use tidm_space::negotiation::message::Role;
use tidm_space::transfer::message::DataAddress;

use super::{DATA_PLANE, content, refused};
use crate::app::App;
use crate::objects::{Key, ObjectError};
use crate::random;
use crate::server::data::{bearer, busy};
use crate::server::range::{self, Sent};
use crate::server::watch::{self, Cut};
use crate::store::planes::{self, FlowData, FlowToken};
use crate::store::writer::WorkError;

/// An access token that can be renewed lives this long.
const RENEWABLE: Duration = Duration::from_secs(300);
/// One that cannot: as long as the longest delivery.
const WHOLE: Duration = Duration::from_secs(24 * 3600);
/// How often a flow under way is asked about.
pub const LOOK: Duration = Duration::from_millis(250);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(
        "/flows/{id}/data",
        get(serve).put(take).post(take).layer(axum::extract::DefaultBodyLimit::disable()),
    )
}

/// A fresh address of this flow; tokens of an earlier one end.
pub async fn address(app: &App, flow: &Flow) -> Result<DataAddress, WorkError> {
    let tokens = Tokens::fresh(app, flow).await?;
    let base = format!("{}{DATA_PLANE}/flows/{}", app.identity.public_url, flow.id);
    let published = flow.terms.profile.is_published();
    let mut properties = vec![
        ("authorization".to_owned(), tokens.access),
        ("authType".to_owned(), "bearer".to_owned()),
    ];
    if let Some(refresh) = tokens.refresh {
        properties.push(("refreshToken".to_owned(), refresh));
        properties.push(("expiresIn".to_owned(), RENEWABLE.as_secs().to_string()));
        properties.push(("refreshEndpoint".to_owned(), format!("{base}/token")));
    }
    let endpoint_type =
        if published { flow.terms.profile.as_str() } else { "https://w3id.org/idsa/v4.1/HTTP" };
    Ok(DataAddress {
        endpoint_type: endpoint_type.to_owned(),
        endpoint: Some(format!("{base}/data")),
        properties,
    })
}

/// Tokens in clear: they leave for their holder and are kept nowhere.
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    pub(super) seconds: u64,
}

impl Tokens {
    /// Makes tokens and keeps their digests. A pull under the published profile can be renewed.
    pub(super) async fn fresh(app: &App, flow: &Flow) -> Result<Self, WorkError> {
        let draw = || URL_SAFE_NO_PAD.encode(random::key().expose());
        let renewable =
            flow.terms.profile.is_published() && flow.direction() == Some(Direction::Pull);
        let life = if renewable { RENEWABLE } else { WHOLE };
        let it = Self { access: draw(), refresh: renewable.then(draw), seconds: life.as_secs() };
        let row = FlowToken {
            flow: flow.id.clone(),
            token: sha256(it.access.as_bytes()),
            refresh: it.refresh.as_ref().map(|it| sha256(it.as_bytes())),
            until: app.clock.now().after(life),
        };
        app.writer
            .note(move |conn| {
                let row = row.clone();
                Box::pin(async move { planes::save_token(conn, &row).await })
            })
            .await?;
        Ok(it)
    }
}

/// The flow that this token opens now, if any.
async fn standing(app: &App, id: &Id, token: Digest) -> anyhow::Result<Option<Flow>> {
    let row = app.store.flow_token(id).await?;
    // Always compared, so that an unknown flow takes as long as a wrong token.
    let known = row.as_ref().map_or(Digest([0; 32]), |it| it.token);
    let same = ct_eq(known.as_bytes(), token.as_bytes());
    let alive = row.is_some_and(|it| same && app.clock.now() < it.until);
    let flow = app.store.flow(id).await?.filter(|it| alive && it.plane == Plane::Data);
    let Some(flow) = flow else { return Ok(None) };
    let open = match (flow.role, flow.direction(), flow.state.name()) {
        (Role::Provider, Some(Direction::Pull), Name::Started) => {
            content::of(app, &flow.partner, &flow.terms).await.is_ok()
        }
        // "The consumer data plane SHOULD be ready to receive data after the response to prepare."
        (Role::Consumer, Some(Direction::Push), Name::Prepared | Name::Started) => true,
        (_, _, _) => false,
    };
    Ok(open.then_some(flow))
}

/// Who holds a token of this flow.
async fn holder(
    app: &App,
    id: &str,
    headers: &HeaderMap,
    role: Role,
) -> Result<(Flow, Digest), Response> {
    let unauthorised =
        || (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response();
    let (Some(token), Ok(id)) = (bearer(headers), Id::parse(id)) else {
        return Err(unauthorised());
    };
    let token = sha256(token.as_bytes());
    match standing(app, &id, token).await {
        Ok(Some(flow)) if flow.role == role => Ok((flow, token)),
        Ok(_) => Err(unauthorised()),
        Err(error) => Err(unavailable(&error.to_string())),
    }
}

fn unavailable(why: &str) -> Response {
    tracing::error!(%why, "the bytes of a data flow cannot be handled");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response()
}

async fn serve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    connection: Option<Extension<Cut>>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let (flow, token) = match holder(&app, &id, &headers, Role::Provider).await {
        Ok(it) => it,
        Err(answer) => return answer,
    };
    let found = match content::of(&app, &flow.partner, &flow.terms).await {
        Ok(it) => it,
        Err(error) => return refused(error),
    };
    let Some(place) = app.budgets.take(&flow.id, app.config.limits.delivery) else {
        return busy(&app, &headers);
    };
    let sent = Sent { key: found.key, bytes: found.bytes, sha256: found.sha256 };
    let (watched, id) = (app.clone(), flow.id);
    let rule: watch::Rule = Box::new(move || {
        let (app, id) = (watched.clone(), id.clone());
        // A store that does not answer for a moment is no suspension; the next look will tell.
        Box::pin(async move { standing(&app, &id, token).await.map_or(true, |it| it.is_some()) })
    });
    metrics::counter!("tidm_downloads_total").increment(1);
    let (stalled, connection) = (app.config.limits.stalled, connection.map(|it| it.0));
    let guard = range::Guard { rule, place: Some(place), connection, stalled };
    match range::answer(&app.objects, &sent, &method, &headers, guard).await {
        Ok(answer) => answer,
        Err(error) => unavailable(&error.to_string()),
    }
}

async fn take(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (flow, token) = match holder(&app, &id, &headers, Role::Consumer).await {
        Ok(it) => it,
        Err(answer) => return answer,
    };
    match try_take(&app, &flow, token, body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => match error.downcast_ref::<ObjectError>() {
            Some(ObjectError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            // The sender broke off, or the flow was stopped under way.
            Some(ObjectError::Source(_)) => StatusCode::CONFLICT.into_response(),
            _ => unavailable(&error.to_string()),
        },
    }
}

async fn try_take(app: &Arc<App>, flow: &Flow, token: Digest, body: Body) -> anyhow::Result<()> {
    let (watched, id) = (app.clone(), flow.id.clone());
    // Asked even while the sender says nothing: a suspension cuts a silent connection, too.
    let stopped = async move {
        loop {
            tokio::time::sleep(LOOK).await;
            if matches!(standing(&watched, &id, token).await, Ok(None)) {
                return;
            }
        }
    };
    let stop = futures::stream::once(async move {
        stopped.await;
        Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, "the flow was stopped"))
    });
    let end = futures::stream::once(async { Ok(None) });
    let pieces = body.into_data_stream().map_err(std::io::Error::other).map_ok(Some).chain(end);
    let merged = futures::stream::select(pieces.boxed(), stop.boxed())
        .try_take_while(|it| futures::future::ok(it.is_some()))
        .try_filter_map(futures::future::ok);
    let object = format!("flows/{}", uuid::Uuid::now_v7().simple());
    let most = app.config.limits.upload_bytes;
    let put =
        app.objects.put(&Key::parse(&object)?, StreamReader::new(Box::pin(merged)), most).await?;
    keep(app, flow, object, put.bytes, put.sha256).await?;
    let wish = Wish::FlowMoved { flow: flow.id.clone(), bytes: put.bytes, content: put.sha256 };
    app.writer.run(Input::Wish(Box::new(wish))).await?;
    Ok(())
}

/// Notes what a flow brought here.
pub async fn keep(
    app: &App,
    flow: &Flow,
    object: String,
    bytes: u64,
    digest: Digest,
) -> Result<(), WorkError> {
    let row = FlowData { flow: flow.id.clone(), object, bytes, digest, at: app.clock.now() };
    app.writer
        .note(move |conn| {
            let row = row.clone();
            Box::pin(async move { planes::save_data(conn, &row).await })
        })
        .await
}
