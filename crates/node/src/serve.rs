//! Starting and stopping a node: open everything in order, listen, and end without losing what is under way.
//!
//! Never listens before the start rules hold: keys readable, store migrated, evidence log not behind.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::app::App;
use crate::attest::Attest;
use crate::attest::maker::Maker;
use crate::clock::Clock;
use crate::config::{Config, Members, Role, Security, Store as StoreConfig};
use crate::evidence::tiles::Tiles;
use crate::evidence::tiles::directory::Directory as TileDirectory;
use crate::evidence::tiles::objects::ObjectTiles;
use crate::evidence::witness::Witness;
use crate::jobs::matching::process::{COMPUTE, Program};
use crate::jobs::workers::Workers;
use crate::keys::Keys;
use crate::log::{self, Log, Parts};
use crate::net::auth::Gate;
use crate::net::certificates::Chain;
use crate::net::client::{Client, Reach};
use crate::net::directory::Directory;
use crate::net::dispatch;
use crate::net::renewal::{self, Tls};
use crate::objects::Objects;
use crate::search::{self, Search};
use crate::server::beginning::Beginning;
use crate::store::Store;
use crate::store::writer::{After, Self_, Writer};
use crate::telemetry::Metrics;
use crate::test_profile::TestProfile;
use crate::{api, credentials, hold, init, jobs, people, server, test_profile, tls};
use tidm_sandbox::host::Worker;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::charge::Refunds;
use tidm_space::wire;
use tidm_space::wire::dsp::catalog::DataService;
use tidm_space::wire::tidm::members;

/// Open connections at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 4096;
/// Milliseconds after which a client that acknowledges nothing of what was sent is cut off.
const STALLED: u32 = 120_000;
/// Headers fit into a few packets: a client on the worst of links sends them within this.
const HEADERS: Duration = Duration::from_secs(10);
/// Two round trips and a signature.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Calls at a time on one connection of HTTP/2: a tool asks a handful.
const STREAMS: u32 = 64;
/// Headers of one call over HTTP/2: tokens, purpose and language take a few kilobytes.
const HEADER_BYTES: u32 = 16 << 10;
/// A connection of HTTP/2 that is silent for so long is asked, and cut where no answer comes for as long again.
const PING: Duration = Duration::from_secs(30);
/// How long requests under way may take when the node stops.
const GRACE: Duration = Duration::from_secs(10);
/// The member list is read again this often.
const MEMBERS: Duration = Duration::from_secs(10);
/// As long as there is none, this often.
const FIRST_MEMBERS: Duration = Duration::from_secs(1);

/// A node that is built but does not listen yet.
pub struct Node {
    pub app: Arc<App>,
    after: mpsc::UnboundedReceiver<After>,
    writers: JoinSet<()>,
    test_profile: Option<Arc<TestProfile>>,
}

/// Opens everything; `metrics` is installed once per process. Uses run in this very program's hidden command.
pub async fn build(config: Config, keys: Arc<dyn Keys>, metrics: Metrics) -> anyhow::Result<Node> {
    let worker = Worker::current().context("the running program cannot be found")?;
    build_with(config, keys, metrics, worker).await
}

