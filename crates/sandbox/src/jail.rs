//! The worker's jail: [`tidm_jail`] with no path at all, within the bounds of the job.

pub use tidm_jail::{Layer, Report, State};

use crate::job::Bounds;
use crate::limits::{BASE_ADDRESS_SPACE, BLOCKING_THREADS, THREAD_ADDRESS_SPACE};

/// Shuts every door. Call with one thread only, after the last descriptor is open.
#[must_use]
pub fn enter(bounds: &Bounds) -> Report {
    let threads = bounds.threads.saturating_add(BLOCKING_THREADS) as u64;
    let address_space = bounds
        .memory_bytes
        .saturating_add(BASE_ADDRESS_SPACE)
        .saturating_add(threads.saturating_mul(THREAD_ADDRESS_SPACE));
    tidm_jail::enter(&tidm_jail::Plan {
        bounds: tidm_jail::Bounds {
            address_space: Some(address_space),
            cpu_seconds: Some(bounds.cpu_seconds),
            descriptors: Some(bounds.files),
            file_bytes: Some(0),
        },
        ..tidm_jail::Plan::default()
    })
}
