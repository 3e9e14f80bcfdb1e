//! What an attempt moved so far, in a file beside its journal: a node that was killed finds it when it starts again, so that the list
//! of what left this node knows of attempts whose end nobody could write down.
//!
//! Written at most once a second, and not synced: after a kill what the last second moved is missing, after a loss of power
//! more. So what is found is a least, and shown as one. Kinds and bytes only; never a word of a list.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tidm_compute::job::limits::MAX_MOVED_BYTES;
use tidm_compute::job::progress::{Moved, Traffic, believed};

/// How long it waits between two writings: what a kill may take.
const PAUSE: Duration = Duration::from_secs(1);
/// A file of so many bytes is none of ours: there are some forty kinds.
const MOST: u64 = 1 << 16;

/// Under which name bytes of tables count, which this node moves itself.
pub(super) const TABLE: &str = "table";

/// Of one attempt.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Found {
    pub(super) attempt: u32,
    pub(super) traffic: Traffic,
}

pub(super) struct Tally {
    path: PathBuf,
    attempt: u32,
    written: Option<Instant>,
}

impl Tally {
    pub(super) fn new(folder: &Path, attempt: u32) -> Self {
        Self { path: path(folder), attempt, written: None }
    }

    /// Whether it is time to write again.
    pub(super) fn is_due(&self) -> bool {
        self.written.is_none_or(|it| it.elapsed() >= PAUSE)
    }

    /// Replaces what stands there.
    pub(super) fn write(&mut self, traffic: Traffic) {
        self.written = Some(Instant::now()).filter(|_| !traffic.is_empty());
        let found = Found { attempt: self.attempt, traffic };
        let passing = self.path.with_extension("new");
        let written = serde_json::to_vec(&found)
            .map_err(io::Error::other)
            .and_then(|bytes| fs::write(&passing, bytes))
            .and_then(|()| fs::rename(&passing, &self.path));
        if let Err(error) = written {
            tracing::warn!(%error, "what a matching moves cannot be written down");
        }
    }
}

/// What the last attempt wrote that ran in this folder. Its process may write there, too.
pub(super) fn found(folder: &Path) -> Option<Found> {
    let file = fs::File::open(path(folder)).ok()?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).ok()?;
    let Found { attempt, mut traffic } = serde_json::from_slice(&bytes).ok()?;
    let bounded = |of: u64| of.min(MAX_MOVED_BYTES);
    let table = traffic.remove(TABLE);
    let table = table
        .map(|Moved { sent, received }| Moved { sent: bounded(sent), received: bounded(received) });
    let (mut traffic, _) = believed(traffic);
    traffic.extend(table.map(|it| (TABLE.to_owned(), it)));
    Some(Found { attempt, traffic })
}

fn path(folder: &Path) -> PathBuf {
    folder.join("moved")
}

#[cfg(test)]
mod tests {
    use tidm_compute::job::progress::UNKNOWN;

    use super::*;

    #[test]
    fn what_was_written_last_is_found_and_nonsense_is_not() {
        let dir = tempfile::tempdir().unwrap();
        assert!(found(dir.path()).is_none());
        let mut tally = Tally::new(dir.path(), 3);
        for sent in [1, 2] {
            let moved = Moved { sent, received: 7 };
            assert_eq!(tally.is_due(), sent == 1);
            tally.write(Traffic::from([("okvs".to_owned(), moved)]));
        }
        let it = found(dir.path()).unwrap();
        assert_eq!((it.attempt, it.traffic["okvs"].sent), (3, 2));
        let of = |kind: &str| (kind.to_owned(), Moved { sent: 5, received: u64::MAX });
        tally.write(Traffic::from(["okvs", "made up", TABLE].map(of)));
        let it = found(dir.path()).unwrap().traffic;
        let found_of: Vec<_> = it.iter().map(|(kind, it)| (kind.as_str(), *it)).collect();
        let bounded = Moved { sent: 5, received: MAX_MOVED_BYTES };
        assert_eq!(found_of, ["okvs", TABLE, UNKNOWN].map(|kind| (kind, bounded)));
        for nonsense in [&b""[..], b"{}", b"[1", &[b' '; 1 << 17]] {
            fs::write(path(dir.path()), nonsense).unwrap();
            assert!(found(dir.path()).is_none());
        }
    }
}
