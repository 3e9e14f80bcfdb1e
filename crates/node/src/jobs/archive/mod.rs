//! The archive of one contract: its whole negotiation in one file that anybody can check without a node ([`check`]).
//!
//! It holds what both signed with their signatures and keys, each terms that were on the table, each message with its
//! direction and time, the facts of the negotiation with the proofs of the log, and the TC609 document where there is
//! one. RFC 8785, signed by this node: the same rows and the same head of the log make the same bytes.
//!
//! What it cannot hold: messages of before terms were kept, or whose journal was swept; the bodies of DSP's messages.
//! Never a secret: tokens and keys of data are in none of these.

pub mod check;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use tidm_crypto::hash::sha256;
use tidm_crypto::{jcs, jws};
use tidm_space::contract::Contract;
use tidm_space::engine::commit::About;
use tidm_space::engine::node::Signer as _;
use tidm_space::evidence::encode::decode;
use tidm_space::evidence::fact::What;
use tidm_space::fault::Fault;
use tidm_space::identity::did::Did;
use tidm_space::negotiation::message::Signature;
use tidm_space::wire::odrl;
use tidm_space::wire::tc609::to_json;
use tidm_space::wire::terms::bare;

use super::{evidence, tc609};
use crate::app::App;
use crate::init;
use crate::store::StoreError;
use crate::store::writer::WorkError;

/// What the file says to be.
const KIND: &str = "tidm-contract-archive/1";
/// The JWS type of its signature.
const TYP: &str = "tidm-archive+jws";
/// Lines of the journal, and messages of TC609; a contract with more has no archive.
const MOST: i64 = 2000;

fn store(why: StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}

/// The file of the contract.
pub async fn make(app: &App, contract: &Contract) -> Result<Vec<u8>, WorkError> {
    let me = &app.identity.did;
    let (provider, consumer) = (contract.provider(me).clone(), contract.consumer(me).clone());
    let mut keys =
        vec![json!({ "did": me.as_str(), "jwk": app.identity.verifying_key().to_jwk() })];
    let signed = [
        (&provider, contract.provider_signature.as_ref()),
        (&consumer, contract.consumer_signature.as_ref()),
    ];
    for (did, signature) in signed {
        if let Some(signature) = signature.filter(|_| did != me) {
            keys.push(json!({ "did": did.as_str(), "jwk": key(app, did, signature).await? }));
        }
    }
    let (facts, named) = facts(app, contract).await?;
    let signature = |it: Option<&Signature>| it.map(|it| it.0.clone());
    let archive = json!({
        "by": me.as_str(),
        "keys": keys,
        "contract": {
            "id": contract.id.as_str(),
            "negotiation": contract.negotiation.as_str(),
            "role": contract.role.word(),
            "provider": provider.as_str(),
            "consumer": consumer.as_str(),
            "product": contract.product.as_str(),
            "signedAt": contract.signed_at.to_string(),
            "signedSha256": contract.digest.to_string(),
            "providerSignature": signature(contract.provider_signature.as_ref()),
            "consumerSignature": signature(contract.consumer_signature.as_ref()),
            "policy": odrl::to_json(&bare(&contract.policy)),
        },
        "terms": terms(app, contract, &named).await?,
        "messages": messages(app, contract).await?,
        "facts": facts,
        "log": log(app)?,
        "tc609": face(app, contract).await?,
    });
    let payload = statement(&archive)?;
    let file =
        json!({ "@type": KIND, "archive": archive, "signature": app.identity.sign(TYP, &payload) });
    let bytes = canonical(&file)?;
    if bytes.len() > check::FILE_BYTES {
        return Err(too_large(format!("more than {} bytes", check::FILE_BYTES)));
    }
    Ok(bytes)
}

fn too_large(why: String) -> WorkError {
    Fault::refused("archive.size", why).into()
}

/// Refuses rows of which there are more than were to come: an archive without the rest would pass for the whole.
fn all<T>(rows: Vec<T>, what: &str) -> Result<Vec<T>, WorkError> {
    if i64::try_from(rows.len()).is_ok_and(|it| it <= MOST) {
        return Ok(rows);
    }
    Err(too_large(format!("more than {MOST} {what}")))
}

fn canonical(it: &Json) -> Result<Vec<u8>, WorkError> {
    jcs::canonical(it).map_err(|_| Fault::ApiMisuse("an archive without canonical form").into())
}

/// What is signed of an archive.
fn statement(archive: &Json) -> Result<Vec<u8>, WorkError> {
    let digest = sha256(&canonical(archive)?).to_string();
    canonical(&json!({ "@type": KIND, "archiveSha256": digest }))
}

