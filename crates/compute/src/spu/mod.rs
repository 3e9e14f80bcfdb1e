//! Intersections with a peer that runs SecretFlow's published `spu` 0.9.5: its ECDH protocol on curve 25519, over its own
//! link on gRPC. For organisations whose partner has that program and not ours; between two of ours, `tidm_mpc` is faster,
//! leaks less and stands a peer that cheats.
//!
//! **Threat model.** Only to be used where somebody asked for it by name, since it is weaker than what we do otherwise:
//!
//! * The link is plain text: spu's default, and its TLS is set up by files of its own on both sides. Nothing here says who
//!   the peer is, and anybody who reaches the address may speak to it. Lay it through a tunnel that both are sure of.
//! * Secure against a **curious** peer only, under decisional Diffie-Hellman on curve 25519 with SHA-256 as random oracle. A
//!   peer that cheats may put in what it likes; one of two receivers may stop once it knows.
//! * Both sizes leak, in messages of 4096, and so does whether the peer's keys repeat and how often (spu says so).
//! * Comparison is on the last 96 bits (95 that vary), as spu cuts them: at the largest sizes a false match has probability 2^-43.
//! * spu compares a digest of all keys before it begins, which tells a peer whether its guess of the whole list is right.
//!   We send random bytes instead. spu ends early where digests are equal; with us it never does.
//! * We send items in a random order. spu sends its own sorted by key, and so tells us more than it should.
//!
//! **Must never:** send a key or its unmasked point; write anything to a disk but the rows of our own file that match.
//!
//! | module | what |
//! |---|---|
//! | [`wire`] | names, protobuf messages, frames; pure |
//! | `traffic` | what came and went on a link; pure |
//! | [`link`] | the link: server, client, waits that end |
//! | [`items`] | keys become points; masks |
//! | [`psi`] | the sequence of both roles, over any [`link::Link`] |
//! | [`table`] | CSV in, CSV out |
//! | [`limits`], [`fault`], [`progress`] | bounds; what went wrong; how far it is |

pub mod fault;
pub mod items;
pub mod limits;
pub mod link;
pub mod progress;
pub mod psi;
pub mod table;
mod traffic;
pub mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fault::Fault;
use items::{Equals, Items};
use link::{Grpc, Settings};
use progress::Progress;
use psi::{Terms, intersect};
use table::Keys;
use tidm_mpc::random::Seed;
use zeroize::Zeroizing;

/// What `tidm psi spu` is told.
#[derive(Clone, Debug)]
pub struct Args {
    pub terms: Terms,
    pub link: Settings,
    pub file: PathBuf,
    /// Key columns, in the order in which the peer names its own.
    pub keys: Vec<String>,
    pub equals: Equals,
    /// Where the common rows of our file go, if we learn them.
    pub out: Option<PathBuf>,
}

/// What it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub rows: u64,
    /// Rows that repeated an earlier key.
    pub left_out: u64,
    pub peer_items: u64,
    /// Nothing for a sender that does not learn.
    pub common: Option<u64>,
    /// Whether the peer said farewell. The result is complete without it.
    pub closed: bool,
    /// Bytes of requests in each direction, without HTTP's own.
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

/// Reads the file, waits for the peer, runs one session, writes the common rows. Blocks; `progress` stops it.
pub fn run(args: &Args, progress: &Arc<Progress>) -> Result<Report, Fault> {
    let items = listed(args)?;
    let (rows, left_out) = (items.rows, items.left_out);
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|error| Fault::local("drawing randomness", error))?;
    let link = Grpc::open(args.link.clone(), progress.clone())?;
    let outcome = intersect(&link, &args.terms, items, &Seed::new(*seed))?;
    let closed = link.close();
    if let (Some(out), Some(places)) = (&args.out, &outcome.common) {
        table::write_rows(&args.file, places, out)?;
    }
    let common = outcome.common.map(|it| it.len() as u64);
    let peer_items = outcome.peer_items;
    let bytes = [&progress.sent_bytes, &progress.received_bytes];
    let [sent_bytes, received_bytes] = bytes.map(|it| it.load(Ordering::Relaxed));
    Ok(Report { rows, left_out, peer_items, common, closed, sent_bytes, received_bytes })
}

fn listed(args: &Args) -> Result<Items, Fault> {
    let mut failed = None;
    let keys = Keys::open(&args.file, &args.keys)?;
    let keys = keys.map_while(|key| key.map_err(|fault| failed = Some(fault)).ok());
    let items = Items::of(keys, args.equals);
    failed.map_or(items, Err)
}
