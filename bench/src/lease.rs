//! Leases granted by one gate: through the writer, and through HTTP with tokens of a peer.
//!
//! Never counted before it is durable: a grant is answered after its commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use tidm_crypto::hash::sha256;
use tidm_node::app::App;
use tidm_node::net::auth;
use tidm_space::engine::input::{Heard, Input, Received};
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::wire::tidm::lease;

use crate::figure::{Goal, Report, Times};
use crate::machine::Disk;
use crate::pair::Pair;
use crate::values;

/// Requests under way at a time, and how many each of them makes.
const ASKERS: usize = 64;
const EACH: usize = 150;
/// The rate that the goal names: latency is promised there, not where both cores are full.
const RATE: f64 = 2000.0;

pub(crate) async fn run(report: &mut Report, disk: &Disk) -> Result<()> {
    let pair = Pair::start().await?;
    let (gate, peer) = (pair.provider.clone(), pair.consumer.identity.did.clone());
    let total = ASKERS * EACH;
    let uses = u64::try_from(total * 4)?;
    let contract = values::contract("urn:agreement:bench", &peer, uses, gate.clock.now())?;
    let id = contract.id.clone();
    values::put(&gate, contract).await?;
    let goal = disk.latency(Duration::from_millis(25), 2.0);

    let started = Instant::now();
    let askers = (0..ASKERS).map(|_| tokio::spawn(direct(gate.clone(), peer.clone(), id.clone())));
    let times = collect(askers).await?;
    let rate = total as f64 / started.elapsed().as_secs_f64();
    report.add("leases through the writer", rate, "/s", Goal::AtLeast(2000.0));
    report.add("a lease through the writer, p50", times.at(0.5), "ms", Goal::None);
    report.add("a lease through the writer, p99", times.at(0.99), "ms", goal);

    let full = values::counted("urn:agreement:full", &peer, uses, gate.clock.now())?;
    let full_id = full.id.clone();
    values::put(&gate, full).await?;
    let started = Instant::now();
    let askers =
        (0..ASKERS).map(|_| tokio::spawn(direct(gate.clone(), peer.clone(), full_id.clone())));
    let times = collect(askers).await?;
    let rate = total as f64 / started.elapsed().as_secs_f64();
    report.add("leases under twenty terms", rate, "/s", Goal::AtLeast(2000.0));
    report.note("counts, budgets, frequency, hours, moments, purpose, role, region, address, limits: counted and debited");
    report.add("a lease under twenty terms, p99", times.at(0.99), "ms", Goal::None);

    let started = Instant::now();
    let askers = (0..ASKERS)
        .map(|_| tokio::spawn(over_http(pair.consumer.clone(), gate.clone(), id.clone())));
    let times = collect(askers).await?;
    let rate = total as f64 / started.elapsed().as_secs_f64();
    report.add("leases through HTTP", rate, "/s", Goal::AtLeast(2000.0));
    report.note("both nodes and the client share this machine's cores");
    report.add("a lease through HTTP, p50, both cores full", times.at(0.5), "ms", Goal::None);
    report.add("a lease through HTTP, p99, both cores full", times.at(0.99), "ms", Goal::None);

    let every = Duration::from_secs_f64(ASKERS as f64 / RATE);
    let begin = tokio::time::Instant::now() + every;
    let askers = (0..ASKERS).map(|n| {
        let first = begin + every.mul_f64(n as f64 / ASKERS as f64);
        tokio::spawn(paced(pair.consumer.clone(), gate.clone(), id.clone(), first, every))
    });
    let times = collect(askers).await?;
    report.add("a lease through HTTP at 2,000/s, p50", times.at(0.5), "ms", Goal::None);
    report.note("from the moment it was due, so that a late start counts as waiting");
    report.add("a lease through HTTP at 2,000/s, p99", times.at(0.99), "ms", goal);

    let spent = gate.store.spent(&id).await?.uses;
    ensure!(
        spent == u64::try_from(3 * total)?,
        "{spent} uses were debited for {total} leases three times"
    );
    let spent = gate.store.spent(&full_id).await?.uses;
    ensure!(spent == u64::try_from(total)?, "{spent} uses were debited under twenty terms");
    drop(gate);
    pair.stop().await
}

async fn collect(
    askers: impl Iterator<Item = tokio::task::JoinHandle<Result<Vec<Duration>>>>,
) -> Result<Times> {
    let mut times = Vec::new();
    for asker in futures::future::join_all(askers).await {
        times.extend(asker??);
    }
    Ok(Times::new(times))
}

async fn direct(gate: Arc<App>, peer: Did, contract: Id) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(EACH);
    for _ in 0..EACH {
        let request = values::request(&contract);
        let received = Received {
            from: peer.clone(),
            key: None,
            id: None,
            seen: values::seen(),
            digest: sha256(&request.nonce),
            what: Heard::Ask(Box::new(request)),
        };
        let one = Instant::now();
        gate.writer.run(Input::Heard(Box::new(received))).await?;
        times.push(one.elapsed());
    }
    Ok(times)
}

async fn over_http(asker: Arc<App>, gate: Arc<App>, contract: Id) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(EACH);
    for _ in 0..EACH {
        let one = Instant::now();
        ask(&asker, &gate, &contract).await?;
        times.push(one.elapsed());
    }
    Ok(times)
}

/// One request each time it is due.
async fn paced(
    asker: Arc<App>,
    gate: Arc<App>,
    contract: Id,
    first: tokio::time::Instant,
    every: Duration,
) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(EACH);
    let mut due = first;
    for _ in 0..EACH {
        tokio::time::sleep_until(due).await;
        ask(&asker, &gate, &contract).await?;
        times.push(due.elapsed());
        due += every;
    }
    Ok(times)
}

async fn ask(asker: &App, gate: &App, contract: &Id) -> Result<()> {
    let message: Id = uuid::Uuid::now_v7().into();
    let posting = lease::write_request(&message, &values::request(contract));
    let url = format!("{}{}", gate.identity.dsp_base(), posting.path);
    let bearer = auth::bearer(&asker.identity, &gate.identity.did, &asker.clock);
    let call = asker.client.call(reqwest::Method::POST, &url, Some(&bearer), Some(posting.body));
    let answer = call.await?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status.is_success(), "{} {text}", answer.status);
    Ok(())
}
