//! `tidm attest`: evidence of trusted environments, judged from files; and the vendors' collateral that a node keeps.
//!
//! Never fetches anything, and never releases a key: a gate does that, by the same rules.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use tidm_attest::appraisal::{Appraisal, Facts, Outcome as Found, Tcb};
use tidm_attest::ranges::ranges;
use tidm_attest::{appraise, text};
use tidm_node::attest;
use tidm_node::attest::maker::Maker;
use tidm_node::clock::Clock;
use tidm_space::time::Time;

use crate::cli::{Global, Lang, Output};
use crate::client::{self, Outcome};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum Attest {
    Check(Check),
    /// Check Intel's signed collateral and keep it for the node; without files, what is kept and how long it holds.
    #[command(
        after_help = "Examples:\n  tidm --dir /srv/tidm attest import sgx.json tdx.json\n  tidm --dir /srv/tidm attest import"
    )]
    Import {
        /// Sets as JSON: root_ca_crl, pck_crl, tcb_info, qe_identity, their signatures and chains.
        files: Vec<PathBuf>,
    },
    Make(Make),
    /// A policy to begin with. It accepts nothing until measurements and chips are filled in.
    #[command(after_help = "Example:\n  tidm attest policy > /srv/tidm/data/attest/policy.json")]
    Policy,
}

/// Judge evidence by a policy: claim by claim. Exit code 3 where it is refused.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidm attest check evidence.json --policy policy.json --bound 5f3c… --lang en"
)]
pub(crate) struct Check {
    /// JSON: format (snp, intel, csv or tpm), report and what lies beside it, in base64.
    evidence: PathBuf,
    #[arg(long)]
    policy: PathBuf,
    /// The bytes that the evidence must carry, hexadecimal. Without them nothing proves that it is fresh.
    #[arg(long, value_name = "HEX")]
    bound: Option<String>,
    /// Intel's collateral, in the place of the one in the evidence.
    #[arg(long, value_name = "FILE")]
    collateral: Option<PathBuf>,
    /// When (RFC 3339); now when absent.
    #[arg(long)]
    time: Option<String>,
}

/// Make evidence of this machine, as the node's settings say, and print it. A provider learns from it which chip and which
/// measurement to name in its policy.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidm --dir /srv/tidm attest make --bound 5f3c… > evidence.json"
)]
pub(crate) struct Make {
    /// The 32 bytes that the evidence is to carry, hexadecimal; best a random number of whoever asks for it.
    #[arg(long, value_name = "HEX")]
    bound: String,
}

