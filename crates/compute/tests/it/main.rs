//! Whole jobs: processes, connections, crashes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crashes;
mod disk;
mod formats;
mod joined;
mod kinds;
mod lines;
mod many;
mod parties;
mod refusals;
mod skew;
mod starts;
mod whole;
