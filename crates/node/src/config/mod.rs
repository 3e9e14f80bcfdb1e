//! What the operator decided: one file, the environment and flags, checked once at start.
//!
//! Precedence: flags over `TIDM_*` over `tidm.toml` over defaults. One table ([`key::KEYS`]) says which
//! keys exist; the file's template, the names of variables and the search for the nearest known key all
//! come from it. Raw text becomes [`raw::Raw`], then the checked types here; the rest of the node never
//! sees a raw value.
//!
//! Threat model: a mistyped or half-understood setting must not open the node. Unknown keys are errors,
//! plain HTTP stays on loopback, and a node that others can reach needs TLS here and an administrator
//! before it listens ([`Http::admit`]). A secret is never a value in the file, only the path of one; a
//! database URL may hold one and is redacted wherever it is shown.

mod attest;
mod check;
mod credit_code;
pub mod error;
pub mod key;
mod layers;
mod nearest;
mod objects;
pub mod raw;
mod section;
mod signaling;
mod tc609;
pub mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidm_crypto::suite::Suite;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::people::decide::Settings;
use tidm_space::people::oidc::Mapping;
use tidm_space::tc609::code::NodeCode;

pub use error::ConfigError;

use crate::attest::tpm::Place;
use crate::lang::Lang;
use crate::server::budget::Bounds;

/// The file's name inside the node's directory.
pub const FILE: &str = "tidm.toml";
/// A longer file is not a configuration.
pub const FILE_BYTES: u64 = 1 << 20;

/// Everything, checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub node: Node,
    pub http: Http,
    pub store: Store,
    pub objects: Objects,
    pub space: Space,
    pub evidence: Evidence,
    pub limits: Limits,
    pub peers: Peers,
    pub flight: Flight,
    pub sealed: Sealed,
    pub signaling: Signaling,
    pub tc609: Tc609,
    pub dcp: Dcp,
    pub identity: Mode,
    /// What we show to servers that ask for it: chain and key. Only with a space of the mode `mtls`.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    pub attest: Attest,
    pub people: People,
    pub test_profile: TestProfile,
}

/// Who runs this node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The organisation's name as people know it.
    pub org: String,
    /// 统一社会信用代码, check digit verified.
    pub credit_code: Option<String>,
    pub did: Did,
    pub roles: BTreeSet<Role>,
    /// Absolute or relative to the working directory; holds everything local.
    pub data: PathBuf,
    /// Language of texts when the reader states none.
    pub lang: Lang,
}

/// The white paper's five roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Provider,
    Consumer,
    Custodian,
    Intermediary,
    Infrastructure,
}

impl Role {
    pub const ALL: [Self; 5] =
        [Self::Provider, Self::Consumer, Self::Custodian, Self::Intermediary, Self::Infrastructure];

    pub fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Consumer => "consumer",
            Self::Custodian => "custodian",
            Self::Intermediary => "intermediary",
            Self::Infrastructure => "infrastructure",
        }
    }
}

/// Where the node listens, and how others reach it.
#[derive(Clone, Debug)]
pub struct Http {
    pub listen: SocketAddr,
    /// Without a trailing slash.
    pub public_url: String,
    pub security: Security,
}

/// How connections to us are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// `ca` is what we trust beside the public roots when we call others.
    Tls { cert: PathBuf, key: PathBuf, ca: Option<PathBuf> },
    /// Loopback only; checked at load.
    Plain,
}

impl Http {
    /// The rule that needs the store: whoever can be reached from outside has an administrator first.
    /// Call before listening; `listen` without TLS was refused at load already.
    pub fn admit(&self, has_administrator: bool) -> Result<(), ConfigError> {
        if has_administrator || self.listen.ip().is_loopback() {
            return Ok(());
        }
        Err(ConfigError::no_administrator(self.listen))
    }
}

/// Where state is kept. Debug hides a password.
#[derive(Clone)]
pub enum Store {
    Sqlite(PathBuf),
    /// `postgres://user:password@host/database`.
    Postgres(String),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(url) => f.debug_tuple("Postgres").field(&error::redact(url)).finish(),
        }
    }
}

/// Where large bytes are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objects {
    Local { dir: PathBuf },
    S3(S3),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    pub bucket: String,
    pub endpoint: String,
    pub region: String,
    pub key_id: String,
    pub secret_file: PathBuf,
    /// Consumers fetch plain bytes from the bucket itself, under addresses that live this long.
    pub signed_addresses: Option<Duration>,
}

