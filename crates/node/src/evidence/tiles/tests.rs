use std::fs;

use tidm_ledger::tile::TilePath;

use super::directory::Directory;
use super::journal;
use super::objects::ObjectTiles;
use super::*;
use crate::objects::Objects;

fn files(list: &[(&str, &[u8])]) -> Vec<File> {
    list.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect()
}

/// What both implementations promise.
fn behaves(tiles: &dyn Tiles) {
    assert_eq!(tiles.get("checkpoint").unwrap(), None);
    tiles
        .put_all(&files(&[
            ("tile/0/000.p/1", b"a"),
            ("tile/0/000.p/2", b"ab"),
            ("tile/0/x001/000", b"c"),
            ("checkpoint", b"1"),
        ]))
        .unwrap();
    tiles.put_all(&files(&[("checkpoint", b"2"), ("tile/0/000", b"abc")])).unwrap();
    tiles.put_all(&[]).unwrap();
    assert_eq!(tiles.get("checkpoint").unwrap().unwrap(), b"2");
    assert_eq!(tiles.get("tile/0/000.p/2").unwrap().unwrap(), b"ab");
    let full = TilePath::parse("tile/0/000").unwrap();
    tiles.prune(&full);
    tiles.prune(&full);
    assert_eq!(tiles.get("tile/0/000.p/2").unwrap(), None);
    assert_eq!(tiles.get("tile/0/000").unwrap().unwrap(), b"abc");
    assert_eq!(tiles.get("tile/0/x001/000").unwrap().unwrap(), b"c");
}

#[test]
fn a_directory_behaves() {
    let dir = tempfile::tempdir().unwrap();
    behaves(&Directory::open(dir.path()).unwrap());
    // "No temporary files inside tile/": a static server may publish it.
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_behave() {
    let dir = tempfile::tempdir().unwrap();
    let tiles = ObjectTiles::new(
        Objects::local(dir.path()).unwrap(),
        "evidence",
        tokio::runtime::Handle::current(),
    );
    tokio::task::spawn_blocking(move || behaves(&tiles)).await.unwrap();
}

/// The files' own bytes were never synced: whatever a power cut leaves of them, the journal restores.
#[test]
fn the_journal_restores_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let tiles = Directory::open(dir.path()).unwrap();
    tiles.put_all(&files(&[("tile/0/000.p/1", b"first"), ("checkpoint", b"1")])).unwrap();
    tiles.put_all(&files(&[("tile/0/000.p/2", b"second"), ("checkpoint", b"2")])).unwrap();
    drop(tiles);
    fs::remove_dir_all(dir.path().join("tile")).unwrap();
    fs::write(dir.path().join("checkpoint"), b"").unwrap();
    let tiles = Directory::open(dir.path()).unwrap();
    assert_eq!(tiles.get("tile/0/000.p/1").unwrap().unwrap(), b"first");
    assert_eq!(tiles.get("tile/0/000.p/2").unwrap().unwrap(), b"second");
    assert_eq!(tiles.get("checkpoint").unwrap().unwrap(), b"2");
    assert_eq!(fs::read_dir(dir.path().join("journal")).unwrap().count(), 1);
}

/// Cut at every byte, or with any byte changed: whole records before it, nothing invented after it.
#[test]
fn a_torn_journal_ends_at_the_last_whole_record() {
    let dir = tempfile::tempdir().unwrap();
    let tiles = Directory::open(dir.path()).unwrap();
    let (one, two) = (files(&[("a", b"first"), ("b", b"")]), files(&[("a", b"second")]));
    tiles.put_all(&one).unwrap();
    let path = fs::read_dir(dir.path().join("journal")).unwrap().next().unwrap().unwrap().path();
    let first = fs::read(&path).unwrap().len();
    tiles.put_all(&two).unwrap();
    let whole = fs::read(&path).unwrap();
    assert_eq!(journal::parse(&whole), [one.clone(), two]);
    for cut in 0..whole.len() {
        let expected: &[Vec<File>] = if cut < first { &[] } else { std::slice::from_ref(&one) };
        assert_eq!(journal::parse(&whole[..cut]), expected, "cut at {cut}");
    }
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 0x40;
        let expected: &[Vec<File>] = if at < first { &[] } else { std::slice::from_ref(&one) };
        assert_eq!(journal::parse(&bad), expected, "changed at {at}");
    }
    for nasty in [&b"\xff"[..], &[0xff; 64], &[0; 64]] {
        assert!(journal::parse(nasty).is_empty());
    }
}

#[test]
fn old_journals_are_dropped_once_synced() {
    let dir = tempfile::tempdir().unwrap();
    let tiles = Directory::open(dir.path()).unwrap();
    drop(tiles);
    let tiles = Directory::open(dir.path()).unwrap();
    // One that a failed write left behind goes too.
    fs::write(dir.path().join("journal/0000000000000000"), b"torn").unwrap();
    let big = vec![7; 9 << 20];
    for i in 0..9 {
        tiles.put_all(&[(format!("tile/{i}"), big.clone())]).unwrap();
    }
    drop(tiles);
    let journals = fs::read_dir(dir.path().join("journal")).unwrap().count();
    assert!(journals <= 2, "{journals}");
    assert!(!dir.path().join("journal/0000000000000000").exists());
    let tiles = Directory::open(dir.path()).unwrap();
    for i in 0..9 {
        assert!(tiles.get(&format!("tile/{i}")).unwrap().unwrap() == big);
    }
}

proptest::proptest! {
    /// Damage ends a journal; it never changes, adds or reorders a record before it.
    #[test]
    fn a_damaged_journal_yields_whole_records_only(
        records in proptest::collection::vec(proptest::collection::vec(("[a-z/]{1,9}", proptest::collection::vec(0..=255_u8, 0..40)), 0..4), 1..5),
        at in 0_usize..600,
        with in 1..=255_u8,
        noise in proptest::collection::vec(0..=255_u8, 0..80),
    ) {
        drop(journal::parse(&noise));
        let dir = tempfile::tempdir().unwrap();
        let mut made = journal::Journal::create(dir.path(), 1).unwrap();
        for it in &records {
            made.append(it).unwrap();
        }
        let path = &journal::list(dir.path()).unwrap()[0].1;
        let mut bytes = fs::read(path).unwrap();
        proptest::prop_assert_eq!(&journal::parse(&bytes), &records);
        let at = at % bytes.len();
        bytes[at] ^= with;
        let found = journal::parse(&bytes);
        proptest::prop_assert!(found.len() < records.len());
        proptest::prop_assert_eq!(&found[..], &records[..found.len()]);
    }
}
