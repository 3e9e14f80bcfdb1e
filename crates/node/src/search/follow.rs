//! Keeping the index where the store is: following its changes, or beginning again from its rows.
//!
//! Never trusts an index to be of this store: the change it has come to must be the store's.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::place::{Open, Progress};
use super::write::Writer;
use crate::app::App;
use crate::store::remote::{CHANGES_KEPT, forget_changes};

/// Changes made by other replicas ring no bell here.
const LOOK: Duration = Duration::from_secs(5);
/// Rows read at a time.
const ROWS: i64 = 2000;
/// Entries of one commit: a commit waits for the disk.
const BATCH: usize = 20_000;
/// After a change this long for more to come, so that a crawl is not thousands of commits.
const GATHER: Duration = Duration::from_millis(500);

/// Follows until dropped.
pub async fn run(app: Arc<App>) {
    let mut bell = app.changed.subscribe();
    loop {
        // The sender is in the app, so it does not end before us.
        drop(tokio::time::timeout(LOOK, bell.changed()).await);
        tokio::time::sleep(GATHER).await;
        if let Err(error) = catch_up(&app).await {
            tracing::warn!(%error, "the search index is behind; trying again");
        }
    }
}

/// Brings the index to where the store is now.
pub async fn catch_up(app: &Arc<App>) -> anyhow::Result<()> {
    let _turn = app.search.writing.lock().await;
    let head = app.store.heads().await?.others;
    let open = match app.search.opened() {
        Some(open) => open,
        // Nothing was ever known of others: no index, no memory for one.
        None if head == 0 && app.store.remote(None, 1).await?.is_empty() => return Ok(()),
        None => {
            let dir = app.search.dir.clone();
            Arc::new(tokio::task::spawn_blocking(move || Open::at(&dir)).await??)
        }
    };
    let result = match usable(app, &open).await? {
        Some(progress) if progress.seq == head => Ok(open),
        Some(progress) => follow(app, open, progress).await,
        None => rebuild(app).await,
    };
    match result {
        Ok(open) => {
            app.search.set(Some(open));
            forget(app).await
        }
        Err(error) => {
            // Opened anew the next time, and built again if that fails.
            app.search.set(None);
            Err(error)
        }
    }
}

/// Where the index stands, if it is of this store and nothing that it lacks was forgotten.
async fn usable(app: &App, open: &Open) -> anyhow::Result<Option<Progress>> {
    let Some(progress) = open.progress()? else { return Ok(None) };
    let head = app.store.heads().await?.others;
    let first = app.store.changes_kept().await?.map_or(head + 1, |it| it.0);
    if progress.seq > head || first > progress.seq + 1 {
        return Ok(None);
    }
    Ok((mark(app, progress.seq).await? == progress.mark).then_some(progress))
}

async fn mark(app: &App, seq: i64) -> anyhow::Result<String> {
    Ok(app.store.change_mark(seq).await?.unwrap_or_default())
}

async fn blocking<T: Send + 'static>(
    it: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(it).await.context("the index's writer ended")?
}

async fn follow(app: &Arc<App>, open: Arc<Open>, from: Progress) -> anyhow::Result<Arc<Open>> {
    let of = open.clone();
    let mut writer = blocking(move || Writer::new(of)).await?;
    let (mut at, mut waiting) = (from.seq, 0);
    loop {
        let changes = app.store.changes(at, ROWS).await?;
        let last = changes.last().map(|it| it.seq);
        waiting += changes.len();
        writer = blocking(move || writer.follow(&changes).map(|()| writer)).await?;
        at = last.unwrap_or(at);
        if waiting >= BATCH || (last.is_none() && waiting > 0) {
            let to = Progress { seq: at, mark: mark(app, at).await? };
            writer = blocking(move || writer.commit(&to).map(|()| writer)).await?;
            waiting = 0;
        }
        if last.is_none() {
            blocking(move || writer.finish()).await?;
            return Ok(open);
        }
    }
}

async fn rebuild(app: &Arc<App>) -> anyhow::Result<Arc<Open>> {
    let began = std::time::Instant::now();
    app.search.set(None);
    // What changes while the rows are read is followed afterwards.
    let seq = app.store.heads().await?.others;
    let dir = app.search.dir.clone();
    let open = blocking(move || Ok(Arc::new(Open::fresh(&dir)?))).await?;
    let of = open.clone();
    let mut writer = blocking(move || Writer::new(of)).await?;
    let (mut after, mut entries) = (None, 0);
    loop {
        let rows = app.store.indexed(after.as_ref(), ROWS).await?;
        let Some(last) = rows.last() else { break };
        after = Some((last.provider.clone(), last.id.clone()));
        entries += rows.len();
        writer = blocking(move || writer.add(&rows).map(|()| writer)).await?;
    }
    let to = Progress { seq, mark: mark(app, seq).await? };
    let from = to.clone();
    blocking(move || {
        writer.commit(&to)?;
        writer.finish()
    })
    .await?;
    tracing::info!(entries, took = ?began.elapsed(), "the search index was built from the store");
    // An entry that came while the rows were read may be there already: taken out before it is added again.
    after_rebuild(app, open, from).await
}

/// As [`follow`], with every change taken for one of an entry that may be there.
async fn after_rebuild(
    app: &Arc<App>,
    open: Arc<Open>,
    from: Progress,
) -> anyhow::Result<Arc<Open>> {
    let mut at = from.seq;
    loop {
        let mut changes = app.store.changes(at, ROWS).await?;
        let Some(last) = changes.last().map(|it| it.seq) else { return Ok(open) };
        for it in &mut changes {
            if it.kind == crate::store::remote::Kind::New {
                it.kind = crate::store::remote::Kind::Changed;
            }
        }
        let (of, to) = (open.clone(), Progress { seq: last, mark: mark(app, last).await? });
        blocking(move || {
            let mut writer = Writer::new(of)?;
            writer.follow(&changes)?;
            writer.commit(&to)?;
            writer.finish()
        })
        .await?;
        at = last;
    }
}

/// Changes that nobody can ask for any more.
async fn forget(app: &App) -> anyhow::Result<()> {
    let Some((first, last)) = app.store.changes_kept().await? else { return Ok(()) };
    let up_to = last - CHANGES_KEPT;
    // A tenth at a time, not a row for each that comes.
    if first + CHANGES_KEPT / 10 < up_to {
        app.writer
            .note(move |conn| Box::pin(async move { forget_changes(conn, up_to).await }))
            .await?;
    }
    Ok(())
}
