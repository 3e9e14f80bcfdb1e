//! Our data plane at work: get a flow ready, push its bytes, pull them.
//!
//! Threat model: the other end is a stranger's server. Lengths are bounded while bytes arrive, answers are not
//! read beyond their status, redirects are not followed, and a token goes only to the endpoint it came with.
//!
//! Never goes on for a flow that was suspended or ended: it is asked four times a second ([`LOOK`]), and what is
//! under way is dropped, which closes its connection.

use std::sync::Arc;

use anyhow::Context as _;

use tidm_crypto::hash::Digest;
use tidm_space::dataflow::message::Direction;
use tidm_space::dataflow::state::{Flow, Name};
use tidm_space::engine::input::{Input, Wish};
use tidm_space::id::{Id, Ids as _};
use tidm_space::limits::FLOW_GIVE_UP;
use tidm_space::negotiation::message::Role;
use tidm_space::transfer::message::DataAddress;

use super::arriving::{self, Pulled};
use super::sending::{self, Parcel, Sent};
use super::spool;
use crate::app::App;
use crate::clock::FreshIds;
use crate::objects::Key;
use crate::server::signaling::bytes::{self, LOOK};
use crate::server::signaling::{content, own_address};
use crate::store::writer::WorkError;

/// How a run ended that did not fail.
enum Ended {
    /// Reported by this wish.
    With(Box<Wish>),
    /// The flow was stopped meanwhile; what stopped it has seen to the job.
    Stopped,
    /// Beyond repair.
    For(String),
}

/// Runs the job; harmless when repeated.
pub async fn run(app: &Arc<App>, id: &Id) -> anyhow::Result<()> {
    let Some(flow) = app.store.flow(id).await? else { return Ok(()) };
    let Some(_run) = app.runs.begin(id, flow.moved).await else { return Ok(()) };
    let done = match (flow.state.name(), flow.role, flow.direction()) {
        (Name::Preparing | Name::Starting, _, _) => ready(app, &flow).await,
        (Name::Started, Role::Provider, Some(Direction::Push)) => push(app, &flow).await,
        (Name::Started, Role::Consumer, Some(Direction::Pull)) => pull(app, &flow).await,
        (_, _, _) => Ok(rests(&flow)),
    };
    let wish = match done {
        Ok(Ended::With(wish)) => *wish,
        Ok(Ended::Stopped) => return Ok(()),
        Ok(Ended::For(reason)) => Wish::FlowFailed { flow: id.clone(), reason },
        Err(error) if app.clock.now().since(flow.moved) > FLOW_GIVE_UP => {
            Wish::FlowFailed { flow: id.clone(), reason: format!("{error:#}") }
        }
        Err(error) => return Err(error),
    };
    app.writer.run(Input::Wish(Box::new(wish))).await?;
    Ok(())
}

fn rests(flow: &Flow) -> Ended {
    Ended::With(Box::new(Wish::FlowRests { flow: flow.id.clone(), seen: flow.moved }))
}

/// Whether the flow still is what this run began with.
async fn still(app: &App, flow: &Flow) -> bool {
    // A store that does not answer for a moment has stopped nothing.
    app.store.flow(&flow.id).await.map_or(true, |it| it.is_some_and(|it| it.moved == flow.moved))
}

/// Returns when the flow moved on.
async fn stopped(app: &App, flow: &Flow) {
    while still(app, flow).await {
        tokio::time::sleep(LOOK).await;
    }
}

/// What the provider is to move is there, whole and unchanged; then the address that is ours to give.
async fn ready(app: &Arc<App>, flow: &Flow) -> anyhow::Result<Ended> {
    if flow.role == Role::Provider {
        let found = match content::of(app, &flow.partner, &flow.terms).await {
            Ok(it) => it,
            Err(WorkError::Fault(why)) => return Ok(Ended::For(why.to_string())),
            Err(error) => return Err(error.into()),
        };
        let file = spool::local(app, found.key.as_str()).await?;
        let (_, digest) = arriving::digest(file.path()).await?;
        anyhow::ensure!(digest == found.sha256, "the object of {} has changed", flow.terms.dataset);
    }
    let address = own_address(app, flow).await?;
    Ok(Ended::With(Box::new(Wish::FlowReady { flow: flow.id.clone(), address })))
}

/// Sends the bytes to the consumer's endpoint, as one request.
async fn push(app: &Arc<App>, flow: &Flow) -> anyhow::Result<Ended> {
    let Some(to) = flow.state.address() else {
        return Ok(Ended::For("there is no data address to push to".to_owned()));
    };
    let found = match content::of(app, &flow.partner, &flow.terms).await {
        Ok(it) => it,
        Err(WorkError::Fault(why)) => return Ok(Ended::For(why.to_string())),
        Err(error) => return Err(error.into()),
    };
    let content::Content { key, bytes, sha256 } = found;
    let parcel = Parcel { key, bytes, sha256 };
    let place = sending::place(app, &flow.id, app.config.limits.delivery)?;
    let sent = tokio::select! {
        sent = sending::send(app, to, &parcel, place) => sent?,
        () = stopped(app, flow) => return Ok(Ended::Stopped),
    };
    match sent {
        Sent::Whole => {
            let wish = Wish::FlowDone { flow: flow.id.clone(), bytes, content: sha256 };
            Ok(Ended::With(Box::new(wish)))
        }
        Sent::Later(wait) => anyhow::bail!("the endpoint has no place for {} s", wait.as_secs()),
        Sent::Expired => Ok(Ended::For("the endpoint refuses the token of a push".to_owned())),
        Sent::Refused(why) => Ok(Ended::For(why)),
    }
}

