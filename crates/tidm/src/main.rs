//! placeholder
mod demo;
mod commands { pub mod demo; }
fn main() {}
