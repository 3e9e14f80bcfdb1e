use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt};
use tidm_ledger::audit::audit;
use tidm_ledger::note::{NoteSigner, VerifierKey};
use tidm_ledger::policy::Policy;
use tidm_ledger::state::Start;
use tidm_ledger::tile::{MemoryTiles, TilePath, append_plan};
use tidm_ledger::tree::{Hash, leaf_hash};
use tidm_ledger::{receipt, tile};

use super::custodians::{Answer, Custodian, CustodianError, Http};
use super::publisher::{PublishError, Publisher};
use super::reader::{ReadError, Reader};
use super::row::{CheckpointRow, FileRow, Row, RowError};
use super::sequencer::{AppendError, OpenError, Sequencer};
use super::tiles::directory::Directory;
use super::tiles::{File, Source, Tiles, TilesError};
use super::witness::Witness;
use super::{limits, start};

const ORIGIN: &str = "node.example/evidence";

fn signer() -> NoteSigner {
    NoteSigner::ed25519(ORIGIN, &[7; 32]).unwrap()
}

fn entries(range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    range.map(|i| format!("entry {i}").into_bytes()).collect()
}

/// What happens to the write that a plan names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Before,
    /// Half of the files, or for the row: as `Before`.
    Half,
    After,
}

/// Counts writes over all stores and breaks one of them.
#[derive(Default)]
struct Plan {
    at: Mutex<Option<(usize, Break)>>,
    writes: AtomicUsize,
}

impl Plan {
    fn next(&self) -> Option<Break> {
        let now = self.writes.fetch_add(1, Ordering::SeqCst);
        self.at.lock().unwrap().filter(|(at, _)| *at == now).map(|(_, how)| how)
    }
}

struct FaultyTiles {
    plan: Arc<Plan>,
    files: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Tiles for FaultyTiles {
    fn put_all(&self, files: &[File]) -> Result<(), TilesError> {
        let how = self.plan.next();
        let keep = match how {
            Some(Break::Before) => 0,
            Some(Break::Half) => files.len() / 2,
            Some(Break::After) | None => files.len(),
        };
        self.files.lock().unwrap().extend(files.iter().take(keep).cloned());
        how.map_or(Ok(()), |it| Err(TilesError(format!("planned: {it:?}"))))
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, TilesError> {
        Ok(self.files.lock().unwrap().get(path).cloned())
    }

    fn prune(&self, full: &TilePath) {
        let partials = format!("{full}.p/");
        self.files.lock().unwrap().retain(|path, _| !path.starts_with(&partials));
    }
}

struct FaultyRow {
    plan: Arc<Plan>,
    row: Mutex<Option<Row>>,
    /// Every leaf that ever became durable, in order: the truth to compare with.
    leaves: Mutex<Vec<Hash>>,
}

impl CheckpointRow for FaultyRow {
    fn load(&self) -> BoxFuture<'_, Result<Option<Row>, RowError>> {
        async { Ok(*self.row.lock().unwrap()) }.boxed()
    }

    fn compare_and_set<'a>(
        &'a self,
        expected: Option<Row>,
        next: Row,
        leaves: &'a [Hash],
    ) -> BoxFuture<'a, Result<bool, RowError>> {
        async move {
            let how = self.plan.next();
            if matches!(how, Some(Break::Before | Break::Half)) {
                return Err(RowError("planned".into()));
            }
            let mut row = self.row.lock().unwrap();
            if *row != expected {
                return Ok(false);
            }
            assert_eq!(leaves.len() as u64, next.size - expected.map_or(0, |it| it.size));
            *row = Some(next);
            self.leaves.lock().unwrap().extend(leaves);
            how.map_or(Ok(true), |_| Err(RowError("planned".into())))
        }
        .boxed()
    }
}

struct World {
    plan: Arc<Plan>,
    tiles: Arc<FaultyTiles>,
    row: Arc<FaultyRow>,
}

impl World {
    fn new(at: Option<(usize, Break)>) -> Self {
        let plan = Arc::new(Plan { at: Mutex::new(at), writes: AtomicUsize::new(0) });
        Self {
            tiles: Arc::new(FaultyTiles { plan: plan.clone(), files: Mutex::default() }),
            row: Arc::new(FaultyRow {
                plan: plan.clone(),
                row: Mutex::default(),
                leaves: Mutex::default(),
            }),
            plan,
        }
    }

