//! The issuer of a simulated space and the wallets of its members (as the node's `server::dcp` and `jobs::issue`).
//!
//! Never decides what is issued or kept: `space/identity/issuance` does. Never answers before what was decided is
//! durable. One operator runs the space; it issues, repeats, revokes, and tells wallets until they take it.

use tidm_space::fault::Fault;
use tidm_space::id::Ids as _;
use tidm_space::identity::credential::Profile;
use tidm_space::identity::credential::Purpose;
use tidm_space::identity::credential::list::{Bits, List};
use tidm_space::identity::did::Did;
use tidm_space::identity::issuance::decide::{
    self, Invited, Offered, Order, PER_LIST, Verdict, View,
};
use tidm_space::identity::issuance::machine::{self, Input};
use tidm_space::identity::issuance::message::{Container, Outcome as Said, Request};
use tidm_space::identity::issuance::wallet::{self, Answered};
use tidm_space::identity::presentation::verify;
use tidm_space::limits::STATUS_LIST_LIFE;
use tidm_space::wire::dcp::{issuance, jwt};

use crate::bug::Bug;
use crate::credentials::{Asked, Place};
use crate::invariants::Moment;
use crate::node::{Call, CrashPoint};
use crate::reference::Membership;
use crate::serve::{Served, status};
use crate::world::{Event, World};

pub const ISSUER: &str = "/issuer";
pub const WALLET: &str = "/wallet";
/// The model of all credentials of a simulated space.
const PROFILE: Profile = Profile::Vc20;
const UNAUTHORIZED: u16 = 401;
/// A look at what wallets are still to be told.
const LOOK_MS: i64 = 1_000;

fn refused(fault: &Fault) -> Served {
    Some((status(fault), format!("{{\"code\":\"{}\"}}", fault.code())))
}

impl World {
    /// A holder asks the operator for its membership.
    pub(crate) fn join(&mut self, at: usize) {
        let Some(space) = self.space.clone().filter(|_| self.nodes[at].up) else { return };
        let issuer = self.nodes[space.operator].did.clone();
        let pid = self.nodes[at].ids.fresh().to_string();
        let node = &mut self.nodes[at];
        node.store
            .credentials
            .asked
            .insert(pid.clone(), Asked { issuer, answered: Answered::Open });
        let wants = vec![Offered::membership(&space.id, PROFILE).object];
        let body = issuance::write_request(&Request { holder_pid: pid.clone(), wants });
        let url = format!("{}{ISSUER}/credentials", self.nodes[space.operator].base);
        self.post(at, Call::Join { pid }, &url, &body);
    }

    /// The issuer refused at once: nothing will follow.
    pub(crate) fn join_answered(&mut self, at: usize, pid: &str, status: u16) {
        if let Some(it) = self.nodes[at].store.credentials.asked.get_mut(pid)
            && !(200..300).contains(&status)
            && it.answered == Answered::Open
        {
            it.answered = Answered::Rejected;
        }
    }

    /// `POST /issuer/credentials` (DCP §6.4).
    pub(crate) fn serve_issuer(&mut self, at: usize, from: &Did, call: u64, body: &[u8]) -> Served {
        let Some(space) = self.space.clone().filter(|it| it.operator == at) else {
            return Some((404, String::new()));
        };
        // Each token works once (DCP §4.3.3), so that a copy of a request is none.
        if self.bug != Some(Bug::IssueTwice)
            && !self.nodes[at].store.credentials.tokens.insert(call)
        {
            return Some((UNAUTHORIZED, String::new()));
        }
        let known = Profile::ALL.map(|it| Offered::membership(&space.id, it));
        let order = issuance::read_request(body).and_then(|request| {
            let wanted = decide::wanted(&request, &known)?;
            Ok((request, wanted))
        });
        let (request, wanted) = match order {
            Ok(it) => it,
            Err(fault) => return refused(&fault),
        };
        let order = Order {
            id: self.nodes[at].ids.fresh().to_string(),
            issuer: self.nodes[at].did.clone(),
            holder: from.clone(),
            access: None,
            request,
            wanted,
        };
        match self.requested(at, &space.id, order) {
            Some(Ok(())) => Some((201, "{}".to_owned())),
            Some(Err(fault)) => refused(&fault),
            None => None,
        }
    }

