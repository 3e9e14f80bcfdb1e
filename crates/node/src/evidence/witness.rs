//! This node as a custodian: cosigns the heads of others' logs (C2SP tlog-witness, server side).
//!
//! Threat model: requests come from anyone, and two for the same log at once. The last head is replaced
//! under a lock and durable before the answer leaves, so a witness that crashes never cosigns less
//! than it did. A damaged state file is an error, never "nothing seen yet".
//!
//! Blocking: call from a blocking thread. The decision itself is `tidm_ledger::witness::decide`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tidm_ledger::checkpoint::SignedCheckpoint;
use tidm_ledger::note::{NoteError, NoteSigner, SignatureLine, VerifierKey};
use tidm_ledger::tree::{Hash, sha256};
use tidm_ledger::witness::{self, AddCheckpoint, CONFLICT_CONTENT_TYPE, LogEntry};

use super::custodians::Answer;
use super::limits::WITNESSED_LOGS;
use super::row::replace;

#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Io(PathBuf, io::Error),
    #[error("{path} is damaged: restore it; a witness that forgets would vouch for a fork", path = .0.display())]
    Damaged(PathBuf),
    #[error("at most {WITNESSED_LOGS} logs can be watched")]
    TooMany,
    #[error(transparent)]
    Signer(#[from] NoteError),
}

/// The watched logs and what was cosigned for each.
pub struct Witness {
    dir: PathBuf,
    signer: NoteSigner,
    logs: BTreeMap<String, Log>,
}

struct Log {
    entry: LogEntry,
    /// Held from reading the last head until the next is durable.
    lock: Mutex<()>,
}

impl Witness {
    /// Watches the logs of `keys` (each key's name is its log's origin), with state in `dir`.
    pub fn open(
        dir: &Path,
        signer: NoteSigner,
        keys: Vec<VerifierKey>,
    ) -> Result<Self, WitnessError> {
        if keys.len() > WITNESSED_LOGS {
            return Err(WitnessError::TooMany);
        }
        fs::create_dir_all(dir).map_err(|e| WitnessError::Io(dir.to_owned(), e))?;
        let mut logs: BTreeMap<String, Log> = BTreeMap::new();
        for key in keys {
            let origin = key.name().to_owned();
            let log = logs.entry(origin.clone()).or_insert_with(|| Log {
                entry: LogEntry { origin, keys: Vec::new() },
                lock: Mutex::new(()),
            });
            log.entry.keys.push(key);
        }
        Ok(Self { dir: dir.to_owned(), signer, logs })
    }

    /// `POST /add-checkpoint`. `now` is Unix seconds. An `Err` is a 500 and means that nothing was cosigned.
    pub fn add_checkpoint(&self, body: &[u8], now: u64) -> Result<Answer, WitnessError> {
        let Ok(request) = AddCheckpoint::parse(body) else { return Ok(plain(400)) };
        let origin = request.checkpoint.checkpoint().origin();
        let Some(log) = self.logs.get(origin) else { return Ok(plain(404)) };
        let _held = log.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.last(origin)?;
        let said = witness::decide(Some(&log.entry), last, &request, now);
        match &said {
            witness::Answer::Cosign { time, .. } => {
                let line = witness::cosign(&self.signer, *time, &request)?;
                self.persist(origin, &request.checkpoint, &line)?;
                Ok(Answer { status: 200, media_type: "text/plain".into(), body: line.into_bytes() })
            }
            witness::Answer::Conflict { .. } => Ok(Answer {
                status: said.status(),
                media_type: CONFLICT_CONTENT_TYPE.into(),
                body: said.conflict_body().unwrap_or_default().into_bytes(),
            }),
            witness::Answer::Unprocessable => {
                // May be the proof of a fork: worth keeping in the log of this node.
                tracing::warn!(
                    origin,
                    size = request.checkpoint.checkpoint().size(),
                    "a head that does not extend the last one"
                );
                Ok(plain(422))
            }
            witness::Answer::Forbidden
            | witness::Answer::NotFound
            | witness::Answer::BadRequest => Ok(plain(said.status())),
        }
    }

    /// `GET /<hex sha256(origin)>/checkpoint`: the last head with our cosignature; `None` is a 404.
    pub fn checkpoint(&self, origin_hash: &str) -> Result<Option<Vec<u8>>, WitnessError> {
        let known = self.logs.keys().find(|it| sha256(it.as_bytes()).to_hex() == origin_hash);
        known.map_or(Ok(None), |origin| self.read(origin))
    }

    fn path(&self, origin: &str) -> PathBuf {
        self.dir.join(sha256(origin.as_bytes()).to_hex())
    }

    fn read(&self, origin: &str) -> Result<Option<Vec<u8>>, WitnessError> {
        let path = self.path(origin);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(WitnessError::Io(path, e)),
        }
    }

    fn last(&self, origin: &str) -> Result<Option<(u64, Hash)>, WitnessError> {
        let Some(bytes) = self.read(origin)? else { return Ok(None) };
        let damaged = || WitnessError::Damaged(self.path(origin));
        let head = SignedCheckpoint::parse_bytes(&bytes).map_err(|_| damaged())?;
        // Our own cosignature on it: nobody else wrote this file.
        head.signatures([self.signer.verifier()]).map_err(|_| damaged())?;
        let head = head.checkpoint();
        if head.origin() == origin { Ok(Some((head.size(), head.root()))) } else { Err(damaged()) }
    }

    fn persist(
        &self,
        origin: &str,
        checkpoint: &SignedCheckpoint,
        lines: &str,
    ) -> Result<(), WitnessError> {
        let log = self.logs.get(origin).map(|it| it.entry.keys.as_slice()).unwrap_or_default();
        let mut head = checkpoint.clone();
        if let Some(key) = log.iter().find(|key| checkpoint.verify(key).is_ok()) {
            head = head.only(key);
        }
        for line in lines.lines() {
            head.add(SignatureLine::parse(line)?)?;
        }
        let path = self.path(origin);
        replace(&path, head.to_string().as_bytes()).map_err(|e| WitnessError::Io(path, e))
    }
}

fn plain(status: u16) -> Answer {
    Answer { status, media_type: "text/plain".into(), body: Vec::new() }
}
