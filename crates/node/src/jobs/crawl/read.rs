//! Reading one member's catalogue: what changed, where it can say that, else page by page.
//!
//! Never a page after the bound, and nothing is taken for gone unless everything was read.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::Context as _;
use reqwest::{Method, StatusCode};

use tidm_space::catalog::entry::Entry;
use tidm_space::catalog::merge::Word;
use tidm_space::catalog::reading::{Ask as How, Mark, Standing};
use tidm_space::identity::did::Did;
use tidm_space::identity::member::{Member, Role};
use tidm_space::wire::dsp::catalog::{Catalog, CatalogRequest, parse_catalog};
use tidm_space::wire::tidm::changes;

use super::keep::{self, Seen, Source};
use super::lane::Lane;
use super::pages::{next_link, same_origin};
use crate::app::App;
use crate::net::auth;
use crate::net::client::{Answer, Ask};
use crate::net::directory::Place;

/// Pages of one catalogue: the smallest of pages, ten entries each.
const PAGES: usize = 20_000;
/// Entries kept of one catalogue; what is beyond is reported and left out.
const ENTRIES: usize = 200_000;

/// Participants named by an intermediary that cannot be found, after which no more are looked up.
const UNRESOLVED: usize = 20;

/// What a reading came to.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Everything was read.
    pub whole: bool,
    pub mark: Option<Mark>,
    /// How many it offers; `None`: nothing changed.
    pub entries: Option<u64>,
}

pub(super) async fn read(
    app: &App,
    member: &Member,
    known: &Standing,
    lane: &mut Lane,
) -> anyhow::Result<Read> {
    let place = app.directory.place(&member.did).await?;
    // Changes are of own offers; an intermediary's catalogue holds those of others, too.
    let profile = place.profile.is_some() && !member.roles.contains(&Role::Intermediary);
    let reading = Reading { app, member, place: &place, unresolved: AtomicUsize::new(0) };
    let now = app.clock.now();
    let since = match known.ask(profile, now) {
        How::Pages(tag) => return reading.pages(tag, known, lane).await,
        How::All => None,
        How::Since(revision) => Some(revision),
    };
    match reading.changes(since, lane).await? {
        Changed::Read(read) => Ok(read),
        // Set back to a backup, or of a version that cannot say what changed.
        Changed::Restored => match reading.changes(None, lane).await? {
            Changed::Read(read) => Ok(read),
            Changed::Restored | Changed::Unknown => reading.pages(None, known, lane).await,
        },
        Changed::Unknown => reading.pages(None, known, lane).await,
    }
}

/// How asking for changes ended.
enum Changed {
    Read(Read),
    /// It never had that revision.
    Restored,
    /// It does not know the question.
    Unknown,
}

struct Reading<'a> {
    app: &'a App,
    member: &'a Member,
    place: &'a Place,
    /// Participants whose address could not be found: each may have taken seconds.
    unresolved: AtomicUsize,
}

