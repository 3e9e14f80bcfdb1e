//! The client of a simulated node: posts what the outbox holds, asks for leases, and reports what came of it.
//!
//! Never believes that no answer means no effect: that is what the engine's retries are for.

use std::rc::Rc;

use tidm_crypto::hash::sha256;
use tidm_space::catalog::delivery::Use;
use tidm_space::engine::commit::{About, Send};
use tidm_space::engine::input::{FlowAnswer, HoldWish, Input, Outcome, Wish};
use tidm_space::id::Ids as _;
use tidm_space::lease::message::{Outcome as LeaseOutcome, Renewal, Request};
use tidm_space::wire;

use crate::node::Call;
use crate::world::{Event, World};

/// How long a caller waits for an answer.
const PATIENCE_MS: i64 = 10_000;
/// A refused connection is known at once.
const REFUSED_MS: i64 = 5;
/// A lease request is repeated with the same nonce this often.
const LEASE_TRIES: u32 = 3;

impl World {
    pub(crate) fn deliver(&mut self, at: usize, send: Send) {
        let (url, body) = (send.url.clone(), send.body.clone());
        self.post(at, Call::Outbox(Box::new(send)), &url, &body);
    }

    /// Sends a request on its way; every copy that arrives is heard.
    pub(crate) fn post(&mut self, at: usize, call: Call, url: &str, body: &str) {
        self.calls += 1;
        let id = self.calls;
        let epoch = self.nodes[at].epoch;
        let as_did = self.nodes[at].did.clone();
        self.nodes[at].calls.insert(id, call);
        let Some((to, path)) = self.door_of(url) else {
            self.later(REFUSED_MS, Event::Late { call: id, to: at, epoch });
            return;
        };
        let body: Rc<str> = body.into();
        if let Some(traitor) = &mut self.traitor {
            traitor.overhear(at, to, &path, &body);
        }
        let copies = self.net.fate(&mut self.dice, at, to);
        for delay in copies {
            let event = Event::Request {
                call: id,
                from: at,
                epoch,
                to,
                path: path.clone(),
                body: body.clone(),
                as_did: as_did.clone(),
            };
            self.later(delay, event);
        }
        self.later(PATIENCE_MS, Event::Late { call: id, to: at, epoch });
    }

