//! The jail: what a process gives up before it looks at anybody's data. The sandbox's worker and the computing process of a
//! matching enter it, each with its own [`Plan`].
//!
//! Order matters. Limits and flags first, namespaces while the process still has one thread,
//! landlock next, seccomp last: its filters are inherited by every thread made afterwards, and
//! they forbid the calls the earlier layers needed.
//!
//! Threat model: the process is compromised by what it reads: a hostile statement or Parquet file, or a peer's messages.
//! It may then compute, say something over the descriptors it has, and reach the paths of its plan, nothing else: no other
//! file, no new connection, no program, no other process. Root on the host is outside this model (enforcement level E1).
//!
//! **Architecture invariant:** a layer that could not be applied is in the [`Report`]; whether
//! that is acceptable is its starter's decision, made before any key is released or a peer is heard.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal, setrlimit};
use serde::{Deserialize, Serialize};

mod seccomp;

/// What a process keeps.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub bounds: Bounds,
    /// What it may do by path; all else is denied. A path that is not there gives nothing.
    pub paths: Vec<(PathBuf, Reach)>,
    pub calls: Calls,
}

/// Resource limits; what is absent stays as it is. A core dump has never a byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    pub address_space: Option<u64>,
    pub cpu_seconds: Option<u64>,
    pub descriptors: Option<u64>,
    pub file_bytes: Option<u64>,
}

/// What may be done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A file, or those in a folder: read.
    Read,
    /// The files of a folder: list, read, make, change, remove. No folders, links or sockets are made.
    Keep,
}

/// Which system calls there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calls {
    /// Memory, threads, and reading and writing of descriptors that are open.
    #[default]
    Compute,
    /// Also files by path, messages over sockets that are open, and new ones from listeners and from who passes them. None is made,
    /// bound or connected.
    Files,
}

/// One layer of the jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// RLIMIT_CORE = 0, and those of the plan: AS, CPU, NOFILE, FSIZE.
    Rlimits,
    /// PR_SET_DUMPABLE 0: no core dump, no ptrace by the same user.
    Undumpable,
    /// PR_SET_NO_NEW_PRIVS.
    NoNewPrivs,
    /// Own user, network and IPC namespaces: an empty network.
    Namespaces,
    /// Landlock with the paths of the plan, no port and no outside process.
    Landlock,
    /// System-call allow-list.
    Seccomp,
}

/// Whether a layer is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// On, as strong as this program knows how.
    Applied,
    /// On, but this kernel lacks a part of it.
    Partial(String),
    /// Off.
    Unavailable(String),
}

/// The jail as applied, one entry for every layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Every layer with its state, in the order of application.
    pub layers: Vec<(Layer, State)>,
}

impl Report {
    /// The state of `layer`; a report that does not mention it says it is off.
    #[must_use]
    pub fn state(&self, layer: Layer) -> State {
        self.layers.iter().find(|(reported, _)| *reported == layer).map_or_else(
            || State::Unavailable("not reported".to_owned()),
            |(_, state)| state.clone(),
        )
    }

    /// What is off or weaker than this program knows, in words; empty where all is on.
    #[must_use]
    pub fn lacks(&self) -> Vec<String> {
        let told = |(layer, state): &(Layer, State)| match state {
            State::Applied => None,
            State::Partial(why) => Some(format!("{layer:?} in part: {why}")),
            State::Unavailable(why) => Some(format!("{layer:?}: {why}")),
        };
        self.layers.iter().filter_map(told).collect()
    }

    /// The first of `required` that is off, with the reason.
    #[must_use]
    pub fn missing(&self, required: &[Layer]) -> Option<(Layer, String)> {
        required.iter().find_map(|&layer| match self.state(layer) {
            State::Applied | State::Partial(_) => None,
            State::Unavailable(reason) => Some((layer, reason)),
        })
    }
}

/// Shuts every door. Call with one thread only, after the last descriptor is open.
#[must_use]
pub fn enter(plan: &Plan) -> Report {
    let layers = vec![
        (Layer::Rlimits, state(rlimits(&plan.bounds))),
        (Layer::Undumpable, state(undumpable())),
        (Layer::NoNewPrivs, state(rustix::thread::set_no_new_privs(true))),
        (Layer::Namespaces, state(namespaces())),
        (Layer::Landlock, landlock(&plan.paths)),
        (Layer::Seccomp, state(seccomp::apply(plan.calls))),
    ];
    Report { layers }
}

/// Has the kernel kill the program with the thread that starts it, whatever becomes of that: for a program that is shown what
/// only its starter may take away again. Not its own children, where they left its group; not a program that changes its user.
pub fn end_with_starter(command: &mut Command) {
    let starter = rustix::process::getpid();
    let bound = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // Gone before the kernel was told: nobody would end this process any more.
        if rustix::process::getppid() == Some(starter) {
            Ok(())
        } else {
            Err(std::io::Error::from_raw_os_error(libc::ESRCH))
        }
    };
    #[expect(
        unsafe_code,
        reason = "only the child itself can ask for this, before its program runs"
    )]
    // SAFETY: runs between fork and exec, where other threads may hold locks for ever: two system calls, no memory, no lock.
    unsafe {
        command.pre_exec(bound);
    }
}

fn state<E: std::fmt::Display>(result: Result<(), E>) -> State {
    match result {
        Ok(()) => State::Applied,
        Err(error) => State::Unavailable(error.to_string()),
    }
}

fn rlimits(bounds: &Bounds) -> rustix::io::Result<()> {
    for (resource, limit) in [
        (Resource::As, bounds.address_space),
        (Resource::Cpu, bounds.cpu_seconds),
        (Resource::Nofile, bounds.descriptors),
        (Resource::Fsize, bounds.file_bytes),
        (Resource::Core, Some(0)),
    ] {
        if limit.is_some() {
            setrlimit(resource, Rlimit { current: limit, maximum: limit })?;
        }
    }
    Ok(())
}

fn undumpable() -> rustix::io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

#[expect(
    deprecated,
    reason = "the `unsafe` twin exists because CLONE_FILES can break descriptor ownership; these flags do not include it"
)]
fn namespaces() -> rustix::io::Result<()> {
    use rustix::thread::{UnshareFlags, unshare};
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET | UnshareFlags::NEWIPC)
}

impl Reach {
    fn access(self) -> BitFlags<AccessFs> {
        match self {
            Self::Read => AccessFs::ReadFile.into(),
            Self::Keep => {
                AccessFs::ReadFile
                    | AccessFs::ReadDir
                    | AccessFs::WriteFile
                    | AccessFs::Truncate
                    | AccessFs::MakeReg
                    | AccessFs::RemoveFile
            }
        }
    }
}

fn landlock(paths: &[(PathBuf, Reach)]) -> State {
    match restrict(paths) {
        Ok(RulesetStatus::FullyEnforced) => State::Applied,
        Ok(RulesetStatus::PartiallyEnforced) => {
            State::Partial("this kernel knows an older landlock".to_owned())
        }
        Ok(RulesetStatus::NotEnforced) => State::Unavailable("not in this kernel".to_owned()),
        Err(error) => State::Unavailable(error.to_string()),
    }
}

fn restrict(paths: &[(PathBuf, Reach)]) -> Result<RulesetStatus, landlock::RulesetError> {
    // The newest interface we know; the crate drops what this kernel lacks and says so.
    let abi = ABI::V7;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    for (path, reach) in paths {
        // A path that cannot be opened gives nothing: whoever needs it will say so.
        if let Ok(opened) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(opened, reach.access()))?;
        }
    }
    Ok(rules.restrict_self()?.ruleset)
}
