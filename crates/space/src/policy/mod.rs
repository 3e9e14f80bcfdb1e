//! Policies: what a permission says, whether it can be kept, and what it answers in one case.
//!
//! [`model`] is ODRL; [`compile`] turns a policy into checked [`terms`] or refuses terms by name, as far as [`reach`]
//! says; [`eval`] answers one request by its [`facts`] and [`explain`]s the answer; [`sentence`] builds policies from plain choices and [`render`] says them in words;
//! [`check`](mod@check) says what is wrong or weak in one, and [`trial`] what it would answer;
//! [`diff`] says what changed between two, [`strict`] whether one permits no more than another, [`derive`](mod@derive)
//! whether products may be made of the data; [`cost`] what one costs.
//! Never trusts a term that it does not know: unknown terms are refused when signing, and unknown facts deny.

pub mod action;
mod apart;
mod axes;
pub mod check;
pub mod compile;
pub mod cost;
pub mod counted;
pub mod deadline;
pub mod derive;
pub mod diff;
mod duty;
pub mod eval;
pub mod explain;
pub mod facts;
pub mod filter;
pub(crate) mod hold;
pub mod mark;
pub mod matching;
pub mod model;
pub mod network;
mod place;
pub mod price;
pub mod privacy;
pub mod reach;
pub mod render;
pub mod scene;
pub mod sentence;
pub mod span;
pub mod steady;
pub mod strict;
mod summary;
pub mod terms;
#[cfg(test)]
mod tests;
pub mod tiers;
pub mod trial;
pub mod truth;
pub mod usage;
pub mod window;
mod words;
