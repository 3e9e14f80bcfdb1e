//! What a job is told on its stdin, and what it answers: one JSON object each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidm_mpc::fault::Fault;
use tidm_mpc::partition::Job;
use tidm_mpc::partition::part;
use tidm_mpc::partition::plan::Plan;
use tidm_mpc::psi::{self, Terms};
use tidm_mpc::session::Party;

use super::connect::Way;
use super::failure::Failure;
use super::limits::{
    BASE_BYTES, BUFFERED_BYTES, FILLED_ITEMS, MAX_ECDH_ITEMS, MAX_LOW_ITEMS, MAX_WORKERS,
    MEMORY_BYTES, PARTS_PER_WORKER, PATIENCE, SILENCE,
};
use super::progress::Traffic;
use super::what::{Answer, What};
use crate::keys::{self, Bitmap, Delimiter, Equals, Format, Key, Mapping, Place, Rule};

/// One party's part in a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub role: Role,
    /// 64 hexadecimal digits that both parties have from whoever arranged the job; never used again.
    pub job: String,
    pub terms: Sizes,
    #[serde(default, skip_serializing_if = "What::is_rows")]
    pub what: What,
    pub rule: Rule,
    pub mapping: Mapping,
    pub source: List,
    /// This job's own directory: its journal and its parts. Kept until the job is over, or it cannot go on after a crash.
    pub dir: PathBuf,
    /// Below which the journal is sealed at rest: the same for every start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Key>,
    #[serde(default)]
    pub results: Results,
    pub connect: Way,
    #[serde(default = "memory")]
    pub memory: u64,
    #[serde(default = "one")]
    pub workers: u32,
    /// Processes elsewhere that see the same directory may join (`join`): their key is told on stdout. With several workers only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
    /// Least number of parts; else as many as the memory of both asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// Layers of the jail without which nothing begins; what else is missing stands in the report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jail: Vec<tidm_jail::Layer>,
    /// Seconds without a byte of the peer after which a connection is lost.
    #[serde(default = "silence")]
    pub silence: f64,
    /// Seconds for which a lost peer is called again.
    #[serde(default = "patience")]
    pub patience: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Receiver,
    Sender,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Security {
    SemiHonest,
    /// Two fifths less to send; for senders of at most [`MAX_LOW_ITEMS`] items.
    SemiHonestLow,
    Malicious,
    /// Semi-honest, by Diffie and Hellman on Curve25519; for rows alone, of at most [`MAX_ECDH_ITEMS`] items of either party.
    Ecdh,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Learns {
    Receiver,
    Both,
}

/// What both agreed on; the sizes are upper bounds that both may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    pub security: Security,
    pub learns: Learns,
    pub receiver_items: u64,
    pub sender_items: u64,
}

impl Sizes {
    /// Whether the variant is for so many.
    fn check(&self) -> Result<(), Failure> {
        let (receiver, sender) = (self.receiver_items, self.sender_items);
        let (what, count, most) = match self.security {
            Security::SemiHonest | Security::Malicious => return Ok(()),
            Security::SemiHonestLow => {
                ("items of the sender in the low-communication variant", sender, MAX_LOW_ITEMS)
            }
            Security::Ecdh => {
                ("items of one party in the ECDH variant", receiver.max(sender), MAX_ECDH_ITEMS)
            }
        };
        if count > most {
            return Err(Failure::Mpc(Fault::TooMany { what, count, most }));
        }
        Ok(())
    }
}

/// A list on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    pub path: PathBuf,
    pub format: Kind,
    /// Of a list that is sealed at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
}

impl List {
    pub fn new(path: PathBuf, format: Kind) -> Self {
        Self { path, format, key: None }
    }