/// The key that this signature was checked with, as its signer's document has it now.
async fn key(app: &App, did: &Did, signature: &Signature) -> Result<Json, WorkError> {
    let parsed = jws::Unverified::parse(&signature.0)
        .map_err(|_| Fault::ApiMisuse("a contract with a signature that is none"))?;
    Ok(app.directory.key(did, parsed.header.kid.as_deref()).await?.to_jwk())
}

/// Terms that facts name, in the form that their digests cover: what else a document held was signed by nobody.
async fn terms(
    app: &App,
    contract: &Contract,
    named: &BTreeSet<String>,
) -> Result<Vec<Json>, WorkError> {
    let mut all = vec![];
    for (at, digest, policy) in
        app.store.offered_terms(&contract.negotiation).await.map_err(store)?
    {
        if !named.contains(&digest) {
            continue;
        }
        let policy =
            odrl::parse(policy.as_bytes()).map_err(|why| WorkError::Store(why.to_string()))?;
        let policy = odrl::to_json(&bare(&policy.model));
        all.push(json!({ "at": at.to_string(), "sha256": digest, "policy": policy }));
    }
    Ok(all)
}

async fn messages(app: &App, contract: &Contract) -> Result<Vec<Json>, WorkError> {
    let about = About::Negotiation(contract.negotiation.clone());
    let lines = all(app.store.messages(&about, MOST + 1).await.map_err(store)?, "messages")?;
    let line = |it: &crate::store::messages::Line| {
        json!({
            "at": it.at.to_string(), "direction": if it.out { "out" } else { "in" }, "message": it.path,
            "status": it.status, "attempt": it.attempt, "reason": it.reason,
        })
    };
    Ok(lines.iter().map(line).collect())
}

/// Each with its proof; and the digests of all terms that they name.
async fn facts(app: &App, contract: &Contract) -> Result<(Vec<Json>, BTreeSet<String>), WorkError> {
    let (mut all, mut named) = (vec![], BTreeSet::new());
    for fact in app.store.facts_about(&contract.negotiation).await.map_err(store)? {
        let proven = evidence::receipt(app, &fact.id).await;
        let (proof, bytes) = proven.map_err(|why| match why {
            evidence::ReceiptError::NotWitnessed => Fault::Unavailable {
                reason: why.to_string(),
                retry_after: std::time::Duration::from_secs(10),
            }
            .into(),
            evidence::ReceiptError::Unknown(_)
            | evidence::ReceiptError::Log(_)
            | evidence::ReceiptError::Store(_) => WorkError::Store(why.to_string()),
        })?;
        let said = decode(&bytes).map_err(|why| WorkError::Store(why.to_string()))?;
        if let What::Negotiation { terms: Some(it), .. } = &said.what {
            named.insert(it.to_string());
        }
        all.push(json!({ "entry": STANDARD.encode(bytes), "proof": proof }));
    }
    Ok((all, named))
}

fn log(app: &App) -> Result<Json, WorkError> {
    let key = init::log_vkey(&app.config, app.keys.as_ref())
        .map_err(|_| Fault::ApiMisuse("a log's key that cannot be written"))?;
    let custodians: Vec<&str> =
        app.config.evidence.custodians.iter().map(|it| it.vkey.as_str()).collect();
    Ok(
        json!({ "vkey": key.to_string(), "custodians": custodians, "quorum": app.config.evidence.quorum }),
    )
}

/// The code, the document and what was said at the interfaces; null where this node has no TC609 codes, and the document
/// null where the contract has none.
async fn face(app: &App, contract: &Contract) -> Result<Json, WorkError> {
    if app.config.tc609.platform.is_none() {
        return Ok(Json::Null);
    }
    let it = tc609::find(app, &contract.id).await?;
    let document = match tc609::document(app, &it).await {
        Ok((document, _)) => to_json(&document),
        Err(WorkError::Fault(Fault::Refused { .. })) => Json::Null,
        Err(other) => return Err(other),
    };
    let said = app.store.tc609_messages(it.deal.code.as_str(), MOST + 1).await.map_err(store)?;
    let said = all(said, "TC609 messages")?;
    let line = |it: &crate::store::tc609::Said| {
        json!({
            "at": it.at.to_string(), "direction": "in", "interface": it.path, "id": it.id, "sha256": it.digest,
            "body": it.body, "answer": it.answer,
        })
    };
    let said: Vec<Json> = said.iter().map(line).collect();
    Ok(json!({ "contractId": it.deal.code.as_str(), "document": document, "messages": said }))
}
