//! The right edge of a tiled log: what an append adds, as bytes to write.
//!
//! Must never depend on how appends were batched: a tile's bytes follow from its path and the
//! entries alone, so that a rebuild gives the same files and a retry overwrites with equal bytes.

use crate::bundle;
use crate::limits::{FULL_TILE_BYTES, MAX_ENTRY_BYTES, MAX_TREE_SIZE, TILE_WIDTH};
use crate::tile::reader::{LoadError, TileSource, load_bytes};
use crate::tile::{TileKind, TilePath};
use crate::tree::{EMPTY_ROOT, Frontier, Hash, leaf_hash, node_hash, root_of};

/// One file to write, replacing nothing but an equal one.
pub type TileWrite = (TilePath, Vec<u8>);

/// Why entries cannot be appended. Nothing was changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// An entry is too long for the format.
    #[error(
        "entry {position} of the batch has {bytes} bytes, at most {MAX_ENTRY_BYTES} are possible: log its hash"
    )]
    EntryTooLong {
        /// Position in the batch.
        position: usize,
        /// Its length.
        bytes: usize,
    },
    /// The log cannot grow that far.
    #[error("the log is full: start a new one")]
    Full,
}

/// The partial tiles at the right edge of a log, all that an append needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// Entries not yet in a full bundle, encoded.
    bundle: Vec<u8>,
    /// Per tile level, eight for a 64-bit size, the hashes not yet in a full tile, concatenated.
    levels: [Vec<u8>; 8],
}

impl Edge {
    /// Of the empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Read back from the tiles of a log of `size` entries. Checks lengths, not hashes: compare
    /// [`Self::root`] with the checkpoint, or run [`crate::audit::audit`].
    pub fn load<S: TileSource>(size: u64, source: &S) -> Result<Self, LoadError> {
        let last = |kind, shift: u32| {
            let places = size.checked_shr(shift).unwrap_or(0);
            match places % u64::from(TILE_WIDTH) {
                0 => None,
                _ => TilePath::in_tree(kind, places / u64::from(TILE_WIDTH), size),
            }
        };
        let read = |path: Option<TilePath>| {
            path.map_or_else(|| Ok(Vec::new()), |it| load_bytes(source, it))
        };
        let bundle = read(last(TileKind::Entries, 0))?;
        let mut levels: [Vec<u8>; 8] = Default::default();
        for (level, tile) in (0_u8..).zip(levels.iter_mut()) {
            *tile = read(last(TileKind::Hash(level), 8 * u32::from(level)))?;
        }
        Ok(Self { size, bundle, levels })
    }

