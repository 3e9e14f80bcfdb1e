//! Reports of this machine by Linux' own interface (configfs-tsm, from 6.7 on): one folder per request, made and removed
//! here.
//!
//! ```text
//!   mkdir ENTRY → generation g → write inblob (64 bytes) → read outblob, auxblob, provider → generation is g + 1 → rmdir
//! ```
//!
//! Threat model: what is read comes through the kernel from the host, and is bounded before memory is taken. Somebody else
//! who writes into our entry moves its generation by more than our one write, and what was read is thrown away. Must never
//! judge a report: [`tidm_attest::made`] looks whether it is what was asked for, and whoever appraises judges it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use tidm_attest::limits::{CERTIFICATE_TABLE, EVIDENCE, REPORT_DATA};
use tidm_attest::made::Handed;

/// Where Linux shows it.
pub const ROOT: &str = "/sys/kernel/config/tsm/report";
/// An interface that is busy, or not ready, is asked again for this long: firmware answers within some milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(10);
/// Names are tried before somebody has to clear away what others left.
const NAMES: u32 = 16;
/// A provider's name, and a generation, with their line's end.
const WORD: usize = 64;

/// Why this machine made no report.
#[derive(Debug, thiserror::Error)]
pub enum TsmFault {
    #[error("{} does not exist: the kernel is older than 6.7 or knows no trusted environment, or configfs is not mounted", .0.display())]
    NoFolder(PathBuf),
    #[error(
        "the kernel has no provider of reports: no driver of a trusted environment (sev-guest, tdx-guest) is at work here"
    )]
    NoProvider,
    #[error("{} may not be written by this process: it belongs to root", .0.display())]
    Forbidden(PathBuf),
    #[error("the interface stays busy ({0})")]
    Busy(&'static str),
    #[error(
        "somebody else wrote into the same entry meanwhile: generation {found} where {expected} was due"
    )]
    Torn { expected: u64, found: u64 },
    #[error("{name} is longer than the {most} bytes that any real one has")]
    TooLong { name: &'static str, most: usize },
    #[error("{name} says {said:?}, which it never does")]
    Strange { name: &'static str, said: String },
    #[error("{name}: {why}")]
    Io { name: &'static str, why: std::io::Error },
}

/// The interface.
#[derive(Clone, Debug)]
pub struct Tsm {
    root: PathBuf,
}

impl Tsm {
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// A report that carries these bytes. Blocks for as long as the firmware takes.
    ///
    /// # Errors
    /// [`TsmFault`].
    pub fn report(&self, data: &[u8; REPORT_DATA]) -> Result<Handed, TsmFault> {
        let entry = Entry::new(&self.root)?;
        let until = Instant::now() + PATIENCE;
        let expected = entry.generation(until)?.wrapping_add(1);
        entry.ask(data, until)?;
        let outblob = entry.bytes("outblob", EVIDENCE, until)?;
        let auxblob = match entry.bytes("auxblob", CERTIFICATE_TABLE, Instant::now()) {
            Ok(bytes) => bytes,
            // A provider that puts nothing beside its reports need not show it.
            Err(TsmFault::Io { why, .. }) if why.kind() == ErrorKind::NotFound => Vec::new(),
            Err(fault) => return Err(fault),
        };
        let provider = entry.word("provider", until)?;
        let found = entry.generation(until)?;
        if found != expected {
            return Err(TsmFault::Torn { expected, found });
        }
        Ok(Handed { provider, outblob, auxblob })
    }
}

/// A folder of ours, removed with it.
struct Entry(PathBuf);

impl Entry {
    fn new(root: &Path) -> Result<Self, TsmFault> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..NAMES {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = root.join(format!("tidm-{}-{count}", std::process::id()));
            let Err(why) = std::fs::create_dir(&path) else { return Ok(Self(path)) };
            let kind = why.kind();
            if kind == ErrorKind::AlreadyExists {
                continue;
            }
            return Err(if kind == ErrorKind::NotFound {
                TsmFault::NoFolder(root.to_owned())
            } else if matches!(kind, ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
                TsmFault::Forbidden(root.to_owned())
            } else if Errno::from_io_error(&why) == Some(Errno::NXIO) {
                TsmFault::NoProvider
            } else {
                TsmFault::Io { name: "the entry", why }
            });
        }
        Err(TsmFault::Busy("names are taken"))
    }

    fn ask(&self, data: &[u8; REPORT_DATA], until: Instant) -> Result<(), TsmFault> {
        patiently("inblob", until, || {
            let mut file = OpenOptions::new().write(true).open(self.0.join("inblob"))?;
            file.write_all(data)
        })
    }

    fn bytes(&self, name: &'static str, most: usize, until: Instant) -> Result<Vec<u8>, TsmFault> {
        let bytes = patiently(name, until, || {
            let mut bytes = Vec::new();
            let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
            File::open(self.0.join(name))?.take(bound).read_to_end(&mut bytes)?;
            Ok(bytes)
        })?;
        if bytes.len() > most { Err(TsmFault::TooLong { name, most }) } else { Ok(bytes) }
    }

    fn word(&self, name: &'static str, until: Instant) -> Result<String, TsmFault> {
        let bytes = self.bytes(name, WORD, until)?;
        let word = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if word.chars().any(char::is_control) {
            return Err(TsmFault::Strange { name, said: word });
        }
        Ok(word)
    }

    fn generation(&self, until: Instant) -> Result<u64, TsmFault> {
        let said = self.word("generation", until)?;
        said.parse().map_err(|_| TsmFault::Strange { name: "generation", said })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir(&self.0) {
            tracing::warn!(%error, entry = %self.0.display(), "an entry for reports cannot be removed");
        }
    }
}

/// Tries again while the interface is busy, or the attribute is not there yet.
fn patiently<T>(
    name: &'static str,
    until: Instant,
    mut work: impl FnMut() -> std::io::Result<T>,
) -> Result<T, TsmFault> {
    loop {
        let why = match work() {
            Ok(done) => return Ok(done),
            Err(why) => why,
        };
        let busy = matches!(
            why.kind(),
            ErrorKind::ResourceBusy | ErrorKind::WouldBlock | ErrorKind::Interrupted
        );
        if !busy && why.kind() != ErrorKind::NotFound {
            return Err(TsmFault::Io { name, why });
        }
        if Instant::now() >= until {
            return Err(if busy { TsmFault::Busy(name) } else { TsmFault::Io { name, why } });
        }
        std::thread::sleep(PAUSE);
    }
}
