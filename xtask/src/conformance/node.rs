//! Nodes under test: real processes on loopback with a fresh directory, stopped and swept away when dropped.
//!
//! It must never use a directory or a setting that was there before: what the kits see follows from this code alone.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::servers::{Scratch, Server, answers, free_port};
use crate::shell::Call;
use crate::stages::Context;

/// The programs of the workspace, built; returns `tidm`.
pub(crate) fn build(context: &Context) -> Result<PathBuf> {
    Call::new("cargo")
        .dir(&context.root)
        .args(["build", "--quiet", "--locked", "--workspace", "--bins"])
        .logged(&context.log)?;
    Ok(context.target.join("debug/tidm"))
}

/// A node's directory and port, before it runs.
#[derive(Debug)]
pub(crate) struct Place {
    scratch: Scratch,
    pub(crate) port: u16,
    program: PathBuf,
}

/// A running node; the directory goes with it.
#[derive(Debug)]
pub(crate) struct Node {
    // Before the folder: the process must be gone when its files go.
    _server: Server,
    _place: Place,
}

impl Place {
    /// `tidm init` in a fresh directory.
    pub(crate) fn new(program: &Path, name: &str, log: &Path) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let port = free_port()?;
        let it = Self { scratch, port, program: program.to_owned() };
        it.call()
            .args(["init", "--org", name, "--host", "localhost", "--port", &port.to_string()])
            .logged(log)?;
        Ok(it)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// Replaces the configuration that `init` wrote.
    pub(crate) fn configure(&self, toml: &str) -> Result<()> {
        let path = self.dir().join("tidm.toml");
        std::fs::write(&path, toml).with_context(|| path.display().to_string())
    }

    /// `tidm serve` with these flags, ready to answer.
    pub(crate) fn serve(self, flags: &[&str], log: &Path) -> Result<Node> {
        let call = self.call().arg("serve").args(flags);
        let mut server = Server::start("tidm", &call, log)?;
        let port = self.port;
        server.wait_until(|| answers(port))?;
        Ok(Node { _server: server, _place: self })
    }

    /// The node is configured by its file alone.
    fn call(&self) -> Call {
        let mut call = Call::new(&self.program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDM_")) {
            call = call.without(name);
        }
        call.arg("--dir").arg(self.dir())
    }
}

/// The beginning of a node's configuration for a kit whose messages carry no identity but a claim.
pub(super) fn claimed(org: &str, port: u16) -> String {
    format!(
        "[node]
org = \"{org}\"

[http]
listen = \"127.0.0.1:{port}\"
public_url = \"http://localhost:{port}\"
insecure_http = true

[space]
signatures = false

[peers]
allow_private_addresses = true

[identity]
mode = \"development\"
claims = true

"
    )
}
