//! One program over one sealed file, inside the lease: run by the process that asked for the lease.
//!
//! Threat model: plaintext exists in anonymous memory of this process (memfd) and nowhere on a disk of ours;
//! the program gets it by a path whose name is a link into this process. When the lease or the program
//! ends, the memory is overwritten and the link removed, so that a process left behind reads zeros. Where this process is
//! killed outright the link leads nowhere and the kernel kills the program with it. Not protected against: a child of the
//! program that left its group and has the memory open when this process is killed (it reads on until it ends, and no lease
//! stops it any more), what the program copies
//! while it runs, swap, and the machine's administrator (level E1 says so). Whether the lease stands is asked of the node
//! all the while ([`standing`]): this process has a clock, and no say.
//!
//! Never writes plaintext to a file except for an export that the contract permits.

pub mod standing;

use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal as _, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;
use rustix::process::{Pid, Resource, Rlimit, Signal};

use tidm_crypto::domain;
use tidm_crypto::kem::{KemSecret, Wrapped};
use tidm_crypto::secret::Secret;
use tidm_crypto::tdf::{Container, TdfFault};
use tidm_space::id::Id;
use tidm_space::share::{OPERATOR_SHARE, PROVIDER_SHARE};

use standing::Until;

use super::release;

/// After the lease ended, the program has this long to leave by itself; what it was shown is gone already.
const GRACE: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(20);
/// Zeros written at a time.
const WIPE_BYTES: usize = 1 << 20;
/// Characters of the file name that the program sees.
const NAME_CHARS: usize = 120;
/// Where links lie: memory, not a disk.
const LINKS: &str = "/dev/shm";
/// What stands for the path in a command.
const PLACE: &str = "{}";

/// What the node granted for one opening.
#[derive(Clone, Debug)]
pub struct Opening {
    pub lease: Id,
    pub contract: Id,
    /// From now; the program is stopped then.
    pub life: Duration,
    pub wrapped_key: Vec<u8>,
    /// The operator's share, where the key is split.
    pub wrapped_share: Option<Vec<u8>>,
    pub may_export: bool,
    /// The file's name as the program sees it: programs go by endings (`part.step`).
    pub name: Option<String>,
}

/// How an opening ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// The lease ended first, and the program was stopped.
    pub stopped: bool,
    /// Plaintext bytes that the program could see.
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the key that came with the lease does not open here: it was wrapped for another process"
    )]
    Key,
    #[error("the sealed file cannot be opened: {0}")]
    Sealed(#[from] TdfFault),
    #[error("the contract does not permit to hand the content on: leave out --export")]
    Export,
    #[error("{} exists already; an export never overwrites", .0.display())]
    Exists(PathBuf),
    #[error("the command is empty or its quotes do not match")]
    Command,
    #[error("the program {program} cannot be started: {why}")]
    Start { program: String, why: std::io::Error },
    #[error("the private memory cannot be set up: {0}")]
    Memory(std::io::Error),
    #[error("writing the export failed: {0}")]
    Write(std::io::Error),
}

/// Runs `command` (program and arguments, `{}` is the path; it is appended where no `{}` stands) over the
/// plaintext of `sealed`, until it ends or the lease does.
///
/// # Errors
/// [`OpenError`]; then no plaintext is left anywhere.
pub fn run(
    sealed: impl Read + Seek,
    opening: &Opening,
    secret: &KemSecret,
    command: &[OsString],
) -> Result<Ended, OpenError> {
    run_until(sealed, opening, secret, command, &Until::after(opening.life))
}

/// The same, until an end that somebody moves who asks the node.
///
/// # Errors
/// As [`run`].
pub fn run_until(
    sealed: impl Read + Seek,
    opening: &Opening,
    secret: &KemSecret,
    command: &[OsString],
    until: &Until,
) -> Result<Ended, OpenError> {
    let (program, arguments) = command.split_first().ok_or(OpenError::Command)?;
    no_core_dump();
    let mut memory = Memory::new(&file_name(opening.name.as_deref()))?;
    let bytes = decrypt(sealed, opening, secret, &mut memory.file)?;
    memory.file.seek(SeekFrom::Start(0)).map_err(OpenError::Memory)?;
    let mut start = Command::new(program);
    start.args(filled(arguments, memory.link()));
    if !std::io::stdin().is_terminal() {
        // Its children end with it. With a terminal it must stay in the foreground group to read from it.
        start.process_group(0);
    }
    tidm_jail::end_with_starter(&mut start);
    let child = start
        .spawn()
        .map_err(|why| OpenError::Start { program: program.to_string_lossy().into_owned(), why })?;
    let (status, stopped) = watch(child, until, &mut memory).map_err(OpenError::Memory)?;
    drop(memory);
    Ok(Ended { status, stopped, bytes })
}