/// As [`build`], with uses in workers of another program.
pub async fn build_with(
    config: Config,
    keys: Arc<dyn Keys>,
    metrics: Metrics,
    worker: Worker,
) -> anyhow::Result<Node> {
    let profile = config.test_profile.admit()?.map(std::path::Path::to_owned);
    let gate = Gate::open(&config)?;
    let tls = Tls::open(&config, &gate)?;
    let hold = hold::take(&config.node.data).await?;
    jobs::spool::sweep(&config.node.data)?;
    let store_url = match &config.store {
        StoreConfig::Sqlite(path) => format!("sqlite:{}", path.display()),
        StoreConfig::Postgres(url) => url.clone(),
    };
    let store = Store::open(&store_url).await.context("the store cannot be opened")?;
    people::admit(&store, &config).await?;
    let clock = Clock::starting_at(store.latest_fact().await?);
    let identity = credentials::identity(&config, &keys);
    let (client, directory) = reach(&config, tls.as_ref(), &clock)?;
    let claims = credentials::claims(&config, &store, (&client, &directory), &clock).await?;
    let (actors, sts_secret) = credentials::test_identities(&config, &keys)?;
    for it in std::iter::once(&identity).chain(&actors) {
        directory.set_own(wire::did::read(&it.did, &it.document())?);
    }
    let objects = Objects::open(&config.objects)?;
    let (tell, after) = mpsc::unbounded_channel();
    let mut writers = JoinSet::new();
    let attest = Attest::open(&config.node.data, Maker::of(&config.attest))?;
    let myself = Arc::new(Self_ {
        me: config.node.did.clone(),
        address: identity.dsp_base(),
        signer: Arc::new(identity.clone()),
        groups: directory.clone(),
        demands_signatures: config.space.signatures,
        attests: attest.is_configured(),
        refunds: if config.space.refunds { Refunds::Signed } else { Refunds::Never },
        service: DataService {
            id: Id::parse(&format!("{}#dsp", config.node.did))?,
            endpoint: identity.dsp_base(),
            flight: config.flight.enabled,
        },
    });
    let writer = Writer::start(&store, myself, clock.clone(), tell, &mut writers).await?;
    let log = open_log(&config, keys.as_ref(), &objects)?;
    let compute = Program { path: worker.program().to_owned(), arguments: vec![COMPUTE.into()] };
    let workers = Workers::new(worker, &config.limits);
    let search = Search::new(config.node.data.join("search"));
    let app = Arc::new(App {
        config,
        clock,
        identity,
        keys,
        store,
        writer,
        objects,
        client,
        directory,
        claims,
        actors,
        sts_secret,
        issue_bell: tokio::sync::Notify::new(),
        metrics,
        log_bell: tokio::sync::Notify::new(),
        log,
        workers,
        compute,
        matchings: Arc::default(),
        compared: Default::default(),
        budgets: Arc::default(),
        runs: Arc::default(),
        hold,
        gate,
        attest,
        tls,
        oidc: Default::default(),
        diary: Default::default(),
        crawler: Default::default(),
        search,
        changed: Default::default(),
        stopping: Default::default(),
        listeners: Arc::new(tokio::sync::Semaphore::new(api::LISTENERS)),
    });
    if let Some(banner) = app.gate.banner() {
        tracing::warn!("{banner}");
    }
    // An operator that is not up yet holds nobody up: until its list is read, nobody is a member.
    if let Err(error) = read_members(&app).await {
        tracing::warn!(%error, "no member list yet: every peer is refused until there is one");
    }
    app.log.check(&app).await?;
    let test_profile = match profile {
        Some(path) => Some(seed(&app, &path).await?),
        None => None,
    };
    Ok(Node { app, after, writers, test_profile })
}

async fn seed(app: &Arc<App>, path: &std::path::Path) -> anyhow::Result<Arc<TestProfile>> {
    tracing::warn!(
        "TEST PROFILE {}: seeded datasets and contracts, triggers for anybody on this machine / 测试配置已启用",
        path.display()
    );
    let profile = TestProfile::read(path, app)?;
    profile.seed(app).await?;
    Ok(Arc::new(profile))
}

/// How we call others, and what we know of them.
fn reach(
    config: &Config,
    tls: Option<&Tls>,
    clock: &Clock,
) -> anyhow::Result<(Client, Arc<Directory>)> {
    let plain = config.http.security == Security::Plain;
    let calling = match tls {
        Some(tls) => tls.calling()?,
        None => tls::client(tls::public_roots(), None)?,
    };
    let reach =
        Reach { insecure_http: plain, private_addresses: config.peers.allow_private_addresses };
    let client = Client::new(calling, reach)?;
    let directory = Arc::new(Directory::new(client.clone(), clock.clone(), plain));
    Ok((client, directory))
}

fn open_log(config: &Config, keys: &dyn Keys, objects: &Objects) -> anyhow::Result<Log> {
    let tiles: Arc<dyn Tiles> = match config.store {
        StoreConfig::Sqlite(_) => Arc::new(TileDirectory::open(&config.node.data.join("log"))?),
        // Replicas share one log: whichever is sequencer writes where all of them read.
        StoreConfig::Postgres(_) => {
            Arc::new(ObjectTiles::new(objects.clone(), "log", tokio::runtime::Handle::current()))
        }
    };
    let mut watched = Vec::new();
    for vkey in &config.evidence.watched {
        let key = log::parse_vkey(vkey).with_context(|| format!("evidence.watched: {vkey:?}"))?;
        watched.push(key);
    }
    let witness = if config.node.roles.contains(&Role::Custodian) {
        let signer = init::witness_signer(config, keys)?;
        Some(Witness::open(&config.node.data.join("witness"), signer, watched)?)
    } else {
        None
    };
    Ok(Log::new(Parts {
        origin: config.evidence.origin.clone(),
        tiles,
        custodians: config
            .evidence
            .custodians
            .iter()
            .map(|it| (it.url.clone(), it.vkey.clone()))
            .collect(),
        quorum: config.evidence.quorum,
        interval: config.evidence.interval,
        witness,
    })?)
}

