//! Provider: what of a product one contract lets out, where that is less than the whole, or marked.
//!
//! ```text
//!   product's table ── rows the terms permit ── the watermark's digits ── columns the terms permit ──► the contract's own copy
//!                      every query, sealed table and plain delivery of the contract reads that copy
//! ```
//!
//! Threat model: a consumer asks whatever its tools can say, or reads what was sealed for it with tools of its own. A
//! row that is not in the file cannot be shown by a view, a join, an error, a statistic or a row count: so the copy is
//! cut before any engine, and before any seal. Rows whose values are missing or of another kind are not permitted.
//!
//! Never falls back to the product itself when a copy cannot be made.

use std::path::Path;

use anyhow::Context as _;

use tidm_crypto::hash::sha256;
use tidm_crypto::secret::Secret;
use tidm_ingest::cells::{Cell, Row};
use tidm_ingest::excerpt::{Cut, excerpt};
use tidm_mark::decimal::Decimal;
use tidm_mark::marker::Marker;
use tidm_mark::row::{Cell as KeyCell, RowKey};
use tidm_space::catalog::product::kind_of;
use tidm_space::contract::Contract;
use tidm_space::id::Id;
use tidm_space::policy::filter::{Cell as FilterCell, Filter, Kind};
use tidm_space::policy::mark::Mark;
use tidm_space::policy::terms::Terms;
use tidm_space::policy::truth::Truth;
use tidm_space::policy::usage::Use;

use super::spool;
use crate::app::App;
use crate::objects::Key;
use crate::store::excerpts::{self, Excerpt};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Whether such a use of these terms reads a copy of the contract's own. Queries see no hidden column as it is.
pub fn needed(terms: &Terms, kind: Use) -> bool {
    match kind {
        Use::SealedTable | Use::Plain => terms.cut(),
        Use::Query => terms.filtered() || terms.mark.is_some(),
        // Neither is signed with terms that cut rows or mark.
        Use::SealedFile | Use::Psi => false,
    }
}

/// Whether the product has what the terms' watermark needs. Terms that came back from a consumer were not held against
/// the product's columns when they were signed: a mark that cannot be set must not pass for one.
pub async fn markable(app: &App, contract: &Contract, terms: &Terms) -> anyhow::Result<bool> {
    let Some(mark) = &terms.mark else { return Ok(true) };
    let product = app.store.product(&contract.product).await?;
    let product = product.context("a contract without its product")?;
    let column = |name: &str| product.columns.iter().find(|it| it.name == name);
    let number =
        |name: &str| column(name).and_then(|it| kind_of(&it.data_type)) == Some(Kind::Number);
    Ok(mark.names().all(|it| column(it).is_some())
        && mark.columns.iter().all(|it| number(&it.column)))
}

/// The object that such a use of this contract reads.
pub async fn object(app: &App, contract: &Contract, kind: Use) -> anyhow::Result<String> {
    if let Some(it) = of(app, contract, kind).await? {
        return Ok(it.object);
    }
    let source = app.store.source(&contract.product).await?;
    Ok(source.context("a product without its source")?.object)
}

/// The copy that such a use of this contract reads, made at the first need; `None`: it reads the product itself.
pub async fn of(app: &App, contract: &Contract, kind: Use) -> anyhow::Result<Option<Excerpt>> {
    let terms =
        contract.terms().map_err(|_| anyhow::anyhow!("a contract that does not compile"))?;
    anyhow::ensure!(
        terms.unkeepable(kind).is_empty(),
        "a contract whose terms cannot be kept in such a use"
    );
    if !needed(&terms, kind) {
        return Ok(None);
    }
    anyhow::ensure!(
        markable(app, contract, &terms).await?,
        "the watermark's columns are not there"
    );
    if let Some(it) = app.store.excerpt(&contract.id).await? {
        anyhow::ensure!(!it.object.is_empty(), "the copy of an ended contract");
        return Ok(Some(it));
    }
    make(app, contract, terms).await.map(Some)
}

async fn make(app: &App, contract: &Contract, terms: Terms) -> anyhow::Result<Excerpt> {
    let source = app.store.source(&contract.product).await?;
    let source = source.context("a product without its source")?;
    let plain = spool::local(app, &source.object).await?;
    let out = spool::fresh(app, "excerpt")?;
    let is_marked = terms.mark.is_some();
    let marker = if is_marked {
        let root = mark_root(app).await?.context("the key of the marks is lost")?;
        Some(marker(&root, &contract.product, &contract.id))
    } else {
        None
    };
    let (plain_path, out_path) = (plain.path().to_owned(), out.path().to_owned());
    let done =
        tokio::task::spawn_blocking(move || write(&plain_path, &out_path, &terms, marker.as_ref()))
            .await??;
    // A name per run, as with seals: the first row stands.
    let object = format!(
        "excerpts/{}/{}",
        sha256(contract.id.as_str().as_bytes()),
        uuid::Uuid::now_v7().simple()
    );
    let file = tokio::fs::File::open(out.path()).await?;
    let put = app.objects.put(&Key::parse(&object)?, file, u64::MAX).await?;
    let row = Excerpt {
        contract: contract.id.clone(),
        object: object.clone(),
        bytes: put.bytes,
        digest: put.sha256,
        rows: done.rows,
        marked: is_marked.then_some(done.changed),
    };
    app.writer
        .note(move |conn| {
            let row = row.clone();
            Box::pin(async move { excerpts::save(conn, &row).await })
        })
        .await?;
    let stands =
        app.store.excerpt(&contract.id).await?.context("an excerpt that was saved is gone")?;
    if stands.object != object {
        app.objects.delete(&Key::parse(&object)?).await?;
    }
    anyhow::ensure!(!stands.object.is_empty(), "the copy of an ended contract");
    Ok(stands)
}

