//! Two parties over lists of this test, as processes or as threads.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidm_compute::job::connect::{Address, Way};
use tidm_compute::job::failure::ErrorReport;
use tidm_compute::job::order::{Kind, Learns, List, Order, Report, Results, Role, Security, Sizes};
use tidm_compute::job::progress::Event;
use tidm_compute::job::what::What;
use tidm_compute::keys::{Equals, Form, Mapping, Rule};
use tidm_jail::Layer;

/// Every variant.
pub(crate) const ALL: [Security; 4] =
    [Security::SemiHonest, Security::SemiHonestLow, Security::Malicious, Security::Ecdh];

/// Two lists of `count` keys, of which the second half of one is the first half of the other.
pub(crate) struct Pair {
    pub(crate) dir: TempDir,
    count: u64,
}

pub(crate) type Told = Result<Report, ErrorReport>;

impl Pair {
    pub(crate) fn new(count: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pair = Self { dir, count };
        pair.write("receiver.csv", 0, "id");
        pair.write("sender.csv", count / 2, "number");
        pair
    }

    fn write(&self, name: &str, begin: u64, column: &str) {
        let mut text = format!("{column},note\n");
        for key in begin..begin + self.count {
            text.push_str(&format!("{:018},row\n", key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 5));
        }
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The receiver's matched rows, as they should be.
    pub(crate) fn expected(&self) -> String {
        let text = std::fs::read_to_string(self.path("receiver.csv")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let begin = 1 + lines.len() / 2;
        [&lines[..1], &lines[begin..]].concat().join("\n") + "\n"
    }

    pub(crate) fn order(&self, role: Role) -> Order {
        let (name, column) = match role {
            Role::Receiver => ("receiver", "id"),
            Role::Sender => ("sender", "number"),
        };
        let address = Address::Unix(self.path("sender.sock"));
        Order {
            role,
            job: "3c".repeat(32),
            terms: Sizes {
                security: Security::SemiHonest,
                learns: Learns::Receiver,
                receiver_items: self.count,
                sender_items: self.count,
            },
            what: What::Rows,
            rule: Rule::single("key", Form::Text, Equals::First).unwrap(),
            mapping: Mapping::of([("key", column)]),
            source: List::new(self.path(&format!("{name}.csv")), Kind::Csv),
            dir: self.path(name),
            // One journal of each kind.
            journal: match role {
                Role::Receiver => Some(String::from("7a").repeat(32).try_into().unwrap()),
                Role::Sender => None,
            },
            results: match role {
                Role::Receiver => {
                    Results { rows: Some(self.path("out.csv")), ..Results::default() }
                }
                Role::Sender => Results::default(),
            },
            connect: match role {
                Role::Receiver => Way::Dial(address),
                Role::Sender => Way::Listen(address),
            },
            memory: 512 << 20,
            workers: 1,
            open: false,
            parts: None,
            jail: vec![Layer::NoNewPrivs, Layer::Undumpable],
            silence: 20.0,
            patience: 60.0,
        }
    }

    pub(crate) fn orders(&self, change: impl Fn(&mut Order)) -> [Order; 2] {
        let mut orders = [self.order(Role::Receiver), self.order(Role::Sender)];
        orders.iter_mut().for_each(change);
        orders
    }

    /// The receiver's result file is what it should be.
    pub(crate) fn check(&self, told: &Told) {
        let report = told.as_ref().unwrap();
        // Whoever heard the peer was shut in, as far as this machine goes.
        let jail = report.jail.as_ref().unwrap();
        assert!(jail.lacks().len() < jail.layers.len(), "{jail:?}");
        assert_eq!(report.matched, Some(self.count - self.count / 2));
        assert_eq!(std::fs::read_to_string(self.path("out.csv")).unwrap(), self.expected());
    }
}

/// A party as a process.
pub(crate) struct Process {
    child: Child,
    /// Its order is a job's: what it tells of its progress is counted in parts.
    has_parts: bool,
    pub(crate) out: BufReader<std::process::ChildStdout>,
}

impl Process {
    pub(crate) fn start(order: &Order) -> Self {
        Self::told_to("job", order)
    }

    /// With another word than `job`, and its order.
    pub(crate) fn told_to(word: &str, order: &impl serde::Serialize) -> Self {
        let (it, input) = Self::called(word, order);
        drop(input);
        it
    }

    /// One that runs for as long as its input is open.
    pub(crate) fn called(word: &str, said: &impl serde::Serialize) -> (Self, ChildStdin) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidm-compute-worker"));
        command.arg(word).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{}", serde_json::to_string(said).unwrap()).unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        (Self { child, has_parts: word == "job", out }, stdin)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Reads events until one tells of that many parts that are done; false if the process ended before.
    pub(crate) fn until_done(&mut self, parts: u64) -> bool {
        let mut line = String::new();
        while self.out.read_line(&mut line).unwrap() > 0 {
            if let Ok(Event::Progress(told)) = serde_json::from_str(&line)
                && told.phase == "running"
                && told.done >= parts
            {
                return true;
            }
            line.clear();
        }
        false
    }

    /// What it says at its end.
    pub(crate) fn told(mut self) -> Told {
        let mut last = None;
        for line in (&mut self.out).lines() {
            match serde_json::from_str(&line.unwrap()).unwrap() {
                Event::Report(report) => last = Some(Ok(*report)),
                Event::Error(error) => last = Some(Err(error)),
                Event::Progress(told) if told.phase == "running" => {
                    assert!(told.of.map_or(!self.has_parts, |of| told.done <= of), "{told:?}");
                }
                Event::Progress(_)
                | Event::Moved { .. }
                | Event::Cut(_)
                | Event::Open(_)
                | Event::Ended => {}
            }
        }
        let status = self.child.wait().unwrap();
        let last = last.unwrap();
        assert_eq!(status.success(), last.is_ok());
        last
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Both as processes, to their ends.
pub(crate) fn run([receiver, sender]: &[Order; 2]) -> (Told, Told) {
    let sender = Process::start(sender);
    let receiver = Process::start(receiver);
    let other = std::thread::spawn(|| sender.told());
    (receiver.told(), other.join().unwrap())
}

/// Processes that `parent` started.
pub(crate) fn children(parent: u32) -> Vec<i32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

/// Waits until `it` holds.
pub(crate) fn eventually(mut it: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if it() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Files of a directory whose names begin so.
pub(crate) fn files(dir: &Path, begin: &str) -> usize {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(begin)).count()
}
