//! Facts of 512 bytes into the evidence log, acknowledged when their tiles and the row are on the disk.
//!
//! Never a log in memory: tiles are files, the row is the node's SQLite or a synced file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use tidm_node::evidence::row::FileRow;
use tidm_node::evidence::sequencer::Sequencer;
use tidm_node::evidence::tiles::directory::Directory;

use crate::figure::{Goal, Report, Times};
use crate::machine::{Disk, scratch_dir};

const WRITERS: u8 = 32;
const CALLS: u32 = 200;
const ENTRIES: usize = 64;
const ENTRY_BYTES: usize = 512;

pub(crate) async fn run(report: &mut Report, disk: &Disk) -> Result<()> {
    let dir = tempfile::tempdir_in(scratch_dir()?)?;
    let tiles = Arc::new(Directory::open(&dir.path().join("log"))?);
    let row = Arc::new(FileRow::new(&dir.path().join("row")));
    let sequencer = Sequencer::open(tiles, row).await?;
    let started = Instant::now();
    let writers = (0..WRITERS).map(|writer| {
        let sequencer = sequencer.clone();
        tokio::spawn(async move {
            let mut times = Vec::new();
            for call in 0..CALLS {
                let mut entry = vec![writer; ENTRY_BYTES];
                entry[..4].copy_from_slice(&call.to_be_bytes());
                let one = Instant::now();
                sequencer.append(vec![entry; ENTRIES]).await?;
                times.push(one.elapsed());
            }
            anyhow::Ok(times)
        })
    });
    let mut times = Vec::new();
    for writer in futures::future::join_all(writers).await {
        times.extend(writer??);
    }
    let seconds = started.elapsed().as_secs_f64();
    let facts = f64::from(WRITERS) * f64::from(CALLS) * ENTRIES as f64;
    let times = Times::new(times);
    report.add("facts of 512 B", facts / seconds, "/s", Goal::AtLeast(60_000.0));
    report.add("acknowledged, p50", times.at(0.5), "ms", Goal::None);
    // Tiles' journal and row: two synced writes, behind one batch that is under way.
    let goal = disk.latency(Duration::from_millis(25), 4.0);
    report.add("acknowledged, p99", times.at(0.99), "ms", goal);
    Ok(())
}
