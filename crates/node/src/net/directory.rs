//! Who others are: their `did:web` documents, keys and addresses, and the space's signed member list.
//!
//! Never trusts an address a peer merely claims: keys come from the document at the place the DID names, or
//! from the DID itself (`did:key`). Documents are kept for some minutes; an unknown key id fetches again at
//! once, but not twice in a while, so that a key that is rotated in flight is found and made-up ones cost little.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;

use tidm_crypto::sign::VerifyingKey;
use tidm_space::engine::node::Groups;
use tidm_space::fault::Fault;
use tidm_space::identity::did::Did;
use tidm_space::identity::document::{Document, Relation};
use tidm_space::identity::member::{Group, Member, MemberList};
use tidm_space::time::Time;
use tidm_space::wire::did;
use tidm_space::wire::dsp::version;

use super::client::Client;
use crate::clock::Clock;

/// A key rotation is seen after this long at the latest.
const KEEP: Duration = Duration::from_secs(300);
/// An unknown key id makes us look again, but not more often than this.
const AGAIN: Duration = Duration::from_secs(5);
/// Documents kept; the oldest go first.
const MOST: usize = 10_000;

/// A document, and when we got it.
#[derive(Clone, Debug)]
pub struct Peer {
    pub document: Document,
    fetched: Time,
    /// When an unknown key id made us look again.
    looked: Option<Time>,
}

/// Where a peer's protocols lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its DSP base.
    pub dsp: String,
    /// Base of our own profile, if it speaks that; at the same origin, since our token goes there too.
    pub profile: Option<String>,
}

impl Place {
    /// By a version document that lies at `root`.
    fn read(root: &str, document: &Value) -> Option<Self> {
        let said = version::read_value(document).ok()?;
        let dsp = format!("{root}{}", said.path);
        let origin = |url: &str| reqwest::Url::parse(url).ok().map(|it| it.origin());
        let profile = said.tidm.filter(|it| origin(it) == origin(&dsp));
        Some(Self { dsp, profile })
    }
}

pub struct Directory {
    client: Client,
    clock: Clock,
    insecure_http: bool,
    peers: Mutex<HashMap<Did, Arc<Peer>>>,
    places: Mutex<HashMap<Did, (Option<String>, Place)>>,
    /// The lists that were read, by their spaces' places in the configuration.
    members: RwLock<BTreeMap<usize, Arc<MemberList>>>,
    /// The legal entities that the lists name, of members cut off, too: what they used stays used.
    groups: RwLock<HashMap<Did, Group>>,
    /// The legal entities that memberships name which were shown to us since the start.
    shown: RwLock<HashMap<Did, Group>>,
    /// Our own documents: never fetched from ourselves.
    own: RwLock<HashMap<Did, Document>>,
}

impl Groups for Directory {
    fn of(&self, participant: &Did) -> Option<Group> {
        let listed = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        let found = listed.get(participant).cloned();
        let shown = || self.shown.read().unwrap_or_else(PoisonError::into_inner);
        found.or_else(|| shown().get(participant).cloned())
    }

    fn accounts(&self, entity: &Group) -> Vec<Did> {
        let listed = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        // What a list says goes before a membership, as above.
        let shown = shown.iter().filter(|(did, _)| !listed.contains_key(*did));
        let all = listed.iter().chain(shown).filter(|(_, of)| *of == entity);
        all.map(|(did, _)| did.clone()).collect()
    }
}

impl Directory {
    pub fn new(client: Client, clock: Clock, insecure_http: bool) -> Self {
        Self {
            client,
            clock,
            insecure_http,
            peers: Mutex::default(),
            places: Mutex::default(),
            members: RwLock::default(),
            groups: RwLock::default(),
            shown: RwLock::default(),
            own: RwLock::default(),
        }
    }

