use std::collections::BTreeSet;

use proptest::prelude::*;
use tlog_tiles::Tile;

use super::*;
use crate::audit::audit;
use crate::bundle;
use crate::proof;
use crate::tree::{Hash, HashSource, MemoryTree, leaf_hash, root_at};

fn entry(at: u64) -> Vec<u8> {
    // Lengths differ so that a shifted border shows.
    [at.to_be_bytes().as_slice(), &[7; 7][..(at % 7) as usize]].concat()
}

fn entries(range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    range.map(entry).collect()
}

/// A log grown in `batches`, with every tile it ever wrote.
fn grown(batches: &[u64]) -> (Edge, MemoryTiles, Vec<TileWrite>) {
    let (mut edge, mut tiles, mut writes) = (Edge::new(), MemoryTiles::new(), Vec::new());
    for &batch in batches {
        let from = edge.size();
        let new = edge.append(&entries(from..from + batch)).unwrap();
        tiles.write(new.clone());
        writes.extend(new);
    }
    (edge, tiles, writes)
}

fn reference(size: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    (0..size).for_each(|it| tree.append(leaf_hash(&entry(it))));
    tree
}

#[test]
fn paths_of_the_specification() {
    let cases = [
        ("tile/0/x001/x234/067", TilePath::hash(0, 1_234_067, 256)),
        ("tile/0/000", TilePath::hash(0, 0, 256)),
        ("tile/0/000.p/1", TilePath::hash(0, 0, 1)),
        ("tile/1/000.p/255", TilePath::hash(1, 0, 255)),
        ("tile/63/999", TilePath::hash(63, 999, 256)),
        ("tile/2/x001/000", TilePath::hash(2, 1000, 256)),
        ("tile/entries/x001/x234/067.p/8", TilePath::entries(1_234_067, 8)),
        ("tile/entries/x018/x446/x744/x073/x709/x551/615", TilePath::entries(u64::MAX, 256)),
    ];
    for (text, path) in cases {
        let path = path.unwrap();
        assert_eq!(path.to_string(), text);
        assert_eq!(TilePath::parse(text), Ok(path));
    }
}

#[test]
fn nasty_paths_are_refused() {
    let nasty = [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile//000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/X001/002",
        "tile/0/1000",
        "tile/0/xx01/002",
        "tile/0/+01",
        "tile/0/-01",
        "tile/0/00a",
        "tile/00/000",
        "tile/+0/000",
        "tile/64/000",
        "tile/256/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/8/0/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.p/1/2",
        "tile/0/000.p/1.p/1",
        "tile/0/x001.p/001",
        "tile/0/../0/000",
        "tile/0/000\0",
        "tile/0/000\n",
        "tile/0/ 00",
        "tile/entries/",
        "tile/entries/x018/x446/x744/x073/x709/x551/616",
        "tile/entries/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/٠٠٠",
        "tile/0/x000000000000000000000000000000000000000000000000000000000000000000",
    ];
    for text in nasty {
        assert_eq!(TilePath::parse(text), Err(BadTilePath), "{text:?}");
    }
    assert!(TilePath::parse_bytes(b"tile/0/\xff00").is_err());
    for width in [0, 257, u16::MAX] {
        assert!(TilePath::hash(0, 0, width).is_err());
        assert!(TilePath::entries(0, width).is_err());
    }
    assert!(TilePath::hash(64, 0, 1).is_err());
}