    /// One transaction: what is decided, signed and owed. `None`: the issuer died in it.
    fn requested(&mut self, at: usize, space: &str, order: Order) -> Option<Result<(), Fault>> {
        let now = self.nodes[at].now(self.ms);
        let store = &self.nodes[at].store.credentials;
        let invited = store.invitations.get(&order.holder) == Some(&false);
        let invited = (invited
            || self.bug == Some(Bug::IssueTwice) && store.invitations.contains_key(&order.holder))
        .then(|| Invited {
            space: space.to_owned(),
            roles: "provider consumer".to_owned(),
            country: None,
            credit_code: None,
        });
        let (open, past) = match (store.open(&order.holder), store.past(&order.holder)) {
            _ if self.bug == Some(Bug::IssueTwice) => (vec![], vec![]),
            (Ok(open), Ok(past)) => (open, past),
            (Err(why), _) | (_, Err(why)) => {
                self.violated("rows can be read", format!("n{at}: {why}"));
                return None;
            }
        };
        let view = View { open, past, invitations: vec![invited.clone()] };
        match decide::decide(&order, &view) {
            Ok(Verdict::Issue) => {}
            Ok(Verdict::Again(old)) => {
                self.nodes[at].store.credentials.save(&old, Some(now));
                self.tell_soon(at);
                return Some(Ok(()));
            }
            Ok(Verdict::Known(_)) => return Some(Ok(())),
            Err(fault) => return Some(Err(fault)),
        }
        if self.nodes[at].crash == Some(CrashPoint::InCommit) {
            // Nothing of the transaction stands.
            self.crash(at);
            return None;
        }
        self.nodes[at].store.credentials.invitations.insert(order.holder.clone(), true);
        // Some operators decide by hand: the request is filed, and a person looks at it later.
        if self.space.as_ref().is_some_and(|it| it.by_hand) {
            self.nodes[at].store.credentials.save(&decide::received(&order, now), None);
        } else {
            let signed = self.sign_membership(at, &order, invited.as_ref());
            match decide::approve(&order, vec![signed], now) {
                Ok((approved, step)) => {
                    self.nodes[at].store.credentials.save(&approved, step.deliver);
                    self.check(&Moment::Issued { node: at, issuance: &approved });
                }
                Err(fault) => return Some(Err(fault)),
            }
        }
        if self.nodes[at].crash == Some(CrashPoint::AfterCommit) {
            self.crash(at);
            return None;
        }
        self.tell_soon(at);
        Some(Ok(()))
    }

    /// A person at the issuer decides what was filed.
    pub(crate) fn decide_by_hand(&mut self, at: usize, id: &str, approves: bool) {
        let Some(space) = self.space.clone().filter(|_| self.nodes[at].up) else { return };
        let Ok(Some(it)) = self.nodes[at].store.credentials.issuance(id) else { return };
        let now = self.nodes[at].now(self.ms);
        let input = if approves {
            let offered = Offered::membership(&space.id, PROFILE);
            let order = Order {
                id: it.id.clone(),
                issuer: it.issuer.clone(),
                holder: it.holder.clone(),
                access: None,
                request: Request { holder_pid: it.holder_pid.clone(), wants: it.wants.clone() },
                wanted: vec![offered],
            };
            let invited = Invited {
                space: space.id,
                roles: "provider consumer".to_owned(),
                country: None,
                credit_code: None,
            };
            Input::Approve { credentials: vec![self.sign_membership(at, &order, Some(&invited))] }
        } else {
            Input::Reject { reason: "not one of us".to_owned() }
        };
        match machine::next(&it, input, now) {
            Ok((after, step)) => {
                self.nodes[at].store.credentials.save(&after, step.deliver);
                self.check(&Moment::Issued { node: at, issuance: &after });
                self.tell_soon(at);
            }
            Err(fault) => {
                self.log.add(self.step, self.ms, || format!("n{at} cannot decide {id}: {fault}"));
            }
        }
    }

