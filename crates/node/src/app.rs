//! Everything a running node holds, in one place, shared by its handlers, loops and jobs.
//!
//! Never a global: who needs the node gets an `Arc<App>`.

use std::sync::Arc;

use tokio::sync::{Notify, Semaphore, watch};

use tidm_crypto::secret::Secret;
use tidm_space::identity::did::Did;

use crate::attest::Attest;
use crate::clock::Clock;
use crate::config::Config;
use crate::hold::Hold;
use crate::identity::Identity;
use crate::jobs::crawl::Crawler;
use crate::jobs::matching::process::Program;
use crate::jobs::matching::registry::Matchings;
use crate::jobs::matching::table::compared::Compared;
use crate::jobs::runs::Runs;
use crate::jobs::workers::Workers;
use crate::keys::Keys;
use crate::net::auth::Gate;
use crate::net::claims::Claims;
use crate::net::client::Client;
use crate::net::directory::Directory;
use crate::net::renewal::Tls;
use crate::objects::Objects;
use crate::search::Search;
use crate::server::budget::Budgets;
use crate::store::Store;
use crate::store::writer::Writer;
use crate::telemetry::Metrics;

pub struct App {
    pub config: Config,
    pub clock: Clock,
    pub identity: Identity,
    pub keys: Arc<dyn Keys>,
    pub store: Store,
    pub writer: Writer,
    pub objects: Objects,
    pub client: Client,
    pub directory: Arc<Directory>,
    /// What peers proved by credentials.
    pub claims: Claims,
    /// Further identities of the test profile; none on other nodes.
    pub actors: Vec<Identity>,
    /// What clients of the test profile's token service know.
    pub sts_secret: Option<Secret<String>>,
    /// Rung when our issuer owes a wallet something.
    pub issue_bell: Notify,
    pub metrics: Metrics,
    /// Rung when facts became durable: the sequencer moves them into the log.
    pub log_bell: Notify,
    pub log: crate::log::Log,
    /// Uses of data run in these.
    pub workers: Workers,
    /// Lists are matched in these.
    pub compute: Program,
    /// Matchings whose process runs here now.
    pub matchings: Arc<Matchings>,
    /// Kept tables that were compared with their digests.
    pub compared: Compared,
    /// What deliveries of each contract may take.
    pub budgets: Arc<Budgets>,
    /// Deliveries that a job or a request of this process moves.
    pub runs: Arc<Runs>,
    /// Nobody else writes in `node.data` while this lives.
    #[expect(dead_code, reason = "held, never read")]
    pub(crate) hold: Hold,
    /// How peers prove who they are.
    pub gate: Gate,
    /// What we demand of evidence, and open challenges.
    pub attest: Attest,
    /// How we speak TLS, where we do.
    pub tls: Option<Tls>,
    /// What is known of the identity provider of our people.
    pub oidc: crate::people::oidc::Desk,
    /// Entries on their way into the log of what people did.
    pub diary: crate::people::diary::Diary,
    pub crawler: Crawler,
    pub search: Search,
    /// Rung when what is known of others' offers changed.
    pub changed: watch::Sender<()>,
    /// Becomes true when the node stops, for answers that would not end by themselves.
    pub stopping: watch::Sender<bool>,
    /// One place for each caller that is told of changes as they come.
    pub listeners: Arc<Semaphore>,
}

impl App {
    /// The identity of ours with this DID.
    pub fn own(&self, did: &Did) -> Option<&Identity> {
        std::iter::once(&self.identity).chain(&self.actors).find(|it| it.did == *did)
    }
}