/// The space this node belongs to.
#[derive(Clone, Debug)]
pub struct Space {
    pub members: Option<Members>,
    /// Whose signature the member list carries.
    pub operator: Option<Did>,
    /// Who keeps our sealed objects; ourselves where absent.
    pub infrastructure: Option<Did>,
    /// House D14: an agreement without a signature ends the negotiation.
    pub signatures: bool,
    /// Metered time that a key was out for comes back for a signed return.
    pub refunds: bool,
    /// Further spaces of this node.
    pub also: Vec<Also>,
}

/// A further space, whose members prove who they are in its own way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Also {
    pub mode: Mode,
    pub members: Option<Members>,
    pub operator: Did,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    File(PathBuf),
    Url(String),
}

/// The evidence log and who watches it.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// First line of every checkpoint: a name without scheme (C2SP tlog-checkpoint).
    pub origin: String,
    pub custodians: Vec<Custodian>,
    /// Cosignatures a checkpoint needs before it is published; at most `custodians.len()`.
    pub quorum: usize,
    pub interval: Duration,
    /// Custodian: verifier keys of the logs that we witness.
    pub watched: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custodian {
    pub url: String,
    /// C2SP verifier key of type 0x04; parsed by `tidm_ledger::note` at start.
    pub vkey: String,
}

/// Bounds an operator may move.
#[derive(Clone, Debug)]
pub struct Limits {
    pub excel_bytes: u64,
    pub query_deadline: Duration,
    pub worker_memory_bytes: u64,
    /// What the processes of one matching may take here together.
    pub matching_memory_bytes: u64,
    pub workers: usize,
    pub upload_bytes: u64,
    /// What deliveries of one contract may take together.
    pub delivery: Bounds,
    /// A receiver that takes nothing for this long is cut off.
    pub stalled: Duration,
}

/// How we call others.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Whether addresses of peers may resolve to loopback or private networks.
    pub allow_private_addresses: bool,
    pub timeout: Duration,
}

/// How this node seals files.
#[derive(Clone, Copy, Debug)]
pub struct Sealed {
    pub suite: Suite,
}

/// Arrow Flight SQL for what contracts let others query here.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    pub enabled: bool,
}

/// Planes of other programs (Data Plane Signaling).
#[derive(Clone, Debug)]
pub struct Signaling {
    pub enabled: bool,
    /// Transfer profiles that our data plane runs: the published HTTP profile's, and further names for the same.
    pub profiles: Vec<String>,
    /// Those of them whose flows are got ready after the answer.
    pub background: Vec<String>,
    /// Where a data set is pulled from when nobody says.
    pub sources: BTreeMap<Id, String>,
    /// Planes may be registered without secrets.
    pub trust_network: bool,
}

/// Digital contracts and usage control in the words of TC609.
#[derive(Clone, Debug)]
pub struct Tc609 {
    pub enabled: bool,
    /// Ours.
    pub connector: Option<NodeCode>,
    /// Under whose code contracts get theirs.
    pub platform: Option<NodeCode>,
    /// Where the platform's interfaces are, for proofs of fulfilment.
    pub platform_url: Option<String>,
    /// Connectors of other participants.
    pub partners: Vec<(NodeCode, Did)>,
    /// Who may call, for this node's own organisation, and whose keys sign for them.
    pub callers: Vec<(NodeCode, Did)>,
}

/// Who makes evidence of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attest {
    None,
    /// Linux' configfs-tsm, shown there.
    Tsm {
        root: PathBuf,
    },
    /// A TPM 2.0: where, by which persistent key, over which PCRs (PCR 0 is the lowest bit of the first byte).
    Tpm {
        place: Place,
        key: u32,
        pcrs: [u8; 3],
    },
}

/// Credentials and wallets.
#[derive(Clone, Debug)]
pub struct Dcp {
    /// Trusted besides the space's operator.
    pub issuers: BTreeSet<Did>,
    /// How long a proven membership is remembered.
    pub membership_age: Duration,
    /// Oldest status list that is used.
    pub status_age: Duration,
}

