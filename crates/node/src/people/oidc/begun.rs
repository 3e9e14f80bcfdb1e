//! A sign-in that has begun, sealed into the handle that its browser holds: nothing is kept here for it, so that nobody
//! who begins without end keeps others out, and any replica ends it.
//!
//! ```text
//!   1 version ‖ 32 salt ‖ sealed body ‖ 16 tag
//!   body: 8 until (ms) ‖ 43 state ‖ 43 nonce ‖ 43 verifier
//! ```
//!
//! Threat model: a handle comes back from outside. It opens under a key of this node alone, made of the people's key and
//! the handle's own salt so that no nonce is used twice, and all of it is authenticated before any of it is read.
//! It opens again until its time is over: what ended well is remembered by [`Begun::mark`], and what ended badly was a
//! try with a code that the provider takes once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use tidm_crypto::aead::{NONCE_BYTES, TAG_BYTES, open, seal};
use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain::PEOPLE_LOGIN;
use tidm_crypto::hash::sha256;
use tidm_crypto::secret::Secret;
use tidm_space::time::Time;

use crate::accounts::{digest, secret};
use crate::random;

const VERSION: u8 = 1;
const SALT_BYTES: usize = 32;
/// 32 random bytes in base64.
const WORD_BYTES: usize = 43;
const BODY_BYTES: usize = 8 + 3 * WORD_BYTES;
const HANDLE_BYTES: usize = 1 + SALT_BYTES + BODY_BYTES + TAG_BYTES;
/// A key encrypts one body only.
const ONCE: [u8; NONCE_BYTES] = [0; NONCE_BYTES];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) until: Time,
}

impl Begun {
    pub(super) fn fresh(until: Time) -> Self {
        Self { state: secret(), nonce: secret(), verifier: secret(), until }
    }

    /// The handle; `None` stands for a fault of our own.
    pub(super) fn seal(&self, key: &Secret<[u8; 32]>) -> Option<String> {
        let salt = random::key();
        let mut body = self.until.ms().to_be_bytes().to_vec();
        for word in [&self.state, &self.nonce, &self.verifier] {
            body.extend_from_slice(word.as_bytes());
        }
        if body.len() != BODY_BYTES {
            return None;
        }
        let sealed = seal(&own_key(key, salt.expose()), ONCE, &binding(), &body).ok()?;
        Some(URL_SAFE_NO_PAD.encode([[VERSION].as_slice(), salt.expose(), &sealed].concat()))
    }

    /// What [`Self::seal`] made, unless its time is over.
    pub(super) fn open(handle: &str, key: &Secret<[u8; 32]>, now: Time) -> Option<Self> {
        if handle.len() > HANDLE_BYTES * 2 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(handle).ok()?;
        let (version, rest) = bytes.split_first()?;
        let (salt, sealed) = rest.split_first_chunk::<SALT_BYTES>()?;
        if *version != VERSION || bytes.len() != HANDLE_BYTES {
            return None;
        }
        let body = open(&own_key(key, salt), ONCE, &binding(), sealed).ok()?;
        let (until, words) = body.expose().split_first_chunk::<8>()?;
        let mut words =
            words.chunks_exact(WORD_BYTES).map(|it| String::from_utf8(it.to_vec()).ok());
        let mut word = || words.next().flatten();
        let (state, nonce, verifier) = (word()?, word()?, word()?);
        let until = Time::from_ms(i64::from_be_bytes(*until));
        (now < until).then_some(Self { state, nonce, verifier, until })
    }

    /// By which one that ended well is known again; tells nothing else.
    pub(super) fn mark(&self) -> String {
        digest(&self.state)
    }
}

fn own_key(key: &Secret<[u8; 32]>, salt: &[u8; SALT_BYTES]) -> Secret<[u8; 32]> {
    let items = vec![Value::Bytes(key.expose().to_vec()), Value::Bytes(salt.to_vec())];
    let input = zeroize::Zeroizing::new(tuple(PEOPLE_LOGIN, items));
    Secret::new(sha256(&input).0)
}

fn binding() -> Vec<u8> {
    tuple(PEOPLE_LOGIN, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_opens_whole_here_and_in_time() {
        let key = Secret::new([7; 32]);
        let it = Begun::fresh(Time::from_ms(1000));
        let handle = it.seal(&key).unwrap();
        assert_eq!(Begun::open(&handle, &key, Time::from_ms(999)), Some(it.clone()));
        assert_eq!(Begun::open(&handle, &key, Time::from_ms(1000)), None, "its time is over");
        assert_eq!(Begun::open(&handle, &Secret::new([8; 32]), Time::ZERO), None, "another node's");
        assert_ne!(it.seal(&key).unwrap(), handle);
        let bytes = URL_SAFE_NO_PAD.decode(&handle).unwrap();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert_eq!(Begun::open(&URL_SAFE_NO_PAD.encode(altered), &key, Time::ZERO), None);
            assert_eq!(Begun::open(&URL_SAFE_NO_PAD.encode(&bytes[..at]), &key, Time::ZERO), None);
        }
        for wrong in ["", "x", "====", "不", &"A".repeat(1 << 20), &format!("{handle}AAAA")] {
            assert_eq!(Begun::open(wrong, &key, Time::ZERO), None);
        }
    }
}
