//! Tiles: paths, the bytes to write for an append, and reading hashes back (C2SP tlog-tiles).
//!
//! Must never name a partial tile of width 0 or 256: size 256 is one full level-0 tile and
//! `tile/1/000.p/1`. Two names for one tile would let a stale one survive.

use std::fmt;
use std::str::FromStr;

use crate::decimal;
use crate::limits::{MAX_TILE_LEVEL, MAX_TILE_PATH_BYTES, TILE_HEIGHT, TILE_WIDTH};

mod edge;
mod reader;

pub use edge::{AppendError, Edge, TileWrite, append_plan};
pub(crate) use reader::load_bytes;
pub use reader::{LoadError, MemoryTiles, TileReader, TileSource};

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Entry bundle ([`crate::bundle`]).
    Entries,
    /// Hashes of this tile level, 0 for leaf hashes. A tile level spans eight tree levels.
    Hash(u8),
}

/// Name of one tile: what, which, and how many of its 256 places are filled.
///
/// As text it is the path below a log's prefix: `tile/0/x001/x234/067.p/8`, `tile/entries/000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// Not a tile path, or not the one spelling of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a tile path: expected tile/<level>/<x123/456> or tile/entries/<x123/456>, with .p/<1..255> if partial"
)]
pub struct BadTilePath;

impl TilePath {
    /// Hash tile of `level` (0..=63) with `width` (1..=256) hashes.
    pub fn hash(level: u8, index: u64, width: u16) -> Result<Self, BadTilePath> {
        if level > MAX_TILE_LEVEL {
            return Err(BadTilePath);
        }
        Self::new(TileKind::Hash(level), index, width)
    }

    /// Entry bundle with `width` (1..=256) entries.
    pub fn entries(index: u64, width: u16) -> Result<Self, BadTilePath> {
        Self::new(TileKind::Entries, index, width)
    }

    fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, BadTilePath> {
        if (1..=TILE_WIDTH).contains(&width) {
            Ok(Self { kind, index, width })
        } else {
            Err(BadTilePath)
        }
    }

    /// Reads the one accepted spelling.
    pub fn parse(text: &str) -> Result<Self, BadTilePath> {
        Self::read(text).filter(|it| it.to_string() == text).ok_or(BadTilePath)
    }

    /// As [`Self::parse`], from untrusted bytes such as a request path.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, BadTilePath> {
        Self::parse(std::str::from_utf8(bytes).map_err(|_| BadTilePath)?)
    }

    /// Lenient reading; [`Self::parse`] compares with the canonical spelling.
    fn read(text: &str) -> Option<Self> {
        if text.len() > MAX_TILE_PATH_BYTES {
            return None;
        }
        let (kind, rest) = text.strip_prefix("tile/")?.split_once('/')?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => {
                let level = decimal::parse_up_to(level, u64::from(MAX_TILE_LEVEL))?;
                TileKind::Hash(u8::try_from(level).ok()?)
            }
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => {
                let width = decimal::parse_up_to(width, u64::from(TILE_WIDTH) - 1)?;
                (index, u16::try_from(width).ok()?)
            }
            None => (rest, TILE_WIDTH),
        };
        let index = index.split('/').try_fold(0_u64, |sum, group| {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let three = digits.len() == 3 && digits.bytes().all(|it| it.is_ascii_digit());
            let value: u64 = if three { digits.parse().ok()? } else { return None };
            sum.checked_mul(1000)?.checked_add(value)
        })?;
        Self::new(kind, index, width).ok()
    }

    /// What the tile holds.
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// Position of the tile in its level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Hashes or entries in it, 1..=256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether all 256 places are filled, so that it never changes again.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The full tile at the same place.
    #[must_use]
    pub fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// The tile at place `index` of `kind` in a tree of `size` entries; `None` if it has none there.
    pub fn in_tree(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let level = match kind {
            TileKind::Entries => 0,
            TileKind::Hash(level) => u32::from(level),
        };
        let places = size.checked_shr(level * u32::from(TILE_HEIGHT)).unwrap_or(0);
        let before = index.checked_mul(u64::from(TILE_WIDTH))?;
        let here = places.checked_sub(before)?.min(u64::from(TILE_WIDTH));
        Self::new(kind, index, u16::try_from(here).ok()?).ok()
    }

    /// Every tile of a tree of `size` entries, bundles first, then level by level; the partial ones
    /// only as wide as that tree needs. An iterator, since a log can have millions.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        std::iter::once(TileKind::Entries)
            .chain((0..8).map(TileKind::Hash))
            .flat_map(move |kind| (0..).map_while(move |index| Self::in_tree(kind, index, size)))
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => f.write_str("tile/entries/")?,
            TileKind::Hash(level) => write!(f, "tile/{level}/")?,
        }
        // u64::MAX has seven groups of three digits.
        let groups = (1..=6).rev().find(|&it| self.index / 1000_u64.pow(it) > 0).unwrap_or(0);
        for group in (1..=groups).rev() {
            write!(f, "x{:03}/", self.index / 1000_u64.pow(group) % 1000)?;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for TilePath {
    type Err = BadTilePath;

    fn from_str(text: &str) -> Result<Self, BadTilePath> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
