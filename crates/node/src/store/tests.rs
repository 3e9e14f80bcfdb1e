//! The store against both databases: units of work, races of replicas, crashes between writes.
//!
//! Every test runs on SQLite, and on PostgreSQL where `TIDM_TEST_POSTGRES` holds the address of one.

mod credentials;
mod decisions;
mod failures;
mod log;
mod queue;
mod rows;
pub(crate) mod world;