/// The contract ended: its copy is deleted, and what is known of it kept. One that is being made is deleted by its maker,
/// who finds this row before its own.
pub async fn erase(app: &App, contract: &Id) -> anyhow::Result<()> {
    let id = contract.clone();
    app.writer
        .note(move |conn| {
            let id = id.clone();
            Box::pin(async move { excerpts::bury(conn, &id).await })
        })
        .await?;
    let Some(it) = app.store.excerpt(contract).await? else { return Ok(()) };
    if it.object.is_empty() {
        return Ok(());
    }
    app.objects.erase(&Key::parse(&it.object)?).await?;
    let id = contract.clone();
    app.writer
        .note(move |conn| {
            let id = id.clone();
            Box::pin(async move { excerpts::forget_object(conn, &id).await })
        })
        .await?;
    Ok(())
}

/// What all marks are made from; `None`: it is lost, since there are marks and it is not there. Never another one then:
/// it would clear whoever leaked, and might blame others.
pub async fn mark_root(app: &App) -> anyhow::Result<Option<Secret<[u8; 32]>>> {
    if let Some(it) = app.keys.kept_mark_root()? {
        return Ok(Some(it));
    }
    if app.store.any_marked().await? {
        return Ok(None);
    }
    Ok(Some(app.keys.mark_root()?))
}

/// The marks of one contract over one product.
pub fn marker(root: &Secret<[u8; 32]>, product: &Id, contract: &Id) -> Marker {
    Marker::new(root, product.as_str(), contract.as_str())
}

fn write(
    plain: &Path,
    out: &Path,
    terms: &Terms,
    marker: Option<&Marker>,
) -> anyhow::Result<tidm_ingest::excerpt::Excerpt> {
    let limits = &terms.summary.limits;
    let mut reads: Vec<String> = vec![];
    reads.extend(limits.filter.iter().flat_map(Filter::columns).map(str::to_owned));
    reads.extend(terms.mark.iter().flat_map(Mark::names).map(str::to_owned));
    let keep = |row: Row<'_>| limits.filter.as_ref().is_none_or(|it| permitted(it, row));
    let marked = terms.mark.iter().flat_map(|it| &it.columns);
    let changes: Vec<String> = marked.map(|it| it.column.clone()).collect();
    let change = |column: &str, row: Row<'_>, value: Decimal| {
        let mark = terms.mark.as_ref()?;
        let step = mark.columns.iter().find(|it| it.column == column)?.step;
        marker?.marked(column, &row_key(mark, row), step.exponent(), value)
    };
    // Whose rows noise protects, the worker must know; nobody else gets that copy.
    let unit = limits.privacy.unit.iter().map(|it| it.column.clone());
    let columns = limits.columns.clone().map(|all| all.into_iter().chain(unit).collect());
    let columns = columns.as_ref();
    let cut = Cut { columns, reads: &reads, keep: &keep, changes: &changes, change: &change };
    Ok(excerpt(plain, out, &cut)?)
}

/// What tells this row from the others, as the terms say.
pub fn row_key(mark: &Mark, row: Row<'_>) -> RowKey {
    let mut key = RowKey::default();
    for column in &mark.key {
        let cell = row.cell(column);
        key.push(match cell {
            Cell::Exact { .. } | Cell::Double(_) | Cell::Single(_) => {
                cell.decimal().map_or(KeyCell::Null, KeyCell::Number)
            }
            Cell::Text(it) => KeyCell::Text(it),
            Cell::Flag(it) => KeyCell::Text(if it { "true" } else { "false" }),
            Cell::Date(it) => KeyCell::Moment(i64::from(it) * DAY),
            Cell::Moment { micros, .. } => KeyCell::Moment(micros),
            Cell::Null | Cell::Other => KeyCell::Null,
        });
    }
    key
}

/// Only what is known to fit: neither a missing value nor one of another kind does.
fn permitted(filter: &Filter, row: Row<'_>) -> bool {
    let cell = |name: &str| {
        Some(match row.cell(name) {
            Cell::Null | Cell::Other => return None,
            Cell::Exact { units, scale } => FilterCell::Exact { units, scale },
            Cell::Double(it) => FilterCell::Float(it),
            Cell::Single(it) => FilterCell::Float(f64::from(it)),
            Cell::Text(it) => FilterCell::Text(it),
            Cell::Flag(it) => FilterCell::Flag(it),
            Cell::Date(it) => FilterCell::Date(it),
            Cell::Moment { micros, zoned } => FilterCell::Moment { micros, zoned },
        })
    };
    filter.admits(cell) == Truth::Yes
}
