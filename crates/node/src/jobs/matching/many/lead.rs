//! The leader's node: from a wish under several contracts to the rows that all have.
//!
//! Every step until the processes start can be repeated, as for two. What one member refuses, or where one fails, ends it for all, and
//! the reason names that member; leases that exist by then are given back, and what their gates counted stays counted.

use std::sync::Arc;

use tokio::net::UnixListener;

use tidm_compute::job::failure::ErrorReport;
use tidm_compute::job::order::Report;
use tidm_space::contract::Contract;
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::message::Request;
use tidm_space::lease::state::{Lease, State as Standing};
use tidm_space::limits::LEASE_MAX;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::matching::Matching as Terms;
use tidm_space::policy::usage::Use;
use tidm_space::psi::Acceptance;
use tidm_space::psi::many::{
    Agreed, Invitation, Member, PROTOCOL, Proposal, Start, Word, allowed, numbered, under,
};
use tidm_space::wire::tidm::{psi, psi_many as wire};

use super::super::ask::{Listed, Mine, begun, hold, listed, post};
use super::super::process::Task;
use super::super::registry::Turn;
use super::super::settle::Ended;
use super::super::tally::Tally;
use super::super::{Written, drawn, folder, process, request, save, store, streams, terms, unhex};
use super::{check_memory, entity, only_once};
use crate::app::App;
use crate::jobs::{renewing, rest, workers};
use crate::store::matchings::{Matching, Party, Record, State};
use crate::store::rows::hex;
use crate::store::writer::WorkError;

/// What somebody wants matched with several providers.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// One for each provider.
    pub contracts: Vec<Id>,
    pub mine: Mine,
    /// Our columns, in the order of the contracts' key; empty: they are called as in the first contract.
    pub columns: Vec<String>,
    /// What the result is to be.
    pub result: Written,
    pub purpose: Option<String>,
}

/// Begins one; it runs on by itself.
///
/// # Errors
/// [`Fault::Refused`] `psi.*` for a wish that cannot be met, [`Fault::NotFound`] for what is not ours.
pub async fn start(app: &Arc<App>, it: Wanted) -> Result<Matching, WorkError> {
    let contracts = contracts(app, &it.contracts).await?;
    let first = contracts.first().ok_or(Fault::NotFound { what: "contract" })?;
    let (_, key) = terms(first)?;
    let Listed { object, name, temporary, columns, items } =
        listed(app, &it.mine, &key, (it.columns, it.result.columns())).await?;
    let party = |it: &Contract| Party { contract: it.id.to_string(), ..Party::default() };
    let now = app.clock.now();
    let matching = Matching {
        id: hex(&drawn::<32>()),
        contract: first.id.clone(),
        role: Role::Consumer,
        state: State::Open,
        lease: None,
        created: now,
        moved: now,
        record: Record {
            protocol: PROTOCOL.to_owned(),
            purpose: it.purpose,
            items,
            object,
            name,
            columns,
            shown: it.result.columns().to_vec(),
            bitmap: it.result == Written::Bitmap,
            temporary,
            nonce: hex(&drawn::<16>()),
            key: hex(&drawn::<32>()),
            workers: 1,
            span_ms: u64::try_from(LEASE_MAX.as_millis()).ok(),
            parties: contracts.iter().map(party).collect(),
            ..Record::default()
        },
    };
    proposal(app, &matching, &contracts)?;
    begun(app, matching).await
}

/// Ours as the consumer, active.
async fn contracts(app: &App, ids: &[Id]) -> Result<Vec<Contract>, WorkError> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let contract = app.store.contract(id).await.map_err(store)?;
        let contract = contract.filter(|it| it.role == Role::Consumer);
        let contract = contract.ok_or(Fault::NotFound { what: "contract" })?;
        contract.check_active()?;
        found.push(contract);
    }
    Ok(found)
}

fn ids(record: &Record) -> Result<Vec<Id>, Fault> {
    let id = |it: &Party| Id::parse(&it.contract);
    let all: Result<Vec<Id>, _> = record.parties.iter().map(id).collect();
    all.map_err(|_| Fault::ApiMisuse("a matching without its contracts"))
}

/// What we propose to all; every contract lets it be.
fn proposal(app: &App, it: &Matching, contracts: &[Contract]) -> Result<Proposal, Fault> {
    let id = unhex(&it.id).ok_or(Fault::ApiMisuse("a matching without its session"))?;
    let first = contracts.first().ok_or(Fault::NotFound { what: "contract" })?;
    let key = numbered(&terms(first)?.1);
    for contract in contracts {
        allowed(&terms(contract)?.0, &key).map_err(|why| about(contract, why))?;
    }
    let member = |it: &Contract| Member { did: it.peer.clone(), under: under(&id, &it.id) };
    let leader = app.identity.did.clone();
    let members = contracts.iter().map(member).collect();
    let proposal = Proposal { id, leader, items: it.record.items, key, members };
    proposal.check()?;
    proposal.check_apart(|did| entity(app, did))?;
    Ok(proposal)
}

