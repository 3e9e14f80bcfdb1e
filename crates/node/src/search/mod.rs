//! Searching what others offer: a full-text index beside the store, which follows the store's list of changes.
//!
//! The index is a cache. It holds nothing that the store does not; lost, damaged, of another version or of another
//! store, it is built again from the store's rows. A search shows rows of the store, so that what is gone there is
//! not shown even while the index is behind.
//!
//! Threat model: texts and facets are strangers'. Words are cut, values of a facet that are counted are bounded, and so
//! are the searches that run at a time; a search is a set of words and never a query language.

mod collect;
mod follow;
mod place;
mod write;

pub use follow::{catch_up, run};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tantivy::query::{AllQuery, BooleanQuery, Query, TermQuery};
use tantivy::schema::{IndexRecordOption, Value as _};
use tantivy::{DocAddress, Searcher, TantivyDocument, Term};
use tokio::sync::{Mutex, Semaphore};

use tidm_space::catalog::search::{FacetCounts, Filter};
use tidm_space::fault::Fault;

use crate::app::App;
use crate::store::remote::Found;
use collect::{Collect, Collected, Rank};
use place::Open;

/// Searches that run at a time; more wait. Each takes one core.
const AT_ONCE: usize = 4;

/// The index of a node; opened when it is first needed, so that a node without others' offers pays nothing.
pub struct Search {
    dir: PathBuf,
    open: RwLock<Option<Arc<Open>>>,
    /// Held by whoever brings the index up to date.
    writing: Mutex<()>,
    turns: Semaphore,
}

/// A page of what others offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Each with the cursor that leads behind it.
    pub rows: Vec<(Found, String)>,
    /// Pass it back for the next page.
    pub next: Option<String>,
    /// With the first page only: they are the same for all.
    pub facets: Option<FacetCounts>,
}

impl Search {
    /// In `dir`, which nothing else may use.
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            open: RwLock::default(),
            writing: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }

    fn opened(&self) -> Option<Arc<Open>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the next opening begin anew.
    fn discard(&self) {
        self.set(None);
        drop(std::fs::remove_file(self.dir.join("meta.json")));
    }

    fn set(&self, open: Option<Arc<Open>>) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = open;
    }
}

/// Whether a text is a cursor of ours.
pub fn is_cursor(text: &str) -> bool {
    read_cursor(text).is_some()
}

fn read_cursor(text: &str) -> Option<Rank> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (score, rest) = bytes.split_first_chunk::<4>()?;
    let (changed, place) = rest.split_first_chunk::<8>()?;
    let place = place.try_into().ok()?;
    Some(Rank {
        score: u32::from_be_bytes(*score),
        changed: u64::from_be_bytes(*changed),
        place: u64::from_be_bytes(place),
    })
}

