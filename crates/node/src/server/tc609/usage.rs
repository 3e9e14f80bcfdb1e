//! The control of uses: policy instances, verdicts, abnormal ends, proofs of fulfilment.
//!
//! Threat: a second gate that says yes where the first says no. So a decision is the gate's own unit of work over the same
//! rows and counters, of which nothing is saved: it opens and charges nothing, and the use itself asks again. What is
//! reported is kept with its signature, and never changes what is counted.

use serde_json::{Map, Value as Json, json};

use tidm_crypto::hash::sha256;
use tidm_space::contract::{Contract, End, State as Standing};
use tidm_space::engine::commit::Decision;
use tidm_space::engine::input::{Heard, Input, Received};
use tidm_space::engine::view::View;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::message::{Nonce, Request};
use tidm_space::negotiation::message::Role;
use tidm_space::policy::eval::{Request as Asked, evaluate};
use tidm_space::policy::model::Action;
use tidm_space::policy::usage::Use;
use tidm_space::tc609::code::ContractCode;
use tidm_space::tc609::document::{Act, Document, Status};
use tidm_space::tc609::message::{Abnormal, Details, Execution, Instance, Verdict};

use super::contract::{end, same_terms};
use super::{Done, nothing, store};
use crate::app::App;
use crate::jobs::tc609::{self as job, Whole};
use crate::net::auth;
use crate::random::os;
use crate::store::writer::WorkError;

/// The contract of an instance that was sent here before; the agreement's own UUID names the whole of it.
async fn instance(app: &App, of: &Instance) -> Result<Whole, WorkError> {
    let it = job::by_code(app, &of.contract).await?;
    let contract = it.signed()?;
    let own = contract.id.as_str().trim_start_matches("urn:uuid:") == of.strategy;
    if own || app.store.tc609_instance(of).await.map_err(store)? {
        return Ok(it);
    }
    Err(Fault::NotFound { what: "policy instance of this contract" }.into())
}

/// A policy instance: nothing is executed but what was signed, so it must say that and no more.
pub(super) async fn strategy(app: &App, of: &Instance, said: &Document) -> Result<Done, WorkError> {
    let it = job::by_code(app, &of.contract).await?;
    it.signed()?.check_active()?;
    let (mut own, _) = job::document(app, &it).await?;
    // How it stands may have moved on since it was sent.
    if !said.frame.status.binds() {
        let why = "contractStatus: not signed by everybody";
        return Err(Fault::refused("tc609.unsigned", why).into());
    }
    own.frame.status = Status::Signed;
    let mut said = said.clone();
    said.frame.status = Status::Signed;
    for (name, same) in [
        ("permissionPolicies", said.permissions == own.permissions),
        ("prohibitionPolicies", said.prohibitions == own.prohibitions),
        ("obligationPolicies", said.obligations == own.obligations),
        ("signatoryEntities", said.frame.signatories == own.frame.signatories),
        ("contract information", said == own),
    ] {
        if !same {
            let why = format!("transactionExecutionStrategy: {name} is not as it was signed");
            return Err(Fault::refused("tc609.differs", why).into());
        }
    }
    Ok((true, nothing()))
}

