//! The computing process: started with an order, read line by line, killed when it must not go on.
//!
//! Threat model: it reads what the peer's process sends, so it may be anybody's after a while. It gets no environment, no key of
//! this node and no descriptor but its pipes; its lines are bounded, and it is killed with this future. Not protected against: a
//! process that was taken over reads what this node's user may read, for it has no jail of its own yet.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use tidm_compute::job::failure::{Blame, ErrorReport};
use tidm_compute::job::many;
use tidm_compute::job::order::{Order, Report};
use tidm_compute::job::progress::Event;
use tidm_compute::job::workers::MALLOC;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use zeroize::Zeroize as _;

use super::registry::Live;

/// Longest line that a process is listened to.
const LINE: u64 = 1 << 20;

/// What is started.
#[derive(Clone, Debug)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
}

/// What it is told to do.
pub(super) enum Job {
    Two(Box<Order>),
    Many(Box<many::Order>),
}

impl Job {
    /// The program's word for it, and the line that it reads.
    fn line(&self) -> serde_json::Result<(&'static str, Vec<u8>)> {
        let (word, line) = match self {
            Self::Two(order) => ("job", serde_json::to_vec(order)),
            Self::Many(order) => ("many", serde_json::to_vec(order)),
        };
        let mut line = line?;
        line.push(b'\n');
        Ok((word, line))
    }
}

/// Runs one order to its end.
pub(super) async fn run(program: &Program, job: &Job, live: &Live) -> Result<Report, ErrorReport> {
    let (word, mut order) = job.line().map_err(ours)?;
    let mut child = Command::new(&program.path)
        .args(&program.arguments)
        .args([word, "attached"])
        .env_clear()
        .env(MALLOC.0, MALLOC.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(ours)?;
    let gone = || ours("a pipe of the computing process is missing");
    let mut input = child.stdin.take().ok_or_else(gone)?;
    // Kept open: a process whose node was killed reads its end, and ends.
    let written = input.write_all(&order).await;
    order.zeroize();
    written.map_err(ours)?;
    input.flush().await.map_err(ours)?;
    let mut output = BufReader::new(child.stdout.take().ok_or_else(gone)?);
    loop {
        let mut line = String::new();
        let read = (&mut output).take(LINE).read_line(&mut line).await.map_err(ours)?;
        if read == 0 {
            let status = child.wait().await.map_err(ours)?;
            return Err(ours(format!("the computing process ended without a report ({status})")));
        }
        match serde_json::from_str(&line).map_err(ours)? {
            Event::Progress(told) => live.tell(told),
            Event::Moved { .. } | Event::Ended => {}
            Event::Report(report) => return Ok(*report),
            Event::Error(why) => return Err(why),
        }
    }
}

/// The program behind the hidden command.
pub fn main(arguments: &[String]) -> std::process::ExitCode {
    let host = tidm_compute::job::Host { arguments: vec![COMPUTE.to_owned()] };
    tidm_compute::job::worker_main(&host, arguments)
}

/// The hidden command, of whatever program hosts workers, under which matchings are computed.
pub const COMPUTE: &str = "compute";

fn ours(why: impl std::fmt::Display) -> ErrorReport {
    ErrorReport {
        code: "job.process".to_owned(),
        text: why.to_string(),
        blame: Blame::Ours,
        next: "try again; if it stays so, look at the node's log".to_owned(),
        member: None,
    }
}
