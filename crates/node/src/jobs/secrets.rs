//! Credentials in the address of a push, as they are kept: wrapped by the contract's key.
//!
//! Threat model: a thief of the store or of a backup finds ciphertext; the key lies in the directory of keys, which is
//! no part of a backup, and is destroyed when the contract ends. What is wrapped is bound to its contract and to its
//! property's name, so that it opens nowhere else.
//!
//! Never a credential in a log, an error or an answer: [`DataAddress`] shows names alone.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand_core::Rng as _;

use tidm_crypto::aead::{self, NONCE_BYTES};
use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain;
use tidm_space::catalog::delivery::S3_ADDRESS;
use tidm_space::id::Id;
use tidm_space::transfer::message::DataAddress;

use crate::app::App;
use crate::random::os;

/// Before each wrapped value. Nothing that a peer sends begins so and is believed: it is wrapped once more.
const WRAPPED: &str = "tidm:wrapped:";

fn context(contract: &Id, name: &str) -> Vec<u8> {
    tuple(
        domain::ADDRESS_SECRET,
        vec![Value::Text(contract.to_string()), Value::Text(name.to_owned())],
    )
}

/// An address of a bucket as it is kept. Other addresses hold a token of one transfer alone, which dies with it.
pub fn wrap(app: &App, contract: &Id, mut it: DataAddress) -> anyhow::Result<DataAddress> {
    if it.endpoint_type != S3_ADDRESS {
        return Ok(it);
    }
    let key = app.keys.contract_key(contract)?;
    for (name, value) in &mut it.properties {
        if !DataAddress::is_secret(name) {
            continue;
        }
        let mut nonce = [0; NONCE_BYTES];
        os().fill_bytes(&mut nonce);
        let sealed = aead::seal(&key, nonce, &context(contract, name), value.as_bytes())?;
        *value = format!("{WRAPPED}{}", STANDARD.encode([&nonce[..], &sealed].concat()));
    }
    Ok(it)
}

/// The address as it came, for who calls it.
pub fn unwrap(app: &App, contract: &Id, it: &DataAddress) -> anyhow::Result<DataAddress> {
    let mut it = it.clone();
    for (name, value) in &mut it.properties {
        let Some(wrapped) = value.strip_prefix(WRAPPED).filter(|_| DataAddress::is_secret(name))
        else {
            continue;
        };
        let key = app.keys.get(contract)?.context("a credential whose key is gone")?;
        let bytes = STANDARD.decode(wrapped)?;
        let (nonce, sealed) = bytes.split_first_chunk().context("a credential that is cut off")?;
        let plain = aead::open(&key, *nonce, &context(contract, name), sealed)?;
        *value = String::from_utf8(plain.expose().clone())?;
    }
    Ok(it)
}
