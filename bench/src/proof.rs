//! One receipt, offline: entry, path, checkpoint signature.
//!
//! Never without the signature: a path alone proves nothing.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use tidm_ledger::checkpoint::Checkpoint;
use tidm_ledger::note::NoteSigner;
use tidm_ledger::policy::Policy;
use tidm_ledger::receipt::{Receipt, verify};
use tidm_ledger::tree::{MemoryTree, leaf_hash};

use crate::figure::{Goal, Report, Times};

const ENTRIES: u64 = 1 << 20;
const ROUNDS: u64 = 2_000;

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let signer = NoteSigner::ed25519("bench.example/log", &[7; 32])?;
    let key = signer.verifier().clone();
    let policy = Policy::parse(format!("log {key}\nquorum none\n").as_bytes())?;
    let mut tree = MemoryTree::new();
    for number in 0..ENTRIES {
        tree.append(leaf_hash(&number.to_be_bytes()));
    }
    let head = Checkpoint::new("bench.example/log", ENTRIES, tree.root())?.sign(&signer)?;
    let mut receipts = HashMap::new();
    for number in 0..ROUNDS {
        let index = number * (ENTRIES / ROUNDS);
        receipts.insert(index, Receipt::build(index, head.clone(), &tree)?.to_string());
    }
    let (mut checked, mut whole) = (Vec::new(), Vec::new());
    for (index, text) in &receipts {
        let started = Instant::now();
        let receipt = Receipt::parse(text.as_bytes())?;
        let parsed = Instant::now();
        let found = verify(black_box(&receipt), &index.to_be_bytes(), &key, &policy);
        checked.push(parsed.elapsed());
        whole.push(started.elapsed());
        anyhow::ensure!(found.accepted(), "a good receipt was refused: {found:?}");
    }
    let slowest = whole.iter().max().copied().unwrap_or(Duration::ZERO);
    let (checked, whole) = (Times::new(checked), Times::new(whole));
    report.add("verification, p50", checked.at(0.5), "ms", Goal::AtMost(0.1));
    report.add("with parsing, p50", whole.at(0.5), "ms", Goal::None);
    report.add("with parsing, slowest", slowest.as_secs_f64() * 1000.0, "ms", Goal::None);
    let one = receipts.values().next().context("no receipt")?;
    report.add("a receipt in 1,048,576 entries", one.len() as f64, "bytes", Goal::None);
    Ok(())
}
