//! The wallet's endpoints: presentations to verifiers, credentials and offers from issuers (DCP §5.4, §6.5, §6.6).
//!
//! Threat model: a verifier sees only what the access token covers that we gave to that very DID, however
//! much it asks for. A credential enters the wallet only from its own issuer, about us, verified, and only
//! if we trust the issuer or asked it; nobody else fills our disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures::FutureExt as _;

use tidm_crypto::hash::sha256;
use tidm_crypto::jws;
use tidm_space::engine::node::Signer as _;
use tidm_space::evidence::fact::Change;
use tidm_space::fault::Fault;
use tidm_space::id::Ids as _;
use tidm_space::identity::credential::Credential;
use tidm_space::identity::did::Did;
use tidm_space::identity::issuance::message::{Container, Delivery, Outcome};
use tidm_space::identity::issuance::wallet::{self as decided, Answered};
use tidm_space::identity::presentation::scope::Scope;
use tidm_space::identity::presentation::{access, verify};
use tidm_space::wire::dcp::{issuance, jwt, query};

use super::{Me, caller, refusal, store as failed};
use crate::app::App;
use crate::clock::FreshIds;
use crate::identity::Identity;
use crate::server::answer::json;
use crate::store::StoreError;
use crate::store::save;
use crate::store::wallet::{self, Held};
use crate::store::writer::WorkError;

type Shared = State<Arc<App>>;
type Whose = Extension<Me>;

/// `POST /presentations/query` (DCP §5.4.1).
pub(super) async fn query(
    State(app): Shared,
    Extension(Me(me)): Whose,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match answer_query(&app, &me, &headers, &body).await {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => refusal(error),
    }
}

