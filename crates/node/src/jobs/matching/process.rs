//! The computing process: started with an order, read line by line, killed when it must not go on.
//!
//! Threat model: it reads what the peer's process sends, so it may be anybody's after a while. It gets no environment, no key of
//! this node and no descriptor but its pipes; its lines are bounded, and it is killed with this future. Before it hears the peer it
//! enters a jail of its own, in which it reaches its list, its folder and the sockets it has. Without the layers of [`JAIL`] it does not
//! begin; what else this machine lacks is said in the log, and the whole jail stands in the matching's report.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use serde::Serialize;
use tidm_compute::job::failure::{Blame, ErrorReport, Failure};
use tidm_compute::job::many;
use tidm_compute::job::order::{Order, Report};
use tidm_compute::job::progress::{Event, Traffic, believed};
use tidm_compute::job::workers::MALLOC;
use tidm_compute::table;
use tidm_jail::{Layer, Report as Jail};
use tidm_space::fault::Fault;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::registry::Live;
use crate::jobs::spool;

/// Without these no process hears a peer, as no statement of others is answered without them.
pub(super) const JAIL: [Layer; 4] =
    [Layer::Rlimits, Layer::Undumpable, Layer::NoNewPrivs, Layer::Seccomp];

/// Longest line that a process is listened to.
const LINE: u64 = 1 << 20;

/// What is started.
#[derive(Clone, Debug)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
}

/// What a process is to do: its word, the line on its stdin, and the files that it reads, as long as it runs.
pub(super) struct Task {
    word: &'static str,
    /// May hold the key of a table, or a member's key of a session.
    order: Zeroizing<Vec<u8>>,
    _files: Vec<spool::Local>,
}

impl Task {
    pub(super) fn job(order: &Order, files: Vec<spool::Local>) -> Result<Self, Fault> {
        Self::new("job", order, files)
    }

    pub(super) fn table(order: &table::Order, files: Vec<spool::Local>) -> Result<Self, Fault> {
        Self::new("table", order, files)
    }

    pub(super) fn many(order: &many::Order, files: Vec<spool::Local>) -> Result<Self, Fault> {
        Self::new("many", order, files)
    }

    fn new(
        word: &'static str,
        order: &impl Serialize,
        files: Vec<spool::Local>,
    ) -> Result<Self, Fault> {
        let unsaid = |_| Fault::ApiMisuse("an order that is no JSON");
        let mut order = Zeroizing::new(serde_json::to_vec(order).map_err(unsaid)?);
        order.push(b'\n');
        Ok(Self { word, order, _files: files })
    }
}

/// Runs one order to its end.
pub(super) async fn run(
    program: &Program,
    task: &Task,
    live: &Live,
) -> Result<Report, ErrorReport> {
    let mut child = Command::new(&program.path)
        .args(&program.arguments)
        .args([task.word, "attached"])
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
    input.write_all(&task.order).await.map_err(ours)?;
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
            Event::Moved { traffic, .. } => heard(live, traffic)?,
            Event::Cut(_) | Event::Open(_) | Event::Ended => {}
            Event::Report(mut report) => {
                heard(live, std::mem::take(&mut report.traffic))?;
                let lacks = report.jail.as_ref().map(Jail::lacks).unwrap_or_default();
                if !lacks.is_empty() {
                    tracing::warn!(?lacks, "the jail of a computing process is not whole");
                }
                live.add_to(&mut report);
                return Ok(*report);
            }
            Event::Error(why) => return Err(why),
        }
    }
}

