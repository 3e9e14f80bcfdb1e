use super::*;
use crate::tile::MemoryTiles;

fn log(size: u64) -> (MemoryTiles, Hash) {
    let mut edge = Edge::new();
    let mut tiles = MemoryTiles::new();
    let entries: Vec<Vec<u8>> = (0..size).map(|it| it.to_be_bytes()[6..].to_vec()).collect();
    tiles.write(edge.append(&entries).unwrap());
    (tiles, edge.root())
}

/// Every flip of `bit` in each byte of each tile must be found and named right.
fn flip_everything(size: u64, step: usize, tile_step: u64) {
    let (tiles, root) = log(size);
    let good = audit(&tiles, size, root).unwrap();
    assert_eq!(good.entries, size);
    assert_eq!(good.bundles + good.tiles, tiles.iter().count() as u64);
    // Partial tiles and higher levels always, of the full ones below every `tile_step`-th.
    let chosen = |path: &TilePath| {
        !path.is_full()
            || matches!(path.kind(), TileKind::Hash(1..))
            || path.index().is_multiple_of(tile_step)
    };
    for (path, bytes) in tiles.iter().filter(|(path, _)| chosen(path)) {
        for at in (0..bytes.len()).step_by(step) {
            let mut broken = tiles.clone();
            let mut other = bytes.to_vec();
            other[at] ^= 1 << (at % 8);
            broken.write([(*path, other)]);
            let finding = audit(&broken, size, root).unwrap_err();
            match path.kind() {
                TileKind::Hash(_) => {
                    assert_eq!(finding, Finding::Tile { tile: *path, position: at / 32 });
                }
                // Two bytes of length, two of entry.
                TileKind::Entries => {
                    let index = path.index() * 256 + (at / 4) as u64;
                    match finding {
                        Finding::Entry { index: found, bundle } => {
                            assert_eq!((found, bundle), (index, *path), "byte {at}");
                        }
                        Finding::Bundle { index: found, .. } => {
                            assert_eq!(found, index, "byte {at}");
                        }
                        Finding::Tile { .. }
                        | Finding::TileUnreadable(_)
                        | Finding::Rewritten { .. }
                        | Finding::Root { .. } => panic!("byte {at} of {path}: {finding:?}"),
                    }
                }
            }
        }
    }
}

#[test]
fn one_flipped_byte_anywhere_is_named() {
    flip_everything(3, 1, 1);
    flip_everything(256, 1, 1);
    flip_everything(515, 5, 1);
}

#[test]
fn one_flipped_byte_in_a_tree_of_three_levels_is_named() {
    flip_everything(65_800, 4003, 32);
}

#[test]
fn a_missing_or_short_tile_is_named() {
    let (tiles, root) = log(515);
    for (path, bytes) in tiles.iter() {
        let mut missing = tiles.clone();
        missing.remove(path);
        let mut short = tiles.clone();
        short.write([(*path, bytes[..bytes.len() - 1].to_vec())]);
        for broken in [missing, short] {
            let finding = audit(&broken, 515, root).unwrap_err();
            assert!(finding.to_string().contains(&path.to_string()), "{finding}");
        }
    }
}

#[test]
fn a_rewritten_past_is_told_from_an_accident() {
    let (mut tiles, root) = log(1000);
    // Somebody changes entry 300 and its leaf hash, but not the tile above.
    let bundle = TilePath::entries(1, 256).unwrap();
    let mut bytes = tiles.tile(&bundle).unwrap().unwrap();
    bytes[44 * 4 + 3] ^= 1;
    let tile = TilePath::hash(0, 1, 256).unwrap();
    let mut hashes = tiles.tile(&tile).unwrap().unwrap();
    hashes[44 * 32..45 * 32].copy_from_slice(leaf_hash(&bytes[44 * 4 + 2..44 * 4 + 4]).as_bytes());
    tiles.write([(bundle, bytes), (tile, hashes)]);
    assert_eq!(audit(&tiles, 1000, root), Err(Finding::Rewritten { first: 256, tile }));
    // A whole other log.
    let (others, _) = log(999);
    let (_, root) = log(1000);
    assert!(audit(&others, 1000, root).is_err());
    let (others, found) = log(1000);
    let elsewhere = leaf_hash(b"elsewhere");
    assert_eq!(audit(&others, 1000, elsewhere), Err(Finding::Root { found }));
}

#[test]
fn the_empty_log_has_the_empty_root() {
    let tiles = MemoryTiles::new();
    assert!(audit(&tiles, 0, crate::tree::EMPTY_ROOT).is_ok());
    assert!(audit(&tiles, 0, leaf_hash(b"")).is_err());
}