async fn answer_query(
    app: &App,
    me: &Identity,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<String, WorkError> {
    let who = caller(app, me, headers).await?;
    let asked = query::read(body)?;
    let granted = granted(app, me, &who.did, who.access.as_deref())?;
    let shown = choose(app, &me.did, &asked, &granted).await?;
    let now = app.clock.now();
    let present = |(profile, credentials): (_, Vec<String>)| {
        let jti = FreshIds.fresh();
        let payload = jwt::write_presentation(profile, &me.did, &who.did, &jti, now, &credentials);
        me.sign(jwt::presentation_typ(profile), payload.to_string().as_bytes())
    };
    // DCP §7.1.1: one presentation per data model.
    let presentations: Vec<String> = verify::by_profile(shown).into_iter().map(present).collect();
    Ok(query::write_response(&presentations))
}

/// What our access token lets this verifier see.
fn granted(
    app: &App,
    me: &Identity,
    verifier: &Did,
    token: Option<&str>,
) -> Result<Vec<Scope>, Fault> {
    let no = |why: &str| Fault::denied("token.access", "identity", why);
    let token = token.ok_or_else(|| no("there is no access token for our wallet"))?;
    let token =
        jws::Unverified::parse(token).map_err(|_| no("the access token is none of ours"))?;
    if token.header.typ.as_deref() != Some(access::TYP) {
        return Err(no("the access token is none of ours"));
    }
    let payload =
        token.verify(&me.verifying_key()).map_err(|_| no("the access token is none of ours"))?;
    access::check(payload, &me.did, verifier, app.clock.now())
}

/// Current credentials that were asked for and may be seen, the newest of each kind.
async fn choose(
    app: &App,
    holder: &Did,
    asked: &[Scope],
    granted: &[Scope],
) -> Result<Vec<(Credential, String)>, WorkError> {
    let texts = app.store.wallet(holder).await.map_err(failed)?;
    Ok(decided::choose(texts, asked, granted, app.clock.now()))
}

/// `POST /credentials` (DCP §6.5).
pub(super) async fn store(
    State(app): Shared,
    Extension(Me(me)): Whose,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match take(&app, &me, &headers, &body).await {
        Ok(()) => json(StatusCode::OK, "{}"),
        Err(error) => refusal(error),
    }
}

async fn take(app: &App, me: &Identity, headers: &HeaderMap, body: &[u8]) -> Result<(), WorkError> {
    let who = caller(app, me, headers).await?;
    let delivery = issuance::read_delivery(body)?;
    let asked = app.store.asked(&delivery.holder_pid).await.map_err(failed)?;
    let question = asked.as_ref().map(|it| (it.issuer.as_str(), it.state.as_str()));
    let answers = decided::admit(&who.did, question, app.claims.trusts(&who.did))?;
    let asked = asked.filter(|_| answers);
    let Delivery { holder_pid, outcome, .. } = delivery;
    let (held, answer) = match outcome {
        Outcome::Issued(all) => {
            (verified(app, me, &who.did, all).await?, (Answered::Issued, String::new()))
        }
        Outcome::Rejected(reason) => (Vec::new(), (Answered::Rejected, reason)),
    };
    let (issued, sender) = (!held.is_empty(), who.did.clone());
    let joined = match (&asked, held.first()) {
        (Some(asked), Some(first)) => {
            let who = (&sender, asked.space.as_str());
            let now = app.clock.now();
            Some(me.membership(who, Change::Joined, Some(&first.credential), now))
        }
        _ => None,
    };
    let (full, issuer, now) = (Arc::new(AtomicBool::new(false)), who.did, app.clock.now());
    let told = full.clone();
    app.writer
        .note(move |conn| {
            let (held, answer, told) = (held.clone(), answer.clone(), told.clone());
            let (issuer, pid, joined) = (issuer.clone(), holder_pid.clone(), joined.clone());
            async move {
                wallet::drop_ended(conn, now).await?;
                for it in &held {
                    if !wallet::hold(conn, it, now).await? {
                        told.store(true, Ordering::Relaxed);
                        return Ok::<(), StoreError>(());
                    }
                }
                if let Some(fact) = &joined {
                    save::save_fact(conn, fact).await?;
                }
                wallet::answered(conn, &pid, &issuer, (answer.0, &answer.1)).await
            }
            .boxed()
        })
        .await?;
    if full.load(Ordering::Relaxed) {
        return Err(Fault::refused("wallet.full", "this wallet takes no more credentials").into());
    }
    // We asked for it: from here on its issuer speaks for that space, and for nothing else.
    if let (true, Some(asked)) = (issued, asked) {
        app.claims.know_space(asked.space, sender);
        app.log_bell.notify_one();
    }
    Ok(())
}

/// Each credential, checked as a verifier would check it.
async fn verified(
    app: &App,
    me: &Identity,
    issuer: &Did,
    all: Vec<Container>,
) -> Result<Vec<Held>, WorkError> {
    let mut held = Vec::new();
    for container in all {
        let (token, it) = decided::read(&container, issuer, &me.did)?;
        let kid = token.header.kid.as_deref();
        let peer = app.directory.fresh_enough(issuer, kid).await?;
        let documents = BTreeMap::from([(issuer.clone(), peer.document.clone())]);
        verify::prove_credential(&token, &it, &documents, app.clock.now())?;
        held.push(Held {
            holder: me.did.clone(),
            issuer: issuer.clone(),
            id: it.id.unwrap_or_else(|| sha256(container.payload.as_bytes()).to_string()),
            until: it.until,
            credential: container.payload,
        });
    }
    Ok(held)
}

/// `POST /offers` (DCP §6.6): kept for a person to look at.
pub(super) async fn offer(
    State(app): Shared,
    Extension(Me(me)): Whose,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match keep_offer(&app, &me, &headers, &body).await {
        Ok(()) => json(StatusCode::OK, "{}"),
        Err(error) => refusal(error),
    }
}

async fn keep_offer(
    app: &App,
    me: &Identity,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), WorkError> {
    let who = caller(app, me, headers).await?;
    let offer = issuance::read_offer(body)?;
    if offer.issuer != who.did {
        return Err(
            Fault::misbehaved("offer.issuer", "the offer is in another issuer's name").into()
        );
    }
    if !app.claims.trusts(&who.did) {
        return Err(Fault::denied("wallet.unasked", "wallet", "we do not trust this issuer").into());
    }
    // Written anew: what a stranger added to the message stays outside.
    let record = issuance::write_offer(&offer);
    let (id, holder, now) = (FreshIds.fresh().to_string(), me.did.clone(), app.clock.now());
    app.writer
        .note(move |conn| {
            let (id, holder, record) = (id.clone(), holder.clone(), record.clone());
            let issuer = offer.issuer.clone();
            async move { wallet::keep_offer(conn, &id, (&holder, &issuer), &record, now).await }
                .boxed()
        })
        .await
}
