//! Nodes of one space in one process, over HTTP on loopback: publish, agree, deliver, use, end.

#![expect(clippy::wildcard_enum_match_arm, reason = "any other outcome fails the test")]
#![expect(clippy::unwrap_used, reason = "a test ends where something fails")]

mod attacks;
mod attest;
mod bucket;
mod counted;
mod dcp;
mod delivery;
mod derived;
