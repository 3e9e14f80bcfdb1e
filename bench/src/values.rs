//! Products, contracts and requests that the benches work with.
//!
//! Never shared with the product: these are a bench's own.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;

use tidm_crypto::hash::{Digest, sha256};
use tidm_node::app::App;
use tidm_node::store::save;
use tidm_space::catalog::delivery::{HTTP_ADDRESS, HTTP_PULL};
use tidm_space::catalog::product::{Approval, Draft, Kind as ProductKind, Offer, Product};
use tidm_space::contract::{Contract, State};
use tidm_space::engine::commit::{Commit, Due, Timer};
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::message::Request;
use tidm_space::lease::seen::Seen;
use tidm_space::limits::TRANSFER_RUNNING;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::model::{
    Action, Atomic, Constraint, Kind, Operand, Operator, Policy, Rule, Value,
};
use tidm_space::policy::usage::Use;
use tidm_space::time::Time;
use tidm_space::transfer::message::DataAddress;
use tidm_space::transfer::state::{State as Stage, Transfer};
use tidm_space::wire::dsp::catalog::DataService;

/// Use, at most so often.
pub(crate) fn offer(name: &str, uses: u64) -> Result<Policy> {
    let count = Atomic::new(Operand::Count, Operator::Lteq, Value::text(uses.to_string()));
    let mut it = Policy::new(Id::parse(name)?, Kind::Offer);
    it.permissions = vec![Rule::new(Action::Use, vec![Constraint::Atomic(count)])];
    Ok(it)
}

pub(crate) fn product(number: u64, now: Time) -> Result<Product> {
    Ok(Product::new(draft(number, now)?)?)
}

pub(crate) fn draft(number: u64, now: Time) -> Result<Draft> {
    let policy = offer(&format!("urn:offer:{number}"), 1000 + number)?;
    let offer = Offer::new(policy, Approval::Auto, vec![Use::Query, Use::SealedTable])?;
    let (id, line) = (format!("urn:product:{number}"), format!("urn:line:{number}"));
    let title = format!("Measurements {number}");
    let mut draft = Draft::new(Id::parse(&id)?, Id::parse(&line)?, title, ProductKind::Table, now);
    draft.offers = vec![offer];
    draft.content = Some(sha256(id.as_bytes()));
    draft.origin = Some(sha256(line.as_bytes()));
    draft.bytes = Some(1 << 20);
    Ok(draft)
}

/// An active contract of which we are the provider.
pub(crate) fn contract(name: &str, peer: &Did, uses: u64, now: Time) -> Result<Contract> {
    let mut policy = offer(name, uses)?;
    policy.kind = Kind::Agreement;
    Ok(Contract {
        id: Id::parse(name)?,
        role: Role::Provider,
        peer: peer.clone(),
        address: "http://localhost:9/dsp".to_owned(),
        negotiation: Id::parse("urn:negotiation:1")?,
        product: Id::parse("urn:product:1")?,
        policy,
        digest: sha256(b"signed"),
        provider_signature: None,
        consumer_signature: None,
        signed_at: now,
        first_use: Some(now),
        group: None,
        state: State::Active,
        changes: 0,
        deletion: None,
        consented: None,
        missed: None,
        rules: tidm_space::approval::Rules::default(),
    })
}

