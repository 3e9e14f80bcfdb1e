//! Matching of lists of more than two parties, each provider under its own contract: the leader learns its rows that all have.
//!
//! ```text
//!   leader's node                              each member's node (a provider)
//!   proposal: all parties ───────────────────► terms, parties; a key for this session, signed
//!          ◄─ word (key, size, signature) ────
//!   start: the words of all ─────────────────► every word verifies; gate: lease, items debited; row
//!          ◄─ lease, request to join ─────────
//!   gate: lease for each member
//!   join, streams, processes: as for two ([`super`]), one stream for each member
//! ```
//!
//! Threat model: as of `tidm_space::psi::many` and `tidm_mpc::many`. A member's node keeps nothing for an invitation: its session key
//! comes from the contract's key and the proposal, and so is gone with the contract. Whoever invites again is told the same word. A
//! session runs once: what is lost on the way ends it for all, so that no item is guessed twice for one debit. Never starts
//! a process before all leases exist.

pub mod lead;
pub mod member;

use std::path::PathBuf;

use tidm_compute::job::connect::{Address, Way};
use tidm_compute::job::many::{KeySeed, Member, Order, Side, memory};
use tidm_compute::keys;
use tidm_crypto::hash::Digest;
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::identity::member::Group;
use tidm_space::negotiation::message::Role;
use tidm_space::psi::many::{Agreed, allowed};
use tidm_space::wire::tidm::psi_many as wire;

use super::{PATIENCE, kind, results, rule, terms};
use crate::app::App;
use crate::jobs::rest;
use crate::store::matchings::{Matching, Record};

/// What a row says that all agreed on.
///
/// # Errors
/// [`Fault::ApiMisuse`] before that.
pub(super) fn agreed(record: &Record) -> Result<Agreed, Fault> {
    let missing = Fault::ApiMisuse("a matching of many without what was agreed on");
    wire::read_agreed(record.many.as_ref().ok_or(missing)?)
}

/// The legal entity of a participant, as the gate charges it.
fn entity(app: &App, did: &Did) -> Group {
    use tidm_space::engine::node::Groups as _;
    app.directory.of(did).unwrap_or_else(|| Group::from(did))
}

/// What this node's key of a session is made from: another one for each contract and proposal, and the same again.
fn seed(app: &App, contract: &Id, proposal: &Digest) -> Result<KeySeed, Fault> {
    let key = app.keys.contract_key(contract).map_err(|why| {
        tracing::warn!(%why, %contract, "a session has no key");
        Fault::refused("psi.terms", "the key of this contract cannot be had")
    })?;
    Ok(KeySeed::of(key.expose(), proposal.as_bytes()))
}

/// Whether our process may have the memory for sets of these sizes: what would fail then must not cost a use.
fn check_memory(app: &App, items: u64) -> Result<(), Fault> {
    let (needs, has) = (memory(items), app.config.limits.matching_memory_bytes);
    if needs <= has {
        return Ok(());
    }
    let why = format!(
        "{items} items take {needs} bytes of memory at {}, and limits.matching_mib gives {has}",
        app.identity.did
    );
    Err(Fault::refused("psi.size", why))
}

/// What our process is told to do. `sockets`: the leader's one for each member, a member's own.
pub(super) fn order(
    app: &App,
    it: &Matching,
    contract: &Contract,
    list: &rest::List,
    sockets: Vec<PathBuf>,
) -> Result<Order, Fault> {
    let Agreed { proposal, words } = agreed(&it.record)?;
    let (terms, _) = terms(contract)?;
    allowed(&terms, &proposal.key)?;
    let rule = rule(&proposal.key);
    let columns = it.record.columns.iter().map(String::as_str);
    let mapping = keys::Mapping::of(rule.parts.iter().map(|it| it.role.as_str()).zip(columns));
    let side = match it.role {
        Role::Consumer => {
            let dial = |it| Way::Dial(Address::Unix(it));
            let connect = sockets.into_iter().map(dial).collect();
            Side::Leader { results: results(app, it)?, connect }
        }
        Role::Provider => {
            let number = proposal.number_of(&app.identity.did, &it.contract)?;
            let seed = seed(app, &it.contract, &proposal.digest())?;
            let socket = sockets.into_iter().next();
            let socket = socket.ok_or(Fault::ApiMisuse("a member without a socket"))?;
            Side::Member { number, seed, connect: Way::Listen(Address::Unix(socket)) }
        }
    };
    let member = |it: &tidm_space::psi::many::Word| Member {
        key: crate::store::rows::hex(&it.key),
        items: it.items,
    };
    Ok(Order {
        side,
        job: it.id.clone(),
        leader_items: proposal.items,
        members: words.iter().map(member).collect(),
        rule,
        mapping,
        source: list.source(kind(&it.record.name)),
        memory: app.config.limits.matching_memory_bytes,
        jail: super::process::JAIL.to_vec(),
        silence: 20.0,
        patience: PATIENCE.as_secs_f64(),
    })
}

/// The end of one that its node was stopped in.
pub(super) fn only_once() -> Fault {
    Fault::refused(
        "psi.once",
        "a matching of more than two runs once, and this node was stopped in it",
    )
}
