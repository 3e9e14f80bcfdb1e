//! The holder's side of a long use: its lease is renewed at about half of its remaining life.
//!
//! Threat model: the gate decides anew each time, and its no ends the use at once. A gate that does not answer, that
//! knows no renewals or that does not renew this kind of lease ends it too, when the lease does ([`super::workers::over`]). Never asks under another lease, and
//! never twice for one renewal with different numbers: a lost answer renews nothing twice.

use std::time::Duration;

use reqwest::Method;

use tidm_space::contract::Contract;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::message::Renewal;
use tidm_space::lease::state::{Lease, State};
use tidm_space::limits::LEASE_RENEWAL_PAUSE;
use tidm_space::negotiation::message::Role;
use tidm_space::wire::tidm::lease as wire;

use super::attested;
use super::split;
use super::use_data::ask::{UNKNOWN, no_answer, refusal};
use crate::app::App;
use crate::net::auth;
use crate::net::client::CallError;
use crate::store::writer::WorkError;

/// What only keeps a lease from lasting longer.
const ENDS_BY_ITSELF: [&str; 6] = [
    "lease.returned",
    "lease.over",
    "lease.renewal",
    "lease.renewals",
    "attest.not-configured",
    UNKNOWN,
];

/// Runs beside a use under a lease that this node holds. Returns what the gate said when it refuses; never otherwise.
pub async fn refused(app: &App, contract: &Contract, lease: &Id) -> Fault {
    loop {
        let rest = match app.store.lease(lease).await {
            Ok(Some(it)) if it.role == Role::Consumer && it.state == State::Granted => {
                it.until.since(app.clock.now())
            }
            // Whoever looks whether the lease stands ends the use.
            Ok(_) => return std::future::pending().await,
            Err(error) => {
                tracing::warn!(%error, "a lease cannot be looked at");
                Duration::ZERO
            }
        };
        tokio::time::sleep((rest / 2).max(LEASE_RENEWAL_PAUSE)).await;
        match renew(app, contract, lease).await {
            Ok(()) => {}
            Err(WorkError::Fault(fault)) => match fault.code() {
                "unavailable" | "attest.maker" => {
                    tracing::info!(%fault, %lease, "a lease is not renewed yet");
                }
                // The use came to its end meanwhile; or its terms, its number of renewals or an older gate let it go on
                // no longer than it may already.
                code if ENDS_BY_ITSELF.contains(&code) => return std::future::pending().await,
                _ => {
                    tracing::info!(%fault, %lease, "a lease is not renewed");
                    return fault;
                }
            },
            Err(error) => tracing::warn!(%error, %lease, "a lease cannot be renewed"),
        }
    }
}

/// One renewal, for a use that runs in a process of a person's. `Err`: the gate's no, which ends the use; what only keeps the
/// lease from lasting longer is none.
pub async fn once(app: &App, contract: &Contract, lease: &Id) -> Result<(), WorkError> {
    match renew(app, contract, lease).await {
        Err(WorkError::Fault(fault)) => match fault.code() {
            "unavailable" | "attest.maker" => Ok(()),
            code if ENDS_BY_ITSELF.contains(&code) => Ok(()),
            _ => Err(WorkError::Fault(fault)),
        },
        done => done,
    }
}

async fn renew(app: &App, contract: &Contract, lease: &Id) -> Result<(), WorkError> {
    let store = |why: crate::store::StoreError| WorkError::Store(why.to_string());
    let held = app.store.lease(lease).await.map_err(store)?;
    let held = held.filter(|it| it.state == State::Granted);
    let held = held.ok_or_else(|| Fault::refused("lease.over", "this lease has ended already"))?;
    let operator = split::operator_of(contract).filter(|_| contract.role == Role::Consumer);
    if let Some(operator) = &operator {
        // A hold ends the use now, and an operator that is silent lets it go on no longer than it may already.
        split::ready(app, contract, operator).await?;
    }
    let number = held.renewals.saturating_add(1);
    let asked = Renewal { lease: held.id.clone(), number, span: held.request.span };
    let until = said(app, contract, &held, &asked).await?;
    if until <= held.until {
        // The contract does not last longer.
        return Ok(());
    }
    let wish = Wish::Renewed { lease: held.id, number, until };
    app.writer.run(Input::Wish(Box::new(wish))).await.map(drop)
}

/// The end that the gate grants.
async fn said(
    app: &App,
    contract: &Contract,
    held: &Lease,
    asked: &Renewal,
) -> Result<tidm_space::time::Time, Fault> {
    let id = uuid::Uuid::now_v7().into();
    let posting = match attested::of_renewal(app, contract, held, asked).await? {
        Some(evidence) => wire::write_attested_renewal(&id, asked, &evidence),
        None => wire::write_renewal(&id, asked),
    };
    let url = format!("{}{}", contract.address, posting.path);
    let authorization = auth::speak(app, &contract.peer);
    let call = app.client.call(Method::POST, &url, authorization.as_deref(), Some(posting.body));
    let answer = match call.await {
        Ok(answer) => answer,
        Err(CallError::Address { url, why }) => {
            return Err(no_answer(&contract.peer, &format!("{url}: {why}")));
        }
        Err(error @ (CallError::NoAnswer { .. } | CallError::TooLarge { .. })) => {
            return Err(no_answer(&contract.peer, &error.to_string()));
        }
    };
    if !answer.status.is_success() {
        return Err(refusal(&contract.peer, answer.status.as_u16(), &answer.body));
    }
    let (grant, _) = wire::read_grant(&answer.body)?;
    if grant.lease == held.id && grant.contract == contract.id {
        Ok(grant.until)
    } else {
        let why = format!("{} renewed another lease than was asked for", contract.peer);
        Err(Fault::misbehaved("lease.grant", why))
    }
}
