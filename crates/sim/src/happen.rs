//! A happening comes true.
//!
//! Never checks whether it makes sense: what cannot be done is refused by the engine, and that is a test, too.

use tidm_crypto::hash::sha256;
use tidm_space::approval::Rules;
use tidm_space::catalog::delivery::HTTP_ADDRESS;
use tidm_space::contract::End;
use tidm_space::engine::input::{ContractWish, Input, SayWish, TransferWish, Wish};
use tidm_space::id::Id;
use tidm_space::policy::model::Policy;
use tidm_space::transfer::message::{Body, DataAddress};

use crate::clock::Clock;
use crate::happening::Happening;
use crate::node::Backup;
use crate::traitors;
use crate::work::Ran;
use crate::world::{Event, World};

impl World {
    pub(crate) fn happen(&mut self, it: Happening) {
        match it {
            Happening::Publish { node, product } => self.wish(node, Wish::Publish(product)),
            Happening::RequestListed { consumer, provider, product, offer }
            | Happening::RequestOther { consumer, provider, product, offer } => {
                self.propose(consumer, &product, &offer);
                let (peer, address) =
                    (self.nodes[provider].did.clone(), self.nodes[provider].address.clone());
                self.wish(
                    consumer,
                    Wish::Request(Box::new(ContractWish {
                        peer,
                        address,
                        product,
                        offer: *offer,
                        rules: Rules::default(),
                    })),
                );
            }
            Happening::Counter { node, negotiation, offer } => {
                self.counter(node, negotiation, *offer);
            }
            Happening::Approve { node, negotiation } => {
                self.wish(node, Wish::Say { negotiation, body: SayWish::Approve });
            }
            Happening::Terminate { node, negotiation } => {
                let body = SayWish::Terminate { reason: "no interest".to_owned() };
                self.wish(node, Wish::Say { negotiation, body });
            }
            Happening::Transfer { node, contract, format } => {
                self.transfer(node, contract, format);
            }
            Happening::Suspend { node, transfer } => self.say(
                node,
                transfer,
                Body::Suspend { code: None, reason: vec!["pause".to_owned()] },
            ),
            Happening::Resume { node, transfer } => {
                self.wish(node, Wish::ResumeTransfer { transfer });
            }
            Happening::EndTransfer { node, transfer } => self.say(
                node,
                transfer,
                Body::Terminate { code: None, reason: vec!["stop".to_owned()] },
            ),
            // A process that is down does nothing.
            Happening::Ask { node, .. }
            | Happening::AskAgain { node, .. }
            | Happening::Query { node, .. }
            | Happening::Return { node, .. }
            | Happening::Renew { node, .. }
                if !self.nodes[node].up => {}
            Happening::Ask { node, request } | Happening::AskAgain { node, request } => {
                self.ask_gate(node, *request, 0);
            }
            Happening::Query { node, lease } => self.send_query(node, &lease),
            Happening::Return { node, lease } => self.close(node, &lease),
            Happening::Renew { node, lease } => self.renew_lease(node, &lease),
            Happening::Revoke { node, contract } => self.end(node, contract, End::Revoked),
            Happening::SuspendContract { node, contract } => {
                self.wish(node, Wish::Suspend { contract, reason: "under review".to_owned() });
            }
            Happening::ResumeContract { node, contract } => {
                self.wish(node, Wish::Resume { contract });
            }
            Happening::End { node, contract } => self.end(node, contract, End::Agreed),
            Happening::Pass { ms } => {
                let until = self.ms + ms;
                self.pump(until);
            }
            Happening::Weather { weather } => self.net.weather = weather,
            Happening::Cut { a, b } => self.net.cut(a, b),
            Happening::Mend => self.net.mend(),
            Happening::Betray { node, kind } => traitors::act(self, node, kind),
            it @ (Happening::Invite { .. }
            | Happening::Join { .. }
            | Happening::Decide { .. }
            | Happening::RevokeMember { .. }) => self.happen_to_members(it),
            it @ (Happening::ClockJump { .. }
            | Happening::Crash { .. }
            | Happening::Backup { .. }
            | Happening::Restore { .. }
            | Happening::RestoreKeys { .. }
            | Happening::Sequence { .. }
            | Happening::StaleSequencer { .. }) => self.happen_to_machine(it),
        }
    }

    /// Invitations, questions, decisions and revocations of a space.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller passes these alone")]
    fn happen_to_members(&mut self, it: Happening) {
        match it {
            Happening::Invite { operator, holder } => {
                let did = self.nodes[holder].did.clone();
                self.nodes[operator].store.credentials.invitations.insert(did, false);
            }
            Happening::Join { node } => self.join(node),
            Happening::Decide { operator, request, approves } => {
                self.decide_by_hand(operator, &request, approves);
            }
            Happening::RevokeMember { operator, holder } => self.revoke_member(operator, holder),
            _ => {}
        }
    }

