//! Policies: what a permission says, whether it can be kept, and what it answers in one case.
//!
//! [`model`] is the ODRL subset; [`compile`] turns a policy into checked [`terms`] or refuses terms by name;
//! [`eval`] answers one request; [`sentence`] builds policies from plain choices and [`render`] says them in words;
//! [`diff`] says what changed between two; [`cost`] what one costs.
//! Never trusts a term that it does not know: unknown terms are refused when signing, and unknown facts deny.

pub mod compile;
pub mod cost;
pub mod diff;
mod duty;
pub mod eval;
pub mod model;
pub mod render;
pub mod sentence;
pub mod span;
mod summary;
pub mod terms;
pub mod usage;
