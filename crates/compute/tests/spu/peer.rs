//! The published spu as a process of its own.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::NamedTempFile;

/// Python with spu: the test command names one that it made; elsewhere whatever is there, if it can.
pub(crate) fn program() -> Result<PathBuf, String> {
    let named = std::env::var_os("TIDM_SPU_PYTHON");
    let python = PathBuf::from(named.clone().unwrap_or_else(|| "python3".into()));
    let probe = Command::new(&python).args(["-c", "import spu.psi"]).output();
    if probe.is_ok_and(|it| it.status.success()) {
        return Ok(python);
    }
    let lacks = "cannot import spu.psi";
    assert!(named.is_none(), "{} {lacks}: `pip install spu==0.9.5` into it", python.display());
    Err(format!("SKIPPED: python3 {lacks} (pip install spu==0.9.5, or set TIDM_SPU_PYTHON)"))
}

/// An address nobody listens on. Another process may take it before it is used: the test then fails to listen and says so.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(crate) struct Peer {
    child: Child,
    /// What it writes, in a file: a pipe that nobody reads fills up and stops it.
    said: NamedTempFile,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// What spu said at its end.
pub(crate) struct Said {
    pub(crate) success: bool,
    /// What it says of itself: -1 where it does not learn.
    pub(crate) common: i64,
    pub(crate) rows: BTreeSet<String>,
    pub(crate) log: String,
}

impl Peer {
    pub(crate) fn start(python: &Path, who: &[&str], files: [&Path; 3], options: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/spu_psi.py");
        let mut command = Command::new(python);
        command.arg(script).args(who).args(files).args(options);
        let said = NamedTempFile::new().unwrap();
        let out = said.reopen().unwrap();
        let err = out.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
        Self { child, said }
    }

    pub(crate) fn wait(mut self, out: &Path) -> Said {
        let ended = self.child.wait().unwrap();
        let log = String::from_utf8_lossy(&std::fs::read(&self.said).unwrap()).into_owned();
        let line = log.lines().rev().find_map(|it| serde_json::from_str(it).ok());
        let line: serde_json::Value = line.unwrap_or_default();
        // spu quotes its header and nothing else.
        let text = std::fs::read_to_string(out).unwrap_or_default();
        Said {
            success: ended.success(),
            common: line["common"].as_i64().unwrap_or(-2),
            rows: text.lines().skip(1).map(str::to_owned).collect(),
            log,
        }
    }
}
