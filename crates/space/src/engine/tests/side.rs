//! Two sides with a store of plain values each, and a wire of real paths and bytes between them.

use std::collections::BTreeMap;
use std::time::Duration;

use tidm_crypto::hash::sha256;
use tidm_crypto::sign::{KeyKind, SigningKey};

use crate::approval::Rules;
use crate::catalog::product::{Approval, Draft, Kind, Offer, Product};
use crate::contract::Contract;
use crate::dataflow::registration::Registration;
use crate::dataflow::state::Flow;
use crate::engine::commit::{Answer, Commit, Decision, Reply, Seen, Send, Timer};
use crate::engine::input::{ContractWish, Heard, Input, Outcome, Received, TransferSpoken, Wish};
use crate::engine::node::{Node, Signer};
use crate::engine::refusal::Tally;
use crate::engine::view::{More, Needs, View};
use crate::engine::{decide, needs, needs_more};
use crate::evidence::fact::{Fact, What};
use crate::fault::Fault;
use crate::id::{Id, Ids};
use crate::identity::did::Did;
use crate::identity::member::Group;
use crate::lease::charge::Refunds;
use crate::lease::machine::{Debit, DebitKind, Spent};
use crate::lease::message::{Grant, Request};
use crate::lease::state::{Lease, Name as LeaseName};
use crate::negotiation::state::Negotiation;
use crate::policy::model::Policy;
use crate::policy::sentence::{Sentences, build};
use crate::policy::usage::Use;
use crate::time::Time;
use crate::transfer::state::Transfer;
use crate::wire::dsp::negotiation::{self as said, Endpoint};
use crate::wire::dsp::transfer::{self as moved, Endpoint as Moved};
use crate::wire::samples::{at, did, id};
use crate::wire::tidm::notice;

pub(super) struct Side {
    pub(super) me: Did,
    pub(super) address: String,
    pub(super) key: SigningKey,
    pub(super) demands: bool,
    pub(super) groups: BTreeMap<Did, Group>,
    pub(super) attests: bool,
    pub(super) refunds: Refunds,
    pub(super) negotiations: BTreeMap<Id, Negotiation>,
    pub(super) transfers: BTreeMap<Id, Transfer>,
    pub(super) flows: BTreeMap<Id, Flow>,
    /// The registered data plane of another program, for every format.
    pub(super) data_plane: Option<Registration>,
    pub(super) contracts: BTreeMap<Id, Contract>,
    pub(super) leases: BTreeMap<Id, Lease>,
    pub(super) products: BTreeMap<Id, Product>,
    pub(super) debits: Vec<Debit>,
    pub(super) refusals: BTreeMap<(Id, String), Tally>,
    pub(super) facts: Vec<Fact>,
    pub(super) outbox: BTreeMap<Id, Send>,
    pub(super) timers: BTreeMap<String, Timer>,
    seen: BTreeMap<(Did, Id), Seen>,
    fresh: Count,
}

struct Count(String, u32);

impl Ids for Count {
    fn fresh(&mut self) -> Id {
        self.1 += 1;
        id(&format!("urn:{}:{}", self.0, self.1))
    }
}

struct Key<'a>(&'a SigningKey);

impl Signer for Key<'_> {
    fn sign(&self, typ: &str, payload: &[u8]) -> String {
        tidm_crypto::jws::sign("key-1", typ, payload, self.0)
    }
}

impl Side {
    pub(super) fn new(name: &str, secret: u8) -> Self {
        Self {
            me: did(&format!("did:web:{name}.example")),
            address: format!("https://{name}.example/dsp"),
            key: SigningKey::from_secret_bytes(KeyKind::Ed25519, &[secret; 32]).unwrap(),
            demands: true,
            groups: BTreeMap::new(),
            attests: false,
            refunds: Refunds::default(),
            negotiations: BTreeMap::new(),
            transfers: BTreeMap::new(),
            flows: BTreeMap::new(),
            data_plane: None,
            contracts: BTreeMap::new(),
            leases: BTreeMap::new(),
            products: BTreeMap::new(),
            debits: vec![],
            refusals: BTreeMap::new(),
            facts: vec![],
            outbox: BTreeMap::new(),
            timers: BTreeMap::new(),
            seen: BTreeMap::new(),
            fresh: Count(name.to_owned(), 0),
        }
    }

