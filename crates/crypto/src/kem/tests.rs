use super::*;
use crate::{test_hex::hex, test_rng::TestRng};

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

/// Draws the given bytes, once.
struct Fixed(Vec<u8>);

impl rand_core::TryRng for Fixed {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        unreachable!("the KEM draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        unreachable!("the KEM draws bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        out.copy_from_slice(&self.0.drain(..out.len()).collect::<Vec<_>>());
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Fixed {}

/// The RFC 9180 vector file's base-mode case of our suite (KEM 0x20, KDF 1, AEAD 2): keys and
/// encapsulation as published. The first ciphertext was computed with an independent
/// implementation that reproduces RFC 9180 appendix A.1.1.
#[test]
fn rfc9180_vector_of_our_suite() {
    let ikm_e = hex("2cd7c601cefb3d42a62b04b7a9041494c06c7843818e0ce28a8f704ae7ab20f9");
    let secret = hex("497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d");
    let public = hex("430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c");
    let sealed = hex("6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256
         e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be99319
         80a41de125a925cdad859d5b7a");
    let (info, aad) = (b"Ode on a Grecian Urn", b"Count-0");
    let plain = b"Beauty is truth, truth beauty";

    let secret = KemSecret::from_secret_bytes(&secret.try_into().unwrap()).unwrap();
    assert_eq!(secret.public().to_bytes().to_vec(), public);
    let wrapped = seal(&secret.public(), info, aad, plain, &mut Fixed(ikm_e)).unwrap();
    assert_eq!(wrapped.to_bytes(), sealed);
    let wrapped = Wrapped::from_bytes(&sealed).unwrap();
    assert_eq!(secret.open(&wrapped, info, aad).unwrap().expose(), plain);
}
