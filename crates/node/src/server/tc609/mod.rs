//! The TC609 face of this node, at `/tc609/{interface}`: six interfaces of TC609-6-2025-14 for contracts, four of
//! TC609-6-2025-15 for the control of uses, and two of our own (`contractQuery`, `strategyDecision`).
//!
//! Threat model: whoever reaches the port may call. A caller is nobody unless `tc609.callers` names it by code and DID,
//! and each call is signed by a key of that DID ([`door`]): over this node's code, the time (five minutes either way),
//! the caller's own number and the body, so that nothing is forged, changed, replayed elsewhere or much later. A call
//! that comes twice is answered as the first time. Callers speak for this node's own organisation, and what they may do
//! is what an operator may do: negotiations, contracts and the gate are the ones of DSP, never others. Partners' connectors
//! may send proofs of fulfilment of their own contracts, and nothing else.
//!
//! Never on unless `tc609.enabled`: everything here answers 404.

mod contract;
mod door;
mod negotiate;
mod usage;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Extension, Router};
use serde_json::{Map, Value as Json};

use tidm_crypto::hash::sha256;
use tidm_space::fault::Fault;
use tidm_space::limits::MESSAGE_BYTES;
use tidm_space::tc609::message::{Envelope, Interface, Message};
use tidm_space::wire::tc609::{answer, message};

use super::answer::json;
use crate::app::App;
use crate::jobs::tc609::own_subject;
use crate::store::StoreError;
use crate::store::tc609::{self as rows, Said};
use crate::store::writer::WorkError;

/// Where the interfaces are, below the public URL.
pub const PREFIX: &str = "/tc609";

/// What an interface answers: its flag, and what belongs to it.
type Done = (bool, Map<String, Json>);

/// A call that was let in.
struct Call<'a> {
    caller: door::Caller,
    envelope: Envelope,
    body: &'a [u8],
}

/// Below the public URL.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    if !app.config.tc609.enabled {
        return Router::new();
    }
    Router::new()
        .route(&format!("{PREFIX}/{{interface}}"), post(call))
        .layer(DefaultBodyLimit::max(MESSAGE_BYTES))
        .layer(Extension(Busy::default()))
}

/// What is being worked on: one call at a time for each contract and for each message.
#[derive(Clone, Default)]
struct Busy(Arc<Mutex<BTreeSet<String>>>);

/// Freed when it goes out of scope, however the call ends.
struct Place(Busy, String);