async fn one_over(app: &App, it: &Joined) -> Fault {
    let over = tokio::select! {
        over = workers::over(app, &it.ours) => over,
        over = given_up(app, it) => over,
        refused = renewing::refused(app, &it.contract, &it.ours) => refused,
    };
    named(&it.contract, over)
}

/// The same refusal, and of which contract.
fn about(contract: &Contract, why: Fault) -> Fault {
    if let Fault::Refused { code, reason } = why {
        return Fault::refused(code, format!("{} of {}: {reason}", contract.id, contract.peer));
    }
    why
}

/// What our contracts say.
pub(in super::super) async fn all_terms(
    app: &App,
    record: &Record,
) -> Result<Vec<Terms>, WorkError> {
    let mut found = Vec::with_capacity(record.parties.len());
    for id in ids(record)? {
        let contract = app.store.contract(&id).await.map_err(store)?;
        found.push(terms(&contract.ok_or(Fault::NotFound { what: "contract" })?)?.0);
    }
    Ok(found)
}

/// A member with both leases.
struct Joined {
    contract: Contract,
    ours: Id,
    theirs: Id,
}

pub(in super::super) async fn work(app: &Arc<App>, it: &mut Matching, turn: &Turn) -> Ended {
    if it.record.attempts > 0 {
        return Ended::Refused(only_once());
    }
    let joined = match agree(app, it).await {
        Ok(joined) => joined,
        Err(WorkError::Fault(fault)) => return Ended::Refused(fault),
        Err(why) => return Ended::Refused(later(why.to_string())),
    };
    // The one run.
    it.record.attempts = 1;
    if let Err(why) = save(app, it).await {
        return Ended::Refused(later(why.to_string()));
    }
    turn.live.write_down(Tally::new(&folder(app, &it.id), it.record.attempts));
    let running = run(app, it, &joined, turn);
    tokio::select! {
        done = running => done,
        over = any_over(app, &joined) => Ended::Refused(over),
    }
}

fn later(reason: String) -> Fault {
    Fault::Unavailable { reason, retry_after: std::time::Duration::from_secs(1) }
}

/// All leases exist after this.
async fn agree(app: &Arc<App>, it: &mut Matching) -> Result<Vec<Joined>, WorkError> {
    let contracts = contracts(app, &ids(&it.record)?).await?;
    let proposal = proposal(app, it, &contracts)?;
    let asked = contracts.iter().enumerate();
    let asked: Vec<_> = asked.map(|(at, of)| invited(app, of, &proposal, at)).collect();
    let words = futures::future::try_join_all(asked).await?;
    let agreed = Agreed { proposal, words };
    agreed.check()?;
    let largest = agreed.words.iter().map(|it| it.items).max().unwrap_or(0);
    check_memory(app, largest.max(agreed.proposal.items))?;
    it.record.many = Some(wire::agreed_doc(&agreed));
    it.record.their_items = largest;
    for (party, word) in it.record.parties.iter_mut().zip(&agreed.words) {
        party.items = word.items;
    }
    save(app, it).await?;
    let mut joined = Vec::with_capacity(contracts.len());
    for (at, contract) in contracts.into_iter().enumerate() {
        joined.push(leased(app, it, contract, &agreed, at).await?);
    }
    for Joined { contract, ours, theirs } in &joined {
        let grant = app.store.lease(theirs).await.map_err(store)?;
        let grant = grant.ok_or(Fault::NotFound { what: "lease" })?.grant();
        let posting = psi::write_joining(&uuid::Uuid::now_v7().into(), ours, &grant);
        post(app, contract, &posting.path, posting.body).await?;
    }
    Ok(joined)
}

/// A member's word, held against its signing key: then a wrong one is its own, and nobody else is asked for a lease.
async fn invited(
    app: &App,
    contract: &Contract,
    proposal: &Proposal,
    at: usize,
) -> Result<Word, WorkError> {
    let invitation = Invitation { contract: contract.id.clone(), proposal: proposal.clone() };
    let posting = wire::write_invitation(&uuid::Uuid::now_v7().into(), &invitation);
    let answer = post(app, contract, &posting.path, posting.body).await?;
    let word = wire::read_word(&answer)?;
    let key = app.directory.key(&contract.peer, word.key_id()?.as_deref()).await?;
    word.verify(proposal, at, &key)?;
    Ok(word)
}

