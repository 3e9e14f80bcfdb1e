//! What a node does when a timer fires, when a job ends, and when it starts again.
//!
//! Never keeps a job's progress outside the store: a job that died is done again.

use tidm_crypto::hash::sha256;
use tidm_ledger::state::Start;
use tidm_space::engine::commit::{Due, Job, Timer};
use tidm_space::engine::input::{Input, Wish};
use tidm_space::id::Id;
use tidm_space::transfer::message::DataAddress;
use tidm_space::transfer::state::State;

use crate::bug::Bug;
use crate::evidence::Sequenced;
use crate::invariants::Moment;
use crate::signaling::PROFILES;
use crate::work::Ran;
use crate::world::{Event, World};

impl World {
    pub(crate) fn fire(&mut self, at: usize, timer: Timer) {
        match &timer.what {
            Due::Job(_) => {
                let delay = self.dice.between(1, 3_000);
                let epoch = self.nodes[at].epoch;
                self.later(delay, Event::JobDone { node: at, epoch, timer: Box::new(timer) });
            }
            Due::NegotiationIdle(_)
            | Due::TransferIdle(_)
            | Due::NegotiationRule(_)
            | Due::TransferRule(_)
            | Due::LeaseEnd { .. }
            | Due::ContractEnd { .. }
            | Due::DeletionDue { .. } => {
                let key = timer.key.clone();
                if let Ran::Done(Err(fault)) = self.work(at, Input::Due(timer)) {
                    self.log.add(self.step, self.ms, || format!("n{at} timer {key}: {fault}"));
                }
            }
        }
    }

    pub(crate) fn job_done(&mut self, at: usize, timer: Timer) {
        let Due::Job(job) = timer.what.clone() else { return };
        if !self.healed && self.dice.chance(15) {
            self.postpone(at, timer);
            return;
        }
        let wish = match job {
            Job::Provide { transfer } => self.provide(at, transfer),
            Job::Fetch { transfer } => self.fetch(at, transfer),
            Job::Push { transfer } => self.push(at, transfer),
            Job::DestroyKey { contract } => {
                self.nodes[at].keys.destroy(&contract);
                self.reference.destroyed.insert((at, contract.clone()));
                Some(Wish::KeyDestroyed { contract })
            }
            Job::Erase { contract } => {
                let files = self.nodes[at].copies.remove(&contract).into_iter().collect();
                Some(Wish::Erased { contract, files })
            }
            Job::Flow { flow } => return self.flow_job(at, timer, &flow),
        };
        match wish {
            Some(wish) => {
                if let Ran::Done(Err(fault)) = self.work(at, Input::Wish(Box::new(wish))) {
                    self.log
                        .add(self.step, self.ms, || format!("n{at} job {}: {fault}", timer.key));
                }
            }
            None => self.postpone(at, timer),
        }
    }

    pub(crate) fn postpone(&mut self, at: usize, timer: Timer) {
        let attempts = timer.attempts.saturating_add(1);
        let _died = self.work(at, Input::Wish(Box::new(Wish::Postpone { timer, attempts })));
    }

    /// Seals under the contract's key; a destroyed key seals nothing.
    fn provide(&mut self, at: usize, transfer: Id) -> Option<Wish> {
        let it = self.nodes[at].store.transfer(&transfer).ok().flatten()?;
        let content = sha256(it.contract.as_str().as_bytes());
        if it.is_open() && !self.nodes[at].keys.make(&it.contract) {
            let reason = vec!["the key of this contract was destroyed".to_owned()];
            let body = tidm_space::transfer::message::Body::Terminate {
                code: Some("key.destroyed".to_owned()),
                reason,
            };
            return Some(Wish::SayTransfer { transfer, body });
        }
        let endpoint = format!("{}/data/{transfer}", self.nodes[at].base);
        let mut properties = vec![
            ("authType".to_owned(), "bearer".to_owned()),
            ("authorization".to_owned(), "token".to_owned()),
        ];
        let published = PROFILES.contains(&it.format.as_str());
        if published {
            properties.push(("refreshToken".to_owned(), "none".to_owned()));
            properties.push(("expiresIn".to_owned(), "86400".to_owned()));
        }
        let plain = "https://w3id.org/idsa/v4.1/HTTP".to_owned();
        let address = DataAddress {
            endpoint_type: if published { it.format } else { plain },
            endpoint: Some(endpoint),
            properties,
        };
        let address = it.push_to.is_none().then_some(address);
        Some(Wish::Provided { transfer, address, bytes: 1000, content })
    }

    /// Sends the bytes to the consumer, which takes them while its side of the transfer is started.
    fn push(&mut self, at: usize, transfer: Id) -> Option<Wish> {
        let it = self.nodes[at].store.transfer(&transfer).ok().flatten()?;
        if !it.delivers() {
            return Some(Wish::TransferRests { transfer, seen: it.moved });
        }
        let content = sha256(it.contract.as_str().as_bytes());
        let consumer = self.node_of(&it.peer)?;
        if !self.nodes[consumer].up || self.net.is_cut(at, consumer) {
            return None;
        }
        let theirs = it.peer_pid.clone()?;
        let taker = self.nodes[consumer].store.transfer(&theirs).ok().flatten()?;
        if !taker.takes() {
            return None;
        }
        self.nodes[consumer].copies.insert(it.contract, content);
        let wish = Wish::Arrived { transfer: theirs, bytes: 1000, content };
        let _heard = self.work(consumer, Input::Wish(Box::new(wish)));
        Some(Wish::Pushed { transfer, bytes: 1000, content })
    }