    /// Makes a document of ours known.
    pub fn set_own(&self, document: Document) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        own.insert(document.did.clone(), document);
    }

    /// The list of the configuration's first space.
    pub fn set_members(&self, list: MemberList) {
        self.set_members_of(0, list);
    }

    /// The list of the space at this place of the configuration.
    pub fn set_members_of(&self, at: usize, list: MemberList) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        members.insert(at, Arc::new(list));
        // Where lists differ about an entity, the first space of the configuration is believed.
        let entities = members.values().rev().flat_map(|it| &it.members);
        let said = entities.filter_map(|it| Some((it.did.clone(), it.credit_code.as_ref()?)));
        let groups = said.map(|(did, code)| (did, Group::of_entity(code))).collect();
        *self.groups.write().unwrap_or_else(PoisonError::into_inner) = groups;
    }

    /// A membership that holds says of which legal entity this participant is. Said again with each of its messages, so
    /// that nothing is lost where too many are known. One that says nothing later takes nothing back.
    pub fn belongs(&self, participant: &Did, entity: Group) {
        let known = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        if known.get(participant) == Some(&entity) {
            return;
        }
        drop(known);
        let mut known = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(participant.clone(), entity);
    }

    pub fn members_of(&self, at: usize) -> Option<Arc<MemberList>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).get(&at).cloned()
    }

    /// All lists that were read.
    pub fn lists(&self) -> Vec<Arc<MemberList>> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.values().cloned().collect()
    }

    /// As the first list has it on which it is not cut off, else the first on which it is.
    pub fn listed(&self, did: &Did) -> Option<Member> {
        let lists = self.lists();
        let mut all =
            lists.iter().flat_map(|it| &it.members).filter(|it| it.did == *did).peekable();
        let first = all.peek().map(|it| (*it).clone());
        all.find(|it| !it.cut).cloned().or(first)
    }

    /// Whether it is a member of that space. A stranger gets nothing: without a list nobody is one.
    pub fn member_of(&self, at: usize, did: &Did) -> Result<(), Fault> {
        match self.members_of(at) {
            Some(list) => list.active(did).map(drop),
            None => Err(unlisted()),
        }
    }

    /// The key with this id, or the only one, whatever it may be used for.
    pub async fn key(&self, did: &Did, kid: Option<&str>) -> Result<VerifyingKey, Fault> {
        self.find(did, kid, |document| document.method(kid).map(|it| it.key.clone())).await
    }

    /// The same, if the document lists it under that relation.
    pub async fn key_for(
        &self,
        did: &Did,
        kid: Option<&str>,
        relation: Relation,
    ) -> Result<VerifyingKey, Fault> {
        self.find(did, kid, |document| document.key(kid, relation).cloned()).await
    }

    async fn find(
        &self,
        did: &Did,
        kid: Option<&str>,
        pick: impl Fn(&Document) -> Option<VerifyingKey>,
    ) -> Result<VerifyingKey, Fault> {
        if let Some(key) = pick(&self.fresh_enough(did, kid).await?.document) {
            return Ok(key);
        }
        Err(Fault::denied("token.key", "token", format!("the document of {did} has no such key")))
    }

    /// The document; got again if it lacks that key and none made us look again just now.
    pub async fn fresh_enough(&self, did: &Did, kid: Option<&str>) -> Result<Arc<Peer>, Fault> {
        let peer = self.peer(did).await?;
        let now = self.clock.now();
        if peer.document.method(kid).is_some()
            || peer.looked.is_some_and(|at| now.since(at) <= AGAIN)
        {
            return Ok(peer);
        }
        self.forget(did);
        let fetched = self.peer(did).await?;
        let fetched = Arc::new(Peer { looked: Some(now), ..(*fetched).clone() });
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        // Our own documents and those of `did:key` are nowhere kept.
        if let Some(kept) = peers.get_mut(did) {
            *kept = fetched.clone();
        }
        Ok(fetched)
    }

    pub fn forget(&self, did: &Did) {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).remove(did);
        self.places.lock().unwrap_or_else(PoisonError::into_inner).remove(did);
    }

    /// The document, from memory or from its place.
    pub async fn peer(&self, did: &Did) -> Result<Arc<Peer>, Fault> {
        let now = self.clock.now();
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner).get(did).cloned();
        if let Some(document) = own {
            return Ok(Arc::new(Peer { document, fetched: now, looked: None }));
        }
        if did.as_str().starts_with("did:key:") {
            return Ok(Arc::new(Peer {
                document: Document::of_key(did)?,
                fetched: now,
                looked: None,
            }));
        }
        let known = self.peers.lock().unwrap_or_else(PoisonError::into_inner).get(did).cloned();
        if let Some(peer) = known
            && now.since(peer.fetched) < KEEP
        {
            return Ok(peer);
        }
        let location = did.document_location().ok_or_else(|| {
            Fault::incompatible(
                "did.method",
                format!("{did}: only did:web and did:key are resolved"),
            )
        })?;
        let scheme = if self.insecure_http && is_local(&location) { "http" } else { "https" };
        let document = self.json(&format!("{scheme}://{location}"), did).await?;
        let peer =
            Arc::new(Peer { document: did::read(did, &document)?, fetched: now, looked: None });
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= MOST
            && let Some(oldest) =
                peers.iter().min_by_key(|(_, it)| it.fetched).map(|(did, _)| did.clone())
        {
            peers.remove(&oldest);
        }
        peers.insert(did.clone(), peer.clone());
        Ok(peer)
    }

    /// The peer's DSP base.
    pub async fn dsp_base(&self, did: &Did) -> Result<String, Fault> {
        Ok(self.place(did).await?.dsp)
    }

    /// Where a peer is: the address that the space's signed list names, else what its own documents say (DSP §4).
    pub async fn place(&self, did: &Did) -> Result<Place, Fault> {
        let member = self.listed(did).filter(|it| !it.cut);
        let endpoint = member.and_then(|it| Some(it.endpoint?.trim_end_matches('/').to_owned()));
        let known = self.places.lock().unwrap_or_else(PoisonError::into_inner).get(did).cloned();
        if let Some((of, place)) = known
            && of == endpoint
        {
            return Ok(place);
        }
        let place = match &endpoint {
            Some(endpoint) => self.listed_place(endpoint, did).await?,
            None => self.own_place(did).await?,
        };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MOST {
            places.clear();
        }
        places.insert(did.clone(), (endpoint, place.clone()));
        Ok(place)
    }

    /// By the version document that its DID document names.
    async fn own_place(&self, did: &Did) -> Result<Place, Fault> {
        let peer = self.peer(did).await?;
        let endpoint = peer.document.service("DataService")?.to_owned();
        let document = self.json(&endpoint, did).await?;
        let root = endpoint.trim_end_matches('/').trim_end_matches(version::PATH);
        Place::read(root, &document).ok_or_else(|| {
            Fault::incompatible("dsp.version", format!("{did} does not speak DSP 2025-1"))
        })
    }

    /// At the listed address: a node's root or its DSP base. What else it speaks is in its version document, which
    /// lies at either; a connector without one is taken at the operator's word.
    async fn listed_place(&self, endpoint: &str, did: &Did) -> Result<Place, Fault> {
        let url = reqwest::Url::parse(endpoint).map_err(|_| {
            Fault::incompatible("member.endpoint", format!("the listed address of {did} is no URL"))
        })?;
        let root = url.origin().ascii_serialization();
        let mut roots = vec![endpoint];
        roots.extend((root != endpoint).then_some(root.as_str()));
        for root in roots {
            let url = format!("{root}{}", version::PATH);
            let answer = self.client.call(reqwest::Method::GET, &url, None, None).await;
            let answer = answer.map_err(|why| Fault::Unavailable {
                reason: format!("{did}: {why}"),
                retry_after: AGAIN,
            })?;
            let document = tidm_space::wire::json::parse(&answer.body);
            let place = document.ok().filter(|_| answer.status.is_success());
            let place = place.and_then(|it| Place::read(root, &it));
            if let Some(place) = place.filter(|it| it.dsp == endpoint || root == endpoint) {
                return Ok(place);
            }
        }
        Ok(Place { dsp: endpoint.to_owned(), profile: None })
    }

    async fn json(&self, url: &str, did: &Did) -> Result<Value, Fault> {
        let unavailable = |reason: String| Fault::Unavailable { reason, retry_after: AGAIN };
        let answer = self
            .client
            .call(reqwest::Method::GET, url, None, None)
            .await
            .map_err(|why| unavailable(format!("{did}: {why}")))?;
        if !answer.status.is_success() {
            return Err(unavailable(format!("{did}: {url} answers {}", answer.status)));
        }
        tidm_space::wire::json::parse(&answer.body)
            .map_err(|_| unavailable(format!("{did}: {url} is not JSON")))
    }
}

fn unlisted() -> Fault {
    Fault::denied("member.unknown", "membership", "this node knows no member list yet")
}

fn is_local(location: &str) -> bool {
    let host = location.split(['/', ':']).next().unwrap_or_default();
    host == "localhost" || host == "127.0.0.1"
}
