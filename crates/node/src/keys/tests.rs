use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::directory::Directory;
use super::memory::Memory;
use super::*;

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

/// What every implementation promises.
fn behaves(keys: &dyn Keys) {
    assert_eq!(keys.people().unwrap().expose(), keys.people().unwrap().expose());
    assert_eq!(keys.table_root().unwrap().expose(), keys.table_root().unwrap().expose());
    assert_ne!(keys.table_root().unwrap().expose(), keys.people().unwrap().expose());
    assert_eq!(keys.lists_root().unwrap().expose(), keys.lists_root().unwrap().expose());
    assert_ne!(keys.table_root().unwrap().expose(), keys.lists_root().unwrap().expose());
    let marks = keys.mark_root().unwrap();
    assert_eq!(keys.kept_mark_root().unwrap().unwrap().expose(), marks.expose());
    let (a, b) = (id("urn:uuid:a"), id("../../etc/passwd"));
    assert!(keys.get(&a).unwrap().is_none());
    let first = keys.contract_key(&a).unwrap();
    assert_eq!(keys.contract_key(&a).unwrap().expose(), first.expose());
    assert_ne!(keys.contract_key(&b).unwrap().expose(), first.expose());
    assert_eq!(keys.list().unwrap(), [b.clone(), a.clone()]);
    assert!(!keys.gone(&a).unwrap());
    keys.destroy(&a).unwrap();
    keys.destroy(&a).unwrap();
    assert!(keys.gone(&a).unwrap());
    assert!(matches!(keys.get(&a), Err(KeyError::Destroyed)));
    assert!(matches!(keys.contract_key(&a), Err(KeyError::Destroyed)));
    assert_eq!(keys.list().unwrap(), [b]);
    keys.destroy(&id("never-seen")).unwrap();
    assert!(matches!(keys.contract_key(&id("never-seen")), Err(KeyError::Destroyed)));
    for key in [keys.identity(), keys.log(), keys.witness()] {
        assert!(key.verifying_key().verify(b"m", &key.sign(b"m")).is_ok());
    }
}

#[test]
fn both_implementations_behave() {
    behaves(&Memory::new().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("keys");
    assert_eq!(Directory::create(&dir, None).unwrap().files.len(), 3);
    assert!(Directory::create(&dir, None).unwrap().files.is_empty());
    let keys = Directory::open(&dir, None).unwrap();
    assert!(keys.kept_mark_root().unwrap().is_none());
    behaves(&keys);
    fs::remove_file(dir.join("marks.key")).unwrap();
    assert!(keys.kept_mark_root().unwrap().is_none());
}

#[test]
fn keys_survive_a_restart_and_leftovers_are_completed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("keys");
    Directory::create(&dir, None).unwrap();
    let before = Directory::open(&dir, None).unwrap();
    let key = before.contract_key(&id("c")).unwrap();
    fs::remove_file(dir.join("log.key")).unwrap();
    assert!(matches!(Directory::open(&dir, None), Err(KeyError::Missing(_))));
    assert_eq!(Directory::create(&dir, None).unwrap().files, [dir.join("log.key")]);
    let after = Directory::open(&dir, None).unwrap();
    assert_eq!(after.contract_key(&id("c")).unwrap().expose(), key.expose());
    assert_eq!(
        after.identity().verifying_key().to_bytes(),
        before.identity().verifying_key().to_bytes()
    );
}

#[test]
fn a_passphrase_seals_and_only_it_opens() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("keys");
    let word = |it: &str| Secret::new(it.to_owned());
    Directory::create(&dir, Some(&word("right"))).unwrap();
    let open = Directory::open(&dir, Some(&word("right"))).unwrap();
    let key = open.contract_key(&id("c")).unwrap();
    for entry in fs::read_dir(dir.join("contracts")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        use base64::Engine as _;
        assert!(!text.contains(&base64::engine::general_purpose::STANDARD.encode(key.expose())));
    }
    assert!(matches!(Directory::open(&dir, Some(&word("wrong"))), Err(KeyError::Passphrase)));
    assert!(matches!(Directory::open(&dir, None), Err(KeyError::PassphraseNeeded)));
    fs::remove_file(dir.join("passphrase.json")).unwrap();
    assert!(matches!(Directory::open(&dir, Some(&word("right"))), Err(KeyError::PassphraseUnused)));
    assert!(matches!(Directory::open(&dir, None), Err(KeyError::PassphraseNeeded)));
}

#[test]
fn exposed_swapped_and_damaged_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("keys");
    Directory::create(&dir, None).unwrap();
    let path = dir.join("log.key");
    let good = fs::read(&path).unwrap();
    for bad in [
        &b""[..],
        b"{}",
        b"\xff\xfe",
        &vec![b'x'; 10_000],
        &fs::read(dir.join("identity.key")).unwrap(),
        &good[..good.len() / 2],
    ] {
        fs::write(&path, bad).unwrap();
        assert!(
            matches!(Directory::open(&dir, None), Err(KeyError::Malformed(_))),
            "{} bytes",
            bad.len()
        );
    }
    fs::write(&path, &good).unwrap();
    for mode in [0o640, 0o604] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(Directory::open(&dir, None), Err(KeyError::Exposed(_))));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o750)).unwrap();
    assert!(matches!(Directory::open(&dir, None), Err(KeyError::Exposed(_))));
}

/// A crash between tombstone and erasure, and a key file put back from a backup: both stay dead.
#[test]
fn a_tombstone_beats_a_key_file() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("keys");
    Directory::create(&dir, None).unwrap();
    let keys = Directory::open(&dir, None).unwrap();
    keys.contract_key(&id("c")).unwrap();
    let files = || {
        fs::read_dir(dir.join("contracts"))
            .unwrap()
            .map(|it| it.unwrap().path())
            .collect::<Vec<_>>()
    };
    let path = files().remove(0);
    let backup = fs::read(&path).unwrap();
    keys.destroy(&id("c")).unwrap();
    assert!(!path.exists());
    fs::write(&path, backup).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(keys.get(&id("c")), Err(KeyError::Destroyed)));
    assert!(keys.list().unwrap().is_empty());
}

#[test]
fn errors_and_debug_show_no_key() {
    let keys = Memory::new().unwrap();
    let key = keys.contract_key(&id("c")).unwrap();
    assert_eq!(format!("{key:?}"), "Secret(…)");
}

/// A tombstone says that a key must not be used; whether its file is gone is another question.
#[test]
fn a_file_beside_its_tombstone_is_not_gone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("keys");
    Directory::create(&dir, None).unwrap();
    let keys = Directory::open(&dir, None).unwrap();
    keys.contract_key(&id("c")).unwrap();
    let file = fs::read_dir(dir.join("contracts")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read(&file).unwrap();
    keys.destroy(&id("c")).unwrap();
    assert!(keys.gone(&id("c")).unwrap());
    fs::write(&file, text).unwrap();
    assert!(matches!(keys.get(&id("c")), Err(KeyError::Destroyed)));
    assert!(!keys.gone(&id("c")).unwrap());
}
