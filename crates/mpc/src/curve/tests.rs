use curve25519_dalek::montgomery::MontgomeryPoint;

use super::*;
use crate::kernel::one_by_one;
use crate::random::Stream;

fn hex(text: &str) -> [u8; 32] {
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

/// As RFC 9380 prints field elements: the highest byte first.
fn number(text: &str) -> [u8; 32] {
    let mut bytes = hex(text);
    bytes.reverse();
    bytes
}

/// `2^255 + offset` for offsets below zero, from −128 on.
fn below_2_255(offset: i8) -> [u8; 32] {
    let mut bytes = [255; 32];
    bytes[31] = 127;
    bytes[0] = offset.cast_unsigned();
    bytes
}

fn small(number: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = number;
    bytes
}

/// Each way of multiplying gives the same.
fn check(scalar: [u8; 32], us: &[[u8; 32]]) -> Vec<[u8; 32]> {
    let expected: Vec<[u8; 32]> =
        us.iter().map(|u| MontgomeryPoint(*u).mul_clamped(scalar).to_bytes()).collect();
    let mut found = us.to_vec();
    x25519_many(&scalar, &mut found);
    assert_eq!(found, expected);
    let mut found = us.to_vec();
    one_by_one::ladders(&clamped(scalar), &mut found);
    assert_eq!(found, expected);
    expected
}

#[test]
fn vectors_of_rfc_7748() {
    let cases = [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
        (
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            "0900000000000000000000000000000000000000000000000000000000000000",
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        ),
    ];
    for (scalar, u, expected) in cases {
        assert_eq!(check(hex(scalar), &[hex(u)]), [hex(expected)]);
    }
    // §5.2, iterated: after 1 and after 1,000 times.
    let (mut k, mut u) = (small(9), small(9));
    for round in 0..1000 {
        let mut next = [u];
        x25519_many(&k, &mut next);
        (u, k) = (k, next[0]);
        if round == 0 {
            let once = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079";
            assert_eq!(k, hex(once));
        }
    }
    assert_eq!(k, hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

/// Low orders, the edges of the field, numbers that are not canonical, and points of the twist.
fn edges() -> Vec<[u8; 32]> {
    let mut edges: Vec<[u8; 32]> = (0..20).map(small).collect();
    edges.extend((-40..0).map(below_2_255));
    edges.push([255; 32]);
    edges.push(hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"));
    edges.push(hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"));
    // The same with the highest bit, which does not count.
    let mut high = edges.clone();
    for u in &mut high {
        u[31] |= 128;
    }
    edges.extend(high);
    edges
}

#[test]
fn edges_of_the_field_come_out_as_one_by_one() {
    let scalars = [[0; 32], [255; 32], small(1), below_2_255(-19), [0x55; 32], [0xaa; 32]];
    for scalar in scalars {
        let products = check(scalar, &edges());
        // 0, 1, p − 1 and the two points of order 8 end at infinity whatever the scalar is.
        for (u, product) in edges().iter().zip(products) {
            let canonical = MontgomeryPoint(*u);
            let low = [small(0), small(1), below_2_255(-20), edges()[61], edges()[62]];
            let is_low = low.iter().any(|low| canonical == MontgomeryPoint(*low));
            assert_eq!(product == [0; 32], is_low, "{u:x?}");
        }
    }
}

#[test]
fn ten_thousand_random_points_in_lists_of_all_lengths() {
    let mut stream = Stream::new(&[3; 32]);
    for length in (0..40).chain([255, 256, 257, 2048, 7000]) {
        let us: Vec<[u8; 32]> = (0..length).map(|_| stream.bytes32()).collect();
        check(stream.bytes32(), &us);
    }
}

#[test]
fn scalars_that_are_not_clamped_work_below_the_clamp() {
    let mut stream = Stream::new(&[4; 32]);
    let base = small(9);
    for scalar in [small(0), small(1), small(2), small(8), below_2_255(-1), stream.bytes32()] {
        let mut bits: Vec<bool> = (0..255).map(|i| scalar[i / 8] >> (i % 8) & 1 == 1).collect();
        bits.reverse();
        let expected = MontgomeryPoint(base).mul_bits_be(bits.into_iter()).to_bytes();
        let mut found = [base; 9];
        kernel::ladders(&scalar, &mut found);
        assert_eq!(found, [expected; 9]);
        found = [base; 9];
        one_by_one::ladders(&scalar, &mut found);
        assert_eq!(found, [expected; 9]);
    }
}

/// RFC 9380, appendix J.4.2: u, the map's point and that point times 8.
const ELLIGATOR: [[&str; 3]; 5] = [
    [
        "608d892b641f0328523802a6603427c26e55e6f27e71a91a478148d45b5093cd",
        "51125222da5e763d97f3c10fcc92ea6860b9ccbbd2eb1285728f566721c1e65b",
        "1bb913f0c9daefa0b3375378ffa534bda5526c97391952a7789eb976edfe4d08",
    ],
    [
        "46f5b22494bfeaa7f232cc8d054be68561af50230234d7d1d63d1d9abeca8da5",
        "7d56d1e08cb0ccb92baf069c18c49bb5a0dcd927eff8dcf75ca921ef7f3e6eeb",
        "7c22950b7d900fa866334262fcaea47a441a578df43b894b4625c9b450f9a026",
    ],
    [
        "235fe40c443766ce7e18111c33862d66c3b33267efa50d50f9e8e5d252a40aaa",
        "3fbe66b9c9883d79e8407150e7c2a1c8680bee496c62fabe4619a72b3cabe90f",
        "31ad08a8b0deeb2a4d8b0206ca25f567ab4e042746f792f4b7973f3ae2096c52",
    ],
    [
        "001e92a544463bda9bd04ddbe3d6eed248f82de32f522669efc5ddce95f46f5b",
        "227e0bb89de700385d19ec40e857db6e6a3e634b1c32962f370d26f84ff19683",
        "027877759d155b1997d0d84683a313eb78bdb493271d935b622900459d52ceaa",
    ],
    [
        "1a68a1af9f663592291af987203393f707305c7bac9c8d63d6a729bdc553dc19",
        "3bcd651ee54d5f7b6013898aab251ee8ecc0688166fce6e9548d38472f6bd196",
        "5fd892c0958d1a75f54c3182a18d286efab784e774d1e017ba2fb252998b5dc1",
    ],
];

#[test]
fn the_map_is_that_of_rfc_9380() {
    let mut all: Vec<[u8; 32]> = ELLIGATOR.iter().map(|[u, _, _]| number(u)).collect();
    let mut portable = all.clone();
    kernel::maps(&mut all);
    one_by_one::maps(&mut portable);
    assert_eq!(all, ELLIGATOR.map(|[_, point, _]| number(point)));
    assert_eq!(all, portable);
    kernel::ladders(&small(8), &mut all);
    assert_eq!(all, ELLIGATOR.map(|[_, _, cleared]| number(cleared)));
}

#[test]
fn maps_agree_and_end_on_the_curve() {
    let mut stream = Stream::new(&[6; 32]);
    let mut numbers = edges();
    numbers.extend((0..3000).map(|_| stream.bytes32()));
    // The same coordinates on the curve and on its twist, by decompression elsewhere.
    let expected: Vec<bool> =
        numbers.iter().map(|u| MontgomeryPoint(*u).to_edwards(0).is_some()).collect();
    let found = kernel::on_curve(&numbers);
    assert_eq!(found, one_by_one::on_curve(&numbers));
    for ((u, found), expected) in numbers.iter().zip(&found).zip(expected) {
        // −1 is on the twist and has no Edwards form; decompression refuses it for that.
        assert_eq!(*found, expected, "{u:x?}");
    }
    assert!(found.iter().filter(|on_curve| **on_curve).count().abs_diff(numbers.len() / 2) < 200);
    let mut portable = numbers.clone();
    kernel::maps(&mut numbers);
    one_by_one::maps(&mut portable);
    assert_eq!(numbers, portable);
    assert!(kernel::on_curve(&numbers).into_iter().all(|on_curve| on_curve));
}

#[test]
fn secrets_and_their_inverses_undo_each_other_on_every_suite() {
    let mut stream = Stream::new(&[8; 32]);
    for suite in [Suite::Ristretto255, Suite::Curve25519, Suite::Sm2] {
        for _ in 0..20 {
            let items = stream.blocks(9);
            let [one, other] = [(); 2].map(|()| Secret::new(suite, &mut stream));
            let points = one.of_items(&[1; 32], &items).unwrap();
            assert_eq!(points.len(), 9 * suite.point_bytes());
            let both = other.of_points(&points, Step::Blinded).unwrap();
            let unblinded = one.inverse().of_points(&both, Step::Evaluated).unwrap();
            assert_eq!(unblinded, other.of_items(&[1; 32], &items).unwrap());
            assert_ne!(unblinded, other.of_items(&[2; 32], &items).unwrap());
            assert_ne!(points, unblinded);
        }
    }
}

#[test]
fn both_scalars_of_a_secret_are_clamped() {
    for seed in 0..50 {
        let secret = montgomery::Secret::of(&[seed; 32]).unwrap();
        let mut u = [small(9)];
        // The inverse takes a point and its blinded form to the same place: both scalars change nothing when clamped anew.
        let [scalar, inverse] = secret.scalars();
        assert_eq!([clamped(scalar), clamped(inverse)], [scalar, inverse]);
        x25519_many(&scalar, &mut u);
        x25519_many(&inverse, &mut u);
        assert_eq!(u, [small(9)]);
    }
}
