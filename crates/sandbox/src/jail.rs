//! The jail: what a worker gives up before it looks at anybody's data.
//!
//! Order matters. Limits and flags first, namespaces while the process still has one thread,
//! landlock next, seccomp last: its filters are inherited by every thread made afterwards, and
//! they forbid the calls the earlier layers needed.
//!
//! Threat model: the SQL engine is compromised by a hostile statement or a hostile Parquet file.
//! It may then compute and answer on its one pipe, nothing else: no file, no socket, no program,
//! no other process. Root on the host is outside this model (enforcement level E1).
//!
//! **Architecture invariant:** a layer that could not be applied is in the [`Report`]; whether
//! that is acceptable is the host's decision, made before any key is released.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
    Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::job::Bounds;

mod seccomp;

/// One layer of the jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// RLIMIT_AS, CPU, NOFILE, FSIZE = 0, CORE = 0.
    Rlimits,
    /// PR_SET_DUMPABLE 0: no core dump, no ptrace by the same user.
    Undumpable,
    /// PR_SET_NO_NEW_PRIVS.
    NoNewPrivs,
    /// Own user, network and IPC namespaces: an empty network.
    Namespaces,
    /// Landlock with no path, no port and no outside process at all.
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
pub fn enter(bounds: &Bounds) -> Report {
    let layers = vec![
        (Layer::Rlimits, state(rlimits(bounds))),
        (Layer::Undumpable, state(undumpable())),
        (Layer::NoNewPrivs, state(rustix::thread::set_no_new_privs(true))),
        (Layer::Namespaces, state(namespaces())),
        (Layer::Landlock, landlock()),
        (Layer::Seccomp, state(seccomp::apply())),
    ];
    Report { layers }
}

fn state<E: std::fmt::Display>(result: Result<(), E>) -> State {
    match result {
        Ok(()) => State::Applied,
        Err(error) => State::Unavailable(error.to_string()),
    }
}

fn rlimits(bounds: &Bounds) -> rustix::io::Result<()> {
    use crate::limits::{BASE_ADDRESS_SPACE, BLOCKING_THREADS, THREAD_ADDRESS_SPACE};

    let threads = bounds.threads.saturating_add(BLOCKING_THREADS) as u64;
    let address_space = bounds
        .memory_bytes
        .saturating_add(BASE_ADDRESS_SPACE)
        .saturating_add(threads.saturating_mul(THREAD_ADDRESS_SPACE));
    for (resource, limit) in [
        (Resource::As, address_space),
        (Resource::Cpu, bounds.cpu_seconds),
        (Resource::Nofile, bounds.files),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
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

fn landlock() -> State {
    // The newest interface we know; the crate drops what this kernel lacks and says so.
    let abi = ABI::V7;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(abi)))
        .and_then(|rules| rules.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    match status.map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => State::Applied,
        Ok(RulesetStatus::PartiallyEnforced) => {
            State::Partial("this kernel knows an older landlock".to_owned())
        }
        Ok(RulesetStatus::NotEnforced) => State::Unavailable("not in this kernel".to_owned()),
        Err(error) => State::Unavailable(error.to_string()),
    }
}
