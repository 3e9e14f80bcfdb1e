//! Who calls: the bearer token of a started transfer, and whether that transfer may still be used.
//!
//! Threat model: the caller is any program on the network. A token is a transfer's id and 32 random bytes, of
//! which only a digest is kept, and it opens nothing but its own transfer's contract. Unknown, wrong and dead
//! tokens get one answer; only who shows the right token hears more (expired, suspended). A token for downloads
//! is none here and the other way round: the digests have different domains.
//!
//! Never remembers a yes: each call asks the store, and what runs is asked about again every [`LOOK`].

use std::time::Duration;

use tonic::metadata::MetadataMap;

use tidm_crypto::hash::Digest;
use tidm_crypto::secret::ct_eq;
use tidm_space::contract::{Contract, End, State as Standing};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::negotiation::message::Role;
use tidm_space::time::Time;
use tidm_space::transfer::message::Kind;
use tidm_space::transfer::state::{Name, Transfer};

use crate::app::App;
use crate::jobs::flight::{digest, transfer_of};
use crate::net::auth;
use crate::store::StoreError;
use crate::store::writer::WorkError;

/// How often what runs is asked about: a suspension or revocation bites within a second.
const LOOK: Duration = Duration::from_millis(250);

/// An authenticated caller.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) contract: Contract,
    pub(super) transfer: Id,
    pub(super) token: Digest,
    pub(super) until: Time,
}

/// The bearer token of a call.
fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unknown() -> Fault {
    Fault::denied(
        "flight.token",
        "authorization",
        "send the transfer's token as `authorization: Bearer …`; this one is missing or unknown, or its contract or transfer is over",
    )
}

impl Session {
    /// Whose call this is.
    pub(super) async fn open(app: &App, metadata: &MetadataMap) -> Result<Self, WorkError> {
        let token = bearer(metadata).ok_or_else(unknown)?;
        let transfer = transfer_of(token).ok_or_else(unknown)?;
        let token = digest(token);
        let standing = standing(app, &transfer, token).await;
        let (contract, until) = standing.map_err(|why| WorkError::Store(why.to_string()))??;
        auth::member(app, &contract.peer).await?;
        Ok(Self { contract, transfer, token, until })
    }

    /// Ends when this caller may go on no longer.
    pub(super) async fn over(&self, app: &App) -> Fault {
        loop {
            tokio::time::sleep(LOOK).await;
            let fault = match standing(app, &self.transfer, self.token).await {
                Ok(Ok(_)) => continue,
                Ok(Err(fault)) => fault,
                Err(error) => {
                    // A store that does not answer for a moment is no revocation; the next look will tell.
                    tracing::warn!(%error, "a Flight call cannot be looked at");
                    continue;
                }
            };
            match app.store.contract(&self.contract.id).await {
                // Its last use ends a contract: what that use made is paid for.
                Ok(Some(it)) if matches!(it.state, Standing::Ended { why: End::UsedUp, .. }) => {
                    return std::future::pending().await;
                }
                Ok(Some(it)) if !it.is_active() => return it.check_active().err().unwrap_or(fault),
                Ok(_) => return fault,
                Err(error) => tracing::warn!(%error, "a Flight call cannot be looked at"),
            }
        }
    }
}

/// The contract that this token may use now and until when, or why not.
async fn standing(
    app: &App,
    transfer: &Id,
    token: Digest,
) -> Result<Result<(Contract, Time), Fault>, StoreError> {
    let grant = app.store.grant(transfer).await?;
    // Always compared, so that an unknown transfer takes as long as a wrong token.
    let known = grant.as_ref().map_or(Digest([0; 32]), |it| it.token);
    let same = ct_eq(known.as_bytes(), token.as_bytes());
    let Some(grant) = grant.filter(|_| same) else { return Ok(Err(unknown())) };
    if app.clock.now() >= grant.until {
        return Ok(Err(Fault::denied(
            "flight.token-expired",
            "authorization",
            format!("the token ended at {}: start a transfer again", grant.until),
        )));
    }
    let Some(it) = app.store.transfer(transfer).await? else { return Ok(Err(unknown())) };
    if let Err(fault) = started(&it) {
        return Ok(Err(fault));
    }
    let contract = app.store.contract(&grant.contract).await?;
    let contract = contract.filter(|it| it.role == Role::Provider);
    Ok(contract.ok_or_else(unknown).and_then(|it| it.check_active().map(|()| (it, grant.until))))
}

/// Whether a transfer's token may be used in this state.
fn started(it: &Transfer) -> Result<(), Fault> {
    let said = it.pending.as_ref().map(|it| it.body.kind());
    match (it.state.name(), said) {
        // We said that it ends or rests: that holds here at once.
        (_, Some(Kind::Suspend | Kind::Terminate | Kind::Complete)) | (Name::Suspended, _) => {
            let state = said.filter(|it| *it != Kind::Start).map_or("suspended", Kind::word);
            Err(Fault::denied(
                "flight.suspended",
                "transfer",
                format!(
                    "the transfer does not run now ({state}): it has to be resumed or started again"
                ),
            ))
        }
        // The consumer may call before its acknowledgement of the start got here.
        (Name::Started, _) | (Name::Requested, Some(Kind::Start)) => Ok(()),
        (Name::Initial | Name::Requested | Name::Completed | Name::Terminated, _) => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_bearer() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("abc", None),
            ("", None),
        ] {
            let mut metadata = MetadataMap::new();
            metadata.insert("authorization", value.parse().unwrap());
            assert_eq!(bearer(&metadata), token, "{value:?}");
        }
        assert_eq!(bearer(&MetadataMap::new()), None);
    }
}