    /// Whose door that is, and its path; below the DSP base, as DSP names it.
    pub(crate) fn door_of(&self, url: &str) -> Option<(usize, String)> {
        self.nodes.iter().enumerate().find_map(|(at, it)| {
            let rest = url.strip_prefix(it.base.as_str()).filter(|rest| rest.starts_with('/'))?;
            let below = rest.strip_prefix("/dsp").filter(|it| it.starts_with('/'));
            Some((at, below.unwrap_or(rest).to_owned()))
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one argument for each part of a request")]
    pub(crate) fn arrive(
        &mut self,
        call: u64,
        from: usize,
        epoch: u64,
        to: usize,
        path: &str,
        body: &str,
        as_did: &tidm_space::identity::did::Did,
    ) {
        if !self.nodes[to].up {
            self.later(REFUSED_MS, Event::Late { call, to: from, epoch });
            return;
        }
        let Some((status, answer)) = self.serve(to, as_did, call, path, body.as_bytes()) else {
            return;
        };
        self.log.add(self.step, self.ms, || format!("n{from} → n{to} {path}: {status}"));
        if let Some(delay) = self.net.fate(&mut self.dice, to, from).first() {
            self.later(*delay, Event::Answer { call, to: from, epoch, status, body: answer });
        }
    }

    pub(crate) fn answered(&mut self, at: usize, call: u64, status: u16, body: &str) {
        match self.nodes[at].calls.remove(&call) {
            Some(Call::Outbox(send)) => {
                let outcome = outcome(&send, status, body.as_bytes());
                let _died = self.work(at, Input::Delivered { send, outcome });
            }
            Some(Call::Lease { request, tries }) => match status {
                200 => self.hold(at, *request, body),
                404 | 503 => self.ask_again(at, *request, tries),
                _ => {}
            },
            Some(Call::Renew { lease, number }) if status == 200 => {
                self.renewed_lease(at, lease, number, body);
            }
            Some(Call::Flow(run)) => self.flow_answered(at, run, status, body),
            Some(Call::Join { pid }) => self.join_answered(at, &pid, status),
            Some(Call::Tell { issuance }) => {
                self.told(at, &issuance, (200..300).contains(&status));
            }
            Some(Call::Query { .. } | Call::Renew { .. } | Call::Stray) | None => {}
        }
    }

    pub(crate) fn unanswered(&mut self, at: usize, call: u64) {
        match self.nodes[at].calls.remove(&call) {
            Some(Call::Outbox(send)) => {
                let outcome = Outcome::Unreachable { reason: "no answer".to_owned() };
                let _died = self.work(at, Input::Delivered { send, outcome });
            }
            Some(Call::Lease { request, tries }) => self.ask_again(at, *request, tries),
            Some(Call::Flow(run)) => self.flow_failed(at, run, "no answer".to_owned()),
            Some(Call::Tell { issuance }) => self.told(at, &issuance, false),
            // The question stays open: the issuer may have heard it.
            Some(Call::Join { .. } | Call::Query { .. } | Call::Renew { .. } | Call::Stray)
            | None => {}
        }
    }

    /// Asks the provider's gate.
    pub(crate) fn ask_gate(&mut self, at: usize, request: Request, tries: u32) {
        let Ok(Some(contract)) = self.nodes[at].store.contract(&request.contract) else { return };
        let id = self.nodes[at].ids.fresh();
        let posting = wire::tidm::lease::write_request(&id, &request);
        let url = format!("{}{}", contract.address, posting.path);
        self.post(at, Call::Lease { request: Box::new(request), tries }, &url, &posting.body);
    }

    fn ask_again(&mut self, at: usize, request: Request, tries: u32) {
        if tries < LEASE_TRIES {
            self.ask_gate(at, request, tries + 1);
        }
    }

    /// The grant arrived: hold it, then use it.
    fn hold(&mut self, at: usize, request: Request, body: &str) {
        let Ok((grant, _wrapped)) = wire::tidm::lease::read_grant(body.as_bytes()) else { return };
        let (lease, kind) = (grant.lease.clone(), request.kind);
        let wish = Wish::Hold(Box::new(HoldWish { request, grant }));
        if let crate::work::Ran::Done(Ok(_)) = self.work(at, Input::Wish(Box::new(wish))) {
            match kind {
                Use::Query if self.dice.chance(60) => self.send_query(at, &lease),
                Use::Query => {}
                Use::SealedTable | Use::SealedFile | Use::Plain | Use::Psi => {
                    if self.dice.chance(50) {
                        self.close(at, &lease);
                    }
                }
            }
        }
    }

    pub(crate) fn send_query(&mut self, at: usize, lease: &tidm_space::id::Id) {
        let Ok(Some(held)) = self.nodes[at].store.lease(lease) else { return };
        let Ok(Some(contract)) = self.nodes[at].store.contract(&held.request.contract) else {
            return;
        };
        let url = format!("{}/tidm/1/leases/{lease}/query", contract.address);
        self.post(at, Call::Query { lease: lease.clone() }, &url, "SELECT 1");
    }

    /// Asks the gate to let a use go on (as the node's `jobs::renewing`).
    pub(crate) fn renew_lease(&mut self, at: usize, lease: &tidm_space::id::Id) {
        let Ok(Some(held)) = self.nodes[at].store.lease(lease) else { return };
        let Ok(Some(contract)) = self.nodes[at].store.contract(&held.request.contract) else {
            return;
        };
        let (lease, number) = (lease.clone(), held.renewals.saturating_add(1));
        let asked = Renewal { lease: lease.clone(), number, span: held.request.span };
        let id = self.nodes[at].ids.fresh();
        let posting = wire::tidm::lease::write_renewal(&id, &asked);
        let url = format!("{}{}", contract.address, posting.path);
        self.post(at, Call::Renew { lease, number }, &url, &posting.body);
    }

    fn renewed_lease(&mut self, at: usize, lease: tidm_space::id::Id, number: u32, body: &str) {
        let Ok((grant, _)) = wire::tidm::lease::read_grant(body.as_bytes()) else { return };
        let wish = Wish::Renewed { lease, number, until: grant.until };
        let _died = self.work(at, Input::Wish(Box::new(wish)));
    }

    /// The consumer's receipt for a use.
    pub(crate) fn close(&mut self, at: usize, lease: &tidm_space::id::Id) {
        let outcome =
            LeaseOutcome { done: true, rows: 1, bytes: 10, result: Some(sha256(b"result")) };
        let wish = Wish::Close { lease: lease.clone(), outcome };
        let _died = self.work(at, Input::Wish(Box::new(wish)));
    }
}

/// What an answer means for the outbox (as the node's `net::dispatch`).
fn outcome(send: &Send, status: u16, body: &[u8]) -> Outcome {
    if let (About::Flow(_), 200..=299) = (&send.about, status) {
        return match wire::dps::read_status(body) {
            Ok(it) => Outcome::Answered(Box::new(FlowAnswer {
                theirs: it.flow,
                state: it.state,
                address: it.address,
                error: it.error,
            })),
            Err(_) => Outcome::Accepted { pid: None },
        };
    }
    match status {
        200..=299 => Outcome::Accepted {
            pid: match &send.about {
                About::Negotiation(mine) => wire::dsp::negotiation::read_ack(body, mine),
                About::Transfer(mine) => wire::dsp::transfer::read_ack(body, mine),
                About::Notice { .. } | About::Flow(_) => None,
            },
        },
        404 => Outcome::Refused {
            not_found: true,
            code: None,
            reason: vec!["404 from the peer".to_owned()],
        },
        408 | 425 | 429 | 500..=599 => Outcome::Unreachable { reason: format!("HTTP {status}") },
        _ => {
            let (code, reason) = wire::dsp::error::read(body);
            Outcome::Refused { not_found: false, code, reason }
        }
    }
}