    fn transfer(&mut self, at: usize, contract: Id, format: &str) {
        // Half of the deliveries that this node runs itself are pushes.
        let push = format == "tidm:sealed-table"
            && sha256(contract.as_str().as_bytes()).as_bytes()[0].is_multiple_of(2);
        let push_to = push.then(|| DataAddress {
            endpoint_type: HTTP_ADDRESS.to_owned(),
            endpoint: Some(format!("{}/arrivals", self.nodes[at].base)),
            properties: Vec::new(),
        });
        let format = format.to_owned();
        let wish = TransferWish { id: None, address: None, contract, format, push_to };
        self.wish(at, Wish::Fetch(Box::new(wish)));
    }

    /// Crashes, clocks, disks.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller passes these alone")]
    fn happen_to_machine(&mut self, it: Happening) {
        match it {
            Happening::ClockJump { node, ms } => {
                let back = self.nodes[node].clock.error_ms - ms;
                *self.reference.set_back_ms.entry(node).or_default() += back.max(0);
                self.nodes[node].clock = Clock { error_ms: ms };
                self.look_soon(node);
            }
            Happening::Crash { node, .. } | Happening::Sequence { node, .. }
                if !self.nodes[node].up => {}
            Happening::Crash { node, point } => self.nodes[node].crash = Some(point),
            Happening::Backup { node } => {
                let it = &mut self.nodes[node];
                it.backup = Some(Backup {
                    store: it.store.clone(),
                    keys: it.keys.clone(),
                    restored: it.restored,
                });
            }
            Happening::Restore { node } => self.restore(node),
            Happening::RestoreKeys { node } => {
                let it = &mut self.nodes[node];
                if let Some(backup) = &it.backup {
                    it.keys.restore(&backup.keys);
                }
                self.check(&crate::invariants::Moment::Started { node });
            }
            Happening::Sequence { node, crash_after } => self.sequence(node, crash_after),
            Happening::StaleSequencer { node } => {
                let it = &mut self.nodes[node];
                let done = it.log.stale_round(&mut it.store);
                self.sequenced(node, done, false);
            }
            _ => {}
        }
    }

    /// The process stops, the disk is set back, the process starts.
    fn restore(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(backup) = node.backup.take() else { return };
        // The newer state is put aside first: it is what a refused start falls back to.
        let newer = Backup {
            store: std::mem::replace(&mut node.store, backup.store),
            keys: node.keys.clone(),
            restored: node.restored,
        };
        node.backup = Some(newer);
        node.restored = true;
        node.up = false;
        node.crash = None;
        node.look_at = None;
        self.restart(at);
    }

    fn wish(&mut self, at: usize, wish: Wish) {
        if !self.nodes[at].up {
            return;
        }
        if let Ran::Done(Err(fault)) = self.work(at, Input::Wish(Box::new(wish))) {
            self.log.add(self.step, self.ms, || format!("n{at} cannot: {fault}"));
        }
    }

    fn say(&mut self, at: usize, transfer: Id, body: Body) {
        self.wish(at, Wish::SayTransfer { transfer, body });
    }

    fn end(&mut self, at: usize, contract: Id, why: End) {
        self.wish(at, Wish::EndContract { contract, why, reason: "over".to_owned() });
    }

    fn propose(&mut self, consumer: usize, product: &Id, offer: &Policy) {
        self.reference.proposed.entry((consumer, product.clone())).or_default().push(offer.clone());
    }

    fn counter(&mut self, at: usize, negotiation: Id, offer: Policy) {
        if let Ok(Some(it)) = self.nodes[at].store.negotiation(&negotiation)
            && let Some(peer) = self.node_of(&it.peer)
        {
            let consumer =
                if it.role == tidm_space::negotiation::message::Role::Consumer { at } else { peer };
            self.propose(consumer, &it.product, &offer);
        }
        self.wish(at, Wish::Say { negotiation, body: SayWish::Propose(Box::new(offer)) });
    }

    /// A request that bypasses the sender's own node: only traitors do that.
    pub(crate) fn inject(&mut self, from: usize, to: usize, path: String, body: &str) {
        self.calls += 1;
        let (call, epoch, as_did) =
            (self.calls, self.nodes[from].epoch, self.nodes[from].did.clone());
        let delay = self.dice.between(1, 500);
        self.later(
            delay,
            Event::Request { call, from, epoch, to, path, body: body.into(), as_did },
        );
    }
}
