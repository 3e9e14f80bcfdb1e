//! Contracts between two nodes, from the request to the finalized state on both sides.
//!
//! Never believes the speed alone: at the end both sides must hold the same contracts, none missing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use tidm_node::app::App;
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{ContractWish, Input, Wish};
use tidm_space::id::Id;
use tidm_space::negotiation::state::Name;

use crate::figure::{Goal, Report, Times};
use crate::machine::Disk;
use crate::pair::Pair;
use crate::values;

/// One after the other, for the latency.
const SINGLE: usize = 100;
/// Under way at a time, and how many each does, for the rate.
const LANES: usize = 64;
const EACH: usize = 30;
/// A negotiation that takes longer is lost.
const LOST: Duration = Duration::from_secs(60);

pub(crate) async fn run(report: &mut Report, disk: &Disk) -> Result<()> {
    let pair = Pair::start().await?;
    publish(&pair.provider).await?;
    let times = singly(&pair).await?;
    // Request, agreement, verification, finalisation: heard and said, each durable on its side.
    let goal = disk.latency(Duration::from_millis(30), 9.0);
    report.add("request to finalized, p50", times.at(0.5), "ms", goal);
    report.peer("EDC 131 ms at best");
    report.add("request to finalized, p99", times.at(0.99), "ms", Goal::None);

    let started = Instant::now();
    together(&pair.consumer, &pair.provider, LANES, EACH).await?;
    let rate = (LANES * EACH) as f64 / started.elapsed().as_secs_f64();
    report.add("contracts, 64 under way", rate, "/s", Goal::AtLeast(300.0)).peer("EDC 25/s");
    let missing = missing(&pair.consumer, &pair.provider, SINGLE + LANES * EACH).await?;
    report.add("lost", missing as f64, "contracts", Goal::AtMost(0.0));
    pair.stop().await?;

    let pair = Pair::with_credentials().await?;
    publish(&pair.provider).await?;
    let times = singly(&pair).await?;
    let goal = disk.latency(Duration::from_millis(60), 9.0);
    report.add("request to finalized with credentials, p50", times.at(0.5), "ms", goal);
    let exchanges = pair.provider.claims.exchanges() + pair.consumer.claims.exchanges();
    report.add("exchanges with wallets", exchanges as f64, "in all", Goal::None);
    report.note(&format!("{SINGLE} contracts: the proof is kept until it expires"));
    pair.stop().await
}

async fn singly(pair: &Pair) -> Result<Times> {
    let mut times = Vec::with_capacity(SINGLE);
    for _ in 0..SINGLE {
        times.push(one(&pair.consumer, &pair.provider, Duration::from_millis(1)).await?);
    }
    Ok(Times::new(times))
}

/// The product that all contracts are about.
pub(crate) async fn publish(provider: &App) -> Result<()> {
    let product = values::product(1, provider.clock.now())?;
    provider.writer.run(Input::Wish(Box::new(Wish::Publish(Box::new(product))))).await?;
    Ok(())
}

/// Contracts of one consumer, `lanes` under way at a time; how long each took.
pub(crate) async fn together(
    consumer: &Arc<App>,
    provider: &Arc<App>,
    lanes: usize,
    each: usize,
) -> Result<Times> {
    // Many who look often would be the load themselves.
    let look = Duration::from_millis(if lanes < 16 { 2 } else { 20 });
    let lanes = (0..lanes).map(|_| {
        let (consumer, provider) = (consumer.clone(), provider.clone());
        tokio::spawn(async move {
            let mut times = Vec::with_capacity(each);
            for _ in 0..each {
                times.push(one(&consumer, &provider, look).await?);
            }
            anyhow::Ok(times)
        })
    });
    let mut all = Vec::new();
    for lane in futures::future::join_all(lanes).await {
        all.extend(lane??);
    }
    Ok(Times::new(all))
}

/// How many of `expected` contracts are missing; an error where the two sides hold different ones.
pub(crate) async fn missing(consumer: &App, provider: &App, expected: usize) -> Result<usize> {
    let (ours, theirs) = (contracts(consumer).await?, contracts(provider).await?);
    ensure!(ours == theirs, "the two sides hold different contracts");
    Ok(expected.abs_diff(ours.len()))
}

pub(crate) async fn one(
    consumer: &Arc<App>,
    provider: &Arc<App>,
    look: Duration,
) -> Result<Duration> {
    let mut offer = values::offer("urn:offer:1", 1001)?;
    let product = Id::parse("urn:product:1")?;
    offer.target = Some(product.clone());
    let wish = ContractWish {
        peer: provider.identity.did.clone(),
        address: provider.identity.dsp_base(),
        product,
        offer,
        rules: tidm_space::approval::Rules::default(),
    };
    let started = Instant::now();
    let reply = consumer.writer.run(Input::Wish(Box::new(Wish::Request(Box::new(wish))))).await?;
    let Reply::Negotiation { it, .. } = reply else { bail!("an answer of another kind") };
    loop {
        let found = consumer.store.negotiation(&it.id).await?.context("it is gone")?;
        match found.state.name() {
            Name::Finalized => return Ok(started.elapsed()),
            Name::Terminated => bail!("terminated: {:?}", found.state),
            Name::Initial
            | Name::Requested
            | Name::Offered
            | Name::Accepted
            | Name::Agreed
            | Name::Verified => {}
        }
        ensure!(started.elapsed() < LOST, "a negotiation hangs in {:?}", found.state.name());
        tokio::time::sleep(look).await;
    }
}

/// (contract, digest of what was signed) of all.
async fn contracts(app: &App) -> Result<BTreeSet<(String, String)>> {
    let mut all = BTreeSet::new();
    let mut after = None;
    loop {
        let page = app.store.contracts(after.as_ref(), 500).await?;
        all.extend(page.rows.iter().map(|it| (it.id.to_string(), it.digest.to_string())));
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}
