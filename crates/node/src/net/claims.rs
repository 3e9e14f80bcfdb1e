//! Who calls, proven by credentials: the verifier's side of DCP, and what of it may be remembered.
//!
//! A caller proves its DID with a self-issued token (DCP §4.3.3) and its membership with a presentation
//! that we fetch from its wallet (DCP §5). A membership that was proven is remembered until the earliest of
//! its end and the configured limit, so that a negotiation costs one exchange with the wallet and not one
//! per message. Its status is not remembered beyond `dcp.status_seconds`: the list is fetched again, and a
//! member that was revoked is refused at its next message. Where this node is the issuer, the store is
//! asked at every message.
//!
//! Threat model: forged, replayed, misdirected and expired tokens; presentations of others' credentials;
//! untrusted issuers; addresses inside credentials that lead into our network (only a trusted issuer's are
//! followed, by a client that refuses private addresses, redirects, long and slow answers); a status list
//! that cannot be had (the peer is refused, not waved through).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use tidm_crypto::jws;
use tidm_crypto::sign::VerifyingKey;
use tidm_space::fault::Fault;
use tidm_space::identity::credential::list::List;
use tidm_space::identity::credential::{Credential, MEMBERSHIP};
use tidm_space::identity::did::Did;
use tidm_space::identity::document::Relation;
use tidm_space::identity::member::Group;
pub use tidm_space::identity::presentation::remember::Ages;
use tidm_space::identity::presentation::remember::{self, Known};
use tidm_space::identity::presentation::scope::Scope;
use tidm_space::identity::presentation::verify::{self, Asked, Verified};
use tidm_space::identity::token;
use tidm_space::limits::DCP_TOKEN_LIFE;
use tidm_space::time::Time;
use tidm_space::wire::dcp::{jwt, query};
use tidm_space::wire::json;

use super::client::Client;
use super::directory::Directory;
use crate::app::App;
use crate::clock::Clock;
use crate::identity::Identity;
use crate::server::dcp::issuer::own_list;
use crate::store::writer::{Token, WorkError};

/// What could not be had is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// Peers, lists and schemas that are remembered; when full, all are forgotten and asked for again.
const MOST: usize = 10_000;
/// A schema never changes under its address; this is for those that do.
const SCHEMA: Duration = Duration::from_secs(3600);

/// A caller that proved its DID; its membership is another matter.
#[derive(Clone, Debug)]
pub struct Presenter {
    pub did: Did,
    pub key: VerifyingKey,
    pub token: Token,
    /// For its wallet.
    pub access: Option<String>,
}

/// Checks a self-issued token (DCP §4.3.3). Every failure reads the same to the caller.
pub async fn identify(
    authorization: Option<&str>,
    me: &Did,
    directory: &Directory,
    clock: &Clock,
) -> Result<Presenter, Fault> {
    let refused = |why: &str| Fault::denied("token.refused", "token", why);
    let bearer = authorization
        .and_then(|it| it.strip_prefix("Bearer ").or_else(|| it.strip_prefix("bearer ")))
        .ok_or_else(|| refused("no bearer token"))?;
    let parsed = jws::Unverified::parse(bearer.trim()).map_err(|_| refused("not a compact JWS"))?;
    let claims =
        token::parse(parsed.unproven_payload()).map_err(|_| refused("not a self-issued token"))?;
    // Before its document is fetched: whoever is not meant to talk to us makes us call nobody.
    let checked = token::check_within(&claims, me, clock.now(), DCP_TOKEN_LIFE)?;
    let kid = parsed.header.kid.as_deref();
    let key = directory.key_for(&checked.from, kid, Relation::Invocation).await?;
    parsed.verify(&key).map_err(|_| refused("its signature does not verify"))?;
    Ok(Presenter {
        did: checked.from.clone(),
        key,
        token: Token { issuer: checked.from, jti: checked.jti, until: checked.until },
        access: claims.token,
    })
}

/// What this node knows of others' credentials.
pub struct Claims {
    client: Client,
    directory: Arc<Directory>,
    clock: Clock,
    ages: Ages,
    /// Issuers of the configuration: their members need not name a space.
    issuers: BTreeSet<Did>,
    /// Issuers of spaces that we joined or run, and those spaces.
    spaces: RwLock<BTreeMap<String, Did>>,
    members: Mutex<HashMap<Did, Known>>,
    lists: Mutex<HashMap<String, (List, Time)>>,
    schemas: Mutex<HashMap<String, (Value, Time)>>,
    /// Exchanges under way, by peer.
    lanes: Mutex<HashMap<Did, Arc<tokio::sync::Mutex<()>>>>,
    exchanges: AtomicU64,
}

