//! Who we are to others: our DID, our DSP address, our signatures.
//!
//! Never shows the key: it stays behind [`crate::keys::Keys`].

use std::sync::Arc;

use tidm_crypto::hash::sha256;
use tidm_crypto::jws;
use tidm_crypto::sign::VerifyingKey;
use tidm_space::engine::node::Signer;
use tidm_space::evidence::fact::{Change, Fact, Links, What};
use tidm_space::id::Ids as _;
use tidm_space::identity::credential::MEMBERSHIP;
use tidm_space::identity::did::Did;
use tidm_space::identity::presentation::access;
use tidm_space::identity::presentation::scope::Scope;
use tidm_space::identity::token;
use tidm_space::time::Time;

use crate::clock::{Clock, FreshIds};
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
    /// Whether our tokens let their receiver see our membership.
    presents: bool,
}

impl Identity {
    pub fn new(did: Did, public_url: &str, keys: Arc<dyn Keys>) -> Self {
        let key_id = init::key_id(&did, &keys.identity().verifying_key());
        Self {
            did,
            public_url: public_url.trim_end_matches('/').to_owned(),
            key_id,
            keys,
            presents: false,
        }
    }

    /// The same, whose tokens let their receiver see its membership (DCP §4.3.1).
    #[must_use]
    pub fn presenting(self) -> Self {
        Self { presents: true, ..self }
    }

    /// A self-issued token for one request to `audience`, as this node's identity mode wants it.
    pub fn bearer(&self, audience: &Did, clock: &Clock) -> String {
        let membership = [Scope::kind(MEMBERSHIP)];
        self.token(audience, self.presents.then_some(membership.as_slice()), clock)
    }

    /// A self-issued token; with `scopes` it carries an access token to our wallet for its audience.
    pub fn token(&self, audience: &Did, scopes: Option<&[Scope]>, clock: &Clock) -> String {
        let Some(scopes) = scopes else {
            let claims = token::mint(&self.did, audience, &FreshIds.fresh(), clock.now());
            return self.sign_jwt(claims.to_string().as_bytes());
        };
        let access = access::mint(&self.did, audience, scopes, &FreshIds.fresh(), clock.now());
        let access = self.sign(access::TYP, access.to_string().as_bytes());
        self.token_with(audience, &access, clock)
    }

    /// A self-issued token that carries an access token of somebody, to be used there.
    pub fn token_with(&self, audience: &Did, access: &str, clock: &Clock) -> String {
        let jti = FreshIds.fresh();
        let claims = token::mint_with(&self.did, audience, &jti, clock.now(), access);
        self.sign_jwt(claims.to_string().as_bytes())
    }

    /// What became of a membership, as we tell it. `peer` is the other one.
    pub fn membership(
        &self,
        (peer, space): (&Did, &str),
        change: Change,
        credential: Option<&str>,
        now: Time,
    ) -> Fact {
        Fact {
            id: FreshIds.fresh(),
            at: now,
            by: self.did.clone(),
            links: Links { peer: Some(peer.clone()), ..Links::default() },
            what: What::Membership {
                change,
                space: space.to_owned(),
                credential: credential.map(|it| sha256(it.as_bytes())),
            },
        }
    }

    /// Where our issuer is.
    pub fn issuer_base(&self) -> String {
        format!("{}{}", self.public_url, init::ISSUER_PATH)
    }

    /// Our DSP base: what peers get as `callbackAddress`.
    pub fn dsp_base(&self) -> String {
        format!("{}{DSP_PATH}", self.public_url)
    }

    /// Our key access service, as OpenTDF's programs call it.
    pub fn key_service(&self) -> String {
        format!("{}/kas", self.public_url)
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
