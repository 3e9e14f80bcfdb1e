//! A member's node: its word for a session, and its lease once the words of all are here.
//!
//! Threat model: the leader is the contract's consumer, as authenticated, and carries what the other members say. It may name
//! participants of its own making: only members of a space of ours count, each with a legal entity of its own, and each word is held
//! against the signing key in its participant's own document. What the leader says of keys is never believed.

use std::sync::Arc;

use tidm_space::catalog::product::Kind;
use tidm_space::contract::Contract;
use tidm_space::engine::node::Signer as _;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::message::Grant;
use tidm_space::negotiation::message::Role;
use tidm_space::psi::Acceptance;
use tidm_space::psi::many::{Invitation, PROTOCOL, Proposal, Start, WORD_TYPE, Word, allowed};
use tidm_space::wire::tidm::psi_many as wire;

use super::super::ask::{TABLE, size};
use super::super::{drawn, here, kind, request, serve, store, terms};
use super::{check_memory, entity, seed};
use crate::app::App;
use crate::jobs::rest;
use crate::net::auth;
use crate::store::matchings::{Matching, Record, State};
use crate::store::rows::hex;
use crate::store::writer::WorkError;

/// Our side of a proposal: the contract, and which member we are.
async fn looked_at(
    app: &App,
    from: &Did,
    contract: &Id,
    it: &Proposal,
) -> Result<(Contract, usize), WorkError> {
    let contract = app.store.contract(contract).await.map_err(store)?;
    let contract = contract.filter(|it| it.role == Role::Provider && it.peer == *from);
    let contract = contract.ok_or(Fault::NotFound { what: "contract" })?;
    contract.check_active()?;
    let (matching, key) = terms(&contract)?;
    let product = app.store.product(&contract.product).await.map_err(store)?;
    let product = product.filter(|it| it.kind == Kind::Table);
    let product = product.ok_or_else(|| Fault::refused("psi.table", "the product is no table"))?;
    let has = |name: &String| product.columns.iter().any(|it| it.name == *name);
    if let Some(part) = key.parts.iter().find(|part| !has(&part.column)) {
        let why = format!("the product has no column {}", part.column);
        return Err(Fault::refused("psi.columns", why).into());
    }
    allowed(&matching, &it.key)?;
    it.check()?;
    if it.leader != *from {
        return Err(Fault::misbehaved("psi.parties", "the leader is somebody else").into());
    }
    let number = it.number_of(&app.identity.did, &contract.id)?;
    for member in it.members.iter().filter(|it| it.did != app.identity.did) {
        let known = auth::member(app, &member.did).await;
        known.map_err(|_| {
            let why = format!("{} is no member of a space of this node", member.did);
            Fault::refused("psi.parties", why)
        })?;
    }
    it.check_apart(|did| entity(app, did))?;
    Ok((contract, number))
}

/// Our word for a session; the same, however often it is asked for, as long as our table is.
///
/// # Errors
/// [`Fault::NotFound`] for strangers, [`Fault::Refused`] `psi.*` for what is not offered.
pub async fn word(app: &App, from: &Did, it: &Invitation) -> Result<Word, WorkError> {
    let (contract, number) = looked_at(app, from, &it.contract, &it.proposal).await?;
    let source = app.store.source(&contract.product).await.map_err(store)?;
    let source = source.ok_or(Fault::NotFound { what: "product" })?;
    // No gate was asked yet: as many at a time as may compute.
    let _place = app.matchings.serving().ok_or_else(serve::busy)?;
    let list = rest::list(app, &source.object).await.map_err(here)?;
    let items = size(&list, kind(TABLE)).await?;
    check_memory(app, items.max(it.proposal.items))?;
    let key = seed(app, &contract.id, &it.proposal.digest())?.public_key();
    let payload = Word::signed(&it.proposal, number, &key, items);
    let word = Word { key, items, signature: app.identity.sign(WORD_TYPE, &payload) };
    // What we would refuse of others.
    word.verify(&it.proposal, number, &app.identity.verifying_key())?;
    Ok(word)
}

/// Looks at everything before the gate is asked: what would fail then must not cost a use.
///
/// # Errors
/// As [`word`]; [`Fault::PeerMisbehaved`] `psi.member-key` for a word that its participant did not sign.
pub async fn prepare(app: &App, from: &Did, it: &Start) -> Result<(), WorkError> {
    let proposal = &it.agreed.proposal;
    let (contract, number) = looked_at(app, from, &it.lease.contract, proposal).await?;
    it.agreed.check()?;
    for (at, (word, member)) in it.agreed.words.iter().zip(&proposal.members).enumerate() {
        if at == number {
            word.verify(proposal, at, &app.identity.verifying_key())?;
            if word.key != seed(app, &contract.id, &proposal.digest())?.public_key() {
                return Err(Fault::misbehaved("psi.member-key", "this is not our key").into());
            }
            continue;
        }
        let key = app.directory.key(&member.did, word.key_id()?.as_deref()).await?;
        word.verify(proposal, at, &key)?;
    }
    if let Some(known) = app.store.matching(&hex(&proposal.id)).await.map_err(store)?
        && (known.contract != contract.id || known.role != Role::Provider)
    {
        return Err(Fault::refused("psi.session", "this session is another one's").into());
    }
    Ok(())
}

/// The gate granted `lease`: the same answer, however often it is asked for.
pub async fn accepted(app: &Arc<App>, it: &Start, lease: Grant) -> Result<Acceptance, WorkError> {
    let id = hex(&it.agreed.proposal.id);
    let matching = match app.store.matching(&id).await.map_err(store)? {
        Some(known) if known.lease.as_ref() == Some(&lease.lease) => known,
        Some(_) => {
            return Err(Fault::conflict("psi.session", "this session had another lease").into());
        }
        None => opened(app, id, it, &lease).await?,
    };
    let join = request(&matching, it.lease.query)?;
    Ok(Acceptance { lease, join, items: matching.record.items, workers: 1 })
}

async fn opened(
    app: &Arc<App>,
    id: String,
    it: &Start,
    lease: &Grant,
) -> Result<Matching, WorkError> {
    let contract = app.store.contract(&it.lease.contract).await.map_err(store)?;
    let contract = contract.ok_or(Fault::NotFound { what: "contract" })?;
    let (_, key) = terms(&contract)?;
    let source = app.store.source(&contract.product).await.map_err(store)?;
    let source = source.ok_or(Fault::NotFound { what: "product" })?;
    let number = it.agreed.proposal.number_of(&app.identity.did, &contract.id)?;
    let word = it.agreed.words.get(number);
    let items = word.ok_or(Fault::ApiMisuse("a member without a word"))?.items;
    let now = app.clock.now();
    let matching = Matching {
        id,
        contract: contract.id.clone(),
        role: Role::Provider,
        state: State::Open,
        lease: Some(lease.lease.clone()),
        created: now,
        moved: now,
        record: Record {
            protocol: PROTOCOL.to_owned(),
            purpose: it.lease.purpose.clone(),
            items,
            their_items: it.agreed.proposal.items,
            object: source.object,
            name: TABLE.to_owned(),
            columns: key.parts.iter().map(|it| it.column.clone()).collect(),
            nonce: hex(&drawn::<16>()),
            key: hex(&drawn::<32>()),
            workers: 1,
            many: Some(wire::agreed_doc(&it.agreed)),
            ..Record::default()
        },
    };
    serve::opened_once(app, matching, lease).await
}
