//! Whole sessions over channels of several kinds: real TCP, a slow network, and one on which somebody meddles.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod golden;
mod labelled;
mod many;
mod meddled;
mod okvs_rates;
mod parties;
mod shaped;
mod stopped;
mod tcp;
