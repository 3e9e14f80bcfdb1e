//! Writes the journal of protocol messages, beside the work and never in its way.
//!
//! Threat model: only messages about negotiations and transfers that exist are noted, so that strangers write nothing;
//! paths and reasons alone are noted, never a body or an address's token.

use std::time::{Duration, Instant};

use tidm_space::engine::commit::About;

use crate::app::App;
use crate::store::messages::{self, Line};

/// Notes one message; whoever answered it does not wait for that.
pub fn note(app: &App, about: About, it: Line) {
    if matches!(about, About::Notice { .. }) {
        return;
    }
    let writer = app.writer.clone();
    tokio::spawn(async move {
        let noted = writer.note(move |conn| {
            let (about, it) = (about.clone(), it.clone());
            Box::pin(async move { messages::save(conn, &about, &it).await })
        });
        if let Err(error) = noted.await {
            tracing::debug!(%error, "a message was not noted in the journal");
        }
    });
}

/// Whole milliseconds since then.
pub fn since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().min(Duration::from_secs(3600)).as_millis()).unwrap_or(0)
}

/// The last part of an address or path.
pub fn last_part(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().chars().take(64).collect()
}
