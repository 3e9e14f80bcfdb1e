//! Repeats, order and masks.

use std::collections::HashMap;

use super::*;

fn bytes(hex: &str) -> [u8; 32] {
    let digit = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(digit)
}

/// RFC 7748, section 5.2.
#[test]
fn a_mask_is_x25519() {
    let mask = Mask::new(bytes("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"));
    let mut points = [bytes("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")];
    mask.many(&mut points);
    let product = "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552";
    assert_eq!(points, [bytes(product)]);
}

#[test]
fn masks_commute_and_keep_different_points_apart() {
    let (one, two) = (Mask::new([1; 32]), Mask::new([2; 32]));
    let points = Items::of((0..64).map(|it: u32| it.to_string()), Equals::Refused).unwrap().points;
    let through = |masks: [&Mask; 2]| {
        let mut points = points.clone();
        masks.iter().for_each(|mask| mask.many(&mut points));
        points
    };
    assert_eq!(through([&one, &two]), through([&two, &one]));
    let distinct: std::collections::HashSet<_> = through([&one, &two]).into_iter().collect();
    assert_eq!(distinct.len(), 64);
}

#[test]
fn the_first_of_equals_counts_or_none_do() {
    let keys = ["b", "a", "b", "c", "a", "b"];
    let fault = Items::of(keys.iter(), Equals::Refused).unwrap_err();
    assert_eq!(fault, Fault::Duplicates { count: 3 });
    let it = Items::of(keys.iter(), Equals::First).unwrap();
    assert_eq!((it.places.as_slice(), it.rows, it.left_out), ([0, 1, 3].as_slice(), 6, 3));
    let none = Items::of(std::iter::empty::<&str>(), Equals::Refused).unwrap();
    assert!(none.is_empty());
}

#[test]
fn another_order_and_the_same_items() {
    let mut it = Items::of((0..1000).map(|it: u32| it.to_string()), Equals::Refused).unwrap();
    let at = |it: &Items| -> HashMap<Point, u32> {
        it.points.iter().copied().zip(it.places.iter().copied()).collect()
    };
    let before = at(&it);
    it.shuffle(&Seed::new([5; 32]));
    assert_eq!(before, at(&it));
    let stayed = (0..1000).filter(|at| it.places[*at as usize] == *at).count();
    assert!(stayed < 20, "{stayed} of 1000 stayed where they were");
}
