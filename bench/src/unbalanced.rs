//! A small list against a large table that was made before: from the client's CSV file to its file of matched rows, both parties as
//! processes in a network namespace of their own, whose loopback counts what both said. 10^5 ids against a table of 10^7, or of 10^8
//! with `--long`, of which half are found.
//!
//! Never a time of making lists or the table: the client has it already, as it would from an earlier session, and the system has just
//! written it. What is measured is a session, with reading the list, starting both processes, and writing the rows.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tidm_mpc::unbalanced::Index;

use crate::figure::{Goal, Report, median};
use crate::machine::scratch_dir;
use crate::psi::{isolated, program, write};
use crate::size;

/// Items of the client.
const ITEMS: u64 = 100_000;
/// Entries of the table that are of a list; the others fill it, and cost a session the same.
const LISTED: u64 = 200_000;
const ROUNDS: u8 = 3;
const MEMORY: u64 = 512 << 20;

/// Both parties, the server first; prints the nanoseconds between their start and the client's end.
const BOTH: &str = r#"begun=$(date +%s%N)
"$1" table <"$2/server.json" >"$2/server.out" &
"$1" table <"$2/client.json" >"$2/client.out" || { cat "$2/client.out" "$2/server.out"; exit 1; }
echo "nanoseconds: $(($(date +%s%N) - begun))"
wait"#;

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let entries = if size::is_long() { 100_000_000 } else { 10_000_000 };
    tokio::task::block_in_place(|| measure(report, entries / size::divisor()))
}

/// What both parties' orders have in common.
fn common(order: &mut Value, of_client: &Value) {
    if let (Some(order), Some(more)) = (order.as_object_mut(), of_client.as_object()) {
        order.extend(more.clone());
    }
}

fn measure(report: &mut Report, entries: u64) -> Result<()> {
    let dir = tempfile::tempdir_in(scratch_dir()?)?;
    let dir = dir.path();
    write(&dir.join("theirs.csv"), 0, LISTED)?;
    write(&dir.join("mine.csv"), LISTED - ITEMS / 2, ITEMS)?;
    let hashed = json!({
        "context": "0c".repeat(32), "memory": MEMORY, "mapping": { "id": "id" },
        "rule": { "parts": [{ "role": "id", "form": "text" }], "equals": "first" },
    });
    let mut prepare = json!({
        "step": "prepare", "key": "05".repeat(32), "version": 1, "entries": entries,
        "client_items": ITEMS, "dir": dir,
        "source": { "path": dir.join("theirs.csv"), "format": "csv" },
    });
    common(&mut prepare, &hashed);
    prepared(dir, &prepare)?;
    let index = Index::parse(&std::fs::read(dir.join("index"))?)?;
    let digest: String = index.digest().iter().map(|byte| format!("{byte:02x}")).collect();

    let (mut seconds, mut moved, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let session = json!({
            "job": format!("{round:02x}").repeat(32), "digest": digest, "items": ITEMS,
            "index": dir.join("index"), "silence": 20.0, "patience": 60.0,
        });
        let mut server = json!({
            "step": "answer", "key": "05".repeat(32), "dir": dir.join(format!("server-{round}")),
            "connect": { "listen": "tcp:127.0.0.1:9400" },
        });
        let mut client = json!({
            "step": "query", "table": dir.join("table"),
            "source": { "path": dir.join("mine.csv"), "format": "csv" },
            "results": { "rows": dir.join("matched.csv") },
            "connect": { "dial": "tcp:127.0.0.1:9400" },
        });
        common(&mut server, &session);
        common(&mut client, &session);
        common(&mut client, &hashed);
        std::fs::write(dir.join("server.json"), server.to_string())?;
        std::fs::write(dir.join("client.json"), client.to_string())?;
        let program = program()?;
        let words: [&OsStr; 6] = [
            "sh".as_ref(),
            "-c".as_ref(),
            BOTH.as_ref(),
            "sh".as_ref(),
            program.as_ref(),
            dir.as_ref(),
        ];
        let (text, bytes) = isolated(&words)?;
        let time = text.lines().find_map(|line| line.strip_prefix("nanoseconds: "));
        seconds.push(time.context("no time")?.parse::<f64>()? / 1e9);
        moved.push(bytes);
        peaks.push(told(&dir.join("client.out"))?);
    }
    let name = |what: &str| format!("{ITEMS} against a table of {entries}: {what}");
    let goal = if size::is_full() { Goal::AtMost(2.0) } else { Goal::None };
    report.add(&name("list to result"), median(seconds), "s", goal);
    report.add(&name("loopback"), median(moved), "MB", Goal::None);
    report.add(&name("memory of the client"), median(peaks), "MiB", Goal::None);
    let table = std::fs::metadata(dir.join("table"))?.len();
    report.add(&name("bytes that the client keeps"), table as f64 / 1e6, "MB", Goal::None);
    Ok(())
}

/// Makes the table, on as many cores as there are.
fn prepared(dir: &Path, order: &Value) -> Result<()> {
    let path = dir.join("prepare.json");
    std::fs::write(&path, order.to_string())?;
    let mut command = Command::new(program()?);
    command.arg("table").stdin(std::fs::File::open(path)?).stdout(Stdio::piped());
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "no table: {text}");
    Ok(())
}

/// Mebibytes of the client, whose result is as it should be.
fn told(out: &Path) -> Result<f64> {
    let text = std::fs::read_to_string(out)?;
    let last: Value = serde_json::from_str(text.lines().last().context("nothing was said")?)?;
    let (matched, peak) = (last["matched"].as_u64(), last["peak_bytes"].as_f64());
    ensure!(matched == Some(ITEMS / 2), "a wrong result: {last}");
    Ok(peak.context("no memory")? / f64::from(1 << 20))
}
