//! The kit for the Dataspace Protocol 2025-1: one node in its test profile.
//!
//! The kit expects of each dataset and agreement that the node does something certain with it. All of that is said here
//! as approval rules, which any operator may write; nothing in the node knows a case of the kit.

use std::fmt::Write as _;

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

/// The kit's name as a participant.
const PEER: &str = "TCK_PARTICIPANT";
/// Seconds that the kit waits for the node; its own sample says 15.
const WAIT: u32 = 15;

/// Milliseconds before each answer. The kit begins to listen for one a moment after its own message was acknowledged,
/// and loses what comes sooner: without a pause one case in some hundreds fails for that.
const PAUSE: u32 = 150;
/// Milliseconds where the kit has to look at a state before it is left.
const LONG_PAUSE: u32 = 500;

/// `when then` in the order of the states; a number before is the round, `…` is the long pause.
type Script = (&'static str, &'static [&'static str]);

/// What the node as a provider does with requests for a dataset, by the number of the case.
const PROVIDER: &[Script] = &[
    ("0101", &["requested offer"]),
    ("0102", &["1 requested offer", "2 requested terminate"]),
    ("0103", &["requested offer", "accepted agree", "verified finalize"]),
    ("0104", &["requested agree", "verified finalize"]),
    ("0201", &["requested terminate"]),
    ("0202", &["requested hold"]),
    ("0203", &["requested agree"]),
    ("0204", &["requested offer"]),
    ("0205", &["requested offer", "offered … terminate"]),
    ("0206", &["requested offer", "accepted terminate"]),
    ("0207", &["requested agree", "verified terminate"]),
    ("0301", &["requested agree", "verified finalize"]),
    ("0302", &["requested offer"]),
    ("0303", &["requested offer", "accepted hold"]),
    ("0304", &["1 requested offer", "2 requested hold"]),
];

/// What the node as a consumer does in a negotiation that the kit has it begin.
const CONSUMER: &[Script] = &[
    ("0101", &["offered accept", "agreed verify"]),
    ("0102", &["1 offered counter"]),
    ("0103", &["offered terminate"]),
    ("0104", &["agreed verify"]),
    ("0201", &["requested hold"]),
    ("0202", &["requested … terminate"]),
    ("0203", &["agreed terminate"]),
    ("0204", &["offered hold"]),
    ("0205", &["offered accept"]),
    ("0206", &["agreed verify"]),
    ("0301", &["requested hold"]),
    ("0302", &["offered hold"]),
    ("0303", &["offered hold"]),
    ("0304", &["offered accept"]),
    ("0305", &["offered accept"]),
    ("0306", &["offered accept", "agreed hold"]),
];

/// What the node as a provider does with transfers under an agreement. Starting lays real data ready.
const PROVIDER_TRANSFERS: &[Script] = &[
    ("0101", &["transfer-requested start", "transfer-started … terminate"]),
    ("0102", &["transfer-requested start", "transfer-started … complete"]),
    (
        "0103",
        &[
            "transfer-requested start",
            "transfer-started … suspend",
            "transfer-suspended … terminate",
        ],
    ),
    (
        "0104",
        &[
            "transfer-requested start",
            "1 transfer-started … suspend",
            "transfer-suspended … start",
            "2 transfer-started … complete",
        ],
    ),
    ("0105", &["transfer-requested terminate"]),
    ("0201", &["transfer-requested start"]),
    ("0202", &["transfer-requested start"]),
    ("0203", &["transfer-requested start"]),
    ("0204", &["transfer-requested start"]),
    ("0205", &["transfer-requested hold"]),
    ("0301", &["transfer-requested hold"]),
    ("0302", &["transfer-requested hold"]),
    ("0303", &["transfer-requested start"]),
    ("0304", &["transfer-requested start"]),
    ("0305", &["transfer-requested start"]),
    ("0306", &["transfer-requested start"]),
];

/// What the node as a consumer does: the kit announces data that is nowhere, so that nothing is fetched.
const CONSUMER_TRANSFERS: &[Script] = &[
    ("0101", &["transfer-started hold"]),
    ("0102", &["transfer-started hold"]),
    ("0103", &["transfer-started hold"]),
    ("0104", &["transfer-started hold"]),
    ("0105", &["transfer-started hold"]),
    ("0201", &["transfer-started … terminate"]),
    ("0202", &["transfer-started … complete"]),
    ("0203", &["transfer-started … suspend", "transfer-suspended … terminate"]),
    (
        "0204",
        &[
            "1 transfer-started … suspend",
            "transfer-suspended … start",
            "2 transfer-started … complete",
        ],
    ),
    ("0205", &["transfer-requested … terminate"]),
    ("0301", &["transfer-started hold"]),
    ("0302", &["transfer-started hold"]),
    ("0303", &["transfer-started hold"]),
    ("0304", &["transfer-started hold"]),
    ("0305", &["transfer-started hold"]),
    ("0306", &["transfer-started hold"]),
];

pub(super) fn run(context: &Context) -> Result<Outcome> {
    let kit = match KIT.find(context)? {
        Ok(kit) => kit,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let program = node::build(context)?;
    let place = Place::new(&program, "tck-dsp", &context.log)?;
    let theirs = free_port()?;
    place.configure(&configuration(place.port))?;
    std::fs::write(place.dir().join("profile.toml"), profile(theirs))?;
    let properties = place.dir().join("dsp.properties");
    std::fs::write(&properties, write_properties(place.port, theirs))?;
    let _node = place.serve(&["--allow-test-profile"], &context.log)?;
    let log = context.target.join("conformance/dsp.log");
    Ok(Outcome::Ran(kit.run(&properties, &log)?))
}

fn configuration(port: u16) -> String {
    format!(
        "{}[test_profile]
file = \"profile.toml\"
",
        node::claimed("tck-dsp", port)
    )
}

/// The seeds and their rules.
fn profile(theirs: u16) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let mut add = |lines: String| _ = write!(text, "{lines}");
    for dataset in ["CAT0101", "CAT0102"] {
        add(format!("[[dataset]]\nid = \"{dataset}\"\noffer = \"CD123:{dataset}:456\"\n"));
    }
    for (case, script) in PROVIDER {
        add(format!("[[dataset]]\nid = \"ACN{case}\"\noffer = \"CD123:ACN{case}:456\"\n"));
        add(rules(script));
    }
    for (case, script) in CONSUMER {
        add(format!("[[request]]\ndataset = \"ACNC{case}\"\n{}", rules(script)));
    }
    let transfers =
        [("ATP", "provider", PROVIDER_TRANSFERS), ("ATPC", "consumer", CONSUMER_TRANSFERS)];
    for (prefix, role, scripts) in transfers {
        for (case, script) in scripts {
            add(format!(
                "[[agreement]]\nid = \"{prefix}{case}\"\nrole = \"{role}\"\npeer = \"{PEER}\"\naddress = \"http://localhost:{theirs}\"\n"
            ));
            add(rules(script));
        }
    }
    text
}

/// A script as rules in TOML.
fn rules(script: &[&str]) -> String {
    let rule = |line: &&str| {
        let mut words: Vec<&str> = line.split(' ').collect();
        let round = words.first().and_then(|it| it.parse::<u32>().ok());
        let round = round.map_or_else(String::new, |it| format!("round = {it}, "));
        let pause = if words.contains(&"…") { LONG_PAUSE } else { PAUSE };
        words.retain(|it| it.parse::<u32>().is_err() && *it != "…");
        let (when, then) = (words.first().unwrap_or(&""), words.last().unwrap_or(&""));
        format!("{{ when = \"{when}\", {round}then = \"{then}\", after_ms = {pause} }}")
    };
    format!("rules = [{}]\n", script.iter().map(rule).collect::<Vec<_>>().join(", "))
}

fn write_properties(port: u16, theirs: u16) -> String {
    let own = "dataspacetck.dsp.connector";
    let node = format!("http://localhost:{port}");
    let mut text = format!(
        "dataspacetck.ansi=false
dataspacetck.debug=true
dataspacetck.dsp.local.connector=false
dataspacetck.host=127.0.0.1
dataspacetck.port={theirs}
dataspacetck.callback.address=http://localhost:{theirs}
{own}.agent.id=did:web:localhost%3A{port}
{own}.http.url={node}/dsp/2025-1
{own}.http.base.url={node}
{own}.http.headers.authorization={{\"clientId\":\"{PEER}\"}}
{own}.negotiation.initiate.url={node}/test-profile/negotiations/requests
{own}.transfer.initiate.url={node}/test-profile/transfers/requests
dataspacetck.dsp.default.wait={WAIT}
dataspacetck.dsp.thread.pool=10
"
    );
    // Writing into a string cannot fail.
    let mut add = |line: String| _ = writeln!(text, "{line}");
    let name = |case: &str| format!("{}_{}", &case[..2], &case[2..]);
    for (case, _) in PROVIDER {
        add(format!("CN_{}_DATASETID=ACN{case}", name(case)));
        add(format!("CN_{}_OFFERID=CD123:ACN{case}:456", name(case)));
    }
    for (case, _) in CONSUMER {
        add(format!("CN_C_{}_DATASETID=ACNC{case}", name(case)));
    }
    for (prefix, id, scripts) in
        [("TP", "ATP", PROVIDER_TRANSFERS), ("TP_C", "ATPC", CONSUMER_TRANSFERS)]
    {
        for (case, _) in scripts {
            add(format!("{prefix}_{}_AGREEMENTID={id}{case}", name(case)));
            add(format!("{prefix}_{}_FORMAT=HttpData-PULL", name(case)));
        }
    }
    for case in ["0101", "0102", "0103"] {
        add(format!("CAT_{}_DATASETID=CAT{case}", name(case)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_become_rules() {
        assert_eq!(
            rules(&["1 requested offer", "offered … terminate"]),
            "rules = [{ when = \"requested\", round = 1, then = \"offer\", after_ms = 150 }, { when = \"offered\", then = \"terminate\", after_ms = 500 }]\n"
        );
        assert_eq!(rules(&[]), "rules = []\n");
    }

    #[test]
    fn the_profile_is_toml_with_all_seeds() {
        let profile: toml::Table = toml::from_str(&profile(8083)).unwrap();
        let count = |name: &str| profile[name].as_array().unwrap().len();
        assert_eq!((count("dataset"), count("request"), count("agreement")), (17, 16, 32));
        assert!(write_properties(1, 2).contains("TP_C_03_06_AGREEMENTID=ATPC0306\n"));
    }
}
