//! Crawling: reads the catalogues of the space's members and keeps what they offer, for searching.
//!
//! Threat model: a catalogue may be huge, wrong, slow or hostile. Pages, entries and bytes are bounded, pages
//! stay at the provider's own address, and what an intermediary says of others is kept only under the
//! address that their own documents name: a token for them never goes anywhere else.
//!
//! A member that fails is tried again with growing pauses; its last good entries stay and show their age.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::identity::member::{Member, Role};
use tidm_space::time::Time;
use tidm_space::wire::dsp::catalog::{Catalog, CatalogRequest, Dataset, parse_catalog};
use tidm_space::wire::dsp::facets::Facets;

use crate::app::App;
use crate::net::auth;
use crate::store::catalogue::{self, Remote, drop_gone, save_remote, save_setting};
use crate::store::filter::{FacetCounts, Filter};

/// A provider's catalogue is read again this often.
const AGAIN: Duration = Duration::from_secs(60);
/// First pause after a failure; doubled each time.
const PAUSE: Duration = Duration::from_secs(15);
/// Longest pause after failures: a node that was down for a weekend is found within the hour.
const PAUSE_MOST: Duration = Duration::from_secs(3600);
/// How often the loop looks who is due.
const LOOK: Duration = Duration::from_secs(5);
/// Pages of one catalogue: 10,000 entries of our own page size, 100 times over.
const PAGES: usize = 10_000;
/// Entries kept of one catalogue; what is beyond is reported and left out.
const ENTRIES: usize = 200_000;
/// Rows written in one unit of work, so that others get their turn in between.
const ROWS: usize = 200;
/// Words of one search that are looked at; the rest is ignored.
const WORDS: usize = 8;
/// Results of one page of a search.
const FOUND: i64 = 50;

/// What crawling knows of one member; kept in the settings as `crawl <did>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Milliseconds since 1970.
    pub next: i64,
    pub failures: u32,
    /// When its catalogue was last read whole.
    pub ok: Option<i64>,
    pub entries: u64,
    pub error: Option<String>,
}

/// What one round came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    pub members: usize,
    pub failed: Vec<(Did, String)>,
    pub entries: u64,
}

/// Runs until dropped.
pub async fn run(app: Arc<App>) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(error) = round(&app, false).await {
            tracing::warn!(%error, "crawling failed; trying again");
        }
    }
}

/// Reads every member's catalogue now, whoever is due.
pub async fn crawl_once(app: &Arc<App>) -> anyhow::Result<Round> {
    round(app, true).await
}

/// How crawling stands with a member.
pub async fn health(app: &App, member: &Did) -> anyhow::Result<Health> {
    let text = app.store.setting(&setting(member)).await?;
    // A setting of an older form is as good as none.
    Ok(text.and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default())
}

fn setting(member: &Did) -> String {
    format!("crawl {member}")
}

async fn round(app: &Arc<App>, all: bool) -> anyhow::Result<Round> {
    let mut round = Round::default();
    let Some(list) = app.directory.members() else { return Ok(round) };
    let others = |it: &&Member| it.did != app.identity.did;
    let providers: Vec<Did> =
        list.in_role(Role::Provider).filter(others).map(|it| it.did.clone()).collect();
    let between: Vec<Did> = list
        .in_role(Role::Intermediary)
        .filter(others)
        .map(|it| it.did.clone())
        .filter(|it| !providers.contains(it))
        .collect();
    // Providers first: what they say themselves wins over what an intermediary says of them.
    for member in providers.iter().chain(&between) {
        let mut known = health(app, member).await?;
        let now = app.clock.now();
        if !all && known.next > now.ms() {
            continue;
        }
        round.members += 1;
        match one(app, member, &list.members).await {
            Ok(entries) => {
                known = Health {
                    next: now.after(AGAIN).ms(),
                    failures: 0,
                    ok: Some(now.ms()),
                    entries,
                    error: None,
                };
                round.entries += entries;
            }
            Err(error) => {
                let why = format!("{error:#}");
                tracing::info!(%member, %why, failures = known.failures + 1, "a catalogue could not be read");
                known.failures = known.failures.saturating_add(1);
                let pause = PAUSE
                    .saturating_mul(1 << known.failures.min(10).saturating_sub(1))
                    .min(PAUSE_MOST);
                known.next = now.after(pause).ms();
                known.error = Some(why.chars().take(500).collect());
                round.failed.push((member.clone(), why));
            }
        }
        let (name, value) = (setting(member), serde_json::to_string(&known)?);
        app.writer
            .note(move |conn| {
                let (name, value) = (name.clone(), value.clone());
                Box::pin(async move { save_setting(conn, &name, &value).await })
            })
            .await?;
    }
    metrics::gauge!("tidm_crawl_failed")
        .set(f64::from(u32::try_from(round.failed.len()).unwrap_or(u32::MAX)));
    Ok(round)
}

