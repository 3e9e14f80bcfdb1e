//! The end of a contract: the provider's key is erased, and its copy of the contract's own; the consumer's copies are deleted.
//!
//! Threat model: after the key is gone no later release can happen, from no backup (house D13). Deleting
//! copies is what an honest consumer's node does and signs for; it is evidence, never proof that no copy exists.

use std::sync::Arc;

use tidm_space::engine::input::{Input, Wish};
use tidm_space::id::Id;

use super::{excerpt, infrastructure, matching, proofs};
use crate::app::App;
use crate::objects::Key;
use crate::store::notes;

/// Provider: erases the contract's key and the sealed bytes. The tombstone is durable already.
pub async fn destroy_key(app: &Arc<App>, contract: &Id) -> anyhow::Result<()> {
    app.keys.destroy(contract)?;
    if let Some(seal) = app.store.seal(contract).await? {
        app.objects.delete(&Key::parse(&seal.object)?).await?;
        // The ciphertext elsewhere is useless without its key: that it is still there holds nothing up.
        if let Err(error) = infrastructure::delete(app, &seal).await {
            tracing::warn!(%error, %contract, "sealed bytes stay at the infrastructure node");
        }
        let id = contract.clone();
        app.writer
            .note(move |conn| {
                let id = id.clone();
                Box::pin(async move { notes::drop_seal(conn, &id).await })
            })
            .await?;
    }
    excerpt::erase(app, contract).await?;
    app.writer
        .run(Input::Wish(Box::new(Wish::KeyDestroyed { contract: contract.clone() })))
        .await?;
    Ok(())
}

/// Consumer: deletes every copy and signs for it.
pub async fn copies(app: &Arc<App>, contract: &Id) -> anyhow::Result<()> {
    // First: this job is done again until its end, and not after it.
    proofs::owe(app, contract).await?;
    let mut files = Vec::new();
    matching::table::forget(app, contract).await?;
    for copy in app.store.copies(contract).await? {
        app.objects.delete(&Key::parse(&copy.object)?).await?;
        files.push(copy.digest);
    }
    app.writer
        .run(Input::Wish(Box::new(Wish::Erased { contract: contract.clone(), files })))
        .await?;
    let id = contract.clone();
    app.writer
        .note(move |conn| {
            let id = id.clone();
            Box::pin(async move { notes::drop_copies(conn, &id).await })
        })
        .await?;
    Ok(())
}
