//! Key release: the one place where a data key leaves its wrapping, and only towards one lease's key.
//!
//! Threat model: a key goes out only after its lease and debit are durable, wrapped (HPKE) to the one-time
//! key that the lease names and bound to lease and contract; a destroyed contract key can release nothing.
//! Not protected against: what the holder of that one-time key does with an open key (level E1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::secret::Secret;
use tidm_crypto::{aead, domain, kem};
use tidm_space::catalog::delivery::Use;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::message::{Grant, Request};

use crate::app::App;
use crate::keys::KeyError;
use crate::random::os;
use crate::store::notes::Seal;
use crate::store::writer::WorkError;

/// What the wrapped key is bound to: this lease of this contract.
pub fn associated_data(lease: &Id, contract: &Id) -> Vec<u8> {
    tuple(
        domain::LEASE_KEY,
        vec![Value::Text(lease.to_string()), Value::Text(contract.to_string())],
    )
}

/// What a data key at rest is bound to.
fn context(contract: &Id) -> Vec<u8> {
    tuple(domain::WRAP_KEY, vec![Value::Text(contract.to_string())])
}

/// Wraps a fresh data key under the contract's key, for the store.
pub fn wrap_at_rest(app: &App, contract: &Id, key: &Secret<[u8; 32]>) -> anyhow::Result<String> {
    let wrapping = app.keys.contract_key(contract)?;
    let wrapped = aead::wrap_key(&wrapping, key, &context(contract), &mut os())?;
    Ok(STANDARD.encode(wrapped))
}

/// The data key of a seal, or our share of it, opened. It lives no longer than the caller needs it.
pub fn open_at_rest(app: &App, seal: &Seal) -> Result<Secret<[u8; 32]>, Fault> {
    open_wrapped(app, &seal.contract, &seal.wrapped_key)?
        .ok_or(Fault::ApiMisuse("a wrapped key that its contract's key does not open"))
}

/// The key that [`wrap_at_rest`] wrapped for this contract; `None` if it did not make these bytes.
pub fn open_wrapped(
    app: &App,
    contract: &Id,
    wrapped: &str,
) -> Result<Option<Secret<[u8; 32]>>, Fault> {
    let wrapping = match app.keys.get(contract) {
        Ok(Some(key)) => key,
        Ok(None) | Err(KeyError::Destroyed) => {
            return Err(Fault::denied(
                "key.destroyed",
                "contract",
                "the key of this contract was destroyed",
            ));
        }
        Err(error) => {
            tracing::error!(%error, %contract, "the contract key cannot be read");
            return Err(Fault::Unavailable {
                reason: "the key store does not answer".to_owned(),
                retry_after: RETRY,
            });
        }
    };
    let Ok(wrapped) = STANDARD.decode(wrapped) else { return Ok(None) };
    Ok(aead::unwrap_key(&wrapping, &wrapped, &context(contract)).ok())
}

const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// Looks at what a release would need before the gate is asked: a key that nothing can be wrapped to must not cost a use.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `lease.key`.
pub fn prepare(request: &Request) -> Result<(), Fault> {
    match request.kind {
        Use::Query | Use::Plain | Use::Psi => Ok(()),
        Use::SealedTable | Use::SealedFile => seal_to(&request.key, b"", &[]).map(drop),
    }
}

fn seal_to(key: &[u8; 32], aad: &[u8], text: &[u8]) -> Result<kem::Wrapped, Fault> {
    let recipient = kem::KemPublic::from_bytes(key)
        .map_err(|_| Fault::misbehaved("lease.key", "the one-time key is not an X25519 key"))?;
    kem::seal(&recipient, domain::LEASE_KEY.as_bytes(), aad, text, &mut os())
        .map_err(|_| Fault::misbehaved("lease.key", "nothing can be wrapped to this one-time key"))
}

/// What leaves under one lease.
pub struct Released {
    /// The data key, or our share of it, under the lease's one-time key.
    pub wrapped: Vec<u8>,
    /// As in [`Seal::deposit`].
    pub deposit: String,
}

/// The data key, wrapped to the lease's one-time key. Queries at the provider need none.
pub async fn wrap(
    app: &App,
    request: &Request,
    grant: &Grant,
) -> Result<Option<Released>, WorkError> {
    match request.kind {
        Use::Query | Use::Plain | Use::Psi => return Ok(None),
        Use::SealedTable | Use::SealedFile => {}
    }
    let found =
        app.store.seal(&request.contract).await.map_err(|why| WorkError::Store(why.to_string()))?;
    let seal = found.ok_or_else(|| {
        Fault::refused(
            "lease.not-sealed",
            "nothing was sealed for this contract yet: request a transfer first",
        )
    })?;
    let key = open_at_rest(app, &seal)?;
    let aad = associated_data(&grant.lease, &grant.contract);
    let wrapped = seal_to(&request.key, &aad, key.expose())?.to_bytes();
    Ok(Some(Released { wrapped, deposit: seal.deposit }))
}
