//! Streams between the computing processes of two nodes, over the one port and the proofs of every other message.
//!
//! Never looks at the bytes, and never lets one through whose lease is over: the tasks here end with the run.

use std::sync::Arc;

use reqwest::header::{CONNECTION, UPGRADE};
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::wire::tidm::psi;

use crate::app::App;
use crate::jobs::use_data::ask::refusal;
use crate::net::auth;

/// What is copied at a time: a system call for every frame would cost more than the copying.
const BUFFER: usize = 256 * 1024;

/// Copies both ways until both have ended.
pub async fn join(
    mut left: impl AsyncRead + AsyncWrite + Unpin,
    mut right: impl AsyncRead + AsyncWrite + Unpin,
) -> std::io::Result<()> {
    tokio::io::copy_bidirectional_with_sizes(&mut left, &mut right, BUFFER, BUFFER).await.map(drop)
}

/// Consumer: for each connection of our process one to the provider's. Returns some time after the provider said for good that
/// there is nothing to connect to.
pub async fn carry(app: Arc<App>, contract: Contract, lease: Id, listener: UnixListener) -> Fault {
    // Dropped with this future: connections end with the run.
    let mut all: JoinSet<Option<Fault>> = JoinSet::new();
    loop {
        let ours = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((ours, _)) => ours,
                Err(error) => {
                    tracing::warn!(%error, "a computing process could not be connected");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            },
            Some(done) = all.join_next() => match done {
                Ok(Some(fault)) => {
                    // What is connected may be at its last words; nothing new is connected.
                    drop(listener);
                    tokio::time::sleep(LAST_WORD).await;
                    return fault;
                }
                Ok(None) | Err(_) => continue,
            },
        };
        let (app, contract, lease) = (app.clone(), contract.clone(), lease.clone());
        all.spawn(async move {
            // A connection that cannot be had is closed: the process tries again for as long as it is patient.
            match connect(&app, &contract, &lease).await {
                Ok(theirs) => {
                    drop(join(ours, theirs).await);
                    None
                }
                Err(Unreached::Refused(fault)) => Some(fault),
                Err(Unreached::Yet(why)) => {
                    tracing::info!(%why, %lease, "the provider's computing process is not reached");
                    None
                }
            }
        });
    }
}

/// Why there is no connection.
enum Unreached {
    /// It may be there later.
    Yet(String),
    /// The provider said no, for good.
    Refused(Fault),
}

async fn connect(
    app: &App,
    contract: &Contract,
    lease: &Id,
) -> Result<reqwest::Upgraded, Unreached> {
    let yet = |why: &dyn std::fmt::Display| Unreached::Yet(why.to_string());
    let url = format!("{}{}", contract.address, psi::path(lease, "stream"));
    let mut request = app.client.upload(Method::GET, &url).await.map_err(|why| yet(&why))?;
    if let Some(value) = auth::speak(app, &contract.peer) {
        request = request.header("authorization", value);
    }
    let request = request.header(CONNECTION, "upgrade").header(UPGRADE, psi::UPGRADE);
    let answer = tokio::time::timeout(ANSWER, request.send()).await;
    let answer = answer.map_err(|_| yet(&"no answer in time"))?.map_err(|why| yet(&why))?;
    let status = answer.status();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return answer.upgrade().await.map_err(|why| yet(&why));
    }
    let said = tokio::time::timeout(ANSWER, words(answer)).await.unwrap_or_default();
    let fault = refusal(&contract.peer, status.as_u16(), &said);
    if matches!(fault, Fault::Unavailable { .. }) || !status.is_client_error() {
        return Err(yet(&fault));
    }
    Err(Unreached::Refused(fault))
}

/// What a refusal says, of which more than a few words are not read.
async fn words(mut answer: reqwest::Response) -> Vec<u8> {
    let mut said = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await
        && said.len() + piece.len() <= WORDS
    {
        said.extend_from_slice(&piece);
    }
    said
}

/// Bytes of a refusal.
const WORDS: usize = 64 * 1024;

/// How long what is connected may go on when the provider's side is over.
const LAST_WORD: std::time::Duration = std::time::Duration::from_secs(10);

/// The provider answers when its process takes connections, which may still read its list.
const ANSWER: std::time::Duration = std::time::Duration::from_secs(30);

/// Provider: our process, once it takes connections.
pub async fn ours(live: &super::registry::Live) -> Option<UnixStream> {
    let until = tokio::time::Instant::now() + ANSWER.mul_f64(0.8);
    loop {
        if let Ok(it) = UnixStream::connect(&live.socket).await {
            return Some(it);
        }
        if tokio::time::Instant::now() > until {
            return None;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
