//! Verifying evidence with public keys alone: one receipt, or the files of a whole log.
//!
//! Pure but for reading the files it is pointed at; needs no node, no store and no network.
//!
//! Threat model: the file comes from whoever profits from it. Nothing in it is believed before it is proven,
//! and the report says for each claim whether it was, and what no receipt can prove.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tidm_ledger::audit::{self, Audited, Finding};
use tidm_ledger::checkpoint::{CheckpointError, SignedCheckpoint};
use tidm_ledger::cosignature;
use tidm_ledger::limits::MAX_BUNDLE_BYTES;
use tidm_ledger::note::VerifierKey;
use tidm_ledger::policy::{Policy, PolicyError, satisfied};
use tidm_ledger::receipt::{self, Receipt, Report};
use tidm_ledger::tile::{TilePath, TileReader, TileSource};
use tidm_space::evidence::encode::{decode, summary};
use tidm_space::evidence::fact::Fact;
use tidm_space::lang::Lang;
use tidm_space::time::Time;

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("not a receipt: {0}")]
    Receipt(#[from] receipt::ReceiptError),
    #[error("the receipt holds no entry: give the entry's file, too")]
    NoEntry,
    #[error("give the verifier key of the log ({0})")]
    NoKey(String),
    #[error("not a policy: {0}")]
    Policy(#[from] PolicyError),
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Io(PathBuf, io::Error),
    #[error("the log's checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
}

/// A policy of `quorum` out of these witnesses; none for a quorum of 0.
pub fn policy_of(witnesses: &[VerifierKey], quorum: usize) -> Result<Policy, VerifyError> {
    let mut text = String::new();
    let mut names = String::new();
    for (number, key) in witnesses.iter().enumerate() {
        // Writing to a String cannot fail.
        let _infallible =
            writeln!(text, "witness w{number} {key}").and_then(|()| write!(names, " w{number}"));
    }
    if quorum == 0 || witnesses.is_empty() {
        text.push_str("quorum none\n");
    } else {
        let _infallible = writeln!(text, "group all-of-us {quorum}{names}\nquorum all-of-us");
    }
    Ok(Policy::parse(text.as_bytes())?)
}

/// What a receipt proves, and what it says.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    pub proof: Report,
    /// The entry, if it is a fact. Only to be believed where `proof.included`.
    pub fact: Option<Fact>,
    /// Its length; the entry may be of a newer version than this program.
    pub entry_bytes: usize,
}

/// Verifies a `.tlog-proof` file whose `extra` holds the entry.
pub fn verify_file(
    bytes: &[u8],
    logs: &[VerifierKey],
    policy: &Policy,
) -> Result<VerifyReport, VerifyError> {
    verify_with(bytes, None, logs, policy)
}

/// The same with the entry from a file of its own.
pub fn verify_with(
    bytes: &[u8],
    entry: Option<&[u8]>,
    logs: &[VerifierKey],
    policy: &Policy,
) -> Result<VerifyReport, VerifyError> {
    let receipt = Receipt::parse(bytes)?;
    let entry = entry.or_else(|| receipt.extra()).ok_or(VerifyError::NoEntry)?;
    let origin = receipt.checkpoint().checkpoint().origin();
    let known = logs.iter().chain(policy.logs().iter().map(|it| &it.key));
    // A key of another name is tried, too, so that the report can say that the log's signature is missing.
    let key = known.clone().find(|it| it.name() == origin).or_else(|| known.clone().next());
    let key = key.ok_or_else(|| VerifyError::NoKey(origin.to_owned()))?;
    let proof = receipt::verify(&receipt, entry, key, policy);
    Ok(VerifyReport { proof, fact: decode(entry).ok(), entry_bytes: entry.len() })
}

impl VerifyReport {
    /// Whether everything that the policy asks for was proven.
    pub fn accepted(&self) -> bool {
        self.proof.accepted()
    }

    /// Line by line: what was proven, what was not, what no receipt proves.
    pub fn text(&self, lang: Lang) -> String {
        let p = |zh, en| lang.pick(zh, en);
        let proof = &self.proof;
        let mut out = String::new();
        let mut line = |ok: Option<bool>, text: String| {
            let mark = match ok {
                Some(true) => p("已证明", "PROVEN"),
                Some(false) => p("未证明", "NOT PROVEN"),
                None => p("信息", "INFO"),
            };
            // Writing to a String cannot fail.
            let _infallible = writeln!(out, "[{mark}] {text}");
        };
        let place = format!("{} {} / {}", proof.origin, proof.index, proof.size);
        line(
            Some(proof.included),
            format!(
                "{}: {place}",
                p(
                    "条目在该树的该位置（日志 序号 / 树大小）",
                    "the entry is at this place of the tree (log, index / size)"
                )
            ),
        );
        line(None, format!("{}: {}", p("树根", "root"), proof.root));
        line(
            Some(proof.log_signature_ok),
            format!("{}: {}", p("日志已对该树签名", "the log signed this tree"), proof.origin),
        );
        for (name, seconds) in &proof.cosigned_by {
            let at =
                Time::from_ms(i64::try_from(*seconds).unwrap_or(i64::MAX).saturating_mul(1000));
            line(
                Some(true),
                format!(
                    "{}: {name}, {at}",
                    p("存证方见证签名（按其时钟）", "cosigned by a custodian (by its clock)")
                ),
            );
        }
        let quorum = proof.quorum_met && !proof.unwitnessed;
        line(
            Some(quorum),
            p("足够多的存证方见过同一棵树", "enough custodians saw this very tree").to_owned(),
        );
        if proof.unwitnessed {
            line(
                None,
                p(
                    "所用策略不要求见证：不能排除日志向不同的人展示不同的内容",
                    "the policy asks for no witness: a split view is not excluded",
                )
                .to_owned(),
            );
        }
        if let Some(why) = &proof.refused {
            line(None, format!("{}: {why}", p("签名被拒绝", "signatures refused")));
        }
        match &self.fact {
            Some(fact) => {
                line(
                    Some(proof.included && proof.log_signature_ok),
                    format!(
                        "{} {} {}: {}",
                        fact.by,
                        p("于", "recorded at"),
                        fact.at,
                        summary(fact, lang)
                    ),
                );
            }
            None => line(
                None,
                format!(
                    "{} ({} {})",
                    p(
                        "条目不是本程序认识的存证条目",
                        "the entry is no fact that this program knows"
                    ),
                    self.entry_bytes,
                    p("字节", "bytes")
                ),
            ),
        }
        for text in limits(lang) {
            line(Some(false), text.to_owned());
        }
        out
    }
}

