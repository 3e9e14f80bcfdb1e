//! The kit for the Dataspace Protocol 2025-1: one node in its test profile.
//!
//! The node is scripted by approval rules alone; nothing in it knows a case of the kit.

use anyhow::Result;

use super::kit::{Kit, Outcome};
use super::node::{self, Place};
use crate::servers::free_port;
use crate::stages::Context;

pub(super) const KIT: Kit = Kit {
    name: "dsp",
    title: "Dataspace Protocol 2025-1 TCK",
    version: "1.0.1",
    main: "org.eclipse.dataspacetck.dsp.suite.DspTckSuite",
    cases: 65,
};

pub(super) fn run(context: &Context) -> Result<Outcome> {
    let kit = match KIT.find(context)? {
        Ok(kit) => kit,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let program = node::build(context)?;
    let place = Place::new(&program, "tck-dsp", &context.log)?;
    let kit_port = free_port()?;
    let properties = place.dir().join("dsp.properties");
    std::fs::write(&properties, write_properties(place.port, kit_port))?;
    let _node = place.serve(&[], &context.log)?;
    Ok(Outcome::Ran(kit.run(&properties, &context.target.join("conformance/dsp.log"))?))
}

fn write_properties(node: u16, kit: u16) -> String {
    format!(
        "dataspacetck.port={kit}\ndataspacetck.dsp.connector.http.url=http://localhost:{node}/dsp/2025-1\n"
    )
}
