//! From the provider's revocation of a contract to the moment at which the consumer's node holds it to be over; and to the
//! moment at which a statement that runs under it is stopped.
//!
//! Never believes the consumer's word alone: the provider's gate must refuse a lease at once, before the consumer has heard,
//! and of a stopped statement no worker may be left.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use tidm_crypto::hash::sha256;
use tidm_node::jobs::order::{To, order};
use tidm_node::jobs::publish::{OfferRequest, PublishRequest, publish};
use tidm_node::jobs::use_data::{query_at_provider, query_sealed};
use tidm_node::store::writer::WorkError;
use tidm_space::approval::Rules;
use tidm_space::catalog::product::Approval;
use tidm_space::contract::{End, State};
use tidm_space::engine::input::{ContractWish, Heard, Input, Received, Wish};
use tidm_space::id::Id;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;

use crate::figure::{Goal, Report, Times};
use crate::machine::scratch_dir;
use crate::negotiation;
use crate::pair::Pair;
use crate::values;

const CONTRACTS: usize = 50;
/// A revocation that is not heard by then is an error.
const LOST: Duration = Duration::from_secs(30);
/// Statements that are stopped, of each kind.
const STATEMENTS: usize = 10;
/// Joined rows by the million million: hours, on whatever machine.
const ENDLESS: &str = "SELECT count(*), sum(a.temp + b.temp) FROM data a JOIN \
     (SELECT b.line, b.temp + c.temp AS temp FROM data b JOIN \
     (SELECT c.line, c.temp + d.temp AS temp FROM data c JOIN data d ON c.line = d.line) c \
     ON b.line = c.line) b ON a.line = b.line";
/// Clock ticks (100 a second on Linux) after which a worker is in the middle of its statement.
const BUSY: u64 = 50;

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    contracts(report).await?;
    let pair = Pair::patient().await?;
    for (kind, name) in [(Use::Query, "query"), (Use::SealedTable, "use of a sealed table")] {
        let mut times = Vec::new();
        for number in 0..STATEMENTS {
            times.push(stopped(&pair, kind, number).await?);
        }
        let times = Times::new(times);
        let name = format!("revoked to running {name} stopped");
        report.add(&format!("{name}, p50"), times.at(0.5), "ms", Goal::None);
        report.add(&format!("{name}, slowest"), times.at(1.0), "ms", Goal::AtMost(1000.0));
        report.note("the asker has its refusal, and no worker is left");
    }
    pair.stop().await
}

