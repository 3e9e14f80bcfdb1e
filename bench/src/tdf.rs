//! Sealing and opening a file as an OpenTDF container, beside what the cipher does by itself in the same run.
//!
//! One core, from memory to memory: a disk would be measured otherwise. The ratio says what the container costs.

use std::hint::black_box;
use std::io::Cursor;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use tidm_crypto::aead;
use tidm_crypto::secret::Secret;
use tidm_crypto::suite::Suite;
use tidm_crypto::tdf::{Access, Container, SealParams, seal};
use tidm_node::random::os;

use crate::figure::{Goal, Report};

const BYTES: usize = 256 << 20;
/// What one call of the cipher gets: a segment of a container.
const CALL: usize = 1 << 20;
const ROUNDS: usize = 3;
const GOAL: f64 = 1.5;

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let plain: Vec<u8> = (0..=250_u8).cycle().take(BYTES).collect();
    let key = Secret::new([7; 32]);
    let raw = fastest(|| {
        let mut sealed = 0;
        for (nonce, part) in (0_u32..).zip(plain.chunks(CALL)) {
            let mut whole = [0; 12];
            whole[..4].copy_from_slice(&nonce.to_be_bytes());
            sealed += aead::seal(&key, whole, b"", black_box(part))?.len();
        }
        ensure!(sealed > BYTES, "ciphertext is missing");
        Ok(())
    })?;
    report.add("AES-256-GCM alone", raw, "GB/s", Goal::None);
    for suite in Suite::ALL {
        let access = Access::whole("https://bench.example/kas", "bench", b"wrapped", &key);
        let mut params = SealParams::new(&key, b"{}", access);
        params.suite = suite;
        let mut file = Vec::with_capacity(BYTES + (1 << 20));
        let sealing = fastest(|| {
            file.clear();
            let mut out = Cursor::new(std::mem::take(&mut file));
            seal(plain.as_slice(), &mut out, &params, &mut os())?;
            file = out.into_inner();
            Ok(())
        })?;
        let mut out = Vec::with_capacity(BYTES);
        let opening = fastest(|| {
            out.clear();
            Container::open(Cursor::new(&file))?.decrypt_to(&key, &mut out)?;
            Ok(())
        })?;
        ensure!(out == plain, "another plaintext");
        let (name, goal) = match suite {
            Suite::International => ("OpenTDF", Goal::AtLeast(GOAL)),
            Suite::Guomi => ("SM4 suite", Goal::None),
        };
        report.add(&format!("{name}, sealing"), sealing, "GB/s", goal);
        report.add(&format!("{name}, opening"), opening, "GB/s", goal);
        report.add(&format!("{name}, sealing / cipher alone"), sealing / raw, "", Goal::None);
        report.add(&format!("{name}, opening / cipher alone"), opening / raw, "", Goal::None);
    }
    Ok(())
}

/// GB per second and core, of the best of some rounds.
fn fastest(mut once: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best: Option<f64> = None;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        once()?;
        let speed = BYTES as f64 / started.elapsed().as_secs_f64() / 1e9;
        best = Some(best.map_or(speed, |it| it.max(speed)));
    }
    best.context("no rounds")
}
