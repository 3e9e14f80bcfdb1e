//! `tidm psi spu`: a party that runs SecretFlow's `spu` on the other side.
//!
//! Never chosen for anybody: no contract, no lease and no TLS stand behind it, and its help says so.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use tidm_compute::spu::items::Equals;
use tidm_compute::spu::link::Settings;
use tidm_compute::spu::progress::Progress;
use tidm_compute::spu::psi::{Role, Terms};
use tidm_compute::spu::{self, Args as Asked};

use crate::cli::Global;
use crate::client::Outcome;
use crate::show;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Side {
    Receiver,
    Sender,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Spu {
    #[arg(long, value_enum)]
    role: Side,
    /// Where the peer reaches us.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Where we reach the peer.
    #[arg(long, value_name = "HOST:PORT")]
    peer: String,
    /// Our list, CSV.
    #[arg(long)]
    file: PathBuf,
    /// Our columns, in the order in which the peer names its own.
    #[arg(long, value_delimiter = ',', required = true)]
    key: Vec<String>,
    /// Where to write the rows of ours that both have.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The sender learns the result, too.
    #[arg(long)]
    both: bool,
    /// Of rows with equal keys the first counts; else such a list is refused.
    #[arg(long)]
    first: bool,
    /// The name of the link on both sides.
    #[arg(long, default_value = "root")]
    link_id: String,
    /// Seconds to wait for the peer to appear.
    #[arg(long, default_value_t = 60)]
    wait: u64,
}

/// A spu that works says so every five seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// Reading and sorting a large file takes it minutes.
const STALLED: Duration = Duration::from_secs(3600);

impl Spu {
    /// Runs here, without a node.
    pub(crate) async fn run(&self, global: &Global) -> Outcome<()> {
        let it = self.clone();
        let done = tokio::task::spawn_blocking(move || it.matched()).await;
        let answer = done.context("the intersection's thread")??;
        show::value(&answer, global);
        Ok(())
    }

    fn matched(&self) -> anyhow::Result<Value> {
        let role = match self.role {
            Side::Receiver => Role::Receiver,
            Side::Sender => Role::Sender,
        };
        let asked = Asked {
            terms: Terms { role, both: self.both, name: self.link_id.clone(), stalled: STALLED },
            link: Settings {
                listen: self.listen,
                peer: self.peer.clone(),
                rank: None,
                connect_time: Duration::from_secs(self.wait),
                silence: SILENCE,
            },
            file: self.file.clone(),
            keys: self.key.clone(),
            equals: if self.first { Equals::First } else { Equals::Refused },
            out: self.out.clone(),
        };
        let report = spu::run(&asked, &Arc::new(Progress::default()))?;
        Ok(json!({
            "rows": report.rows, "leftOut": report.left_out, "peerItems": report.peer_items, "common": report.common,
            "closed": report.closed, "sentBytes": report.sent_bytes, "receivedBytes": report.received_bytes,
        }))
    }
}
