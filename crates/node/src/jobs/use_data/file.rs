//! Sealed files: a lease for the program that opens one, and the sealed bytes for it to decrypt.
//!
//! Never sees the data key: it is wrapped to the key of the process that runs
//! [`crate::jobs::open_program`], which is the command line, not the node.

use std::sync::Arc;
use std::time::Duration;

use tidm_crypto::hash::Digest;
use tidm_space::catalog::delivery::Use;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::message::{Outcome, Request};
use tidm_space::lease::state::{Lease, State};
use tidm_space::limits::LEASE_MAX;
use tidm_space::negotiation::message::Role;
use tidm_space::time::Time;

use super::{ask, close, copy_of, count, failed, ours};
use crate::app::App;
use crate::jobs::renewing;
use crate::objects::{Key, Stream};
use crate::store::notes::Copy;
use crate::store::writer::WorkError;

/// What the opening program asks its node for.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    pub contract: Id,
    pub purpose: Option<String>,
    /// One-time X25519 public key of the opening process.
    pub key: [u8; 32],
    /// How long the program may run; the provider cuts it, at most [`LEASE_MAX`].
    pub span: Duration,
    /// The plaintext is to be written to a file: only where the contract permits handing on.
    pub export: bool,
}

/// A lease for one opening.
#[derive(Clone, Debug)]
pub struct OpenFile {
    pub lease: Id,
    pub contract: Id,
    pub until: Time,
    /// How long that is from now, so that two clocks need not agree.
    pub life: Duration,
    pub uses_left: Option<u64>,
    pub wrapped_key: Vec<u8>,
    /// The operator's share, where the key is split.
    pub wrapped_share: Option<Vec<u8>>,
    /// Of the sealed copy that [`sealed_copy`] streams.
    pub bytes: u64,
    pub sha256: Digest,
    /// The contract permits to hand the content on, so that `--export` is allowed.
    pub may_export: bool,
}

/// The sealed bytes of a contract's copy.
pub struct Sealed {
    pub bytes: u64,
    pub sha256: Digest,
    pub stream: Stream,
}

/// Gets a lease for one opening of the contract's sealed file.
///
/// # Errors
/// As [`super::query_sealed`]; [`Fault::Denied`] `policy.export` where an export is asked for and not permitted.
pub async fn open_file(app: &Arc<App>, it: OpenRequest) -> Result<OpenFile, WorkError> {
    let contract = ours(app, &it.contract).await?;
    let may_export = contract.terms().is_ok_and(|terms| terms.summary.export);
    if it.export && !may_export {
        let why = "the contract does not permit to hand the content on: open it with a program instead of exporting it";
        return Err(Fault::denied("policy.export", "odrl:distribute", why).into());
    }
    let copy = copy_of(app, &contract, "file").await?;
    let request = Request {
        contract: contract.id.clone(),
        kind: Use::SealedFile,
        nonce: ask::nonce(),
        key: it.key,
        purpose: it.purpose,
        query: None,
        items: None,
        epsilon: None,
        span: it.span.min(LEASE_MAX),
    };
    let app = app.clone();
    // Goes on when the caller goes away: a lease that was granted is kept and ends by itself.
    let asking = tokio::spawn(async move {
        let ask::Keyed { grant, wrapped, share } = ask::keyed(&app, &contract, request).await?;
        let life = grant.until.since(app.clock.now());
        Ok(OpenFile {
            lease: grant.lease,
            contract: grant.contract,
            until: grant.until,
            life,
            uses_left: grant.uses_left,
            wrapped_key: wrapped,
            wrapped_share: share,
            bytes: copy.bytes,
            sha256: copy.digest,
            may_export,
        })
    });
    asking.await.map_err(|_| Fault::ApiMisuse("an opening's task panicked"))?
}

/// The sealed bytes for an open lease of ours.
pub async fn sealed_copy(app: &App, lease: &Id) -> Result<Sealed, WorkError> {
    let it = standing(app, lease).await?;
    if it.state != State::Granted || it.until <= app.clock.now() {
        return Err(Fault::denied(
            "lease.ended",
            "lease",
            "this lease is over: open the file again",
        )
        .into());
    }
    let contract = ours(app, &it.request.contract).await?;
    streamed(app, copy_of(app, &contract, "file").await?).await
}

/// The bytes of a copy.
pub(super) async fn streamed(app: &App, copy: Copy) -> Result<Sealed, WorkError> {
    let object = |why: crate::objects::ObjectError| WorkError::Store(why.to_string());
    let key = Key::parse(&copy.object).map_err(object)?;
    let stream = app.objects.stream(&key, 0..copy.bytes).await.map_err(object)?;
    Ok(Sealed { bytes: copy.bytes, sha256: copy.digest, stream })
}

/// What came of an opening: `bytes` of plaintext were shown to the program.
pub async fn close_file(app: &App, lease: &Id, done: bool, bytes: u64) -> Result<(), WorkError> {
    standing(app, lease).await?;
    count("sealed-file", done);
    close(app, lease, Outcome { done, rows: 0, bytes, result: None }).await
}

/// An opening's lease, as it stands here.
pub async fn standing(app: &App, lease: &Id) -> Result<Lease, WorkError> {
    let found = app.store.lease(lease).await.map_err(failed)?;
    let it = found.filter(|it| it.role == Role::Consumer && it.request.kind == Use::SealedFile);
    Ok(it.ok_or(Fault::NotFound { what: "lease" })?)
}

/// Asks the gate to let an opening go on. `Err`: its no, which ends the use; else how the lease stands now.
pub async fn renew_file(app: &App, lease: &Id) -> Result<Lease, WorkError> {
    let it = standing(app, lease).await?;
    let contract = ours(app, &it.request.contract).await?;
    renewing::once(app, &contract, lease).await?;
    standing(app, lease).await
}
