//! A puncturable pseudo-random function: a binary tree of seeds (GGM) of which one side knows all leaves but one.
//!
//! The sender expands a root level by level. Per level it offers two values by oblivious transfer: the sum of all left
//! children and the sum of all right ones. The receiver takes, at each level, the sum of the side it does *not* go
//! down, so it can fill in the sibling of its path, and knows every leaf but its own (BCGI18).
//!
//! Trees may have any number of leaves: each level is cut off at the right. Whoever watches the memory of the receiver
//! itself can see its path; the peer sees nothing of it.

use crate::hash::{Permutation, derive, domain, half};

/// The two one-way functions of one session, one per child.
pub struct Expander {
    left: Permutation,
    right: Permutation,
}

/// Numbers of nodes per level, the root's 1 first. A level has half as many as the next, rounded up.
pub fn widths(leaves: usize) -> Vec<usize> {
    let mut widths = vec![leaves];
    let mut width = leaves;
    while width > 1 {
        width = width.div_ceil(2);
        widths.push(width);
    }
    widths.reverse();
    widths
}

/// Levels below the root.
pub fn depth(leaves: usize) -> usize {
    widths(leaves).len() - 1
}

/// Which child the path to leaf `target` takes at each level, from the root down: 0 left, 1 right.
pub fn path(target: usize, depth: usize) -> impl Iterator<Item = u8> {
    (0..depth).rev().map(move |level| u8::from(target >> level & 1 == 1))
}

impl Expander {
    pub fn new(binding: &[u8; 32]) -> Self {
        let permutation = |side: &[u8]| {
            Permutation::new(half(&derive(domain::TREES, &[binding, side])).to_le_bytes())
        };
        Self { left: permutation(b"left"), right: permutation(b"right") }
    }

    /// All leaves below `root` into `leaves`, and per level the sums of the left and of the right children.
    pub fn expand(
        &self,
        root: u128,
        leaves: &mut Vec<u128>,
        spare: &mut Vec<u128>,
        count: usize,
    ) -> Vec<[u128; 2]> {
        leaves.clear();
        leaves.push(root);
        let mut sums = Vec::new();
        for width in widths(count).into_iter().skip(1) {
            self.children(leaves, spare, width);
            std::mem::swap(leaves, spare);
            sums.push(side_sums(leaves));
        }
        sums
    }

    /// All leaves but number `target` from the sums of the sides that the path does not take; the leaf itself comes out as
    /// zero. Sums of a lying sender give other leaves than it has: who uses the leaves must check them.
    pub fn puncture(
        &self,
        target: usize,
        sums: &[u128],
        leaves: &mut Vec<u128>,
        spare: &mut Vec<u128>,
        count: usize,
    ) {
        leaves.clear();
        leaves.push(0);
        let widths = widths(count);
        let depth = widths.len() - 1;
        for ((level, width), sum) in widths.iter().enumerate().skip(1).zip(sums) {
            self.children(leaves, spare, *width);
            std::mem::swap(leaves, spare);
            let on_path = target >> (depth - level);
            let sibling = on_path ^ 1;
            // Children of the unknown parent are rubbish: take both out, then put the sibling in.
            for child in [on_path, sibling] {
                if let Some(node) = leaves.get_mut(child) {
                    *node = 0;
                }
            }
            let known = side_sums(leaves);
            if let Some(node) = leaves.get_mut(sibling) {
                *node = sum ^ known[sibling & 1];
            }
        }
    }

    /// The first `width` children of `parents`.
    fn children(&self, parents: &[u128], children: &mut Vec<u128>, width: usize) {
        const BATCH: usize = 64;
        children.clear();
        children.reserve(2 * parents.len());
        for batch in parents.chunks(BATCH) {
            let (mut left, mut right) = ([0; BATCH], [0; BATCH]);
            left[..batch.len()].copy_from_slice(batch);
            right[..batch.len()].copy_from_slice(batch);
            self.left.fold(&mut left[..batch.len()]);
            self.right.fold(&mut right[..batch.len()]);
            let pairs = left.iter().zip(&right).take(batch.len());
            children.extend(pairs.flat_map(|(left, right)| [*left, *right]));
        }
        children.truncate(width);
    }
}

fn side_sums(nodes: &[u128]) -> [u128; 2] {
    let mut sums = [0; 2];
    for pair in nodes.chunks(2) {
        sums[0] ^= pair[0];
        sums[1] ^= pair.get(1).copied().unwrap_or(0);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_leaves_but_the_target_are_known_in_trees_of_any_size() {
        let expander = Expander::new(&[3; 32]);
        let mut spare = Vec::new();
        for count in [1, 2, 3, 5, 8, 13, 64, 100] {
            let mut leaves = Vec::new();
            let sums = expander.expand(77, &mut leaves, &mut spare, count);
            assert_eq!(leaves.len(), count);
            assert_eq!(sums.len(), depth(count));
            for target in 0..count {
                let taken: Vec<u128> = path(target, depth(count))
                    .zip(&sums)
                    .map(|(bit, sums)| sums[usize::from(1 - bit)])
                    .collect();
                let mut punctured = Vec::new();
                expander.puncture(target, &taken, &mut punctured, &mut spare, count);
                let mut expected = leaves.clone();
                expected[target] = 0;
                assert_eq!(punctured, expected, "leaf {target} of {count}");
            }
        }
    }

    #[test]
    fn leaves_differ_and_depend_on_root_and_session() {
        let mut spare = Vec::new();
        let mut all = Vec::new();
        for (binding, root) in [([1; 32], 1), ([1; 32], 2), ([2; 32], 1)] {
            let mut leaves = Vec::new();
            let _sums = Expander::new(&binding).expand(root, &mut leaves, &mut spare, 1000);
            all.extend(leaves);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 3000);
    }
}
