//! The evidence log of a simulated node: the sequencer's steps, each of which a crash may follow.
//!
//! Facts → tiles (durable) → row by compare-and-set → signature → custodian → published. Never a step out of
//! that order, unless a bug is planted.

use tidm_ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use tidm_ledger::note::{NoteError, NoteSigner};
use tidm_ledger::state::{Custodian as Asked, Seen, Start, start};
use tidm_ledger::tile::{Edge, MemoryTiles, TileReader, append_plan};
use tidm_ledger::tree::{EMPTY_ROOT, Hash};
use tidm_ledger::witness::{AddCheckpoint, Answer, LogEntry, cosign, decide, parse_cosignatures};

use crate::bug::Bug;
use crate::store::{Head, Store};

/// Tiles, keys, and the custodian that watches from outside (its state is never the node's).
#[derive(Debug)]
pub struct Evidence {
    pub tiles: MemoryTiles,
    signer: NoteSigner,
    /// What a running process believes the row to be; a second one may have moved it.
    believed: Option<(Head, Edge)>,
    pub custodian: Option<Custodian>,
    pub published: Option<SignedCheckpoint>,
}

#[derive(Debug)]
pub struct Custodian {
    signer: NoteSigner,
    entry: LogEntry,
    pub last: Option<(u64, Hash)>,
}

/// What one round of the sequencer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequenced {
    Idle,
    /// Another sequencer had moved the row: nothing was appended.
    Superseded,
    /// A head was signed; whether the round came to its end.
    Signed {
        size: u64,
        root: Hash,
        whole: bool,
    },
    /// The round ended at its crash point, before anything was signed.
    Stopped,
}

/// Steps of a round after its tiles; a crash point counts tiles first, then these.
const STEPS_AFTER_TILES: usize = 4;

impl Evidence {
    pub fn new(name: &str, seed: [u8; 32], witnessed: bool) -> Result<Self, NoteError> {
        let signer = NoteSigner::ed25519(name, &seed)?;
        let custodian = if witnessed {
            let entry = LogEntry { origin: name.to_owned(), keys: vec![signer.verifier().clone()] };
            let cosigner = NoteSigner::cosigner("custodian.example", &[9; 32])?;
            Some(Custodian { signer: cosigner, entry, last: None })
        } else {
            None
        };
        Ok(Self { tiles: MemoryTiles::new(), signer, believed: None, custodian, published: None })
    }

    /// A process ended: what it believed is gone.
    pub fn forget(&mut self) {
        self.believed = None;
    }

    /// House D15: may a process go on with this store?
    pub fn start(&self, store: &Store) -> Start {
        let (size, root) = store.head.map_or((0, EMPTY_ROOT), |it| (it.size, it.root));
        let seen = self.custodian.as_ref().map(|it| Asked {
            name: "custodian.example".to_owned(),
            seen: it.last.map_or(Seen::Never, |(size, root)| Seen::Head(size, root)),
        });
        start((size, root), seen.as_slice(), &TileReader::new(size, &self.tiles))
    }

