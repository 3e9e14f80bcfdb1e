//! Programs that run beside this one, and the memory they take.
//!
//! Never left behind: a program ends with the value that holds it.

use std::path::PathBuf;
use std::process::Child;

use anyhow::{Context as _, Result, ensure};

/// Names the `tidm` program to measure; otherwise the one beside this program.
pub(crate) const VARIABLE: &str = "TIDM_BIN";

pub(crate) fn tidm() -> Result<PathBuf> {
    let path = match std::env::var_os(VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?.with_file_name("tidm"),
    };
    ensure!(path.is_file(), "{} is not there; build it or set {VARIABLE}", path.display());
    Ok(path)
}

/// A process that ends with its owner.
pub(crate) struct Running(pub Child);

impl Running {
    /// One line of `/proc/PID/status` in MiB: `VmRSS:` now, `VmHWM:` at most since its start.
    pub(crate) fn mib(&self, key: &str) -> Result<f64> {
        Self::mib_of(self.0.id(), key)
    }

    /// The same of any process.
    pub(crate) fn mib_of(id: u32, key: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find(|it| it.starts_with(key)).context("no such line")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody left to tell.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
