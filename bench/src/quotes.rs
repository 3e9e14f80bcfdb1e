//! One appraisal of published evidence of each maker: signatures, certificates up to the pinned root, collateral, policy.
//!
//! The evidence is a kit beside the project. Never a figure where there is none, and never one for evidence whose signature did
//! not hold.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use tidm_attest::appraise;
use tidm_attest::evidence::{Evidence, Kind};
use tidm_attest::policy::Policy;

use crate::figure::{Goal, Report, Times, say};

/// 2025-06-20, when all certificates and collateral of the kit are valid.
const NOW: u64 = 1_750_400_000;
const ROUNDS: usize = 200;

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let Some(kit) = kit() else {
        say(
            "no published evidence beside the project (TIDM_CONFORMANCE names where kits are): nothing measured",
        );
        return Ok(());
    };
    let read = |name: &str| {
        let path = kit.join(name);
        std::fs::read(&path).with_context(|| path.display().to_string())
    };
    for (what, name) in [("SGX quote", "sgx-tdx/sgx_quote"), ("TDX quote", "sgx-tdx/tdx_quote")] {
        let (quote, collateral) = (read(name)?, read(&format!("{name}_collateral.json"))?);
        let kind = Kind::Intel { collateral: &collateral };
        measured(report, what, &Evidence { bytes: &quote, kind })?;
    }
    let (bytes, vcek) = (hex(&read("snp/report_milan.hex")?)?, read("snp/vcek_milan.der")?);
    let chain = chain(&String::from_utf8(read("snp/cert_chain_milan")?)?)?;
    let [ask, ark] = chain.as_slice() else { anyhow::bail!("a chain of two was expected") };
    measured(
        report,
        "SEV-SNP report",
        &Evidence { bytes: &bytes, kind: Kind::Snp { vcek: &vcek, ask, ark } },
    )?;
    let [hrk, hsk, cek] = [read("csv/hrk.cert")?, read("csv/hsk.cert")?, read("csv/cek.cert")?];
    let bytes = read("csv/report.cert")?;
    let kind = Kind::Csv { hrk: &hrk, hsk: &hsk, cek: &cek };
    measured(report, "Hygon CSV report", &Evidence { bytes: &bytes, kind })
}

/// No policy allows anything, so that the verdict is no; but what was proven stands in the appraisal, or the signature was bad.
fn measured(report: &mut Report, what: &str, evidence: &Evidence<'_>) -> Result<()> {
    let policy = Policy::default();
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let appraisal = appraise(evidence, &policy, NOW);
        times.push(started.elapsed());
        ensure!(appraisal.facts.is_some(), "{what}: {appraisal:?}");
    }
    let times = Times::new(times);
    report.add(&format!("{what}, p50"), times.at(0.5), "ms", Goal::AtMost(10.0));
    report.add(&format!("{what}, slowest"), times.at(1.0), "ms", Goal::None);
    Ok(())
}

fn kit() -> Option<PathBuf> {
    let root = std::env::var_os("TIDM_CONFORMANCE").map(PathBuf::from).or_else(|| {
        let start = Path::new(env!("CARGO_MANIFEST_DIR"));
        start.ancestors().map(|up| up.join("shared/conformance")).find(|it| it.is_dir())
    });
    root.map(|it| it.join("attestation")).filter(|it| it.is_dir())
}

fn hex(text: &[u8]) -> Result<Vec<u8>> {
    let digits = std::str::from_utf8(text.trim_ascii())?;
    let pairs = digits.as_bytes().chunks(2).map(std::str::from_utf8);
    pairs.map(|pair| Ok(u8::from_str_radix(pair?, 16)?)).collect()
}

/// Certificates in DER, in the order of the file.
fn chain(text: &str) -> Result<Vec<Vec<u8>>> {
    let parts = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    let one = |part: &str| {
        let body = part.split("-----END").next().unwrap_or_default();
        Ok(STANDARD.decode(body.split_whitespace().collect::<String>())?)
    };
    parts.map(one).collect()
}