    /// One unit of work: load, decide, save.
    pub(super) fn run(&mut self, input: Input, now: Time) -> Answer {
        let mut view = self.load(&needs(&input));
        let node = Node {
            me: &self.me,
            address: &self.address,
            signer: &Key(&self.key),
            groups: &self.groups,
            demands_signatures: self.demands,
            attests: self.attests,
            refunds: self.refunds,
        };
        self.load_more(&needs_more(&node, &view, &input), &mut view, now);
        let Decision { commit, reply } = decide(&node, &view, input, now, &mut self.fresh);
        self.save(commit);
        reply
    }

    pub(super) fn wish(&mut self, wish: Wish, now: Time) -> Answer {
        self.run(Input::Wish(Box::new(wish)), now)
    }

    /// What the peer `from` says, in a message of this id.
    pub(super) fn hear(&mut self, from: &Self, message: &str, what: Heard, now: Time) -> Answer {
        self.run(received(from, Some(id(message)), message.as_bytes(), what), now)
    }

    fn load(&self, needs: &Needs) -> View {
        let mut view = View {
            seen: needs.message.as_ref().and_then(|key| self.seen.get(key).cloned()),
            negotiation: needs
                .negotiation
                .as_ref()
                .and_then(|it| self.negotiations.get(it).cloned()),
            transfer: needs.transfer.as_ref().and_then(|it| self.transfers.get(it).cloned()),
            product: needs.product.as_ref().and_then(|it| self.products.get(it).cloned()),
            newest: self
                .products
                .values()
                .filter(|it| needs.line.as_ref() == Some(&it.line))
                .max_by_key(|it| it.version)
                .cloned(),
            lease: needs.lease.as_ref().and_then(|it| self.leases.get(it).cloned()),
            ..View::default()
        };
        if needs.negotiation_product {
            let of = view.negotiation.as_ref().map(|it| it.product.clone());
            view.product = of.and_then(|it| self.products.get(&it).cloned());
        }
        if let Some((peer, pid)) = &needs.negotiation_of {
            view.negotiation = self
                .negotiations
                .values()
                .find(|it| it.peer == *peer && it.peer_pid.as_ref() == Some(pid))
                .cloned();
        }
        self.load_flows(needs, &mut view);
        if let Some((contract, nonce)) = &needs.lease_of {
            view.lease = self
                .leases
                .values()
                .find(|it| it.request.contract == *contract && it.request.nonce == *nonce)
                .cloned();
        }
        let of_lease = view
            .lease
            .as_ref()
            .filter(|_| needs.lease_contract)
            .map(|it| it.request.contract.clone());
        let of_transfer = view
            .transfer
            .as_ref()
            .filter(|_| needs.transfer_contract || needs.flow.is_some())
            .map(|it| it.contract.clone());
        let contract = needs.contract.clone().or(of_transfer).or_else(|| of_lease.clone());
        view.contract = contract.and_then(|it| self.contracts.get(&it).cloned());
        if needs.refusals || needs.missed.is_some() {
            view.refusals = self.refusals.values().cloned().collect();
        }
        if let Some(of) = needs.spent.as_ref().or(of_lease.as_ref()) {
            view.spent = self.spent(of);
        }
        if let Some(of) = needs.open_under.as_ref().or(of_lease.as_ref()) {
            let granted =
                |it: &&Lease| it.request.contract == *of && it.state.name() == LeaseName::Granted;
            view.open_leases = self.leases.values().filter(granted).cloned().collect();
            view.open_transfers = self
                .transfers
                .values()
                .filter(|it| it.contract == *of && it.is_open())
                .cloned()
                .collect();
        }
        view
    }

    pub(super) fn spent(&self, of: &Id) -> Spent {
        self.sums(|it| it.contract == *of)
    }

    fn sums(&self, ours: impl Fn(&Debit) -> bool) -> Spent {
        DebitKind::ALL.into_iter().fold(Spent::default(), |spent, kind| {
            let sum = |back| -> u64 {
                let of = |it: &&Debit| ours(it) && it.kind == kind && it.back == back;
                self.debits.iter().filter(of).map(|it| it.amount).sum()
            };
            spent.with(kind, sum(false) - sum(true))
        })
    }

