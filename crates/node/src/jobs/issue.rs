//! Tells wallets what our issuer decided: at once, and again until they take it.
//!
//! Never decides and never forgets: what is owed lies in the store, and [`machine`] says when to try again
//! and when to give up. A wallet that hangs holds up nobody else.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use reqwest::Method;

use tidm_space::identity::issuance::decide;
use tidm_space::identity::issuance::machine::{self, Input};
use tidm_space::wire::dcp::issuance;

use crate::app::App;
use crate::store::issuer;

/// How often the store is looked at even if nobody rings.
const LOOK: Duration = Duration::from_secs(1);
/// Requests of one look.
const BATCH: i64 = 64;
/// Wallets that are told side by side.
const SIDE_BY_SIDE: usize = 8;

/// Runs until it is dropped.
pub async fn run(app: Arc<App>) {
    loop {
        match app.store.due_issuances(app.clock.now(), BATCH).await {
            Ok(due) if due.is_empty() => {
                // Rung, or time to look: either way the store knows.
                let _ = tokio::time::timeout(LOOK, app.issue_bell.notified()).await;
            }
            Ok(due) => {
                futures::stream::iter(due)
                    .for_each_concurrent(SIDE_BY_SIDE, |id| tell(&app, id))
                    .await;
            }
            Err(error) => {
                tracing::warn!(%error, "credential requests cannot be read");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

async fn tell(app: &Arc<App>, id: String) {
    let input = match deliver(app, &id).await {
        Ok(()) => Input::Delivered,
        Err(error) => {
            tracing::info!(request = %id, error = %format!("{error:#}"), "a wallet did not take its credentials");
            Input::Undelivered
        }
    };
    let now = app.clock.now();
    let done = app
        .writer
        .note(move |conn| {
            let (id, input) = (id.clone(), input.clone());
            async move {
                let Some(it) = issuer::load(conn, &id).await? else { return Ok(()) };
                let (it, again) = decide::told(&it, input, now);
                issuer::save(conn, &it, again).await
            }
            .boxed()
        })
        .await;
    if let Err(error) = done {
        tracing::warn!(%error, "the outcome of a delivery was not recorded; it will be delivered again");
    }
}

/// `POST /credentials` of the holder's wallet (DCP §6.5).
async fn deliver(app: &App, id: &str) -> anyhow::Result<()> {
    let Some(it) = app.store.issuance(id).await? else { return Ok(()) };
    let Some(said) = machine::delivery(&it) else { return Ok(()) };
    let me = app.own(&it.issuer).ok_or_else(|| anyhow::anyhow!("we are not {}", it.issuer))?;
    let peer = app.directory.peer(&it.holder).await?;
    let endpoint = peer.document.service("CredentialService")?;
    let bearer = match &it.access {
        Some(access) => me.token_with(&it.holder, access, &app.clock),
        None => me.token(&it.holder, None, &app.clock),
    };
    let bearer = format!("Bearer {bearer}");
    let url = format!("{endpoint}/credentials");
    let body = issuance::write_delivery(&said);
    let answer = app.client.call(Method::POST, &url, Some(&bearer), Some(body)).await?;
    anyhow::ensure!(answer.status.is_success(), "{url} answers {}", answer.status);
    Ok(())
}
