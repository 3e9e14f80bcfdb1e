//! A million offers of others in one node: the first page of a faceted search, and fifty people who search.
//!
//! Never from a cache of answers: every search runs, with its counts, and its rows are read from the store.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;

use tidm_node::accounts::{self, Scope};
use tidm_node::config::Config;
use tidm_node::keys::memory::Memory;
use tidm_node::store::remote::{Kept, save_entries};
use tidm_node::telemetry::Metrics;
use tidm_node::{search, serve};
use tidm_space::catalog::entry::{Entry, Provenance};
use tidm_space::identity::did::Did;
use tidm_space::wire::dsp::catalog::parse_dataset;

use crate::figure::{Goal, Report, Times, say};
use crate::machine::scratch_dir;
use crate::program::Running;
use crate::{offers, size};

/// The word under which this program is the node that is searched.
pub(crate) const SEARCHED: &str = "run-searched";
const PROVIDERS: u64 = 100;
const OFFERS: u64 = 10_000;
/// Searches whose times are looked at.
const SEARCHES: usize = 200;
const CLIENTS: u32 = 50;
/// Each of them searches this often.
const EVERY: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(300);
/// Rows of one unit of work.
const ROWS: usize = 500;

type Query = Vec<(&'static str, String)>;

/// Where the node is, and with what key.
#[derive(Clone)]
struct Door {
    http: reqwest::Client,
    url: String,
    token: String,
}

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir_in(scratch_dir()?)?;
    let offers = OFFERS / size::divisor();
    let mut node = tokio::process::Command::new(std::env::current_exe()?);
    node.arg(SEARCHED)
        .arg(dir.path())
        .arg(offers.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut node = node.spawn()?;
    let mut lines = BufReader::new(node.stdout.take().context("the node's output")?).lines();
    let line = lines.next_line().await?.context("the node ended early")?;
    let mut words = line.split(' ');
    let mut word = || words.next().context("the node's line").map(str::to_owned);
    let (url, token, built) = (word()?, word()?, word()?.parse::<f64>()?);
    let door = Door { http: reqwest::Client::builder().no_proxy().build()?, url, token };
    let goal = |it| if size::is_full() { Goal::AtMost(it) } else { Goal::None };
    report.add(&format!("index of {} offers built", PROVIDERS * offers), built, "s", Goal::None);

    let queries = offers::searches();
    let mut times = Vec::new();
    for at in 0..SEARCHES {
        let query = queries.get(at % queries.len()).context("no searches")?;
        let began = Instant::now();
        let found = door.search(query).await?;
        times.push(began.elapsed());
        ensure!(
            found > 0 || at >= queries.len() || query.len() > 1,
            "nothing is found by {query:?}"
        );
    }
    let times = Times::new(times);
    report.add("first page of a faceted search, p50", times.at(0.5), "ms", Goal::None);
    report.add("first page of a faceted search, p95", times.at(0.95), "ms", goal(100.0));
    report.note("with all counts, over HTTP");
    let began = Instant::now();
    door.search(&vec![]).await?;
    report.add("first page of everything", began.elapsed().as_secs_f64() * 1e3, "ms", Goal::None);

    let span = if size::is_long() { LONG } else { SHORT };
    let (times, errors) = people(&door, &queries, span).await?;
    let many = times.len();
    let sum: Duration = times.iter().sum();
    let mean = sum.as_secs_f64() / f64::from(u32::try_from(many.max(1))?);
    report.add("50 people, a search each 5 s, mean", mean, "s", goal(0.2));
    report.note(&format!("{many} searches in {} s", span.as_secs()));
    report.add("50 people, p99", Times::new(times).at(0.99) / 1e3, "s", Goal::None);
    report.add("errors", f64::from(errors), "", Goal::AtMost(0.0));
    let id = node.id().context("the node ended")?;
    report.add(
        "memory of the node, peak",
        Running::mib_of(id, "VmHWM:")?,
        "MiB",
        Goal::AtMost(1024.0),
    );
    report.note("mapped files of the index included");
    Ok(())
}

impl Door {
    /// How many results the first page has.
    async fn search(&self, query: &Query) -> Result<usize> {
        let request = self.http.get(format!("{}/api/v1/catalog", self.url)).query(query);
        let answer = request.bearer_auth(&self.token).send().await?;
        let status = answer.status();
        let body: serde_json::Value = answer.json().await?;
        ensure!(status.is_success(), "{status} {body}");
        ensure!(body["facets"]["format"].is_array(), "no counts");
        Ok(body["items"].as_array().map_or(0, Vec::len))
    }
}

/// Times of all searches, and how many failed. People do not all begin at once.
async fn people(door: &Door, queries: &[Query], span: Duration) -> Result<(Vec<Duration>, u32)> {
    let until = Instant::now() + span;
    let mut all = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (door, queries) = (door.clone(), queries.to_vec());
        all.spawn(async move {
            let (mut times, mut errors) = (Vec::new(), 0);
            tokio::time::sleep(EVERY * client / CLIENTS).await;
            let mut at = usize::try_from(client).unwrap_or(0);
            while Instant::now() < until {
                let began = Instant::now();
                let Some(query) = queries.get(at % queries.len().max(1)) else { break };
                match door.search(query).await {
                    Ok(_) => times.push(began.elapsed()),
                    Err(_) => errors += 1,
                }
                at += 1;
                tokio::time::sleep(EVERY.saturating_sub(began.elapsed())).await;
            }
            (times, errors)
        });
    }
    let (mut times, mut errors) = (Vec::new(), 0);
    while let Some(one) = all.join_next().await {
        let (more, failed) = one?;
        times.extend(more);
        errors += failed;
    }
    Ok((times, errors))
}

