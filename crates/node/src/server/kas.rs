//! OpenTDF's key access service: programs that are none of this family get the key of a sealed file here.
//!
//! ```text
//!   program ── access token of its node, signed request (client key, policy, key access objects) ──►
//!              whose program, which contract ─► our own copy of the contract ─► share opens, binding holds
//!              ─► the gate: lease, debit, fact ─► share wrapped to the client's key
//! ```
//!
//! It is a door, not a gate: each key released here is a lease like any other, granted by the one gate over the
//! contract as *we* stored it. What the manifest says of the policy only names the contract; with its terms stripped
//! or changed the binding does not hold, and who knows the key well enough to bind anew meets the same contract.
//!
//! Threat model: callers are programs on the network. Each shows an access token that the contract's consumer
//! signed for this service and one contract ([`program`]). The request is signed by the program; where the access
//! token names the key, that signature is verified, else it proves nothing and the access token alone decides.
//! A program gets the bare key and nothing holds it to the lease: this is level E0, so the gate grants it
//! only where the contract permits to hand the content on. Must never release a key without a lease.

use std::io::Read as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use flate2::read::GzDecoder;
use serde::Deserialize;

use tidm_crypto::hash::sha256;
use tidm_crypto::jws;
use tidm_crypto::rsa::RsaPublic;
use tidm_crypto::secret::Secret;
use tidm_crypto::tdf::bound_under;
use tidm_crypto::tdf::rewrap::{ClientKey, KasKey, Session};
use tidm_space::catalog::delivery::Use;
use tidm_space::contract::Contract;
use tidm_space::engine::input::{Heard, Input, Received};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::program::{self, Program};
use tidm_space::lease::message::{Nonce, Request};
use tidm_space::lease::rewrap::obligations;
use tidm_space::limits::KAS_REQUEST_BYTES;
use tidm_space::negotiation::message::Role;
use tidm_space::wire::kas::{self, Answer, ObjectAsk, Outcome, PolicyAsk, proto};

use super::answer::{Presented, json, status};
use super::data::bearer;
use crate::app::App;
use crate::jobs::{release, split};
use crate::net::auth;
use crate::random::os;
use crate::store::StoreError;
use crate::store::writer::WorkError;

type Shared = State<Arc<App>>;

/// The one kind of key that this service offers for wrapping.
const ALGORITHM: &str = "ec:secp256r1";
/// Connect's media type for protobuf.
const PROTO: &str = "application/proto";
/// Where the service's own key lies among those of contracts.
const KEY: &str = "urn:tidm:kas";

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/kas/v2/rewrap", post(rewrap))
        .route("/kas/v2/kas_public_key", get(public_key))
        .route("/kas.AccessService/Rewrap", post(rewrap_connect))
        .route("/kas.AccessService/PublicKey", post(public_key_connect))
}

async fn rewrap(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    let done = async { answer(&app, &headers, &kas::read_body(&body)?).await };
    match done.await {
        Ok(it) => json(StatusCode::OK, kas::write(&it)),
        Err(error) => refused(error),
    }
}

async fn rewrap_connect(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    let done = async {
        let body = unpacked(&headers, &body)?;
        let token =
            if is_proto(&headers) { proto::read_text(&body) } else { kas::read_body(&body) };
        answer(&app, &headers, &token?).await
    };
    match done.await {
        Ok(it) if is_proto(&headers) => protobuf(proto::write(&it)),
        Ok(it) => json(StatusCode::OK, kas::write(&it)),
        Err(error) => refused(error),
    }
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    algorithm: String,
}

async fn public_key(State(app): Shared, Query(it): Query<Wanted>) -> Response {
    match offered(&app, &it.algorithm) {
        Ok((pem, kid)) => json(StatusCode::OK, kas::write_public_key(&pem, &kid)),
        Err(fault) => refused(fault.into()),
    }
}

async fn public_key_connect(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    let done = unpacked(&headers, &body).and_then(|body| {
        if is_proto(&headers) {
            return offered(&app, &proto::read_text(&body)?);
        }
        let wanted: Wanted = serde_json::from_slice(&body)
            .map_err(|_| Fault::misbehaved("message.malformed", "not the JSON of this call"))?;
        offered(&app, &wanted.algorithm)
    });
    match done {
        Ok((pem, kid)) if is_proto(&headers) => protobuf(proto::write_public_key(&pem, &kid)),
        Ok((pem, kid)) => json(StatusCode::OK, kas::write_public_key(&pem, &kid)),
        Err(fault) => refused(fault.into()),
    }
}

fn is_proto(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|it| it == PROTO)
}

fn protobuf(body: Vec<u8>) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, PROTO)], body).into_response()
}