impl Make {
    fn run(&self, global: &Global) -> anyhow::Result<()> {
        let bound = text::hex("--bound", &self.bound)?;
        let bound: [u8; 32] =
            bound.try_into().map_err(|_| anyhow::anyhow!("--bound is not 32 bytes"))?;
        let config = client::config(global)?;
        let maker = Maker::of(&config.attest);
        let maker = maker.context("no maker is chosen: set attest.maker to tsm or tpm")?;
        let made = maker.make(&bound, None).context("this machine made no evidence")?.write()?;
        show::line(&String::from_utf8(made)?);
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

fn now() -> u64 {
    attest::seconds(Clock::default().now())
}

impl Attest {
    pub(crate) fn run(&self, global: &Global) -> Outcome<ExitCode> {
        match self {
            Self::Check(it) => return Ok(it.run(global)?),
            Self::Import { files } => {
                let config = client::config(global)?;
                for file in files {
                    attest::import(&config.node.data, &read(file)?, now())
                        .with_context(|| file.display().to_string())?;
                }
                let kept = attest::listed(&config.node.data, now())?;
                let rows: Vec<Value> = kept.into_iter().map(row).collect();
                show::value(&json!({ "items": rows }), global);
            }
            Self::Make(it) => it.run(global)?,
            Self::Policy => show::line(text::EXAMPLE.trim_end()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row((name, found): (String, Result<tidm_attest::intel::Described, String>)) -> Value {
    match found {
        Ok(it) => json!({
            "collateral": name, "for": it.environment, "family": it.family,
            "from": instant(it.from), "until": instant(it.until), "holds": true,
        }),
        Err(reason) => json!({ "collateral": name, "holds": false, "reason": reason }),
    }
}

fn instant(seconds: u64) -> String {
    let ms = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000);
    Time::from_ms(ms).to_string()
}

impl Check {
    fn run(&self, global: &Global) -> anyhow::Result<ExitCode> {
        let named = |path: &Path| path.display().to_string();
        let evidence =
            text::Text::read(&read(&self.evidence)?).with_context(|| named(&self.evidence))?;
        let mut policy = text::policy(&read(&self.policy)?).with_context(|| named(&self.policy))?;
        if let Some(bound) = &self.bound {
            policy.report_data = text::hex("--bound", bound)?;
        }
        let collateral = self.collateral.as_deref().map(read).transpose()?;
        let now = match &self.time {
            None => now(),
            Some(it) => {
                attest::seconds(Time::parse(it).map_err(|why| anyhow::anyhow!("{it}: {why}"))?)
            }
        };
        let evidence = evidence.evidence(collateral.as_deref());
        let appraisal = appraise(&evidence, &policy, now);
        let ranges: Vec<Value> = ranges(&evidence)
            .into_iter()
            .map(|(it, what)| json!({ "from": it.start, "to": it.end.saturating_sub(1), "bytes": what }))
            .collect();
        print(&appraisal, &ranges, global);
        Ok(if appraisal.is_accepted() { ExitCode::SUCCESS } else { ExitCode::from(3) })
    }
}

fn print(it: &Appraisal, ranges: &[Value], global: &Global) {
    let pick = |(zh, en): (&'static str, &'static str)| match global.lang {
        Lang::Zh => zh,
        Lang::En => en,
    };
    let claims: Vec<Value> = it
        .findings
        .iter()
        .map(|it| {
            let (found, code) = match it.outcome {
                Found::Met => (("成立", "met"), String::new()),
                Found::Refused(reason) => (("拒绝", "refused"), reason.code().to_owned()),
                Found::NotAppraised => (("未评估", "not appraised"), String::new()),
            };
            let says = pick(it.claim.words());
            json!({ "claim": it.claim.to_string(), "says": says, "found": pick(found), "code": code })
        })
        .collect();
    let accepted =
        pick(if it.is_accepted() { ("接受", "accepted") } else { ("拒绝", "refused") });
    let facts = it.facts.as_ref().map_or(Value::Null, facts);
    let verdict = json!({ "verdict": accepted, "level": it.level.name(), "facts": facts });
    match global.output {
        Output::Json => show::json(&json!({
            "accepted": it.is_accepted(), "level": it.level.name(), "facts": facts,
            "claims": claims, "ranges": ranges,
        })),
        Output::Table => {
            show::table(&claims);
            show::value(&verdict, global);
            if !ranges.is_empty() {
                show::table(ranges);
            }
        }
    }
}

fn facts(it: &Facts) -> Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let firmware = match &it.tcb {
        Tcb::Snp(tcb) => format!(
            "boot loader {}, tee {}, snp {}, microcode {}",
            tcb.boot_loader, tcb.tee, tcb.snp, tcb.microcode
        ),
        Tcb::Intel { status, since, advisories } => {
            format!("{} ({}) {}", status.name(), instant(*since), advisories.join(" "))
        }
        Tcb::Csv { firmware: (major, minor) } => format!("{major}.{minor}"),
        Tcb::Tpm { firmware } => format!("{firmware:#x}"),
        Tcb::Simulated { firmware } => format!("simulated, {firmware}"),
    };
    json!({
        "firmware": firmware.trim_end(), "measurement": hex(&it.measurement), "chip": hex(&it.chip),
        "bound": hex(&it.report_data),
    })
}