/// What the gate says, and where it was asked.
struct Judged {
    verdict: Verdict,
    why: Option<Fault>,
    /// What has to come first, where nothing else is in the way: an act of ODRL's.
    condition: Option<&'static str>,
    /// What the gate would charge for it; only where it was asked and would say yes, by now or then.
    charges: Vec<(&'static str, u64)>,
    /// gate: by this node's gate; terms: by the terms alone, the gate being the provider's.
    basis: &'static str,
}

async fn judge(app: &App, it: &Contract, asked: &Details, kind: Use) -> Result<Judged, WorkError> {
    let (basis, said) = match it.role {
        Role::Provider => ("gate", gate(app, it, asked, kind, false).await?),
        Role::Consumer => ("terms", terms(app, it, asked, kind).await?.map(|()| vec![])),
    };
    let mut judged =
        Judged { verdict: Verdict::Allowed, why: None, condition: None, charges: vec![], basis };
    match said {
        Ok(charges) => judged.charges = charges,
        Err(why @ Fault::Denied { .. }) => {
            (judged.verdict, judged.why) = (Verdict::Denied, Some(why));
            if awaits_consent(it)
                && let Ok(charges) = gate(app, it, asked, kind, true).await?
            {
                (judged.verdict, judged.charges) = (Verdict::Conditional, charges);
                judged.condition = Some(Action::ObtainConsent.name());
            }
        }
        Err(other) => return Err(other.into()),
    }
    Ok(judged)
}

/// The terms ask that a person of the provider's, whose node this is, consents first, and nobody did.
fn awaits_consent(it: &Contract) -> bool {
    let asks = || it.terms().is_ok_and(|terms| !terms.consent(false).is_empty());
    it.role == Role::Provider && it.consented.is_none() && asks()
}

/// The gate's own decision for the contract's consumer over the rows that it counts by, with what it would charge. Nothing
/// of it is saved. From where the consumer would ask nobody knows here, so that terms about its address deny. `consented`:
/// what it would say if a person of this node had consented by now.
async fn gate(
    app: &App,
    it: &Contract,
    asked: &Details,
    kind: Use,
    consented: bool,
) -> Result<Result<Vec<(&'static str, u64)>, Fault>, WorkError> {
    // Of no lease that there is: one that was granted would be found by its nonce.
    let mut nonce = Nonce::default();
    rand_core::Rng::fill_bytes(&mut os(), &mut nonce);
    let request = Request {
        contract: it.id.clone(),
        kind,
        nonce,
        key: [0; 32],
        purpose: asked.purpose.clone(),
        query: None,
        items: None,
        epsilon: None,
        span: std::time::Duration::ZERO,
    };
    if let Err(reason) = app.log.readiness() {
        let retry_after = std::time::Duration::from_secs(2);
        return Err(Fault::Unavailable { reason, retry_after }.into());
    }
    let received = Received {
        from: it.peer.clone(),
        key: None,
        id: None,
        digest: sha256(asked.text.as_bytes()),
        seen: auth::seen(app, &it.peer, None),
        what: Heard::Ask(Box::new(request)),
    };
    let now = app.clock.now();
    let supposed = |view: &mut View| {
        if let Some(contract) = view.contract.as_mut().filter(|_| consented) {
            contract.consented.get_or_insert(now);
        }
    };
    let asking = Input::Heard(Box::new(received));
    let Decision { commit, reply } = app.writer.weigh_if(asking, supposed).await?;
    let charges = commit.debits.iter().map(|it| (it.kind.word(), it.amount)).collect();
    Ok(reply.map(|_| charges))
}

async fn terms(
    app: &App,
    it: &Contract,
    asked: &Details,
    kind: Use,
) -> Result<Result<(), Fault>, WorkError> {
    if let Err(over) = it.check_active() {
        return Ok(Err(over));
    }
    let terms = it.terms()?;
    let left = app.store.uses_left(&it.id).await.map_err(store)?;
    let spent = match (terms.summary.uses, left) {
        (Some(most), Some(left)) => most.saturating_sub(left),
        (_, _) => 0,
    };
    let me = app.identity.did.as_str();
    let asked = Asked {
        purpose: asked.purpose.as_deref(),
        uses_so_far: spent,
        agreed_at: Some(it.signed_at),
        ..Asked::new(app.clock.now(), kind, me)
    };
    Ok(evaluate(&terms, &asked).permitted().map(drop))
}

fn told(it: &Judged) -> Map<String, Json> {
    let mut details = json!({ "basis": it.basis });
    if let Some(why) = &it.why {
        details["code"] = why.code().into();
        details["reason"] = why.to_string().into();
    }
    if let Some(condition) = it.condition {
        details["conditions"] = json!([condition]);
    }
    if !it.charges.is_empty() {
        let all = it.charges.iter().map(|(kind, n)| ((*kind).to_owned(), Json::from(*n)));
        details["charges"] = all.collect::<Map<_, _>>().into();
    }
    let mut more = nothing();
    more.insert("result".into(), it.verdict.word().into());
    more.insert("details".into(), details);
    more
}

/// Ours: may this use happen now?
pub(super) async fn decision(
    app: &App,
    code: &ContractCode,
    asked: &Details,
) -> Result<Done, WorkError> {
    let it = job::by_code(app, code).await?;
    let contract = it.signed()?;
    let kind = asked.kind.ok_or(Fault::ApiMisuse("a decision about no use"))?;
    Ok((true, told(&judge(app, contract, asked, kind).await?)))
}

/// A verdict of the place of use. Where it names the operation, ours is asked too, and they have to agree.
pub(super) async fn feedback(
    app: &App,
    of: &Instance,
    said: Verdict,
    details: &Details,
) -> Result<Done, WorkError> {
    let it = instance(app, of).await?;
    let contract = it.signed()?;
    let Some(kind) = details.kind else { return Ok((true, nothing())) };
    let ours = judge(app, contract, details, kind).await?;
    // Who was stricter than we are did no harm.
    let agreed = ours.verdict == said || said != Verdict::Allowed;
    Ok((agreed, told(&ours)))
}

/// The provider stops a contract at once; a consumer's system ends it.
pub(super) async fn abnormal(app: &App, it: &Abnormal) -> Result<Done, WorkError> {
    let whole = instance(app, &it.of).await?;
    let contract = whole.signed()?;
    if matches!(contract.state, Standing::Ended { .. }) {
        return Ok((true, nothing()));
    }
    let why = match (contract.role, it.by_provider) {
        (Role::Provider, _) => End::Revoked,
        (Role::Consumer, false) => End::Agreed,
        (Role::Consumer, true) => {
            let why = "triggeredBy: this is the consumer's node; the provider's tells it itself";
            return Err(Fault::refused("tc609.role", why).into());
        }
    };
    end(app, &contract.id, why, format!("{}: {}", it.termination, it.reason)).await?;
    Ok((true, nothing()))
}

/// Kept with its signature; nothing here is proven by it but that it was said. A partner's connector names the contract by
/// the agreement, since the code is its own, and gets ours: as the consumer, when the contract is over, and once.
pub(super) async fn proof(app: &App, from: &Did, of: &Instance) -> Result<Done, WorkError> {
    if !app.config.tc609.partners.iter().any(|(_, did)| did == from) {
        instance(app, of).await?;
        return Ok((true, nothing()));
    }
    let unknown = || Fault::NotFound { what: "policy instance of this contract" };
    let id = Id::parse(&format!("urn:uuid:{}", of.strategy)).map_err(|_| unknown())?;
    let found = app.store.contract(&id).await.map_err(store)?;
    let contract = found.filter(|it| it.peer == *from).ok_or_else(unknown)?;
    if contract.role != Role::Provider {
        let why = "the consumer's node proves fulfilment to the provider's";
        return Err(Fault::refused("tc609.role", why).into());
    }
    if !contract.is_over() {
        // Our news of the end may be on its way: whoever is told so comes back.
        let reason = "a proof of fulfilment is made when the contract is over".to_owned();
        let retry_after = std::time::Duration::from_secs(1);
        return Err(Fault::Unavailable { reason, retry_after }.into());
    }
    let mut more = nothing();
    let code = job::deal_of(app, &contract.negotiation).await?.code;
    if app.store.has_proof(&code).await.map_err(store)? {
        let why = "a proof of fulfilment of this contract is kept already";
        return Err(Fault::conflict("tc609.repeated", why).into());
    }
    more.insert("contractId".into(), code.to_string().into());
    Ok((true, more))
}

/// A report of performance: kept, and answered by `1` where it tells of an action that the contract does not permit.
pub(super) async fn executed(app: &App, it: &Execution) -> Result<Done, WorkError> {
    let of = Instance { contract: it.terms.contract.clone(), strategy: it.strategy.clone() };
    let whole = instance(app, &of).await?;
    let (document, _) = job::document(app, &whole).await?;
    same_terms(&it.terms, &document)?;
    let name = |it: &Act| match it {
        Act::Listed(word) => word.code.to_owned(),
        Act::Own(text) | Act::Unlisted(text) | Act::Foreign(text) => text.clone(),
    };
    let may: Vec<String> =
        document.permissions.iter().flat_map(|it| &it.clause.actions).map(name).collect();
    let owed: Vec<String> =
        document.obligations.iter().flat_map(|it| &it.clause.actions).map(name).collect();
    let beyond: Vec<&String> =
        it.actions.iter().filter(|it| !may.contains(it) && !owed.contains(it)).collect();
    let mut more = nothing();
    if let Some(first) = beyond.first() {
        more.insert("code".into(), "tc609.excess".into());
        let why = format!("executedActions: {first} is neither permitted nor owed by the contract");
        more.insert("message".into(), why.into());
    }
    Ok((beyond.is_empty(), more))
}
