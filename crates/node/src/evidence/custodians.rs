//! Asking custodians to cosign a checkpoint (C2SP tlog-witness, client side).
//!
//! Threat model: a custodian may lie, stall or be somebody else. Its answer counts only as a signature by
//! the key in our configuration over exactly our checkpoint; its size is believed only far enough to
//! make another proof. Only the log's own signature is sent: custodians must not learn who else signed.
//!
//! The transport is injected ([`Http`]): nothing here opens a socket.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tidm_ledger::checkpoint::SignedCheckpoint;
use tidm_ledger::cosignature;
use tidm_ledger::note::{KeyKind, SignatureLine, VerifierKey};
use tidm_ledger::state::Seen;
use tidm_ledger::tile::TileReader;
use tidm_ledger::witness::{self, AddCheckpoint};

use super::limits::{ANSWER_BYTES, WITNESS_LIMIT, WITNESS_TRIES};
use super::tiles::{Source, Tiles};

/// An HTTP answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// `Content-Type` without parameters; empty when there is none.
    pub media_type: String,
    /// At most [`ANSWER_BYTES`]; the transport cuts.
    pub body: Vec<u8>,
}

/// How requests leave the node. Implemented over TLS by the node and in memory by tests.
pub trait Http: Send + Sync {
    fn get(&self, url: String) -> BoxFuture<'_, Result<Answer, String>>;
    fn post(&self, url: String, body: Vec<u8>) -> BoxFuture<'_, Result<Answer, String>>;
}

/// Somebody who watches our log.
#[derive(Clone, Debug)]
pub struct Custodian {
    /// Without a slash at its end.
    pub url: String,
    /// Of type 0x04.
    pub key: VerifierKey,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustodianError {
    #[error("{0} has a key that makes no cosignatures: configure one of type 0x04")]
    Key(String),
    #[error("{who} did not answer: {why}")]
    Silent { who: String, why: String },
    #[error("{who} refused with status {status}: {why}")]
    Refused { who: String, status: u16, why: String },
    #[error("{who} answered something else than its cosignature of our checkpoint")]
    Nonsense { who: String },
    /// Somebody signed more entries with our key than we have: restored from an old backup?
    #[error(
        "{who} has seen {seen} entries of our log, we have {have}: stop and restore a newer copy"
    )]
    Ahead { who: String, seen: u64, have: u64 },
    #[error("no consistency proof from {old} entries: {why}")]
    Proof { old: u64, why: String },
}

impl Custodian {
    /// From the configuration.
    pub fn new(url: &str, vkey: &str) -> Result<Self, CustodianError> {
        let key = VerifierKey::parse(vkey).map_err(|_| CustodianError::Key(url.to_owned()))?;
        if key.kind() != KeyKind::Cosignature {
            return Err(CustodianError::Key(key.name().to_owned()));
        }
        Ok(Self { url: url.trim_end_matches('/').to_owned(), key })
    }

    fn who(&self) -> String {
        self.key.name().to_owned()
    }

    /// Gets a cosignature of `checkpoint`. `known` is the size that this custodian saw last, as far as we
    /// know; it is corrected. `log` is the key whose signature is sent, and no other.
    pub async fn cosign(
        &self,
        http: &dyn Http,
        tiles: &Arc<dyn Tiles>,
        (checkpoint, log): (&SignedCheckpoint, &VerifierKey),
        known: &mut u64,
    ) -> Result<SignatureLine, CustodianError> {
        let nonsense = || CustodianError::Nonsense { who: self.who() };
        let size = checkpoint.checkpoint().size();
        for _ in 0..WITNESS_TRIES {
            let request = request((*known).min(size), tiles, checkpoint, log).await?;
            let url = format!("{}/add-checkpoint", self.url);
            let answer = self
                .answer(http.post(url, request.to_string().into_bytes()), WITNESS_LIMIT)
                .await?;
            match answer.status {
                200 => {
                    let lines = witness::parse_cosignatures(&answer.body, checkpoint, [&self.key])
                        .map_err(|_| nonsense())?;
                    let (_, line) = lines.into_iter().next().ok_or_else(nonsense)?;
                    *known = size;
                    return Ok(line);
                }
                409 => {
                    let seen = witness::parse_conflict(&answer.media_type, &answer.body)
                        .map_err(|_| nonsense())?;
                    if seen > size {
                        return Err(CustodianError::Ahead { who: self.who(), seen, have: size });
                    }
                    *known = seen;
                }
                status => {
                    let text = String::from_utf8_lossy(&answer.body);
                    let why = text.chars().filter(|c| !c.is_control()).take(200).collect();
                    return Err(CustodianError::Refused { who: self.who(), status, why });
                }
            }
        }
        Err(nonsense())
    }

    /// The last head of the log `origin` that this custodian cosigned, its cosignature verified.
    pub async fn seen(
        &self,
        http: &dyn Http,
        origin: &str,
        limit: Duration,
    ) -> Result<Seen, CustodianError> {
        let nonsense = || CustodianError::Nonsense { who: self.who() };
        let url = format!("{}/{}", self.url, witness::monitor_path(origin));
        let answer = self.answer(http.get(url), limit).await?;
        match answer.status {
            404 => Ok(Seen::Never),
            200 => {
                let head = SignedCheckpoint::parse_bytes(&answer.body).map_err(|_| nonsense())?;
                let ours = head.checkpoint().origin() == origin;
                let cosigned = cosignature::verify(&head, [&self.key]).map_err(|_| nonsense())?;
                if !ours || cosigned.is_empty() {
                    return Err(nonsense());
                }
                Ok(Seen::Head(head.checkpoint().size(), head.checkpoint().root()))
            }
            status => Err(CustodianError::Refused { who: self.who(), status, why: String::new() }),
        }
    }

    async fn answer(
        &self,
        asked: BoxFuture<'_, Result<Answer, String>>,
        limit: Duration,
    ) -> Result<Answer, CustodianError> {
        let silent = |why| CustodianError::Silent { who: self.who(), why };
        match tokio::time::timeout(limit, asked).await {
            Ok(Ok(answer)) if answer.body.len() <= ANSWER_BYTES => Ok(answer),
            Ok(Ok(_)) => Err(CustodianError::Nonsense { who: self.who() }),
            Ok(Err(why)) => Err(silent(why)),
            Err(_) => Err(silent(format!("nothing within {} s", limit.as_secs()))),
        }
    }
}

async fn request(
    old: u64,
    tiles: &Arc<dyn Tiles>,
    checkpoint: &SignedCheckpoint,
    log: &VerifierKey,
) -> Result<AddCheckpoint, CustodianError> {
    let source = TileReader::new(checkpoint.checkpoint().size(), Source(tiles.clone()));
    let (checkpoint, log) = (checkpoint.clone(), log.clone());
    let made =
        tokio::task::spawn_blocking(move || AddCheckpoint::build(old, &checkpoint, &log, &source))
            .await;
    let failed = |why: String| CustodianError::Proof { old, why };
    made.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))
}
