//! Proofs of fulfilment (履约证明): when a contract is over, the consumer's node makes one from its archive, signs it, and
//! sends it to the interface `fulfillmentProof` of the provider, and of the platform where one is set, until each answers.
//!
//! Threat: a proof that is lost, that arrives as two, or that says more than is on record. So it is owed in the store from
//! the contract's end on, written there before it is sent, repeated byte by byte, and made of the archive's own rows.
//! Never more than this node's signed word on what its log holds; a patched node's log holds what it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

use tidm_crypto::hash::sha256;
use tidm_space::contract::{Contract, State};
use tidm_space::engine::node::Signer as _;
use tidm_space::evidence::fact::What;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::negotiation::message::Role;
use tidm_space::tc609::code::NodeCode;
use tidm_space::tc609::message::{Envelope, Interface, SIGNATURE_TYPE};
use tidm_space::time::Time;
use tidm_space::wire::tc609::answer;
use tidm_space::wire::tc609::message::covered;

use super::{archive, tc609};
use crate::app::App;
use crate::identity::DSP_PATH;
use crate::server::tc609::PREFIX;
use crate::store::tc609::{self as rows, Owed, Receiver, Said};
use crate::store::writer::WorkError;

/// How often the store is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Proofs of one look.
const BATCH: i64 = 64;
/// A call is over by then, however slowly it is answered; and no peer's proofs of one look take much longer.
const CALL: Duration = Duration::from_secs(10);
/// The other proofs for a peer that failed one wait so long.
const ASIDE: Duration = Duration::from_secs(30);
/// The first pause between two tries; it doubles.
const FIRST: Duration = Duration::from_secs(1);
/// A peer that is back finds the proof within this time.
const LONGEST: Duration = Duration::from_secs(900);
/// With the longest pause: about a week, as long as a notice is repeated.
const TRIES: u32 = 680;
/// An answer has a flag, a code and a sentence.
const ANSWER_BYTES: usize = 64 * 1024;
/// Identifiers of TC609-6-2025-15 have at most so many characters.
const OWN_ID: usize = 36;

/// The contract is over: its proof is owed from now on, to the peer if it is a TC609 partner, and to the platform if
/// it is known where that is.
pub async fn owe(app: &App, contract: &Id) -> Result<(), WorkError> {
    if !app.config.tc609.enabled {
        return Ok(());
    }
    let store = |why: crate::store::StoreError| WorkError::Store(why.to_string());
    let found = app.store.contract(contract).await.map_err(store)?;
    let found = found.filter(|it| it.role == Role::Consumer && it.is_over());
    let Some(it) = found else { return Ok(()) };
    let partner = tc609::code_of(app, &it.peer).is_ok().then_some(Receiver::Peer);
    let platform = app.config.tc609.platform_url.as_ref().map(|_| Receiver::Platform);
    let to: Vec<Receiver> = partner.into_iter().chain(platform).collect();
    if to.is_empty() {
        return Ok(());
    }
    let (id, now) = (it.id, app.clock.now());
    app.writer
        .note(move |conn| {
            let (id, to) = (id.clone(), to.clone());
            Box::pin(async move {
                for it in to {
                    rows::owe(conn, &id, it, now).await?;
                }
                Ok(())
            })
        })
        .await
}

