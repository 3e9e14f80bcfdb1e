use super::*;
use crate::tree::{EMPTY_ROOT, MemoryTree, leaf_hash};

fn tree(size: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    (0..size).for_each(|it| tree.append(leaf_hash(&it.to_be_bytes())));
    tree
}

fn ask(own: u64, seen: &[Seen]) -> Start {
    let tree = tree(own);
    let custodians: Vec<Custodian> = ["a", "b", "c"]
        .iter()
        .zip(seen)
        .map(|(name, &seen)| Custodian { name: (*name).into(), seen })
        .collect();
    start((own, tree.root()), &custodians, &tree)
}

#[test]
fn the_start_rule() {
    use Seen::{Head, Never, Silent};
    let root = |it: u64| tree(it).root();
    let other = leaf_hash(b"another tree");
    let behind = |custodian: &str, witnessed| Start::Behind {
        custodian: custodian.into(),
        witnessed,
        own: 5,
    };
    let forked = |custodian: &str, size| Start::Forked {
        custodian: custodian.into(),
        size,
        witnessed: other,
        own: root(size),
    };
    let table: &[(&[Seen], Start)] = &[
        // No custodian configured: nobody to ask.
        (&[], Start::Ready),
        (&[Head(5, root(5))], Start::Ready),
        (&[Head(3, root(3))], Start::Ready),
        (&[Head(0, EMPTY_ROOT)], Start::Ready),
        (&[Never], Start::Ready),
        (&[Never, Never], Start::Ready),
        (&[Head(3, root(3)), Silent, Silent], Start::Ready),
        (&[Head(3, root(3)), Never], Start::Ready),
        (&[Silent], Start::ReadOnly),
        (&[Silent, Silent, Silent], Start::ReadOnly),
        (&[Silent, Never], Start::ReadOnly),
        (&[Head(6, root(6))], behind("a", 6)),
        (&[Head(5, root(5)), Head(6, root(6)), Head(9, root(9))], behind("c", 9)),
        (&[Head(6, other), Silent], behind("a", 6)),
        (&[Head(5, other)], forked("a", 5)),
        (&[Head(2, root(2)), Head(3, other)], forked("b", 3)),
        (&[Head(9, root(9)), Head(3, other)], forked("b", 3)),
        (&[Head(0, other)], forked("a", 0)),
    ];
    for (seen, expected) in table {
        assert_eq!(ask(5, seen), *expected, "{seen:?}");
    }
}

#[test]
fn a_first_start_is_ready() {
    assert_eq!(ask(0, &[Seen::Never]), Start::Ready);
    assert_eq!(ask(0, &[]), Start::Ready);
}

#[test]
fn tiles_behind_or_beside_the_checkpoint_are_damage() {
    let damaged = |it| matches!(it, Start::Damaged { .. });
    assert!(damaged(start((5, leaf_hash(b"x")), &[], &tree(5))));
    assert!(damaged(start((5, tree(5).root()), &[], &tree(4))));
    // Tiles ahead of the checkpoint are the normal state after a crash.
    assert_eq!(start((5, tree(5).root()), &[], &tree(9)), Start::Ready);
}