    pub fn place(&self) -> Place<'_> {
        Place { path: &self.path, key: self.key.as_ref() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Csv,
    CsvSemicolon,
    CsvTab,
    Parquet,
    ArrowFile,
    ArrowStream,
}

impl Kind {
    pub fn format(self) -> Format {
        match self {
            Self::Csv => Format::Csv(Delimiter::Comma),
            Self::CsvSemicolon => Format::Csv(Delimiter::Semicolon),
            Self::CsvTab => Format::Csv(Delimiter::Tab),
            Self::Parquet => Format::Parquet,
            Self::ArrowFile => Format::ArrowFile,
            Self::ArrowStream => Format::ArrowStream,
        }
    }
}

/// What to write for a party that may learn the result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// The matched rows, in the format of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<PathBuf>,
    /// Of the rows these columns, in this order; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// One bit per row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitmap: Option<PathBuf>,
    /// What the sender gave with them: CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// Below which all of them are sealed at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
}

impl Results {
    /// One of its files, as it is to be written.
    pub(crate) fn place<'p>(&'p self, path: &'p Path) -> Place<'p> {
        Place { path, key: self.key.as_ref() }
    }

    /// Writes the rows of `source` that are in the result, as they are asked for.
    pub(crate) fn write(&self, source: &List, rows: &Bitmap) -> Result<(), keys::Fault> {
        if let Some(path) = &self.bitmap {
            rows.write(self.place(path))?;
        }
        if let Some(path) = &self.rows {
            let format = source.format.format();
            let to = (self.place(path), format);
            keys::write_rows((source.place(), format), rows, to, self.columns.as_deref())?;
        }
        Ok(())
    }
}

/// What came of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub rows: u64,
    /// Rows with a key.
    pub items: u64,
    /// Rows without one.
    pub malformed: u64,
    /// Rows left out because an earlier one has the same key.
    pub duplicates: u64,
    /// Rows in the result; absent where this party is not to learn it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<u64>,
    /// What was opened, of a job whose result is no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Labels that the peer gave and that were none, written as empty texts. Only this party knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_labels: Option<u64>,
    pub parts: u32,
    /// Connections over which parts ran, those of earlier starts included.
    pub connections: u64,
    /// Whether the peer said that it has kept everything. A party whose own result is complete does not need it.
    pub confirmed: bool,
    /// What left this node, and what came, by kind; of this start.
    pub traffic: Traffic,
    /// Bytes that left in all, in this start.
    pub sent: u64,
    pub received: u64,
    /// Seconds of each phase, in this start.
    pub seconds: BTreeMap<String, f64>,
    /// Largest resident sets of all processes of this party that were there at a time, added up: pages that they share count in
    /// each.
    pub peak_bytes: u64,
    /// Processor time of this start, workers included.
    pub cpu_seconds: f64,
    /// The jail of every process that heard the peer; absent where none was entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jail: Option<tidm_jail::Report>,
}

fn memory() -> u64 {
    MEMORY_BYTES
}

fn one() -> u32 {
    1
}

fn silence() -> f64 {
    SILENCE.as_secs_f64()
}

fn patience() -> f64 {
    PATIENCE.as_secs_f64()
}

impl Order {
    /// From JSON, with everything checked that can be checked before a file is opened.
    pub fn of_json(json: &str) -> Result<Self, Failure> {
        let order: Self =
            serde_json::from_str(json).map_err(|why| Failure::Order(why.to_string()))?;
        order.check()?;
        Ok(order)
    }

    pub fn check(&self) -> Result<(), Failure> {
        let wrong = |what: &str| Err(Failure::Order(what.to_owned()));
        self.rule.check()?;
        self.id()?;
        if self.workers == 0 || self.workers > MAX_WORKERS {
            return Err(Failure::Order(format!("workers are 1 to {MAX_WORKERS}")));
        }
        if self.workers > 1 && matches!(self.connect, Way::Fd(_)) {
            return wrong("one connection is for one worker");
        }
        if self.open && self.workers == 1 {
            return wrong(
                "a job that others join has several workers, whose parts lie on the disk",
            );
        }
        for seconds in [self.silence, self.patience] {
            if !(seconds > 0.0 && seconds < 1e7) {
                return wrong("silence and patience are seconds above 0");
            }
        }
        let asked = self.results != Results::default();
        if asked && self.party() == Party::Sender && self.terms.learns == Learns::Receiver {
            return wrong("a sender has no results where only the receiver learns");
        }
        self.terms.check()?;
        self.what.check(self)?;
        self.wanted_parts()?;
        Ok(())
    }