impl Claims {
    pub fn new(
        client: Client,
        directory: Arc<Directory>,
        clock: Clock,
        ages: Ages,
        issuers: BTreeSet<Did>,
    ) -> Self {
        Self {
            client,
            directory,
            clock,
            ages,
            issuers,
            spaces: RwLock::default(),
            members: Mutex::default(),
            lists: Mutex::default(),
            schemas: Mutex::default(),
            lanes: Mutex::default(),
            exchanges: AtomicU64::new(0),
        }
    }

    /// Takes a space whose members we believe. The first issuer of a space stays its issuer: nobody takes
    /// over a space by inviting us to one of the same name.
    pub fn know_space(&self, space: String, issuer: Did) {
        self.spaces.write().unwrap_or_else(PoisonError::into_inner).entry(space).or_insert(issuer);
    }

    /// Who issues the memberships of a space that we know.
    pub fn issuer_of(&self, space: &str) -> Option<Did> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner).get(space).cloned()
    }

    /// Whether credentials of this issuer mean anything here.
    pub fn trusts(&self, issuer: &Did) -> bool {
        let spaces = self.spaces.read().unwrap_or_else(PoisonError::into_inner);
        self.issuers.contains(issuer) || spaces.values().any(|it| it == issuer)
    }

    fn trusted(&self) -> BTreeSet<Did> {
        let spaces = self.spaces.read().unwrap_or_else(PoisonError::into_inner);
        self.issuers.iter().chain(spaces.values()).cloned().collect()
    }

    /// Whether `peer` is a member now: remembered, or shown by its wallet.
    pub async fn member(&self, app: &App, peer: &Did, access: Option<&str>) -> Result<(), Fault> {
        if self.remembered(app, peer).await? {
            return Ok(());
        }
        // One exchange per peer at a time: its next messages find the outcome. A lane of its own, so that a
        // stranger whose wallet hangs holds up nobody else.
        let lane = self.lane(peer);
        let _turn = lane.lock().await;
        if self.remembered(app, peer).await? {
            return Ok(());
        }
        let access = access.ok_or_else(|| {
            Fault::denied("member.unproven", "membership", "the token lets nobody see a membership")
        })?;
        let wanted = [Scope::kind(MEMBERSHIP)];
        let shown = self.present(app, &app.identity, peer, access, &wanted).await;
        let shown = shown.map_err(|error| match error {
            WorkError::Fault(fault) => fault,
            WorkError::Store(_) | WorkError::Stopping => unavailable("the store does not answer"),
        })?;
        let now = self.clock.now();
        let credential = {
            let spaces = self.spaces.read().unwrap_or_else(PoisonError::into_inner);
            remember::membership(&shown, &spaces, &self.issuers)?
        };
        self.entity(peer, &credential);
        put(&self.members, peer.clone(), Known::new(credential, self.ages, now));
        Ok(())
    }

    fn lane(&self, peer: &Did) -> Arc<tokio::sync::Mutex<()>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= MOST {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        lanes.entry(peer.clone()).or_default().clone()
    }

    /// Whether a remembered membership still holds; a revoked one is forgotten.
    async fn remembered(&self, app: &App, peer: &Did) -> Result<bool, Fault> {
        let known = get(&self.members, peer);
        let Some(known) = known.filter(|it| it.holds(self.clock.now())) else { return Ok(false) };
        for status in &known.credential.statuses {
            let list = self.list(app, &status.list, &known.credential.issuer).await?;
            let now = self.clock.now();
            if let Err(fault) = verify::in_force(status, &known.credential.issuer, &list, now) {
                tracing::info!(%peer, %fault, "a membership ended");
                self.forget(peer);
                return Ok(false);
            }
        }
        self.entity(peer, &known.credential);
        Ok(true)
    }

    /// Whose budgets its uses are charged to, by the word of the membership's issuer.
    fn entity(&self, peer: &Did, credential: &Credential) {
        if let Some(entity) = Group::by_credential(credential) {
            self.directory.belongs(peer, entity);
        }
    }

    /// The membership that a peer proved last, as long as it is believed.
    pub fn shown(&self, peer: &Did) -> Option<Credential> {
        let known = get(&self.members, peer).filter(|it| it.holds(self.clock.now()));
        known.map(|it| it.credential)
    }

    pub fn forget(&self, peer: &Did) {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).remove(peer);
    }

    /// How many wallets were asked since the start.
    pub fn exchanges(&self) -> u64 {
        self.exchanges.load(Ordering::Relaxed)
    }

    /// Asks the wallet of `holder` and proves what it shows to `me`.
    pub async fn present(
        &self,
        app: &App,
        me: &Identity,
        holder: &Did,
        access: &str,
        scopes: &[Scope],
    ) -> Result<Vec<Verified>, WorkError> {
        metrics::counter!("tidm_wallet_exchanges_total").increment(1);
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        let peer = self.directory.peer(holder).await?;
        let endpoint = peer.document.service("CredentialService")?;
        let bearer = format!("Bearer {}", me.token_with(holder, access, &self.clock));
        let body = query::write(scopes);
        let url = format!("{endpoint}/presentations/query");
        let answer = self
            .client
            .call(Method::POST, &url, Some(&bearer), Some(body))
            .await
            .map_err(|why| unavailable(&why.to_string()))?;
        if !answer.status.is_success() {
            let why = format!("the wallet of {holder} answers {}", answer.status);
            return Err(Fault::denied("presentation.refused", "presentation", why).into());
        }
        let texts = query::read_response(&answer.body)?;
        let trusted = self.trusted();
        let asked = Asked { holder, me: &me.did, scopes, trusted: &trusted };
        let opened = verify::open(&texts, &asked)?;
        let mut documents = BTreeMap::from([(holder.clone(), peer.document.clone())]);
        for (did, kid) in verify::signers(&opened) {
            // Only whom we asked and whom we trust: a presentation of others is refused below.
            if did == *holder || trusted.contains(&did) {
                // A key may have been rotated since we looked.
                let peer = self.directory.fresh_enough(&did, kid.as_deref()).await?;
                documents.insert(did, peer.document.clone());
            }
        }
        let proven = verify::prove(opened, &documents, &asked, self.clock.now())?;
        let mut lists = BTreeMap::new();
        for (address, issuer) in proven.lists() {
            let list = self.list(app, &address, &issuer).await?;
            lists.insert(address, list);
        }
        let mut schemas = BTreeMap::new();
        for address in proven.schemas() {
            let schema = self.schema(&address).await?;
            schemas.insert(address, schema);
        }
        Ok(proven.hold(&lists, &schemas, self.clock.now())?)
    }

    /// A status list, no older than the configuration allows; our own as it is at this moment.
    async fn list(&self, app: &App, address: &str, issuer: &Did) -> Result<List, Fault> {
        if let Some(me) = app.own(issuer) {
            return own_list(app, me, address).await.map_err(|error| match error {
                WorkError::Fault(fault) => fault,
                WorkError::Store(_) | WorkError::Stopping => {
                    unavailable("the store does not answer")
                }
            });
        }
        let now = self.clock.now();
        if let Some((list, fetched)) = get(&self.lists, &address.to_owned())
            && remember::list_holds(&list, fetched, self.ages.status, now)
        {
            return Ok(list);
        }
        let body = self.get(address).await?;
        let text = String::from_utf8(body).unwrap_or_default();
        let (token, list) = jwt::status_list(&text)?;
        if list.issuer != *issuer {
            return Err(Fault::denied("status.issuer", "presentation", "a list of another issuer"));
        }
        let kid = token.header.kid.as_deref();
        let key = self.directory.key_for(issuer, kid, Relation::Assertion).await?;
        token.verify(&key).map_err(|_| {
            Fault::denied("status.signature", "presentation", "the status list is not the issuer's")
        })?;
        put(&self.lists, address.to_owned(), (list.clone(), now));
        Ok(list)
    }

    async fn schema(&self, address: &str) -> Result<Value, Fault> {
        let now = self.clock.now();
        if let Some((schema, fetched)) = get(&self.schemas, &address.to_owned())
            && now.since(fetched) < SCHEMA
        {
            return Ok(schema);
        }
        let schema = json::parse(&self.get(address).await?)?;
        put(&self.schemas, address.to_owned(), (schema.clone(), now));
        Ok(schema)
    }

    async fn get(&self, address: &str) -> Result<Vec<u8>, Fault> {
        let answer = self.client.call(Method::GET, address, None, None).await;
        let answer = answer.map_err(|why| unavailable(&why.to_string()))?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(unavailable(&format!("{address} answers {}", answer.status)))
    }
}

fn unavailable(why: &str) -> Fault {
    Fault::Unavailable { reason: why.to_owned(), retry_after: AGAIN }
}

fn get<K: std::hash::Hash + Eq, V: Clone>(all: &Mutex<HashMap<K, V>>, key: &K) -> Option<V> {
    all.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
}

fn put<K: std::hash::Hash + Eq, V>(all: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= MOST {
        all.clear();
    }
    all.insert(key, value);
}