    /// Entries in the log.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        let frontier = self.frontier();
        if frontier.size() == 0 { EMPTY_ROOT } else { frontier.root() }
    }

    /// The compact range of the tree.
    pub fn frontier(&self) -> Frontier {
        let mut peaks = Vec::new();
        for level in self.levels.iter().rev() {
            let mut below = Frontier::new();
            for hash in hashes_in(level) {
                below.append(hash);
            }
            peaks.extend_from_slice(below.peaks());
        }
        // As many peaks as one-bits: each level holds its eight bits of the size.
        Frontier::from_parts(self.size, peaks).unwrap_or_default()
    }

    /// Appends `entries`; the first gets index [`Self::size`]. Returns the files to write, in the
    /// order in which they filled: full tiles of every level, then the partial ones this append
    /// changed. On error nothing is changed.
    pub fn append<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<Vec<TileWrite>, AppendError> {
        self.admit(entries)?;
        let mut writes = Vec::new();
        if entries.is_empty() {
            return Ok(writes);
        }
        let mut touched = 0;
        for entry in entries {
            let entry = entry.as_ref();
            // `admit` measured every entry.
            let _: Result<(), _> = bundle::push(&mut self.bundle, entry, 0);
            let leaf = leaf_hash(entry);
            self.size += 1;
            let index = (self.size - 1) / u64::from(TILE_WIDTH);
            if self.size.is_multiple_of(u64::from(TILE_WIDTH)) {
                let full = std::mem::take(&mut self.bundle);
                self.bundle.reserve(full.len());
                writes.push((named(TileKind::Entries, index, TILE_WIDTH), full));
            }
            touched = touched.max(self.push_hash(leaf, &mut writes));
        }
        self.push_partials(touched, &mut writes);
        Ok(writes)
    }

    fn admit<E: AsRef<[u8]>>(&self, entries: &[E]) -> Result<(), AppendError> {
        let room = MAX_TREE_SIZE.saturating_sub(self.size);
        if u64::try_from(entries.len()).map_or(true, |it| it > room) {
            return Err(AppendError::Full);
        }
        for (position, entry) in entries.iter().enumerate() {
            let bytes = entry.as_ref().len();
            if bytes > MAX_ENTRY_BYTES {
                return Err(AppendError::EntryTooLong { position, bytes });
            }
        }
        Ok(())
    }

    /// Adds a leaf hash to level 0 and carries full tiles upwards; returns the highest level touched.
    fn push_hash(&mut self, leaf: Hash, writes: &mut Vec<TileWrite>) -> usize {
        let mut hash = leaf;
        let mut level = 0_u8;
        loop {
            let at = usize::from(level);
            let Some(tile) = self.levels.get_mut(at) else { return at };
            if tile.capacity() == 0 {
                tile.reserve_exact(FULL_TILE_BYTES);
            }
            tile.extend_from_slice(hash.as_bytes());
            if tile.len() < FULL_TILE_BYTES {
                return at;
            }
            let full = std::mem::take(tile);
            hash = full_tile_root(&full);
            let index = (self.size - 1) >> (8 * (u32::from(level) + 1));
            writes.push((named(TileKind::Hash(level), index, TILE_WIDTH), full));
            level += 1;
        }
    }

    fn push_partials(&self, touched: usize, writes: &mut Vec<TileWrite>) {
        if !self.bundle.is_empty() {
            let path = TilePath::in_tree(TileKind::Entries, self.size >> 8, self.size);
            writes.extend(path.map(|it| (it, self.bundle.clone())));
        }
        let touched = |kind| matches!(kind, TileKind::Hash(level) if usize::from(level) <= touched);
        writes.extend(
            self.partial_tiles()
                .filter(|(path, _)| touched(path.kind()))
                .map(|(path, bytes)| (path, bytes.to_vec())),
        );
    }

    /// The partial hash tiles, level by level.
    pub(crate) fn partial_tiles(&self) -> impl Iterator<Item = (TilePath, &[u8])> {
        (0_u8..).zip(&self.levels).filter(|(_, tile)| !tile.is_empty()).filter_map(
            |(level, tile)| {
                let index = self.size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
                let path = TilePath::in_tree(TileKind::Hash(level), index, self.size)?;
                Some((path, tile.as_slice()))
            },
        )
    }
}

/// As [`Edge::append`], without changing `edge`: the caller takes the new edge over once the files
/// are durable, and can plan again after a failure.
pub fn append_plan<E: AsRef<[u8]>>(
    edge: &Edge,
    entries: &[E],
) -> Result<(Edge, Vec<TileWrite>), AppendError> {
    let mut next = edge.clone();
    let writes = next.append(entries)?;
    Ok((next, writes))
}

/// Hashes of a tile's bytes; a rest shorter than a hash is not one.
pub(crate) fn hashes_in(bytes: &[u8]) -> impl Iterator<Item = Hash> + '_ {
    bytes.as_chunks::<32>().0.iter().map(|&it| Hash::new(it))
}

/// Root of a full tile: the hash that stands for it one level up.
pub(crate) fn full_tile_root(bytes: &[u8]) -> Hash {
    let mut row: [Hash; 256] = [EMPTY_ROOT; 256];
    let mut filled = 0;
    for (place, hash) in row.iter_mut().zip(hashes_in(bytes)) {
        *place = hash;
        filled += 1;
    }
    if filled < row.len() {
        return root_of(hashes_in(bytes));
    }
    let mut width = row.len();
    while width > 1 {
        width /= 2;
        for at in 0..width {
            row[at] = node_hash(&row[2 * at], &row[2 * at + 1]);
        }
    }
    row[0]
}

/// A path whose level and width are right by construction.
fn named(kind: TileKind, index: u64, width: u16) -> TilePath {
    TilePath { kind, index, width }
}
