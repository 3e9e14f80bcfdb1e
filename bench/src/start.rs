//! From `tidm serve` to ready, and what an idle node holds in memory.
//!
//! Never this process's own memory: the program runs by itself.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::figure::{Goal, Report, Times};
use crate::machine::scratch_dir;
use crate::program::{self, Running};

const ROUNDS: usize = 5;
const LIMIT: Duration = Duration::from_secs(30);
/// After this long nothing of the start is under way any more.
const IDLE: Duration = Duration::from_secs(3);

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let program = program::tidm()?;
    let dir = tempfile::tempdir_in(scratch_dir()?)?;
    let dir = std::path::absolute(dir.path())?.join("node");
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let made = Command::new(&program)
        .env_remove(program::VARIABLE)
        .args(["init", "--org", "Bench", "--host", "localhost", "--port", &port, "--dir"])
        .arg(&dir)
        .stdout(Stdio::null())
        .status()?;
    ensure!(made.success(), "`tidm init` failed: {made}");
    let mut times = Vec::new();
    let mut idle = 0.0;
    for round in 0..ROUNDS {
        let started = Instant::now();
        let mut node = Running(
            Command::new(&program)
                // No setting, and unknown settings are refused.
                .env_remove(program::VARIABLE)
                .arg("serve")
                .arg("--dir")
                .arg(&dir)
                .env("TIDM_HTTP_INSECURE_HTTP", "true")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?,
        );
        loop {
            if is_ready(&port).await {
                break;
            }
            if let Some(ended) = node.0.try_wait()? {
                bail!("`tidm serve` ended: {ended}");
            }
            ensure!(started.elapsed() < LIMIT, "the node is not ready after {LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        times.push(started.elapsed());
        if round + 1 == ROUNDS {
            tokio::time::sleep(IDLE).await;
            idle = node.mib("VmRSS:")?;
        }
    }
    let times = Times::new(times);
    report.add("cold start to ready, p50", times.at(0.5), "ms", Goal::AtMost(150.0));
    report.add("memory when idle", idle, "MiB", Goal::AtMost(40.0));
    Ok(())
}

/// Asks as a probe does. No answer is "not yet".
async fn is_ready(port: &str) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).await?;
        let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(1 << 16).read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    asked.await.is_ok_and(|it| it.starts_with(b"HTTP/1.1 200"))
}
