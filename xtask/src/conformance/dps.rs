//! The kit for Data Plane Signaling 1.0: one node as the control plane and as the data plane of the kit.
//!
//! The kit has no place that takes what a data plane pushes and none that serves what it pulls, so [`world`] is that
//! place: real bytes go there and come from there. Everything else is said as configuration and registrations.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::kit::{Kit, Outcome};
use super::node::{self, Place};
use super::world::World;
use crate::servers::free_port;
use crate::stages::Context;

pub(super) const KIT: Kit = Kit {
    name: "dps",
    title: "Data Plane Signaling TCK",
    version: "1.2.0",
    main: "org.eclipse.dataspacetck.dps.DpsTckSuite",
    cases: 38,
};

/// What the kit's control plane presents to the node, and the node to it.
const SECRET: &str = "the-kit-presents-this-to-the-node";
/// The data set of all flows that have bytes.
const DATASET: &str = "dps-dataset";
/// A data set that is pulled from where the configuration says.
const KNOWN: &str = "dps-known";
/// Where this profile's flows are got ready after the answer.
const BACKGROUND: [&str; 2] = ["background-http-pull", "background-http-push"];
/// Seconds that the kit waits for the node; its own sample says 15.
const WAIT: u32 = 15;
/// The kit's names as the other party of the agreements.
const PARTIES: [(&str, &str, &str); 2] =
    [("CP_C", "consumer", "providerId"), ("CP_P", "provider", "consumerId")];

const CONTROL_CASES: [&str; 5] = ["01_01", "01_02", "02_01", "02_02", "03_01"];
/// Cases in which the node is the provider's data plane, and those of them that are answered at once.
const PROVIDER_CASES: [&str; 14] = [
    "DP_P_PULL_01_01",
    "DP_P_PULL_01_02",
    "DP_P_PULL_02_01",
    "DP_P_PULL_02_02",
    "DP_P_PULL_04_01",
    "DP_P_HTTP_PULL_01_01",
    "DP_P_HTTP_PULL_02_01",
    "DP_P_HTTP_PULL_02_02",
    "DP_P_PUSH_01_01",
    "DP_P_PUSH_01_02",
    "DP_P_PUSH_02_01",
    "DP_P_PUSH_02_02",
    "DP_P_PUSH_03_01",
    "DP_P_PUSH_04_01",
];

