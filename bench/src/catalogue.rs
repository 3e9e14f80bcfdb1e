//! A catalogue of 3,000 products, each with a policy of its own, read as pages from the store.
//!
//! Never from a cache: every page is read again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use tidm_space::engine::input::{Input, Wish};

use crate::figure::{Goal, Report, Times};
use crate::pair::Pair;
use crate::values;

const PRODUCTS: u64 = 3_000;
const PAGE: i64 = 100;
const ROUNDS: usize = 5;

pub async fn run(report: &mut Report) -> Result<()> {
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
        let (mut after, mut found, mut pages) = (None, 0, 0);
        loop {
            let one = Instant::now();
            let page = app.store.datasets(after.as_ref(), PAGE).await?;
            let took = one.elapsed();
            slowest = slowest.max(took);
            found += page.rows.len();
            if pages == 0 {
                first.push(took);
            }
            pages += 1;
            after = page.next;
            if after.is_none() {
                last.push(took);
                break;
            }
        }
        all.push(started.elapsed());
        ensure!(found == usize::try_from(PRODUCTS)?, "{found} products are in the catalogue");
    }
    let ms = |times: Vec<Duration>| Times::new(times).at(0.5);
    report
        .add("first page, from the store", ms(first), "ms", Goal::AtMost(30.0))
        .peer("EDC 0.66 s");
    report.add("last page, from the store", ms(last), "ms", Goal::AtMost(30.0)).peer("EDC 33 s");
    report.add("slowest page", slowest.as_secs_f64() * 1000.0, "ms", Goal::None);
    report.add("all pages", ms(all), "ms", Goal::AtMost(500.0)).peer("EDC 36.9 s");
    drop(app);
    pair.stop().await
}
