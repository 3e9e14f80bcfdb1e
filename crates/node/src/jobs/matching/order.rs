//! What a computing process is told, and whether it can do that in this node's memory: known before anything is charged.
//!
//! Never says more to the process than its job needs, and never counts on the peer's word about what fits here.

use std::path::PathBuf;

use tidm_compute::job::connect::{Address, Way};
use tidm_compute::job::order::{Kind, Learns, List, Order, Results, Role as Part, Security, Sizes};
use tidm_compute::job::what::What;
use tidm_compute::keys;
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::matching::To;
use tidm_space::psi::{Asked, Protocol};

use super::{LABELS, PATIENCE, asked, folder, kind, process, results, rule, terms};
use crate::app::App;
use crate::jobs::rest;
use crate::store::matchings::Matching;

/// What of a job its sizes are worked out from.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub role: Role,
    pub protocol: Protocol,
    pub asked: Asked,
    pub ours: u64,
    pub theirs: u64,
    pub workers: u32,
}

impl Job {
    fn of(it: &Matching) -> Result<Self, Fault> {
        let protocol = Protocol::from_name(&it.record.protocol);
        Ok(Self {
            role: it.role,
            protocol: protocol.ok_or(Fault::ApiMisuse("a matching without its protocol"))?,
            asked: asked::of(&it.record)?,
            ours: it.record.items,
            theirs: it.record.their_items,
            workers: it.record.workers,
        })
    }
}

/// Whether such a job can run in this node's memory. What the peer's node has is its own to look at.
///
/// # Errors
/// [`Fault::Refused`] `psi.size` with what is too much, and what would help.
pub(super) fn check_size(app: &App, contract: &Contract, it: Job) -> Result<(), Fault> {
    let order = outline(app, contract, it)?;
    order.check().map_err(|why| {
        let (me, has) = (&app.identity.did, app.config.limits.matching_memory_bytes >> 20);
        Fault::refused("psi.size", format!("at {me}, with {has} MiB (limits.matching_mib): {why}"))
    })
}

/// The most workers, `it.workers` of them or fewer, for which there is memory here.
pub(super) fn workers(app: &App, contract: &Contract, it: &Job) -> u32 {
    let fits = |workers: &u32| check_size(app, contract, Job { workers: *workers, ..it.clone() });
    (1..=it.workers).rev().find(|workers| fits(workers).is_ok()).unwrap_or(1)
}

/// All that follows from contract and sizes: no list, no folder, nobody to talk to.
fn outline(app: &App, contract: &Contract, it: Job) -> Result<Order, Fault> {
    let (terms, key) = terms(contract)?;
    let nowhere = || Address::Unix(PathBuf::new());
    let (role, connect, receiver_items, sender_items) = match it.role {
        Role::Consumer => (Part::Receiver, Way::Dial(nowhere()), it.ours, it.theirs),
        Role::Provider => (Part::Sender, Way::Listen(nowhere()), it.theirs, it.ours),
    };
    asked::check(contract, &it.asked, (it.protocol, it.workers, receiver_items))?;
    let both = terms.result_to() == To::Both;
    let security = match it.protocol {
        Protocol::Fast => Security::SemiHonest,
        Protocol::LowCommunication => Security::SemiHonestLow,
        Protocol::Malicious => Security::Malicious,
        Protocol::Ecdh => Security::Ecdh,
        Protocol::Table(_) => return Err(Fault::ApiMisuse("a table has orders of its own")),
    };
    let learns = if both { Learns::Both } else { Learns::Receiver };
    Ok(Order {
        role,
        job: "0".repeat(64),
        terms: Sizes { security, learns, receiver_items, sender_items },
        what: asked::what(it.asked, &terms, receiver_items),
        rule: rule(&key),
        mapping: keys::Mapping::default(),
        source: List::new(PathBuf::new(), Kind::Csv),
        dir: PathBuf::new(),
        journal: None,
        results: Results::default(),
        connect,
        memory: app.config.limits.matching_memory_bytes,
        workers: it.workers,
        open: false,
        parts: None,
        jail: process::JAIL.to_vec(),
        silence: 20.0,
        patience: PATIENCE.as_secs_f64(),
    })
}

/// What our process is told to do.
pub(super) fn order(
    app: &App,
    it: &Matching,
    contract: &Contract,
    list: &rest::List,
    socket: PathBuf,
) -> Result<Order, Fault> {
    let mut order = outline(app, contract, Job::of(it)?)?;
    let columns = it.record.columns.iter().map(String::as_str);
    let roles = order.rule.parts.iter().map(|part| part.role.as_str());
    order.mapping = keys::Mapping::of(roles.zip(columns));
    order.job.clone_from(&it.id);
    order.source = list.source(kind(&it.record.name));
    order.dir = folder(app, &it.id);
    order.journal = Some(rest::result_key(app, &it.id)?);
    order.connect = match it.role {
        Role::Consumer => Way::Dial(Address::Unix(socket)),
        Role::Provider => Way::Listen(Address::Unix(socket)),
    };
    let both = order.terms.learns == Learns::Both;
    let shown = (it.role == Role::Consumer || both) && !order.what.opens();
    let labels = matches!(order.what, What::Labels { .. }) && it.role == Role::Consumer;
    if shown {
        order.results = results(app, it)?;
        order.results.labels = labels.then(|| order.dir.join(LABELS));
    }
    Ok(order)
}
