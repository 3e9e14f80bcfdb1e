//! A private PostgreSQL cluster on a loopback port. PostgreSQL refuses to run as root, so root runs it as `postgres`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::servers::{START_TRIES, Scratch, Server, free_port};
use crate::shell::{Call, is_root};
use crate::tools;

const PROGRAMS: &str = "/usr/lib/postgresql";
const USER: &str = "tidm";
const DATABASE: &str = "tidm_test";

/// A running cluster with one empty database.
#[derive(Debug)]
pub(crate) struct Postgres {
    port: u16,
    // Order matters: the server stops before its files go.
    _server: Server,
    _files: Scratch,
}

impl Postgres {
    /// Installs PostgreSQL if it is missing, makes a cluster and starts it. `log` gets what the programs say.
    pub(crate) fn start(log: &Path) -> Result<Self> {
        tools::ensure_debian(&["postgresql-15"], || programs().is_some(), log)?;
        let programs = programs().with_context(|| format!("no initdb under {PROGRAMS}"))?;
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start(&programs, log) {
                Err(error) if tries < START_TRIES => {
                    println!("    PostgreSQL did not start, trying again: {error:#}");
                }
                outcome => return outcome,
            }
        }
    }

    /// The database's address, as `TIDM_TEST_POSTGRES` wants it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{DATABASE}", self.port)
    }

    fn try_start(programs: &Path, log: &Path) -> Result<Self> {
        let files = Scratch::new("postgres")?;
        if is_root()? {
            Call::new("chown").arg("postgres:postgres").arg(files.path()).logged(log)?;
        }
        let cluster = files.path().join("cluster");
        // Trust suits a cluster that listens on loopback only and holds nothing but tests.
        let init = [
            "--auth=trust",
            "--username",
            USER,
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "-D",
        ];
        as_postgres(&programs.join("initdb"))?
            .args(init)
            .arg(&cluster)
            .dir(files.path())
            .logged(log)?;

        let port = free_port()?;
        let number = port.to_string();
        let call = as_postgres(&programs.join("postgres"))?
            .arg("-D")
            .arg(&cluster)
            .arg("-k")
            .arg(files.path());
        let call = call.args(["-h", "127.0.0.1", "-p", &number, "-F"]).dir(files.path());
        let mut server = Server::start("PostgreSQL", &call, &log.with_extension("postgres.log"))?;
        let ready = Call::new(programs.join("pg_isready")).args(["-h", "127.0.0.1", "-p", &number]);
        server.wait_until(|| ready.text().is_ok())?;
        let create = Call::new(programs.join("createdb"));
        create.args(["-h", "127.0.0.1", "-p", &number, "-U", USER, DATABASE]).logged(log)?;
        Ok(Self { port, _server: server, _files: files })
    }
}

/// The call run by user `postgres` when we are root; the process dies with us.
fn as_postgres(program: &Path) -> Result<Call> {
    let mut call = Call::new("setpriv");
    if is_root()? {
        call = call.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    Ok(call.args(["--pdeathsig", "INT", "--"]).arg(program))
}

/// Folder of the newest installed server programs; Debian keeps them off the PATH.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(PROGRAMS).ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .flatten()
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, folder)| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .collect();
    found.sort();
    found.pop().map(|(_, folder)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_cluster_answers_queries_and_goes() {
        let Some(programs) = programs() else {
            println!(
                "SKIPPED: no programs in {PROGRAMS} yet; the stage that supplies TIDM_TEST_POSTGRES installs them"
            );
            return;
        };
        let scratch = Scratch::new("postgres-test").unwrap();
        let server = Postgres::start(&scratch.path().join("postgres.log")).unwrap();
        let query =
            Call::new(programs.join("psql")).args(["-tAc", "SELECT 6 * 7"]).arg(server.url());
        assert_eq!(query.text().unwrap().trim(), "42");
        let files = server._files.path().to_owned();
        drop(server);
        assert!(!files.exists());
        assert!(query.text().is_err());
    }
}
