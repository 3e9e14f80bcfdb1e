//! Who is heard: a member shows its membership, and what was proven is remembered for a while (as the node's
//! `net::claims`).
//!
//! Never decides what proves a membership or how long it is believed: `space/identity/presentation` does. A wallet
//! or an issuer that cannot be reached is a refusal that may be tried again, never a pass.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidm_space::fault::Fault;
use tidm_space::id::Ids as _;
use tidm_space::identity::credential::MEMBERSHIP;
use tidm_space::identity::credential::list::List;
use tidm_space::identity::did::Did;
use tidm_space::identity::document::{Document, Relation};
use tidm_space::identity::issuance::wallet;
use tidm_space::identity::presentation::remember::{self, Ages, Known};
use tidm_space::identity::presentation::scope::Scope;
use tidm_space::identity::presentation::verify::{self, Asked, Verified};
use tidm_space::time::Time;
use tidm_space::wire::dcp::jwt;

use crate::bug::Bug;
use crate::invariants::Moment;
use crate::world::World;

/// As the node's configuration has it by default.
pub const AGES: Ages =
    Ages { membership: Duration::from_secs(300), status: Duration::from_secs(60) };
const AGAIN: Duration = Duration::from_secs(5);

/// A space whose members hold credentials of one operator.
#[derive(Clone, Debug)]
pub struct Space {
    pub id: String,
    /// The node that issues.
    pub operator: usize,
    /// Requests wait for a person.
    pub by_hand: bool,
    pub documents: BTreeMap<Did, Document>,
}

/// What a process remembers of others' credentials.
#[derive(Debug, Default)]
pub struct Claims {
    members: BTreeMap<Did, Known>,
    lists: BTreeMap<String, (List, Time)>,
}

impl Claims {
    pub fn forget(&mut self, peer: &Did) {
        self.members.remove(peer);
    }
}

impl World {
    /// Whether `from` is heard by `at` now. Spaces without credentials hear everybody.
    pub(crate) fn member(&mut self, at: usize, from: &Did) -> Result<(), Fault> {
        let Some(space) = self.space.clone() else { return Ok(()) };
        let heard =
            if self.remembered(at, &space, from)? { Ok(()) } else { self.shown(at, &space, from) };
        match heard {
            Ok(()) => {
                self.check(&Moment::Heard { node: at, from });
                Ok(())
            }
            Err(_) if self.bug == Some(Bug::HearAnybody) => {
                self.check(&Moment::Heard { node: at, from });
                Ok(())
            }
            Err(fault) => {
                if let Fault::Denied { code, .. } = &fault {
                    *self.coverage.denied.entry(code).or_default() += 1;
                    if let Some(who) = self.node_of(from) {
                        self.reference.unheard.insert((at, who));
                    }
                }
                Err(fault)
            }
        }
    }

    /// Whether a remembered membership still holds; a revoked one is forgotten.
    fn remembered(&mut self, at: usize, space: &Space, peer: &Did) -> Result<bool, Fault> {
        let now = self.nodes[at].now(self.ms);
        let known = self.nodes[at].claims.members.get(peer).filter(|it| it.holds(now)).cloned();
        let Some(known) = known else { return Ok(false) };
        for it in &known.credential.statuses {
            let list = self.list(at, space, &it.list)?;
            if verify::in_force(it, &known.credential.issuer, &list, now).is_err() {
                self.nodes[at].claims.forget(peer);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Asks the wallet of `peer` and proves what it shows.
    fn shown(&mut self, at: usize, space: &Space, peer: &Did) -> Result<(), Fault> {
        let holder = self.node_of(peer).ok_or(Fault::NotFound { what: "wallet" })?;
        self.reach(at, holder)?;
        self.coverage.exchanges += 1;
        let now = self.nodes[at].now(self.ms);
        let scopes = [Scope::kind(MEMBERSHIP)];
        let texts = self.show(holder, at, &scopes);
        let me = self.nodes[at].did.clone();
        let operator = self.nodes[space.operator].did.clone();
        let trusted = BTreeSet::from([operator.clone()]);
        let asked = Asked { holder: peer, me: &me, scopes: &scopes, trusted: &trusted };
        let opened = verify::open(&texts, &asked)?;
        let proven = verify::prove(opened, &space.documents, &asked, now)?;
        let mut lists = BTreeMap::new();
        for (address, _) in proven.lists() {
            let list = self.list(at, space, &address)?;
            lists.insert(address, list);
        }
        let shown: Vec<Verified> = proven.hold(&lists, &BTreeMap::new(), now)?;
        let spaces = BTreeMap::from([(space.id.clone(), operator)]);
        let credential = remember::membership(&shown, &spaces, &BTreeSet::new())?;
        let known = Known::new(credential, AGES, now);
        self.nodes[at].claims.members.insert(peer.clone(), known);
        Ok(())
    }

    /// What a wallet shows to this verifier.
    fn show(&mut self, holder: usize, verifier: usize, scopes: &[Scope]) -> Vec<String> {
        let now = self.nodes[holder].now(self.ms);
        let audience = self.nodes[verifier].did.clone();
        let node = &mut self.nodes[holder];
        let newest = node.store.credentials.wallet.iter().rev().cloned();
        let chosen = wallet::choose(newest.collect::<Vec<_>>(), scopes, scopes, now);
        let mut texts = Vec::new();
        for (profile, credentials) in verify::by_profile(chosen) {
            let jti = node.ids.fresh();
            let payload =
                jwt::write_presentation(profile, &node.did, &audience, &jti, now, &credentials);
            texts.push(node.sign(jwt::presentation_typ(profile), payload.to_string().as_bytes()));
        }
        texts
    }

    /// A status list, no older than the ages allow; our own as it is at this moment.
    fn list(&mut self, at: usize, space: &Space, address: &str) -> Result<List, Fault> {
        let now = self.nodes[at].now(self.ms);
        let gone = Fault::NotFound { what: "status list" };
        if at == space.operator {
            let (list, _) = self.status_list(at, address).ok_or(gone)?;
            return Ok(List { until: None, ..list });
        }
        if let Some((list, fetched)) = self.nodes[at].claims.lists.get(address)
            && (remember::list_holds(list, *fetched, AGES.status, now)
                || self.bug == Some(Bug::StaleStatus))
        {
            return Ok(list.clone());
        }
        self.reach(at, space.operator)?;
        self.coverage.lists += 1;
        let (_, text) = self.status_list(space.operator, address).ok_or(gone)?;
        let (token, list) = jwt::status_list(&text)?;
        let issuer = &self.nodes[space.operator].did;
        let key = space
            .documents
            .get(issuer)
            .and_then(|it| it.key(token.header.kid.as_deref(), Relation::Assertion));
        let signed = key.is_some_and(|key| token.verify(key).is_ok());
        if list.issuer != *issuer || !signed {
            return Err(Fault::denied("status.signature", "presentation", "not the issuer's"));
        }
        self.nodes[at].claims.lists.insert(address.to_owned(), (list.clone(), now));
        Ok(list)
    }

    /// A call there and back within a request; it may fail, and then nothing is believed.
    fn reach(&mut self, from: usize, to: usize) -> Result<(), Fault> {
        let weather = self.net.weather.lost;
        let lost = from != to
            && (self.net.is_cut(from, to)
                || self.dice.chance(weather)
                || self.dice.chance(weather));
        if lost || !self.nodes[to].up {
            return Err(Fault::Unavailable { reason: "no answer".to_owned(), retry_after: AGAIN });
        }
        Ok(())
    }
}
