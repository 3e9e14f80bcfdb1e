//! Contracts: templates, creation, filing, termination, and how they stand.
//!
//! Never a contract of its own: a code names a negotiation of ours, and what it led to.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use tidm_space::contract::{End, State as Standing};
use tidm_space::engine::input::{Input, SayWish, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lang::Lang;
use tidm_space::policy::sentence::template::{Template, templates};
use tidm_space::tc609::code::ContractCode;
use tidm_space::tc609::document::{Document, SignMode, Status};
use tidm_space::tc609::message::{Create, Signed, Terminate, Terms};
use tidm_space::time::Time;
use tidm_space::wire::odrl;
use tidm_space::wire::tc609::to_json;

use super::{Done, nothing, store};
use crate::app::App;
use crate::jobs::tc609 as job;
use crate::store::tc609::{self as rows, Deal, Filed, Record};
use crate::store::writer::WorkError;

/// Contracts in one answer.
const MOST: i64 = 50;

/// The policy templates of this node, each with its parameters and what it says with their examples, as ODRL.
pub(super) fn template(id: Option<&str>) -> Result<Done, WorkError> {
    let one = |it: &Template| {
        let example: BTreeMap<String, String> = it.example();
        let policy = it.build(&example).ok().map(|it| odrl::to_json(&it));
        let parameters: Vec<Json> = it
            .parameters
            .iter()
            .map(|it| json!({ "name": it.name, "title": it.title(Lang::Zh), "example": it.example() }))
            .collect();
        json!({
            "templateId": it.name, "templateName": it.title(Lang::Zh), "about": it.about(Lang::Zh),
            "parameters": parameters, "example": policy,
        })
    };
    let found: Vec<Json> = match id {
        Some(id) => {
            let it = Template::by_name(id).ok_or(Fault::NotFound { what: "template" })?;
            vec![one(it)]
        }
        None => templates().iter().map(one).collect(),
    };
    let mut more = nothing();
    more.insert("template".into(), found.into());
    Ok((true, more))
}

pub(super) async fn create(app: &App, it: &Create) -> Result<Done, WorkError> {
    if it.mode == SignMode::Platform {
        let why = "signMode 02: this node mediates no signing between others";
        return Err(Fault::refused("tc609.mode", why).into());
    }
    if it.until <= app.clock.now() {
        return Err(Fault::refused("tc609.period", "endTime: lies in the past").into());
    }
    let deal = Deal {
        code: job::fresh(app)?,
        negotiation: None,
        made: app.clock.now(),
        record: Record {
            name: Some(it.name.clone()),
            summary: Some(it.summary.clone()),
            issued: Some(it.issued.ms()),
            from: Some(it.from.ms()),
            until: Some(it.until.ms()),
            filed: None,
            withdrawn: None,
        },
    };
    let made = deal.clone();
    app.writer
        .note(move |conn| {
            let made = made.clone();
            Box::pin(async move { rows::insert(conn, &made).await })
        })
        .await?;
    let kept = app.store.deal(&deal.code).await.map_err(store)?;
    if kept.as_ref() != Some(&deal) {
        return Err(Fault::conflict("tc609.code", "the code is taken: try again").into());
    }
    let mut more = nothing();
    more.insert("contractId".into(), deal.code.as_str().into());
    Ok((true, more))
}

pub(super) async fn save(app: &App, it: Deal) -> Result<(), WorkError> {
    app.writer
        .note(move |conn| {
            let it = it.clone();
            Box::pin(async move { rows::update(conn, &it).await })
        })
        .await
}

/// Whether terms are those of a document: the same policies about the same product between the same connectors.
pub(super) fn same_terms(terms: &Terms, document: &Document) -> Result<(), Fault> {
    let differs = |what: &str| {
        Err(Fault::refused("tc609.differs", format!("{what}: not as in the signed contract")))
    };
    if terms.name != document.frame.name {
        return differs("contractName");
    }
    let [own] = document.frame.subjects.as_slice() else { return differs("subjectInfo") };
    let said = &terms.subject;
    if said.product != own.product
        || said.owner.as_ref().is_some_and(|it| Some(it) != own.owner.as_ref())
    {
        return differs("subjectInfo");
    }
    let consumer = said.consumer.as_ref().is_none_or(|it| Some(it) == own.consumer.as_ref());
    if said.provider != own.provider || !consumer {
        return differs("executionNodeInfo");
    }
    for (name, said, own) in [
        ("strategy 01", &terms.permissions, &document.permissions),
        ("strategy 02", &terms.prohibitions, &document.prohibitions),
        ("strategy 03", &terms.obligations, &document.obligations),
    ] {
        if said != own {
            return differs(name);
        }
    }
    Ok(())
}

/// Filing: what is filed is what both signed, to the letter.
pub(super) async fn file(app: &App, terms: &Terms, by: &[Signed]) -> Result<Done, WorkError> {
    let mut it = job::by_code(app, &terms.contract).await?;
    let (document, _) = job::document(app, &it).await?;
    same_terms(terms, &document)?;
    let signed = document.frame.signatories.iter().all(|own| {
        by.iter().any(|it| it.entity == own.id && Some(&it.signature) == own.signature.as_ref())
    });
    if !signed || by.len() != document.frame.signatories.len() {
        let why = "signatoryEntities: not the signatures of this contract";
        return Err(Fault::misbehaved("tc609.signature", why).into());
    }
    if by.iter().any(|it| Some(job::floor(it.at)) != document.frame.signed) {
        let why = "signatoryTime: not when this contract was signed";
        return Err(Fault::refused("tc609.differs", why).into());
    }
    let hash = job::evidence_code(&document).to_string();
    if it.deal.record.filed.is_none() {
        let at = app.clock.now().ms();
        it.deal.record.filed = Some(Filed { at, hash: hash.clone() });
        save(app, it.deal).await?;
    }
    let mut more = nothing();
    more.insert("contractHash".into(), hash.into());
    Ok((true, more))
}

async fn wish(app: &App, wish: Wish) -> Result<(), WorkError> {
    app.writer.run(Input::Wish(Box::new(wish))).await.map(drop)
}

/// Ends a contract of ours; `why` where we are its provider, as agreed where we are its consumer.
pub(super) async fn end(
    app: &App,
    contract: &Id,
    why: End,
    reason: String,
) -> Result<(), WorkError> {
    wish(app, Wish::EndContract { contract: contract.clone(), why, reason }).await
}

/// Before signing the negotiation ends, after it the contract: at once, since an end that lies ahead would have to be
/// negotiated.
pub(super) async fn terminate(app: &App, it: &Terminate) -> Result<Done, WorkError> {
    let mut whole = job::by_code(app, &it.contract).await?;
    let now = app.clock.now();
    let due = if it.early { it.agreed } else { Some(it.scheduled) };
    if due.is_none_or(|due| due > now) {
        let why = "agreedEndTime, scheduledEndTime: lies ahead; terminate when it has come";
        return Err(Fault::refused("tc609.period", why).into());
    }
    if it.early && it.issued > now {
        return Err(Fault::refused("tc609.period", "issueTime: lies ahead").into());
    }
    let reason = it.reason.clone().unwrap_or_else(|| "/contractTerminate".to_owned());
    match (&whole.contract, &whole.negotiation) {
        (Some(contract), _) if matches!(contract.state, Standing::Ended { .. }) => {}
        (Some(contract), _) => {
            if !it.early && whole.until().is_none_or(|until| until > now) {
                let why = "erminateType 02: the contract has not expired";
                return Err(Fault::refused("tc609.period", why).into());
            }
            end(app, &contract.id.clone(), End::Agreed, reason).await?;
        }
        (None, Some(negotiation)) if negotiation.is_open() => {
            let negotiation = negotiation.id.clone();
            let body = SayWish::Terminate { reason };
            wish(app, Wish::Say { negotiation, body }).await?;
        }
        (None, Some(_)) => {}
        (None, None) => {
            if whole.deal.record.withdrawn.is_none() {
                whole.deal.record.withdrawn = Some(reason);
                save(app, whole.deal).await?;
            }
        }
    }
    Ok((true, nothing()))
}

/// Ours: one contract as it stands, or the newest ones in short. Negotiations of ours that have no code yet get one.
pub(super) async fn query(app: &App, code: Option<&ContractCode>) -> Result<Done, WorkError> {
    let mut more = nothing();
    if let Some(code) = code {
        let it = job::by_code(app, code).await?;
        more = short(&it);
        let document = match it.contract {
            Some(_) => Some(job::document(app, &it).await?.0),
            None => job::proposal(app, &it)?,
        };
        if let Some(document) = document {
            more.insert("contract".into(), to_json(&document));
        }
        return Ok((true, more));
    }
    for it in app.store.negotiations(None, MOST).await.map_err(store)?.rows {
        job::deal_of(app, &it.id).await?;
    }
    let mut all = vec![];
    for deal in app.store.deals(MOST).await.map_err(store)? {
        all.push(Json::Object(short(&job::whole(app, deal).await?)));
    }
    more.insert("contracts".into(), all.into());
    Ok((true, more))
}

fn short(it: &job::Whole) -> Map<String, Json> {
    let mut map = nothing();
    map.insert("contractId".into(), it.deal.code.as_str().into());
    map.insert("contractStatus".into(), it.status().code().into());
    let mut text = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            map.insert(name.into(), value.into());
        }
    };
    text("contractName", it.deal.record.name.clone());
    text("contractHash", it.deal.record.filed.as_ref().map(|it| it.hash.clone()));
    text("filedAt", it.deal.record.filed.as_ref().map(|it| Time::from_ms(it.at).to_string()));
    text("agreement", it.contract.as_ref().map(|it| it.id.to_string()));
    let role = it.negotiation.as_ref().map(|it| it.role.word().to_owned());
    text("role", role);
    let waits = it.negotiation.as_ref().is_some_and(|it| it.awaits_approval);
    if waits && it.status() != Status::Terminated {
        map.insert("awaitsConfirmation".into(), true.into());
    }
    map
}
