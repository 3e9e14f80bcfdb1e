//! Both parties on one machine, as two processes over a loopback TCP connection: for trying out, tests and measurements.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, Write as _};

use super::connect::{Address, Connector, Way};
use super::failure::Failure;
use super::limits::MEMORY_BYTES;
use super::many;
use super::order::{Kind, Learns, List, Order, Report, Results, Role, Security, Sizes, hex};
use super::progress::Event;
use super::visit::random;
use super::workers::Host;
use crate::keys::{Equals, Form, Mapping, Rule, rows_at_most};

/// What to compare, and how.
#[derive(Clone, Debug)]
pub struct Local {
    /// The receiver's list.
    pub mine: PathBuf,
    /// The sender's.
    pub theirs: PathBuf,
    /// The key's columns in mine, and how they are called in theirs (the same where this is empty).
    pub columns: Vec<String>,
    pub their_columns: Vec<String>,
    pub form: Form,
    pub equals: Equals,
    pub security: Security,
    pub learns: Learns,
    pub memory: u64,
    pub workers: u32,
    pub parts: Option<u32>,
    /// My matched rows.
    pub out: Option<PathBuf>,
    pub bitmap: Option<PathBuf>,
    /// For journals and parts; a temporary one if absent.
    pub dir: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Both {
    pub seconds: f64,
    pub receiver: Report,
    pub sender: Report,
}

impl Local {
    pub fn new(mine: &Path, theirs: &Path, column: &str) -> Self {
        Self {
            mine: mine.to_owned(),
            theirs: theirs.to_owned(),
            columns: vec![column.to_owned()],
            their_columns: Vec::new(),
            form: Form::Text,
            equals: Equals::First,
            security: Security::SemiHonest,
            learns: Learns::Receiver,
            memory: MEMORY_BYTES,
            workers: 1,
            parts: None,
            out: None,
            bitmap: None,
            dir: None,
        }
    }

    /// Runs both parties, each a process of `host`'s program.
    pub fn run(&self, host: &Host) -> Result<Both, Failure> {
        let began = Instant::now();
        let temporary = tempfile::tempdir().map_err(Failure::directory("making"))?;
        let dir = self.dir.as_deref().unwrap_or_else(|| temporary.path()).to_owned();
        let failed = |why| Failure::directory("listening")(why);
        let any = Way::Listen(Address::Tcp("127.0.0.1:0".to_owned()));
        let connector = Connector::open(&any).map_err(failed)?;
        let (listen, dial) = ways(&connector).map_err(failed)?;
        let job = hex(&random()?);
        let sizes = Sizes {
            security: self.security,
            learns: self.learns,
            receiver_items: rows(&self.mine)?,
            sender_items: rows(&self.theirs)?,
        };
        let order = |role, way| self.order(role, &job, sizes, &dir, way);
        let sender = start(host, "job", &order(Role::Sender, listen)?)?;
        drop(connector);
        let receiver = start(host, "job", &order(Role::Receiver, dial)?)?;
        // If one fails it tells the other, so both end; the receiver's reason counts unless it only heard of one.
        let other = std::thread::spawn(move || finish(sender));
        let receiver = finish(receiver);
        let sender = other.join().unwrap_or(Err(Failure::WorkersKilled(1)));
        let (receiver, sender) = match (receiver, sender) {
            (Ok(receiver), Ok(sender)) => (receiver, sender),
            (Err(heard), Err(failure)) if heard.code() == "mpc.peer-stopped" => {
                return Err(failure);
            }
            (Err(failure), _) | (_, Err(failure)) => return Err(failure),
        };
        Ok(Both { seconds: began.elapsed().as_secs_f64(), receiver, sender })
    }

    fn order(
        &self,
        role: Role,
        job: &str,
        terms: Sizes,
        dir: &Path,
        connect: Way,
    ) -> Result<Order, Failure> {
        let theirs =
            if self.their_columns.is_empty() { &self.columns } else { &self.their_columns };
        let (path, columns, name) = match role {
            Role::Receiver => (&self.mine, &self.columns, "receiver"),
            Role::Sender => (&self.theirs, theirs, "sender"),
        };
        let (rule, mapping) = self.rule_of(columns)?;
        let results = match role {
            Role::Receiver => Results {
                rows: self.out.clone(),
                bitmap: self.bitmap.clone(),
                ..Results::default()
            },
            Role::Sender => Results::default(),
        };
        Ok(Order {
            role,
            job: job.to_owned(),
            terms,
            what: Default::default(),
            rule,
            mapping,
            source: List::new(path.clone(), kind(path)),
            dir: dir.join(name),
            journal: None,
            results,
            connect,
            memory: self.memory,
            workers: self.workers,
            open: false,
            // Both lists are the caller's: there is nobody to guess, however much of a part is filling.
            parts: self.parts.or_else(|| (self.workers == 1).then_some(1)),
            jail: Vec::new(),
            silence: super::limits::SILENCE.as_secs_f64(),
            patience: 60.0,
        })
    }
}

impl Local {
    /// By columns of one party's list; roles are called as columns of mine.
    pub(super) fn rule_of(&self, columns: &[String]) -> Result<(Rule, Mapping), Failure> {
        if columns.len() != self.columns.len() {
            return Err(Failure::Order("all keys have the same number of columns".to_owned()));
        }
        let parts = self.columns.iter().map(|role| crate::keys::Part {
            role: role.clone(),
            form: self.form,
            ignore_case: false,
        });
        let rule = Rule { parts: parts.collect(), equals: self.equals };
        let pairs = self.columns.iter().zip(columns);
        let mapping = Mapping::of(pairs.map(|(role, column)| (role.as_str(), column.as_str())));
        Ok((rule, mapping))
    }