/// The node: fills its store, builds its index, says where it is, and serves until it is killed.
pub(crate) fn node(dir: &Path, offers: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let text = format!(
            "[node]\norg = \"searched\"\nroles = [\"intermediary\"]\n[http]\ninsecure_http = true\nlisten = \"127.0.0.1:{port}\"\n\
             public_url = \"http://localhost:{port}\"\n[peers]\nallow_private_addresses = true\n"
        );
        let config = Config::parse(dir, &text, &Default::default(), &[])?;
        let node = serve::build(config, Arc::new(Memory::new()?), Metrics::install()?).await?;
        let app = node.app.clone();
        let now = app.clock.now();
        for provider in 0..PROVIDERS {
            let did = Did::parse(&format!("did:web:m{provider}.example"))?;
            let mut rows = Vec::new();
            for number in 0..offers.parse()? {
                let dataset = offers::dataset(provider, number).to_string();
                let from = Provenance {
                    provider: did.clone(),
                    via: did.clone(),
                    changed: now,
                    request: format!("https://m{provider}.example/dsp/catalog/request"),
                };
                let entry = Entry::of(&parse_dataset(dataset.as_bytes())?);
                let address = format!("https://m{provider}.example/dsp");
                rows.push(Kept { entry, from, address, announce: None });
            }
            for rows in rows.chunks(ROWS) {
                let rows = rows.to_vec();
                app.writer
                    .note(move |conn| {
                        let rows = rows.clone();
                        Box::pin(async move { save_entries(conn, &rows, now).await })
                    })
                    .await?;
            }
        }
        let began = Instant::now();
        search::catch_up(&app).await?;
        let built = began.elapsed().as_secs_f64();
        let key = accounts::make_key(&app, "bench", "bench", &[Scope::Read], None).await;
        let (_, token) = key.map_err(|why| anyhow::anyhow!("{why:?}"))?;
        say(&format!("http://localhost:{port} {} {built}", token.expose()));
        drop(app);
        let (_never, stopped) = watch::channel(false);
        node.run(listener, stopped).await
    })
}
