//! Evidence of this machine, which goes along with a request for a key and with the renewal of its lease.
//!
//! ```text
//!   terms demand a trusted environment? → challenge of the provider's gate → this machine's evidence over nonce, one-time
//!   key and request → LeaseRequest with it; the same, with a new challenge, for each renewal
//! ```
//!
//! Threat model: the gate judges; nothing here raises a level. The one-time key is that of the process that uses the data
//! (worker or opening program) and its secret half never reaches this one, nor a disk. Must never ask without evidence
//! where terms demand it and this machine can make it, and never answer a challenge with evidence that was made before.

use reqwest::Method;

use tidm_attest::handshake::Nonce;
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::lease::message::{Renewal, Request};
use tidm_space::lease::state::Lease;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::usage::Use;
use tidm_space::wire::tidm::lease as wire;

use super::use_data::ask::{no_answer, refusal};
use super::workers;
use crate::app::App;
use crate::net::auth;

/// Whether evidence goes along with this request.
///
/// # Errors
/// [`Fault::Refused`] `attest.no-maker` where only evidence can meet the terms and this node makes none.
pub(super) fn needed(app: &App, contract: &Contract, it: &Request) -> Result<bool, Fault> {
    if !demanded(contract, it.kind) {
        return Ok(false);
    }
    if app.attest.makes() {
        return Ok(true);
    }
    let (me, now) = (app.identity.did.as_str(), app.clock.now());
    let without = workers::terms_of(contract, it, None, me, now);
    if without.is_ok() || workers::terms_attested(contract, it, me, now).is_err() {
        // It can be had without; or evidence would not help, and the gate says what is missing.
        return Ok(false);
    }
    let why = format!(
        "the contract with {} demands a trusted environment, and this node makes no evidence of one (attest.maker is not \"tsm\")",
        contract.peer
    );
    Err(Fault::refused("attest.no-maker", why))
}

/// Only where a key is released does it matter where the use takes place.
fn demanded(contract: &Contract, kind: Use) -> bool {
    matches!(kind, Use::SealedTable | Use::SealedFile)
        && contract.role == Role::Consumer
        && contract.terms().is_ok_and(|terms| terms.need_attestation())
}

/// Evidence for a request, where it needs any.
pub(super) async fn of_request(
    app: &App,
    contract: &Contract,
    it: &Request,
) -> Result<Option<Vec<u8>>, Fault> {
    if !needed(app, contract, it)? {
        return Ok(None);
    }
    let nonce = challenge(app, contract).await?;
    app.attest.evidence(nonce, &it.key, &it.attested().0).await.map(Some)
}

/// New evidence for a renewal, where its lease needed any and this node makes it. Without a maker the gate decides.
pub(super) async fn of_renewal(
    app: &App,
    contract: &Contract,
    held: &Lease,
    it: &Renewal,
) -> Result<Option<Vec<u8>>, Fault> {
    if !app.attest.makes() || !demanded(contract, held.request.kind) {
        return Ok(None);
    }
    let nonce = challenge(app, contract).await?;
    app.attest.evidence(nonce, &held.request.key, &it.attested().0).await.map(Some)
}

/// A fresh challenge of the provider's gate.
async fn challenge(app: &App, contract: &Contract) -> Result<Nonce, Fault> {
    let posting = wire::write_challenge_request(&uuid::Uuid::now_v7().into(), &contract.id);
    let url = format!("{}{}", contract.address, posting.path);
    let authorization = auth::speak(app, &contract.peer);
    let call = app.client.call(Method::POST, &url, authorization.as_deref(), Some(posting.body));
    let answer = call.await.map_err(|error| no_answer(&contract.peer, &error.to_string()))?;
    if !answer.status.is_success() {
        return Err(refusal(&contract.peer, answer.status.as_u16(), &answer.body));
    }
    wire::read_challenge(&answer.body).map(|(nonce, _)| nonce)
}