    fn load_more(&self, more: &More, view: &mut View, now: Time) {
        let uses = || self.debits.iter().filter(|it| it.kind == DebitKind::Use);
        if let Some((of, newest)) = &more.starts {
            let all = uses().filter(|it| it.contract == *of).map(|it| it.at).collect();
            view.starts = Some(newest.of(all, now));
        }
        view.sources =
            more.sources.iter().filter_map(|it| self.contracts.get(it).cloned()).collect();
        if let Some(id) = &more.product {
            view.product = self.products.get(id).cloned();
        }
        let ours = |groups: &[Group], product: &Id, it: &Debit| {
            let line = |id: &Id| self.products.get(id).map(|it| it.line.clone());
            let contract = &self.contracts[&it.contract];
            let of = contract.group.clone().unwrap_or_else(|| Group::from(&contract.peer));
            groups.contains(&of) && line(&contract.product) == line(product)
        };
        if let Some((groups, product)) = &more.group
            && self.products.contains_key(product)
        {
            view.group = Some(self.sums(|it| ours(groups, product, it)));
        }
        if let Some((groups, product, newest)) = &more.group_starts
            && self.products.contains_key(product)
        {
            let of = uses().filter(|it| ours(groups, product, it));
            view.group_starts = Some(newest.of(of.map(|it| it.at).collect(), now));
        }
    }

    fn load_flows(&self, needs: &Needs, view: &mut View) {
        if let Some((peer, pid)) = &needs.transfer_of {
            let mut all = self.transfers.values();
            let found = all.find(|it| it.peer == *peer && it.peer_pid.as_ref() == Some(pid));
            view.transfer = found.cloned();
        }
        if let Some(id) = &needs.flow {
            view.flows.extend(self.flows.get(id).cloned());
            view.transfer = self.transfers.get(id).cloned();
        } else if let Some(it) = &view.transfer {
            view.flows.extend(self.flows.get(&it.id).cloned());
        }
        if let Some((partner, process)) = &needs.flow_of {
            let mut all = self.flows.values();
            let found = all.find(|it| it.partner == *partner && it.terms.process == *process);
            view.flows.extend(found.cloned());
        }
        if needs.data_plane.is_some() {
            view.data_plane.clone_from(&self.data_plane);
        }
    }

    fn save(&mut self, commit: Commit) {
        self.negotiations.extend(commit.negotiations.into_iter().map(|it| (it.id.clone(), it)));
        self.transfers.extend(commit.transfers.into_iter().map(|it| (it.id.clone(), it)));
        self.flows.extend(commit.flows.into_iter().map(|it| (it.id.clone(), it)));
        self.contracts.extend(commit.contracts.into_iter().map(|it| (it.id.clone(), it)));
        self.leases.extend(commit.leases.into_iter().map(|it| (it.id.clone(), it)));
        self.products.extend(commit.products.into_iter().map(|it| (it.id.clone(), it)));
        self.debits.extend(commit.debits);
        let tallies = commit.refusals.into_iter();
        self.refusals.extend(tallies.map(|it| ((it.contract.clone(), it.code.clone()), it)));
        self.facts.extend(commit.facts);
        self.outbox.retain(|_, it| !commit.withdrawn.contains(&it.about));
        self.outbox.retain(|it, _| !commit.unsends.contains(it));
        self.outbox.extend(commit.sends.into_iter().map(|it| (it.id.clone(), it)));
        self.timers.retain(|key, _| !commit.untimers.contains(key));
        self.timers.extend(commit.timers.into_iter().map(|it| (it.key.clone(), it)));
        if let Some(it) = commit.seen {
            self.seen.entry((it.peer.clone(), it.id.clone())).or_insert(it);
        }
    }

    /// The one message that waits.
    pub(super) fn waiting(&self) -> Send {
        assert_eq!(
            self.outbox.len(),
            1,
            "{:?}",
            self.outbox.values().map(|it| &it.url).collect::<Vec<_>>()
        );
        self.outbox.values().next().unwrap().clone()
    }