async fn contracts(report: &mut Report) -> Result<()> {
    let pair = Pair::start().await?;
    negotiation::publish(&pair.provider).await?;
    for _ in 0..CONTRACTS {
        negotiation::one(&pair.consumer, &pair.provider, Duration::from_millis(1)).await?;
    }
    let most = i64::try_from(CONTRACTS)?;
    // The consumer's side of the last one may be through first.
    until(async || Ok(pair.provider.store.contracts(None, most).await?.rows.len() == CONTRACTS))
        .await?;
    let page = pair.provider.store.contracts(None, most).await?;
    let (mut refused, mut heard) = (Vec::new(), Vec::new());
    for contract in page.rows {
        let wish = Wish::EndContract {
            contract: contract.id.clone(),
            why: End::Revoked,
            reason: "bench".to_owned(),
        };
        let started = Instant::now();
        pair.provider.writer.run(Input::Wish(Box::new(wish))).await?;
        ensure!(asked(&pair, &contract.id).await.is_err(), "a lease under a revoked contract");
        refused.push(started.elapsed());
        loop {
            let theirs =
                pair.consumer.store.contract(&contract.id).await?.context("no contract")?;
            if theirs.state != State::Active {
                break;
            }
            ensure!(started.elapsed() < LOST, "a revocation was not heard");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        heard.push(started.elapsed());
    }
    let (refused, heard) = (Times::new(refused), Times::new(heard));
    report.add(
        "revoked to refused at the gate, slowest",
        refused.at(1.0),
        "ms",
        Goal::AtMost(1000.0),
    );
    report.add("revoked to over at the consumer, p50", heard.at(0.5), "ms", Goal::None);
    report.add(
        "revoked to over at the consumer, slowest",
        heard.at(1.0),
        "ms",
        Goal::AtMost(1000.0),
    );
    pair.stop().await
}

/// A statement in the middle of its work, in a worker of whoever runs this kind of use; and how long it goes on.
async fn stopped(pair: &Pair, kind: Use, number: usize) -> Result<Duration> {
    let contract = agreed(pair, kind, number).await?;
    if kind == Use::SealedTable {
        let wish = order(&pair.consumer, contract.clone(), kind, To::Pull).await?;
        pair.consumer.writer.run(Input::Wish(Box::new(Wish::Fetch(Box::new(wish))))).await?;
        until(async || Ok(!pair.consumer.store.copies(&contract).await?.is_empty())).await?;
    }
    let (app, of) = (pair.consumer.clone(), contract.clone());
    let statement = tokio::spawn(async move {
        if kind == Use::SealedTable {
            query_sealed(&app, &of, ENDLESS, None).await
        } else {
            query_at_provider(&app, &of, ENDLESS, None).await
        }
    });
    until(async || Ok(workers()?.iter().any(|ticks| *ticks >= BUSY))).await?;
    ensure!(!statement.is_finished(), "it would take hours");
    let wish = Wish::EndContract { contract, why: End::Revoked, reason: "bench".to_owned() };
    let started = Instant::now();
    pair.provider.writer.run(Input::Wish(Box::new(wish))).await?;
    let done = tokio::time::timeout(LOST, statement).await.context("it runs on")??;
    until(async || Ok(workers()?.is_empty())).await?;
    let took = started.elapsed();
    let Err(WorkError::Fault(no)) = done else { bail!("an answer under a revoked contract") };
    ensure!(no.code() == "lease.ended", "another refusal: {no}");
    Ok(took)
}

/// A contract over a table of its own.
async fn agreed(pair: &Pair, kind: Use, number: usize) -> Result<Id> {
    let dir = tempfile::tempdir_in(scratch_dir()?)?;
    let path = dir.path().join("t.csv");
    let rows = (0..4000).map(|i| format!("s{i},{},{}.5\n", ["A", "B"][i % 2], i % 10));
    std::fs::write(&path, "sensor,line,temp\n".to_owned() + &rows.collect::<String>())?;
    let mut request = PublishRequest::new(path, format!("Readings {} {number}", kind.name()));
    request.offers = vec![OfferRequest {
        policy: None,
        sentences: Sentences::default(),
        approval: Approval::Auto,
        deliveries: vec![kind],
        rules: Rules::default(),
    }];
    let product = publish(&pair.provider, request, |_| ControlFlow::Continue(())).await?.product;
    let offer = product.offers.first().context("a product without offers")?;
    let wish = ContractWish {
        peer: pair.provider.identity.did.clone(),
        address: pair.provider.identity.dsp_base(),
        product: product.id.clone(),
        offer: offer.policy().clone(),
        rules: Rules::default(),
    };
    pair.consumer.writer.run(Input::Wish(Box::new(Wish::Request(Box::new(wish))))).await?;
    let found = async || {
        let mut known = Vec::new();
        for app in [&pair.provider, &pair.consumer] {
            let page = app.store.contracts(None, 100).await?.rows;
            known.extend(page.into_iter().find(|it| it.product == product.id).map(|it| it.id));
        }
        anyhow::Ok(known)
    };
    // The provider's comes first; where both have it, it can be used.
    until(async || Ok(found().await?.len() == 2)).await?;
    found().await?.pop().context("no contract")
}

async fn until(holds: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !holds().await? {
        ensure!(started.elapsed() < LOST, "it never came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Clock ticks that each living process of this one's had: its workers.
fn workers() -> Result<Vec<u64>> {
    let own = std::process::id().to_string();
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        // A process may end while it is looked at.
        let Ok(stat) = std::fs::read_to_string(entry?.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        // State, parent, …, and from the twelfth on the ticks in the program and in the kernel (proc(5)).
        let fields: Vec<&str> = rest.split_whitespace().collect();
        if fields.get(1) == Some(&own.as_str()) && fields.first() != Some(&"Z") {
            let ticks = fields.get(11..13).context("a short line")?;
            all.push(ticks.iter().filter_map(|it| it.parse::<u64>().ok()).sum());
        }
    }
    Ok(all)
}

async fn asked(pair: &Pair, contract: &Id) -> Result<()> {
    let request = values::request(contract);
    let received = Received {
        from: pair.consumer.identity.did.clone(),
        key: None,
        id: None,
        seen: Default::default(),
        digest: sha256(&request.nonce),
        what: Heard::Ask(Box::new(request)),
    };
    pair.provider.writer.run(Input::Heard(Box::new(received))).await?;
    Ok(())
}
