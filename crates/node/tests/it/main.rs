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
mod doors;
mod effects;
mod excerpts;
mod files;
mod flight;
mod foreign;
mod infrastructure;
mod kas;
mod last_day;
mod makers;
mod matching;
mod matching_kinds;
mod matching_many;
mod matching_table;
mod modes;
mod mtls;
mod noise;
mod platform;
mod publish;
mod pushes;
mod query;
mod renewal;
mod seen;
mod signaling;
mod split;
mod standing;
mod tables;
mod tc609;
mod transfers;
mod world;
