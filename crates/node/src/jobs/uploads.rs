//! Bytes that were sent ahead: gone once the call that they were for has used them, or a day later.
//!
//! Lists that are to be matched lie sealed ([`super::rest`]), all others as this node's own tables do. Never one that an open matching reads, and never anything but
//! uploads: an object without its row stays for who put it there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::objects::Key;
use crate::store::StoreError;
use crate::store::accounts::{self as rows, UploadRow};

/// How long an upload that nobody used is kept: a person comes back to it the next morning.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How often it is looked.
const LOOK: Duration = Duration::from_secs(60 * 60);
/// Uploads that are looked at together.
const TOGETHER: i64 = 1000;

pub async fn run(app: Arc<App>) {
    loop {
        match sweep(&app).await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "uploads that nobody used for a day are deleted"),
            Err(error) => tracing::warn!(%error, "old uploads cannot be looked for"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Deletes what is older than [`KEPT`]; how many.
///
/// # Errors
/// Where the store cannot be read.
pub async fn sweep(app: &App) -> Result<usize, StoreError> {
    let now = app.clock.now();
    let mut old = app.store.oldest_uploads(TOGETHER).await?;
    old.retain(|it| now.since(it.created) > KEPT);
    if old.is_empty() {
        return Ok(0);
    }
    let open = app.store.open_matchings(u32::MAX).await?;
    let read: BTreeSet<String> = open.into_iter().map(|it| it.record.object).collect();
    let mut gone = 0;
    for row in old.iter().filter(|it| !read.contains(&it.object)) {
        forget(app, &row.id, &row.object).await;
        gone += 1;
    }
    Ok(gone)
}

/// An upload serves once; what cannot be deleted now costs room, not rights.
pub async fn used_up(app: &App, row: &UploadRow) {
    forget(app, &row.id, &row.object).await;
}

pub(super) async fn forget(app: &App, id: &str, object: &str) {
    if let Ok(key) = Key::parse(object)
        && let Err(error) = app.objects.delete(&key).await
    {
        tracing::warn!(%error, id, "an upload stays behind");
        return;
    }
    let (name, id) = (id.to_owned(), id);
    let forgotten = app.writer.note(move |conn| {
        let name = name.clone();
        Box::pin(async move { rows::drop_upload(conn, &name).await })
    });
    if let Err(error) = forgotten.await {
        tracing::warn!(%error, id, "an upload's row stays behind");
    }
}