impl Busy {
    fn take(&self, name: String) -> Result<Place, Fault> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        if fresh {
            return Ok(Place(self.clone(), name));
        }
        Err(Fault::Unavailable {
            reason: "another call about this is under way".to_owned(),
            retry_after: Duration::from_secs(1),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

async fn call(
    State(app): State<Arc<App>>,
    Extension(busy): Extension<Busy>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(interface) = Interface::from_path(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // Whoever goes away in the middle does not stop what has begun.
    let work = async move { answered(&app, &busy, interface, &headers, &body).await };
    let done = tokio::spawn(work).await;
    match done {
        Ok(Ok(text)) => json(StatusCode::OK, text),
        Ok(Err(error)) => refusal(interface, error),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The standard's failure in a body; an HTTP error only where there was no call to answer.
fn refusal(interface: Interface, error: WorkError) -> Response {
    let fault = match error {
        WorkError::Fault(fault) => fault,
        WorkError::Store(reason) => {
            tracing::error!(%reason, "the store failed while answering a TC609 call");
            later()
        }
        WorkError::Stopping => later(),
    };
    tracing::info!(code = fault.code(), %fault, interface = interface.path(), "refused a TC609 call");
    let status = match &fault {
        Fault::Denied { code: "tc609.caller", .. } => {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        Fault::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Fault::ApiMisuse(what) => {
            tracing::error!(what, "a fault of our own while answering a TC609 call");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Fault::PeerMisbehaved { .. }
        | Fault::PeerIncompatible { .. }
        | Fault::Denied { .. }
        | Fault::NotFound { .. }
        | Fault::Conflict { .. }
        | Fault::Refused { .. } => StatusCode::OK,
    };
    json(status, answer::refused(interface, &fault))
}

fn later() -> Fault {
    Fault::Unavailable { reason: "try again".to_owned(), retry_after: Duration::from_secs(1) }
}

async fn answered(
    app: &App,
    busy: &Busy,
    interface: Interface,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<String, WorkError> {
    let (caller, envelope) = door::enter(app, interface, headers, body).await?;
    let said = message::read(interface, body)?;
    let call = Call { caller, envelope, body };
    call.speaks_for_us(app, &said)?;
    if interface.is_signed() {
        door::check_member(&call)?;
    }
    if matches!(said, Message::Template { .. } | Message::Query { .. } | Message::Decision { .. }) {
        let (done, more) = act(app, &call, &said).await?;
        return Ok(answer::write(interface, done, more));
    }
    let id = said
        .own_id()
        .unwrap_or_else(|| format!("{} {}", call.caller.code.as_str(), call.envelope.sequence));
    let _message = busy.take(format!("{} {id}", interface.path()))?;
    let _contract = said.contract().map(|it| busy.take(it.to_string())).transpose()?;
    let digest = sha256(body).to_string();
    if let Some(kept) = app.store.tc609_message(interface.path(), &id).await.map_err(store)? {
        if kept.digest == digest {
            return Ok(kept.answer);
        }
        let why = "this number or id was used for another message";
        return Err(Fault::conflict("tc609.repeated", why).into());
    }
    let (done, more) = act(app, &call, &said).await?;
    let code = said.contract().map(|it| it.to_string());
    let given = more.get("contractId").and_then(Json::as_str).map(str::to_owned);
    let answer = answer::write(interface, done, more);
    let kept = Said {
        path: interface.path().to_owned(),
        id,
        code: given.or(code).unwrap_or_default(),
        at: app.clock.now(),
        digest,
        body: String::from_utf8_lossy(body).into_owned(),
        answer: answer.clone(),
    };
    keep(app, kept).await?;
    Ok(answer)
}

async fn keep(app: &App, it: Said) -> Result<(), WorkError> {
    app.writer
        .note(move |conn| {
            let it = it.clone();
            Box::pin(async move { rows::keep(conn, &it).await })
        })
        .await
}

async fn act(app: &App, call: &Call<'_>, said: &Message) -> Result<Done, WorkError> {
    match said {
        Message::Template { template, .. } => contract::template(template.as_deref()),
        Message::Create(it) => contract::create(app, it).await,
        Message::Negotiate { terms, signatures } => {
            negotiate::negotiate(app, call, terms, signatures).await
        }
        Message::Registrate { terms, signatories, .. } => {
            contract::file(app, terms, signatories).await
        }
        Message::Execution(it) => usage::executed(app, it).await,
        Message::Terminate(it) => contract::terminate(app, it).await,
        Message::Query { contract } => contract::query(app, contract.as_ref()).await,
        Message::Strategy { of, document, .. } => usage::strategy(app, of, document).await,
        Message::Feedback { of, verdict, details, .. } => {
            usage::feedback(app, of, *verdict, details).await
        }
        Message::Abnormal(it) => usage::abnormal(app, it).await,
        Message::Proof { of, .. } => usage::proof(app, &call.caller.did, of).await,
        Message::Decision { contract, asked } => usage::decision(app, contract, asked).await,
    }
}

impl Call<'_> {
    /// A body that names another sender, or another organisation, than the call.
    fn speaks_for_us(&self, app: &App, said: &Message) -> Result<(), Fault> {
        if said.sender().is_some_and(|it| *it != self.caller.code) {
            let why = "the body names another sender than the call";
            return Err(Fault::denied("tc609.sender", "issuerId", why));
        }
        let us = own_subject(app)?;
        if said.entity().is_some_and(|it| *it != us) {
            let why = "callers speak for this node's own organisation only";
            return Err(Fault::denied("tc609.sender", "issuerEntityId", why));
        }
        Ok(())
    }
}

fn store(why: StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}

fn nothing() -> Map<String, Json> {
    Map::new()
}
