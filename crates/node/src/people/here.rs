//! What whoever sits at the machine does to people without the node: forget tries that lock somebody out.
//!
//! Threat model: whoever may write the database may do more than this. So nothing is asked for, and the log says that it
//! was done at the machine, not by whom. Never a password or a right.

use anyhow::Context as _;

use tidm_space::people::log::MACHINE;

use super::factor::slot;
use crate::clock::Clock;
use crate::config::{Config, Store as Place};
use crate::store::Store;
use crate::store::people::Said;

/// Forgets the tries of a name, while the node runs or not.
///
/// # Errors
/// When the store cannot be opened, or nobody here has the name.
pub async fn unlock(config: &Config, name: &str) -> anyhow::Result<()> {
    let url = match &config.store {
        Place::Sqlite(path) => format!("sqlite:{}", path.display()),
        Place::Postgres(url) => url.clone(),
    };
    let store = Store::open(&url).await.context("the store cannot be opened")?;
    anyhow::ensure!(store.person(name).await?.is_some(), "nobody here is called {name}");
    let now = Clock::starting_at(store.latest_fact().await?).now();
    let said = Said::done(now, MACHINE, "people.unlock", name);
    let done = store.unlock(&[name, &slot(name)], &said).await;
    done.context("somebody else may have written at the same time: try again")
}