    fn fetch(&mut self, at: usize, transfer: Id) -> Option<Wish> {
        let it = self.nodes[at].store.transfer(&transfer).ok().flatten()?;
        let content = sha256(it.contract.as_str().as_bytes());
        if !it.delivers() {
            return Some(Wish::TransferRests { transfer, seen: it.moved });
        }
        if let State::Started { address } = &it.state {
            let endpoint = address.as_ref().and_then(|it| it.endpoint.as_deref())?;
            let (provider, path) = self.door_of(endpoint)?;
            if !self.nodes[provider].up || self.net.is_cut(at, provider) {
                return None;
            }
            if let Some(id) =
                path.strip_prefix("/dataplane/flows/").and_then(|it| it.strip_suffix("/data"))
            {
                let id = Id::parse(id).ok()?;
                let token = address.as_ref().and_then(|it| it.property("authorization"));
                let token = token.unwrap_or_default().to_owned();
                self.bytes(provider, &id, &token).filter(|(status, _)| *status == 200)?;
            }
            self.nodes[at].copies.insert(it.contract, content);
        }
        Some(Wish::Received { transfer, bytes: 1000, content })
    }

    /// A process starts: the log's start rule first (house D15), then what is due.
    pub(crate) fn restart(&mut self, at: usize) {
        self.nodes[at].forget();
        if self.bug == Some(Bug::Resurrect) {
            self.resurrect(at);
        }
        let refused = !matches!(
            self.nodes[at].log.start(&self.nodes[at].store),
            Start::Ready | Start::ReadOnly
        );
        if refused && self.bug != Some(Bug::IgnoreWitness) {
            self.coverage.refused_starts += 1;
            // The operator finds the newer copy: the one that was put aside last.
            if let Some(newer) = self.nodes[at].backup.take() {
                self.nodes[at].store = newer.store;
                self.nodes[at].restored = newer.restored;
            }
            let still = self.nodes[at].log.start(&self.nodes[at].store);
            if still != Start::Ready {
                self.violated(
                    "6 the log never forks",
                    format!("n{at} cannot start with its newest store: {still:?}"),
                );
            }
        } else if self.nodes[at].restored {
            self.set_back(at);
        }
        self.nodes[at].up = true;
        self.check(&Moment::Started { node: at });
        self.look_soon(at);
        self.tell_soon(at);
    }

    /// What a node forgot by being set back, and no custodian saw, cannot be asked of it any more.
    fn set_back(&mut self, at: usize) {
        let node = &self.nodes[at];
        let facts = node.store.facts.iter().map(|(_, entry)| entry.clone()).collect();
        self.reference.facts.insert(at, facts);
        // A head goes to the custodian before anybody else: of one that it has not seen, nobody holds a signature.
        let seen = node.log.custodian.as_ref().and_then(|it| it.last).map_or(0, |(size, _)| size);
        self.reference.signed.retain(|(of, size), _| *of != at || *size <= seen);
        self.reference.ended.retain(|(of, _)| *of != at);
        self.reference.suspended.retain(|(of, _)| *of != at);
    }

    fn resurrect(&mut self, at: usize) {
        let ids: Vec<Id> = self.nodes[at].store.contracts.keys().cloned().collect();
        for id in ids {
            if let Ok(Some(mut it)) = self.nodes[at].store.contract(&id) {
                it.state = tidm_space::contract::State::Active;
                self.nodes[at].store.contracts.insert(id, crate::stage::contract_row(&it));
            }
        }
    }

    /// One round of a node's sequencer.
    pub(crate) fn sequence(&mut self, at: usize, crash_after: Option<usize>) {
        let bug = self.bug;
        let node = &mut self.nodes[at];
        let done = node.log.round(&mut node.store, crash_after, bug);
        self.sequenced(at, done, crash_after.is_some());
    }

    pub(crate) fn sequenced(&mut self, at: usize, done: Result<Sequenced, String>, crashes: bool) {
        match done {
            Ok(Sequenced::Signed { size, root, .. }) => {
                self.check(&Moment::Signed { node: at, size, root });
                self.reference.signed.insert((at, size), root);
                if let Some((seen, _)) =
                    self.nodes[at].log.custodian.as_ref().and_then(|it| it.last)
                {
                    self.reference.witnessed.insert(at, seen);
                }
                if crashes {
                    self.crash(at);
                }
            }
            Ok(Sequenced::Stopped) => self.crash(at),
            Ok(Sequenced::Superseded) => self.nodes[at].log.forget(),
            Ok(Sequenced::Idle) => {}
            Err(why) => self.violated("6 the log never forks", format!("n{at}: {why}")),
        }
    }
}
