//! What a control plane may have moved: the object of a data set, if everything allows it.
//!
//! Never a second gate: this is plain delivery (E0) as contracts know it, of products that are offered for just
//! that; sealed and queried products leave under a lease only. A contract that this node knows must stand.

use tidm_crypto::hash::Digest;
use tidm_space::dataflow::message::{Plane, Terms};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::delivery::deliverable;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::usage::Use;

use super::store;
use crate::app::App;
use crate::jobs::excerpt;
use crate::objects::Key;
use crate::store::writer::WorkError;

/// Bytes of a data set.
#[derive(Clone, Debug)]
pub struct Content {
    pub key: Key,
    pub bytes: u64,
    pub sha256: Digest,
}

/// The bytes that this flow moves. To a control plane that may not have it moved, a data set does not exist.
pub async fn of(app: &App, partner: &Id, terms: &Terms) -> Result<Content, WorkError> {
    let missing = Fault::NotFound { what: "data set" };
    let plane = app.store.plane(Plane::Control, partner).await.map_err(store)?;
    if !plane.is_some_and(|it| it.may_move(&terms.dataset)) {
        return Err(missing.into());
    }
    let product =
        app.store.product(&terms.dataset).await.map_err(store)?.ok_or_else(|| missing.clone())?;
    if !product.deliveries().contains(&Use::Plain) {
        return Err(Fault::denied(
            "dataflow.kind",
            "offers",
            "this product is not offered for plain delivery",
        )
        .into());
    }
    if let Some(contract) = app.store.contract(&terms.agreement).await.map_err(store)? {
        if contract.role != Role::Provider || contract.product != terms.dataset {
            return Err(missing.into());
        }
        contract.check_active()?;
        let granted = deliverable(&contract, Use::Plain, app.clock.now())?;
        let damaged = |why: anyhow::Error| WorkError::Store(why.to_string());
        if granted.cut()
            && let Some(it) = excerpt::of(app, &contract, Use::Plain).await.map_err(damaged)?
        {
            let key = Key::parse(&it.object).map_err(|why| damaged(why.into()))?;
            return Ok(Content { key, bytes: it.bytes, sha256: it.digest });
        }
    } else if product.offers.iter().any(|it| it.terms().cut()) {
        // Which terms a contract of others' has is not known here: what some offer cuts is not sent whole.
        return Err(Fault::denied(
            "dataflow.kind",
            "offers",
            "this product is offered in part or with a watermark, and the contract is not known here",
        )
        .into());
    }
    let source = app.store.source(&product.id).await.map_err(store)?.ok_or(missing)?;
    let damaged = |why: String| WorkError::Store(format!("the object of a product: {why}"));
    let key = Key::parse(&source.object).map_err(|why| damaged(why.to_string()))?;
    let bytes = app.objects.head(&key).await.map_err(|why| damaged(why.to_string()))?.bytes;
    let sha256 = product.content.ok_or_else(|| damaged("it has no digest".to_owned()))?;
    Ok(Content { key, bytes, sha256 })
}
