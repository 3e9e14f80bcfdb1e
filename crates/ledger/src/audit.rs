//! Checking a stored log: everything is recomputed from the entry bundles, and the first entry or
//! tile that differs is named.
//!
//! Must never take anything stored for true: root and size come from a checkpoint that the caller
//! has verified, and decide whether the entries or the tiles are the ones that changed.

use crate::bundle::Entries;
use crate::limits::TILE_WIDTH;
use crate::tile::{Edge, LoadError, TileKind, TilePath, TileSource, load_bytes};
use crate::tree::{Hash, leaf_hash};

/// A whole log that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audited {
    /// Entries hashed.
    pub entries: u64,
    /// Entry bundles read.
    pub bundles: u64,
    /// Hash tiles compared.
    pub tiles: u64,
}

/// The first thing wrong with a stored log.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The entry is not the one that was logged. Restore its bundle from a mirror.
    #[error("entry {index} in {bundle} was changed: restore the bundle from a mirror")]
    Entry {
        /// Index in the log.
        index: u64,
        /// Where it is stored.
        bundle: TilePath,
    },
    /// An entry bundle is missing, cannot be read or split into its entries.
    #[error("entry {index} cannot be read: {fault}")]
    Bundle {
        /// First entry that cannot be read.
        index: u64,
        /// What is wrong.
        fault: LoadError,
    },
    /// A hash tile differs from the entries, which are the logged ones. Rebuild it.
    #[error("hash {position} in {tile} was changed, its entries are intact: rebuild the tile")]
    Tile {
        /// Which tile.
        tile: TilePath,
        /// Which of its hashes.
        position: usize,
    },
    /// A hash tile is missing or has the wrong length. Rebuild it.
    #[error("{0}")]
    TileUnreadable(LoadError),
    /// Entries and hash tiles agree with each other in these 256 places, but not with the rest of
    /// the log: both were rewritten.
    #[error(
        "entries from {first} on were rewritten together with {tile}: restore both from a mirror"
    )]
    Rewritten {
        /// First entry of the bundle.
        first: u64,
        /// The level-0 tile rewritten with it.
        tile: TilePath,
    },
    /// Entries and tiles agree with each other, but are not the log of this root.
    #[error(
        "all entries and tiles agree, on root {found}: this is another log than the checkpoint's"
    )]
    Root {
        /// Root of what is stored.
        found: Hash,
    },
}

/// Recomputes the log of `size` entries from its bundles and compares every hash tile and `root`.
///
/// Reads each bundle and each tile once; memory for one bundle and one tile per level.
pub fn audit<S: TileSource>(tiles: &S, size: u64, root: Hash) -> Result<Audited, Finding> {
    let mut seen = Seen { source: tiles, size, tiles: 0, leaf: None, upper: None, unread: None };
    let mut edge = Edge::new();
    let mut bundles = 0;
    while edge.size() < size {
        let index = edge.size() / u64::from(TILE_WIDTH);
        let Some(path) = TilePath::in_tree(TileKind::Entries, index, size) else { break };
        seen.bundle(&mut edge, path)?;
        bundles += 1;
    }
    // What the last bundle left at the right edge.
    let partials: Vec<_> = edge.partial_tiles().collect();
    for (path, computed) in partials {
        seen.compare(path, computed);
    }
    seen.verdict(edge.root(), root)?;
    Ok(Audited { entries: size, bundles, tiles: seen.tiles })
}

/// First difference of each kind; which of them matters is known only at the end.
struct Seen<'a, S> {
    source: &'a S,
    size: u64,
    tiles: u64,
    /// Level-0 tile and position whose hash is not the entry's.
    leaf: Option<(TilePath, usize)>,
    /// Higher tile and position.
    upper: Option<(TilePath, usize)>,
    unread: Option<LoadError>,
}

impl<S: TileSource> Seen<'_, S> {
    /// Hashes one bundle into `edge` and compares the tiles that it fills.
    fn bundle(&mut self, edge: &mut Edge, path: TilePath) -> Result<(), Finding> {
        let first = edge.size();
        let bytes = match load_bytes(self.source, path) {
            Ok(bytes) => bytes,
            Err(fault) => return Err(self.unreadable(path, first, fault)),
        };
        let mut entries = Vec::with_capacity(usize::from(TILE_WIDTH));
        for entry in Entries::new(&bytes) {
            // `load_bytes` split the bundle once already.
            entries.push(entry.map_err(|it| Finding::Bundle {
                index: first,
                fault: LoadError::Damaged { path, what: it.to_string() },
            })?);
        }
        let filled = edge.append(&entries).map_err(|it| Finding::Bundle {
            index: first,
            fault: LoadError::Damaged { path, what: it.to_string() },
        })?;
        for (path, computed) in filled {
            // Entries were read, not written; partial tiles are compared once, at the end.
            if path.is_full() && path.kind() != TileKind::Entries {
                self.compare(path, &computed);
            }
        }
        Ok(())
    }

    /// Names the first entry of a broken bundle whose hash is not the stored one: a flipped length
    /// byte breaks the split only behind the entry it belongs to.
    fn unreadable(&self, path: TilePath, first: u64, fault: LoadError) -> Finding {
        let stored = self.source.tile(&path).ok().flatten().unwrap_or_default();
        let hashes = TilePath::in_tree(TileKind::Hash(0), path.index(), self.size)
            .and_then(|it| load_bytes(self.source, it).ok())
            .unwrap_or_default();
        let good = Entries::new(&stored)
            .zip(hashes.as_chunks::<32>().0)
            .take_while(|(entry, hash)| {
                entry.as_ref().is_ok_and(|it| leaf_hash(it).as_bytes() == *hash)
            })
            .count();
        Finding::Bundle { index: first + good as u64, fault }
    }

    fn compare(&mut self, path: TilePath, computed: &[u8]) {
        self.tiles += 1;
        let stored = match load_bytes(self.source, path) {
            Ok(stored) => stored,
            Err(fault) => {
                self.unread.get_or_insert(fault);
                return;
            }
        };
        let pairs = stored.as_chunks::<32>().0.iter().zip(computed.as_chunks::<32>().0);
        if let Some(position) = pairs.into_iter().position(|(a, b)| a != b) {
            let first =
                if path.kind() == TileKind::Hash(0) { &mut self.leaf } else { &mut self.upper };
            first.get_or_insert((path, position));
        }
    }

    fn verdict(&self, found: Hash, root: Hash) -> Result<(), Finding> {
        let width = u64::from(TILE_WIDTH);
        if found == root {
            // The entries are the logged ones: whatever differs is a tile.
            if let Some((tile, position)) = self.leaf.or(self.upper) {
                return Err(Finding::Tile { tile, position });
            }
        } else if let Some((tile, position)) = self.leaf {
            let index = tile.index() * width + position as u64;
            let bundle = TilePath::in_tree(TileKind::Entries, tile.index(), self.size);
            return Err(Finding::Entry { index, bundle: bundle.unwrap_or(tile) });
        }
        if let Some(fault) = &self.unread {
            return Err(Finding::TileUnreadable(fault.clone()));
        }
        if found == root {
            return Ok(());
        }
        // The lowest level that differs from the entries names the rewritten tile below it.
        if let Some((tile, position)) = self.upper
            && tile.kind() == TileKind::Hash(1)
        {
            let below = tile.index() * width + position as u64;
            let path = TilePath::in_tree(TileKind::Hash(0), below, self.size);
            return Err(Finding::Rewritten { first: below * width, tile: path.unwrap_or(tile) });
        }
        Err(Finding::Root { found })
    }
}

#[cfg(test)]
mod tests;