    async fn open(&self) -> Result<Sequencer, OpenError> {
        Sequencer::open(self.tiles.clone(), self.row.clone()).await
    }

    /// Everything the row says is in the files, byte for byte as a rebuild would write it.
    fn audit(&self, context: &str) {
        let Some(row) = *self.row.row.lock().unwrap() else { return };
        let source = Source(self.tiles.clone());
        audit(&source, row.size, row.root).unwrap_or_else(|e| panic!("{context}: {e}"));
        let reader = tile::TileReader::new(row.size, source);
        let truth = self.row.leaves.lock().unwrap();
        assert_eq!(truth.len() as u64, row.size, "{context}");
        for (index, leaf) in (0..).zip(truth.iter()) {
            let entry =
                reader.entry(index).unwrap().unwrap_or_else(|| panic!("{context}: entry {index}"));
            assert_eq!(leaf_hash(&entry), *leaf, "{context}: entry {index}");
        }
    }
}

/// Sunlight's TestSequenceErrors: break the k-th write, each way, for all k; what was answered stays.
#[tokio::test]
async fn a_failure_at_every_write_loses_nothing_answered() {
    let batches = [0..3_u64, 3..300, 300..301, 301..513, 513..1200];
    for how in [Break::Before, Break::Half, Break::After] {
        for k in 0.. {
            let context = format!("{how:?} at write {k}");
            let world = World::new(Some((k, how)));
            let mut log = world.open().await;
            if log.is_err() {
                log = world.open().await;
            }
            let log = log.unwrap_or_else(|e| panic!("{context}: {e}"));
            let mut answered: Vec<(u64, Vec<u8>)> = Vec::new();
            for batch in &batches {
                let list = entries(batch.clone());
                // Give up after an uncertain answer as a crash would; the next batch goes on.
                if let Ok(range) = log.append(list.clone()).await {
                    answered.extend(range.zip(list));
                }
                world.audit(&context);
            }
            let reader = tile::TileReader::new(
                world.row.row.lock().unwrap().unwrap().size,
                Source(world.tiles.clone()),
            );
            for (index, entry) in &answered {
                assert_eq!(reader.entry(*index).unwrap().as_ref(), Some(entry), "{context}");
            }
            let planned = world.plan.writes.load(Ordering::SeqCst) > k;
            *world.plan.at.lock().unwrap() = None;
            // And after a restart of the process as well.
            drop(log);
            let again = world.open().await.unwrap_or_else(|e| panic!("{context}: {e}"));
            again.append(entries(0..2)).await.unwrap();
            world.audit(&context);
            if !planned {
                assert!(k > 10, "the plan was never carried out");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_stale_sequencer_is_fenced_out() {
    let world = World::new(None);
    let first = world.open().await.unwrap();
    assert_eq!(first.append(entries(0..5)).await.unwrap(), 0..5);
    let second = world.open().await.unwrap();
    assert!(matches!(first.append(entries(5..6)).await, Err(AppendError::Superseded)));
    assert!(matches!(first.append(entries(5..6)).await, Err(AppendError::Stopped)));
    assert_eq!(second.append(entries(5..7)).await.unwrap(), 5..7);
    world.audit("after the second");
}

#[tokio::test]
async fn many_callers_share_commits_and_get_their_own_ranges() {
    let world = World::new(None);
    let log = world.open().await.unwrap();
    let calls = (0..200_u64).map(|i| {
        let log = log.clone();
        async move { (i, log.append(entries(i * 10..i * 10 + i % 7)).await.unwrap()) }
    });
    let answers = futures::future::join_all(calls).await;
    let reader = tile::TileReader::new(log.durable().borrow().size, Source(world.tiles.clone()));
    for (i, range) in answers {
        assert_eq!(range.end - range.start, i % 7);
        for (index, entry) in range.zip(entries(i * 10..i * 10 + i % 7)) {
            assert_eq!(reader.entry(index).unwrap().unwrap(), entry);
        }
    }
    assert!(world.plan.writes.load(Ordering::SeqCst) < 200, "each caller had a commit of its own");
    assert!(matches!(
        log.append(vec![vec![0; 65_536]]).await,
        Err(AppendError::TooLong { position: 0, .. })
    ));
    assert!(matches!(
        log.append(vec![vec![]; limits::BATCH_ENTRIES + 1]).await,
        Err(AppendError::TooMany)
    ));
}

#[tokio::test]
async fn lost_or_changed_files_keep_the_log_shut() {
    let world = World::new(None);
    world.open().await.unwrap().append(entries(0..300)).await.unwrap();
    let good = world.tiles.files.lock().unwrap().clone();
    world.tiles.files.lock().unwrap().remove("tile/0/001.p/44");
    assert!(matches!(world.open().await, Err(OpenError::Tiles(_))));
    *world.tiles.files.lock().unwrap() = good;
    world.tiles.files.lock().unwrap().get_mut("tile/0/001.p/44").unwrap()[3] ^= 1;
    assert!(matches!(world.open().await, Err(OpenError::Root { size: 300, .. })));
}

/// A directory and a file row: close, reopen, audit, and rebuild all tiles byte for byte from the entries.
#[tokio::test]
async fn a_log_on_disk_survives_and_can_be_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let row = dir.path().join("row");
    let mut size = 0;
    for round in 0..4_u64 {
        let tiles: Arc<dyn Tiles> = Arc::new(Directory::open(&dir.path().join("log")).unwrap());
        let log = Sequencer::open(tiles, Arc::new(FileRow::new(&row))).await.unwrap();
        assert_eq!(log.durable().borrow().size, size);
        for n in [1, 255, 30] {
            let range = log.append(entries(size..size + n)).await.unwrap();
            assert_eq!(range, size..size + n);
            size += n;
        }
        let at = *log.durable().borrow();
        assert_eq!(at.fence, round + 1);
        audit(&Source(log.tiles()), at.size, at.root).unwrap();
    }
    let tiles: Arc<dyn Tiles> = Arc::new(Directory::open(&dir.path().join("log")).unwrap());
    let mut rebuilt = MemoryTiles::new();
    rebuilt.write(append_plan(&tile::Edge::new(), &entries(0..size)).unwrap().1);
    let mut compared = 0;
    for (path, bytes) in rebuilt.iter() {
        assert_eq!(tiles.get(&path.to_string()).unwrap().as_deref(), Some(bytes), "{path}");
        compared += 1;
    }
    assert_eq!(compared, 4 + 1 + 4 + 1 + 1, "bundles, level 0, level 1");
}

/// Custodians in memory: each a real witness, reachable or not.
struct Space {
    witnesses: BTreeMap<String, Witness>,
    down: Mutex<Vec<String>>,
}

impl Space {
    fn route(&self, url: &str) -> Result<(&Witness, String), String> {
        let rest = url.strip_prefix("https://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        if self.down.lock().unwrap().iter().any(|it| it == host) {
            return Err("connection refused".into());
        }
        Ok((&self.witnesses[host], path.to_owned()))
    }
}

impl Http for Space {
    fn get(&self, url: String) -> BoxFuture<'_, Result<Answer, String>> {
        async move {
            let (witness, path) = self.route(&url)?;
            let hash = path.strip_suffix("/checkpoint").unwrap();
            Ok(match witness.checkpoint(hash).unwrap() {
                Some(body) => Answer { status: 200, media_type: "text/plain".into(), body },
                None => Answer { status: 404, media_type: String::new(), body: Vec::new() },
            })
        }
        .boxed()
    }

    fn post(&self, url: String, body: Vec<u8>) -> BoxFuture<'_, Result<Answer, String>> {
        async move {
            let (witness, path) = self.route(&url)?;
            assert_eq!(path, "add-checkpoint");
            Ok(witness.add_checkpoint(&body, 1_700_000_000).unwrap())
        }
        .boxed()
    }
}

fn space(dir: &std::path::Path) -> (Arc<Space>, Vec<Custodian>) {
    let mut witnesses = BTreeMap::new();
    let mut custodians = Vec::new();
    for (name, seed) in [("inside.example", 1), ("outside.example", 2)] {
        let signer = NoteSigner::cosigner(&format!("{name}/witness"), &[seed; 32]).unwrap();
        custodians.push(
            Custodian::new(&format!("https://{name}/"), &signer.verifier().to_string()).unwrap(),
        );
        let log = signer_key();
        witnesses
            .insert(name.to_owned(), Witness::open(&dir.join(name), signer, vec![log]).unwrap());
    }
    (Arc::new(Space { witnesses, down: Mutex::default() }), custodians)
}

fn signer_key() -> VerifierKey {
    signer().verifier().clone()
}

#[tokio::test]
async fn checkpoints_are_published_at_quorum_and_receipts_verify() {
    let dir = tempfile::tempdir().unwrap();
    let (space, custodians) = space(dir.path());
    let world = World::new(None);
    let log = world.open().await.unwrap();
    let reader = Reader::new(log.tiles());
    let mut publisher = Publisher::new(&log, signer(), custodians.clone(), 2, space.clone());
    log.append(entries(0..400)).await.unwrap();
    assert!(matches!(reader.entry(0).await, Err(ReadError::Absent)));

    *space.down.lock().unwrap() = vec!["outside.example".into()];
    let progress = publisher.once().await.unwrap();
    assert_eq!((progress.durable.size, progress.signed, progress.witnessed), (400, 400, 0));
    assert!(matches!(reader.checkpoint().await, Err(ReadError::Absent)));

    space.down.lock().unwrap().clear();
    assert_eq!(publisher.once().await.unwrap().witnessed, 400);
    log.append(entries(400..700)).await.unwrap();
    // The witness outside now lags behind the other: each gets its own proof.
    assert_eq!(publisher.once().await.unwrap().witnessed, 700);
    log.append(entries(700..701)).await.unwrap();
    assert!(matches!(reader.entry(700).await, Err(ReadError::NotYet { index: 700, size: 700 })));

    let policy = format!(
        "log {}\nwitness a {}\nwitness b {}\ngroup both all a b\nquorum both\n",
        signer_key(),
        custodians[0].key,
        custodians[1].key
    );
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    for index in [0, 255, 256, 699] {
        let entry = reader.entry(index).await.unwrap();
        assert_eq!(entry, format!("entry {index}").into_bytes());
        let proof = reader.receipt(index, Some(b"salt".to_vec())).await.unwrap();
        let proof = receipt::Receipt::parse(proof.to_string().as_bytes()).unwrap();
        assert!(receipt::verify(&proof, &entry, &signer_key(), &policy).accepted(), "{index}");
        assert!(!receipt::verify(&proof, b"other", &signer_key(), &policy).accepted());
    }
    // Only what is published is served; a pruned partial tile comes out of the full one.
    for (path, there) in [
        ("tile/entries/000", true),
        ("tile/entries/000.p/144", true),
        ("tile/0/001.p/9", true),
        ("tile/0/002.p/188", true),
        ("tile/0/002.p/189", false),
        ("tile/0/003", false),
        ("tile/0/../../row", false),
        ("checkpoint", false),
    ] {
        let got = reader.tile(path).await;
        let expected = if there { got.is_ok() } else { matches!(got, Err(ReadError::Absent)) };
        assert!(expected || path == "tile/0/001.p/9", "{path}: {got:?}");
    }
    assert_eq!(reader.tile("tile/0/000.p/2").await.unwrap().len(), 64);
    let hashes = reader.consistency(400, 700).await.unwrap();
    assert!(!hashes.is_empty());
    assert_eq!(reader.inclusion(3).await.unwrap().0, 700);
}

#[tokio::test]
async fn a_node_behind_its_own_witnessed_head_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let (space, custodians) = space(dir.path());
    let world = World::new(None);
    let log = world.open().await.unwrap();
    log.append(entries(0..10)).await.unwrap();
    let old = (
        world.tiles.files.lock().unwrap().clone(),
        *world.row.row.lock().unwrap(),
        world.row.leaves.lock().unwrap().clone(),
    );
    log.append(entries(10..20)).await.unwrap();
    let mut publisher = Publisher::new(&log, signer(), custodians.clone(), 1, space.clone());
    publisher.once().await.unwrap();
    let tiles: Arc<dyn Tiles> = world.tiles.clone();
    let row = || world.row.row.lock().unwrap().unwrap();
    let ask = async || start::check(row(), ORIGIN, &custodians, &*space, &tiles).await;
    assert_eq!(ask().await, Start::Ready);

    // Restored from a backup made at 10 entries.
    *world.tiles.files.lock().unwrap() = old.0;
    *world.row.row.lock().unwrap() = old.1;
    *world.row.leaves.lock().unwrap() = old.2;
    assert!(matches!(ask().await, Start::Behind { witnessed: 20, own: 10, .. }));
    *space.down.lock().unwrap() = vec!["inside.example".into()];
    assert!(matches!(ask().await, Start::Behind { .. }));
    *space.down.lock().unwrap() = vec!["inside.example".into(), "outside.example".into()];
    assert_eq!(ask().await, Start::ReadOnly);
    space.down.lock().unwrap().clear();

    // Should it run all the same, the custodians stop it: a shorter log, then another one of equal size.
    let log = world.open().await.unwrap();
    let mut publisher = Publisher::new(&log, signer(), custodians.clone(), 1, space.clone());
    log.append(entries(50..55)).await.unwrap();
    assert!(matches!(
        publisher.once().await,
        Err(PublishError::Behind(CustodianError::Ahead { seen: 20, have: 15, .. }))
    ));
    log.append(entries(55..60)).await.unwrap();
    let before = world.tiles.get("checkpoint").unwrap();
    assert_eq!(publisher.once().await.unwrap().witnessed, 0);
    assert_eq!(world.tiles.get("checkpoint").unwrap(), before);
    assert!(matches!(ask().await, Start::Forked { size: 20, .. }));
}

