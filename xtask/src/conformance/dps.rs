//! The kit for Data Plane Signaling 1.0.
//!
//! It must never claim a case: a node here does not serve this protocol, so the kit is not run and all is skipped.

use anyhow::Result;

use super::kit::{Kit, Outcome};
use crate::stages::Context;

pub(super) const KIT: Kit = Kit {
    name: "dps",
    title: "Data Plane Signaling TCK",
    version: "1.2.0",
    main: "org.eclipse.dataspacetck.dps.DpsTckSuite",
    cases: 38,
};

pub(super) fn run(_: &Context) -> Result<Outcome> {
    Ok(Outcome::Skipped("a node does not speak Data Plane Signaling".to_owned()))
}
