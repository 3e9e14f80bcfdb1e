//! The server of a simulated node: path and bytes to [`Heard`], one unit of work, bytes back.
//!
//! Never answers before the unit of work is durable, and never releases a key before its lease is: the same
//! order as in the node's `server` and `jobs::release`.

use tidm_crypto::hash::sha256;
use tidm_space::catalog::delivery::Use;
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{Heard, Input, Received, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::message::{Grant, Outcome, Request};
use tidm_space::lease::state::Name as LeaseName;
use tidm_space::negotiation::message::Role;
use tidm_space::wire::dsp::error;
use tidm_space::wire::dsp::negotiation::{self as said, Endpoint as Said};
use tidm_space::wire::dsp::transfer::{self as moved, Endpoint as Moved};
use tidm_space::wire::tidm::{lease, notice};

use crate::bug::Bug;
use crate::invariants::Moment;
use crate::signaling::{CONTROL_PLANE, DATA_PLANE};
use crate::work::Ran;
use crate::world::World;

/// Of every product here.
pub(crate) const ROWS: u64 = 10;
pub(crate) const BYTES: u64 = 1000;

/// Status and body; `None`: the server died.
pub(crate) type Served = Option<(u16, String)>;

type ReadNotice = fn(&[u8]) -> Result<(Option<Id>, Heard), Fault>;

enum Door {
    Negotiation(Said, Option<Id>),
    Transfer(Moved, Option<Id>),
    Ask,
    Renew,
    Query(Id),
    Notice(ReadNotice),
}

fn door(path: &str) -> Option<Door> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let pid = |text: &str| Id::parse(text).ok();
    Some(match parts.as_slice() {
        ["negotiations", "request"] => Door::Negotiation(Said::RequestOpen, None),
        ["negotiations", "offers"] => Door::Negotiation(Said::OfferOpen, None),
        ["negotiations", it, rest @ ..] => {
            let endpoint = match rest {
                ["request"] => Said::Request,
                ["offers"] => Said::Offer,
                ["events"] => Said::Events,
                ["agreement"] => Said::Agreement,
                ["agreement", "verification"] => Said::Verification,
                ["termination"] => Said::Termination,
                _ => return None,
            };
            Door::Negotiation(endpoint, Some(pid(it)?))
        }
        ["transfers", "request"] => Door::Transfer(Moved::Request, None),
        ["transfers", it, last] => {
            let endpoint = match *last {
                "start" => Moved::Start,
                "completion" => Moved::Completion,
                "suspension" => Moved::Suspension,
                "termination" => Moved::Termination,
                _ => return None,
            };
            Door::Transfer(endpoint, Some(pid(it)?))
        }
        ["tidm", "1", "leases", "request"] => Door::Ask,
        ["tidm", "1", "leases", "renew"] => Door::Renew,
        ["tidm", "1", "leases", "returned"] => Door::Notice(notice::read_lease_returned),
        ["tidm", "1", "leases", "ended"] => Door::Notice(notice::read_lease_ended),
        ["tidm", "1", "leases", it, "query"] => Door::Query(pid(it)?),
        ["tidm", "1", "contracts", "ended"] => Door::Notice(notice::read_contract_ended),
        ["tidm", "1", "contracts", "standing"] => Door::Notice(notice::read_contract_standing),
        ["tidm", "1", "contracts", "deleted"] => Door::Notice(notice::read_deleted),
        _ => return None,
    })
}

/// Which status a fault has towards a peer (as the node's `server::answer`).
pub(crate) fn status(fault: &Fault) -> u16 {
    match fault {
        Fault::PeerMisbehaved { .. } | Fault::PeerIncompatible { .. } | Fault::Refused { .. } => {
            400
        }
        Fault::Denied { .. } => 403,
        Fault::NotFound { .. } => 404,
        Fault::Conflict { .. } => 409,
        Fault::Unavailable { .. } => 503,
        Fault::ApiMisuse(_) => 500,
    }
}

