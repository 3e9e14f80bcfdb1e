//! Reading hashes back from tiles.
//!
//! Must never take a tile of the wrong length for a tile: a truncated file after a crash would
//! yield wrong proofs instead of an error.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::convert::Infallible;
use std::fmt::Display;

use crate::bundle::Entries;
use crate::limits::{TILE_HEIGHT, TILE_WIDTH};
use crate::tile::edge::hashes_in;
use crate::tile::{TileKind, TilePath, TileWrite};
use crate::tree::{Hash, HashSource, MissingHash, NodeId, root_of};

/// Where tiles are stored.
pub trait TileSource {
    /// What can go wrong when reading.
    type Error: Display;

    /// Bytes of the tile of exactly that path; `Ok(None)` if there is none.
    fn tile(&self, path: &TilePath) -> Result<Option<Vec<u8>>, Self::Error>;
}

impl<S: TileSource + ?Sized> TileSource for &S {
    type Error = S::Error;

    fn tile(&self, path: &TilePath) -> Result<Option<Vec<u8>>, S::Error> {
        (**self).tile(path)
    }
}

/// A tile could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Neither the tile nor the full one at its place exists.
    #[error("{0} is missing: restore it from a mirror or rebuild it from the entry bundles")]
    Missing(TilePath),
    /// It exists with another length or count.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// Which one.
        path: TilePath,
        /// What is wrong with it.
        what: String,
    },
    /// The storage failed.
    #[error("{path} cannot be read: {why}")]
    Storage {
        /// Which one.
        path: TilePath,
        /// The storage's own words.
        why: String,
    },
}

/// Bytes of `path`. A partial tile may have been deleted once the full one existed (tlog-tiles):
/// then they are the beginning of the full one.
pub(crate) fn load_bytes<S: TileSource>(source: &S, path: TilePath) -> Result<Vec<u8>, LoadError> {
    let get = |it: &TilePath| {
        source.tile(it).map_err(|error| LoadError::Storage { path: *it, why: error.to_string() })
    };
    if let Some(bytes) = get(&path)? {
        let found = prefix_bytes(path, path, &bytes)?;
        if found != bytes.len() {
            return Err(LoadError::Damaged { path, what: "it is too long".into() });
        }
        return Ok(bytes);
    }
    if path.is_full() {
        return Err(LoadError::Missing(path));
    }
    let mut bytes = get(&path.full())?.ok_or(LoadError::Missing(path))?;
    let length = prefix_bytes(path, path.full(), &bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// How many of `bytes`, stored as `stored`, belong to `path`.
fn prefix_bytes(path: TilePath, stored: TilePath, bytes: &[u8]) -> Result<usize, LoadError> {
    let damaged = |what: String| LoadError::Damaged { path: stored, what };
    let width = usize::from(path.width());
    match path.kind() {
        TileKind::Hash(_) => {
            let whole = usize::from(stored.width()) * 32;
            if bytes.len() != whole {
                return Err(damaged(format!("it has {} bytes, not {whole}", bytes.len())));
            }
            Ok(width * 32)
        }
        TileKind::Entries => {
            let mut length = 0;
            let mut found = 0;
            for entry in Entries::new(bytes).take(width) {
                length += entry.map_err(|it| damaged(it.to_string()))?.len() + 2;
                found += 1;
            }
            if found == width {
                Ok(length)
            } else {
                Err(damaged(format!("it holds {found} entries, not {width}")))
            }
        }
    }
}

/// The hashes of a log of `size` entries, read from its tiles.
#[derive(Debug)]
pub struct TileReader<S> {
    size: u64,
    source: S,
}

impl<S: TileSource> TileReader<S> {
    /// For proofs about trees of up to `size` entries: their tiles are the ones looked for.
    pub fn new(size: u64, source: S) -> Self {
        Self { size, source }
    }

    /// Tree size in entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Entry `index`, from its bundle.
    pub fn entry(&self, index: u64) -> Result<Option<Vec<u8>>, LoadError> {
        let width = u64::from(TILE_WIDTH);
        let Some(path) = TilePath::in_tree(TileKind::Entries, index / width, self.size) else {
            return Ok(None);
        };
        let bytes = load_bytes(&self.source, path)?;
        let place = usize::try_from(index % width).unwrap_or(usize::MAX);
        Ok(Entries::new(&bytes).nth(place).and_then(Result::ok).map(<[u8]>::to_vec))
    }
}

impl<S: TileSource> HashSource for TileReader<S> {
    fn hashes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, MissingHash> {
        // A proof meets the same tile several times: each is read once.
        let mut loaded: BTreeMap<TilePath, Vec<u8>> = BTreeMap::new();
        let mut hashes = Vec::with_capacity(ids.len());
        for &(level, index) in ids {
            let missing = |why: String| MissingHash { level, index, why };
            let beyond = || missing(format!("a tree of {} entries does not have it", self.size));
            let place = locate(level, index).ok_or_else(beyond)?;
            let path = TilePath::in_tree(TileKind::Hash(place.tile_level), place.tile, self.size)
                .ok_or_else(beyond)?;
            let tile = match loaded.entry(path) {
                Entry::Occupied(it) => it.into_mut(),
                Entry::Vacant(it) => it.insert(
                    load_bytes(&self.source, path).map_err(|error| missing(error.to_string()))?,
                ),
            };
            let bytes = tile.get(place.bytes()).ok_or_else(beyond)?;
            hashes.push(root_of(hashes_in(bytes)));
        }
        Ok(hashes)
    }
}

/// Where a node's hash is: the hashes of one tile whose root it is.
struct Place {
    tile_level: u8,
    tile: u64,
    first: usize,
    count: usize,
}

impl Place {
    fn bytes(&self) -> std::ops::Range<usize> {
        self.first * 32..(self.first + self.count) * 32
    }
}

fn locate(level: u8, index: u64) -> Option<Place> {
    let inside = level % TILE_HEIGHT;
    let count = 1_u64 << inside;
    let first = index.checked_mul(count)?;
    Some(Place {
        tile_level: level / TILE_HEIGHT,
        tile: first / u64::from(TILE_WIDTH),
        first: usize::try_from(first % u64::from(TILE_WIDTH)).ok()?,
        count: usize::try_from(count).ok()?,
    })
}

/// Tiles in memory, for simulations and small logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryTiles {
    tiles: BTreeMap<TilePath, Vec<u8>>,
}

impl MemoryTiles {
    /// No tiles.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores what an append returned.
    pub fn write(&mut self, writes: impl IntoIterator<Item = TileWrite>) {
        self.tiles.extend(writes);
    }

    /// Takes one away, as pruning a partial tile does.
    pub fn remove(&mut self, path: &TilePath) -> Option<Vec<u8>> {
        self.tiles.remove(path)
    }

    /// All of them, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&TilePath, &[u8])> {
        self.tiles.iter().map(|(path, bytes)| (path, bytes.as_slice()))
    }
}

impl TileSource for MemoryTiles {
    type Error = Infallible;

    fn tile(&self, path: &TilePath) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.tiles.get(path).cloned())
    }
}
