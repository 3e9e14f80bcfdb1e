//! x
pub mod config;
pub mod lang;
pub mod problem;
pub mod telemetry;
pub mod tls;
