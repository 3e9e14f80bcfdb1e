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
use tidm_space::id::Id;
use tidm_space::wire::tidm::psi;

use crate::app::App;
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

/// Consumer: for each connection of our process one to the provider's. Never returns by itself.
pub async fn carry(app: Arc<App>, contract: Contract, lease: Id, listener: UnixListener) {
    // Dropped with this future: connections end with the run.
    let mut all = JoinSet::new();
    loop {
        let ours = match listener.accept().await {
            Ok((ours, _)) => ours,
            Err(error) => {
                tracing::warn!(%error, "a computing process could not be connected");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        while all.try_join_next().is_some() {}
        let (app, contract, lease) = (app.clone(), contract.clone(), lease.clone());
        all.spawn(async move {
            // A connection that cannot be had is closed: the process tries again for as long as it is patient.
            match connect(&app, &contract, &lease).await {
                Ok(theirs) => drop(join(ours, theirs).await),
                Err(why) => {
                    tracing::info!(%why, %lease, "the provider's computing process is not reached");
                }
            }
        });
    }
}

async fn connect(app: &App, contract: &Contract, lease: &Id) -> Result<reqwest::Upgraded, String> {
    let url = format!("{}{}", contract.address, psi::path(lease, "stream"));
    let mut request = app.client.upload(Method::GET, &url).await.map_err(|why| why.to_string())?;
    if let Some(value) = auth::speak(app, &contract.peer) {
        request = request.header("authorization", value);
    }
    let request = request.header(CONNECTION, "upgrade").header(UPGRADE, psi::UPGRADE);
    let answer = tokio::time::timeout(ANSWER, request.send()).await;
    let answer =
        answer.map_err(|_| "no answer in time".to_owned())?.map_err(|why| why.to_string())?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(format!("it answers {}", answer.status()));
    }
    answer.upgrade().await.map_err(|why| why.to_string())
}

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