    fn sign_membership(
        &mut self,
        at: usize,
        order: &Order,
        invited: Option<&Invited>,
    ) -> Container {
        let now = self.nodes[at].now(self.ms);
        let node = &mut self.nodes[at];
        let place = u64::try_from(node.store.credentials.places.len()).unwrap_or(u64::MAX);
        node.store.credentials.places.push(Place {
            issuance: order.id.clone(),
            holder: order.holder.clone(),
            revoked: false,
        });
        let id = node.ids.fresh();
        let offered =
            Offered::membership(&invited.map(|it| it.space.clone()).unwrap_or_default(), PROFILE);
        let list = format!("{}{ISSUER}/status/vc20/{}", node.base, place / PER_LIST);
        let credential =
            decide::credential(order, (&offered, invited), (list, place % PER_LIST), &id, now);
        let payload = jwt::write_credential(&credential).to_string();
        let payload = node.sign(jwt::credential_typ(PROFILE), payload.as_bytes());
        let since = self.ms;
        let holder = order.holder.clone();
        self.reference
            .memberships
            .entry(holder)
            .or_default()
            .push(Membership { since, revoked: None });
        Container { kind: offered.kind, profile: PROFILE, payload }
    }

    /// Ends every membership of a holder, and an invitation that it did not take up.
    pub(crate) fn revoke_member(&mut self, at: usize, holder: usize) {
        if !self.nodes[at].up {
            return;
        }
        let did = self.nodes[holder].did.clone();
        let store = &mut self.nodes[at].store.credentials;
        store.invitations.remove(&did);
        for it in store.places.iter_mut().filter(|it| it.holder == did && !it.revoked) {
            it.revoked = true;
            self.coverage.memberships_revoked += 1;
        }
        let now = self.ms;
        for it in self.reference.memberships.entry(did.clone()).or_default() {
            it.revoked.get_or_insert(now);
        }
        self.nodes[at].claims.forget(&did);
    }

    /// The signed status list, as it is in the store at this moment.
    pub(crate) fn status_list(&self, at: usize, address: &str) -> Option<(List, String)> {
        let list = address.rsplit('/').next()?.parse::<u64>().ok()?;
        let from = list.saturating_mul(PER_LIST);
        let node = &self.nodes[at];
        let now = node.now(self.ms);
        let mut bits = Bits::zeros(PER_LIST);
        for (place, it) in (0_u64..).zip(&node.store.credentials.places) {
            if it.revoked && place >= from && place - from < PER_LIST && !bits.set(place - from) {
                return None;
            }
        }
        let until = Some(now.after(STATUS_LIST_LIFE));
        let list = List { issuer: node.did.clone(), purpose: Purpose::Revocation, until, bits };
        let payload = jwt::write_status_list(PROFILE, address, &list, now).to_string();
        let text = node.sign(jwt::credential_typ(PROFILE), payload.as_bytes());
        Some((list, text))
    }

    /// Looks soon at what wallets are to be told.
    pub(crate) fn tell_soon(&mut self, at: usize) {
        self.later(1, Event::Tell { node: at });
    }