/// What no receipt proves.
fn limits(lang: Lang) -> [&'static str; 3] {
    [
        lang.pick("所记内容在节点之外属实", "that what the fact says is true outside of the node"),
        lang.pick("没有发生其他事情（完整性）", "that nothing else happened (completeness)"),
        lang.pick(
            "条目的记录时间：只证明不晚于见证时间",
            "when it was recorded: only that it was not after the custodians' times",
        ),
    ]
}

/// Verification of a whole log.
#[derive(Debug)]
pub struct LogReport {
    pub origin: String,
    pub size: u64,
    /// Custodians that cosigned its checkpoint, with their times in Unix seconds.
    pub cosigned_by: Vec<(String, u64)>,
    pub quorum_met: bool,
    pub result: Result<Audited, Finding>,
    /// The fact at the place that a finding names, if it still reads as one.
    pub suspect: Option<Fact>,
}

/// The files of a log as they lie in a directory: `checkpoint` and `tile/…`.
struct Files(PathBuf);

impl TileSource for Files {
    type Error = io::Error;

    fn tile(&self, path: &TilePath) -> io::Result<Option<Vec<u8>>> {
        let file = match fs::File::open(self.0.join(path.to_string())) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        // A longer file is no tile; what was read of it is damage.
        file.take(MAX_BUNDLE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Recomputes a log from its entries, with its verifier key, and names the first entry or tile that is not as signed.
///
/// # Errors
/// If the checkpoint is missing or not signed by `log`: then there is nothing to measure the files against.
pub fn verify_dir(
    dir: &Path,
    log: &VerifierKey,
    policy: &Policy,
) -> Result<LogReport, VerifyError> {
    let path = dir.join("checkpoint");
    let bytes = fs::read(&path).map_err(|error| VerifyError::Io(path, error))?;
    let head = SignedCheckpoint::parse_bytes(&bytes)?;
    let (size, root) = (head.verify(log)?.size(), head.checkpoint().root());
    let cosigned =
        cosignature::verify(&head, policy.witness_keys()).map_err(CheckpointError::from)?;
    let files = Files(dir.to_owned());
    let result = audit::audit(&files, size, root);
    let index = match &result {
        Err(Finding::Entry { index, .. } | Finding::Bundle { index, .. }) => Some(*index),
        Err(
            Finding::Tile { .. }
            | Finding::TileUnreadable(_)
            | Finding::Rewritten { .. }
            | Finding::Root { .. },
        )
        | Ok(_) => None,
    };
    let reader = TileReader::new(size, files);
    let suspect =
        index.and_then(|it| reader.entry(it).ok().flatten()).and_then(|it| decode(&it).ok());
    Ok(LogReport {
        origin: head.checkpoint().origin().to_owned(),
        size,
        quorum_met: satisfied(policy, cosigned.iter().map(|it| &it.key)),
        cosigned_by: cosigned.into_iter().map(|it| (it.key.name().to_owned(), it.time)).collect(),
        result,
        suspect,
    })
}

impl LogReport {
    pub fn accepted(&self) -> bool {
        self.result.is_ok() && self.quorum_met
    }

    /// Line by line.
    pub fn text(&self, lang: Lang) -> String {
        let p = |zh, en| lang.pick(zh, en);
        let mut lines = vec![format!(
            "{}: {} ({} {})",
            p("日志", "Log"),
            self.origin,
            self.size,
            p("条", "entries")
        )];
        match &self.result {
            Ok(done) => lines.push(format!(
                "[{}] {} ({} {}, {} {})",
                p("已证明", "PROVEN"),
                p("全部条目与签名的树根一致", "all entries make the signed root"),
                done.entries,
                p("条", "entries"),
                done.tiles,
                p("个哈希块", "hash tiles")
            )),
            Err(finding) => {
                lines.push(format!("[{}] {finding}", p("已发现篡改或损坏", "TAMPERED OR DAMAGED")));
            }
        }
        if let Some(fact) = &self.suspect {
            lines.push(format!(
                "{}: {} {} {}",
                p("该处现在写着", "It now reads"),
                fact.id,
                fact.at,
                summary(fact, lang)
            ));
        }
        for (name, seconds) in &self.cosigned_by {
            let at =
                Time::from_ms(i64::try_from(*seconds).unwrap_or(i64::MAX).saturating_mul(1000));
            lines.push(format!(
                "[{}] {}: {name}, {at}",
                p("已证明", "PROVEN"),
                p("存证方见证", "cosigned by")
            ));
        }
        let mark =
            if self.quorum_met { p("已证明", "PROVEN") } else { p("未证明", "NOT PROVEN") };
        lines.push(format!("[{mark}] {}", p("存证方数量达到要求", "enough custodians cosigned")));
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests;