/// Runs until it is dropped.
pub async fn run(app: Arc<App>) {
    loop {
        match app.store.owed_proofs(app.clock.now(), BATCH).await {
            Ok(due) => {
                let mut turns = JoinSet::new();
                for (_, all) in by_receiver(&app, due).await {
                    let app = app.clone();
                    turns.spawn(async move { turn(&app, all).await });
                }
                while turns.join_next().await.is_some() {}
            }
            Err(error) => tracing::warn!(%error, "proofs that are owed cannot be read"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A receiver that is slow or silent is waited for by its own proofs alone.
async fn by_receiver(app: &App, due: Vec<Owed>) -> BTreeMap<(Receiver, String), Vec<Owed>> {
    let mut all: BTreeMap<(Receiver, String), Vec<Owed>> = BTreeMap::new();
    for it in due {
        if it.to == Receiver::Platform {
            all.entry((it.to, String::new())).or_default().push(it);
            continue;
        }
        let peer = match app.store.contract(&it.contract).await {
            Ok(found) => found.map(|it| it.peer.to_string()),
            Err(error) => {
                tracing::warn!(%error, "a contract that a proof is owed for cannot be read");
                continue;
            }
        };
        all.entry((it.to, peer.unwrap_or_default())).or_default().push(it);
    }
    all
}

/// One receiver's proofs, one after another. When one fails, or they take too long together, the rest make place for others'.
async fn turn(app: &App, all: Vec<Owed>) {
    let started = tokio::time::Instant::now();
    let mut failed = false;
    for mut it in all {
        if !failed && started.elapsed() < CALL {
            failed = !deal(app, it).await;
            continue;
        }
        it.next = app.clock.now().after(ASIDE);
        let contract = it.contract.clone();
        if let Err(error) = save(app, it).await {
            tracing::warn!(%error, %contract, "a proof that is owed cannot be put off");
        }
    }
}

/// `false`: it was not delivered, and is tried again.
async fn deal(app: &App, mut it: Owed) -> bool {
    let (contract, to) = (it.contract.clone(), it.to);
    match step(app, &mut it).await {
        Ok(None) => return true,
        Ok(Some(said)) => {
            if let Err(error) = close(app, contract.clone(), to, Some(said)).await {
                tracing::warn!(%error, %contract, "the answer to a proof is not kept; it is sent again");
            }
            return true;
        }
        Err(error) => {
            let to = to.name();
            tracing::info!(%error, %contract, to, "a proof of fulfilment is not delivered");
        }
    }
    it.tries = it.tries.saturating_add(1);
    let done = if it.tries >= TRIES {
        tracing::warn!(%contract, to = to.name(), "a proof of fulfilment is given up");
        close(app, contract.clone(), to, None).await
    } else {
        let pause = FIRST.saturating_mul(1 << it.tries.min(16)).min(LONGEST);
        it.next = app.clock.now().after(pause);
        save(app, it).await
    };
    if let Err(error) = done {
        tracing::warn!(%error, %contract, "a proof that is owed cannot be put off");
    }
    false
}

async fn save(app: &App, it: Owed) -> Result<(), WorkError> {
    app.writer
        .note(move |conn| {
            let it = it.clone();
            Box::pin(async move { rows::postpone(conn, &it).await })
        })
        .await
}

async fn close(app: &App, contract: Id, to: Receiver, said: Option<Said>) -> Result<(), WorkError> {
    app.writer
        .note(move |conn| {
            let (contract, said) = (contract.clone(), said.clone());
            Box::pin(async move { rows::answered(conn, &contract, to, said.as_ref()).await })
        })
        .await
}

/// Makes it where it is not made yet, and sends it. `Some`: what the peer answered, yes or no.
async fn step(app: &App, it: &mut Owed) -> anyhow::Result<Option<Said>> {
    let Some(contract) = app.store.contract(&it.contract).await? else {
        close(app, it.contract.clone(), it.to, None).await?;
        return Ok(None);
    };
    if it.body.is_empty() {
        let (id, made) = (it.contract.clone(), body(app, &contract).await?);
        // Written before it is sent: whatever happens now, all see one proof.
        let kept = app.writer.note(move |conn| {
            let (id, made) = (id.clone(), made.clone());
            Box::pin(async move { rows::made(conn, &id, &made).await })
        });
        kept.await?;
        // Another replica may have made one first, or have had it answered.
        it.body = app.store.owed_proof(&it.contract, it.to).await?.unwrap_or_default();
        if it.body.is_empty() {
            return Ok(None);
        }
    }
    let answer = tokio::time::timeout(CALL, send(app, &contract, it)).await;
    let answer = answer.map_err(|_| anyhow::anyhow!("no whole answer within {CALL:?}"))??;
    let digest = sha256(it.body.as_bytes()).to_string();
    let whole: Json = serde_json::from_str(&it.body)?;
    let text = |name: &str| whole.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    Ok(Some(Said {
        path: Interface::Proof.path().to_owned(),
        // What the platform answered stands beside what the peer did.
        id: match it.to {
            Receiver::Peer => text("proofId"),
            Receiver::Platform => format!("{} platform", text("proofId")),
        },
        code: text("contractId"),
        at: app.clock.now(),
        digest,
        body: it.body.clone(),
        answer,
    }))
}

/// The signed message.
async fn body(app: &App, contract: &Contract) -> Result<String, WorkError> {
    let strategy = contract.id.as_str().trim_start_matches("urn:uuid:").to_owned();
    if strategy.len() > OWN_ID {
        let why = "the agreement's id is longer than a policy instance's may be";
        return Err(Fault::refused("tc609.strategy", why).into());
    }
    let code = tc609::deal_of(app, &contract.negotiation).await?.code;
    let (mut log, file) = (account(app, contract).await?, archive::make(app, contract).await);
    match file {
        // Not the file: what a signature of the standard covers stands in the signature, which is bounded.
        Ok(file) => log["archiveSha256"] = sha256(&file).to_string().into(),
        Err(WorkError::Fault(Fault::Refused { code, .. })) => log["archiveMissing"] = code.into(),
        Err(later) => return Err(later),
    }
    let mut said = json!({
        "proofId": uuid::Uuid::now_v7().to_string(),
        "contractId": code.to_string(),
        "strategyId": strategy,
        "log": log,
        "timestamp": app.clock.now().to_string(),
    });
    let payload = covered(said.to_string().as_bytes(), "signature")?;
    said["signature"] = app.identity.sign(SIGNATURE_TYPE, &payload).into();
    Ok(said.to_string())
}

/// What was done under it, as this node's log has it.
async fn account(app: &App, contract: &Contract) -> Result<Json, WorkError> {
    let State::Ended { why, by, at, reason } = &contract.state else {
        return Err(Fault::ApiMisuse("a proof of a contract that is not over").into());
    };
    let kinds = ["lease-held", "lease-missed", "lease-closed", "copies-deleted"];
    let facts = app.store.contract_facts_of(&contract.id, &kinds).await;
    let facts = facts.map_err(|why| WorkError::Store(why.to_string()))?;
    let (mut leases, mut rows, mut bytes, mut deleted) =
        (BTreeSet::new(), 0_u64, 0_u64, Json::Null);
    for fact in &facts {
        if matches!(fact.what, What::LeaseHeld { .. } | What::LeaseMissed { .. }) {
            leases.extend(&fact.links.lease);
        }
        if let What::LeaseClosed { rows: more, bytes: size, .. } = &fact.what {
            (rows, bytes) = (rows.saturating_add(*more), bytes.saturating_add(*size));
        }
        if let What::CopiesDeleted { files, receipt, .. } = &fact.what {
            deleted = json!({ "files": files.len(), "receiptSha256": receipt.to_string() });
        }
    }
    let ended = json!({
        "at": at.to_string(), "why": why.word(), "by": by.word(), "reason": reason,
    });
    Ok(json!({
        "agreement": contract.id.as_str(), "ended": ended, "uses": leases.len().to_string(), "rows": rows.to_string(),
        "bytes": bytes.to_string(), "deleted": deleted,
    }))
}

/// Where a receiver's interfaces are, and its code.
fn address<'a>(
    app: &'a App,
    contract: &Contract,
    to: Receiver,
) -> anyhow::Result<(String, &'a NodeCode)> {
    if to == Receiver::Platform {
        let it = &app.config.tc609;
        let (base, code) = it.platform_url.as_ref().zip(it.platform.as_ref()).ok_or_else(|| {
            anyhow::anyhow!("tc609.platform_url is not set any more, and a proof is owed to it")
        })?;
        return Ok((base.trim_end_matches('/').to_owned(), code));
    }
    let base = contract.address.strip_suffix(DSP_PATH);
    let base = base.ok_or_else(|| anyhow::anyhow!("{} has no TC609 face", contract.address))?;
    Ok((format!("{base}{PREFIX}"), tc609::code_of(app, &contract.peer)?))
}

/// The receiver's answer, whichever; `Err`: there was none, and there may be one later.
async fn send(app: &App, contract: &Contract, it: &Owed) -> anyhow::Result<String> {
    let (base, receiver) = address(app, contract, it.to)?;
    let (body, interface) = (&it.body, Interface::Proof);
    let at = Time::from_ms(app.clock.now().ms());
    let envelope = Envelope { interface, at, sequence: uuid::Uuid::now_v7().to_string() };
    let signed = envelope.signed_bytes(receiver, sha256(body.as_bytes()));
    let url = format!("{base}/{}", interface.path());
    let request = app.client.request(Method::POST, &url).await?;
    let mut answer = request
        .header("content-type", "application/json")
        .header("msgcode", interface.path())
        .header("msgversion", Envelope::VERSION)
        .header("timestamp", format!("{:013}", at.ms()))
        .header("sequenceNum", envelope.sequence)
        .header("signValue", app.identity.sign(Envelope::TYPE, &signed))
        .body(body.to_owned())
        .send()
        .await?;
    let status = answer.status();
    anyhow::ensure!(status.is_success(), "{url} answers {status}");
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        anyhow::ensure!(bytes.len() + piece.len() <= ANSWER_BYTES, "{url} answers without end");
        bytes.extend_from_slice(&piece);
    }
    let read = answer::read(interface, &bytes)?;
    if !read.done {
        tracing::warn!(code = ?read.code, why = ?read.message, contract = %contract.id, "a proof of fulfilment was refused");
    }
    Ok(String::from_utf8(bytes)?)
}
