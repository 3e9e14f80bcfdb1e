//! A key and a signature that OpenSSL made; what OAEP made is opened with the key's private exponent.

use proptest::prelude::*;

use super::*;
use crate::{test_hex::hex, test_rng::TestRng};

pub(crate) const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA4rPVdzXrjRM4v7eyAneE\n\
    s2Xr4XmUq0Vn1q2vRP+rkby97XzOJxthN82/TEI+32dGAkloLK2GJi1CBPIwBh3u\n\
    ltl/dBGZZm9KNkMq1HzRSDpR1auqcV3fpWbED+jjsaKi4HEmM/QTYiRkYe07iZZP\n\
    U45WL0G1zMlHOOjFvNkKhUiKeYoTmjB05hKgczG0oUaQ3jrc2euc8LuKcb5iAmLI\n\
    sfHMZEAknP4Jh5rHouJrwLT5JBOMquibCtkBpsed8xJLYom7fOJHw0WU4MzLrxf9\n\
    lhTEQ1Zk36CLORLUTIQqQ6cyUkoPtSxrQaSkwhIPRDfKnt+3A1tIwxYuiMMAcNfI\n\
    PQIDAQAB\n\
    -----END PUBLIC KEY-----\n";
const PRIVATE: &str =
    "0d922206b35c739856ced4927191b1b36d8d5674de95f6c9d5b0eb00e5e48c37b0ba429232b171bb3df3f97ed90b
     00407c2039d366db2a20e3c6ae5acff0431940fc34b8b2fbf8a5dd795d85d527a5666702094c8d8c718d675ea2ec
     82e8de29583c886d6c15d6f657be01a36299496161456929caab6f7c75d1d563232e528bc81e8d42c23b88af6ea2
     2bcc32cf29429cc7a4c98b19d1c3ed43fcf586c26092428bddeb8a7b2be7df19a3c3ec574cab781cca7c24378e89
     44344d96a181b94927d336b486d21310f5a2ddc0f5d4447a3ddc057b5d822958507db0f1c01d44d95ff3b09d708f
     6dfa3a255ec5b837d3326125d6a014c619c278f46eaedf38d51f";
/// RS256 over `header.payload`.
const SIGNATURE: &str =
    "bf87510850f40d97f2041f0f4f7fd8d56b8fdd6390ef25b17bb9bee7ebd1ad2b2822c2c30500d5657c16eb26a35c
     f66bf56a2403ce77aa386aabaefbc90b996b43d43c075bd045d99d664b5ba44f34e83448c69aeb98f566f0eba290
     d5f8105114fcb342c82f635aaeed04b8e5d928ca8880fb1e1c83ef20c07fb8c7839035d1d5cbd33c740eb8bf5e9a
     20b00e2bcde3adb02854cc344414d4066fb1eeba4fd7b0cf71f39a824525e5bc0b0407b8a04b0b85d2bfe98ce02f
     ff582d19088ac1d82e885a23351c5ed96378b1d161d5509bda59a16f4fb16060bf6264201b1ca2bd25a695a520c2
     2157cf70a2afe6df23e0c6dbc11e7395b6af7291c94aef5ad378";

/// RFC 8017 §7.1.2 with SHA-1, for the key above.
pub(crate) fn decrypt(ciphertext: &[u8]) -> Vec<u8> {
    const LIMBS: usize = 256 / LIMB;
    let number = |bytes: &[u8]| Uint::<LIMBS>::from_be_slice(bytes);
    let key = RsaPublic::from_pem(PEM).unwrap();
    let odd = Option::<Odd<Uint<LIMBS>>>::from(number(&key.0).to_odd()).unwrap();
    let params = FixedMontyParams::new_vartime(odd);
    let form = FixedMontyForm::new(&number(ciphertext), &params);
    let plain = form.pow(&number(&hex(PRIVATE))).retrieve().to_be_bytes();
    let (mut seed, mut data) = (plain.as_ref()[1..21].to_vec(), plain.as_ref()[21..].to_vec());
    assert_eq!(plain.as_ref()[0], 0);
    mask(&mut seed, &data);
    mask(&mut data, &seed);
    assert_eq!(data[..20], Sha1::digest(b"")[..]);
    let start = data[20..].iter().position(|it| *it != 0).unwrap() + 20;
    assert_eq!(data[start], 1);
    data[start + 1..].to_vec()
}

#[test]
fn what_is_encrypted_opens_with_the_private_key() {
    let key = RsaPublic::from_pem(PEM).unwrap();
    let mut rng = TestRng::new(1);
    for length in [0, 1, 32, 214] {
        let message = vec![7; length];
        let first = key.encrypt_oaep(&message, &mut rng).unwrap();
        assert_eq!(decrypt(&first), message);
        assert_ne!(first, key.encrypt_oaep(&message, &mut rng).unwrap(), "padding is random");
    }
    assert!(key.encrypt_oaep(&[7; 215], &mut rng).is_err());
}

#[test]
fn a_signature_of_openssl_verifies_and_no_other() {
    let key = RsaPublic::from_pem(PEM).unwrap();
    let good = hex(SIGNATURE);
    key.verify_rs256(b"header.payload", &good).unwrap();
    assert!(key.verify_rs256(b"header.payloae", &good).is_err());
    let mut bad = good.clone();
    bad[100] ^= 1;
    let past = key.modulus().to_vec();
    for signature in [&bad[..], &good[1..], &[], &past, &[0; 256]] {
        assert!(key.verify_rs256(b"header.payload", signature).is_err());
    }
}

#[test]
fn other_keys_are_refused() {
    let modulus = RsaPublic::from_pem(PEM).unwrap().0;
    let mut even = modulus.clone();
    even[255] ^= 1;
    let mut short = modulus.clone();
    short[0] = 1;
    for (modulus, exponent) in [
        (even, &[1, 0, 1][..]),
        (short, &[1, 0, 1]),
        (modulus[..128].to_vec(), &[1, 0, 1]),
        (modulus.clone(), &[3]),
        (vec![], &[1, 0, 1]),
    ] {
        assert!(RsaPublic::new(modulus, exponent).is_err());
    }
    for bad in
        ["", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", &PEM[..300], &PEM.repeat(9)]
    {
        assert!(RsaPublic::from_pem(bad).is_err());
    }
}

proptest! {
    #[test]
    fn any_der_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..80), at in 0_usize..390, to in any::<u8>()) {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let pem = |der: &[u8]| {
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(der))
        };
        prop_assert!(RsaPublic::from_pem(&pem(&bytes)).is_err());
        let mut text = PEM.as_bytes().to_vec();
        text[at] = to;
        drop(RsaPublic::from_pem(&String::from_utf8_lossy(&text)));
    }
}
