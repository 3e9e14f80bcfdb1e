//! One simulated node: identity, store, keys, log, and what a process of it holds in memory.
//!
//! Never decides: what follows from an input is `tidm_space::engine::decide`'s business.

use std::collections::{BTreeMap, BTreeSet};

use tidm_crypto::error::BadKey;
use tidm_crypto::hash::Digest;
use tidm_crypto::sign::{KeyKind, SigningKey, VerifyingKey};
use tidm_space::engine::commit::Send;
use tidm_space::engine::node::{Groups, Node, Signer};
use tidm_space::id::{Id, Ids};
use tidm_space::identity::did::Did;
use tidm_space::identity::document::{Document, Method};
use tidm_space::identity::member::Group;
use tidm_space::lease::charge::Refunds;
use tidm_space::lease::message::Request;
use tidm_space::time::Time;

use crate::clock::Clock;
use crate::evidence::Evidence;
use crate::flows::Run;
use crate::issuer::WALLET;
use crate::keys::Keys;
use crate::members::Claims;
use crate::store::Store;

/// When a node that is to crash does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// Between two writes of the next commit: none of them stands.
    InCommit,
    /// After the next commit, before anything is answered or sent.
    AfterCommit,
    /// After a message was delivered, before its outcome is recorded.
    AfterDelivery,
}

/// An HTTP call under way, as its caller remembers it. Lost in a crash.
#[derive(Clone, Debug)]
pub enum Call {
    Outbox(Box<Send>),
    Lease {
        request: Box<Request>,
        tries: u32,
    },
    Query {
        lease: Id,
    },
    Renew {
        lease: Id,
        number: u32,
    },
    /// A data plane moves a flow's bytes, or renews the token for them.
    Flow(Run),
    /// A holder asked its issuer; `pid` is the holder's.
    Join {
        pid: String,
    },
    /// An issuer tells a wallet what it decided.
    Tell {
        issuance: String,
    },
    /// A traitor does not care for answers.
    Stray,
}

/// What an operator put aside.
#[derive(Clone, Debug)]
pub struct Backup {
    pub store: Store,
    pub keys: Keys,
    /// Whether it was set back before this copy was made.
    pub restored: bool,
}

#[derive(Debug)]
pub struct SimNode {
    pub did: Did,
    /// Scheme and host of all its doors.
    pub base: String,
    /// Its DSP base.
    pub address: String,
    /// A data plane: the node whose control plane it works for.
    pub of: Option<usize>,
    /// A data plane: gets ready after answering, and reports by a callback.
    pub background: bool,
    signer: KeyOf,
    pub public: VerifyingKey,
    pub demands_signatures: bool,
    pub clock: Clock,
    pub store: Store,
    pub keys: Keys,
    /// Consumer: copies by contract, with their digest.
    pub copies: BTreeMap<Id, Digest>,
    pub log: Evidence,
    pub up: bool,
    /// Counts the processes that this node was; what an earlier one waited for is gone.
    pub epoch: u64,
    pub crash: Option<CrashPoint>,
    pub calls: BTreeMap<u64, Call>,
    /// What this process remembers of others' credentials.
    pub claims: Claims,
    /// Requests whose wallets are being told, and when it looks again.
    pub telling: BTreeSet<String>,
    pub tell_at: Option<i64>,
    pub look_at: Option<i64>,
    pub backup: Option<Backup>,
    /// Its store was set back: it may differ from its peers, but never at their cost.
    pub restored: bool,
    pub ids: SimIds,
}

#[derive(Debug)]
struct KeyOf {
    kid: String,
    key: SigningKey,
}

impl Signer for KeyOf {
    fn sign(&self, typ: &str, payload: &[u8]) -> String {
        tidm_crypto::jws::sign(&self.kid, typ, payload, &self.key)
    }
}

/// Ids that count; never repeated, not even by a node that was set back.
#[derive(Clone, Debug)]
pub struct SimIds {
    node: usize,
    next: u64,
}

impl Ids for SimIds {
    fn fresh(&mut self) -> Id {
        self.next += 1;
        let text = format!("urn:sim:{}:{}", self.node, self.next);
        // Letters, digits and colons: always an id.
        Id::parse(&text).unwrap_or_else(|_| Id::from(uuid::Uuid::nil()))
    }
}

/// Why a node cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BadNode {
    #[error(transparent)]
    Did(#[from] tidm_space::identity::did::BadDid),
    #[error(transparent)]
    Key(#[from] BadKey),
    #[error(transparent)]
    Note(#[from] tidm_ledger::note::NoteError),
}

/// Every other participant is an account of one legal entity.
pub struct Entities;

impl Groups for Entities {
    fn of(&self, participant: &Did) -> Option<Group> {
        let number: usize = participant
            .as_str()
            .strip_prefix("did:web:n")?
            .strip_suffix(".example")?
            .parse()
            .ok()?;
        let entity = number.is_multiple_of(2).then_some("credit-code:91350100M000100Y43");
        entity.and_then(Group::parse)
    }

    /// It is known from the beginning of a world, so that nothing is on record for an account.
    fn accounts(&self, _: &Group) -> Vec<Did> {
        Vec::new()
    }
}

impl SimNode {
    pub fn new(index: usize, demands_signatures: bool, witnessed: bool) -> Result<Self, BadNode> {
        let name = format!("n{index}.example");
        let base = format!("https://{name}");
        let did = Did::web(&name, None)?;
        let mut seed = [7; 32];
        seed[0] = u8::try_from(index).unwrap_or(u8::MAX);
        // Ed25519 is the cheapest signature; which one it is changes nothing here.
        let key = SigningKey::from_secret_bytes(KeyKind::Ed25519, &seed)?;
        Ok(Self {
            address: format!("{base}/dsp"),
            base,
            of: None,
            background: false,
            public: key.verifying_key(),
            signer: KeyOf { kid: format!("{did}#key-1"), key },
            did,
            demands_signatures,
            clock: Clock::default(),
            store: Store::default(),
            keys: Keys::default(),
            copies: BTreeMap::new(),
            log: Evidence::new(&name, seed, witnessed)?,
            up: true,
            epoch: 0,
            crash: None,
            calls: BTreeMap::new(),
            claims: Claims::default(),
            telling: BTreeSet::new(),
            tell_at: None,
            look_at: None,
            backup: None,
            restored: false,
            ids: SimIds { node: index, next: 0 },
        })
    }

    /// What a process held in memory is gone.
    pub fn forget(&mut self) {
        self.epoch += 1;
        self.calls.clear();
        self.claims = Claims::default();
        self.telling.clear();
        self.tell_at = None;
        self.log.forget();
    }

    /// Its DID document: one key for everything.
    pub fn document(&self) -> Document {
        let method = Method {
            id: format!("{}#key-1", self.did),
            key: self.public.clone(),
            authentication: true,
            assertion: true,
            invocation: true,
        };
        let wallet = ("CredentialService".to_owned(), format!("{}{WALLET}", self.base));
        Document {
            did: self.did.clone(),
            methods: vec![method],
            services: vec![wallet],
            unknown_methods: 0,
        }
    }

    pub fn as_engine(&self) -> Node<'_> {
        Node {
            me: &self.did,
            address: &self.address,
            signer: &self.signer,
            groups: &Entities,
            demands_signatures: self.demands_signatures,
            attests: false,
            refunds: Refunds::default(),
        }
    }

    pub fn sign(&self, typ: &str, payload: &[u8]) -> String {
        self.signer.sign(typ, payload)
    }

    pub fn now(&self, world_ms: i64) -> Time {
        self.clock.read(world_ms)
    }
}
