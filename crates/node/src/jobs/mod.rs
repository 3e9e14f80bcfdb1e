//! What takes longer than a unit of work: publishing, sealing, fetching, using, erasing, crawling, reporting.
//!
//! Never decides: a job does its IO and reports by a [`tidm_space::engine::input::Wish`]. Jobs run at least
//! once, so each must be harmless when repeated.

pub mod archive;
pub mod arriving;
mod attested;
pub mod audit;
pub mod bucket;
pub mod crawl;
pub mod erase;
pub mod evidence;
pub mod excerpt;
pub mod fetch;
pub mod flight;
pub mod flow;
pub mod infrastructure;
pub mod issue;
pub mod lineage;
pub mod matching;
pub mod membership;
pub mod notify;
pub mod open_program;
pub mod order;
pub mod proofs;
pub mod provide;
pub mod publish;
pub mod push;
pub mod query;
pub mod release;
pub mod renewing;
pub mod rest;
pub mod runs;
pub mod secrets;
pub mod sending;
pub mod split;
pub mod spool;
pub mod tc609;
pub mod trace;
pub mod uploads;
pub mod use_data;
pub mod workers;

use std::sync::Arc;

use tidm_space::engine::commit::Job;

use crate::app::App;

/// Runs one owed job.
pub async fn run(app: &Arc<App>, job: &Job) -> anyhow::Result<()> {
    match job {
        Job::Provide { transfer } => provide::run(app, transfer).await,
        Job::Fetch { transfer } => fetch::run(app, transfer).await,
        Job::Push { transfer } => push::run(app, transfer).await,
        Job::DestroyKey { contract } => erase::destroy_key(app, contract).await,
        Job::Erase { contract } => erase::copies(app, contract).await,
        Job::Flow { flow } => flow::run(app, flow).await,
    }
}