fn write_cursor(it: Rank) -> String {
    let mut bytes = it.score.to_be_bytes().to_vec();
    bytes.extend(it.changed.to_be_bytes());
    bytes.extend(it.place.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What others offer and `wanted` asks for: the best match first, then the newest.
///
/// # Errors
/// [`Fault`] `catalog.currency` where a highest price names no currency and there are several.
pub async fn search(
    app: &Arc<App>,
    wanted: &Filter,
    cursor: Option<&str>,
    most: usize,
) -> anyhow::Result<Page> {
    let after = cursor.map(|it| read_cursor(it).context("not a cursor of ours")).transpose()?;
    let Some(found) = ask(app, settled(app, wanted).await?, after, most, after.is_none()).await?
    else {
        let facets = after.is_none().then(FacetCounts::default);
        return Ok(Page { rows: vec![], next: None, facets });
    };
    let keys: Vec<(String, String)> = found.keys.iter().map(|it| it.0.clone()).collect();
    let ranks: BTreeMap<(String, String), Rank> = found.keys.into_iter().collect();
    let rows = app.store.remote_of(&keys).await?.into_iter().filter_map(|it| {
        let rank = ranks.get(&(it.provider.clone(), it.id.clone()))?;
        Some((it, write_cursor(*rank)))
    });
    let rows = rows.collect();
    Ok(Page { rows, next: found.next.map(write_cursor), facets: found.facets })
}

/// The filter with the currency that its highest price is in.
async fn settled(app: &Arc<App>, wanted: &Filter) -> anyhow::Result<Filter> {
    let Some(most) = &wanted.max_price else { return Ok(wanted.clone()) };
    if most.currency.is_some() {
        return Ok(wanted.clone());
    }
    let open = Filter { max_price: None, ..wanted.clone() };
    let counts = ask(app, open, None, 1, true).await?.and_then(|it| it.facets).unwrap_or_default();
    // `none` and `unknown` are no currencies.
    let there: Vec<&str> =
        counts.price.iter().map(|it| it.0.as_str()).filter(|it| it.len() == 3).collect();
    Ok(Filter { max_price: Some(most.settled(&there)?), ..wanted.clone() })
}

struct Hits {
    keys: Vec<((String, String), Rank)>,
    next: Option<Rank>,
    facets: Option<FacetCounts>,
}

/// `None`: nothing is known of others.
async fn ask(
    app: &Arc<App>,
    wanted: Filter,
    after: Option<Rank>,
    most: usize,
    count: bool,
) -> anyhow::Result<Option<Hits>> {
    if app.search.opened().is_none() {
        catch_up(app).await?;
    }
    let Some(open) = app.search.opened() else { return Ok(None) };
    let _turn = app.search.turns.acquire().await?;
    let started = std::time::Instant::now();
    let of = wanted.clone();
    let hits = tokio::task::spawn_blocking(move || look(&open, &of, after, most, count)).await?;
    metrics::histogram!("tidm_search_seconds").record(started.elapsed().as_secs_f64());
    let why = match hits {
        Ok(hits) => return Ok(Some(hits)),
        Err(why) => why,
    };
    // Damaged after it was opened: it is only a cache.
    tracing::warn!(%why, "the search index cannot be read; it is built again");
    app.search.discard();
    catch_up(app).await?;
    let Some(open) = app.search.opened() else { return Ok(None) };
    tokio::task::spawn_blocking(move || look(&open, &wanted, after, most, count)).await?.map(Some)
}

fn look(
    open: &Open,
    wanted: &Filter,
    after: Option<Rank>,
    most: usize,
    count: bool,
) -> anyhow::Result<Hits> {
    let searcher = open.reader.searcher();
    let term = |word: &String| -> Box<dyn Query> {
        let term = Term::from_field_text(open.fields.text, word);
        Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
    };
    let query: Box<dyn Query> = match wanted.words.as_slice() {
        [] => Box::new(AllQuery),
        words => Box::new(BooleanQuery::intersection(words.iter().map(term).collect())),
    };
    let collect = Collect { wanted: wanted.clone(), after, most: most + 1, count };
    let Collected { mut best, facets } = searcher.search(&query, &collect)?;
    let more = best.len() > most;
    best.truncate(most);
    let next = best.last().filter(|_| more).map(|(rank, _)| *rank);
    let key =
        |(rank, address): &(Rank, DocAddress)| Ok((key_of(open, &searcher, *address)?, *rank));
    let keys = best.iter().map(key);
    Ok(Hits { keys: keys.collect::<anyhow::Result<_>>()?, next, facets })
}

fn key_of(
    open: &Open,
    searcher: &Searcher,
    address: DocAddress,
) -> anyhow::Result<(String, String)> {
    let doc: TantivyDocument = searcher.doc(address)?;
    let key = doc.get_first(open.fields.key).and_then(|it| it.as_str().map(str::to_owned));
    let key = key.context("an indexed entry has no key")?;
    let (provider, id) = key.split_once(' ').context("a key of the index is damaged")?;
    Ok((provider.to_owned(), id.to_owned()))
}

/// Whether a failure is the caller's.
pub fn blame(error: anyhow::Error) -> Result<Fault, anyhow::Error> {
    error.downcast::<Fault>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_travel() {
        let rank = Rank { score: 7, changed: u64::MAX, place: 9 };
        assert_eq!(read_cursor(&write_cursor(rank)), Some(rank));
        for bad in ["", "!", "eA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(!is_cursor(bad), "{bad}");
        }
    }
}
