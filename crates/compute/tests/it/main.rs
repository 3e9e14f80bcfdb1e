//! Whole jobs: processes, connections, crashes.

mod crashes;
mod parties;
mod refusals;
mod starts;
mod whole;