/// `identity.mode`: how peers prove who they are. [`crate::net::auth`] does what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Self-issued tokens of `did:web` identities.
    Did,
    /// Those, and a membership credential that the peer's wallet shows (DCP 1.0).
    Dcp,
    /// The certificate of the connection's client (RFC 8446 §4.3.2).
    Mtls(Authorities),
    /// Besides, connectors under test: plain claims where `claims`, fixed tokens from a file.
    Development { claims: bool, tokens: Option<PathBuf> },
}

/// Who vouches for the members of a space whose mode is `mtls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    pub ca: PathBuf,
    pub crls: Vec<PathBuf>,
    /// Whose certificate is whose, where it does not say so itself.
    pub names: Option<PathBuf>,
}

/// People of this node, as the operator decided.
#[derive(Clone, Debug)]
pub struct People {
    pub settings: Settings,
    /// A session ends after this long, and sooner when nobody uses it.
    pub session: Duration,
    pub idle: Duration,
    pub oidc: Option<Oidc>,
}

/// Where people sign in besides.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// As the provider writes it.
    pub issuer: String,
    pub client: String,
    pub secret_file: Option<PathBuf>,
    pub roles: Vec<Mapping>,
}

/// What makes a node one for test kits. Refused at start until [`TestProfile::allow`] was called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestProfile {
    file: Option<PathBuf>,
    /// A kit's messages about transfers name other pids than their path.
    pids_by_path: bool,
    identities: Vec<String>,
    secret_file: Option<PathBuf>,
    allowed: bool,
}

impl TestProfile {
    /// The operator says so on the command line, at each start.
    pub fn allow(&mut self) {
        self.allowed = true;
    }

    /// Whether a message is about the transfer in its path whatever pids it names. Never without a profile.
    pub fn believes_paths(&self) -> bool {
        self.allowed && self.file.is_some() && self.pids_by_path
    }

    /// The profile to be loaded.
    pub fn admit(&self) -> Result<Option<&Path>, ConfigError> {
        match &self.file {
            Some(path) if !self.allowed => Err(ConfigError::no_test_profile(path)),
            file => Ok(file.as_deref()),
        }
    }

    /// Names of further identities, each on the path of its name, and the secret of their token service.
    pub fn identities(&self) -> Result<(&[String], Option<&Path>), ConfigError> {
        match &self.secret_file {
            Some(path) if !self.allowed => Err(ConfigError::no_test_profile(path)),
            _ if !self.allowed && !self.identities.is_empty() => {
                Err(ConfigError::no_test_profile(Path::new(&self.identities.join(","))))
            }
            secret => Ok((&self.identities, secret.as_deref())),
        }
    }
}

impl Config {
    /// The spaces of this node, the one of `[space]` first: their member lists, operators and modes.
    pub fn spaces(&self) -> impl Iterator<Item = (Option<&Members>, Option<&Did>, &Mode)> {
        let first = (self.space.members.as_ref(), self.space.operator.as_ref(), &self.identity);
        let also = self.space.also.iter();
        std::iter::once(first)
            .chain(also.map(|it| (it.members.as_ref(), Some(&it.operator), &it.mode)))
    }

    /// Reads `dir/tidm.toml` when it exists, lays environment and flags over it and checks the whole.
    ///
    /// `env` is all variables of the process (others are skipped); `flags` are `(section.key, value)`.
    pub fn load(
        dir: &Path,
        env: impl IntoIterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        let path = dir.join(FILE);
        let text = match std::fs::metadata(&path) {
            Ok(found) if found.len() > FILE_BYTES => {
                return Err(ConfigError::unreadable(&path, "it is larger than 1 MiB"));
            }
            Ok(_) => std::fs::read_to_string(&path)
                .map_err(|e| ConfigError::unreadable(&path, &e.to_string()))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let env = env.into_iter().collect();
                // A container may set everything by variables; no setting at all is a mistake.
                if layers::gather("", &env, flags)?.0.is_empty() {
                    return Err(ConfigError::no_node(dir));
                }
                return Self::parse(dir, "", &env, flags);
            }
            Err(e) => return Err(ConfigError::unreadable(&path, &e.to_string())),
        };
        Self::parse(dir, &text, &env.into_iter().collect(), flags)
    }

    /// [`Config::load`] without IO.
    pub fn parse(
        dir: &Path,
        text: &str,
        env: &BTreeMap<String, String>,
        flags: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        let (table, from) = layers::gather(text, env, flags)?;
        let raw = raw::Raw::of(table, &from)?;
        check::check(dir, raw, &from)
    }
}

#[cfg(test)]
mod tests;
