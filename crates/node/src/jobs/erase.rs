//! The end of a contract: the provider's key is erased, and its copy of the contract's own; the consumer's copies are deleted.
//!
//! Threat model: after the key is gone no later release can happen, from no backup (house D13). Deleting
//! copies is what an honest consumer's node does and signs for; it is evidence, never proof that no copy exists.
//!
//! Both look afterwards whether it had its effect: what is still there, or cannot be looked for, fails the job, which is
//! done again, and until then nothing is signed and no fact says that it is gone.

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
    keyless(app, contract)?;
    excerpt::erase(app, contract).await?;
    if let Some(seal) = app.store.seal(contract).await? {
        app.objects.erase(&Key::parse(&seal.object)?).await?;
        // Its row says where the bytes are elsewhere: it stays until they are gone there, too.
        infrastructure::delete(app, &seal).await?;
        let id = contract.clone();
        app.writer
            .note(move |conn| {
                let id = id.clone();
                Box::pin(async move { notes::drop_seal(conn, &id).await })
            })
            .await?;
    }
    app.writer
        .run(Input::Wish(Box::new(Wish::KeyDestroyed { contract: contract.clone() })))
        .await?;
    Ok(())
}

/// Nothing of a key of the contract lies here.
fn keyless(app: &App, contract: &Id) -> anyhow::Result<()> {
    anyhow::ensure!(app.keys.gone(contract)?, "a key of the contract is still there");
    Ok(())
}

/// Consumer: deletes every copy, looks that none is left, and signs for it.
pub async fn copies(app: &Arc<App>, contract: &Id) -> anyhow::Result<()> {
    // First: this job is done again until its end, and not after it.
    proofs::owe(app, contract).await?;
    let mut files = Vec::new();
    matching::table::forget(app, contract).await?;
    let known = app.store.copies(contract).await?;
    for copy in &known {
        app.objects.erase(&Key::parse(&copy.object)?).await?;
        files.push(copy.digest);
    }
    // One that arrived meanwhile is deleted by the next run, which signs for it, too.
    let now = app.store.copies(contract).await?;
    let late = now.iter().any(|it| known.iter().all(|old| old.object != it.object));
    anyhow::ensure!(!late, "a copy arrived while the others were deleted");
    keyless(app, contract)?;
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
