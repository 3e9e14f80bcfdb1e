//! Sealed files for programs that speak OpenTDF: an access token to the provider's key service, and the sealed bytes.
//!
//! Never sees a key: the program asks the provider's service itself, whose gate decides and counts. Threat model: the
//! token opens keys of one contract at one service for some minutes; whoever has it may spend that contract's uses.

use std::fs::File;

use tidm_crypto::rsa::RsaPublic;
use tidm_crypto::tdf::Container;
use tidm_space::engine::node::Signer as _;
use tidm_space::fault::Fault;
use tidm_space::id::{Id, Ids as _};
use tidm_space::identity::program::{self, Program};
use tidm_space::time::Time;

use super::file::{Sealed, streamed};
use super::{copy_of, ours, spool};
use crate::app::App;
use crate::clock::FreshIds;
use crate::jobs::split;
use crate::store::writer::WorkError;

/// What a program needs besides the sealed bytes.
#[derive(Clone, Debug)]
pub struct ProgramFile {
    /// Address of the provider's key service, as the file names it.
    pub service: String,
    pub token: String,
    pub until: Time,
}

/// An access token for a program of ours. `signer` is the PEM of the RSA key that it signs its requests with.
///
/// # Errors
/// [`Fault::Denied`] `policy.export` where the contract does not permit to hand the content on; `use.not-delivered`.
pub async fn program(
    app: &App,
    contract: &Id,
    purpose: Option<String>,
    signer: Option<String>,
) -> Result<ProgramFile, WorkError> {
    let contract = ours(app, contract).await?;
    permitted(contract.terms().is_ok_and(|terms| terms.summary.export))?;
    if split::operator_of(&contract).is_some() {
        let why = "the key of this file is split with an operator: open it with `tidm use open`";
        return Err(Fault::denied("split.program", "tidm:keyOperator", why).into());
    }
    if signer.as_ref().is_some_and(|it| RsaPublic::from_pem(it).is_err()) {
        let why = "the signer is not the PEM of an RSA public key of 2048 to 4096 bits";
        return Err(Fault::refused("kas.signer", why).into());
    }
    let copy = copy_of(app, &contract, "file").await?;
    let local = spool::local(app, &copy.object).await;
    let local = local.map_err(|why| WorkError::Store(why.to_string()))?;
    let path = local.path().to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let container = Container::open(File::open(path)?)?;
        let first = container.manifest().key_access.first().map(|it| it.url.clone());
        Ok::<_, tidm_crypto::tdf::TdfFault>(first.unwrap_or_default())
    });
    let service = read.await.map_err(|_| Fault::ApiMisuse("reading a manifest panicked"))?;
    let service = service.map_err(|why| Fault::refused("kas.container", why.to_string()))?;
    let it = Program {
        of: app.identity.did.clone(),
        service: service.clone(),
        contract: contract.id.clone(),
        purpose,
        signer,
    };
    let (claims, until) = program::mint(&it, &FreshIds.fresh(), app.clock.now());
    let token = app.identity.sign(program::TYP, claims.to_string().as_bytes());
    Ok(ProgramFile { service, token, until })
}

/// The sealed bytes of a contract whose content may be handed on.
pub async fn program_copy(app: &App, contract: &Id) -> Result<Sealed, WorkError> {
    let contract = ours(app, contract).await?;
    permitted(contract.terms().is_ok_and(|terms| terms.summary.export))?;
    streamed(app, copy_of(app, &contract, "file").await?).await
}

fn permitted(export: bool) -> Result<(), WorkError> {
    if export {
        return Ok(());
    }
    let why =
        "the contract does not permit to hand the content on: open it with `tidm use open` instead";
    Err(Fault::denied("policy.export", "odrl:distribute", why).into())
}
