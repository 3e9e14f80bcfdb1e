//! A small S3 server (`s3s-fs`) over a temporary folder, on a loopback port, with keys that are good for tests only.

use std::path::Path;

use anyhow::Result;

use crate::servers::{START_TRIES, Scratch, Server, answers, free_port};
use crate::shell::Call;
use crate::tools;

const BUCKET: &str = "tidm-test";
const ACCESS_KEY: &str = "tidm-test-access";
const SECRET_KEY: &str = "tidm-test-secret";

/// A running server with one empty bucket.
#[derive(Debug)]
pub(crate) struct S3 {
    port: u16,
    // Order matters: the server stops before its files go.
    _server: Server,
    _files: Scratch,
}

impl S3 {
    /// Installs the server if it is missing and starts it. `log` gets what the programs say.
    pub(crate) fn start(log: &Path) -> Result<Self> {
        let program = tools::S3.ensure(log)?;
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start(&program, log) {
                Err(error) if tries < START_TRIES => {
                    println!("    s3s-fs did not start, trying again: {error:#}");
                }
                outcome => return outcome,
            }
        }
    }

    /// What tests need to reach it.
    pub(crate) fn env(&self) -> [(&'static str, String); 4] {
        [
            ("TIDM_TEST_S3_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("TIDM_TEST_S3_BUCKET", BUCKET.to_owned()),
            ("TIDM_TEST_S3_KEY_ID", ACCESS_KEY.to_owned()),
            ("TIDM_TEST_S3_SECRET", SECRET_KEY.to_owned()),
        ]
    }

    fn try_start(program: &Path, log: &Path) -> Result<Self> {
        let files = Scratch::new("s3")?;
        // In this server a bucket is a folder under its root.
        std::fs::create_dir(files.path().join(BUCKET))?;
        let port = free_port()?;
        let number = port.to_string();
        let call = Call::new("setpriv").args(["--pdeathsig", "KILL", "--"]).arg(program);
        let call = call.args(["--host", "127.0.0.1", "--port", &number]);
        let call =
            call.args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]).arg(files.path());
        let mut server = Server::start("s3s-fs", &call, &log.with_extension("s3.log"))?;
        server.wait_until(|| answers(port))?;
        Ok(Self { port, _server: server, _files: files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An anonymous GET, by the interpreter that the data chore needs anyway; prints the HTTP status.
    const GET: &str = "\
import sys, urllib.request, urllib.error
try: print(urllib.request.urlopen(sys.argv[1]).status)
except urllib.error.HTTPError as error: print(error.code)
";

    #[test]
    fn the_server_answers_and_wants_keys() {
        if !tools::S3.program().unwrap().is_file() {
            println!(
                "SKIPPED: s3s-fs is not installed; the stage s3 of `cargo xtask test` installs it"
            );
            return;
        }
        let scratch = Scratch::new("s3-test").unwrap();
        let server = S3::start(&scratch.path().join("s3.log")).unwrap();
        let url = format!("http://127.0.0.1:{}/{BUCKET}", server.port);
        let get = Call::new("python3").args(["-c", GET]).arg(url);
        assert_eq!(get.text().unwrap().trim(), "403");
        drop(server);
        assert!(get.text().is_err());
    }
}
