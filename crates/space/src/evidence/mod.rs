//! Facts: what happened, typed, canonical, linked by contract, transfer and lease.
//!
//! A fact never holds a key, a token, a row or a person's name: digests stand for content. Facts of both
//! sides are reconciled by their [`fact::Links`].

pub mod audit;
pub mod copies;
pub mod encode;
pub mod fact;
pub mod lineage;
mod summary;