/// Writes the plaintext to a new file (mode 0600): only where the contract permits handing on.
pub fn export(
    sealed: impl Read + Seek,
    opening: &Opening,
    secret: &KemSecret,
    path: &Path,
) -> Result<u64, OpenError> {
    if !opening.may_export {
        return Err(OpenError::Export);
    }
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match file {
        Ok(file) => file,
        Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(OpenError::Exists(path.to_owned()));
        }
        Err(why) => return Err(OpenError::Write(why)),
    };
    let done = decrypt(sealed, opening, secret, &mut file).and_then(|bytes| {
        file.sync_all().map_err(OpenError::Write)?;
        Ok(bytes)
    });
    if done.is_err() {
        // A genuine beginning of the plaintext is not an export.
        drop(std::fs::remove_file(path));
    }
    done
}

/// Splits a command as a shell would, without expanding anything: blanks part, quotes hold together.
pub fn words(text: &str) -> Result<Vec<OsString>, OpenError> {
    let (mut all, mut word, mut quote, mut open) = (Vec::new(), String::new(), None, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '"' | '\'') => {
                quote = Some(letter);
                open = true;
            }
            (Some(mark), _) if mark == letter => quote = None,
            (None | Some('"'), '\\') => {
                word.push(letters.next().ok_or(OpenError::Command)?);
                open = true;
            }
            (None, blank) if blank.is_whitespace() => {
                if open {
                    all.push(OsString::from(std::mem::take(&mut word)));
                    open = false;
                }
            }
            (None | Some(_), _) => {
                word.push(letter);
                open = true;
            }
        }
    }
    if open {
        all.push(word.into());
    }
    if quote.is_some() || all.is_empty() { Err(OpenError::Command) } else { Ok(all) }
}

fn decrypt(
    sealed: impl Read + Seek,
    opening: &Opening,
    secret: &KemSecret,
    out: &mut impl Write,
) -> Result<u64, OpenError> {
    let aad = release::associated_data(&opening.lease, &opening.contract);
    let opened = |wrapped: &[u8], info: &str| {
        let wrapped = Wrapped::from_bytes(wrapped).map_err(|_| OpenError::Key)?;
        let key = secret.open(&wrapped, info.as_bytes(), &aad).map_err(|_| OpenError::Key)?;
        let key = key.expose().as_slice().try_into().map_err(|_| OpenError::Key)?;
        Ok::<_, OpenError>(Secret::<[u8; 32]>::new(key))
    };
    let key = opened(&opening.wrapped_key, domain::LEASE_KEY)?;
    let mut container = Container::open(sealed)?;
    let Some(share) = &opening.wrapped_share else { return Ok(container.decrypt_to(&key, out)?) };
    let share = opened(share, domain::SHARE_KEY)?;
    let shares = [(PROVIDER_SHARE, &key), (OPERATOR_SHARE, &share)];
    Ok(container.decrypt_split(&shares)?.copy_to(out)?)
}

/// `{}` wherever it stands, or the path at the end.
fn filled(arguments: &[OsString], path: &Path) -> Vec<OsString> {
    let shown = path.to_string_lossy();
    let mut found = false;
    let mut all: Vec<OsString> = arguments
        .iter()
        .map(|it| match it.to_str() {
            Some(text) if text.contains(PLACE) => {
                found = true;
                text.replace(PLACE, &shown).into()
            }
            Some(_) | None => it.clone(),
        })
        .collect();
    if !found {
        all.push(path.into());
    }
    all
}

/// A plain name: no folders, no control characters, no leading dot or dash.
fn file_name(name: Option<&str>) -> String {
    let last = name.unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|it| !it.is_control()).collect();
    let clean = clean.trim_start_matches(['.', '-', ' ']);
    // The ending matters most: cut in front.
    let skip = clean.chars().count().saturating_sub(NAME_CHARS);
    let clean: String = clean.chars().skip(skip).collect();
    if clean.is_empty() { "data".to_owned() } else { clean }
}

