//! (in work)
pub mod catalog;
