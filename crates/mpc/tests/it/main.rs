//! Whole sessions over channels of several kinds: real TCP, a slow network, and one on which somebody meddles.

mod meddled;
mod parties;
mod shaped;
mod tcp;
