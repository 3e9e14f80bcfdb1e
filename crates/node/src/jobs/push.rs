//! Provider: send what a started transfer delivers to where the consumer wants it, and complete the transfer.
//!
//! Threat model: as for [`super::sending`]. Plain bytes leave only under a contract that stands and grants plain
//! delivery; sealed ones open only under a lease, wherever they lie. What is under way ends within a second of a
//! suspension or of the contract's end ([`arriving::stopped`]).
//!
//! Never completes before the receiver said that it has the whole.

use std::sync::Arc;

use tidm_space::catalog::delivery::{Delivery, Way};
use tidm_space::engine::input::{Input, Wish};
use tidm_space::id::Id;
use tidm_space::negotiation::message::Role;
use tidm_space::transfer::state::Transfer;

use super::fetch::{ended, refused_token, rests};
use super::sending::{self, Sent};
use super::{arriving, provide};
use crate::app::App;

/// Runs the job; harmless when repeated.
pub async fn run(app: &Arc<App>, id: &Id) -> anyhow::Result<()> {
    let Some(it) = app.store.transfer(id).await? else { return Ok(()) };
    let Some(_run) = app.runs.begin(id, it.moved).await else { return Ok(()) };
    let delivery = it.delivery().filter(|_| it.role == Role::Provider && it.delivers());
    let Some(delivery) = delivery else { return rests(app, &it).await };
    match pushed(app, &it, delivery).await {
        Ok(Some(wish)) => {
            app.writer.run(Input::Wish(Box::new(wish))).await?;
            Ok(())
        }
        // What stopped it has seen to the job.
        Ok(None) => Ok(()),
        Err(_) if !arriving::still(app, &it).await => Ok(()),
        Err(error) => Err(error),
    }
}

/// What is to be reported; `None`: the transfer was stopped meanwhile.
async fn pushed(app: &Arc<App>, it: &Transfer, delivery: Delivery) -> anyhow::Result<Option<Wish>> {
    let Some(to) = &it.push_to else {
        let why = "the request named no address to push to".to_owned();
        return Ok(Some(ended(it, "transfer.address", why)));
    };
    let Some(contract) = app.store.contract(&it.contract).await?.filter(|it| !it.is_over()) else {
        return Ok(Some(ended(it, "contract.ended", "the contract ended".to_owned())));
    };
    if !contract.is_active() {
        // Suspended: what suspended it stops this transfer, too.
        return Ok(None);
    }
    let content = provide::content(app, &contract, delivery.kind).await?;
    let parcel = &content.parcel;
    loop {
        let place = sending::place(app, &it.contract, sending::bounds(app, &contract))?;
        let sending = async {
            match delivery.way {
                Way::Bucket => super::bucket::send(app, it, to, parcel, place).await,
                Way::Push | Way::Pull => sending::send(app, to, parcel, place).await,
            }
        };
        let sent = tokio::select! {
            sent = sending => sent?,
            () = arriving::stopped(app, it) => return Ok(None),
        };
        match sent {
            Sent::Whole => break,
            Sent::Later(wait) => tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = arriving::stopped(app, it) => return Ok(None),
            },
            Sent::Expired => return Ok(Some(refused_token(app, it)?)),
            Sent::Refused(why) => return Ok(Some(ended(it, "transfer.push", why))),
        }
    }
    let (transfer, bytes, content) = (it.id.clone(), parcel.bytes, parcel.sha256);
    Ok(Some(Wish::Pushed { transfer, bytes, content }))
}
