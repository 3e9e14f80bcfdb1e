use super::*;

fn leaf(at: u64) -> Hash {
    leaf_hash(&at.to_be_bytes())
}

/// MTH of RFC 9162 §2.1.1, as written there.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [one] => *one,
        more => {
            let middle = more.len().next_power_of_two() / 2;
            node_hash(&mth(&more[..middle]), &mth(&more[middle..]))
        }
    }
}

#[test]
fn empty_root_is_sha256_of_nothing() {
    assert_eq!(EMPTY_ROOT, sha256(b""));
    assert_eq!(Frontier::new().root(), EMPTY_ROOT);
    assert_eq!(MemoryTree::new().root(), EMPTY_ROOT);
}

#[test]
fn frontier_memory_tree_and_definition_agree_up_to_300() {
    let leaves: Vec<Hash> = (0..300).map(leaf).collect();
    let mut frontier = Frontier::new();
    let mut tree = MemoryTree::new();
    for size in 0..=leaves.len() {
        let expected = mth(&leaves[..size]);
        assert_eq!(frontier.root(), expected, "size {size}");
        assert_eq!(tree.root(), expected, "size {size}");
        assert_eq!(Frontier::read(size as u64, &tree).unwrap(), frontier);
        assert_eq!(Frontier::from_parts(size as u64, frontier.peaks().to_vec()).unwrap(), frontier);
        if let Some(&next) = leaves.get(size) {
            frontier.append(next);
            tree.append(next);
        }
    }
    assert_eq!(root_at(77, &tree).unwrap(), mth(&leaves[..77]));
}

#[test]
fn a_frontier_of_the_wrong_shape_is_refused() {
    assert_eq!(
        Frontier::from_parts(3, vec![leaf(0)]),
        Err(BadFrontier { size: 3, expected: 2, given: 1 })
    );
    assert!(Frontier::from_parts(0, vec![leaf(0)]).is_err());
}

#[test]
fn a_missing_hash_is_named() {
    let mut tree = MemoryTree::new();
    tree.append(leaf(0));
    for id in [(0, 1), (1, 0), (200, 0), (0, u64::MAX)] {
        let error = tree.hashes(&[id]).unwrap_err();
        assert_eq!((error.level, error.index), id);
    }
}

#[test]
fn only_one_spelling_of_a_hash_is_read() {
    let hash = leaf(1);
    let text = hash.to_base64();
    assert_eq!(Hash::from_base64(&text), Some(hash));
    assert_eq!(hash.to_hex().len(), 64);
    // The last character before the padding carries two unused bits: set them.
    let last = text.as_bytes()[42];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let at = alphabet.iter().position(|&it| it == last).unwrap();
    for extra in 1..4 {
        let mut other = text.clone().into_bytes();
        other[42] = alphabet[at | extra];
        assert_eq!(Hash::from_base64(std::str::from_utf8(&other).unwrap()), None);
    }
    for bad in [
        "",
        "AAAA",
        &text[..43],
        &format!("{text}="),
        &format!("{text}\n"),
        &text.replace('=', " "),
    ] {
        assert_eq!(Hash::from_base64(bad), None, "{bad:?}");
    }
    assert_eq!(Hash::from_base64(&Hash::new([0xfb; 32]).to_base64().replace('+', "-")), None);
}