/// Reads one member's catalogue whole, then replaces what was known of it.
async fn one(app: &App, member: &Did, members: &[Member]) -> anyhow::Result<u64> {
    let base = app.directory.dsp_base(member).await?;
    let since = app.clock.now();
    let mut url = format!("{base}/catalog/request");
    let mut rows: Vec<Remote> = Vec::new();
    let mut seen_pages = BTreeSet::new();
    let mut nested: BTreeSet<String> = BTreeSet::new();
    for _ in 0..PAGES {
        anyhow::ensure!(seen_pages.insert(url.clone()), "its pages lead in a circle");
        let authorization = auth::speak(app, member);
        let body = CatalogRequest::default().to_json().to_string();
        let answer =
            app.client.call(reqwest::Method::POST, &url, Some(&authorization), Some(body)).await?;
        anyhow::ensure!(answer.status.is_success(), "{url} answers {}", answer.status);
        let catalog = parse_catalog(&answer.body)?;
        if catalog.unreadable > 0 {
            tracing::info!(%member, unreadable = catalog.unreadable, "some entries of a catalogue cannot be read");
        }
        keep(&mut rows, &catalog, member.as_str(), &base, since);
        for inner in &catalog.catalogs {
            others(app, inner, members, since, &mut rows, &mut nested).await;
        }
        if rows.len() >= ENTRIES {
            tracing::warn!(%member, "more than {ENTRIES} entries; the rest is left out");
            rows.truncate(ENTRIES);
            break;
        }
        match answer.link.as_deref().and_then(next_link) {
            Some(next) => url = same_origin(&url, &next).context("its next page is elsewhere")?,
            None => break,
        }
    }
    let entries = rows.len() as u64;
    for piece in rows.chunks(ROWS) {
        let piece = piece.to_vec();
        app.writer
            .note(move |conn| {
                let piece = piece.clone();
                Box::pin(async move { save_remote(conn, &piece).await })
            })
            .await?;
    }
    nested.insert(member.to_string());
    for provider in nested {
        app.writer
            .note(move |conn| {
                let provider = provider.clone();
                Box::pin(async move { drop_gone(conn, &provider, since).await })
            })
            .await?;
    }
    Ok(entries)
}

/// What an intermediary says of another participant: kept if we do not read that one ourselves, with the
/// address that its own document names.
async fn others(
    app: &App,
    inner: &Catalog,
    members: &[Member],
    since: Time,
    rows: &mut Vec<Remote>,
    nested: &mut BTreeSet<String>,
) {
    let Some(provider) = inner.participant.as_deref().and_then(|it| Did::parse(it).ok()) else {
        return;
    };
    let read_by_us = members
        .iter()
        .any(|it| it.did == provider && !it.cut && it.roles.contains(&Role::Provider));
    if provider == app.identity.did || (read_by_us && is_fresh(app, &provider).await) {
        return;
    }
    match app.directory.dsp_base(&provider).await {
        Ok(base) => {
            keep(rows, inner, provider.as_str(), &base, since);
            nested.insert(provider.to_string());
        }
        Err(why) => {
            tracing::info!(%provider, %why, "a participant named by an intermediary cannot be resolved");
        }
    }
}

/// Whether our own reading of a provider succeeded lately.
async fn is_fresh(app: &App, provider: &Did) -> bool {
    health(app, provider).await.is_ok_and(|it| it.failures == 0 && it.ok.is_some())
}

