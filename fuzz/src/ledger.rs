//! Targets in `tidm-ledger`: what logs and witnesses send. All its formats have one spelling: what is read is what
//! would be written.

use tidm_ledger::bundle;
use tidm_ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use tidm_ledger::note::{Note, NoteSigner, VerifierKey};
use tidm_ledger::policy::{Policy, satisfied};
use tidm_ledger::proof::{self, verify_consistency, verify_inclusion};
use tidm_ledger::receipt::{self, Receipt};
use tidm_ledger::tile::TilePath;
use tidm_ledger::tree::{Hash, MemoryTree, leaf_hash};
use tidm_ledger::witness::{
    AddCheckpoint, CONFLICT_CONTENT_TYPE, parse_conflict, parse_cosignatures,
};

use tlog_tiles::check_record;

use crate::{Parser, choose};

/// Notes, checkpoints, keys, tile paths and bundles of entries.
pub(crate) fn notes(data: &[u8]) {
    const PARSERS: [Parser; 6] = [
        |data| same(data, Note::parse_bytes(data)),
        |data| same(data, Checkpoint::parse_bytes(data)),
        |data| same(data, SignedCheckpoint::parse_bytes(data)),
        |data| same(data, VerifierKey::parse_bytes(data)),
        |data| same(data, TilePath::parse_bytes(data)),
        bundles,
    ];
    choose(&PARSERS, data);
}

fn same<T: std::fmt::Display, E>(data: &[u8], read: Result<T, E>) {
    if let Ok(it) = read {
        assert_eq!(it.to_string().as_bytes(), data);
    }
}

fn bundles(data: &[u8]) {
    let Ok(entries) = bundle::decode(data) else { return };
    assert!(bundle::encode(&entries).is_ok_and(|bytes| bytes == data));
}

/// Receipts, policies, the talk with witnesses, and proofs.
pub(crate) fn proofs(data: &[u8]) {
    const PARSERS: [Parser; 7] = [
        receipts,
        policies,
        |data| same(data, AddCheckpoint::parse(data)),
        cosignatures,
        conflicts,
        arbitrary_proofs,
        true_proofs,
    ];
    choose(&PARSERS, data);
}

/// Nobody who signs here has the key that is asked for.
fn stranger() -> Option<NoteSigner> {
    NoteSigner::ed25519("log", &[0x5A; 32]).ok()
}

fn receipts(data: &[u8]) {
    let Ok(it) = Receipt::parse(data) else { return };
    assert_eq!(it.to_string().as_bytes(), data);
    let (Some(stranger), Ok(policy)) = (stranger(), Policy::parse(b"quorum none\n")) else {
        unreachable!("both are fixed texts")
    };
    let report = receipt::verify(&it, b"entry 0", stranger.verifier(), &policy);
    assert!(!report.accepted(), "a receipt that the log did not sign");
}

fn policies(data: &[u8]) {
    let Ok(it) = Policy::parse(data) else { return };
    // More signers never make less of a quorum.
    let none = satisfied(&it, []);
    let all = satisfied(&it, it.witness_keys());
    assert!(all || !none);
    assert!(!none || !it.needs_witnesses());
}

fn cosignatures(data: &[u8]) {
    let (Some(log), Ok(witness)) = (stranger(), NoteSigner::cosigner("w", &[2; 32])) else {
        unreachable!("both are fixed keys")
    };
    let head = Checkpoint::new("log", 1, leaf_hash(b"entry 0")).and_then(|it| it.sign(&log));
    let Ok(head) = head else { unreachable!("a fixed head") };
    if let Ok(found) = parse_cosignatures(data, &head, [witness.verifier()]) {
        assert_eq!(found.len(), 1);
    }
}

fn conflicts(data: &[u8]) {
    if let Ok(size) = parse_conflict(CONFLICT_CONTENT_TYPE, data) {
        assert_eq!(format!("{size}\n").as_bytes(), data);
    }
}

/// Sizes and hashes at will: nothing may overflow, and no proof fits by chance.
fn arbitrary_proofs(data: &[u8]) {
    let Some((numbers, hashes)) = data.split_first_chunk::<16>() else { return };
    let (one, two) = numbers.split_at(8);
    let number = |it: &[u8]| it.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    let (index, size) = (number(one), number(two));
    let proof: Vec<Hash> = hashes.as_chunks().0.iter().map(|it| Hash::new(*it)).collect();
    let (leaf, root) = (leaf_hash(b"a"), leaf_hash(b"b"));
    assert!(verify_inclusion(leaf, index, size, root, &proof).is_err());
    assert!(verify_consistency(index, leaf, size, root, &proof).is_err());
}

/// A true proof holds, and holds no more with one bit of it changed; another implementation says the same.
fn true_proofs(data: &[u8]) {
    let &[size, index, at, bit, ..] = data else { return };
    let size = u64::from(size % 64) + 1;
    let (index, leaves) = (u64::from(index) % size, |it: u64| leaf_hash(&it.to_be_bytes()));
    let mut tree = MemoryTree::new();
    let mut old = tree.root();
    for it in 0..size {
        if it == index {
            old = tree.root();
        }
        tree.append(leaves(it));
    }
    let inclusion = proof::inclusion(size, index, &tree);
    let consistency = proof::consistency(index, size, &tree);
    let (Ok(mut inclusion), Ok(mut consistency)) = (inclusion, consistency) else {
        unreachable!("the tree has all hashes")
    };
    let root = tree.root();
    assert!(verify_inclusion(leaves(index), index, size, root, &inclusion).is_ok());
    let theirs = |hash: Hash| tlog_tiles::Hash(*hash.as_bytes());
    let path: Vec<_> = inclusion.iter().copied().map(theirs).collect();
    assert!(check_record(&path, size, theirs(root), index, theirs(leaves(index))).is_ok());
    assert!(verify_consistency(index, old, size, root, &consistency).is_ok());
    if flip(&mut inclusion, at, bit) {
        let path: Vec<_> = inclusion.iter().copied().map(theirs).collect();
        assert!(check_record(&path, size, theirs(root), index, theirs(leaves(index))).is_err());
        assert!(verify_inclusion(leaves(index), index, size, root, &inclusion).is_err());
    }
    if flip(&mut consistency, at, bit) {
        assert!(verify_consistency(index, old, size, root, &consistency).is_err());
    }
}

/// Changes one bit; `false` when there is none.
fn flip(proof: &mut [Hash], at: u8, bit: u8) -> bool {
    let count = proof.len().max(1);
    let Some(it) = proof.get_mut(usize::from(at) % count) else { return false };
    let mut bytes = *it.as_bytes();
    bytes[usize::from(bit) / 8] ^= 1 << (bit % 8);
    *it = Hash::new(bytes);
    true
}