/// Fetches the bytes from the provider's endpoint, going on where an earlier run stopped.
async fn pull(app: &Arc<App>, flow: &Flow) -> anyhow::Result<Ended> {
    let configured = || DataAddress {
        endpoint_type: flow.terms.profile.as_str().to_owned(),
        endpoint: app.config.signaling.sources.get(&flow.terms.dataset).cloned(),
        properties: Vec::new(),
    };
    let address = flow.state.address().cloned().unwrap_or_else(configured);
    // Nobody says where: it is another's to pull, and the control plane's to end.
    let Some(endpoint) = address.endpoint.clone() else { return Ok(rests(flow)) };
    let partial = arriving::partial(app, &flow.id)?;
    let address = DataAddress { endpoint: Some(endpoint), ..address };
    let most = app.config.limits.upload_bytes;
    let pulled = tokio::select! {
        pulled = arriving::pull(app, &address, &partial, most) => pulled?,
        () = stopped(app, flow) => return Ok(Ended::Stopped),
    };
    match pulled {
        Pulled::Whole => {}
        Pulled::Later(wait) => anyhow::bail!("the endpoint has no place for {} s", wait.as_secs()),
        Pulled::Expired if address.property("refreshToken").is_some() => {
            let address = renew(app, flow, address).await?;
            let wish = Wish::FlowRenewed { flow: flow.id.clone(), address };
            app.writer.run(Input::Wish(Box::new(wish))).await?;
            anyhow::bail!("the access token was renewed, and the pull goes on with the next one");
        }
        Pulled::Expired => return Ok(Ended::For("the endpoint refuses the token".to_owned())),
        Pulled::Refused(why) => return Ok(Ended::For(why)),
    }
    let (bytes, content) = arriving::digest(&partial).await?;
    let announced = address.property("tidm:sha256").and_then(|it| Digest::parse(it).ok());
    if announced.is_some_and(|it| it != content) {
        arriving::forget(&partial).await?;
        return Ok(Ended::For("the bytes do not have the announced digest".to_owned()));
    }
    let object = format!("flows/{}", uuid::Uuid::now_v7().simple());
    let file = tokio::fs::File::open(&partial).await?;
    app.objects.put(&Key::parse(&object)?, file, app.config.limits.upload_bytes).await?;
    bytes::keep(app, flow, object, bytes, content).await?;
    arriving::forget(&partial).await?;
    Ok(Ended::With(Box::new(Wish::FlowDone { flow: flow.id.clone(), bytes, content })))
}

/// Asks the provider for fresh tokens (token renewal profile §The Refresh Request).
async fn renew(app: &App, flow: &Flow, address: DataAddress) -> anyhow::Result<DataAddress> {
    let property = |name: &str| address.property(name).unwrap_or_default().to_owned();
    let endpoint = Some(property("refreshEndpoint")).filter(|it| !it.is_empty());
    let endpoint = endpoint.or_else(|| address.endpoint.clone()).context("no refresh endpoint")?;
    let me = app.identity.did.as_str();
    let now = app.clock.now();
    let claims = serde_json::json!({
        "iss": me,
        "sub": me,
        "aud": flow.terms.counterparty.as_str(),
        "token": property("authorization"),
        "jti": FreshIds.fresh().as_str(),
        "iat": now.seconds(),
        "exp": now.seconds() + 60,
    });
    let form: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", &property("refreshToken"))
        .finish();
    let answer = app
        .client
        .request(reqwest::Method::POST, &endpoint)
        .await?
        .bearer_auth(app.identity.sign_jwt(claims.to_string().as_bytes()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .context("the token cannot be renewed")?;
    anyhow::ensure!(answer.status().is_success(), "renewal is answered {}", answer.status());
    let mut body = Vec::new();
    let mut answer = answer;
    while let Some(piece) = answer.chunk().await? {
        body.extend_from_slice(&piece);
        anyhow::ensure!(body.len() <= tidm_space::limits::TOKEN_BYTES, "too long an answer");
    }
    let body: serde_json::Value = serde_json::from_slice(&body)?;
    let text = |name: &str| body.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let mut address = address.clone();
    let fresh = text("access_token").context("the answer holds no access_token")?;
    for (name, value) in [("authorization", Some(fresh)), ("refreshToken", text("refresh_token"))] {
        if let (Some(value), Some(slot)) =
            (value, address.properties.iter_mut().find(|(it, _)| it == name))
        {
            slot.1 = value;
        }
    }
    Ok(address)
}
