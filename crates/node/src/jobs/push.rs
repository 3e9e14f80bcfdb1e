//! Provider: send what a started transfer delivers to where the consumer wants it, and complete the transfer.
//!
//! Threat model: as for [`super::sending`]. Plain bytes leave only under a contract that stands and whose terms let them
//! leave, at each try and as long as it takes; sealed ones open only under a lease, wherever they lie. What is under way
//! ends within a second of a suspension, of the contract's end ([`arriving::stopped`]) or of its terms' ([`withheld`]).
//!
//! Never completes before the receiver said that it has the whole.

use std::sync::Arc;

use tidm_space::catalog::delivery::{Delivery, Use, Way};
use tidm_space::engine::input::{Input, Wish};
use tidm_space::id::Id;
use tidm_space::lease::delivery::deliverable;
use tidm_space::negotiation::message::Role;
use tidm_space::transfer::state::Transfer;

use super::fetch::{ended, refused_token, rests};
use super::sending::{self, Sent};
use super::{arriving, provide};
use crate::app::App;
use crate::server::watch::LOOK;

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
    let stopped = stopped(app, it, delivery.kind);
    tokio::pin!(stopped);
    loop {
        if let Some(why) = withheld(app, it, delivery.kind).await? {
            return Ok(Some(why));
        }
        let place = sending::place(app, &it.contract, sending::bounds(app, &contract))?;
        let sending = async {
            match delivery.way {
                Way::Bucket => super::bucket::send(app, it, to, parcel, place).await,
                Way::Push | Way::Pull => sending::send(app, to, parcel, place).await,
            }
        };
        let sent = tokio::select! {
            sent = sending => sent?,
            why = &mut stopped => return Ok(why),
        };
        match sent {
            Sent::Whole => break,
            Sent::Later(wait) => tokio::select! {
                () = tokio::time::sleep(wait) => {}
                why = &mut stopped => return Ok(why),
            },
            Sent::Expired => return Ok(Some(refused_token(app, it)?)),
            Sent::Refused(why) => return Ok(Some(ended(it, "transfer.push", why))),
        }
    }
    let (transfer, bytes, content) = (it.id.clone(), parcel.bytes, parcel.sha256);
    Ok(Some(Wish::Pushed { transfer, bytes, content }))
}

/// Returns when the transfer delivers no more, with what is to be said of that where nobody has said it.
async fn stopped(app: &App, it: &Transfer, kind: Use) -> Option<Wish> {
    let withheld = async {
        loop {
            tokio::time::sleep(LOOK).await;
            // A store that does not answer for a moment has stopped nothing.
            if let Ok(Some(why)) = withheld(app, it, kind).await {
                return why;
            }
        }
    };
    tokio::select! {
        () = arriving::stopped(app, it) => None,
        why = withheld => Some(why),
    }
}

/// The end of a transfer whose terms let plain bytes leave no more. What is sealed is held against them when it is opened.
async fn withheld(app: &App, it: &Transfer, kind: Use) -> anyhow::Result<Option<Wish>> {
    let contract = app.store.contract(&it.contract).await?.filter(|_| kind == Use::Plain);
    let may = contract.map(|of| deliverable(&of, kind, app.clock.now()));
    Ok(may.and_then(Result::err).map(|why| ended(it, "transfer.kind", why.to_string())))
}
