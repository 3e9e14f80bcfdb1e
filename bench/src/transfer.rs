//! One GiB of a plain product over TLS 1.3 on loopback, from a node in a process of its own.
//!
//! Never a sender that shares memory with the receiver: what it holds is read from `/proc`.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use tidm_crypto::hash::{Digest, Sha256Hasher, sha256};
use tidm_node::config::Config;
use tidm_node::keys::memory::Memory;
use tidm_node::store::notes::{Grant, save_grant};
use tidm_node::telemetry::Metrics;
use tidm_node::{serve, tls};
use tidm_space::catalog::product::Product;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::time::Time;

use crate::figure::{Goal, Report, Times};
use crate::machine::scratch_dir;
use crate::program::Running;
use crate::values::{self, Noise};

/// The word under which this program is a node with one product to deliver.
pub(crate) const NODE: &str = "run-node";
const BYTES: usize = 1 << 30;
const BLOCK: usize = 1 << 20;
const ROUNDS: usize = 3;
const OBJECT: &str = "product.bin";
const DIGEST: &str = "product.sha256";
const TOKEN: &str = "the token of the bench";
/// A node is there within this time.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir_in(scratch_dir()?)?;
    let dir = std::path::absolute(dir.path())?;
    let digest = make(&dir)?;
    let files = tls::demo_ca(&dir, &["node"])?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let program = std::env::current_exe()?;
    let mut node = Running(Command::new(program).args([NODE]).arg(&dir).arg(&port).spawn()?);
    wait(&mut node, &port).await?;
    let idle = node.mib("VmRSS:")?;

    let config = tls::client(rustls::RootCertStore::empty(), Some(&files.ca))?;
    let client =
        reqwest::Client::builder().use_preconfigured_tls((*config).clone()).no_proxy().build()?;
    let url = format!("https://127.0.0.1:{port}/data/urn:transfer:bench");
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(fetch(&client, &url, None).await?);
    }
    let rate = |milliseconds: f64| BYTES as f64 / 1e3 / milliseconds;
    report.add(
        "1 GiB over TLS, p50",
        rate(Times::new(times).at(0.5)),
        "MB/s",
        Goal::AtLeast(800.0),
    );
    report.peer("EDC 460 MB/s without TLS").note("both ends share this machine's cores");
    let checked = Times::new(vec![fetch(&client, &url, Some(digest)).await?]).at(0.5);
    report.add("1 GiB over TLS, with its SHA-256 checked", rate(checked), "MB/s", Goal::None);
    report.add("memory of the sending node, peak", node.mib("VmHWM:")?, "MiB", Goal::AtMost(64.0));
    report.add("memory of the sending node, before", idle, "MiB", Goal::None);
    Ok(())
}

/// Bytes that no compression makes smaller, where the node's object store looks for them.
fn make(dir: &Path) -> Result<Digest> {
    let objects = dir.join("objects");
    std::fs::create_dir_all(&objects)?;
    let mut file = File::create(objects.join(OBJECT))?;
    let (mut noise, mut hasher) = (Noise::new(), Sha256Hasher::new());
    let mut block = vec![0; BLOCK];
    for _ in 0..BYTES / BLOCK {
        for piece in block.as_chunks_mut::<8>().0 {
            *piece = noise.next().to_le_bytes();
        }
        hasher.update(&block);
        file.write_all(&block)?;
    }
    let digest = hasher.finish();
    std::fs::write(dir.join(DIGEST), digest.to_string())?;
    Ok(digest)
}

/// Returns when the node listens.
pub(crate) async fn wait(node: &mut Running, port: &str) -> Result<()> {
    let started = Instant::now();
    while TcpStream::connect(format!("127.0.0.1:{port}")).await.is_err() {
        if let Some(ended) = node.0.try_wait()? {
            bail!("the node ended: {ended}");
        }
        ensure!(started.elapsed() < LIMIT, "the node does not listen after {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn fetch(client: &reqwest::Client, url: &str, expected: Option<Digest>) -> Result<Duration> {
    let started = Instant::now();
    let mut answer = client.get(url).bearer_auth(TOKEN).send().await?;
    ensure!(answer.status().is_success(), "the node answers {}", answer.status());
    let (mut bytes, mut hasher) = (0, Sha256Hasher::new());
    while let Some(piece) = answer.chunk().await.context("the data broke off")? {
        bytes += piece.len();
        if expected.is_some() {
            hasher.update(&piece);
        }
    }
    ensure!(bytes == BYTES, "{bytes} bytes arrived");
    ensure!(expected.is_none_or(|it| it == hasher.finish()), "other bytes arrived");
    Ok(started.elapsed())
}

/// The sending node: one product, one active contract, one transfer under way. Ends when it is killed.
pub(crate) fn node(dir: &Path, port: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let text = format!(
            "[node]\norg = \"sender\"\n[http]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"https://localhost:{port}\"\n\
             tls_cert = \"node.crt\"\ntls_key = \"node.key\"\ntls_ca = \"ca.crt\"\n[objects]\ndir = \"objects\"\n"
        );
        let config = Config::parse(dir, &text, &Default::default(), &[])?;
        let node = serve::build(config, Arc::new(Memory::new()?), Metrics::install()?).await?;
        let app = node.app.clone();
        let now = app.clock.now();
        let mut draft = values::draft(1, now)?;
        draft.content = Some(Digest::parse(&std::fs::read_to_string(dir.join(DIGEST))?)?);
        draft.bytes = Some(u64::try_from(BYTES)?);
        let product = Box::new(Product::new(draft)?);
        app.writer.run(Input::Wish(Box::new(Wish::Publish(product)))).await?;
        let peer = Did::parse("did:web:receiver.example")?;
        let contract = values::contract("urn:agreement:bench", &peer, 1, now)?;
        let grant = Grant {
            contract: contract.id.clone(),
            transfer: Id::parse("urn:transfer:bench")?,
            token: sha256(TOKEN.as_bytes()),
            object: OBJECT.to_owned(),
            until: Time::from_ms(i64::MAX),
        };
        let transfer = values::transfer("urn:transfer:bench", &contract, now)?;
        values::put(&app, contract).await?;
        values::put_transfers(&app, vec![transfer]).await?;
        app.writer
            .note(move |conn| {
                let grant = grant.clone();
                Box::pin(async move { save_grant(conn, &grant).await })
            })
            .await?;
        drop(app);
        let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
        let (_never, stopped) = watch::channel(false);
        node.run(listener, stopped).await
    })
}
