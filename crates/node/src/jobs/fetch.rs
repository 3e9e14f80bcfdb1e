//! Consumer: fetch what a started transfer delivers, resuming where it broke off, and check its digest.
//!
//! Never trusts the length or bytes of the other side: what does not have the announced digest is
//! thrown away and the transfer ended. Never goes on for a transfer that was suspended or ended.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidm_crypto::hash::Digest;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::engine::transfer::RENEW;
use tidm_space::id::Id;
use tidm_space::transfer::message::{Body, DataAddress};
use tidm_space::transfer::state::{State, Transfer};

use super::arriving::{self, Pulled};
use crate::app::App;
use crate::store::notes::Copy;

/// A token that is refused earlier than this after the start belongs to a provider whose suspension is still on its
/// way to us; one that is refused later has run out.
pub const SETTLED: Duration = Duration::from_secs(10);

/// Runs the job; harmless when repeated.
pub async fn run(app: &Arc<App>, id: &Id) -> anyhow::Result<()> {
    let Some(it) = app.store.transfer(id).await? else { return Ok(()) };
    let Some(_run) = app.runs.begin(id, it.moved).await else { return Ok(()) };
    let partial = arriving::partial(app, id)?;
    if !it.is_open() {
        arriving::forget(&partial).await?;
    }
    let address = match &it.state {
        State::Started { address: Some(address) } if it.delivers() => address.clone(),
        State::Initial
        | State::Requested
        | State::Started { .. }
        | State::Suspended { .. }
        | State::Completed { .. }
        | State::Terminated { .. } => return rests(app, &it).await,
    };
    match fetched(app, &it, &address, &partial).await {
        Ok(Some(wish)) => {
            app.writer.run(Input::Wish(Box::new(wish))).await?;
            Ok(())
        }
        // What stopped it has seen to the job.
        Ok(None) => Ok(()),
        Err(_) if !arriving::still(app, &it).await => Ok(()),
        Err(error) => Err(error),
    }
}

/// Nothing to do.
pub async fn rests(app: &App, it: &Transfer) -> anyhow::Result<()> {
    let wish = Wish::TransferRests { transfer: it.id.clone(), seen: it.moved };
    app.writer.run(Input::Wish(Box::new(wish))).await?;
    Ok(())
}

/// What is to be reported; `None`: the transfer was stopped meanwhile.
async fn fetched(
    app: &Arc<App>,
    it: &Transfer,
    address: &DataAddress,
    partial: &Path,
) -> anyhow::Result<Option<Wish>> {
    // An earlier run was stopped, or died, after everything was here.
    if let Some(copy) = arriving::kept(app, it).await? {
        let Copy { transfer, bytes, digest: content, .. } = copy;
        return Ok(Some(Wish::Received { transfer, bytes, content }));
    }
    let announced = address.property("tidm:bytes").and_then(|it| it.parse().ok());
    let most = announced.unwrap_or(app.config.limits.upload_bytes);
    loop {
        let pulled = tokio::select! {
            pulled = arriving::pull(app, address, partial, most) => pulled?,
            () = arriving::stopped(app, it) => return Ok(None),
        };
        match pulled {
            Pulled::Whole => break,
            Pulled::Later(wait) => tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = arriving::stopped(app, it) => return Ok(None),
            },
            Pulled::Expired => return Ok(Some(refused_token(app, it)?)),
            Pulled::Refused(why) => {
                arriving::forget(partial).await?;
                return Ok(Some(ended(it, "transfer.fetch", why)));
            }
        }
    }
    let (bytes, content) = arriving::digest(partial).await?;
    let expected = address.property("tidm:sha256").map(Digest::parse);
    if expected.is_some_and(|it| it.ok() != Some(content)) {
        arriving::forget(partial).await?;
        let why = "the bytes that arrived do not have the announced digest";
        return Ok(Some(ended(it, "transfer.digest", why.to_owned())));
    }
    let sealed = address.property("tidm:sealed").unwrap_or("none");
    let kept = arriving::keep(app, it, partial, (bytes, content), sealed).await?;
    Ok(kept.then(|| Wish::Received { transfer: it.id.clone(), bytes, content }))
}

/// The transfer cannot go on.
pub fn ended(it: &Transfer, code: &str, why: String) -> Wish {
    let body = Body::Terminate { code: Some(code.to_owned()), reason: vec![why] };
    Wish::SayTransfer { transfer: it.id.clone(), body }
}

/// The other side takes the token no more: rest, until there is another.
pub fn refused_token(app: &App, it: &Transfer) -> anyhow::Result<Wish> {
    let started = app.clock.now().since(it.moved);
    anyhow::ensure!(started > SETTLED, "the token is refused; perhaps the delivery rests");
    let reason = vec!["the token of the data address is refused".to_owned()];
    let body = Body::Suspend { code: Some(RENEW.to_owned()), reason };
    Ok(Wish::SayTransfer { transfer: it.id.clone(), body })
}