impl Reading<'_> {
    async fn ask(&self, method: Method, url: &str, it: Ask<'_>) -> anyhow::Result<Answer> {
        let authorization = auth::speak(self.app, &self.member.did);
        Ok(self
            .app
            .client
            .ask(method, url, Ask { authorization: authorization.as_deref(), ..it })
            .await?)
    }

    fn source<'a>(&'a self, request: &'a str) -> Source<'a> {
        let did = &self.member.did;
        Source { provider: did, via: did, address: &self.place.dsp, request, word: Word::Own }
    }

    /// What changed since a revision, or everything.
    async fn changes(&self, since: Option<u64>, lane: &mut Lane) -> anyhow::Result<Changed> {
        let base = self.place.profile.as_deref().context("it does not speak our profile")?;
        let (mut at, mut seen, mut gone_some, mut read) =
            (since.unwrap_or(0), Seen::default(), false, 0);
        loop {
            lane.keep_pace().await;
            let url = format!("{base}{}?since={at}", changes::PATH);
            // Only the first question can be answered with "nothing".
            let tag = since.filter(|it| *it == at).map(changes::tag);
            let ask = Ask { if_none_match: tag.as_deref(), ..Ask::default() };
            let answer = self.ask(Method::GET, &url, ask).await?;
            match answer.status {
                StatusCode::NOT_MODIFIED => {
                    return Ok(Changed::Read(Read {
                        mark: Some(Mark::Revision(at)),
                        ..Read::default()
                    }));
                }
                StatusCode::CONFLICT => return Ok(Changed::Restored),
                StatusCode::NOT_FOUND => return Ok(Changed::Unknown),
                status => anyhow::ensure!(status.is_success(), "{url} answers {status}"),
            }
            let page = changes::read_page(&answer.body)?;
            self.report_unreadable(page.unreadable);
            anyhow::ensure!(!page.more || page.revision > at, "its changes lead in a circle");
            read += page.datasets.len();
            let entries: Vec<Entry> = page.datasets.iter().map(Entry::of).collect();
            keep::entries(self.app, &self.source(&url), entries, &mut seen).await?;
            gone_some |= !page.gone.is_empty();
            let did = self.member.did.as_str();
            let gone = page.gone.into_iter().map(|id| (did.to_owned(), id.to_string()));
            keep::remove(self.app, gone.collect()).await?;
            at = page.revision;
            if !page.more {
                break;
            }
            if read >= ENTRIES {
                tracing::warn!(member = %self.member.did, "more than {ENTRIES} entries; the rest is left out");
                break;
            }
        }
        let mark = Some(Mark::Revision(at));
        if since.is_none() {
            keep::remove_missing(self.app, &self.member.did, &seen).await?;
            return Ok(Changed::Read(Read { whole: true, mark, entries: Some(seen.len() as u64) }));
        }
        let entries = if seen.len() > 0 || gone_some {
            Some(self.app.store.entries_via(&self.member.did).await?)
        } else {
            None
        };
        Ok(Changed::Read(Read { whole: false, mark, entries }))
    }

    /// Everything by DSP, unless it still has the tag.
    async fn pages(
        &self,
        tag: Option<&str>,
        known: &Standing,
        lane: &mut Lane,
    ) -> anyhow::Result<Read> {
        let mut url = format!("{}/catalog/request", self.place.dsp);
        let (mut seen, mut visited) = (Seen::default(), BTreeSet::new());
        let mut mark = None;
        for page in 0..PAGES {
            lane.keep_pace().await;
            anyhow::ensure!(visited.insert(url.clone()), "its pages lead in a circle");
            let ask = Ask {
                json: Some(CatalogRequest::default().to_json().to_string()),
                if_none_match: tag.filter(|_| page == 0),
                ..Ask::default()
            };
            let answer = self.ask(Method::POST, &url, ask).await?;
            // To a POST the right answer is 412 (RFC 9110 §13.1.2); some send 304.
            let same = [StatusCode::PRECONDITION_FAILED, StatusCode::NOT_MODIFIED];
            if page == 0 && tag.is_some() && same.contains(&answer.status) {
                return Ok(Read { mark: known.mark.clone(), ..Read::default() });
            }
            anyhow::ensure!(answer.status.is_success(), "{url} answers {}", answer.status);
            if page == 0 {
                mark = answer.tag.clone().map(Mark::Tag);
            }
            let catalog = parse_catalog(&answer.body)?;
            self.report_unreadable(catalog.unreadable);
            let entries = catalog.datasets.iter().map(Entry::of).collect();
            keep::entries(self.app, &self.source(&url), entries, &mut seen).await?;
            for inner in &catalog.catalogs {
                self.others(inner, &url, &mut seen).await?;
            }
            let next = answer.link.as_deref().and_then(next_link);
            if seen.len() >= ENTRIES && next.is_some() {
                tracing::warn!(member = %self.member.did, "more than {ENTRIES} entries; the rest is left out");
                return Ok(Read { whole: true, mark: None, entries: Some(seen.len() as u64) });
            }
            match next {
                Some(next) => {
                    url = same_origin(&url, &next).context("its next page is elsewhere")?;
                }
                None => {
                    keep::remove_missing(self.app, &self.member.did, &seen).await?;
                    return Ok(Read { whole: true, mark, entries: Some(seen.len() as u64) });
                }
            }
        }
        anyhow::bail!("more than {PAGES} pages")
    }

    fn report_unreadable(&self, unreadable: usize) {
        if unreadable > 0 {
            tracing::info!(member = %self.member.did, unreadable, "some entries of a catalogue cannot be read");
        }
    }

    /// What an intermediary says of another participant: kept if we do not read that one ourselves, with the
    /// address that its own documents name.
    async fn others(&self, inner: &Catalog, request: &str, seen: &mut Seen) -> anyhow::Result<()> {
        let app = self.app;
        let Some(provider) = inner.participant.as_deref().and_then(|it| Did::parse(it).ok()) else {
            return Ok(());
        };
        if provider == app.identity.did || provider == self.member.did {
            return Ok(());
        }
        let listed = app.directory.listed(&provider);
        if listed.as_ref().is_some_and(|it| it.cut) {
            return Ok(());
        }
        let by_us = listed.is_some_and(|it| it.roles.contains(&Role::Provider));
        let standing =
            if by_us { app.store.standing(&provider).await? } else { Standing::default() };
        let word = Word::Passed { fresh: standing.failures == 0 && standing.ok.is_some() };
        if word == (Word::Passed { fresh: true }) {
            return Ok(());
        }
        // It is still offered, as far as we know, also if its address cannot be found now.
        for it in &inner.datasets {
            seen.add(provider.as_str(), it.id.as_str());
        }
        if self.unresolved.load(Relaxed) >= UNRESOLVED {
            return Ok(());
        }
        match app.directory.dsp_base(&provider).await {
            Ok(address) => {
                let via = &self.member.did;
                let from = Source { provider: &provider, via, address: &address, request, word };
                keep::entries(app, &from, inner.datasets.iter().map(Entry::of).collect(), seen)
                    .await
            }
            Err(why) => {
                self.unresolved.fetch_add(1, Relaxed);
                tracing::info!(%provider, %why, "a participant named by an intermediary cannot be resolved");
                Ok(())
            }
        }
    }
}
