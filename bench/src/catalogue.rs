//! A catalogue of 3,000 products, each with a policy of its own, asked for page by page by a member.
//!
//! Never from a cache: every page is read again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use tidm_node::net::auth;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::wire::dsp::catalog::CONTEXT;

use crate::figure::{Goal, Report, Times};
use crate::pair::Pair;
use crate::values;

const PRODUCTS: u64 = 3_000;
const ROUNDS: usize = 5;

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let pair = Pair::start().await?;
    let app = pair.provider.clone();
    let writes = (0..PRODUCTS).map(|number| {
        let app = &app;
        async move {
            let product = values::product(number, app.clock.now())?;
            app.writer.run(Input::Wish(Box::new(Wish::Publish(Box::new(product))))).await?;
            anyhow::Ok(())
        }
    });
    futures::future::try_join_all(writes).await?;
    let (mut first, mut last, mut all) = (Vec::new(), Vec::new(), Vec::new());
    let mut slowest = Duration::ZERO;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let mut url = Some(format!("{}/catalog/request", app.identity.dsp_base()));
        let mut found = 0;
        let mut pages = Vec::new();
        while let Some(next) = url.take() {
            let one = Instant::now();
            let (entries, after) = page(&pair, &next).await?;
            pages.push(one.elapsed());
            found += entries;
            url = after;
        }
        all.push(started.elapsed());
        first.extend(pages.first());
        last.extend(pages.last());
        slowest = pages.iter().copied().fold(slowest, Duration::max);
        ensure!(found == usize::try_from(PRODUCTS)?, "{found} products are in the catalogue");
    }
    let ms = |times: Vec<Duration>| Times::new(times).at(0.5);
    report.add("first page", ms(first), "ms", Goal::AtMost(30.0)).peer("EDC 0.66 s");
    report.add("last page", ms(last), "ms", Goal::AtMost(30.0)).peer("EDC 33 s");
    report.add("slowest page", slowest.as_secs_f64() * 1000.0, "ms", Goal::AtMost(30.0));
    report.add("all pages", ms(all), "ms", Goal::AtMost(500.0)).peer("EDC 36.9 s");
    drop(app);
    pair.stop().await
}

/// Entries of one page, and where the next one is.
async fn page(pair: &Pair, url: &str) -> Result<(usize, Option<String>)> {
    let (asker, provider) = (&pair.consumer, &pair.provider);
    let body = serde_json::json!({"@context": [CONTEXT], "@type": "CatalogRequestMessage"});
    let bearer = auth::bearer(&asker.identity, &provider.identity.did, &asker.clock);
    let answer = asker
        .client
        .call(reqwest::Method::POST, url, Some(&bearer), Some(body.to_string()))
        .await?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status.is_success(), "{} {text}", answer.status);
    let document: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let entries = document["dataset"].as_array().map_or(0, Vec::len);
    let next = answer.link.as_deref().and_then(|link| {
        let (url, rest) = link.strip_prefix('<')?.split_once('>')?;
        rest.contains("next").then(|| url.to_owned())
    });
    Ok((entries, next))
}