    /// Whether nothing was chosen that more than two parties do not have.
    fn fits_many(&self) -> Result<(), Failure> {
        let plain = self.security == Security::SemiHonest && self.learns == Learns::Receiver;
        if plain && self.workers == 1 && self.parts.is_none() {
            return Ok(());
        }
        let why = "more than two lists: semi-honest, the receiver learns, one worker, one part";
        Err(Failure::Order(why.to_owned()))
    }
}

/// A process for each end: the listener is inherited, so that its port is known before anybody dials.
pub(super) fn ways(connector: &Connector) -> std::io::Result<(Way, Way)> {
    use std::os::fd::AsRawFd as _;
    let none = || std::io::Error::other("no listener");
    let listener = connector.listener().ok_or_else(none)?;
    rustix::io::fcntl_setfd(listener.fd(), rustix::io::FdFlags::empty())?;
    Ok((Way::ListenFd(listener.fd().as_raw_fd()), Way::Dial(listener.address()?)))
}

pub(super) fn start(host: &Host, word: &str, order: &impl Serialize) -> Result<Child, Failure> {
    let failed = |why| Failure::directory("starting a party")(why);
    let mut command = host.command(word)?;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut line = serde_json::to_vec(order).map_err(|why| Failure::Order(why.to_string()))?;
    line.push(b'\n');
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&line).map_err(failed)?;
    }
    Ok(child)
}

/// A party's report, or why there is none.
pub(super) fn finish(mut child: Child) -> Result<Report, Failure> {
    let mut last = Err(Failure::WorkersKilled(1));
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(Event::Report(report)) => last = Ok(*report),
                Ok(Event::Error(error)) => last = Err(Failure::Told(error)),
                Ok(
                    Event::Progress(_)
                    | Event::Moved { .. }
                    | Event::Cut(_)
                    | Event::Open(_)
                    | Event::Ended,
                )
                | Err(_) => {}
            }
        }
    }
    drop(child.wait());
    last
}

pub(super) fn kind(path: &Path) -> Kind {
    match path.extension().and_then(|it| it.to_str()) {
        Some("parquet") => Kind::Parquet,
        Some("arrow" | "feather") => Kind::ArrowFile,
        Some("arrows") => Kind::ArrowStream,
        Some("tsv") => Kind::CsvTab,
        _ => Kind::Csv,
    }
}

pub(super) fn rows(path: &Path) -> Result<u64, Failure> {
    Ok(rows_at_most(path, kind(path).format())?)
}

/// `local MINE THEIRS COLUMN[,COLUMN…] [name=value…]`.
pub(super) fn main(host: &Host, arguments: &[String]) -> Result<(), Failure> {
    let wrong = |what: &str| Failure::Order(what.to_owned());
    let [mine, theirs, columns, options @ ..] = arguments else {
        return Err(wrong("local MINE THEIRS COLUMN[,COLUMN…] [name=value…]"));
    };
    let split = |list: &str| list.split(',').map(str::to_owned).collect::<Vec<String>>();
    let mut local = Local::new(mine.as_ref(), theirs.as_ref(), "");
    local.columns = split(columns);
    let mut also: Vec<PathBuf> = Vec::new();
    for option in options {
        let (name, value) =
            option.split_once('=').ok_or_else(|| wrong("options are name=value"))?;
        let word = || serde_json::Value::String(value.to_owned());
        let unknown = |_| Failure::Order(format!("{value} is no value of {name}"));
        let number = || value.parse::<u64>().map_err(|_| wrong("it takes a number"));
        match name {
            "their-columns" => local.their_columns = split(value),
            "form" => local.form = serde_json::from_value(word()).map_err(unknown)?,
            "equals" => local.equals = serde_json::from_value(word()).map_err(unknown)?,
            "security" => local.security = serde_json::from_value(word()).map_err(unknown)?,
            "learns" => local.learns = serde_json::from_value(word()).map_err(unknown)?,
            "memory-mib" => local.memory = number()? << 20,
            "workers" => local.workers = u32::try_from(number()?).unwrap_or(u32::MAX),
            "parts" => local.parts = Some(u32::try_from(number()?).unwrap_or(u32::MAX)),
            "out" => local.out = Some(value.into()),
            "bitmap" => local.bitmap = Some(value.into()),
            "also" => also.push(value.into()),
            "dir" => local.dir = Some(value.into()),
            _ => return Err(Failure::Order(format!("there is no option {name}"))),
        }
    }
    let json = if also.is_empty() {
        serde_json::to_string(&local.run(host)?)
    } else {
        local.fits_many()?;
        serde_json::to_string(&many::local::run(&local, &also, host)?)
    };
    let json = json.map_err(|why| Failure::Order(why.to_string()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{json}").map_err(Failure::directory("writing to stdout"))
}
