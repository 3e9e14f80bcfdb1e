//! What a node has to offer: products, their offers, and the ways they are delivered.
//!
//! Never holds data, and never an offer whose terms nobody could keep.

pub mod delivery;
pub mod product;
