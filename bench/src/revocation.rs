//! From the provider's revocation of a contract to the moment at which the consumer's node holds it to be over.
//!
//! Never believes the consumer's word alone: the provider's gate must refuse a lease at once, before the consumer has heard.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use tidm_crypto::hash::sha256;
use tidm_space::contract::{End, State};
use tidm_space::engine::input::{Heard, Input, Received, Wish};
use tidm_space::id::Id;

use crate::figure::{Goal, Report, Times};
use crate::negotiation;
use crate::pair::Pair;
use crate::values;

const CONTRACTS: usize = 50;
/// A revocation that is not heard by then is an error.
const LOST: Duration = Duration::from_secs(30);

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let pair = Pair::start().await?;
    negotiation::publish(&pair.provider).await?;
    for _ in 0..CONTRACTS {
        negotiation::one(&pair.consumer, &pair.provider, Duration::from_millis(1)).await?;
    }
    let page = pair.provider.store.contracts(None, i64::try_from(CONTRACTS)?).await?;
    ensure!(page.rows.len() == CONTRACTS, "{} contracts", page.rows.len());
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

async fn asked(pair: &Pair, contract: &Id) -> Result<()> {
    let request = values::request(contract);
    let received = Received {
        from: pair.consumer.identity.did.clone(),
        key: None,
        id: None,
        digest: sha256(&request.nonce),
        what: Heard::Ask(Box::new(request)),
    };
    pair.provider.writer.run(Input::Heard(Box::new(received))).await?;
    Ok(())
}