impl World {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a repeated message may be answered with nothing"
    )]
    pub(crate) fn serve(
        &mut self,
        at: usize,
        from: &Did,
        call: u64,
        path: &str,
        body: &[u8],
    ) -> Served {
        if let Some(path) = path.strip_prefix(DATA_PLANE) {
            return self.serve_data_plane(at, from, path, body);
        }
        if let Some(path) = path.strip_prefix(CONTROL_PLANE) {
            return self.serve_control_plane(at, from, path, body);
        }
        match path.split('/').nth(1) {
            Some("issuer") => return self.serve_issuer(at, from, call, body),
            Some("wallet") => return self.serve_wallet(at, from, body),
            // What this node lays ready by itself.
            Some("data") => return Some((200, String::new())),
            _ => {}
        }
        let Some(door) = door(path).filter(|_| self.nodes[at].of.is_none()) else {
            return Some((404, String::new()));
        };
        if let Err(fault) = self.member(at, from) {
            return Some((status(&fault), error::write(&fault)));
        }
        match door {
            Door::Negotiation(endpoint, mine) => {
                let heard = said::read(endpoint, mine.as_ref(), body)
                    .map(|(id, it)| (id, Heard::Negotiation(Box::new(it))));
                self.hear(
                    at,
                    from,
                    body,
                    heard,
                    |reply| match reply {
                        Reply::Negotiation { it, .. } => said::state(it),
                        _ => "{}".to_owned(),
                    },
                    |fault| said::error((mine.as_ref(), None), fault),
                )
            }
            Door::Transfer(endpoint, mine) => {
                let heard = moved::read(endpoint, mine.as_ref(), body)
                    .map(|(id, it)| (id, Heard::Transfer(Box::new(it))));
                self.hear(
                    at,
                    from,
                    body,
                    heard,
                    |reply| match reply {
                        Reply::Transfer { it, .. } => moved::state(it),
                        _ => "{}".to_owned(),
                    },
                    |fault| moved::error((mine.as_ref(), None), fault),
                )
            }
            Door::Notice(read) => {
                self.hear(at, from, body, read(body), |_| "{}".to_owned(), error::write)
            }
            Door::Ask => self.ask(at, from, body),
            Door::Renew => self.renewal(at, from, body),
            Door::Query(id) => self.query(at, from, &id),
        }
    }

    fn hear(
        &mut self,
        at: usize,
        from: &Did,
        body: &[u8],
        heard: Result<(Option<Id>, Heard), Fault>,
        good: impl FnOnce(&Reply) -> String,
        bad: impl FnOnce(&Fault) -> String,
    ) -> Served {
        let key = self.node_of(from).map(|it| self.nodes[it].public.clone());
        let done = match heard {
            Ok((id, what)) => {
                let (from, digest, seen) = (from.clone(), sha256(body), Default::default());
                let received = Received { from, key, id, digest, seen, what };
                match self.work(at, Input::Heard(Box::new(received))) {
                    Ran::Done(reply) => reply,
                    Ran::Crashed => return None,
                }
            }
            Err(fault) => Err(fault),
        };
        Some(match done {
            Ok(reply) => (200, good(&reply)),
            Err(fault) => (status(&fault), bad(&fault)),
        })
    }

    /// The gate: durable first, then the key.
    fn ask(&mut self, at: usize, from: &Did, body: &[u8]) -> Served {
        let heard = lease::read_request(body);
        let request = match &heard {
            Ok((_, Heard::Ask(request))) => Some((**request).clone()),
            _ => None,
        };
        let mut granted = None;
        let served = self.hear(
            at,
            from,
            body,
            heard,
            |reply| {
                if let Reply::Lease(grant) = reply {
                    granted = Some(grant.clone());
                }
                String::new()
            },
            lease::write_refusal,
        );
        match (served, request, granted) {
            (Some((200, _)), Some(request), Some(grant)) => {
                Some(self.release(at, &request, &grant))
            }
            (served, _, _) => served,
        }
    }

    /// The gate again: may a use go on?
    fn renewal(&mut self, at: usize, from: &Did, body: &[u8]) -> Served {
        let mut granted = None;
        let served = self.hear(
            at,
            from,
            body,
            lease::read_renewal(body),
            |reply| {
                if let Reply::Lease(grant) = reply {
                    granted = Some(grant.clone());
                }
                String::new()
            },
            lease::write_refusal,
        );
        let Some(grant) = granted else { return served };
        if let Ok(Some(lease)) = self.nodes[at].store.lease(&grant.lease) {
            self.coverage.renewed += 1;
            self.check(&Moment::Renewed { node: at, lease: &lease });
        }
        Some((200, lease::write_grant(&grant, None)))
    }

    fn release(&mut self, at: usize, request: &Request, grant: &Grant) -> (u16, String) {
        let wrapped = match request.kind {
            Use::Query | Use::Plain | Use::Psi => None,
            Use::SealedTable | Use::SealedFile => {
                if !self.nodes[at].keys.has(&grant.contract) {
                    let fault = Fault::refused(
                        "lease.not-sealed",
                        "nothing was sealed for this contract yet, or its key is gone",
                    );
                    return (status(&fault), lease::write_refusal(&fault));
                }
                Some([1_u8; 48])
            }
        };
        self.reference
            .released
            .entry((at, grant.contract.clone()))
            .or_default()
            .insert(grant.lease.clone());
        if wrapped.is_some() {
            // The key opens the whole object.
            self.reference.left.insert((at, grant.lease.clone()), (ROWS, BYTES));
        }
        self.check(&Moment::Released {
            node: at,
            contract: &grant.contract,
            lease: &grant.lease,
            key: wrapped.is_some(),
        });
        (200, lease::write_grant(grant, wrapped.as_ref().map(<[u8; 48]>::as_slice)))
    }

    /// A query beside the data, under its lease (as the node's `jobs::query`).
    fn query(&mut self, at: usize, from: &Did, id: &Id) -> Served {
        let refuse = |fault: Fault| Some((status(&fault), lease::write_refusal(&fault)));
        let now = self.nodes[at].now(self.ms);
        let lease = match self.nodes[at].store.lease(id) {
            Ok(Some(it))
                if it.role == Role::Provider
                    && it.peer == *from
                    && it.request.kind == Use::Query =>
            {
                it
            }
            _ => return refuse(Fault::NotFound { what: "lease" }),
        };
        let open = lease.state.name() == LeaseName::Granted && now < lease.until;
        if !open && self.bug != Some(Bug::OpenClosedLease) {
            return refuse(Fault::denied("lease.closed", "lease", "the lease ended"));
        }
        self.coverage.openings += 1;
        self.check(&Moment::Opened { node: at, lease: &lease });
        let within = |most: Option<u64>, it: u64| most.map_or(it, |most| most.min(it));
        let (rows, bytes) = (within(lease.reserved.rows, 8), within(lease.reserved.bytes, 800));
        let outcome = Outcome { done: true, rows, bytes, result: Some(sha256(b"result")) };
        let wish = Wish::Close { lease: id.clone(), outcome };
        match self.work(at, Input::Wish(Box::new(wish))) {
            Ran::Done(Ok(_)) => {
                self.reference.left.insert((at, id.clone()), (rows, bytes));
                self.check(&Moment::Left { node: at, lease: &lease });
                Some((200, String::new()))
            }
            Ran::Done(Err(fault)) => refuse(fault),
            Ran::Crashed => None,
        }
    }
}
