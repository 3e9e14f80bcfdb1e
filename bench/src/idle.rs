//! Ten thousand transfers that were started and from which nobody fetches, in a node of its own process.
//!
//! Never a shortcut into the node: a connector under test asks for each over HTTP, and hears that each was started.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use axum::Router;
use axum::extract::{Request, State};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use tidm_node::config::Config;
use tidm_node::jobs::publish::{OfferRequest, PublishRequest, publish};
use tidm_node::keys::memory::Memory;
use tidm_node::net::auth::participant;
use tidm_node::serve;
use tidm_node::telemetry::Metrics;
use tidm_space::approval::Rules;
use tidm_space::catalog::product::Approval;
use tidm_space::policy::model::{Action, Rule};
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;

use crate::figure::{Goal, Report};
use crate::machine::scratch_dir;
use crate::program::Running;
use crate::transfer::wait;
use crate::values;

/// The word under which this program is the node.
pub(crate) const NODE: &str = "run-idle";
const TRANSFERS: usize = 10_000;
/// Requests under way.
const LANES: usize = 32;
/// All are started within this.
const LIMIT: Duration = Duration::from_secs(300);
/// Then the node has this long to come to rest.
const REST: Duration = Duration::from_secs(3);
const CONTRACT: &str = "urn:uuid:019a0000-0000-7000-8000-00000000c0de";
const PEER: &str = "CONNECTOR";
/// 150 MB, in MiB.
const GOAL: f64 = 150e6 / 1_048_576.0;

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir_in(scratch_dir()?)?;
    let dir = std::path::absolute(dir.path())?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let program = std::env::current_exe()?;
    let mut node = Running(Command::new(program).args([NODE]).arg(&dir).arg(&port).spawn()?);
    wait(&mut node, &port).await?;
    let before = node.mib("VmRSS:")?;

    let started = Arc::new(AtomicUsize::new(0));
    let heard = Router::new().fallback(hear).with_state(started.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/callback", listener.local_addr()?);
    let server = tokio::spawn(async move { axum::serve(listener, heard).await });

    let begun = Instant::now();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://127.0.0.1:{port}/dsp/2025-1/transfers/request");
    stream::iter(0..TRANSFERS)
        .map(Ok)
        .try_for_each_concurrent(LANES, |_| ask(&client, &url, &address))
        .await?;
    while started.load(Ordering::Relaxed) < TRANSFERS {
        let count = started.load(Ordering::Relaxed);
        ensure!(begun.elapsed() < LIMIT, "{count} of {TRANSFERS} transfers were started");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rate = TRANSFERS as f64 / begun.elapsed().as_secs_f64();
    tokio::time::sleep(REST).await;
    report.add("transfers asked for and started", rate, "/s", Goal::None);
    report.add("memory before", before, "MiB", Goal::None);
    let after = node.mib("VmRSS:")?;
    report.add("memory with 10,000 idle transfers", after, "MiB", Goal::AtMost(GOAL));
    report.add("memory at most", node.mib("VmHWM:")?, "MiB", Goal::None);
    server.abort();
    Ok(())
}

async fn hear(State(started): State<Arc<AtomicUsize>>, request: Request) {
    if request.uri().path().ends_with("/start") {
        started.fetch_add(1, Ordering::Relaxed);
    }
}

async fn ask(client: &reqwest::Client, url: &str, address: &str) -> Result<()> {
    let message = json!({
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
        "@type": "TransferRequestMessage",
        "consumerPid": format!("urn:uuid:{}", uuid::Uuid::now_v7()),
        "agreementId": CONTRACT,
        "format": Use::Plain.format(),
        "callbackAddress": address,
    });
    let claim = json!({ "region": "any", "audience": "any", "clientId": PEER }).to_string();
    let answer = client.post(url).header("authorization", claim).json(&message).send().await?;
    ensure!(answer.status().is_success(), "{} {}", answer.status(), answer.text().await?);
    Ok(())
}

/// One product, one active contract with a connector under test. Ends when it is killed.
pub(crate) fn node(dir: &Path, port: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let text = format!(
            "[node]\norg = \"provider\"\n[http]\ninsecure_http = true\nlisten = \"127.0.0.1:{port}\"\n\
             public_url = \"http://localhost:{port}\"\n[peers]\nallow_private_addresses = true\n\
             [space]\nsignatures = false\n[identity]\nmode = \"development\"\nclaims = true\n"
        );
        let mut config = Config::parse(dir, &text, &Default::default(), &[])?;
        config.test_profile.allow();
        let node = serve::build(config, Arc::new(Memory::new()?), Metrics::install()?).await?;
        let app = node.app.clone();
        let file = dir.join("rows.csv");
        std::fs::write(&file, "a,b\n1,2\n3,4\n")?;
        let mut request = PublishRequest::new(file, "rows");
        request.offers = vec![OfferRequest {
            policy: None,
            sentences: Sentences::default(),
            approval: Approval::Auto,
            deliveries: vec![Use::Plain],
            rules: Rules::default(),
        }];
        let product = publish(&app, request, |_| ControlFlow::Continue(())).await?.product;
        let now = app.clock.now();
        let mut contract = values::contract(CONTRACT, &participant(PEER)?, 1, now)?;
        contract.product = product.id.clone();
        // Delivered as it is: no count could be kept.
        contract.policy.permissions = vec![Rule::new(Action::Use, Vec::new())];
        values::put(&app, contract).await?;
        drop(app);
        let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
        let (_never, stopped) = watch::channel(false);
        node.run(listener, stopped).await
    })
}