pub(super) fn run(context: &Context) -> Result<Outcome> {
    let mut kit = match KIT.find(context)? {
        Ok(kit) => kit,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    if let Some(folder) = schemas(&kit.home, &context.target.join("conformance/dps-resources"))? {
        kit.add_resources(&folder);
    }
    let program = node::build(context)?;
    let place = Place::new(&program, "tck-dps", &context.log)?;
    let theirs = free_port()?;
    let world = World::start(theirs)?;
    place.configure(&configuration(place.port, world.port()))?;
    fs::write(place.dir().join("profile.toml"), profile(theirs))?;
    let mut runs = Vec::new();
    for (package, callback) in [("controlplane", theirs), ("dataplane", world.port())] {
        let properties = place.dir().join(format!("{package}.properties"));
        fs::write(&properties, write_properties(package, place.port, theirs, callback))?;
        runs.push((properties, context.target.join(format!("conformance/dps-{package}.log"))));
    }
    let _node = place.serve(&["--allow-test-profile"], &context.log)?;
    let mut cases = Vec::new();
    for (properties, log) in runs {
        cases.extend(kit.run(&properties, &log)?);
    }
    Ok(Outcome::Ran(cases))
}

/// The published schemas that the kit checks messages with. Its own build fetches them into its jar; a jar that was
/// built without them finds here the ones that lie beside it, laid out as it asks for them.
fn schemas(home: &Path, to: &Path) -> Result<Option<PathBuf>> {
    let Some(beside) = home.parent() else { return Ok(None) };
    let signaling = beside.join("dps/specifications/schemas");
    let address = beside.join("dsp/transfer/data-address-schema.json");
    if !signaling.is_dir() || !address.is_file() {
        return Ok(None);
    }
    let folder = to.join("schema");
    fs::create_dir_all(folder.join("dsp"))?;
    for found in fs::read_dir(&signaling)? {
        let found = found?;
        fs::write(folder.join(found.file_name()), fs::read(found.path())?)?;
    }
    fs::write(folder.join("dsp/data-address-schema.json"), fs::read(&address)?)?;
    Ok(Some(to.to_owned()))
}

fn configuration(port: u16, world: u16) -> String {
    let background = BACKGROUND.map(|it| format!("\"{it}\"")).join(", ");
    format!(
        "{}[signaling]
enabled = true
profiles = [\"http-pull\", \"http-push\", {background}]
background = [{background}]
sources = [\"{KNOWN}=http://localhost:{world}/data\"]
trust_network = true

[test_profile]
file = \"profile.toml\"
pids_by_path = true
",
        node::claimed("tck-dps", port)
    )
}

/// The seeds, and the kit's two planes.
fn profile(theirs: u16) -> String {
    let mut text = format!("[[dataset]]\nid = \"{DATASET}\"\noffer = \"{DATASET}-offer\"\n");
    // Writing into a string cannot fail.
    let mut add = |lines: String| _ = write!(text, "{lines}");
    for (id, role, peer) in PARTIES {
        add(format!(
            "[[agreement]]\nid = \"{id}\"\nrole = \"{role}\"\npeer = \"{peer}\"\naddress = \"http://localhost:{theirs}\"\n"
        ));
    }
    add(format!(
        "[[plane]]\nkind = \"data\"\nregistration = '{{\"dataplaneId\": \"kit\", \"endpoint\": \"http://localhost:{theirs}\", \
         \"profiles\": [\"HttpData-PULL\"], \"authorization\": {{\"type\": \"tidm:network\"}}}}'\n"
    ));
    add(format!(
        "[[plane]]\nkind = \"control\"\nregistration = '{{\"controlplaneId\": \"kit\", \"endpoint\": \"http://localhost:{theirs}\", \
         \"tidm:datasets\": [\"{DATASET}\"], \"authorization\": {{\"type\": \"tidm:bearer\", \"accept\": \"{SECRET}\", \
         \"present\": \"the-node-presents-this-to-the-kit\"}}}}'\n"
    ));
    text
}

fn write_properties(package: &str, port: u16, theirs: u16, callback: u16) -> String {
    let node = format!("http://localhost:{port}");
    let mut text = format!(
        "dataspacetck.ansi=false
dataspacetck.debug=true
dataspacetck.test.package=org.eclipse.dataspacetck.dps.verification.{package}
dataspacetck.host=127.0.0.1
dataspacetck.port={theirs}
dataspacetck.callback.address=http://localhost:{callback}
dataspacetck.dps.controlplane.webhook.url={node}/test-profile
dataspacetck.dps.controlplane.protocol.url={node}/dsp/2025-1
dataspacetck.dps.controlplane.signaling.url={node}/signaling
dataspacetck.dps.dataplane.url={node}/dataplane
dataspacetck.dps.dataplane.authorization=Bearer {SECRET}
dataspacetck.dps.dataplane.counterparty.id=did:web:localhost%3A{callback}
dataspacetck.dps.default.wait={WAIT}
"
    );
    // Writing into a string cannot fail.
    let mut add = |line: String| _ = writeln!(text, "{line}");
    for (prefix, _, _) in PARTIES {
        for case in CONTROL_CASES {
            add(format!("{prefix}_{case}_AGREEMENTID={prefix}"));
        }
    }
    for case in PROVIDER_CASES {
        add(format!("{case}_DATASETID={DATASET}"));
    }
    add(format!("DP_C_PULL_03_01_DATASETID={KNOWN}"));
    for side in ["C", "P"] {
        for (way, profile) in ["PULL", "PUSH"].into_iter().zip(BACKGROUND) {
            add(format!("DP_{side}_{way}_04_01_PROFILE={profile}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_what_their_readers_read() {
        let profile: toml::Table = toml::from_str(&profile(8083)).unwrap();
        let count = |name: &str| profile[name].as_array().unwrap().len();
        assert_eq!((count("dataset"), count("agreement"), count("plane")), (1, 2, 2));
        for plane in profile["plane"].as_array().unwrap() {
            let text = plane["registration"].as_str().unwrap();
            assert!(text.starts_with('{') && text.ends_with("}}"), "{text}");
        }
        let configuration: toml::Table = toml::from_str(&configuration(1, 2)).unwrap();
        assert_eq!(configuration["signaling"]["background"].as_array().unwrap().len(), 2);
        let properties = write_properties("dataplane", 1, 2, 3);
        assert!(properties.contains("DP_C_PUSH_04_01_PROFILE=background-http-push\n"));
    }
}
