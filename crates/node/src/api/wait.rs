//! Waiting for a negotiation or transfer to come to rest, for callers that ask for it.
//!
//! Never holds anything while it waits: a caller that goes away takes its wait along.

use std::time::Duration;

use serde::Deserialize;
use utoipa::IntoParams;

use tidm_space::id::Id;
use tidm_space::negotiation::state::Negotiation;
use tidm_space::transfer::state::{Name, Transfer};

use super::answer::{Answer, Fail};
use crate::app::App;

/// Longest wait in one call: proxies cut connections that are silent for longer.
const LONGEST: u64 = 60;
/// Steps of looking; a state is one indexed row.
const STEP: Duration = Duration::from_millis(50);

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Waiting {
    /// Seconds to wait until nothing moves by itself any more; 0 to 60.
    pub(super) wait: Option<u64>,
}

impl Waiting {
    fn span(&self) -> Answer<Duration> {
        match self.wait.unwrap_or(0) {
            it if it <= LONGEST => Ok(Duration::from_secs(it)),
            _ => Err(Fail::field("wait", format!("at most {LONGEST} seconds"))),
        }
    }

    /// The negotiation once it is over or waits for a person, here or there; else as it stands when time is up.
    pub(super) async fn negotiation(&self, app: &App, id: &Id) -> Answer<Negotiation> {
        let until = tokio::time::Instant::now() + self.span()?;
        loop {
            let it =
                app.store.negotiation(id).await?.ok_or_else(|| Fail::not_found("negotiation"))?;
            if !it.is_open() || it.awaits_approval || tokio::time::Instant::now() >= until {
                return Ok(it);
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// The transfer once it is over or suspended; else as it stands when time is up.
    pub(super) async fn transfer(&self, app: &App, id: &Id) -> Answer<Transfer> {
        let until = tokio::time::Instant::now() + self.span()?;
        loop {
            let it = app.store.transfer(id).await?.ok_or_else(|| Fail::not_found("transfer"))?;
            let rests = !it.is_open() || it.state.name() == Name::Suspended;
            if rests || tokio::time::Instant::now() >= until {
                return Ok(it);
            }
            tokio::time::sleep(STEP).await;
        }
    }
}
