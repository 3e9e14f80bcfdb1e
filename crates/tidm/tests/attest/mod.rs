//! `tidm attest` from files: a policy to begin with, evidence judged, and Intel's sets kept.
//!
//! Evidence is published quotes of the kit `attestation` (beside the project, or where `TIDM_CONFORMANCE` points).

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::two::{Node, lasting_port};

/// When the sets of the kit hold, as seconds and as words.
const THEN: (u64, &str) = (1_750_400_000, "2025-06-20T06:13:20Z");
/// Where an SGX quote has its measurement and the bytes bound.
const MEASURED: std::ops::Range<usize> = 112..144;
const BOUND: std::ops::Range<usize> = 368..432;

fn kit() -> Result<PathBuf, &'static str> {
    let beside = || {
        let start = Path::new(env!("CARGO_MANIFEST_DIR"));
        start.ancestors().map(|up| up.join("shared/conformance")).find(|it| it.is_dir())
    };
    let root = std::env::var_os("TIDM_CONFORMANCE").map(PathBuf::from).or_else(beside);
    let found = root.map(|it| it.join("attestation/sgx-tdx")).filter(|it| it.is_dir());
    found.ok_or("SKIPPED: published evidence: no shared/conformance/attestation/sgx-tdx")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Place {
    node: Node,
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = lasting_port().local_addr().unwrap().port();
        Self { node: Node::new(dir.path(), "gate", port, &[]), dir }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Exit code and result of `attest check` with these words behind it.
    fn check(&self, evidence: &str, more: &[&str]) -> (Option<i32>, Value) {
        let words = [&["-o", "json", "attest", "check", evidence][..], more].concat();
        let (code, told, trouble) = self.node.called(&words);
        let told = serde_json::from_str(&told);
        (code, told.unwrap_or_else(|why| panic!("{words:?}: {why} {trouble}")))
    }
}

fn codes(it: &Value) -> Vec<&str> {
    let claims = it["claims"].as_array().unwrap();
    claims.iter().filter_map(|it| it["code"].as_str()).filter(|it| !it.is_empty()).collect()
}

#[test]
fn evidence_is_judged_and_a_set_of_ones_own_counts_first() {
    let kit = match kit() {
        Ok(kit) => kit,
        Err(why) => return println!("{why}"),
    };
    let place = Place::new();
    let quote = std::fs::read(kit.join("sgx_quote")).unwrap();
    let set = std::fs::read_to_string(kit.join("sgx_quote_collateral.json")).unwrap();
    let evidence = |name: &str, collateral: &str| {
        let report = STANDARD.encode(&quote);
        place.file(
            name,
            &format!(r#"{{"format": "intel", "report": "{report}", "collateral": {collateral}}}"#),
        )
    };
    let (good, bare) = (evidence("good.json", &set), evidence("bare.json", "{}"));
    let own = place.file("set.json", &set);

    // The policy to begin with accepts nothing, and says so by claim.
    let (code, example, _) = place.node.called(&["attest", "policy"]);
    assert_eq!(code, Some(0));
    let begun = place.file("begun.json", &example);
    let mut filled: Value = serde_json::from_str(&example).unwrap();
    let bound = hex(&quote[BOUND]);
    let at = ["--time", THEN.1, "--bound", bound.as_str()];
    let (code, told) = place.check(&good, &[&["--policy", begun.as_str()][..], &at[..]].concat());
    assert_eq!((code, &told["accepted"]), (Some(3), &json!(false)), "{told:#}");
    for code in ["unknown-measurement", "unknown-chip"] {
        assert!(codes(&told).contains(&code), "{told:#}");
    }
    filled["measurements"] = json!([hex(&quote[MEASURED])]);
    filled["chips"] = json!("any");
    filled["least"]["intel"] = json!({"accept": ["ConfigurationAndSWHardeningNeeded"]});
    let policy = place.file("policy.json", &filled.to_string());
    let judged = |evidence: &str, more: &[&str]| {
        let words = [&["--policy", policy.as_str()][..], &at[..], more].concat();
        place.check(evidence, &words)
    };

    let (code, told) = judged(&good, &[]);
    assert_eq!(
        (code, &told["accepted"], &told["level"]),
        (Some(0), &json!(true), &json!("E3")),
        "{told:#}"
    );
    assert_eq!(codes(&told), [""; 0]);
    assert_eq!(told["facts"]["bound"], json!(bound));
    assert_eq!(
        (told["ranges"][0]["from"].as_u64(), told["ranges"][0]["to"].as_u64()),
        (Some(0), Some(431))
    );

    // A set of one's own counts before the one in the evidence, for better and for worse.
    let (code, told) = judged(&bare, &[]);
    assert_eq!((code, codes(&told)), (Some(3), vec!["bad-collateral"]), "{told:#}");
    let (code, told) = judged(&bare, &["--collateral", &own]);
    assert_eq!((code, codes(&told)), (Some(0), vec![]), "{told:#}");
    let broken = place.file("broken.json", "{}");
    let (code, told) = judged(&good, &["--collateral", &broken]);
    assert_eq!((code, codes(&told)), (Some(3), vec!["bad-collateral"]), "{told:#}");

    // Other bytes, another time: refused with exit code 3, each for its own reason.
    let late =
        ["--policy", policy.as_str(), "--bound", bound.as_str(), "--time", "2027-01-01T00:00:00Z"];
    let other = ["--policy", policy.as_str(), "--bound", "00", "--time", THEN.1];
    for (words, expected) in [(late, "out-of-date"), (other, "other-report-data")] {
        let (code, told) = place.check(&good, &words);
        assert_eq!(code, Some(3), "{told:#}");
        assert!(codes(&told).iter().any(|it| it.contains(expected)), "{told:#}");
    }
    // What cannot be read at all is an error, not a verdict.
    let no = place.node.refused(&["attest", "check", &broken, "--policy", &policy]);
    assert!(no.contains("broken.json"), "{no}");
}

#[test]
fn sets_are_kept_and_listed_with_their_expiry() {
    let kit = match kit() {
        Ok(kit) => kit,
        Err(why) => return println!("{why}"),
    };
    let place = Place::new();
    let data = place.node.dir.join("data");
    let listed = || -> Vec<Value> {
        let told = place.node.tidm(&["-o", "json", "attest", "import"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        told["items"].as_array().unwrap().clone()
    };
    assert_eq!(listed(), Vec::<Value>::new());
    let path = kit.join("sgx_quote_collateral.json");
    let set = std::fs::read(&path).unwrap();
    // Today the published set is over: refused by name, and not kept.
    let no = place.node.refused(&["attest", "import", &path.display().to_string()]);
    assert!(no.contains("sgx_quote_collateral.json") && no.contains("not accepted"), "{no}");
    assert_eq!(listed(), Vec::<Value>::new());
    // One that was kept while it held is listed with why it does not any more.
    tidm_node::attest::import(&data, &set, THEN.0).unwrap();
    let kept = data.join("attest/collateral/sgx-00a067110000.json");
    assert_eq!(std::fs::read(&kept).unwrap(), set);
    let all = listed();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(
        (&all[0]["collateral"], &all[0]["holds"]),
        (&json!("sgx-00a067110000"), &json!(false)),
        "{all:?}"
    );
    assert!(all[0]["reason"].as_str().is_some_and(|it| it.ends_with("out-of-date")), "{all:?}");
}