/// The body, which clients of Connect may compress.
fn unpacked(headers: &HeaderMap, body: &Bytes) -> Result<Vec<u8>, Fault> {
    let bad = |why: &str| Fault::misbehaved("message.malformed", why);
    match headers.get(header::CONTENT_ENCODING).map(|it| it.as_bytes()) {
        None | Some(b"identity") => Ok(body.to_vec()),
        Some(b"gzip") => {
            let mut out = Vec::new();
            let most = KAS_REQUEST_BYTES as u64 + 1;
            let read = GzDecoder::new(body.as_ref()).take(most).read_to_end(&mut out);
            read.map_err(|_| bad("not gzip"))?;
            Ok(out)
        }
        Some(_) => Err(bad("compressed in another way than gzip")),
    }
}

/// An error of the whole call, as Connect's clients read it.
fn refused(error: WorkError) -> Response {
    let fault = match error {
        WorkError::Fault(fault) => fault,
        WorkError::Store(reason) => {
            tracing::error!(%reason, "the store failed while answering a program");
            later("try again")
        }
        WorkError::Stopping => later("try again"),
    };
    let stranger = ["token.", "member"].iter().any(|it| fault.code().starts_with(it));
    let status = if stranger { StatusCode::UNAUTHORIZED } else { status(&fault) };
    tracing::info!(code = fault.code(), %fault, "refused a program's request for keys");
    json(status, kas::write_error(status.as_u16(), &fault))
}

fn later(reason: &str) -> Fault {
    Fault::Unavailable { reason: reason.to_owned(), retry_after: Duration::from_secs(2) }
}

/// Our public key for wrapping, and its name.
fn offered(app: &App, algorithm: &str) -> Result<(String, String), Fault> {
    if !matches!(algorithm, "" | ALGORITHM) {
        let why = format!("this service offers {ALGORITHM} and no other algorithm");
        return Err(Fault::refused("kas.algorithm", why));
    }
    let pem = own_key(app)?.public_pem().map_err(|_| Fault::ApiMisuse("a key without a form"))?;
    let kid = sha256(pem.as_bytes()).to_string().chars().take(16).collect();
    Ok((pem, kid))
}

fn own_key(app: &App) -> Result<KasKey, Fault> {
    let id = Id::parse(KEY).map_err(|_| Fault::ApiMisuse("the name of a key"))?;
    let seed = app.keys.contract_key(&id).map_err(|error| {
        tracing::error!(%error, "the key of the key access service cannot be read");
        later("the key store does not answer")
    })?;
    KasKey::from_seed(&seed).map_err(|_| Fault::ApiMisuse("a seed without a key"))
}

/// One call: whose program asks, and how its answer is wrapped.
struct Call<'a> {
    app: &'a App,
    address: Option<IpAddr>,
    program: Program,
    /// The signed request, which names the use: sent again it is the same use.
    token: &'a str,
    key: ClientKey,
    session: Session,
}

async fn answer(app: &Arc<App>, headers: &Presented, token: &str) -> Result<Answer, WorkError> {
    let program = authenticated(app, headers).await?;
    // House D15: no lease while the evidence log may not go on.
    if let Err(reason) = app.log.readiness() {
        return Err(later(&reason).into());
    }
    let parsed = jws::Unverified::parse_within(token, KAS_REQUEST_BYTES)
        .map_err(|why| Fault::misbehaved("kas.request", why.to_string()))?;
    if let Some(signer) = &program.signer {
        let signed = RsaPublic::from_pem(signer).ok();
        let signed = signed.is_some_and(|key| parsed.verify_rs256(&key).is_ok());
        if !signed {
            let why = "the request is not signed by the key that the access token names";
            return Err(Fault::denied("token.signer", "token", why).into());
        }
    }
    let ask = kas::read_token(parsed.unproven_payload(), app.clock.now())?;
    let bad_key = || {
        Fault::refused(
            "kas.client-key",
            "the client's key is neither RSA of 2048 to 4096 bits nor P-256 nor SM2",
        )
    };
    let key = ClientKey::from_pem(&ask.client_key).map_err(|_| bad_key())?;
    let session = key.session(&mut os()).map_err(|_| bad_key())?;
    let session_key = session.session_key.clone();
    let call = Call { app, address: headers.address(), program, token, key, session };
    let mut policies = Vec::new();
    for policy in &ask.policies {
        let mut results = Vec::new();
        for object in &policy.objects {
            results.push((object.id.clone(), call.outcome(policy, object).await?));
        }
        policies.push((policy.id.clone(), results));
    }
    Ok(Answer { session_key, legacy: ask.legacy, policies })
}

/// Whose program calls. Every failure reads much the same to the caller.
async fn authenticated(app: &App, headers: &HeaderMap) -> Result<Program, WorkError> {
    let no = |why: &str| Fault::denied("token.refused", "token", why);
    let token = bearer(headers).ok_or_else(|| no("no Authorization"))?;
    let parsed = jws::Unverified::parse(token).map_err(|_| no("not a compact JWS"))?;
    if parsed.header.typ.as_deref() != Some(program::TYP) {
        return Err(no("not a token for programs").into());
    }
    let service = app.identity.key_service();
    let it = program::parse(parsed.unproven_payload(), &service, app.clock.now())?;
    // Before its document is fetched: whoever is no member makes us call nobody.
    auth::member(app, &it.of).await?;
    let key = app.directory.key(&it.of, parsed.header.kid.as_deref()).await?;
    parsed.verify(&key).map_err(|_| no("its signature does not verify"))?;
    Ok(it)
}

