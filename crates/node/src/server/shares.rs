//! Operator: the share of a data key that is split with us goes out under a lease that the provider signed.
//!
//! Threat model: callers are members of the space. A share leaves only under a fresh lease whose signature is the
//! provider's, that names us and the very caller, together with the provider's own signed deposit of that contract; each
//! nonce has one answer; whatever is held brings nothing, also not a second time. The answer is under the lease's one-time
//! key. We never learn the data key: half of it is random to us. Who is held, and why, is told to the one who is held and to
//! whom a share of that contract was released before, since its provider's deposit was proven then; other members hear no
//! more than that something is. Must never release before fact and answer are durable.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};

use tidm_crypto::kem::{self, KemPublic, KemSecret, Wrapped};
use tidm_crypto::{domain, jws};
use tidm_space::engine::node::Signer as _;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::limits::SHARE_STATEMENT_BYTES;
use tidm_space::share::{Asked, Deposit, Hold, Published, Shown};
use tidm_space::wire::tidm::lease::write_refusal;
use tidm_space::wire::tidm::share;

use super::answer::{Presented, caller, json, refusal};
use crate::app::App;
use crate::config::Role;
use crate::jobs::{release, split};
use crate::net::auth::Caller;
use crate::random::os;
use crate::store::StoreError;
use crate::store::shares::{self, Question};
use crate::store::writer::WorkError;

type Shared = State<Arc<App>>;

/// Where our key for shares lies among those of contracts.
const KEY: &str = "urn:tidm:operator";

/// Below the DSP base.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(share::KEY_PATH, get(public))
        .route(share::READY_PATH, post(ready))
        .route(share::RELEASE_PATH, post(released))
}

fn answered(done: Result<String, WorkError>) -> Response {
    match done {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => refusal(error, write_refusal),
    }
}

async fn public(State(app): Shared, headers: Presented) -> Response {
    let done = async {
        known(&app, &headers).await?;
        let it = Published {
            operator: app.identity.did.clone(),
            key: secret(&app)?.public().to_bytes(),
            at: app.clock.now(),
        };
        let claims = share::key_claims(&it).to_string();
        Ok(share::write_key(&app.identity.sign(share::KEY_TYP, claims.as_bytes())))
    };
    answered(done.await)
}

async fn ready(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    let done = async {
        let who = known(&app, &headers).await?;
        let (contract, provider) = share::read_inquiry(&body)?;
        writable(&app)?;
        let subjects = [contract.as_str(), provider.as_str(), who.did.as_str()];
        let held = app.store.hold_on(subjects).await.map_err(store)?;
        if held.is_empty() {
            return Ok("{}".to_owned());
        }
        // Contract and provider are the asker's words here: no deposit is shown before a use is counted.
        let ours = app.store.released_to(&contract, (&provider, &who.did)).await.map_err(store)?;
        let told = held.iter().find(|it| ours || it.subject == who.did.as_str());
        let me = &app.identity.did;
        Err(told.map_or_else(|| Hold::bare_refusal(me), |it| it.refusal(me)).into())
    };
    answered(done.await)
}

fn store(why: StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}

async fn released(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    answered(try_release(&app, &headers, &body).await)
}

/// A member that calls a node which is an operator.
async fn known(app: &App, headers: &Presented) -> Result<Caller, WorkError> {
    let who = caller(app, headers).await?;
    app.writer.remember(who.token.clone()).await?;
    if !app.config.node.roles.contains(&Role::Intermediary) {
        let why = "this node releases no shares: it has not the role intermediary";
        return Err(Fault::refused("split.not-operator", why).into());
    }
    Ok(who)
}

/// House D15: nothing is released while the evidence log may not go on.
fn writable(app: &App) -> Result<(), Fault> {
    app.log
        .readiness()
        .map_err(|reason| Fault::Unavailable { reason, retry_after: Duration::from_secs(2) })
}

fn secret(app: &App) -> Result<KemSecret, Fault> {
    let id = Id::parse(KEY).map_err(|_| Fault::ApiMisuse("the name of a key"))?;
    let bytes = app.keys.contract_key(&id).map_err(|error| {
        tracing::error!(%error, "the operator's key cannot be read");
        Fault::Unavailable {
            reason: "the key store does not answer".to_owned(),
            retry_after: Duration::from_secs(2),
        }
    })?;
    KemSecret::from_secret_bytes(bytes.expose()).map_err(|_| Fault::ApiMisuse("a key that is none"))
}

async fn try_release(app: &App, headers: &Presented, body: &Bytes) -> Result<String, WorkError> {
    let who = known(app, headers).await?;
    let said = share::read_request(body)?;
    writable(app)?;
    let provider = share::read_shown(&unproven(&said.shown)?)?.provider;
    let shown = split::proven(app, &said.shown, share::SHOWN_TYP, &provider).await?;
    let shown = share::read_shown(&shown)?;
    let deposit = split::proven(app, &said.deposit, share::DEPOSIT_TYP, &provider).await?;
    let deposit = share::read_deposit(&deposit)?;
    let now = app.clock.now();
    let me = &app.identity.did;
    Asked { me, from: &who.did, deposit: &deposit, shown: &shown }.check(now)?;
    let answer = rewrapped(app, &deposit, &shown)?;
    let question = Question { me: me.clone(), from: who.did, deposit, shown, answer };
    let lease = question.shown.lease.clone();
    let answer = shares::answer(&app.writer, question, now).await?;
    metrics::counter!("tidm_shares_released_total").increment(1);
    Ok(share::write_grant(&lease, &answer))
}

/// What a statement says, to find out whose it is.
fn unproven(text: &str) -> Result<Vec<u8>, Fault> {
    jws::Unverified::parse_within(text, SHARE_STATEMENT_BYTES)
        .map(|it| it.unproven_payload().to_vec())
        .map_err(|_| Fault::misbehaved("message.malformed", "field shown: not a compact JWS"))
}

/// The deposited share, from under our key to the lease's.
fn rewrapped(app: &App, deposit: &Deposit, shown: &Shown) -> Result<Vec<u8>, Fault> {
    let no = |why: &str| Fault::denied("split.deposit", "tidm:keyOperator", why);
    let opened = Wrapped::from_bytes(&deposit.wrapped).and_then(|it| {
        secret(app).map_err(|_| tidm_crypto::error::Opaque)?.open(
            &it,
            domain::SHARE_DEPOSIT.as_bytes(),
            &deposit.binding(),
        )
    });
    let share = opened.map_err(|_| no("the deposited share was not wrapped for this operator"))?;
    if share.expose().len() != 32 {
        return Err(no("the deposited share has another length"));
    }
    let to = KemPublic::from_bytes(&shown.key).map_err(|_| no("the lease names no key"))?;
    let aad = release::associated_data(&shown.lease, &shown.contract);
    kem::seal(&to, domain::SHARE_KEY.as_bytes(), &aad, share.expose(), &mut os())
        .map(|it| it.to_bytes())
        .map_err(|_| no("nothing can be wrapped to the lease's key"))
}