#[test]
fn a_witness_forgets_nothing_and_refuses_nonsense() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let signer = NoteSigner::cosigner("w.example", &[9; 32]).unwrap();
        Witness::open(dir.path(), signer, vec![signer_key()]).unwrap()
    };
    let head_of = |range: std::ops::Range<u64>| {
        let mut edge = tile::Edge::new();
        let size = range.end - range.start;
        edge.append(&entries(range)).unwrap();
        tidm_ledger::checkpoint::Checkpoint::new(ORIGIN, size, edge.root())
            .unwrap()
            .sign(&signer())
            .unwrap()
    };
    let head = |size: u64| head_of(0..size);
    let ask = |text: String| open().add_checkpoint(text.as_bytes(), 1_700_000_000).unwrap();
    assert_eq!(ask(format!("old 0\n\n{}", head(5))).status, 200);
    let conflict = ask(format!("old 0\n\n{}", head(6)));
    assert_eq!(
        (conflict.status, conflict.media_type.as_str(), &*conflict.body),
        (409, "text/x.tlog.size", &b"5\n"[..])
    );
    assert_eq!(ask(format!("old 5\n\n{}", head(5))).status, 200);
    assert_eq!(ask(format!("old 5\n\n{}", head(6))).status, 422);
    // Another history of equal size, signed by the log's own key: not cosigned, and the first one stands.
    let other = head_of(100..105);
    for (old, status) in [(5, 422), (0, 409)] {
        assert_eq!(ask(format!("old {old}\n\n{other}")).status, status);
    }
    assert_eq!(ask(format!("old 5\n\n{}", head(5))).status, 200);
    assert_eq!(ask(format!("old 7\n\n{}", head(6))).status, 400);
    for nasty in ["", "old", "old 0\n", "old 00\n\nx", "\0", "old 0\n\nx\n\n— a b\n"] {
        assert_eq!(ask(nasty.into()).status, 400, "{nasty:?}");
    }
    let name = tidm_ledger::tree::sha256(ORIGIN.as_bytes()).to_hex();
    let stored = open().checkpoint(&name).unwrap().unwrap();
    assert_eq!(String::from_utf8(stored).unwrap().matches("\u{2014} ").count(), 2);
    assert!(open().checkpoint("../x").unwrap().is_none());
    std::fs::write(dir.path().join(&name), b"half").unwrap();
    assert!(open().add_checkpoint(format!("old 0\n\n{}", head(6)).as_bytes(), 1).is_err());
}

