//! Who we are to others: our DID, our DSP address, our signatures.
//!
//! Never shows the key: it stays behind [`crate::keys::Keys`].

use std::sync::Arc;

use tidm_crypto::jws;
use tidm_crypto::sign::VerifyingKey;
use tidm_space::engine::node::Signer;
use tidm_space::identity::did::Did;

use crate::init;
use crate::keys::Keys;

/// Path of our DSP endpoints below the public URL.
pub const DSP_PATH: &str = init::DSP_PATH;

/// Our identity; cheap to clone.
#[derive(Clone)]
pub struct Identity {
    pub did: Did,
    /// What others see before every path, without a trailing slash.
    pub public_url: String,
    key_id: String,
    keys: Arc<dyn Keys>,
}

impl Identity {
    pub fn new(did: Did, public_url: &str, keys: Arc<dyn Keys>) -> Self {
        let key_id = init::key_id(&did, &keys.identity().verifying_key());
        Self { did, public_url: public_url.trim_end_matches('/').to_owned(), key_id, keys }
    }

    /// Our DSP base: what peers get as `callbackAddress`.
    pub fn dsp_base(&self) -> String {
        format!("{}{DSP_PATH}", self.public_url)
    }

    /// `did#thumbprint`, as our document names the key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    pub fn sign_jwt(&self, payload: &[u8]) -> String {
        self.sign("JWT", payload)
    }

    pub fn verifying_key(&self) -> VerifyingKey {
        self.keys.identity().verifying_key()
    }

    /// Our DID document.
    pub fn document(&self) -> serde_json::Value {
        init::did_document(&self.did, &self.public_url, &self.verifying_key())
    }
}

impl Signer for Identity {
    fn sign(&self, typ: &str, payload: &[u8]) -> String {
        jws::sign(&self.key_id, typ, payload, self.keys.identity())
    }
}