    /// Tells wallets what was decided, and looks again when the next one is due.
    pub(crate) fn tell(&mut self, at: usize) {
        if !self.nodes[at].up {
            return;
        }
        let now = self.nodes[at].now(self.ms);
        let told: Vec<String> = self.nodes[at].telling.clone().into_iter().collect();
        let due: Vec<String> = self.nodes[at]
            .store
            .credentials
            .requests
            .iter()
            .filter(|(id, it)| it.due.is_some_and(|due| due <= now) && !told.contains(id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            let Ok(Some(it)) = self.nodes[at].store.credentials.issuance(&id) else { continue };
            let (Some(said), Some(holder)) = (machine::delivery(&it), self.node_of(&it.holder))
            else {
                self.nodes[at].store.credentials.save(&it, None);
                continue;
            };
            self.nodes[at].telling.insert(id.clone());
            let url = format!("{}{WALLET}/credentials", self.nodes[holder].base);
            self.post(at, Call::Tell { issuance: id }, &url, &issuance::write_delivery(&said));
        }
        let next = self.nodes[at].store.credentials.requests.values().filter_map(|it| it.due).min();
        if let Some(next) = next {
            let wait = (self.nodes[at].clock.world_ms(next) - self.ms).max(LOOK_MS);
            if self.nodes[at].tell_at.is_none_or(|it| it <= self.ms || it > self.ms + wait) {
                self.nodes[at].tell_at = Some(self.ms + wait);
                self.later(wait, Event::Tell { node: at });
            }
        }
    }

    /// What came of telling a wallet.
    pub(crate) fn told(&mut self, at: usize, id: &str, taken: bool) {
        self.nodes[at].telling.remove(id);
        let Ok(Some(it)) = self.nodes[at].store.credentials.issuance(id) else { return };
        if self.nodes[at].crash == Some(CrashPoint::AfterDelivery) {
            // It is told again.
            self.crash(at);
            return;
        }
        let now = self.nodes[at].now(self.ms);
        let input = if taken { Input::Delivered } else { Input::Undelivered };
        let (after, mut again) = decide::told(&it, input, now);
        if self.bug == Some(Bug::TellOnce) {
            again = None;
        }
        self.nodes[at].store.credentials.save(&after, again);
        self.tell_soon(at);
    }

    /// `POST /wallet/credentials` (DCP §6.5).
    pub(crate) fn serve_wallet(&mut self, at: usize, from: &Did, body: &[u8]) -> Served {
        match self.receive(at, from, body) {
            Ok(true) => Some((200, "{}".to_owned())),
            Ok(false) => None,
            Err(fault) => refused(&fault),
        }
    }

    /// `false`: the wallet's node died.
    fn receive(&mut self, at: usize, from: &Did, body: &[u8]) -> Result<bool, Fault> {
        let delivery = issuance::read_delivery(body)?;
        let now = self.nodes[at].now(self.ms);
        let store = &self.nodes[at].store.credentials;
        let asked = store.asked.get(&delivery.holder_pid);
        let question = asked.map(|it| (it.issuer.as_str(), it.answered.word()));
        let _answers = wallet::admit(from, question, store.joined(from))?;
        let me = self.nodes[at].did.clone();
        let documents = self.space.as_ref().map(|it| it.documents.clone()).unwrap_or_default();
        let mut held = Vec::new();
        let answered = match delivery.outcome {
            Said::Issued(all) => {
                for container in all {
                    let (token, it) = wallet::read(&container, from, &me)?;
                    verify::prove_credential(&token, &it, &documents, now)?;
                    held.push(container.payload);
                }
                Answered::Issued
            }
            Said::Rejected(_) => Answered::Rejected,
        };
        if self.nodes[at].crash == Some(CrashPoint::InCommit) {
            self.crash(at);
            return Ok(false);
        }
        let store = &mut self.nodes[at].store.credentials;
        for it in held {
            store.hold(it);
        }
        if let Some(it) = store.asked.get_mut(&delivery.holder_pid).filter(|it| it.issuer == *from)
        {
            it.answered = answered;
        }
        if self.nodes[at].crash == Some(CrashPoint::AfterCommit) {
            self.crash(at);
            return Ok(false);
        }
        Ok(true)
    }
}