impl Call<'_> {
    /// What becomes of one key access object. A refusal says what would help.
    async fn outcome(&self, policy: &PolicyAsk, object: &ObjectAsk) -> Result<Outcome, WorkError> {
        let app = self.app;
        match self.released(policy, object).await {
            Ok(wrapped) => Ok(Ok(wrapped)),
            Err(WorkError::Fault(fault)) => {
                tracing::info!(code = fault.code(), %fault, "refused a program a key");
                let (purpose, id) = (self.program.purpose.as_deref(), &self.program.contract);
                let owed = match self.contract().await {
                    Ok(contract) => {
                        let spent = app.store.spent(id).await.map_err(failed)?;
                        obligations(&contract, spent, purpose, &fault)
                    }
                    Err(_) => Vec::new(),
                };
                Ok(Err(kas::refusal(&fault, &owed, &app.identity.key_service())))
            }
            Err(error @ (WorkError::Store(_) | WorkError::Stopping)) => Err(error),
        }
    }

    /// Our own contract that the access token is for, with the caller as its consumer.
    async fn contract(&self) -> Result<Contract, WorkError> {
        let found = self.app.store.contract(&self.program.contract).await.map_err(failed)?;
        let ours = found.filter(|it| it.role == Role::Provider && it.peer == self.program.of);
        Ok(ours.ok_or(Fault::NotFound { what: "contract" })?)
    }

    async fn released(&self, policy: &PolicyAsk, object: &ObjectAsk) -> Result<Vec<u8>, WorkError> {
        let contract = self.contract().await?;
        if kas::contract_of(&policy.body)? != contract.id {
            let why = "the access token is for another contract than the file";
            return Err(Fault::denied("kas.contract", "token", why).into());
        }
        if split::operator_of(&contract).is_some() {
            // A program shows its lease to nobody: half a key would cost a use and open nothing.
            let why =
                "the key of this file is split with an operator: open it with `tidm use open`";
            return Err(Fault::denied("split.program", "tidm:keyOperator", why).into());
        }
        let share = self.share(&contract, object)?;
        match bound_under(&share, &policy.body, &object.binding) {
            Some(suite) if suite == self.key.suite() => {}
            Some(suite) => {
                let why = format!(
                    "a file of the suite {} takes a client key of that suite",
                    suite.name()
                );
                return Err(Fault::denied("kas.suite", "clientPublicKey", why).into());
            }
            None => {
                let why = "the policy or its binding is not the one that this key was sealed with";
                return Err(Fault::denied("kas.binding", "policyBinding", why).into());
            }
        }
        let request = Request {
            contract: contract.id.clone(),
            kind: Use::SealedFile,
            nonce: nonce(self.token, &contract.id),
            key: self.key.digest().0,
            purpose: self.program.purpose.clone(),
            query: None,
            items: None,
            epsilon: None,
            span: Duration::ZERO,
        };
        let received = Received {
            from: self.program.of.clone(),
            key: None,
            id: None,
            digest: sha256(self.token.as_bytes()),
            seen: auth::seen(self.app, &self.program.of, self.address),
            what: Heard::Rewrap(Box::new(request)),
        };
        // Lease, debit and fact are durable before the key is wrapped.
        self.app.writer.run(Input::Heard(Box::new(received))).await?;
        let wrapped = self.session.wrap(&share, &mut os());
        Ok(wrapped.map_err(|_| Fault::ApiMisuse("a share that cannot be wrapped"))?)
    }

    /// The share of a key access object: wrapped by the contract's key, or by a sealing program to our public one.
    fn share(&self, contract: &Contract, object: &ObjectAsk) -> Result<Secret<[u8; 32]>, Fault> {
        let opened = match object.kind.as_str() {
            "wrapped" => {
                let text = std::str::from_utf8(&object.wrapped_key).unwrap_or_default();
                release::open_wrapped(self.app, &contract.id, text)?
            }
            "ec-wrapped" => {
                let ephemeral = object.ephemeral.as_deref().unwrap_or_default();
                own_key(self.app)?.unwrap(ephemeral, &object.wrapped_key).ok()
            }
            _ => None,
        };
        opened.ok_or_else(|| {
            let why = "this service did not wrap this key for this contract";
            Fault::denied("kas.key", "wrappedKey", why)
        })
    }
}

/// The same signed request is the same use.
fn nonce(token: &str, contract: &Id) -> Nonce {
    let digest = sha256(format!("{contract} {token}").as_bytes());
    let mut nonce = Nonce::default();
    for (to, from) in nonce.iter_mut().zip(digest.0) {
        *to = from;
    }
    nonce
}

fn failed(why: StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}
