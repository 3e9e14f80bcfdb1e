//! Negotiations at every load, and two peers of one provider of which one asks for much.
//!
//! Never counts what one side says: after each load both hold the same contracts, and a negotiation that ended in any
//! other way than finalized is an error ([`negotiation::one`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use tidm_node::app::App;

use crate::figure::{Goal, Report, Times};
use crate::negotiation;
use crate::pair::{LISTED, Nodes, Pair};
use crate::size;

/// Negotiations at each load; a tenth where the bench is to be short.
const ALL: usize = 10_000;
const SHORT: usize = 1_000;
/// Under way at a time.
const LOADS: [usize; 4] = [1, 8, 64, 256];
/// What the greedy peer has under way.
const GREEDY: usize = 64;
/// How long the other one must be served beside it.
const BESIDE: Duration = Duration::from_secs(5);

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let all = if size::is_long() { ALL } else { SHORT };
    for load in LOADS {
        let pair = Pair::start().await?;
        negotiation::publish(&pair.provider).await?;
        let each = all / load;
        let started = Instant::now();
        negotiation::together(&pair.consumer, &pair.provider, load, each).await?;
        let rate = (load * each) as f64 / started.elapsed().as_secs_f64();
        report.add(
            &format!("{} negotiations, {load} under way", load * each),
            rate,
            "/s",
            Goal::None,
        );
        let missing =
            negotiation::missing(&pair.consumer, &pair.provider, load * each).await? as f64;
        report.add(
            &format!("lost or different, {load} under way"),
            missing,
            "contracts",
            Goal::AtMost(0.0),
        );
        pair.stop().await?;
    }
    beside(report).await
}

/// A peer with one negotiation at a time, beside one with many.
async fn beside(report: &mut Report) -> Result<()> {
    let nodes = Nodes::start(&["greedy", "modest", "provider"], LISTED).await?;
    let [greedy, modest, provider] = nodes.apps.as_slice() else {
        bail!("three nodes were to start")
    };
    negotiation::publish(provider).await?;
    let alone = modestly(modest, provider, BESIDE / 5).await?;
    let go_on = Arc::new(AtomicBool::new(true));
    let lanes: Vec<_> = (0..GREEDY)
        .map(|_| {
            let (greedy, provider, go_on) = (greedy.clone(), provider.clone(), go_on.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while go_on.load(Ordering::Relaxed) {
                    times.push(
                        negotiation::one(&greedy, &provider, Duration::from_millis(5)).await?,
                    );
                }
                anyhow::Ok(times)
            })
        })
        .collect();
    let served = modestly(modest, provider, BESIDE).await?;
    go_on.store(false, Ordering::Relaxed);
    let mut many = Vec::new();
    for lane in lanes {
        many.extend(lane.await??);
    }
    let many = Times::new(many);
    report.add("one negotiation of a peer alone, p50", alone.at(0.5), "ms", Goal::None);
    report.add("of a peer with 64 under way, p50", many.at(0.5), "ms", Goal::None);
    report.add("of another peer beside it, p50", served.at(0.5), "ms", Goal::None);
    let share = served.at(0.99) / many.at(0.99);
    report.add("slowest percent of the other / of the one with 64", share, "", Goal::AtMost(1.5));
    report.note("more than one would mean that the modest peer waits longer than the greedy one");
    nodes.stop().await
}

async fn modestly(modest: &Arc<App>, provider: &Arc<App>, span: Duration) -> Result<Times> {
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed() < span {
        times.push(negotiation::one(modest, provider, Duration::from_millis(1)).await?);
    }
    Ok(Times::new(times))
}
