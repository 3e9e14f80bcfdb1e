//! Objects as local files, for engines that read files by descriptor.
//!
//! Never keeps a second copy longer than its user: a spooled file is deleted when its guard is dropped.

use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::app::App;
use crate::objects::Key;

/// A local file that holds an object's bytes.
pub struct Local {
    path: PathBuf,
    temporary: bool,
}

impl Local {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "a spooled file stays behind");
        }
    }
}

/// Below the node's own directory.
const FOLDER: &str = "work";

/// At start: what a process that was killed left behind. Only for who holds the directory.
pub fn sweep(data: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(data.join(FOLDER)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The folder for files under work, inside the node's own directory.
pub fn folder(app: &App) -> anyhow::Result<PathBuf> {
    let dir = app.config.node.data.join(FOLDER);
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// A fresh name in [`folder`], deleted when dropped.
pub fn fresh(app: &App, ending: &str) -> anyhow::Result<Local> {
    let path = folder(app)?.join(format!("{}.{ending}", uuid::Uuid::now_v7()));
    std::fs::File::create_new(&path)?;
    Ok(Local { path, temporary: true })
}

/// The object as a file: itself where objects are local files, else a spooled copy that is as old as the object, so that who
/// comes again knows it for the same.
pub async fn local(app: &App, object: &str) -> anyhow::Result<Local> {
    let key = Key::parse(object)?;
    if let Some(path) = app.objects.local_path(&key) {
        anyhow::ensure!(path.is_file(), "the object {object} is missing");
        return Ok(Local { path, temporary: false });
    }
    let written = app.objects.head(&key).await?.written;
    let file = fresh(app, "spool")?;
    let mut out = tokio::fs::File::create(file.path()).await?;
    let mut stream = app.objects.get(&key).await?;
    while let Some(piece) = stream.next().await {
        out.write_all(&piece?).await?;
    }
    out.flush().await?;
    out.into_std().await.set_modified(written)?;
    Ok(file)
}
