//! The sandbox from outside: real worker processes over real Parquet files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "functions beside the tests are test code, too"
)]

mod caps;
mod fixture;
mod jail;
mod noise;
mod redteam;
mod results;
mod seal;