    /// One round: appends what is not logged yet. `crash_after`: how many steps are done.
    pub fn round(
        &mut self,
        store: &mut Store,
        crash_after: Option<usize>,
        bug: Option<Bug>,
    ) -> Result<Sequenced, String> {
        let row = store.head;
        let (had, edge) = match self.believed.take() {
            Some(it) => it,
            None => {
                // Taking over fences out whoever believed to be the sequencer.
                let (size, root, fence) =
                    row.map_or((0, EMPTY_ROOT, 0), |it| (it.size, it.root, it.fence));
                let mine = Head { size, root, fence: fence + 1 };
                let edge = Edge::load(size, &self.tiles).map_err(|why| why.to_string())?;
                if edge.root() != root {
                    return Err(format!("the tiles do not make the row's root at {size}"));
                }
                store.head = Some(mine);
                (mine, edge)
            }
        };
        let from = if bug == Some(Bug::DoubleAppend) && crash_after.is_some() {
            store.logged.saturating_sub(1)
        } else {
            store.logged
        };
        let entries: Vec<_> = store.facts[from..].iter().map(|(_, entry)| entry.clone()).collect();
        if entries.is_empty() {
            self.believed = Some((had, edge));
            return Ok(Sequenced::Idle);
        }
        let (after, tiles) = append_plan(&edge, &entries).map_err(|why| why.to_string())?;
        let steps = tiles.len() + STEPS_AFTER_TILES;
        let stop = crash_after.map(|it| it % steps);
        let next = Head { size: after.size(), root: after.root(), fence: had.fence };
        if bug == Some(Bug::SignBeforeDurable) && stop.is_some() {
            // Signed in memory, and lost with everything else of this round.
            return Ok(Sequenced::Signed { size: next.size, root: next.root, whole: false });
        }
        let tile_count = tiles.len();
        self.tiles.write(tiles.into_iter().take(stop.unwrap_or(tile_count)));
        if stop.is_some_and(|it| it <= tile_count) {
            if bug == Some(Bug::MarkUnlogged) {
                store.logged = store.facts.len();
            }
            return Ok(Sequenced::Stopped);
        }
        if store.head != Some(had) {
            return Ok(Sequenced::Superseded);
        }
        // One transaction: the row moves and the facts get their indexes.
        store.head = Some(next);
        store.logged = store.facts.len();
        if stop == Some(tile_count + 1) {
            return Ok(Sequenced::Stopped);
        }
        let head = self.sign(next)?;
        let whole = stop.is_none();
        if stop != Some(tile_count + 2) {
            let head = self.witnessed(head)?;
            if whole {
                self.published = Some(head);
            }
        }
        self.believed = Some((next, after));
        Ok(Sequenced::Signed { size: next.size, root: next.root, whole })
    }

    /// Another process took over, and this one does not know yet.
    pub fn stale_round(&mut self, store: &mut Store) -> Result<Sequenced, String> {
        let Some((had, _)) = &self.believed else { return Ok(Sequenced::Idle) };
        store.head = Some(Head { fence: had.fence + 1, ..*had });
        let outcome = self.round(store, None, None);
        // This process is finished; the other one goes on.
        self.forget();
        outcome
    }

    fn sign(&self, head: Head) -> Result<SignedCheckpoint, String> {
        let it = Checkpoint::new(self.signer.verifier().name(), head.size, head.root)
            .map_err(|why| why.to_string())?;
        it.sign(&self.signer).map_err(|why| why.to_string())
    }

    /// Over the wire to the custodian and back, as C2SP tlog-witness has it.
    fn witnessed(&mut self, mut head: SignedCheckpoint) -> Result<SignedCheckpoint, String> {
        let Some(custodian) = &mut self.custodian else { return Ok(head) };
        let size = head.checkpoint().size();
        let old = custodian.last.map_or(0, |(size, _)| size);
        let source = TileReader::new(size, &self.tiles);
        let request = AddCheckpoint::build(old.min(size), &head, self.signer.verifier(), &source)
            .map_err(|why| why.to_string())?;
        let request =
            AddCheckpoint::parse(request.to_string().as_bytes()).map_err(|why| why.to_string())?;
        match decide(Some(&custodian.entry), custodian.last, &request, 1_780_272_000) {
            Answer::Cosign { persist, time } => {
                custodian.last = Some(persist);
                let body =
                    cosign(&custodian.signer, time, &request).map_err(|why| why.to_string())?;
                let lines =
                    parse_cosignatures(body.as_bytes(), &head, [custodian.signer.verifier()])
                        .map_err(|why| why.to_string())?;
                for (_, line) in lines {
                    head.add(line).map_err(|why| why.to_string())?;
                }
                Ok(head)
            }
            other @ (Answer::Conflict { .. }
            | Answer::Forbidden
            | Answer::NotFound
            | Answer::Unprocessable
            | Answer::BadRequest) => Err(format!("the custodian refuses head {size}: {other:?}")),
        }
    }
}
