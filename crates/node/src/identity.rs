//! Who we are to others: our DID, our DSP address, our signatures.
//!
//! Never shows the key: it stays behind [`crate::keys::Keys`].

use std::sync::Arc;

use tidm_crypto::jws;
use tidm_crypto::sign::SigningKey;
use tidm_space::engine::node::Signer;
use tidm_space::identity::did::Did;

/// Path of our DSP endpoints below the public URL.
pub const DSP_PATH: &str = "/dsp/2025-1";
/// Fragment of our identity key's id.
pub const KEY_FRAGMENT: &str = "identity";

/// Our identity; cheap to clone.
#[derive(Clone)]
pub struct Identity {
    pub did: Did,
    /// What others see before every path, without a trailing slash.
    pub public_url: String,
    key: Arc<SigningKey>,
}

impl Identity {
    pub fn new(did: Did, public_url: &str, key: Arc<SigningKey>) -> Self {
        Self { did, public_url: public_url.trim_end_matches('/').to_owned(), key }
    }

    /// Our DSP base: what peers get as `callbackAddress`.
    pub fn dsp_base(&self) -> String {
        format!("{}{DSP_PATH}", self.public_url)
    }

    pub fn key_id(&self) -> String {
        format!("{}#{KEY_FRAGMENT}", self.did)
    }

    pub fn sign_jwt(&self, payload: &[u8]) -> String {
        jws::sign(&self.key_id(), "JWT", payload, &self.key)
    }

    pub fn verifying_key(&self) -> tidm_crypto::sign::VerifyingKey {
        self.key.verifying_key()
    }
}

impl Signer for Identity {
    fn sign(&self, typ: &str, payload: &[u8]) -> String {
        jws::sign(&self.key_id(), typ, payload, &self.key)
    }
}