/// Entries a caller appends at once in the bench.
const CALL: usize = 32;

/// A row that costs what a database's commit costs: one append and one fdatasync.
struct CommitRow(Mutex<(std::fs::File, Option<Row>)>);

impl CommitRow {
    fn new(dir: &std::path::Path) -> Self {
        Self(Mutex::new((std::fs::File::create(dir.join("commits")).unwrap(), None)))
    }
}

impl CheckpointRow for CommitRow {
    fn load(&self) -> BoxFuture<'_, Result<Option<Row>, RowError>> {
        async { Ok(self.0.lock().unwrap().1) }.boxed()
    }

    fn compare_and_set<'a>(
        &'a self,
        expected: Option<Row>,
        next: Row,
        _leaves: &'a [Hash],
    ) -> BoxFuture<'a, Result<bool, RowError>> {
        async move {
            use std::io::Write;
            let mut it = self.0.lock().unwrap();
            assert_eq!(it.1, expected);
            it.0.write_all(&[0; 4096]).unwrap();
            it.0.sync_data().unwrap();
            it.1 = Some(next);
            Ok(true)
        }
        .boxed()
    }
}

/// Group commit on this disk, as fast as 64 callers can, then at the goal's rate whether or not the log keeps
/// up. Prints what the durable figures rest on.
#[tokio::test(flavor = "multi_thread")]
async fn throughput_of_durable_appends() {
    let dir = tempfile::tempdir_in(
        std::env::var("TIDM_TEST_BENCH_DIR").unwrap_or_else(|_| "/tmp".into()),
    )
    .unwrap();
    let seconds = std::env::var("TIDM_TEST_BENCH_SECONDS")
        .ok()
        .and_then(|it| it.parse().ok())
        .unwrap_or(1_u64);
    println!("fdatasync of 512 KiB: {}", fdatasync(dir.path()));
    let tiles: Arc<dyn Tiles> = Arc::new(Directory::open(&dir.path().join("log")).unwrap());
    let log = Sequencer::open(tiles, Arc::new(CommitRow::new(dir.path()))).await.unwrap();
    let closed = async |log: Sequencer| {
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut times = Vec::new();
        while Instant::now() < until {
            times.push(ack(&log, Instant::now()).await);
        }
        times
    };
    let calls = futures::future::join_all((0..64).map(|_| closed(log.clone()))).await.concat();
    report("closed loop, 64 callers", calls.clone(), seconds);
    // Open loop: a call's clock starts when it is due, so waiting for the log counts.
    let due = (0..RATE * seconds / CALL as u64)
        .map(|i| Duration::from_micros(i * 1_000_000 * CALL as u64 / RATE));
    let begin = Instant::now();
    let paced = due.map(|due| {
        let log = log.clone();
        tokio::spawn(async move {
            tokio::time::sleep_until((begin + due).into()).await;
            ack(&log, begin + due).await
        })
    });
    let paced: Vec<_> =
        futures::future::join_all(paced).await.into_iter().map(Result::unwrap).collect();
    report("open loop", paced.clone(), seconds);
    assert_eq!(log.durable().borrow().size, ((calls.len() + paced.len()) * CALL) as u64);
}

/// Facts a second that the open loop offers: the goal.
const RATE: u64 = 60_000;

async fn ack(log: &Sequencer, since: Instant) -> Duration {
    log.append(vec![vec![1; 512]; CALL]).await.unwrap();
    since.elapsed()
}

fn report(what: &str, mut times: Vec<Duration>, seconds: u64) {
    times.sort();
    let at = |q: usize| times[(times.len() - 1) * q / 100];
    let rate = (times.len() * CALL) as u64 / seconds;
    println!(
        "{what}, {CALL} × 512 B a call: {rate} facts/s, ack p50 {:?}, p99 {:?}",
        at(50),
        at(99)
    );
}

/// What one durable write costs here: all figures above rest on it.
fn fdatasync(dir: &std::path::Path) -> String {
    use std::io::Write;
    let mut file = std::fs::File::create(dir.join("probe")).unwrap();
    let mut times: Vec<_> = (0..50)
        .map(|_| {
            let started = Instant::now();
            file.write_all(&[1; 512 << 10]).unwrap();
            file.sync_data().unwrap();
            started.elapsed()
        })
        .collect();
    times.sort();
    format!("p50 {:?}, p99 {:?}", times[25], times[49])
}