/// What the process says that it moved, in between or in its report: counted as far as it can be so. One that says more is not the program that
/// was started, and is listened to no longer.
fn heard(live: &Live, said: Traffic) -> Result<(), ErrorReport> {
    let (traffic, sound) = believed(said);
    live.moved(traffic);
    if sound {
        return Ok(());
    }
    tracing::warn!("a computing process says that it moved what no step moves; it is ended");
    Err(Failure::Untrue.report())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidm_compute::job::limits::MAX_MOVED_BYTES;
    use tidm_compute::job::progress::{Moved, UNKNOWN};

    use super::super::registry::Matchings;
    use super::super::tally::{self, Tally};
    use super::*;

    /// A line as a program says it.
    fn line(traffic: Traffic) -> String {
        serde_json::to_string(&Event::Moved { traffic, peak_bytes: 0 }).unwrap()
    }

    fn kinds(of: impl IntoIterator<Item = (String, u64)>) -> Traffic {
        of.into_iter().map(|(kind, sent)| (kind, Moved { sent, received: 1 })).collect()
    }

    /// A program that was taken over: what it says moved is counted whole, in few words, and it is heard no longer.
    #[tokio::test]
    async fn made_up_kinds_end_a_process_and_hide_nothing() {
        let known = || line(kinds([("okvs".to_owned(), 7)]));
        let many = || (0..20_000).map(|it| (format!("made up {it}"), 2));
        let report = |traffic| Event::Report(Box::new(Report { traffic, ..Report::default() }));
        let said = |event: &Event| serde_json::to_string(event).unwrap();
        let cases = [
            (vec![known(), line(kinds(many()))], Some(40_000), "job.process-untrue"),
            (vec![known(), said(&report(kinds(many())))], Some(40_000), "job.process-untrue"),
            (
                vec![known(), line(kinds([("okvs".to_owned(), u64::MAX)]))],
                None,
                "job.process-untrue",
            ),
            (vec![known(), "nonsense".to_owned()], None, "job.process"),
        ];
        for (lines, unknown, code) in cases {
            let folder = tempfile::tempdir().unwrap();
            let script = folder.path().join("lines");
            std::fs::write(&script, lines.join("\n") + "\n").unwrap();
            // It says what it says, then goes on for as long as it is let.
            let program = Program {
                path: "/bin/sh".into(),
                arguments: ["-c", "/bin/cat \"$0\"; read more; read more"]
                    .into_iter()
                    .map(OsString::from)
                    .chain([script.into_os_string()])
                    .collect(),
            };
            let turn = Arc::<Matchings>::default().begin("a").unwrap().unwrap();
            turn.live.write_down(Tally::new(folder.path(), 1));
            let task =
                Task { word: "job", order: Zeroizing::new(b"{}\n".to_vec()), _files: vec![] };
            let ended = run(&program, &task, &turn.live).await.unwrap_err();
            assert_eq!(ended.code, code, "{}", ended.text);
            // What is written down can be read back, however much was said.
            assert!(tally::found(folder.path()).unwrap().traffic.contains_key("okvs"));
            let moved = turn.live.take_moved();
            assert_eq!(moved.get(UNKNOWN).map(|it| it.sent), unknown, "{code}");
            let bounded =
                if unknown.is_none() && code != "job.process" { MAX_MOVED_BYTES } else { 7 };
            assert_eq!(moved["okvs"].sent, bounded);
            assert!(moved.len() <= 2);
        }
    }

    /// In the end it cannot take back what it said before.
    #[tokio::test]
    async fn a_report_says_no_less_than_the_lines_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("lines");
        let report = Report { sent: 1, ..Report::default() };
        let report = serde_json::to_string(&Event::Report(Box::new(report))).unwrap();
        let before = line(kinds([("okvs".to_owned(), 7)]));
        std::fs::write(&script, format!("{before}\n{report}\n")).unwrap();
        let arguments = vec!["-c".into(), "/bin/cat \"$0\"".into(), script.into_os_string()];
        let program = Program { path: "/bin/sh".into(), arguments };
        let turn = Arc::<Matchings>::default().begin("a").unwrap().unwrap();
        let task = Task { word: "job", order: Zeroizing::new(b"{}\n".to_vec()), _files: vec![] };
        let told = run(&program, &task, &turn.live).await.unwrap();
        assert_eq!((told.traffic["okvs"].sent, told.sent, told.received), (7, 7, 1));
    }
}
