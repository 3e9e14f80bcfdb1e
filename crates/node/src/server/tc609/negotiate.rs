//! `/contractNegotiate`: a round of a negotiation, or its final confirmation.
//!
//! The first round asks the provider over DSP; later ones counter, or repeat what is on the table. `0` means that both
//! sides say the same and signatures are due, or given. Threat: this node signs for its organisation what nobody there
//! confirmed. So a negotiation that begins here holds at the provider's agreement, and goes on only with the caller's
//! signature over those very terms; a signature that comes before is over nothing and counts for nothing.

use std::time::Duration;

use tidm_space::approval::{Rule, Rules, Then, When};
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{ContractWish, Input, SayWish, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::negotiation::message::Role;
use tidm_space::negotiation::state::{Name, Negotiation, State};
use tidm_space::policy::compile::compile;
use tidm_space::policy::model::Policy;
use tidm_space::tc609::document::Document;
use tidm_space::tc609::message::{Signed, Terms};
use tidm_space::time::Time;
use tidm_space::wire::tc609::message::confirmed;
use tidm_space::wire::tc609::offered;

use super::contract::save;
use super::{Call, Done, nothing, store};
use crate::api::catalog;
use crate::app::App;
use crate::jobs::tc609::{self as job, Whole};
use crate::store::writer::WorkError;

/// How long an answer waits for the other side; a caller that asks again learns the rest.
const WAIT: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(50);
/// Steps that a confirmation may take: accept, then sign.
const STEPS: usize = 2;

pub(super) async fn negotiate(
    app: &App,
    call: &Call<'_>,
    terms: &Terms,
    signatures: &[Signed],
) -> Result<Done, WorkError> {
    let it = job::by_code(app, &terms.contract).await?;
    if let Some(why) = &it.deal.record.withdrawn {
        return Err(Fault::refused("tc609.over", format!("withdrawn: {why}")).into());
    }
    if it.deal.record.name.as_ref().is_some_and(|it| *it != terms.name) {
        let why = "contractName: not the one that the contract was created with";
        return Err(Fault::refused("tc609.differs", why).into());
    }
    let confirmed = confirmation(app, call, signatures)?;
    let until = it.until();
    let until = until.ok_or_else(|| {
        Fault::refused("tc609.period", "the contract has no end, so no TC609 terms are like it")
    })?;
    let mut document = terms.document(until);
    // A beginning that has come bounds nothing any more.
    document.frame.from =
        it.deal.record.from.map(Time::from_ms).filter(|from| *from > it.deal.made);
    let stands = match &it.negotiation {
        None => begin(app, &it, terms, &document).await?,
        Some(known) => go_on(app, known.clone(), (terms, &document), confirmed).await?,
    };
    let agreed = stands.1;
    let mut more = nothing();
    let now = job::by_code(app, &terms.contract).await?;
    more.insert("contractStatus".into(), now.status().code().into());
    Ok((agreed, more))
}

/// Whether this node's organisation says yes by a signature of its own.
fn confirmation(app: &App, call: &Call<'_>, all: &[Signed]) -> Result<bool, Fault> {
    let us = job::own_subject(app)?;
    for it in all {
        if it.entity != us {
            let why = "signatureList: only this node's own organisation confirms here";
            return Err(Fault::denied("tc609.sender", "signatureList", why));
        }
        call.caller.signed(&it.signature, &confirmed(call.body, &it.entity, it.at)?)?;
    }
    Ok(!all.is_empty())
}

/// A product of a partner's by its code.
fn product(app: &App, terms: &Terms) -> Result<(Did, Id), Fault> {
    let said = &terms.subject;
    if said.provider == *job::connector(app)? {
        let why = "providerNodeId: this is the provider's node; the consumer's begins";
        return Err(Fault::refused("tc609.role", why));
    }
    let peer = job::partner(app, &said.provider).ok_or_else(|| {
        Fault::refused("tc609.partner", "providerNodeId: not one of tc609.partners")
    })?;
    let ours = said.consumer.as_ref().is_none_or(|it| job::connector(app).is_ok_and(|us| us == it));
    if !ours {
        return Err(Fault::refused("tc609.role", "consumerNodeId: not this node's code"));
    }
    let id = said.product.uuid().map(Id::from);
    let id =
        id.filter(|id| job::product_code(&said.provider, id).is_ok_and(|it| it == said.product));
    id.map(|id| (peer.clone(), id)).ok_or_else(|| {
        Fault::refused("tc609.product", "dataProductId: not a code of this provider's products")
    })
}

fn said(document: &Document, of: &Policy) -> Result<Policy, Fault> {
    let policy = offered(document, of)
        .map_err(|why| Fault::refused("tc609.document", format!("strategy: {why}")))?;
    // All terms that are not signed here, by name, before anything is asked.
    compile(&policy).map_err(|refused| {
        let terms: Vec<String> = refused.iter().map(ToString::to_string).collect();
        Fault::refused("policy.unknown-terms", format!("not signed here: {}", terms.join("; ")))
    })?;
    Ok(policy)
}

async fn begin(
    app: &App,
    it: &Whole,
    terms: &Terms,
    document: &Document,
) -> Result<(Negotiation, bool), WorkError> {
    let (peer, product) = product(app, terms)?;
    let address = app.directory.dsp_base(&peer).await?;
    let offers = catalog::fetch(app, &peer, &address, &product).await?.offers;
    let mut own = None;
    for listed in &offers {
        let policy = said(document, &listed.model)?;
        if offers.len() == 1 || policy.same_terms(&listed.model) {
            own = Some(policy);
            break;
        }
    }
    let offer = own.ok_or_else(|| {
        let why = "strategy: like none of the product's offers, of which there are several or none";
        Fault::refused("tc609.offer", why)
    })?;
    let offer = Policy { target: Some(product.clone()), ..offer };
    let hold = Rule {
        when: When::Negotiation(Name::Agreed),
        round: None,
        then: Then::Ask,
        after: Duration::ZERO,
    };
    let rules = Rules::new(Role::Consumer, vec![hold])
        .map_err(|_| Fault::ApiMisuse("a consumer may hold at an agreement"))?;
    let wish = Wish::Request(Box::new(ContractWish { peer, address, product, offer, rules }));
    let joining = job::JOINING.lock().await;
    let made = run(app, wish).await?;
    let mut deal = it.deal.clone();
    deal.negotiation = Some(made.id.clone());
    save(app, deal).await?;
    drop(joining);
    let rested = rest(app, &made.id).await?;
    let agreed = agrees(&rested);
    Ok((rested, agreed))
}

async fn go_on(
    app: &App,
    it: Negotiation,
    (terms, document): (&Terms, &Document),
    confirmed: bool,
) -> Result<(Negotiation, bool), WorkError> {
    let (provider, consumer, product) = job::sides(app, it.role, &it.peer, &it.product)?;
    let theirs = terms.subject.consumer.as_ref().is_none_or(|it| *it == consumer);
    if terms.subject.provider != provider || !theirs || terms.subject.product != product {
        let why = "subjectInfo, executionNodeInfo: not what is negotiated";
        return Err(Fault::refused("tc609.differs", why).into());
    }
    if let State::Terminated { reason, .. } = &it.state {
        return Err(Fault::refused("tc609.over", reason.join("; ")).into());
    }
    let Some(table) = it.state.offer() else {
        // Our first message is still under way.
        return Ok((it, false));
    };
    let policy = said(document, table)?;
    if !policy.same_terms(table) {
        if matches!(it.state.name(), Name::Agreed | Name::Verified | Name::Finalized) {
            let why = "strategy: not what the provider signed";
            return Err(Fault::refused("tc609.differs", why).into());
        }
        let body = SayWish::Propose(Box::new(policy));
        run(app, Wish::Say { negotiation: it.id.clone(), body }).await?;
        let rested = rest(app, &it.id).await?;
        let agreed = agrees(&rested);
        return Ok((rested, agreed));
    }
    let mut it = it;
    for _ in 0..STEPS {
        if !confirmed || !waits(&it) || !it.state.offer().is_some_and(|it| policy.same_terms(it)) {
            break;
        }
        let body = SayWish::Approve;
        run(app, Wish::Say { negotiation: it.id.clone(), body }).await?;
        it = rest(app, &it.id).await?;
    }
    let agreed = agrees(&it) && it.state.offer().is_some_and(|it| policy.same_terms(it));
    Ok((it, agreed))
}

/// Whether it is our turn to say yes.
fn waits(it: &Negotiation) -> bool {
    let turn = match it.role {
        Role::Consumer => matches!(it.state.name(), Name::Offered | Name::Agreed),
        Role::Provider => {
            matches!(it.state.name(), Name::Requested | Name::Accepted | Name::Verified)
        }
    };
    turn && it.pending.is_none()
}

/// Whether the other side says what is on the table: it proposed or signed it.
fn agrees(it: &Negotiation) -> bool {
    match (it.role, it.state.name()) {
        (_, Name::Agreed | Name::Verified | Name::Finalized) => true,
        (Role::Consumer, Name::Offered) | (Role::Provider, Name::Requested | Name::Accepted) => {
            it.pending.is_none()
        }
        (_, _) => false,
    }
}

async fn run(app: &App, wish: Wish) -> Result<Negotiation, WorkError> {
    match app.writer.run(Input::Wish(Box::new(wish))).await? {
        Reply::Negotiation { it, .. } => Ok(*it),
        Reply::Nothing
        | Reply::Transfer { .. }
        | Reply::Flow { .. }
        | Reply::Lease(_)
        | Reply::Contract(_)
        | Reply::Product(_) => {
            Err(Fault::ApiMisuse("a wish about a negotiation was answered by something else")
                .into())
        }
    }
}

/// The negotiation once it is over or waits for us; else as it stands when time is up.
async fn rest(app: &App, id: &Id) -> Result<Negotiation, WorkError> {
    let until = tokio::time::Instant::now() + WAIT;
    loop {
        let it = app.store.negotiation(id).await.map_err(store)?;
        let it = it.ok_or(Fault::NotFound { what: "negotiation" })?;
        if !it.is_open() || waits(&it) || tokio::time::Instant::now() >= until {
            return Ok(it);
        }
        tokio::time::sleep(STEP).await;
    }
}