/// Reads the signed member lists of the spaces that have one. What can be read is taken, whatever becomes of others.
pub async fn read_members(app: &App) -> anyhow::Result<()> {
    let mut trouble = Ok(());
    for (at, (list, operator, _)) in app.config.spaces().enumerate() {
        let Some(list) = list else { continue };
        let read = read_members_of(app, at, list, operator).await;
        trouble = trouble.and(read);
    }
    trouble
}

async fn read_members_of(
    app: &App,
    at: usize,
    list: &Members,
    operator: Option<&Did>,
) -> anyhow::Result<()> {
    let text = match list {
        Members::File(path) => match tokio::fs::read_to_string(path).await {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(error).with_context(|| format!("the member list {}", path.display()));
            }
        },
        Members::Url(url) => {
            let answer = app.client.call(reqwest::Method::GET, url, None, None).await?;
            anyhow::ensure!(
                answer.status.is_success(),
                "the member list {url} answers {}",
                answer.status
            );
            String::from_utf8(answer.body).context("the member list is no text")?
        }
    };
    let operator = operator.context("space.operator is not set")?;
    let jws = text.trim();
    let parsed = tidm_crypto::jws::Unverified::parse_within(jws, tidm_space::limits::MESSAGE_BYTES)
        .map_err(|_| anyhow::anyhow!("the member list is not a signed document"))?;
    let key = if *operator == app.identity.did {
        app.identity.verifying_key()
    } else {
        app.directory.key(operator, parsed.header.kid.as_deref()).await?
    };
    let list = members::open(jws, |_| Some(key.clone()))?;
    let seen = app.directory.members_of(at).map(|it| it.version);
    list.check(&list.space, operator, app.clock.now(), seen)?;
    app.directory.set_members_of(at, list);
    Ok(())
}

impl Node {
    /// Listens and works until `stop` becomes true, then lets what is under way finish.
    pub async fn run(
        self,
        listener: TcpListener,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let Self { app, after, mut writers, test_profile } = self;
        let mut tasks = JoinSet::new();
        tasks.spawn(dispatch::run(app.clone(), after));
        if let Err(error) = jobs::matching::resume(&app).await {
            tracing::warn!(%error, "matchings that were open are not gone on with");
        }
        let logging = tokio::spawn(log::run(app.clone(), stop.clone()));
        tasks.spawn(watch_members(app.clone()));
        let store = app.store.clone();
        tasks.spawn(async move { store.write_back().await });
        tasks.spawn(renewal::run(app.clone()));
        tasks.spawn(jobs::issue::run(app.clone()));
        tasks.spawn(jobs::uploads::run(app.clone()));
        tasks.spawn(people::diary::run(app.clone()));
        if app.config.tc609.enabled {
            tasks.spawn(jobs::proofs::run(app.clone()));
        }
        let roles = &app.config.node.roles;
        if roles.contains(&Role::Consumer) || roles.contains(&Role::Intermediary) {
            tasks.spawn(jobs::crawl::run(app.clone()));
            tasks.spawn(search::run(app.clone()));
            tasks.spawn(jobs::notify::run(app.clone()));
        }
        if roles.contains(&Role::Custodian) {
            tasks.spawn(jobs::evidence::run_mirror(app.clone()));
        }
        let mut routes = router(&app);
        if let Some(profile) = test_profile {
            routes = routes.merge(test_profile::routes(profile).with_state(app.clone()));
        }
        let routes = routes.layer(axum::middleware::map_request(server::pace::paced));
        accept(routes, listener, &app, stop).await;
        if let Err(error) = logging.await {
            tracing::warn!(%error, "the evidence log's loop ended badly");
        }
        tasks.shutdown().await;
        if let Err(problem) = people::diary::settle(&app, app.clock.now(), true).await {
            tracing::warn!(code = problem.code, "numbers of refusals are lost");
        }
        drop(app);
        writers.shutdown().await;
        Ok(())
    }
}

