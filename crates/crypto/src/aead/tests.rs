use super::*;
use crate::{test_hex::hex, test_rng::TestRng};

#[test]
fn nist_gcm_test_case_14() {
    let sealed = seal(&Secret::new([0; 32]), [0; 12], b"", &[0; 16]).unwrap();
    assert_eq!(sealed, hex("cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919"));
}

#[test]
fn rfc8998_appendix_a_1_sm4_gcm() {
    let key = Secret::new(hex("0123456789ABCDEFFEDCBA9876543210").try_into().unwrap());
    let nonce = hex("00001234567800000000ABCD").try_into().unwrap();
    let aad = hex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2");
    let plain = hex("AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD
         EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA");
    let sealed = hex("17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735
         D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D
         83DE3541E4C2B58177E065A9BF7B62EC");
    assert_eq!(seal_sm4(&key, nonce, &aad, &plain).unwrap(), sealed);
    assert_eq!(open_sm4(&key, nonce, &aad, &sealed).unwrap().expose(), &plain);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (key, key16) = (Secret::new([3; 32]), Secret::new([3; 16]));
    let aes = seal(&key, [9; 12], b"aad", b"plain").unwrap();
    let sm4 = seal_sm4(&key16, [9; 12], b"aad", b"plain").unwrap();
    for bit in 0..aes.len() * 8 {
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        assert_eq!(open(&key, [9; 12], b"aad", &flip(&aes)).err(), Some(Opaque));
        assert_eq!(open_sm4(&key16, [9; 12], b"aad", &flip(&sm4)).err(), Some(Opaque));
    }
    for cut in 0..aes.len() {
        assert_eq!(open(&key, [9; 12], b"aad", &aes[..cut]).err(), Some(Opaque));
    }
    assert_eq!(open(&key, [8; 12], b"aad", &aes).err(), Some(Opaque));
    assert_eq!(open(&key, [9; 12], b"aae", &aes).err(), Some(Opaque));
    assert_eq!(open(&Secret::new([4; 32]), [9; 12], b"aad", &aes).err(), Some(Opaque));
}

#[test]
fn wrapped_keys_open_in_their_context_only() {
    let mut rng = TestRng::new(1);
    let (wrapping, key) = (Secret::random(&mut rng), Secret::random(&mut rng));
    let wrapped = wrap_key(&wrapping, &key, b"product 1", &mut rng).unwrap();
    assert_eq!(wrapped.len(), WRAPPED_KEY_BYTES);
    assert_eq!(unwrap_key(&wrapping, &wrapped, b"product 1").unwrap().expose(), key.expose());
    assert_eq!(unwrap_key(&wrapping, &wrapped, b"product 2").err(), Some(Opaque));
    assert_eq!(unwrap_key(&key, &wrapped, b"product 1").err(), Some(Opaque));
    assert_eq!(unwrap_key(&wrapping, &wrapped[1..], b"product 1").err(), Some(Opaque));
    assert_eq!(unwrap_key(&wrapping, &[], b"product 1").err(), Some(Opaque));
    let again = wrap_key(&wrapping, &key, b"product 1", &mut rng).unwrap();
    assert_ne!(wrapped[..12], again[..12], "nonces are fresh");
}
