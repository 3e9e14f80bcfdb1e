//! The kit for the Decentralized Claims Protocol 1.0: one node in its test profile, with a wallet, an issuer and a
//! verifier of their own DIDs, and the kit's three packages one after the other.
//!
//! The packages run one at a time because the kit plays the other parties, and these differ. Nothing in the node knows a
//! case: it serves the protocol to whoever calls, with test credentials for anybody.

use std::fmt::Write as _;

use anyhow::Result;

use super::kit::{Kit, Outcome};
use super::node::{self, Place};
use crate::servers::free_port;
use crate::stages::Context;

pub(super) const KIT: Kit = Kit {
    name: "dcp",
    title: "Decentralized Claims Protocol TCK",
    version: "1.0.2",
    main: "org.eclipse.dataspacetck.dcp.suite.DcpTckSuite",
    cases: 85,
};

const PACKAGES: &str = "org.eclipse.dataspacetck.dcp.verification";
/// What the token service's client shows; the node lives as long as the run.
const SECRET: &str = "conformance";

/// What our node is in a run: its short name, and the kit's packages against it.
const PARTS: [(&str, &[&str]); 3] = [
    ("holder", &["presentation.cs", "issuance.cs"]),
    ("verifier", &["presentation.verifier"]),
    ("issuer", &["issuance.issuer"]),
];

pub(super) fn run(context: &Context) -> Result<Outcome> {
    let kit = match KIT.find(context)? {
        Ok(kit) => kit,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let program = node::build(context)?;
    let place = Place::new(&program, "tck-dcp", &context.log)?;
    let (port, kit_port) = (place.port, free_port()?);
    std::fs::write(place.dir().join("sts.secret"), SECRET)?;
    place.configure(&write_configuration(port, kit_port))?;
    let mut files = Vec::new();
    for (part, packages) in PARTS {
        let file = place.dir().join(format!("{part}.properties"));
        std::fs::write(&file, write_properties(part, packages, port, kit_port))?;
        files.push((part, file));
    }
    let _node = place.serve(&["--allow-test-profile"], &context.log)?;
    let mut cases = Vec::new();
    for (part, file) in files {
        let log = context.target.join(format!("conformance/dcp-{part}.log"));
        for mut case in kit.run(&file, &log)? {
            case.name = format!("{part}: {}", case.name);
            cases.push(case);
        }
    }
    Ok(Outcome::Ran(cases))
}

fn write_configuration(node: u16, kit: u16) -> String {
    format!(
        "[node]\norg = \"TCK\"\n[http]\nlisten = \"127.0.0.1:{node}\"\npublic_url = \"http://localhost:{node}\"\n\
         insecure_http = true\n[peers]\nallow_private_addresses = true\n\
         [identity]\nmode = \"did\"\n[dcp]\nissuers = [\"did:web:localhost%3A{kit}:issuer\"]\n\
         [test_profile]\nidentities = [\"holder\", \"verifier\", \"issuer\"]\nsecret_file = \"sts.secret\"\n"
    )
}

fn write_properties(part: &str, packages: &[&str], node: u16, kit: u16) -> String {
    let packages: Vec<String> = packages.iter().map(|it| format!("{PACKAGES}.{it}")).collect();
    let mut text = format!(
        "dataspacetck.ansi=false\ndataspacetck.port={kit}\ndataspacetck.callback.address=http://localhost:{kit}\n\
         dataspacetck.credentials.correlation.id=tck\ndataspacetck.test.package={}\n\
         dataspacetck.did.{part}=did:web:localhost%3A{node}:{part}\n",
        packages.join(","),
    );
    let more = match part {
        "holder" => format!(
            "dataspacetck.sts.url=http://localhost:{node}/sts\ndataspacetck.sts.client.id={part}\n\
             dataspacetck.sts.client.secret={SECRET}\n"
        ),
        "verifier" => {
            format!("dataspacetck.vpp.trigger.endpoint=http://localhost:{node}/{part}/trigger\n")
        }
        _ => String::new(),
    };
    // Writing into a string cannot fail.
    let _ = write!(text, "{more}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_names_our_part_and_leaves_the_others_to_the_kit() {
        for (part, packages) in PARTS {
            let text = write_properties(part, packages, 1, 2);
            let dids = text.lines().filter(|line| line.starts_with("dataspacetck.did."));
            assert_eq!(
                dids.collect::<Vec<_>>(),
                [format!("dataspacetck.did.{part}=did:web:localhost%3A1:{part}")]
            );
            assert_eq!(text.contains("sts.url"), part == "holder");
            assert_eq!(text.contains("trigger"), part == "verifier");
        }
    }
}