    pub fn party(&self) -> Party {
        match self.role {
            Role::Receiver => Party::Receiver,
            Role::Sender => Party::Sender,
        }
    }

    fn id(&self) -> Result<[u8; 32], Failure> {
        let wrong = || Failure::Order("job is 64 hexadecimal digits".to_owned());
        unhex(&self.job).and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)
    }

    pub fn whole(&self) -> Terms {
        Terms {
            security: match self.terms.security {
                Security::SemiHonest => psi::Security::SemiHonest,
                Security::SemiHonestLow => psi::Security::SemiHonestLow,
                Security::Malicious => psi::Security::Malicious,
                Security::Ecdh => psi::Security::Ecdh,
            },
            learns: match self.terms.learns {
                Learns::Receiver => psi::Learns::Receiver,
                Learns::Both => psi::Learns::Both,
            },
            receiver_items: self.terms.receiver_items,
            sender_items: self.terms.sender_items,
            parts: 1,
        }
    }

    pub fn job(&self) -> Result<Job, Failure> {
        let equals = match self.rule.equals {
            Equals::Refuse => part::Equals::Refuse,
            Equals::First => part::Equals::First,
            Equals::Multiply => part::Equals::Multiply,
        };
        let (rule, what) = (self.rule.description(), self.what.description());
        let parts: &[&[u8]] = if what.is_empty() { &[&rule] } else { &[&rule, &what] };
        let rule = tidm_mpc::hash::derive("tidm compute 1 rule", parts);
        Ok(Job { id: self.id()?, whole: self.whole(), equals, rule })
    }

    pub fn silence(&self) -> Duration {
        Duration::from_secs_f64(self.silence)
    }

    pub fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.patience)
    }

    pub fn format(&self) -> Format {
        self.source.format.format()
    }

    /// Most items of this party.
    pub fn own_items(&self) -> u64 {
        match self.role {
            Role::Receiver => self.terms.receiver_items,
            Role::Sender => self.terms.sender_items,
        }
    }

    /// Whether all parts fit into the order's memory, for a number of parts.
    pub fn in_memory(&self, plan: &Plan) -> bool {
        let records = self.own_items() * part::RECORD_BYTES as u64;
        self.workers == 1 && BASE_BYTES + records + self.run_bytes(plan) <= self.room()
    }

    /// What is gathered of parts before it is written.
    pub fn buffered(&self) -> usize {
        usize::try_from(self.memory / 32).unwrap_or(usize::MAX).min(BUFFERED_BYTES)
    }

    /// As few parts as this party's memory allows: in memory if up to 128 are enough for that, else on the disk.
    pub fn wanted_parts(&self) -> Result<u32, Failure> {
        // With a few parts each, no worker is left waiting long for the last one.
        let each = if self.workers > 1 { PARTS_PER_WORKER } else { 1 };
        let mut least = self.parts.unwrap_or_else(|| each * self.workers.next_power_of_two());
        let most = tidm_mpc::limits::MAX_PARTITIONS;
        if !(1..=most).contains(&least) {
            return Err(Failure::Order(format!("parts are 1 to {most}")));
        }
        let whole = self.whole();
        // Rather workers without a part than parts that are mostly filling.
        while self.parts.is_none() && least > 1 && inflates(&Plan { whole, parts: least }) {
            least /= 2;
        }
        let powers = (0..=most.ilog2()).map(|log| 1 << log).filter(|parts| *parts > least);
        let plans: Vec<Plan> =
            std::iter::once(least).chain(powers).map(|parts| Plan { whole, parts }).collect();
        let each = self.share();
        let on_disk = |plan: &Plan| self.run_bytes(plan) <= each;
        let runs = |plan: &&Plan| plan.part_terms().is_ok() && self.what.runs(self, plan);
        // Filling is room for guesses that nobody counted. Who asks for parts by their number holds both lists.
        let (filling, sound): (Vec<&Plan>, Vec<&Plan>) =
            plans.iter().filter(runs).partition(|plan| self.parts.is_none() && inflates(plan));
        let fitting = |all: &[&Plan]| {
            let in_memory = |plan: &&&Plan| plan.parts <= 128 && self.in_memory(plan);
            let found = all.iter().find(in_memory).or_else(|| all.iter().find(|it| on_disk(it)));
            found.map(|plan| plan.parts)
        };
        let (memory, terms) = (self.memory, &self.terms);
        fitting(&sound).ok_or_else(|| match fitting(&filling) {
            None => Failure::Order(format!("{memory} bytes of memory are too few for these sizes")),
            Some(parts) => Failure::Order(format!(
                "{} items against {} need {parts} parts in {memory} bytes of memory, which would be mostly filling: \
                 give it more memory, or ask over a table",
                terms.receiver_items, terms.sender_items
            )),
        })
    }

    /// Memory of one process for its parts on the disk: the order's, divided by its workers. They and the one that watches them
    /// are programs of their own.
    pub fn share(&self) -> u64 {
        let buffers = BASE_BYTES + self.buffered() as u64;
        let each = self.room().saturating_sub(buffers) / u64::from(self.workers.max(1));
        if self.workers > 1 { each.saturating_sub(BASE_BYTES) } else { each }
    }

    /// Memory for parts.
    fn room(&self) -> u64 {
        self.memory.saturating_sub(self.what.resident(self))
    }

    /// Memory of a run over one part, and of the part that is made ready meanwhile.
    fn run_bytes(&self, plan: &Plan) -> u64 {
        let (receiver, sender) = plan.part_items();
        receiver.max(sender) * self.what.bytes_per_item()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

/// Whether the parts of the receiver's list, each filled up to one size, hold many times the items that were agreed. Filling
/// is room for guesses of a receiver that does not keep to the protocol.
pub(super) fn inflates(plan: &Plan) -> bool {
    let filled = plan.part_items().0.saturating_mul(plan.parts.into());
    plan.parts > 1
        && filled > plan.whole.receiver_items.saturating_mul(2).saturating_add(FILLED_ITEMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut order = serde_json::json!({
            "role": "receiver",
            "job": "0a".repeat(32),
            "terms": { "security": "semi-honest", "learns": "receiver",
                       "receiver_items": 1000, "sender_items": 2000 },
            "rule": { "parts": [{ "role": "id", "form": "text" }], "equals": "first" },
            "mapping": { "id": "number" },
            "source": { "path": "a.csv", "format": "csv" },
            "dir": "jobs/1",
            "connect": { "dial": "unix:peer.sock" },
        });
        change(&mut order);
        order.to_string()
    }

    #[test]
    fn orders_are_read_with_their_bounds_and_refused_beyond() {
        let order = Order::of_json(&json(|_| {})).unwrap();
        assert_eq!((order.memory, order.workers, order.silence), (MEMORY_BYTES, 1, 20.0));
        assert_eq!(Order::of_json(&serde_json::to_string(&order).unwrap()).unwrap().job, order.job);
        let wrong: [(&str, serde_json::Value); 10] = [
            ("job", "0a0a".into()),
            ("job", "zz".repeat(32).into()),
            ("job", "é".repeat(32).into()),
            ("workers", 0.into()),
            ("workers", 65.into()),
            ("parts", 0.into()),
            ("parts", 5000.into()),
            ("memory", 1000.into()),
            ("silence", 0.into()),
            ("unknown", 1.into()),
        ];
        for (name, value) in wrong {
            let refused = Order::of_json(&json(|order| order[name] = value.clone()));
            assert_eq!(refused.unwrap_err().code(), "job.order", "{name} {value}");
        }
        let sender = |order: &mut serde_json::Value| {
            order["role"] = "sender".into();
            order["results"] = serde_json::json!({ "rows": "out.csv" });
        };
        assert_eq!(Order::of_json(&json(sender)).unwrap_err().code(), "job.order");
    }

    #[test]
    fn ecdh_is_for_rows_of_lists_within_its_bound() {
        let order = |receiver: u64, sender: u64, kind: &str| {
            let json = json(|order| {
                order["terms"] = serde_json::json!({ "security": "ecdh", "learns": "both",
                    "receiver_items": receiver, "sender_items": sender });
                order["what"] = serde_json::json!({ "kind": kind });
            });
            Order::of_json(&json).map_err(|why| why.code().to_owned())
        };
        let most = MAX_ECDH_ITEMS;
        let found = order(most, most, "rows").unwrap();
        // More than one part holds: four at least, whatever the memory.
        let roomy = Order { memory: 1 << 40, ..found };
        assert_eq!(roomy.wanted_parts().unwrap(), 8);
        assert_eq!(order(most + 1, 5, "rows").err().as_deref(), Some("mpc.too-many"));
        assert_eq!(order(5, most + 1, "rows").err().as_deref(), Some("mpc.too-many"));
        let labels = json(|order| {
            order["terms"]["security"] = "ecdh".into();
            order["what"] = serde_json::json!({ "kind": "labels", "columns": ["a"], "bytes": 8 });
        });
        assert_eq!(Order::of_json(&labels).unwrap_err().code(), "job.order");
    }

    #[test]
    fn memory_decides_on_parts_and_disk() {
        let plan = |items: u64, mib: u64, workers: u32| {
            let mut order = Order::of_json(&json(|_| {})).unwrap();
            (order.terms.receiver_items, order.terms.sender_items) = (items, items);
            (order.memory, order.workers) = (mib << 20, workers);
            let parts = order.wanted_parts().unwrap();
            (parts, order.in_memory(&Plan { whole: order.whole(), parts }))
        };
        assert_eq!(plan(1 << 20, 512, 1), (1, true));
        assert_eq!(plan(1 << 20, 200, 1), (2, true));
        assert_eq!(plan(10_000_000, 512, 1), (8, true));
        assert_eq!(plan(100_000_000, 2048, 1), (16, false));
        assert_eq!(plan(1 << 20, 512, 2), (8, false));
        // Divided among workers once: a quarter of the memory each, less what their program takes.
        let shares = |workers: u32| {
            let mut order = Order::of_json(&json(|_| {})).unwrap();
            (order.memory, order.workers) = (1 << 30, workers);
            order.share()
        };
        assert_eq!(shares(4), shares(1) / 4 - BASE_BYTES);
        // A small list is not cut into parts that are mostly filling, however many workers there are.
        assert!(plan(64, 512, 16).0 <= 2);
        let whole = Order::of_json(&json(|_| {})).unwrap().whole();
        let small = Terms { receiver_items: 64, ..whole };
        assert!(inflates(&Plan { whole: small, parts: 4096 }));
        let large = Terms { receiver_items: 1 << 20, ..whole };
        assert!(!inflates(&Plan { whole: large, parts: 64 }));
    }

    /// Whatever the sizes and whoever's memory: no plan of a job has room for many more guesses than were agreed.
    #[test]
    fn a_list_that_is_far_longer_than_the_receivers_makes_no_room_for_guesses() {
        for (receiver, sender, mib, fits) in [
            (1_000, 100_000_000, 512, false),
            (100, 100_000_000, 512, false),
            (1_000, 1_000_000_000, 512, false),
            (1_000, 100_000_000, 65_536, true),
            (100_000, 100_000_000, 512, true),
            (1_000, 1_000_000, 512, true),
            (1, 1_000_000, 512, true),
        ] {
            let mut order = Order::of_json(&json(|_| {})).unwrap();
            (order.terms.receiver_items, order.terms.sender_items) = (receiver, sender);
            order.memory = mib << 20;
            match order.wanted_parts() {
                Ok(parts) => assert!(!inflates(&Plan { whole: order.whole(), parts })),
                Err(why) => assert!(why.to_string().contains("filling"), "{why}"),
            }
            assert_eq!(order.wanted_parts().is_ok(), fits, "{receiver} against {sender}");
            // Who holds both lists may have as many parts as it likes.
            order.parts = Some(1);
            assert!(order.wanted_parts().is_ok());
        }
    }

    #[test]
    fn hexadecimal_comes_back() {
        for bytes in [&[][..], &[0], &[255, 16, 1]] {
            assert_eq!(unhex(&hex(bytes)).as_deref(), Some(bytes));
        }
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("0g"), None);
    }
}
