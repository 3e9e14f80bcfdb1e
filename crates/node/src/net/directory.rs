//! Who others are: their `did:web` documents, keys and addresses, and the space's signed member list.
//!
//! Never trusts an address a peer merely claims: keys come from the document at the place the DID names.
//! Documents are kept for some minutes; an unknown key id fetches again, at most once in a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;

use tidm_crypto::sign::VerifyingKey;
use tidm_space::fault::Fault;
use tidm_space::identity::did::Did;
use tidm_space::identity::member::MemberList;
use tidm_space::time::Time;
use tidm_space::wire::dsp::version;

use super::client::Client;
use crate::clock::Clock;

/// A key rotation is seen after this long at the latest.
const KEEP: Duration = Duration::from_secs(300);
/// An unknown key id makes us look again, but not more often than this.
const AGAIN: Duration = Duration::from_secs(5);
/// Documents kept; the oldest go first.
const MOST: usize = 10_000;

/// What a DID document says that we use.
#[derive(Clone, Debug)]
pub struct Peer {
    pub did: Did,
    pub keys: Vec<(String, VerifyingKey)>,
    /// `serviceEndpoint` by service type.
    pub services: Vec<(String, String)>,
    fetched: Time,
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
    members: RwLock<Option<Arc<MemberList>>>,
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
        }
    }

    pub fn set_members(&self, list: MemberList) {
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(list));
    }

    pub fn members(&self) -> Option<Arc<MemberList>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A stranger gets nothing: without a list nobody is a member.
    pub fn member(&self, did: &Did) -> Result<(), Fault> {
        match self.members() {
            Some(list) => list.active(did).map(drop),
            None => Err(Fault::denied(
                "member.unknown",
                "membership",
                "this node knows no member list yet",
            )),
        }
    }

    /// The key with this id, or the only one.
    pub async fn key(&self, did: &Did, kid: Option<&str>) -> Result<VerifyingKey, Fault> {
        let peer = self.peer(did).await?;
        if let Some(key) = pick(&peer, kid) {
            return Ok(key);
        }
        if self.clock.now().since(peer.fetched) > AGAIN {
            self.forget(did);
            let peer = self.peer(did).await?;
            if let Some(key) = pick(&peer, kid) {
                return Ok(key);
            }
        }
        Err(Fault::denied("token.key", "token", format!("the document of {did} has no such key")))
    }

    pub fn forget(&self, did: &Did) {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).remove(did);
        self.places.lock().unwrap_or_else(PoisonError::into_inner).remove(did);
    }

    /// The document, from memory or from its place.
    pub async fn peer(&self, did: &Did) -> Result<Arc<Peer>, Fault> {
        let now = self.clock.now();
        let known = self.peers.lock().unwrap_or_else(PoisonError::into_inner).get(did).cloned();
        if let Some(peer) = known
            && now.since(peer.fetched) < KEEP
        {
            return Ok(peer);
        }
        let location = did.document_location().ok_or_else(|| {
            Fault::incompatible("did.method", format!("{did}: only did:web can be resolved"))
        })?;
        let scheme = if self.insecure_http && is_local(&location) { "http" } else { "https" };
        let document = self.json(&format!("{scheme}://{location}"), did).await?;
        let peer = Arc::new(read_document(did, &document, now)?);
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
        let endpoint = self.members().and_then(|list| {
            let member = list.members.iter().find(|it| it.did == *did && !it.cut)?;
            Some(member.endpoint.as_ref()?.trim_end_matches('/').to_owned())
        });
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
        let endpoint = peer
            .services
            .iter()
            .find(|(kind, _)| kind == "DataService")
            .map(|(_, endpoint)| endpoint.clone())
            .ok_or_else(|| {
                Fault::incompatible(
                    "did.service",
                    format!("the document of {did} names no DataService"),
                )
            })?;
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

fn is_local(location: &str) -> bool {
    let host = location.split(['/', ':']).next().unwrap_or_default();
    host == "localhost" || host == "127.0.0.1"
}

fn pick(peer: &Peer, kid: Option<&str>) -> Option<VerifyingKey> {
    match kid {
        Some(kid) => {
            let fragment = kid.rsplit('#').next().unwrap_or(kid);
            peer.keys
                .iter()
                .find(|(id, _)| id == kid || id.rsplit('#').next() == Some(fragment))
                .map(|(_, key)| key.clone())
        }
        None => match peer.keys.as_slice() {
            [(_, only)] => Some(only.clone()),
            _ => None,
        },
    }
}

fn read_document(did: &Did, document: &Value, now: Time) -> Result<Peer, Fault> {
    let wrong = |why: &str| {
        Fault::misbehaved("did.document", format!("the document of {did} is wrong: {why}"))
    };
    if document.get("id").and_then(Value::as_str) != Some(did.as_str()) {
        return Err(wrong("it is of another DID"));
    }
    let methods = document
        .get("verificationMethod")
        .and_then(Value::as_array)
        .ok_or_else(|| wrong("no verificationMethod"))?;
    let mut keys = Vec::new();
    for method in methods.iter().take(64) {
        let id = method.get("id").and_then(Value::as_str);
        let key = method.get("publicKeyJwk").and_then(|jwk| VerifyingKey::from_jwk(jwk).ok());
        if let (Some(id), Some(key)) = (id, key) {
            keys.push((id.to_owned(), key));
        }
    }
    if keys.is_empty() {
        return Err(wrong("no key that we understand"));
    }
    let mut services = Vec::new();
    for service in document.get("service").and_then(Value::as_array).into_iter().flatten().take(64)
    {
        let kind = service.get("type").and_then(Value::as_str);
        let endpoint = service.get("serviceEndpoint").and_then(Value::as_str);
        if let (Some(kind), Some(endpoint)) = (kind, endpoint) {
            services.push((kind.to_owned(), endpoint.to_owned()));
        }
    }
    Ok(Peer { did: did.clone(), keys, services, fetched: now })
}