/// A crash of this process or its program must not write the plaintext to a disk.
fn no_core_dump() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = rustix::process::setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps cannot be turned off");
    }
}

/// Anonymous memory with a path. Dropping it overwrites the memory and removes the path.
struct Memory {
    file: File,
    folder: PathBuf,
    link: PathBuf,
}

impl Memory {
    fn new(name: &str) -> Result<Self, OpenError> {
        let fd = rustix::fs::memfd_create("tidm-open", MemfdFlags::CLOEXEC)
            .map_err(|e| OpenError::Memory(e.into()))?;
        let file = File::from(fd);
        let links = Path::new(LINKS);
        let links = if links.is_dir() { links.to_owned() } else { std::env::temp_dir() };
        let folder = links.join(format!("tidm-{}", uuid::Uuid::new_v4().simple()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(OpenError::Memory)?;
        let link = folder.join(name);
        let it = Self { file, folder, link };
        // Into this process, not /proc/self: the program's children and helpers find it, too.
        let target = format!("/proc/{}/fd/{}", std::process::id(), it.file.as_fd().as_raw_fd());
        std::os::unix::fs::symlink(target, &it.link).map_err(OpenError::Memory)?;
        Ok(it)
    }

    fn link(&self) -> &Path {
        &self.link
    }

    fn wipe(&mut self) -> std::io::Result<()> {
        let length = self.file.seek(SeekFrom::End(0))?;
        self.file.seek(SeekFrom::Start(0))?;
        let zeros = vec![0; WIPE_BYTES];
        let mut left = length;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(WIPE_BYTES).min(WIPE_BYTES);
            self.file.write_all(zeros.get(..part).unwrap_or_default())?;
            left = left.saturating_sub(part as u64);
        }
        self.file.set_len(0)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Err(error) = self.wipe() {
            tracing::warn!(%error, "opened data could not be overwritten; its memory is freed with this process");
        }
        for gone in [std::fs::remove_file(&self.link), std::fs::remove_dir(&self.folder)] {
            if let Err(error) = gone {
                tracing::debug!(%error, "a link to opened data was gone already");
            }
        }
    }
}

/// Waits for the program; at the end takes the plaintext from it and asks it to leave, then makes it.
fn watch(
    mut child: Child,
    until: &Until,
    memory: &mut Memory,
) -> std::io::Result<(ExitStatus, bool)> {
    let mut ended = None;
    let mut killed = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, ended.is_some()));
        }
        let now = Instant::now();
        match ended {
            None if now >= until.get() => {
                ended = Some(now);
                if let Err(error) = memory.wipe() {
                    tracing::warn!(%error, "opened data could not be overwritten before its program ended");
                }
                signal(&child, Signal::TERM);
            }
            Some(since) if !killed && now >= since + GRACE => {
                killed = true;
                signal(&child, Signal::KILL);
            }
            None | Some(_) => {}
        }
        std::thread::sleep(LOOK);
    }
}

