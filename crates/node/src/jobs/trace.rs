//! Provider: a found file held against the marks of every contract over a product.
//!
//! Threat model: the file is a stranger's and is read as hostile, by the readers of publishing. A verdict can cost
//! somebody a contract, so chances are exact, corrected for the number of contracts asked, and named only below
//! [`tidm_mark::limits::BLAME`]. It says whose copy the file's numbers come from; never who leaked it, when, or whether
//! on purpose.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tidm_crypto::hash::Digest;
use tidm_ingest::excerpt::rows;
use tidm_ingest::fault::Fault as Bad;
use tidm_ingest::format::detect;
use tidm_ingest::options::Options;
use tidm_ingest::{limits, table};
use tidm_mark::tally::{Tally, Verdict};
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::policy::mark::Mark;

use super::excerpt::{mark_root, marker, row_key};
use super::{publish, spool};
use crate::app::App;
use crate::store::writer::WorkError;

/// Contracts that one trace asks; a product version with more is refused.
const CONTRACTS: i64 = 4_096;
/// Contracts in one reading of the file: each tally takes up to 64 MB.
const AT_A_TIME: usize = 8;

/// A contract with marks, and how the file agrees with them.
#[derive(Clone, Debug)]
pub struct Suspect {
    pub contract: Contract,
    /// Digest of what was released, and how many values the marks changed in it; `None`: nothing was yet.
    pub released: Option<(Digest, u64)>,
    pub verdict: Verdict,
    /// Named: the chance, corrected for all contracts asked, is small enough.
    pub named: bool,
}

/// What came of it, most suspect first.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Rows of the file.
    pub rows: u64,
    pub suspects: Vec<Suspect>,
}

/// Traces the file at `path`, which came under `name`.
///
/// # Errors
/// [`Fault::NotFound`] for the product, [`Fault::Refused`] `watermark.none` where no contract has marks,
/// `watermark.columns` where the file lacks what the marks need, `watermark.key-lost` where nothing can be judged,
/// `watermark.contracts` where there are too many, `publish.*` for what is no table.
pub async fn trace(
    app: &Arc<App>,
    product: &Id,
    path: &Path,
    name: &str,
) -> Result<Trace, WorkError> {
    let failed = |why: crate::store::StoreError| WorkError::Store(why.to_string());
    let here = |why: anyhow::Error| WorkError::Store(why.to_string());
    app.store.product(product).await.map_err(failed)?.ok_or(Fault::NotFound { what: "product" })?;
    let contracts = app.store.provided(product, CONTRACTS + 1).await.map_err(failed)?;
    // Whoever is left out could not be named, and the chances would be told for too few.
    if i64::try_from(contracts.len()).is_ok_and(|it| it > CONTRACTS) {
        let why = format!("more than {CONTRACTS} contracts over this product");
        return Err(Fault::refused("watermark.contracts", why).into());
    }
    let marked = |it: Contract| Some((it.terms().ok()?.mark?, it));
    let marked: Vec<(Mark, Contract)> = contracts.into_iter().filter_map(marked).collect();
    if marked.is_empty() {
        let why = "no contract over this product has a watermark";
        return Err(Fault::refused("watermark.none", why).into());
    }
    let root = mark_root(app).await.map_err(here)?.ok_or_else(|| {
        Fault::refused("watermark.key-lost", "marks were released, and marks.key is not there")
    })?;
    let tallied = |(mark, it): (Mark, Contract)| {
        let tally = Tally::new(marker(&root, product, &it.id));
        (it, mark, tally)
    };
    let asked: Vec<Asked> = marked.into_iter().map(tallied).collect();
    let read = spool::fresh(app, "trace").map_err(here)?;
    let (path, name, out) = (path.to_owned(), name.to_owned(), read.path().to_owned());
    let now = u64::try_from(app.clock.now().ms()).unwrap_or(0);
    let excel_bytes = app.config.limits.excel_bytes;
    let work = move || held_against(&path, &name, &out, (now, excel_bytes), asked);
    let done = tokio::task::spawn_blocking(work).await;
    let (rows, all) = done
        .map_err(|_| Fault::refused("publish.broken", "the file's reader did not survive it"))??;
    let number = all.len() as u64;
    let mut suspects = Vec::with_capacity(all.len());
    for (contract, verdict) in all {
        let excerpt = app.store.excerpt(&contract.id).await.map_err(failed)?;
        let released = excerpt.and_then(|it| Some((it.digest, it.marked?)));
        suspects.push(Suspect { named: verdict.names(number), contract, released, verdict });
    }
    suspects.sort_by(|a, b| a.verdict.chance.ln().total_cmp(&b.verdict.chance.ln()));
    Ok(Trace { rows, suspects })
}

type Asked = (Contract, Mark, Tally);

fn held_against(
    path: &Path,
    name: &str,
    out: &Path,
    (now, excel_bytes): (u64, u64),
    asked: Vec<Asked>,
) -> Result<(u64, Vec<(Contract, Verdict)>), Fault> {
    let unreadable = |why: std::io::Error| {
        Fault::refused("publish.file", format!("the file cannot be read: {}", why.kind()))
    };
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(limits::HEAD_BYTES as u64).read_to_end(&mut head).map_err(unreadable)?;
    if head.is_empty() {
        return Err(publish::bad_file(Bad::Empty));
    }
    let options = Options { excel_bytes, ..Options::default() };
    let format = detect(Path::new(name), &head);
    let go_on = &mut |_| std::ops::ControlFlow::Continue(());
    let found =
        table::ingest(path, format, &options, out, now, go_on).map_err(publish::bad_file)?;
    let has = |name: &str| found.schema.iter().any(|it| it.name == name);
    let speaks = |mark: &Mark| {
        mark.key.iter().all(|it| has(it)) && mark.columns.iter().any(|it| has(&it.column))
    };
    if !asked.iter().any(|(_, mark, _)| speaks(mark)) {
        let why =
            "the file has not all of the columns that tell rows apart, or none of the marked ones";
        return Err(Fault::refused("watermark.columns", why));
    }
    let (mut verdicts, mut left) = (Vec::new(), asked.into_iter());
    loop {
        let mut some: Vec<Asked> = left.by_ref().take(AT_A_TIME).collect();
        if some.is_empty() {
            return Ok((found.rows, verdicts));
        }
        read(out, &mut some).map_err(publish::bad_file)?;
        verdicts.extend(some.into_iter().map(|(contract, _, tally)| (contract, tally.verdict())));
    }
}

/// One reading of the file, for some contracts.
fn read(path: &Path, some: &mut [Asked]) -> Result<(), Bad> {
    let mut reads: Vec<String> =
        some.iter().flat_map(|(_, mark, _)| mark.names()).map(str::to_owned).collect();
    reads.sort_unstable();
    reads.dedup();
    rows(path, &reads, &mut |row| {
        for (_, mark, tally) in &mut *some {
            let key = row_key(mark, row);
            for it in &mark.columns {
                if let Some(value) = row.cell(&it.column).decimal() {
                    tally.see(&it.column, &key, it.step.exponent(), value);
                }
            }
        }
    })
}
