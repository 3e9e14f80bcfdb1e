//! The walk, one file a chapter.
//!
//! Never a step that another one needs in secret: what passes from chapter to chapter is in [`super::facts`].

pub(super) mod agree;
pub(super) mod burn;
pub(super) mod discover;
pub(super) mod file;
pub(super) mod parts;
pub(super) mod prove;
pub(super) mod publish;
pub(super) mod query;
pub(super) mod revoke;
pub(super) mod setting;

/// The purpose that the contracts name.
pub(super) const PURPOSE: &str = "predictive-maintenance";
/// Uses of the drawing that its contract permits.
pub(super) const OPENINGS: u64 = 2;