fn signal(child: &Child, signal: Signal) {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return };
    // It may have no group of its own, or be gone: both are fine.
    if rustix::process::kill_process_group(pid, signal).is_err() {
        let _gone = rustix::process::kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use tidm_crypto::{kem, tdf};

    use super::*;
    use crate::random;

    const PLAIN: &[u8] = b"ISO-10303-21; a drawing";

    fn sealed(life: Duration) -> (std::io::Cursor<Vec<u8>>, Opening, KemSecret) {
        let key = random::key();
        let access = tdf::Access::whole("https://kas.example", "contract", b"wrapped", &key);
        let params = tdf::SealParams::new(&key, b"{}", access);
        let mut out = std::io::Cursor::new(Vec::new());
        tdf::seal(PLAIN, &mut out, &params, &mut random::os()).unwrap();
        let secret = KemSecret::generate(&mut random::os());
        let (lease, contract) =
            (Id::parse("urn:lease").unwrap(), Id::parse("urn:contract").unwrap());
        let aad = release::associated_data(&lease, &contract);
        let wrapped = kem::seal(
            &secret.public(),
            domain::LEASE_KEY.as_bytes(),
            &aad,
            key.expose(),
            &mut random::os(),
        )
        .unwrap();
        let name = Some("../part.step".to_owned());
        let opening = Opening {
            lease,
            contract,
            life,
            wrapped_key: wrapped.to_bytes(),
            wrapped_share: None,
            may_export: false,
            name,
        };
        (out, opening, secret)
    }

    fn shell(script: &str) -> Vec<OsString> {
        ["sh", "-c", script, "sh", "{}"].map(OsString::from).to_vec()
    }

    #[test]
    fn a_program_reads_the_file_by_its_name_and_nothing_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (out, seen) = (dir.path().join("out"), dir.path().join("path"));
        let (file, opening, secret) = sealed(Duration::from_secs(30));
        let script =
            format!("cat \"$1\" > {}; echo \"$1\" > {}; exit 3", out.display(), seen.display());
        let ended = run(file, &opening, &secret, &shell(&script)).unwrap();
        assert_eq!(
            (ended.status.code(), ended.stopped, ended.bytes),
            (Some(3), false, PLAIN.len() as u64)
        );
        assert_eq!(std::fs::read(out).unwrap(), PLAIN);
        let path = std::fs::read_to_string(seen).unwrap();
        assert!(path.trim().ends_with("/part.step"), "{path}");
        assert!(!Path::new(path.trim()).parent().unwrap().exists(), "{path}");
    }

    #[test]
    fn the_end_of_the_lease_stops_the_program_and_empties_the_memory() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let (file, opening, secret) = sealed(Duration::from_millis(300));
        // A process left behind holds the file open, and reads it after the end.
        let script = format!(
            "exec 3<\"$1\"; setsid sh -c 'sleep 1; cat <&3 > {}.part; mv {}.part {}' & exec sleep 60",
            out.display(),
            out.display(),
            out.display()
        );
        let started = Instant::now();
        let ended = run(file, &opening, &secret, &shell(&script)).unwrap();
        assert!(ended.stopped && started.elapsed() < Duration::from_secs(10));
        while !out.exists() {
            assert!(started.elapsed() < Duration::from_secs(20));
            std::thread::sleep(LOOK);
        }
        assert!(std::fs::read(out).unwrap().iter().all(|it| *it == 0));
    }

    #[test]
    fn wrong_keys_altered_files_and_unpermitted_exports_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("export");
        let (file, mut opening, secret) = sealed(Duration::from_secs(5));
        assert!(matches!(export(file.clone(), &opening, &secret, &target), Err(OpenError::Export)));
        opening.may_export = true;
        let other = KemSecret::generate(&mut random::os());
        assert!(matches!(export(file.clone(), &opening, &other, &target), Err(OpenError::Key)));
        let elsewhere = Opening { lease: Id::parse("urn:other").unwrap(), ..opening.clone() };
        assert!(matches!(
            run(file.clone(), &elsewhere, &secret, &shell("exit 0")),
            Err(OpenError::Key)
        ));
        for cut in [0, 10, file.get_ref().len() / 2, file.get_ref().len() - 1] {
            let short = std::io::Cursor::new(file.get_ref()[..cut].to_vec());
            assert!(
                matches!(export(short, &opening, &secret, &target), Err(OpenError::Sealed(_))),
                "{cut}"
            );
        }
        let mut flipped = file.get_ref().clone();
        let at = flipped.windows(2).position(|it| it == b"pa").unwrap_or(60) + 40;
        flipped[at] ^= 1;
        assert!(run(std::io::Cursor::new(flipped), &opening, &secret, &shell("exit 0")).is_err());
        assert!(!target.exists());
        assert_eq!(export(file.clone(), &opening, &secret, &target).unwrap(), PLAIN.len() as u64);
        assert!(matches!(export(file, &opening, &secret, &target), Err(OpenError::Exists(_))));
        assert_eq!(std::fs::read(target).unwrap(), PLAIN);
    }

    #[test]
    fn commands_and_names() {
        for (text, words_) in [
            ("less {}", &["less", "{}"][..]),
            ("  a  'b c'\t\"d e\" f\\ g ", &["a", "b c", "d e", "f g"]),
            ("a ''", &["a", ""]),
        ] {
            let expected: Vec<OsString> = words_.iter().map(OsString::from).collect();
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
        for bad in ["", "  ", "a 'b", "a \"b", "a\\"] {
            assert!(words(bad).is_err(), "{bad}");
        }
        for (name, seen) in [
            (None, "data"),
            (Some("../../etc/passwd"), "passwd"),
            (Some("-rf"), "rf"),
            (Some("a\\b\\图纸.dwg"), "图纸.dwg"),
            (Some("\n/"), "data"),
        ] {
            assert_eq!(file_name(name), seen);
        }
    }
}
