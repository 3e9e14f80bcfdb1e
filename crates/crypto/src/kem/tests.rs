use super::*;
use crate::test_rng::TestRng;

#[test]
fn round_trip_and_tampering() {
    let mut rng = TestRng::new(2);
    let secret = KemSecret::generate(&mut rng);
    let public = KemPublic::from_bytes(&secret.public().to_bytes()).unwrap();
    let wrapped = seal(&public, b"info", b"aad", b"key", &mut rng).unwrap();
    let wrapped = Wrapped::from_bytes(&wrapped.to_bytes()).unwrap();
    assert_eq!(secret.open(&wrapped, b"info", b"aad").unwrap().expose(), b"key");
    let again = KemSecret::from_secret_bytes(secret.to_secret_bytes().expose()).unwrap();
    assert_eq!(again.open(&wrapped, b"info", b"aad").unwrap().expose(), b"key");

    assert_eq!(secret.open(&wrapped, b"infO", b"aad").err(), Some(Opaque));
    assert_eq!(secret.open(&wrapped, b"info", b"aae").err(), Some(Opaque));
    assert_eq!(KemSecret::generate(&mut rng).open(&wrapped, b"info", b"aad").err(), Some(Opaque));
    for index in 0..wrapped.to_bytes().len() {
        let mut bytes = wrapped.to_bytes();
        bytes[index] ^= 1;
        let wrapped = Wrapped::from_bytes(&bytes).unwrap();
        assert_eq!(secret.open(&wrapped, b"info", b"aad").err(), Some(Opaque), "{index}");
    }
}

#[test]
fn two_seals_differ() {
    let mut rng = TestRng::new(3);
    let public = KemSecret::generate(&mut rng).public();
    let one = seal(&public, b"i", b"a", b"same", &mut rng).unwrap();
    assert_ne!(one, seal(&public, b"i", b"a", b"same", &mut rng).unwrap());
}

#[test]
fn lengths_and_weak_points_are_refused() {
    let mut rng = TestRng::new(4);
    assert!(KemPublic::from_bytes(&[1; 31]).is_err());
    assert!(KemPublic::from_bytes(&[1; 33]).is_err());
    assert!(Wrapped::from_bytes(&[0; OVERHEAD_BYTES - 1]).is_err());
    assert!(Wrapped::from_bytes(&vec![0; OVERHEAD_BYTES + KEM_MAX_PLAINTEXT + 1]).is_err());
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [[0; 32], one] {
        let public = KemPublic::from_bytes(&weak).unwrap();
        assert_eq!(seal(&public, b"", b"", b"x", &mut rng), Err(Opaque));
        let wrapped = Wrapped::from_bytes(&[&weak[..], &[0; 16]].concat()).unwrap();
        assert_eq!(KemSecret::generate(&mut rng).open(&wrapped, b"", b"").err(), Some(Opaque));
    }
}
