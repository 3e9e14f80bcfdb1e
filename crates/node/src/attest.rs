//! What this node demands of evidence, the vendors' collateral it keeps, the desk where challenges are answered, and the
//! maker of evidence of its own machine, where the operator chose one.
//!
//! ```text
//!   <data>/attest/policy.json            demands; without it nothing is appraised and no such term is signed
//!   <data>/attest/collateral/sgx-….json  Intel's signed sets, one per kind and family, put there by `tidm attest import`
//! ```
//!
//! Threat model: evidence and the collateral beside it are the peer's; demands and kept collateral are the operator's,
//! and what is kept counts before what is sent. Nothing is fetched. A policy that cannot be read stops the start: half of
//! a demand would look like protection. Must never decide a use: it says what is proven, the gate decides.

pub mod maker;
pub mod tpm;
pub mod tsm;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context as _;

use tidm_attest::appraisal;
use tidm_attest::handshake::{Ask, Desk, Nonce};
use tidm_attest::intel::{self, Described};
use tidm_attest::policy::{Policy, report_data};
use tidm_attest::simulated::SimulatedRoot;
use tidm_attest::{evidence, text};
use tidm_crypto::hash::sha256;
use tidm_space::fault::Fault;
use tidm_space::lease::message::Proven;
use tidm_space::policy::usage::Level;
use tidm_space::time::Time;

use crate::random::os;

use maker::Maker;

/// Below the node's data.
const FOLDER: &str = "attest";
const POLICY: &str = "policy.json";
const COLLATERAL: &str = "collateral";
/// Most sets that are kept: each is of one family of platforms, and Intel knows some dozens.
const SETS: usize = 256;
/// When a full desk has room again.
const LATER: Duration = Duration::from_secs(5);

/// A report takes some milliseconds; firmware that is asked too often makes its guests wait for some seconds.
const MAKING: Duration = Duration::from_secs(30);

/// Appraisal at this node.
#[derive(Debug)]
pub struct Attest {
    policy: Option<Policy>,
    collateral: PathBuf,
    desk: Mutex<Desk>,
    maker: Option<Maker>,
    /// Simulated evidence of tests: whose, and the oldest firmware.
    simulated: OnceLock<(SimulatedRoot, u64)>,
}

impl Attest {
    /// Reads the operator's demands, if there are any.
    pub fn open(data: &Path, maker: Option<Maker>) -> anyhow::Result<Self> {
        let path = policy_file(data);
        let policy = match std::fs::read(&path) {
            Ok(json) => Some(text::policy(&json).with_context(|| path.display().to_string())?),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => None,
            Err(why) => return Err(why).with_context(|| path.display().to_string()),
        };
        let collateral = collateral_folder(data);
        Ok(Self { policy, collateral, desk: Mutex::default(), maker, simulated: OnceLock::new() })
    }

    /// Whether terms about a trusted environment can be kept here.
    pub const fn is_configured(&self) -> bool {
        self.policy.is_some()
    }

    /// Accepts simulated evidence as well. Only tests can: nothing else makes a [`SimulatedRoot`].
    pub fn simulate(&self, root: SimulatedRoot, firmware: u64) {
        self.simulated.get_or_init(|| (root, firmware));
    }

    /// A challenge for this asker, and until when it may be answered.
    ///
    /// # Errors
    /// [`Fault::Refused`] without demands, [`Fault::Unavailable`] where too many are open.
    pub fn challenge(&self, who: &str, now: Time) -> Result<(Nonce, Time), Fault> {
        if self.policy.is_none() {
            return Err(not_configured());
        }
        let mut nonce = Nonce::default();
        rand_core::Rng::fill_bytes(&mut os(), &mut nonce);
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let until = desk.challenge(who, nonce, seconds(now)).map_err(|_| Fault::Unavailable {
            reason: "too many challenges are open".to_owned(),
            retry_after: LATER,
        })?;
        Ok((nonce, now.after(Duration::from_secs(until.saturating_sub(seconds(now))))))
    }

    /// Whether evidence of a trusted environment can be made here.
    pub fn makes(&self) -> bool {
        self.maker.as_ref().is_some_and(Maker::is_of_a_tee)
    }

    /// Evidence of this machine that answers a challenge for what is asked, with a key of one time; as it is sent.
    ///
    /// # Errors
    /// [`Fault::Refused`] `attest.maker` with what the maker says.
    pub async fn evidence(
        &self,
        nonce: Nonce,
        key: &[u8; 32],
        asked: &[u8; 32],
    ) -> Result<Vec<u8>, Fault> {
        let no = |why: String| Fault::refused("attest.maker", why);
        let maker = self.maker.clone().ok_or_else(|| no("attest.maker is \"none\"".to_owned()))?;
        let bound = report_data(&nonce, key, asked);
        let making = tokio::task::spawn_blocking(move || maker.make(&bound, Some(nonce)));
        let made = match tokio::time::timeout(MAKING, making).await {
            Ok(Ok(made)) => made.map_err(|why| no(why.to_string()))?,
            Ok(Err(_)) => return Err(Fault::ApiMisuse("a maker of evidence panicked")),
            Err(_) => return Err(no(format!("no report came within {} s", MAKING.as_secs()))),
        };
        // Whoever appraises counts its own set first; ours helps where it has none.
        let made = match self.kept(&made.evidence(None)) {
            Some(set) => made.with_collateral(set),
            None => made,
        };
        made.write().map_err(|why| no(why.to_string()))
    }