fn keep(rows: &mut Vec<Remote>, catalog: &Catalog, provider: &str, base: &str, seen: Time) {
    rows.extend(catalog.datasets.iter().map(|it| row(it, provider, base, seen)));
}

fn row(it: &Dataset, provider: &str, base: &str, seen: Time) -> Remote {
    let title = it.title.clone().unwrap_or_else(|| it.id.to_string());
    let search =
        [title.as_str(), it.description.as_deref().unwrap_or_default(), &it.keywords.join(" ")]
            .join("\n");
    let found = catalogue::Found {
        provider: provider.to_owned(),
        id: it.id.to_string(),
        address: base.to_owned(),
        title,
        search: search.to_lowercase(),
        seen,
        dataset: it.original.to_string(),
    };
    Remote { found, facets: Facets::of(it) }
}

/// The target of `rel="next"` in a `Link` header (RFC 8288 §3).
fn next_link(header: &str) -> Option<String> {
    header.split(',').find_map(|one| {
        let (target, parameters) = one.trim().strip_prefix('<')?.split_once('>')?;
        let next = parameters.split(';').any(|it| {
            let value = it.trim().strip_prefix("rel=").unwrap_or_default();
            value.trim_matches('"').split(' ').any(|word| word.eq_ignore_ascii_case("next"))
        });
        next.then(|| target.to_owned())
    })
}

/// The next page's address, if it is at the same scheme, host and port; it may be relative.
fn same_origin(current: &str, next: &str) -> Option<String> {
    let current = reqwest::Url::parse(current).ok()?;
    let next = current.join(next).ok()?;
    (next.origin() == current.origin()).then(|| next.to_string())
}

/// A search's words, in lower case.
pub fn words(text: &str) -> Vec<String> {
    text.split_whitespace().take(WORDS).map(str::to_lowercase).collect()
}

/// A page of what others offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub rows: Vec<catalogue::Found>,
    /// Pass it back for the next page.
    pub next: Option<String>,
    /// With the first page only: they are the same for all.
    pub facets: Option<FacetCounts>,
}

/// Products of others that are wanted; all for an empty filter.
///
/// # Errors
/// The store's.
pub async fn search(app: &App, wanted: &Filter, cursor: Option<&str>) -> anyhow::Result<Found> {
    let after = cursor.map(|it| read_cursor(it).context("not a cursor of ours")).transpose()?;
    let mut rows = app.store.remote(after.as_ref(), wanted, FOUND + 1).await?;
    let facets = match after {
        None => Some(app.store.facets(wanted).await?),
        Some(_) => None,
    };
    let most = usize::try_from(FOUND).unwrap_or(usize::MAX);
    let more = rows.len() > most;
    rows.truncate(most);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|it| URL_SAFE_NO_PAD.encode(format!("{} {}", it.provider, it.id)));
    Ok(Found { rows, next, facets })
}

/// (provider, id) of a cursor of ours.
pub fn read_cursor(text: &str) -> Option<(String, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (provider, id) = text.split_once(' ')?;
    Some((Did::parse(provider).ok()?.to_string(), Id::parse(id).ok()?.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_pages_are_found_and_stay_at_home() {
        for (header, next) in [
            ("<https://a.example/c?x=1>; rel=\"next\"", Some("https://a.example/c?x=1")),
            ("<https://a/p>; rel=\"previous\", <https://a/n>; rel=next", Some("https://a/n")),
            ("</c?x=2>; title=\"a\"; rel=\"last next\"", Some("/c?x=2")),
            ("<https://a/p>; rel=\"previous\"", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(next_link(header).as_deref(), next, "{header}");
        }
        let here = "https://a.example/dsp/catalog/request";
        assert_eq!(same_origin(here, "/c?x=2").as_deref(), Some("https://a.example/c?x=2"));
        for elsewhere in
            ["https://b.example/c", "http://a.example/c", "https://a.example:444/c", "//b.example/"]
        {
            assert_eq!(same_origin(here, elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn words_are_few_and_lower_case() {
        assert_eq!(words("  Bearing  轴承 "), ["bearing", "轴承"]);
        assert_eq!(words(&"a ".repeat(50)).len(), WORDS);
    }
}