    pub(super) fn delivered(&mut self, outcome: Outcome, now: Time) -> Answer {
        let send = Box::new(self.waiting());
        self.run(Input::Delivered { send, outcome }, now)
    }

    /// Fires the timer of this key.
    pub(super) fn fire(&mut self, key: &str, now: Time) -> Answer {
        let found = self.timers.values().find(|it| it.key.starts_with(key));
        let timer =
            found.unwrap_or_else(|| panic!("no timer {key} in {:?}", self.timers.keys())).clone();
        self.run(Input::Due(timer), now)
    }

    pub(super) fn has_timer(&self, key: &str) -> bool {
        self.timers.keys().any(|it| it.starts_with(key))
    }

    pub(super) fn only_negotiation(&self) -> &Negotiation {
        self.negotiations.values().next().unwrap()
    }

    pub(super) fn state(&self) -> &'static str {
        self.only_negotiation().state.name().token()
    }

    pub(super) fn contract(&self) -> Contract {
        self.contracts.values().next().unwrap().clone()
    }

    pub(super) fn count(&self, what: impl Fn(&What) -> bool) -> usize {
        self.facts.iter().filter(|it| what(&it.what)).count()
    }
}

pub(super) fn received(from: &Side, message: Option<Id>, body: &[u8], what: Heard) -> Input {
    let key = Some(from.key.verifying_key());
    Input::Heard(Box::new(Received {
        seen: Default::default(),
        from: from.me.clone(),
        key,
        id: message,
        digest: sha256(body),
        what,
    }))
}

/// Posts what `from` has waiting; `true`: something was.
pub(super) fn post(from: &mut Side, to: &mut Side, now: Time) -> bool {
    let Some(send) = from.outbox.values().find(|it| it.next <= now).cloned() else { return false };
    let outcome = match deliver(from, to, &send, now) {
        Ok(Reply::Negotiation { it, .. }) => Outcome::Accepted { pid: Some(it.id) },
        Ok(Reply::Transfer { it, .. }) => Outcome::Accepted { pid: Some(it.id) },
        Ok(_) => Outcome::Accepted { pid: None },
        Err(fault) => {
            let not_found = matches!(fault, Fault::NotFound { .. });
            Outcome::Refused {
                not_found,
                code: Some(fault.code().to_owned()),
                reason: vec![fault.to_string()],
            }
        }
    };
    let recorded = from.run(Input::Delivered { send: Box::new(send), outcome }, now);
    assert!(recorded.is_ok(), "{recorded:?}");
    true
}

/// The request alone: its answer is lost.
pub(super) fn deliver(from: &Side, to: &mut Side, send: &Send, now: Time) -> Answer {
    let path = send.url.strip_prefix(to.address.as_str()).expect("our peer's address");
    let body = send.body.as_bytes();
    let (message, what) = match path {
        notice::ENDED_PATH => notice::read_contract_ended(body)?,
        notice::RETURNED_PATH => notice::read_lease_returned(body)?,
        notice::STANDING_PATH => notice::read_contract_standing(body)?,
        notice::LEASE_ENDED_PATH => notice::read_lease_ended(body)?,
        notice::DELETED_PATH => notice::read_deleted(body)?,
        _ => {
            let parts: Vec<&str> = path.split('/').skip(2).collect();
            if path.starts_with("/transfers/") {
                let (message, spoken) = transferred(&parts, body)?;
                let what = Heard::Transfer(Box::new(spoken));
                return to.run(received(from, message, body, what), now);
            }
            let (endpoint, mine) = match parts.as_slice() {
                ["request"] => (Endpoint::RequestOpen, None),
                [mine, "request"] => (Endpoint::Request, Some(id(mine))),
                [mine, "offers"] => (Endpoint::Offer, Some(id(mine))),
                [mine, "events"] => (Endpoint::Events, Some(id(mine))),
                [mine, "agreement"] => (Endpoint::Agreement, Some(id(mine))),
                [mine, "agreement", "verification"] => (Endpoint::Verification, Some(id(mine))),
                [mine, "termination"] => (Endpoint::Termination, Some(id(mine))),
                other => panic!("{other:?}"),
            };
            let (message, spoken) = said::read(endpoint, mine.as_ref(), body)?;
            (message, Heard::Negotiation(Box::new(spoken)))
        }
    };
    to.run(received(from, message, body, what), now)
}

