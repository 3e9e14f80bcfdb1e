//! The kit for the Decentralized Claims Protocol 1.0.
//!
//! It must never claim a case: a node here does not serve this protocol, so the kit is not run and all is skipped.

use anyhow::Result;

use super::kit::{Kit, Outcome};
use crate::stages::Context;

pub(super) const KIT: Kit = Kit {
    name: "dcp",
    title: "Decentralized Claims Protocol TCK",
    version: "1.0.2",
    main: "org.eclipse.dataspacetck.dcp.suite.DcpTckSuite",
    cases: 85,
};

pub(super) fn run(_: &Context) -> Result<Outcome> {
    Ok(Outcome::Skipped("a node does not speak the Decentralized Claims Protocol".to_owned()))
}