/// Both leases with one member.
async fn leased(
    app: &Arc<App>,
    it: &mut Matching,
    contract: Contract,
    agreed: &Agreed,
    at: usize,
) -> Result<Joined, WorkError> {
    let asked = request(it, Some(agreed.digest()))?;
    let asked = Request { contract: contract.id.clone(), ..asked };
    let start = Start { agreed: agreed.clone(), lease: asked.clone() };
    let posting = wire::write_start(&uuid::Uuid::now_v7().into(), &start);
    let answer = post(app, &contract, &posting.path, posting.body).await?;
    let Acceptance { lease, join, .. } = psi::read_acceptance(&answer)?;
    let fits = join.contract == contract.id
        && join.kind == Use::Psi
        && join.query == asked.query
        && lease.contract == contract.id;
    if !fits {
        let why = format!("{} accepted another session than it was invited to", contract.peer);
        return Err(Fault::misbehaved("psi.session", why).into());
    }
    hold(app, &asked, &lease).await?;
    note(app, it, at, |party| party.lease = Some(lease.lease.to_string())).await?;
    let ours = app.store.lease(&lease.lease).await.map_err(store)?;
    let ours = ours.ok_or(Fault::NotFound { what: "lease" })?;
    let wish = Wish::Join { ours: Box::new(ours), request: Box::new(join) };
    let Reply::Lease(grant) = app.writer.run(Input::Wish(Box::new(wish))).await? else {
        return Err(Fault::ApiMisuse("a lease that is none").into());
    };
    note(app, it, at, |party| party.join = Some(grant.lease.to_string())).await?;
    Ok(Joined { contract, ours: lease.lease, theirs: grant.lease })
}

async fn note(
    app: &App,
    it: &mut Matching,
    at: usize,
    change: impl FnOnce(&mut Party),
) -> Result<(), WorkError> {
    if let Some(party) = it.record.parties.get_mut(at) {
        change(party);
    }
    save(app, it).await
}

/// Ends when any lease does, or any member gave up. Never by itself.
async fn any_over(app: &App, joined: &[Joined]) -> Fault {
    let each: Vec<_> = joined.iter().map(|it| Box::pin(one_over(app, it))).collect();
    futures::future::select_all(each).await.0
}

fn named(contract: &Contract, why: Fault) -> Fault {
    if let Fault::Denied { code, rule, reason, zh } = why {
        let peer = &contract.peer;
        let zh = zh.map(|it| format!("与 {peer}：{it}").into());
        return Fault::Denied { code, rule, reason: format!("with {peer}: {reason}"), zh };
    }
    why
}

/// Ends when the lease that our gate gave a member was revoked or has run out, or when it gave it back without having done its part;
/// never once it has.
async fn given_up(app: &App, it: &Joined) -> Fault {
    let over = workers::over(app, &it.theirs).await;
    let lease = app.store.lease(&it.theirs).await;
    let Ok(Some(Lease { state: Standing::Returned { outcome, .. }, .. })) = lease else {
        return over;
    };
    if outcome.done {
        std::future::pending::<()>().await;
    }
    let peer = &it.contract.peer;
    Fault::conflict("psi.over", format!("{peer} gave up its part; its own node says why"))
}

async fn run(app: &Arc<App>, it: &Matching, joined: &[Joined], turn: &Turn) -> Ended {
    match once(app, it, joined, turn).await {
        Ok(report) => Ended::Done(Box::new(report)),
        Err(ended) => ended,
    }
}

async fn once(
    app: &Arc<App>,
    it: &Matching,
    joined: &[Joined],
    turn: &Turn,
) -> Result<Report, Ended> {
    let unable = |why: String| Ended::Refused(later(why));
    let list = rest::list(app, &it.record.object).await;
    let list = list.map_err(|why| unable(why.to_string()))?;
    let (mut sockets, mut all) = (Vec::new(), tokio::task::JoinSet::new());
    for (at, party) in joined.iter().enumerate() {
        let socket = turn.live.socket.with_file_name(format!("s{at}"));
        let listener = UnixListener::bind(&socket).map_err(|why| unable(why.to_string()))?;
        let (contract, lease) = (party.contract.clone(), party.ours.clone());
        all.spawn(streams::carry(app.clone(), contract, lease, listener));
        sockets.push(socket);
    }
    let first = joined.first().ok_or_else(|| unable("no member".to_owned()))?;
    let order = super::order(app, it, &first.contract, &list, sockets);
    let order = order.map_err(Ended::Refused)?;
    let task = Task::many(&order, vec![list.into_file()]).map_err(Ended::Refused)?;
    tokio::select! {
        done = process::run(&app.compute, &task, &turn.live) => {
            done.map_err(|why| Ended::Failed(blamed(joined, why)))
        }
        Some(Ok(fault)) = all.join_next() => Err(Ended::Refused(fault)),
    }
}

/// Which party it was, as people know it.
fn blamed(joined: &[Joined], why: ErrorReport) -> ErrorReport {
    match why.member.and_then(|at| joined.get(at)) {
        Some(party) => {
            ErrorReport { text: format!("with {}: {}", party.contract.peer, why.text), ..why }
        }
        None => why,
    }
}
