//! Keeping what a page said: what is known is looked up, `tidm_space::catalog::merge` decides, the rest is written.
//!
//! Never the whole of a catalogue in memory: of entries that were seen only a number stays.

use std::collections::{BTreeMap, BTreeSet};

use tidm_crypto::hash::sha256;
use tidm_space::catalog::entry::{Entry, Provenance};
use tidm_space::catalog::merge::{Verdict, Word, is_gone, verdict};
use tidm_space::identity::did::Did;
use tidm_space::time::Time;

use crate::app::App;
use crate::store::remote::{self, Kept, Kind};

/// Rows written in one unit of work, so that others get their turn in between.
const ROWS: usize = 200;
/// Entries looked at in one go when those that are gone are sought.
const TRACED: i64 = 1000;

/// Entries that a reading showed; eight bytes each.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeSet<u64>);

impl Seen {
    fn number(provider: &str, id: &str) -> u64 {
        // Two entries of one number among 200,000: once in a billion readings, and healed by the next change.
        let digest = sha256(format!("{provider} {id}").as_bytes());
        digest.as_bytes().first_chunk::<8>().map_or(0, |it| u64::from_be_bytes(*it))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Shown, whatever becomes of it.
    pub(super) fn add(&mut self, provider: &str, id: &str) {
        self.0.insert(Self::number(provider, id));
    }

    fn has(&self, provider: &str, id: &str) -> bool {
        self.0.contains(&Self::number(provider, id))
    }
}

/// Whose entries a page shows, and how we know.
pub(super) struct Source<'a> {
    pub provider: &'a Did,
    pub via: &'a Did,
    /// The provider's DSP base.
    pub address: &'a str,
    /// The address that was asked.
    pub request: &'a str,
    pub word: Word,
}

/// Keeps the entries of one page.
pub(super) async fn entries(
    app: &App,
    from: &Source<'_>,
    said: Vec<Entry>,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    // Of an id that is there twice the last one counts.
    let mut all: BTreeMap<String, Entry> = BTreeMap::new();
    for it in said {
        seen.add(from.provider.as_str(), it.id.as_str());
        all.insert(it.id.to_string(), it);
    }
    let ids: Vec<&str> = all.keys().map(String::as_str).collect();
    let known = app.store.known(from.provider, &ids).await?;
    let now = app.clock.now();
    let kept = |(id, entry): (String, Entry)| {
        let announce = match verdict(known.get(&id), &entry.digest, from.word) {
            Verdict::Add => Some(Kind::New),
            Verdict::Replace => Some(Kind::Changed),
            Verdict::Adopt => None,
            Verdict::Keep | Verdict::Ignore => return None,
        };
        let provenance = Provenance {
            provider: from.provider.clone(),
            via: from.via.clone(),
            changed: now,
            request: from.request.to_owned(),
        };
        Some(Kept { entry, from: provenance, address: from.address.to_owned(), announce })
    };
    let kept: Vec<Kept> = all.into_iter().filter_map(kept).collect();
    for rows in kept.chunks(ROWS) {
        let rows: Vec<Kept> = rows.to_vec();
        app.writer
            .note(move |conn| {
                let rows = rows.clone();
                Box::pin(async move { remote::save_entries(conn, &rows, now).await })
            })
            .await?;
    }
    if !kept.is_empty() {
        app.changed.send_replace(());
    }
    Ok(())
}

/// Removes entries by name.
pub(super) async fn remove(app: &App, keys: Vec<(String, String)>) -> anyhow::Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let now: Time = app.clock.now();
    for keys in keys.chunks(ROWS) {
        let keys = keys.to_vec();
        app.writer
            .note(move |conn| {
                let keys = keys.clone();
                Box::pin(async move { remote::remove_entries(conn, &keys, now).await })
            })
            .await?;
    }
    app.changed.send_replace(());
    Ok(())
}

/// Removes what a whole reading of `via`'s catalogue did not show any more.
pub(super) async fn remove_missing(app: &App, via: &Did, seen: &Seen) -> anyhow::Result<()> {
    let mut after: Option<(String, String)> = None;
    loop {
        let rows = app.store.traced(via, after.as_ref(), TRACED).await?;
        let Some((provider, id, _)) = rows.last() else { return Ok(()) };
        after = Some((provider.clone(), id.clone()));
        let gone = rows.into_iter().filter(|(provider, id, from)| {
            is_gone(provider == via.as_str(), from == via.as_str()) && !seen.has(provider, id)
        });
        remove(app, gone.map(|(provider, id, _)| (provider, id)).collect()).await?;
    }
}