fn transferred(parts: &[&str], body: &[u8]) -> Result<(Option<Id>, TransferSpoken), Fault> {
    let (endpoint, mine) = match parts {
        ["request"] => (Moved::Request, None),
        [mine, "start"] => (Moved::Start, Some(id(mine))),
        [mine, "completion"] => (Moved::Completion, Some(id(mine))),
        [mine, "suspension"] => (Moved::Suspension, Some(id(mine))),
        [mine, "termination"] => (Moved::Termination, Some(id(mine))),
        other => panic!("{other:?}"),
    };
    moved::read(endpoint, mine.as_ref(), body)
}

/// Until nothing waits on either side.
pub(super) fn settle(a: &mut Side, b: &mut Side, now: Time) {
    for _ in 0..50 {
        if !post(a, b, now) && !post(b, a, now) {
            return;
        }
    }
    panic!("the two sides talk without end");
}

pub(super) fn terms(uses: Option<u64>) -> Policy {
    build(id("urn:offer:1"), None, &Sentences { uses, ..Sentences::default() }).unwrap()
}

/// (provider with a product of one offer, consumer)
pub(super) fn pair(approval: Approval, uses: Option<u64>) -> (Side, Side) {
    pair_with(approval, uses, Rules::default())
}

/// The same, with rules of the provider.
pub(super) fn pair_with(approval: Approval, uses: Option<u64>, rules: Rules) -> (Side, Side) {
    let (mut provider, consumer) = (Side::new("provider", 1), Side::new("consumer", 2));
    let mut draft =
        Draft::new(id("urn:product:1"), id("urn:line:1"), "Currents", Kind::Table, at(0));
    draft.content = Some(sha256(b"content"));
    draft.origin = Some(sha256(b"origin"));
    draft.bytes = Some(1);
    let offer = Offer::new(terms(uses), approval, vec![Use::Query, Use::SealedTable]).unwrap();
    draft.offers = vec![offer.with_rules(rules)];
    provider.wish(Wish::Publish(Box::new(Product::new(draft).unwrap())), at(0)).unwrap();
    (provider, consumer)
}

pub(super) fn request(provider: &Side, consumer: &mut Side, offer: Policy) {
    request_with(provider, consumer, offer, Rules::default());
}

/// The same, with rules of the consumer.
pub(super) fn request_with(provider: &Side, consumer: &mut Side, mut offer: Policy, rules: Rules) {
    offer.target = Some(id("urn:product:1"));
    let (peer, address) = (provider.me.clone(), provider.address.clone());
    let wish = ContractWish { peer, address, product: id("urn:product:1"), offer, rules };
    consumer.wish(Wish::Request(Box::new(wish)), at(1)).unwrap();
}

/// Both sides with a contract of so many uses.
pub(super) fn agreed(uses: Option<u64>) -> (Side, Side) {
    let (mut provider, mut consumer) = pair(Approval::Auto, uses);
    request(&provider, &mut consumer, terms(uses));
    settle(&mut provider, &mut consumer, at(2));
    assert_eq!((provider.state(), consumer.state()), ("FINALIZED", "FINALIZED"));
    (provider, consumer)
}

pub(super) fn ask(contract: &Id, nonce: u8) -> Request {
    let span = Duration::from_secs(30);
    Request {
        contract: contract.clone(),
        kind: Use::Query,
        nonce: [nonce; 16],
        key: [7; 32],
        purpose: None,
        query: None,
        items: None,
        epsilon: None,
        span,
    }
}

pub(super) fn lease(
    provider: &mut Side,
    consumer: &Side,
    nonce: u8,
    now: Time,
) -> Result<Grant, Fault> {
    let request = ask(&provider.contract().id, nonce);
    let reply =
        provider.hear(consumer, &format!("urn:ask:{nonce}"), Heard::Ask(Box::new(request)), now)?;
    let Reply::Lease(grant) = reply else { panic!("{reply:?}") };
    Ok(grant)
}
