//! x
pub mod config;
pub mod keys;
pub mod lang;
pub mod objects;
pub mod problem;
pub mod telemetry;
pub mod tls;