/// The same with twenty terms of as many kinds, all of which the gate looks at, counts or hands to the worker.
pub(crate) fn counted(name: &str, peer: &Did, uses: u64, now: Time) -> Result<Contract> {
    let mut it = contract(name, peer, uses, now)?;
    let term =
        |left, op, right: &str| Constraint::Atomic(Atomic::new(left, op, Value::text(right)));
    let rule = it.policy.permissions.first_mut().context("a permission")?;
    use Operand as L;
    use Operator as O;
    rule.constraints.extend([
        term(L::MeteredTime, O::Lteq, "P100000D"),
        term(L::TimeWindow, O::Eq, "Mon-Sun 00:00/24:00Z"),
        // More than one gate grants: counted in full, and never the end of a run.
        term(L::Frequency, O::Lteq, "256/PT0.01S"),
        term(L::DataSize, O::Lteq, "9000000000000000"),
        term(L::RecordCount, O::Lteq, "9000000000000000"),
        term(L::Network, O::IsAnyOf, "10.0.0.0/8"),
        term(L::Role, O::IsAnyOf, "consumer"),
        term(L::Spatial, O::IsPartOf, "CN"),
        term(L::Recipient, O::Eq, peer.as_str()),
        term(L::Purpose, O::Eq, PURPOSE),
        term(L::DateTime, O::Gteq, "2024-02-01T09:00:00Z"),
        term(L::DateTime, O::Lteq, "2099-01-01T00:00:00Z"),
        term(L::ElapsedTime, O::Lteq, "P10Y"),
        term(L::DelayPeriod, O::Gteq, "PT0S"),
        term(L::KindOfUse, O::Eq, Use::Query.name()),
        term(L::Enforcement, O::Gteq, "E2"),
        term(L::Encryption, O::Eq, "enc/plain"),
        term(L::OutputBytes, O::Lteq, "4096"),
        term(L::OutputRows, O::Lteq, "16"),
    ]);
    ensure!(rule.constraints.len() == 20, "twenty terms are {}", rule.constraints.len());
    Ok(it)
}

/// A member as those terms want it.
pub(crate) fn seen() -> Seen {
    Seen {
        address: Some(Ipv4Addr::new(10, 1, 2, 3).into()),
        roles: Some(vec!["consumer".to_owned()]),
        regions: Some(vec!["CN-32".to_owned(), "CN".to_owned()]),
    }
}

/// What all requests here say they are for.
const PURPOSE: &str = "bench";

/// A query lease: no key travels with it.
pub(crate) fn request(contract: &Id) -> Request {
    Request {
        contract: contract.clone(),
        kind: Use::Query,
        nonce: uuid::Uuid::now_v7().into_bytes(),
        key: [7; 32],
        purpose: Some(PURPOSE.to_owned()),
        query: Some(query()),
        items: None,
        epsilon: None,
        span: Duration::from_secs(60),
    }
}

fn query() -> Digest {
    sha256(b"SELECT 1")
}

/// A started transfer of which we are the provider.
pub(crate) fn transfer(name: &str, contract: &Contract, now: Time) -> Result<Transfer> {
    let address = DataAddress {
        endpoint_type: HTTP_ADDRESS.to_owned(),
        endpoint: Some(format!("https://localhost:9/data/{name}")),
        properties: vec![("authorization".to_owned(), "the token of a bench".to_owned())],
    };
    Ok(Transfer {
        id: Id::parse(name)?,
        role: Role::Provider,
        peer: contract.peer.clone(),
        peer_pid: Some(Id::parse(&format!("{name}:theirs"))?),
        address: contract.address.clone(),
        contract: contract.id.clone(),
        format: HTTP_PULL.to_owned(),
        push_to: None,
        state: Stage::Started { address: Some(address) },
        pending: None,
        starts: 1,
        created: now,
        moved: now,
    })
}

/// Transfers that nobody asked for, with the deadlines that running ones have.
pub(crate) async fn put_transfers(app: &App, transfers: Vec<Transfer>) -> Result<()> {
    let due = |it: &Transfer| {
        Timer::new(app.clock.now().after(TRANSFER_RUNNING), Due::TransferIdle(it.id.clone()))
    };
    let timers = transfers.iter().map(due).collect();
    commit(app, Commit { transfers, timers, ..Commit::default() }).await
}

/// A contract that was not negotiated.
pub(crate) async fn put(app: &App, contract: Contract) -> Result<()> {
    commit(app, Commit { contracts: vec![contract], ..Commit::default() }).await
}

async fn commit(app: &App, commit: Commit) -> Result<()> {
    let endpoint = app.identity.dsp_base();
    let service = DataService { id: Id::parse("urn:service:bench")?, endpoint, flight: false };
    let now = app.clock.now();
    app.writer
        .note(move |conn| {
            let (commit, service) = (commit.clone(), service.clone());
            async move { save::save(conn, &commit, now, &service).await }.boxed()
        })
        .await?;
    Ok(())
}

/// Numbers without a pattern, the same at every run (xorshift64).
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
