//! (in work)
pub mod members;
