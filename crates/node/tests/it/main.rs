//! Nodes of one space in one process, over HTTP on loopback: publish, agree, deliver, use, end.

mod delivery;
mod files;
mod infrastructure;
mod publish;
mod query;
mod tables;
mod world;
