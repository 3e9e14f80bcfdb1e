//! May this node go on with its log? (D15)
//!
//! Asked before the sequencer opens. Custodians have [`START_LIMIT`] to answer, all at once; the decision
//! is `tidm_ledger::state::start`. Read-only means: no lease and no checkpoint until one has answered;
//! the caller asks again later and `/readyz` says so.

use std::sync::Arc;

use futures::future::join_all;
use tidm_ledger::state::{self, Seen, Start};
use tidm_ledger::tile::TileReader;

use super::custodians::{Custodian, Http};
use super::limits::START_LIMIT;
use super::row::Row;
use super::tiles::{Source, Tiles};

/// Asks every custodian for the last head of `origin` it cosigned and decides about `row`.
pub async fn check(
    row: Row,
    origin: &str,
    custodians: &[Custodian],
    http: &dyn Http,
    tiles: &Arc<dyn Tiles>,
) -> Start {
    let asked = custodians.iter().map(async |it| {
        let seen = it.seen(http, origin, START_LIMIT).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a custodian did not say what it saw of our log");
            Seen::Silent
        });
        state::Custodian { name: it.key.name().to_owned(), seen }
    });
    let seen = join_all(asked).await;
    let source = TileReader::new(row.size, Source(tiles.clone()));
    let decided =
        tokio::task::spawn_blocking(move || state::start((row.size, row.root), &seen, &source));
    decided.await.unwrap_or_else(|error| Start::Damaged { why: error.to_string() })
}
