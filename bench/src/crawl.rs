//! A node that reads the catalogues of a hundred members with 10,000 offers each, and then reads them again.
//!
//! Never in one process: members, the node and this program are three, so that the node's memory is its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use tidm_node::config::Config;
use tidm_node::jobs::crawl::crawl_once;
use tidm_node::keys::memory::Memory;
use tidm_node::serve;
use tidm_node::telemetry::Metrics;
use tidm_space::catalog::search::Filter;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::identity::member::{Member, MemberList, Role};
use tidm_space::time::Time;

use crate::figure::{Goal, Report, say};
use crate::machine::scratch_dir;
use crate::members::{self, MEMBERS};
use crate::program::Running;
use crate::size;

/// The word under which this program is the node that crawls.
pub(crate) const CRAWLER: &str = "run-crawler";
const NODES: u64 = 100;
const OFFERS: u64 = 10_000;
/// Five minutes.
const GOAL: f64 = 300.0;

/// What the node says when it is done.
#[derive(Serialize, Deserialize)]
struct Done {
    whole: f64,
    entries: u64,
    failed: usize,
    again: f64,
    unchanged: usize,
    found: usize,
}

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir_in(scratch_dir()?)?;
    let (nodes, offers) = (NODES / size::divisor(), OFFERS / size::divisor());
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let program = std::env::current_exe()?;
    let offers_text = offers.to_string();
    let _members = Running(Command::new(&program).args([MEMBERS, &port, &offers_text]).spawn()?);
    let mut node = Command::new(&program);
    node.arg(CRAWLER).arg(dir.path()).args([&port, &nodes.to_string()]).stdout(Stdio::piped());
    let mut node = Running(node.spawn()?);
    let out = node.0.stdout.take().context("the node's output")?;
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map(|_| line)
    });
    let done: Done = serde_json::from_str(&line.await??).context("the node ended early")?;
    ensure!(done.failed == 0, "{} members could not be read", done.failed);
    ensure!(done.entries == nodes * offers, "{} entries", done.entries);
    ensure!(done.unchanged as u64 == nodes, "{} members were unchanged", done.unchanged);
    ensure!(done.found > 0, "what was crawled is not found");
    let whole = |goal| if size::is_full() { Goal::AtMost(goal) } else { Goal::None };
    let name = format!("{nodes} members of {offers} offers, read and indexed");
    report.add(&name, done.whole, "s", whole(GOAL));
    report.add("offers", done.entries as f64 / done.whole, "1/s", Goal::None);
    report.add("the same again, all unchanged", done.again, "s", Goal::None);
    report.add("memory of the node, peak", node.mib("VmHWM:")?, "MiB", Goal::AtMost(1024.0));
    report.note("mapped files of the index included");
    Ok(())
}

/// The node: crawls twice, says how it went, and stays until it is killed.
pub(crate) fn node(dir: &Path, port: &str, nodes: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let text = "[node]\norg = \"crawler\"\nroles = [\"intermediary\"]\n[http]\ninsecure_http = true\nlisten = \"127.0.0.1:1\"\n\
             public_url = \"http://localhost:1\"\n[peers]\nallow_private_addresses = true\n\
             [identity]\nmode = \"did\"\n";
        let config = Config::parse(dir, text, &Default::default(), &[])?;
        let node = serve::build(config, Arc::new(Memory::new()?), Metrics::install()?).await?;
        let app = node.app.clone();
        let mut list = Vec::new();
        for number in 0..nodes.parse()? {
            let (did, endpoint) = members::member(port, number);
            list.push(Member {
                did: Did::parse(&did)?,
                name: format!("member {number}"),
                roles: vec![Role::Provider],
                credit_code: None,
                endpoint: Some(endpoint),
                cut: false,
            });
        }
        app.directory.set_members(MemberList {
            space: Id::parse("urn:space:bench")?,
            operator: app.identity.did.clone(),
            version: 1,
            issued: app.clock.now(),
            expires: Time::from_ms(i64::MAX),
            members: list,
        });
        // As in a running node: the index follows while catalogues are read.
        let follower = tokio::spawn(tidm_node::search::run(app.clone()));
        let began = Instant::now();
        let round = crawl_once(&app).await?;
        let whole = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let second = crawl_once(&app).await?;
        let again = began.elapsed().as_secs_f64();
        follower.abort();
        let wanted = Filter::of_words("齿轮箱 vibration");
        let found = tidm_node::search::search(&app, &wanted, None, 10).await?.rows.len();
        let (entries, unchanged) = (round.entries, second.unchanged);
        let failed = round.failed.len() + second.failed.len();
        let done = Done { whole, entries, failed, again, unchanged, found };
        say(&serde_json::to_string(&done)?);
        std::future::pending::<()>().await;
        Ok(())
    })
}
