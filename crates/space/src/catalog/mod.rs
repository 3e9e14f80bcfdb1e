//! What nodes have to offer: our own products with their offers and ways of delivery, and what is known of others'.
//!
//! Never holds data, and never an offer of ours whose terms nobody could keep.

pub mod delivery;
pub mod entry;
pub mod facets;
pub mod merge;
pub mod product;
pub mod reading;
pub mod search;
pub mod words;
