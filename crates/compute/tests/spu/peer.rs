//! The published spu as a process of its own.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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

pub(crate) struct Peer(Child);

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
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(piped.spawn().unwrap())
    }

    pub(crate) fn stop(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn wait(self, out: &Path) -> Said {
        let ended = self.0.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        let line = said.lines().rev().find_map(|it| serde_json::from_str(it).ok());
        let line: serde_json::Value = line.unwrap_or_default();
        // spu quotes its header and nothing else.
        let text = std::fs::read_to_string(out).unwrap_or_default();
        Said {
            success: ended.status.success(),
            common: line["common"].as_i64().unwrap_or(-2),
            rows: text.lines().skip(1).map(str::to_owned).collect(),
            log: format!("{said}{}", String::from_utf8_lossy(&ended.stderr)),
        }
    }
}
