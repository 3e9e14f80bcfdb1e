use proptest::prelude::*;
use tlog_tiles::{HashReader, check_record, check_tree, prove_record, prove_tree};

use super::*;
use crate::tree::{MemoryTree, leaf_hash, root_at};

const MOST: u64 = 130;

fn leaf(at: u64) -> Hash {
    leaf_hash(&at.to_be_bytes())
}

fn tree(size: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    (0..size).for_each(|it| tree.append(leaf(it)));
    tree
}

/// The oracle's view of our stored hashes.
struct Oracle<'a>(&'a MemoryTree);

impl HashReader for Oracle<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let ids: Vec<NodeId> =
            indexes.iter().map(|&it| tlog_tiles::split_stored_hash_index(it)).collect();
        Ok(self.0.hashes(&ids).unwrap().iter().map(theirs).collect())
    }
}

fn theirs(hash: &Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(*hash.as_bytes())
}

/// Proofs near `proof` that must fail: every hash flipped in each of its bits, dropped, doubled,
/// swapped with its neighbour; one more at each place.
fn mutants(proof: &[Hash], all_bits: bool) -> Vec<Vec<Hash>> {
    let mut mutants = Vec::new();
    for at in 0..proof.len() {
        for bit in (0..256).step_by(if all_bits { 1 } else { 37 }) {
            let mut other = proof.to_vec();
            let mut bytes = *other[at].as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            other[at] = Hash::new(bytes);
            mutants.push(other);
        }
        let mut dropped = proof.to_vec();
        dropped.remove(at);
        mutants.push(dropped);
        let mut doubled = proof.to_vec();
        doubled.insert(at, proof[at]);
        mutants.push(doubled);
        if at > 0 {
            let mut swapped = proof.to_vec();
            swapped.swap(at - 1, at);
            mutants.push(swapped);
        }
    }
    for at in 0..=proof.len() {
        let mut longer = proof.to_vec();
        longer.insert(at, leaf(9999));
        mutants.push(longer);
    }
    mutants
}

#[test]
fn inclusion_of_every_entry_in_every_tree() {
    let whole = tree(MOST);
    for size in 1..=MOST {
        let root = root_at(size, &whole).unwrap();
        for index in 0..size {
            let proof = inclusion(size, index, &whole).unwrap();
            verify_inclusion(leaf(index), index, size, root, &proof).unwrap();
            let oracle = prove_record(size, index, &Oracle(&whole)).unwrap();
            assert_eq!(proof.iter().map(theirs).collect::<Vec<_>>(), oracle);
            check_record(&oracle, size, theirs(&root), index, theirs(&leaf(index))).unwrap();

            // Another entry, place or size does not pass with this proof.
            assert!(verify_inclusion(leaf(index + 1), index, size, root, &proof).is_err());
            for other in (0..size).filter(|&it| it != index) {
                assert!(verify_inclusion(leaf(index), other, size, root, &proof).is_err());
            }
        }
        assert!(inclusion(size, size, &whole).is_err());
    }
}

#[test]
fn consistency_of_every_pair_of_trees() {
    let whole = tree(MOST);
    let roots: Vec<Hash> = (0..=MOST).map(|it| root_at(it, &whole).unwrap()).collect();
    for (new, &new_root) in (0..).zip(&roots) {
        for (old, &old_root) in (0..=new).zip(&roots) {
            let proof = consistency(old, new, &whole).unwrap();
            verify_consistency(old, old_root, new, new_root, &proof).unwrap();
            if old > 0 {
                let oracle = prove_tree(new, old, &Oracle(&whole)).unwrap();
                assert_eq!(proof.iter().map(theirs).collect::<Vec<_>>(), oracle);
                check_tree(&oracle, new, theirs(&new_root), old, theirs(&old_root)).unwrap();
                assert!(verify_consistency(old, leaf(0x1_0000), new, new_root, &proof).is_err());
            }
            assert!(
                verify_consistency(old, old_root, new, leaf(0x1_0000), &proof).is_err() || old == 0
            );
            if old < new {
                assert!(verify_consistency(new, new_root, old, old_root, &proof).is_err());
            }
        }
    }
    assert_eq!(consistency(2, 1, &whole), Err(ProofError::Shrinking { old: 2, new: 1 }));
}

#[test]
fn every_mutant_of_an_inclusion_proof_fails() {
    let whole = tree(MOST);
    for size in 1..=MOST {
        let root = root_at(size, &whole).unwrap();
        for index in (0..size).filter(|it| size <= 20 || it % 7 == 0 || it + 1 == size) {
            let proof = inclusion(size, index, &whole).unwrap();
            for mutant in mutants(&proof, size <= 9) {
                if mutant != proof {
                    assert!(
                        verify_inclusion(leaf(index), index, size, root, &mutant).is_err(),
                        "size {size} index {index}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_mutant_of_a_consistency_proof_fails() {
    let whole = tree(MOST);
    for new in 1..=MOST {
        let new_root = root_at(new, &whole).unwrap();
        for old in (0..=new).filter(|it| new <= 20 || it % 7 == 0 || it + 1 == new) {
            let old_root = root_at(old, &whole).unwrap();
            let proof = consistency(old, new, &whole).unwrap();
            for mutant in mutants(&proof, new <= 9) {
                if mutant != proof {
                    assert!(
                        verify_consistency(old, old_root, new, new_root, &mutant).is_err(),
                        "old {old} new {new}"
                    );
                }
            }
        }
    }
}

#[test]
fn nothing_panics_at_the_ends_of_the_number_line() {
    let ends = [0, 1, 2, 3, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX];
    let hash = leaf(0);
    for a in ends {
        for b in ends {
            for hashes in [0, 1, 2, 62, 63, 64, 65, 1000] {
                let proof = vec![hash; hashes];
                assert!(verify_inclusion(hash, a, b, EMPTY_ROOT, &proof).is_err());
                let same = a == b && hashes == 0;
                let from_empty = a == 0 && b > 0 && hashes == 0;
                assert_eq!(
                    verify_consistency(a, EMPTY_ROOT, b, EMPTY_ROOT, &proof).is_ok(),
                    same || from_empty,
                    "{a} {b} {hashes}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn proofs_of_larger_trees_agree_with_the_oracle(new in 131u64..5000, part: u64) {
        let whole = tree(new);
        let old = 1 + part % new;
        let root = whole.root();
        let proof = consistency(old, new, &whole).unwrap();
        verify_consistency(old, root_at(old, &whole).unwrap(), new, root, &proof).unwrap();
        prop_assert_eq!(
            proof.iter().map(theirs).collect::<Vec<_>>(),
            prove_tree(new, old, &Oracle(&whole)).unwrap()
        );
        let proof = inclusion(new, old - 1, &whole).unwrap();
        verify_inclusion(leaf(old - 1), old - 1, new, root, &proof).unwrap();
        prop_assert_eq!(
            proof.iter().map(theirs).collect::<Vec<_>>(),
            prove_record(new, old - 1, &Oracle(&whole)).unwrap()
        );
    }

    #[test]
    fn random_hashes_prove_nothing(
        index: u64, size: u64, old: u64, hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        let proof: Vec<Hash> = hashes.into_iter().map(Hash::new).collect();
        prop_assert!(verify_inclusion(leaf(1), index, size, leaf(2), &proof).is_err());
        prop_assert!(old == 0 || verify_consistency(old, leaf(1), size, leaf(2), &proof).is_err());
    }
}
