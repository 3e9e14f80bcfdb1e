//! The sandbox from outside: real worker processes over real Parquet files.

mod caps;
mod fixture;
mod jail;
mod redteam;
mod results;
mod seal;
