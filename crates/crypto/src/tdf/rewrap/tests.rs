//! Both kinds of client keys, and what a client does with the answer.

use sm2::pke::DecryptingKey;

use super::*;
use crate::{rsa, test_hex::hex, test_rng::TestRng};

#[test]
fn an_rsa_client_gets_its_share() {
    let mut rng = TestRng::new(3);
    let share = Secret::new([9; 32]);
    let session = ClientKey::from_pem(rsa::tests::PEM).unwrap().session(&mut rng).unwrap();
    assert_eq!(session.session_key, None);
    assert_eq!(rsa::tests::decrypt(&session.wrap(&share, &mut rng).unwrap()), share.expose());
}

#[test]
fn an_elliptic_client_gets_its_share() {
    let mut rng = TestRng::new(4);
    let share = Secret::new([9; 32]);
    let client = one_time(&mut rng).unwrap();
    let pem = spki::write_p256(client.public_key().to_sec1_point(false).as_bytes()).unwrap();
    let key = ClientKey::from_pem(&pem).unwrap();
    assert_eq!(key, ClientKey::P256(client.public_key()));
    let session = key.session(&mut rng).unwrap();
    let wrapped = session.wrap(&share, &mut rng).unwrap();
    // The client's side: its own key and our one-time one.
    let ClientKey::P256(ours) = ClientKey::from_pem(&session.session_key.unwrap()).unwrap() else {
        panic!("a session key of another kind");
    };
    let (nonce, rest) = wrapped.split_first_chunk().unwrap();
    let open = |key: &Secret<[u8; 32]>| aead::open(key, *nonce, b"", rest);
    assert_eq!(open(&agree(&client, &ours).unwrap()).unwrap().expose(), share.expose());
    let other = one_time(&mut rng).unwrap();
    assert!(open(&agree(&other, &ours).unwrap()).is_err());
}

#[test]
fn a_key_service_opens_what_was_wrapped_to_it() {
    let mut rng = TestRng::new(5);
    let (seed, share) = (Secret::new([1; 32]), Secret::new([9; 32]));
    let service = KasKey::from_seed(&seed).unwrap();
    let session =
        ClientKey::from_pem(&service.public_pem().unwrap()).unwrap().session(&mut rng).unwrap();
    let wrapped = session.wrap(&share, &mut rng).unwrap();
    let ephemeral = session.session_key.unwrap();
    let again = KasKey::from_seed(&seed).unwrap();
    assert_eq!(again.unwrap(&ephemeral, &wrapped).unwrap().expose(), share.expose());
    let other = KasKey::from_seed(&Secret::new([2; 32])).unwrap();
    assert!(other.unwrap(&ephemeral, &wrapped).is_err());
    for bad in [&wrapped[..59], &wrapped[..5], &[]] {
        assert!(service.unwrap(&ephemeral, bad).is_err());
    }
    assert!(service.unwrap("no key", &wrapped).is_err());
}

#[test]
fn points_off_the_curve_are_refused() {
    for point in [vec![], vec![0], vec![4; 65], [vec![4], vec![0; 64]].concat()] {
        let pem = spki::write_p256(&point).unwrap();
        assert!(ClientKey::from_pem(&pem).is_err());
    }
}

/// GB/T 32918.5-2017, annex C.2: the standard's own ciphertext opens under its own key.
#[test]
fn gb_t_32918_5_annex_c_sm2_encryption() {
    let key = hex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8");
    let sealed = hex("04 04EBFC718E8D1798620432268E77FEB6415E2EDE0E073C0F4F640ECD2E149A73
         E858F9D81E5430A57B36DAAB8F950A3C64E6EE6A63094D99283AFF767E124DF0
         59983C18F809E262923C53AEC295D30383B54E39D609D160AFCB1908D0BD8766
         21886CA989CA9C7D58087307CA93092D651EFA");
    let key = DecryptingKey::new(sm2::SecretKey::from_slice(&key).unwrap());
    assert_eq!(key.decrypt(&sealed).unwrap(), b"encryption standard");
}

#[test]
fn an_sm2_client_gets_its_share() {
    let mut rng = TestRng::new(6);
    let share = Secret::new([9; 32]);
    let secret = sm2::SecretKey::from_slice(&[7; 32]).unwrap();
    let pem = spki::write_sm2(&secret.public_key().to_sec1_bytes()).unwrap();
    let key = ClientKey::from_pem(&pem).unwrap();
    assert_eq!((key.suite(), &key), (Suite::Guomi, &ClientKey::Sm2(secret.public_key())));
    let session = key.session(&mut rng).unwrap();
    let mut wrapped = session.wrap(&share, &mut rng).unwrap();
    assert_eq!(DecryptingKey::new(secret.clone()).decrypt(&wrapped).unwrap(), share.expose());
    if let Some(last) = wrapped.last_mut() {
        *last ^= 1;
    }
    assert!(DecryptingKey::new(secret).decrypt(&wrapped).is_err());
}