async fn watch_members(app: Arc<App>) {
    loop {
        let mut lists = app.config.spaces().enumerate().filter(|(_, (list, ..))| list.is_some());
        let all = lists.all(|(at, _)| app.directory.members_of(at).is_some());
        let pause = if all { MEMBERS } else { FIRST_MEMBERS };
        tokio::time::sleep(pause).await;
        if let Err(error) = read_members(&app).await {
            tracing::warn!(%error, "the member list could not be read; the last good one stands");
        }
    }
}

/// All routes.
pub fn router(app: &Arc<App>) -> Router {
    let dsp = server::dsp::routes()
        .merge(server::catalog::routes())
        .merge(server::profile::routes())
        .merge(server::shares::routes())
        .merge(server::psi::routes())
        .merge(server::changes::routes())
        .merge(server::objects::routes());
    Router::new()
        .nest(crate::identity::DSP_PATH, dsp)
        .merge(server::dcp::routes(app.identity.clone()))
        .merge(server::dcp::testing::routes(app))
        .merge(server::public::routes())
        .merge(server::data::routes())
        .merge(server::arrivals::routes())
        .merge(server::log::routes())
        .merge(server::signaling::routes(app))
        .merge(server::tc609::routes(app))
        .merge(server::flight::routes(app))
        .merge(server::kas::routes())
        .nest("/api", api::routes(app))
        .with_state(app.clone())
}

type Http = hyper_util::server::conn::auto::Builder<TokioExecutor>;

/// How HTTP/1.1 and HTTP/2 are spoken; each connection settles on one.
fn protocols() -> Http {
    let mut http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    // A client that sends its headers drop by drop, or nothing at all, is cut off.
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(Some(PING))
        .keep_alive_timeout(PING);
    http
}

async fn accept(router: Router, listener: TcpListener, app: &App, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    let graceful = hyper_util::server::graceful::GracefulShutdown::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = log::stopped(&mut stop) => break,
        };
        let (tcp, from) = match accepted {
            Ok(it) => it,
            Err(error) => {
                // Out of descriptors: let some connections end before the next try.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        drop(tcp.set_nodelay(true));
        // A client that takes nothing for this long is gone or hostile: its buffers and its place are freed.
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&tcp, STALLED) {
            tracing::debug!(%error, "a stalled connection will not be cut");
        }
        let cut = server::watch::Cut::default();
        let routes = router.clone().layer(axum::Extension(api::auth::From(from)));
        let routes = routes.layer(axum::Extension(cut.clone()));
        let tls = app.tls.as_ref().map(|it| TlsAcceptor::from(it.listening.now()));
        let (watcher, both) = (graceful.watcher(), app.config.flight.enabled);
        let served = async move {
            if let Err(error) = serve(routes, tcp, (tls, both), watcher).await {
                tracing::debug!(%error, %from, "a connection ended badly");
            }
        };
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                () = served => {}
                () = cut.made() => tracing::debug!(%from, "a connection was cut"),
            }
        });
    }
    drop(listener);
    app.stopping.send_replace(true);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
}

/// One connection to its end. What its client showed at the handshake comes with each of its requests.
async fn serve(
    router: Router,
    tcp: TcpStream,
    (tls, both): (Option<TlsAcceptor>, bool),
    watcher: Watcher,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let http = protocols();
    let Some(tls) = tls else {
        // RFC 9113 §3.3: over plain TCP, HTTP/2 by prior knowledge.
        let http = if both { http } else { http.http1_only() };
        let service = TowerToHyperService::new(router);
        let tcp = TokioIo::new(Beginning::within(HEADERS, tcp));
        let served = http.serve_connection_with_upgrades(tcp, service).into_owned();
        return watcher.watch(served).await;
    };
    let stream = tokio::time::timeout(HANDSHAKE, tls.accept(tcp)).await??;
    // §3.2: over TLS, HTTP/2 is what the handshake settled on.
    let agreed = stream.get_ref().1.alpn_protocol() == Some(b"h2".as_slice());
    let http = if agreed { http.http2_only() } else { http.http1_only() };
    let router = match Chain::of(stream.get_ref().1.peer_certificates()) {
        Some(shown) => router.layer(axum::Extension(shown)),
        None => router,
    };
    let service = TowerToHyperService::new(router);
    let stream = TokioIo::new(Beginning::within(HEADERS, stream));
    watcher.watch(http.serve_connection_with_upgrades(stream, service).into_owned()).await
}