    /// Redeems the challenge that the evidence answers, and judges it. `key` and `request` are what it must bind.
    ///
    /// # Errors
    /// [`Fault::Refused`] without demands; [`Fault::PeerMisbehaved`] for evidence that cannot be read.
    pub fn appraise(
        &self,
        who: &str,
        (key, request): ([u8; 32], [u8; 32]),
        json: &[u8],
        now: Time,
    ) -> Result<Proven, Fault> {
        let Some(policy) = &self.policy else { return Err(not_configured()) };
        let evidence = text::Text::read(json)
            .map_err(|why| Fault::misbehaved("attest.malformed", why.to_string()))?;
        let nonce = evidence.nonce.unwrap_or_default();
        let ask = Ask { who, nonce, key, request };
        let mut policy = policy.clone();
        if let Some((root, firmware)) = self.simulated.get() {
            policy.simulated = Some(root.clone());
            policy.least_tcb.simulated = Some(*firmware);
        }
        let kept = self.kept(&evidence.evidence(None));
        let evidence = evidence.evidence(kept.as_deref());
        let format = evidence.kind.name();
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, refused) = match desk.judge(&ask, &evidence, &policy, seconds(now)) {
            Ok(it) => {
                let codes: Vec<_> = it.refusals().map(|it| it.code()).collect();
                (level(it.level), codes.join(","))
            }
            Err(stale) => (None, stale.code().to_owned()),
        };
        Ok(Proven { format, evidence: sha256(json), level, refused })
    }

    /// The set of our own that a quote needs.
    fn kept(&self, evidence: &evidence::Evidence<'_>) -> Option<Vec<u8>> {
        let evidence::Kind::Intel { .. } = evidence.kind else { return None };
        let (environment, family) = intel::needs(evidence.bytes)?;
        std::fs::read(self.collateral.join(file_name(environment, &family))).ok()
    }
}

fn not_configured() -> Fault {
    Fault::refused("attest.not-configured", "this node has no demands on evidence")
}

const fn level(it: appraisal::Level) -> Option<Level> {
    match it {
        appraisal::Level::AtMostE2 => None,
        appraisal::Level::E3 => Some(Level::E3),
        appraisal::Level::E4 => Some(Level::E4),
    }
}

/// Time as certificates count it.
pub fn seconds(now: Time) -> u64 {
    u64::try_from(now.ms() / 1000).unwrap_or(0)
}

/// Where the operator's demands lie.
pub fn policy_file(data: &Path) -> PathBuf {
    data.join(FOLDER).join(POLICY)
}

fn collateral_folder(data: &Path) -> PathBuf {
    data.join(FOLDER).join(COLLATERAL)
}

/// Both parts are checked words: `SGX` or `TDX`, and hexadecimal digits.
fn file_name(environment: &str, family: &str) -> String {
    format!("{}-{family}.json", environment.to_ascii_lowercase())
}

/// Checks a set and keeps it, in the place of an older one.
///
/// # Errors
/// The set does not hold at `now`, is older than the one kept, or the disk fails.
pub fn import(data: &Path, json: &[u8], now: u64) -> anyhow::Result<Described> {
    let it = intel::describe(json, now)
        .map_err(|reason| anyhow::anyhow!("this collateral is not accepted: {reason}"))?;
    anyhow::ensure!(
        matches!(it.environment.as_str(), "SGX" | "TDX"),
        "this collateral is for neither SGX nor TDX"
    );
    let folder = collateral_folder(data);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(file_name(&it.environment, &it.family));
    if let Ok(old) = std::fs::read(&path)
        && let Ok(kept) = intel::describe(&old, now)
    {
        anyhow::ensure!(kept.from <= it.from, "the set that is kept is newer");
    } else {
        anyhow::ensure!(listed(data, now)?.len() < SETS, "{SETS} sets are kept already");
    }
    // Whole or not at all: a node may be reading.
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, json).with_context(|| fresh.display().to_string())?;
    std::fs::rename(&fresh, &path).with_context(|| path.display().to_string())?;
    Ok(it)
}

/// The sets that are kept, each with what it is about or why it does not hold any more.
pub fn listed(data: &Path, now: u64) -> anyhow::Result<Vec<(String, Result<Described, String>)>> {
    let folder = collateral_folder(data);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(why).with_context(|| folder.display().to_string()),
    };
    let mut out = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "json") {
            let json = std::fs::read(&path).with_context(|| path.display().to_string())?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            out.push((name, intel::describe(&json, now).map_err(|it| it.code().to_owned())));
        }
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(out)
}
