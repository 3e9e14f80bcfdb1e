//! Crawling: reads the catalogues of the space's members and keeps what they offer, for searching.
//!
//! How to ask a member and when, what an answer changes and whom to believe is decided by `tidm_space::catalog`; this
//! is the asking. A member that fails is marked and tried again with growing pauses; its last good entries stay.
//!
//! Threat model: a catalogue may be huge, wrong, slow or hostile. Pages, entries, bytes and time are bounded, pages
//! stay at the provider's own address, and what an intermediary says of others is kept only under the address that
//! their own documents name: a token for them never goes anywhere else. Members are read beside each other; who fails
//! or takes long shares a lane of its own ([`lane`]), so that the others are not held up.

mod keep;
mod lane;
mod pages;
mod read;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use tidm_space::catalog::reading::Standing;
use tidm_space::identity::did::Did;
use tidm_space::identity::member::{Member, Role};

use crate::app::App;
use crate::search;
use crate::store::standing::save_standing;
use lane::{Lane, Lanes};

/// How often the loop looks who is due.
const LOOK: Duration = Duration::from_secs(5);
/// One reading takes at most this long: 200,000 entries at a page of a hundred in a third of a second.
const READING: Duration = Duration::from_secs(900);

/// What runs.
#[derive(Default)]
pub struct Crawler {
    lanes: Lanes,
    /// One reading of a member at a time.
    members: Mutex<HashMap<Did, Arc<tokio::sync::Mutex<()>>>>,
}

/// What one round came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    pub members: usize,
    pub failed: Vec<(Did, String)>,
    /// Of all members that answered.
    pub entries: u64,
    /// Members whose catalogue was as before.
    pub unchanged: usize,
}

/// Runs until dropped.
pub async fn run(app: Arc<App>) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::time::sleep(LOOK).await;
        while under_way.try_join_next().is_some() {}
        match due(&app).await {
            Ok(due) => {
                for member in due {
                    let Ok(turn) = app.crawler.turn(&member.did).try_lock_owned() else { continue };
                    let app = app.clone();
                    under_way.spawn(async move {
                        drop(one(&app, &member).await);
                        drop(turn);
                    });
                }
            }
            Err(error) => tracing::warn!(%error, "who is due to be crawled cannot be read"),
        }
    }
}

impl Crawler {
    fn turn(&self, member: &Did) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(member.clone()).or_default().clone()
    }
}

/// Whose catalogues are read: providers first, since what they say themselves wins.
fn members(app: &App) -> Vec<Member> {
    let lists = app.directory.lists();
    let read = |it: &&Member| {
        let offers = |role| it.roles.contains(&role);
        !it.cut
            && it.did != app.identity.did
            && (offers(Role::Provider) || offers(Role::Intermediary))
    };
    // Who is a member of two spaces of ours is read once.
    let mut seen = HashSet::new();
    let all = lists.iter().flat_map(|it| &it.members).filter(read);
    let mut all: Vec<Member> = all.filter(|it| seen.insert(&it.did)).cloned().collect();
    all.sort_by_key(|it| !it.roles.contains(&Role::Provider));
    all
}

async fn due(app: &App) -> anyhow::Result<Vec<Member>> {
    let now = app.clock.now();
    let known = app.store.standings().await?;
    let is_due = |it: &Member| known.get(it.did.as_str()).is_none_or(|it| it.is_due(now));
    let failing = known.values().filter(|it| it.failures > 0).count();
    metrics::gauge!("tidm_crawl_failed").set(f64::from(u32::try_from(failing).unwrap_or(u32::MAX)));
    let mut all = members(app);
    forget_strangers(app, &all, known.keys()).await?;
    all.retain(is_due);
    Ok(all)
}

/// Who is no member any more offers nothing here.
async fn forget_strangers<'a>(
    app: &App,
    members: &[Member],
    known: impl Iterator<Item = &'a String>,
) -> anyhow::Result<()> {
    // Of a space whose list was not read yet nobody knows who its members are.
    let mut spaces = app.config.spaces().enumerate().filter(|(_, (list, ..))| list.is_some());
    if app.directory.lists().is_empty()
        || spaces.any(|(at, _)| app.directory.members_of(at).is_none())
    {
        return Ok(());
    }
    for gone in known.filter(|it| !members.iter().any(|member| member.did.as_str() == *it)) {
        let Ok(did) = Did::parse(gone) else { continue };
        tracing::info!(member = %did, "no member any more: what it offered is removed");
        keep::remove_missing(app, &did, &keep::Seen::default()).await?;
        app.writer
            .note(move |conn| {
                let did = did.clone();
                Box::pin(async move { crate::store::standing::forget(conn, &did).await })
            })
            .await?;
    }
    Ok(())
}

/// Reads every member's catalogue now, whoever is due; what was found can be searched when it returns.
pub async fn crawl_once(app: &Arc<App>) -> anyhow::Result<Round> {
    let mut round = Round::default();
    let (first, second): (Vec<Member>, Vec<Member>) =
        members(app).into_iter().partition(|it| it.roles.contains(&Role::Provider));
    for members in [first, second] {
        let mut readings = JoinSet::new();
        for member in members {
            let app = app.clone();
            readings.spawn(async move {
                let _turn = app.crawler.turn(&member.did).lock_owned().await;
                let done = one(&app, &member).await;
                (member.did, done)
            });
        }
        while let Some(joined) = readings.join_next().await {
            let (member, done) = joined?;
            round.members += 1;
            match done {
                Ok((standing, changed)) => {
                    round.entries += standing.entries;
                    round.unchanged += usize::from(!changed);
                }
                Err(why) => round.failed.push((member, why)),
            }
        }
    }
    search::catch_up(app).await?;
    Ok(round)
}

/// Reads one member's catalogue and keeps how it went; whether anything was there to read.
async fn one(app: &Arc<App>, member: &Member) -> Result<(Standing, bool), String> {
    let text = |why: &dyn std::fmt::Display| why.to_string();
    let known = app.store.standing(&member.did).await.map_err(|why| text(&why))?;
    let mut lane = Lane::enter(&app.crawler.lanes, known.failures > 0).await;
    let started = std::time::Instant::now();
    let reading = read::read(app, member, &known, &mut lane);
    let done = match tokio::time::timeout(READING, reading).await {
        Ok(done) => done.map_err(|why| format!("{why:#}")),
        Err(_) => Err(format!("reading took longer than {READING:?}")),
    };
    let now = app.clock.now();
    let (standing, outcome) = match done {
        Ok(read) => {
            let entries = read.entries.unwrap_or(known.entries);
            let standing = known.succeeded(now, read.whole, read.mark, entries);
            metrics::histogram!("tidm_crawl_seconds").record(started.elapsed().as_secs_f64());
            (standing.clone(), Ok((standing, read.entries.is_some())))
        }
        Err(why) => {
            let standing = known.failed(now, &why);
            tracing::info!(member = %member.did, %why, failures = standing.failures, "a catalogue could not be read");
            // Its address may have changed: look it up again the next time.
            app.directory.forget(&member.did);
            (standing, Err(why))
        }
    };
    let did = member.did.clone();
    app.writer
        .note(move |conn| {
            let (did, standing) = (did.clone(), standing.clone());
            Box::pin(async move { save_standing(conn, &did, &standing).await })
        })
        .await
        .map_err(|why| text(&why))?;
    outcome
}