#[test]
fn size_256_is_a_full_tile_and_one_hash_above() {
    let (_, tiles, _) = grown(&[256]);
    let paths: Vec<String> = tiles.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(paths, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
}

#[test]
fn tiles_written_are_those_of_the_oracle() {
    for (old, new) in [
        (0, 1),
        (0, 255),
        (0, 256),
        (0, 257),
        (255, 256),
        (256, 257),
        (100, 700),
        (1, 66_000),
        (65_535, 65_536),
    ] {
        let mut edge = Edge::new();
        edge.append(&entries(0..old)).unwrap();
        let ours: BTreeSet<String> = edge
            .append(&entries(old..new))
            .unwrap()
            .iter()
            .filter(|(path, _)| path.kind() != TileKind::Entries)
            .map(|(path, _)| path.to_string())
            .collect();
        let oracle: BTreeSet<String> = Tile::new_tiles(8, old, new)
            .iter()
            .map(|it| it.path().replacen("tile/8/", "tile/", 1))
            .collect();
        assert_eq!(ours, oracle, "{old} to {new}");
    }
}

#[test]
fn bytes_do_not_depend_on_batches() {
    let size = 66_100;
    let (whole, at_once, _) = grown(&[size]);
    for step in [255, 256, 257, 4096] {
        let mut batches = vec![step; usize::try_from(size / step).unwrap()];
        batches.push(size % step);
        let (edge, tiles, writes) = grown(&batches);
        assert_eq!((edge.size(), edge.root()), (whole.size(), whole.root()));
        for (path, bytes) in at_once.iter() {
            assert_eq!(tiles.tile(path).unwrap().as_deref(), Some(bytes), "{path}");
        }
        // No path was ever written with two contents.
        for (path, bytes) in writes {
            assert_eq!(tiles.tile(&path).unwrap(), Some(bytes), "{path}");
        }
    }
    let named: BTreeSet<TilePath> = TilePath::all(size).collect();
    assert_eq!(named, at_once.iter().map(|(path, _)| *path).collect());
}

#[test]
fn roots_and_edges_at_every_size_around_the_borders() {
    let tree = reference(1030);
    let (mut edge, mut tiles) = (Edge::new(), MemoryTiles::new());
    for size in 1..=1030_u64 {
        let (next, writes) = append_plan(&edge, &[entry(size - 1)]).unwrap();
        tiles.write(writes);
        edge = next;
        let root = root_at(size, &tree).unwrap();
        assert_eq!(edge.root(), root, "size {size}");
        assert_eq!(edge.frontier().root(), root);
        if size < 4 || (254..=258).contains(&size) || size % 256 < 2 || size > 1020 {
            assert_eq!(Edge::load(size, &tiles).unwrap(), edge, "size {size}");
            audit(&tiles, size, root).unwrap();
        }
    }
    // Every older edge can still be read: partial tiles stayed.
    for size in 0..=1030 {
        assert_eq!(Edge::load(size, &tiles).unwrap().root(), root_at(size, &tree).unwrap());
    }
}

#[test]
fn proofs_from_tiles_equal_proofs_from_memory() {
    let size = 66_000;
    let tree = reference(size);
    let (_, tiles, _) = grown(&[size]);
    let reader = TileReader::new(size, &tiles);
    assert_eq!(root_at(size, &reader), root_at(size, &tree));
    for index in (0..size).step_by(997).chain([255, 256, 65_535, 65_536, size - 1]) {
        assert_eq!(
            proof::inclusion(size, index, &reader).unwrap(),
            proof::inclusion(size, index, &tree).unwrap()
        );
        assert_eq!(
            proof::consistency(index, size, &reader).unwrap(),
            proof::consistency(index, size, &tree).unwrap()
        );
        assert_eq!(reader.entry(index).unwrap(), Some(entry(index)));
    }
    assert_eq!(reader.entry(size).unwrap(), None);
    assert!(reader.hashes(&[(0, size)]).is_err());
    assert!(reader.hashes(&[(63, u64::MAX)]).is_err());
    assert!(reader.hashes(&[(255, 1)]).is_err());
}

#[test]
fn a_deleted_partial_tile_is_read_from_the_full_one() {
    let (_, mut tiles, _) = grown(&[700, 324]);
    let tree = reference(1024);
    for path in [TilePath::hash(0, 2, 188), TilePath::entries(2, 188)] {
        assert!(tiles.remove(&path.unwrap()).is_some());
    }
    assert_eq!(Edge::load(700, &tiles).unwrap().root(), root_at(700, &tree).unwrap());
    audit(&tiles, 700, root_at(700, &tree).unwrap()).unwrap();
    let full = TilePath::hash(0, 2, 256).unwrap();
    tiles.remove(&full);
    let missing = TilePath::hash(0, 2, 188).unwrap();
    assert_eq!(Edge::load(700, &tiles), Err(LoadError::Missing(missing)));
}

#[test]
fn tiles_of_the_wrong_length_are_errors() {
    let (_, tiles, _) = grown(&[300]);
    for (path, bytes) in tiles.iter() {
        for length in [0, bytes.len() - 1, bytes.len() + 1] {
            let mut broken = tiles.clone();
            let mut other = bytes.to_vec();
            other.resize(length, 0);
            broken.write([(*path, other)]);
            let reader = TileReader::new(300, &broken);
            match path.kind() {
                TileKind::Hash(0) => {
                    assert!(reader.hashes(&[(0, path.index() * 256)]).is_err(), "{path}");
                }
                TileKind::Hash(_) => assert!(reader.hashes(&[(8, 0)]).is_err(), "{path}"),
                TileKind::Entries => assert!(reader.entry(path.index() * 256).is_err(), "{path}"),
            }
        }
    }
}

#[test]
fn an_entry_too_long_changes_nothing() {
    let mut edge = Edge::new();
    edge.append(&[b"one"]).unwrap();
    let before = edge.clone();
    let error = edge.append(&[vec![0; 10], vec![0; 65_536]]).unwrap_err();
    assert_eq!(error, AppendError::EntryTooLong { position: 1, bytes: 65_536 });
    assert_eq!(edge, before);
    assert!(edge.append::<&[u8]>(&[]).unwrap().is_empty());
    edge.append(&[vec![0; 65_535]]).unwrap();
}

#[test]
fn bundles_hold_the_entries() {
    let (_, tiles, _) = grown(&[600]);
    let last = tiles.tile(&TilePath::entries(2, 88).unwrap()).unwrap().unwrap();
    assert_eq!(bundle::decode_exact(&last, 88).unwrap(), entries(512..600));
}

#[test]
fn ten_thousand_entries_in_a_batch_are_hashed_fast() {
    // A floor far below the aim of 300,000 a second, so that a busy machine does not fail it; a
    // quadratic append does.
    let batch: Vec<Vec<u8>> = (0..10_000_u32).map(|it| it.to_be_bytes().repeat(64)).collect();
    let start = std::time::Instant::now();
    let mut edge = Edge::new();
    for _ in 0..10 {
        edge.append(&batch).unwrap();
    }
    let rate = 100_000.0 / start.elapsed().as_secs_f64();
    println!("append, 256-byte entries, batches of 10,000: {rate:.0} entries/s");
    assert!(rate > 20_000.0, "{rate}");
}

proptest! {
    #[test]
    fn path_text_is_the_oracles(level in 0u8..=63, index: u64, width in 1u16..=256, data: bool) {
        let ours = if data { TilePath::entries(index, width) } else { TilePath::hash(level, index, width) };
        let ours = ours.unwrap();
        let oracle = Tile::new(8, level, index, u32::from(width), false).path();
        let oracle = if data {
            oracle.replacen(&format!("tile/8/{level}/"), "tile/entries/", 1)
        } else {
            oracle.replacen("tile/8/", "tile/", 1)
        };
        prop_assert_eq!(TilePath::parse(&oracle), Ok(ours));
        prop_assert_eq!(ours.to_string(), oracle);
    }

    // Levels above 63 and `.p/0`, on which the oracle panics, are in the table of nasty paths.
    #[test]
    fn what_the_oracle_reads_we_read(
        kind in "([0-5]?[0-9]|entries)",
        place in "(x?[0-9]{3}/){0,3}x?[0-9]{2,4}(\\.p/[1-9][0-9]{0,2})?",
    ) {
        let text = format!("tile/{kind}/{place}");
        let level = if kind == "entries" { "data" } else { &kind };
        let oracle = Tile::from_path(&format!("tile/8/{level}/{place}"));
        let ours = TilePath::parse(&text);
        prop_assert_eq!(ours.is_ok(), oracle.is_ok(), "{}", text);
        if let Ok(path) = ours {
            prop_assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn any_batches_make_the_same_log(batches in proptest::collection::vec(0u64..400, 1..6)) {
        let size: u64 = batches.iter().sum();
        let (edge, tiles, _) = grown(&batches);
        let tree = reference(size);
        let root: Hash = tree.root();
        prop_assert_eq!(edge.root(), root);
        prop_assert!(audit(&tiles, size, root).is_ok());
    }
}
