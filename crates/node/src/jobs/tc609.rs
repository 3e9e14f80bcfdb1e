//! The TC609 face of our deals: the code of each, how it stands in the standard's words, and its document.
//!
//! Threats: two codes for one deal, or one for two, so a code is given once, in the store. A document that says more
//! than was signed, so it is made from the contract at each asking and from nothing else. Never signs.

use uuid::Uuid;

use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::jcs;
use tidm_space::contract::{Contract, State as Standing};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::negotiation::message::Role as Side;
use tidm_space::negotiation::state::{Name, Negotiation};
use tidm_space::policy::compile::compile;
use tidm_space::policy::model::Policy;
use tidm_space::tc609::code::{ContractCode, Issue, NodeCode, ProductCode, SubjectCode, urn};
use tidm_space::tc609::document::{Document, Frame, Role, SignMode, Signatory, Status, Subject};
use tidm_space::tc609::loss::Loss;
use tidm_space::time::Time;
use tidm_space::wire::tc609::{to_json, to_tc609};

use crate::app::App;
use crate::store::StoreError;
use crate::store::tc609::{self as rows, Deal, Record};
use crate::store::writer::WorkError;

/// The last second that fourteen digits at UTC+08:00 can say: of a contract without an end.
const NEVER: i64 = 253_402_271_999_000;
/// Names have at most 128 characters.
const NAME: usize = 128;

/// Held while a negotiation and its code are joined: a negotiation that begins under a code must not be given another
/// one before the two are joined. Within one process; replicas are not kept apart by it.
pub static JOINING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A deal with all that this node has of it.
#[derive(Clone, Debug)]
pub struct Whole {
    pub deal: Deal,
    pub negotiation: Option<Negotiation>,
    pub contract: Option<Contract>,
    pub used: bool,
}

fn store(why: StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}

/// Our connector's code.
pub fn connector(app: &App) -> Result<&NodeCode, Fault> {
    app.config.tc609.connector.as_ref().ok_or_else(unset)
}

fn unset() -> Fault {
    Fault::refused("tc609.unset", "tc609.connector and tc609.platform are not configured")
}

/// The organisation that this node speaks for.
pub fn own_subject(app: &App) -> Result<SubjectCode, Fault> {
    connector(app)?.subject().ok_or_else(unset)
}

/// The connector's code of a participant.
pub fn code_of<'a>(app: &'a App, did: &Did) -> Result<&'a NodeCode, Fault> {
    if *did == app.identity.did {
        return connector(app);
    }
    let found = app.config.tc609.partners.iter().find(|(_, it)| it == did);
    found.map(|(code, _)| code).ok_or_else(|| {
        Fault::refused("tc609.partner", format!("tc609.partners has no code for {did}"))
    })
}

/// Whose connector this is; never ourselves.
pub fn partner<'a>(app: &'a App, code: &NodeCode) -> Option<&'a Did> {
    app.config.tc609.partners.iter().find(|(it, _)| it == code).map(|(_, did)| did)
}

/// How the connector `owner` names a product.
pub fn product_code(owner: &NodeCode, product: &Id) -> Result<ProductCode, Fault> {
    let uuid = Uuid::parse_str(product.as_str()).ok();
    uuid.and_then(|it| ProductCode::of_uuid(owner, it)).ok_or_else(|| {
        Fault::refused("tc609.product", format!("{product} is no UUID, so it has no TC609 code"))
    })
}

/// A fresh code, in the platform's name.
pub fn fresh(app: &App) -> Result<ContractCode, Fault> {
    let platform = app.config.tc609.platform.as_ref().ok_or_else(unset)?;
    let subject = platform.subject().ok_or_else(unset)?;
    // A byte of 256 leaves the first four letters a little likelier; codes are no secrets.
    let letters = crate::random::key();
    let letter =
        |it: &u8| char::from_digit(u32::from(it % 36), 36).map(|it| it.to_ascii_uppercase());
    let random: String = letters.expose().iter().take(8).filter_map(letter).collect();
    let it = Issue {
        subject: subject.as_str(),
        region: platform.region(),
        at: floor(app.clock.now()),
        random: &random,
    };
    ContractCode::build(&it).map_err(|_| Fault::ApiMisuse("a contract's code cannot be made"))
}

pub fn floor(at: Time) -> Time {
    Time::from_ms(at.ms() - at.ms() % 1000)
}

/// The deal of a negotiation; it gets its code at the first asking.
pub async fn deal_of(app: &App, negotiation: &Id) -> Result<Deal, WorkError> {
    if let Some(known) = app.store.deal_of(negotiation).await.map_err(store)? {
        return Ok(known);
    }
    let _joining = JOINING.lock().await;
    if let Some(known) = app.store.deal_of(negotiation).await.map_err(store)? {
        return Ok(known);
    }
    let made = Deal {
        code: fresh(app)?,
        negotiation: Some(negotiation.clone()),
        made: app.clock.now(),
        record: Record::default(),
    };
    app.writer
        .note(move |conn| {
            let made = made.clone();
            Box::pin(async move { rows::insert(conn, &made).await })
        })
        .await?;
    let kept = app.store.deal_of(negotiation).await.map_err(store)?;
    kept.ok_or_else(|| Fault::conflict("tc609.code", "the code is taken: try again").into())
}

/// Everything about the deal with this code.
pub async fn by_code(app: &App, code: &ContractCode) -> Result<Whole, WorkError> {
    let deal = app.store.deal(code).await.map_err(store)?;
    whole(app, deal.ok_or(Fault::NotFound { what: "contract" })?).await
}

/// By its code, or by the id of the contract or of the negotiation.
pub async fn find(app: &App, id: &Id) -> Result<Whole, WorkError> {
    if let Ok(code) = ContractCode::parse(id.as_str()) {
        return by_code(app, &code).await;
    }
    let contract = app.store.contract(id).await.map_err(store)?;
    let negotiation = match contract {
        Some(it) => it.negotiation,
        None => {
            let known = app.store.negotiation(id).await.map_err(store)?;
            known.ok_or(Fault::NotFound { what: "contract" })?.id
        }
    };
    whole(app, deal_of(app, &negotiation).await?).await
}

pub async fn whole(app: &App, deal: Deal) -> Result<Whole, WorkError> {
    let mut it = Whole { deal, negotiation: None, contract: None, used: false };
    let Some(id) = it.deal.negotiation.clone() else { return Ok(it) };
    it.negotiation = app.store.negotiation(&id).await.map_err(store)?;
    let agreed = it.negotiation.as_ref().and_then(|it| it.state.agreement());
    // A contract that was concluded elsewhere has the id of its negotiation.
    let contract = agreed.map_or(&id, |it| &it.id);
    it.contract = app.store.contract(contract).await.map_err(store)?;
    if let Some(contract) = &it.contract {
        it.used = app.store.was_used(&contract.id).await.map_err(store)?;
    }
    Ok(it)
}

impl Whole {
    pub fn status(&self) -> Status {
        if let Some(contract) = &self.contract {
            return match (&contract.state, self.used) {
                (Standing::Ended { .. }, _) => Status::Terminated,
                // The standard knows no pause: what is suspended stands, and each use is refused with that reason.
                (Standing::Active | Standing::Suspended { .. }, true) => Status::Performing,
                (Standing::Active | Standing::Suspended { .. }, false) => Status::Signed,
            };
        }
        let Some(it) = &self.negotiation else {
            let over = self.deal.record.withdrawn.is_some();
            return if over { Status::SigningFailed } else { Status::Initiated };
        };
        match it.state.name() {
            Name::Initial => Status::Initiated,
            Name::Requested | Name::Offered if it.rounds <= 1 => Status::Initiated,
            Name::Requested | Name::Offered | Name::Accepted => Status::Negotiating,
            Name::Agreed | Name::Verified | Name::Finalized => Status::Signing,
            Name::Terminated => Status::SigningFailed,
        }
    }

    /// The end that its own data or its terms name; of what is signed, the earlier one.
    pub fn until(&self) -> Option<Time> {
        let (terms, first_use) = match (&self.contract, &self.negotiation) {
            (Some(it), _) => (it.terms().ok(), it.first_use),
            (None, Some(it)) => (it.state.offer().and_then(|it| compile(it).ok()), None),
            (None, None) => (None, None),
        };
        let said = terms.and_then(|it| it.until(first_use));
        let own = self.deal.record.until.map(Time::from_ms);
        let signed = said.filter(|_| self.contract.is_some());
        own.map(|own| signed.map_or(own, |it| it.min(own))).or(said).map(floor)
    }

    pub fn signed(&self) -> Result<&Contract, Fault> {
        self.contract
            .as_ref()
            .ok_or_else(|| Fault::refused("tc609.unsigned", "the contract is not signed yet"))
    }
}

/// The parties' sides: provider's and consumer's connector, and the product's code.
pub fn sides(
    app: &App,
    role: Side,
    peer: &Did,
    product: &Id,
) -> Result<(NodeCode, NodeCode, ProductCode), Fault> {
    let (ours, theirs) = (connector(app)?.clone(), code_of(app, peer)?.clone());
    let (provider, consumer) = match role {
        Side::Provider => (ours, theirs),
        Side::Consumer => (theirs, ours),
    };
    let product = product_code(&provider, product)?;
    Ok((provider, consumer, product))
}

/// The document of a signed contract, and what it cannot say. What is on the table of a negotiation that is not over is
/// said by [`proposal`].
pub async fn document(app: &App, it: &Whole) -> Result<(Document, Vec<Loss>), WorkError> {
    let contract = it.signed()?;
    let me = &app.identity.did;
    let (provider, consumer, product) =
        sides(app, contract.role, &contract.peer, &contract.product)?;
    let signatory =
        |did: &Did, role, signature: Option<&tidm_space::negotiation::message::Signature>| {
            let id = code_of(app, did)?.subject().ok_or_else(unset)?;
            let signature = signature.map(|it| it.0.clone()).ok_or_else(|| {
                Fault::refused("tc609.unsigned", format!("the contract is unsigned by {did}"))
            })?;
            Ok::<_, Fault>(Signatory { id, name: None, role, signature: Some(signature) })
        };
    let signatories = vec![
        signatory(contract.provider(me), Role::Provider, contract.provider_signature.as_ref())?,
        signatory(contract.consumer(me), Role::Consumer, contract.consumer_signature.as_ref())?,
    ];
    let owner = provider.subject();
    let subject = Subject {
        product,
        name: None,
        summary: None,
        owner,
        provider,
        provider_name: None,
        consumer: Some(consumer),
        consumer_name: None,
    };
    let record = &it.deal.record;
    let began = it.negotiation.as_ref().map(|it| it.created);
    let frame = Frame {
        id: it.deal.code.clone(),
        name: record
            .name
            .clone()
            .unwrap_or_else(|| contract.product.to_string().chars().take(NAME).collect()),
        summary: record.summary.clone(),
        status: it.status(),
        created: record.issued.map(Time::from_ms).or(began).map(floor),
        mode: SignMode::PointToPoint,
        signatories,
        signed: Some(floor(contract.signed_at)),
        from: record.from.map(Time::from_ms),
        until: it.until().unwrap_or_else(|| Time::from_ms(NEVER)),
        expansion: Some(serde_json::json!({ "agreement": contract.id.as_str() }).to_string()),
        subjects: vec![subject],
    };
    let (document, mut losses) = written(&contract.policy, &frame)?;
    if it.until().is_none() {
        losses.push(Loss::without_end());
    }
    Ok((document, losses))
}

/// What is on the table, as a contract without signatures.
pub fn proposal(app: &App, it: &Whole) -> Result<Option<Document>, Fault> {
    let Some(negotiation) = &it.negotiation else { return Ok(None) };
    let Some(policy) = negotiation.state.offer() else { return Ok(None) };
    let (provider, consumer, product) =
        sides(app, negotiation.role, &negotiation.peer, &negotiation.product)?;
    let party = |code: &NodeCode, role| {
        let id = code.subject().ok_or_else(unset)?;
        Ok::<_, Fault>(Signatory { id, name: None, role, signature: None })
    };
    let record = &it.deal.record;
    let named = || negotiation.product.to_string().chars().take(NAME).collect();
    let frame = Frame {
        id: it.deal.code.clone(),
        name: record.name.clone().unwrap_or_else(named),
        summary: record.summary.clone(),
        status: it.status(),
        created: Some(floor(record.issued.map_or(negotiation.created, Time::from_ms))),
        mode: SignMode::PointToPoint,
        signatories: vec![party(&provider, Role::Provider)?, party(&consumer, Role::Consumer)?],
        signed: None,
        from: record.from.map(Time::from_ms),
        until: it.until().unwrap_or_else(|| Time::from_ms(NEVER)),
        expansion: None,
        subjects: vec![Subject {
            product,
            name: None,
            summary: None,
            owner: provider.subject(),
            provider,
            provider_name: None,
            consumer: Some(consumer),
            consumer_name: None,
        }],
    };
    written(policy, &frame).map(|(it, _)| Some(it))
}

fn written(policy: &Policy, frame: &Frame) -> Result<(Document, Vec<Loss>), Fault> {
    // The contract's one product, by its TC609 name.
    let target = frame.subjects.first().and_then(|it| urn(it.product.as_str()));
    let policy = Policy { target, ..policy.clone() };
    to_tc609(&policy, frame)
        .map_err(|why| Fault::refused("tc609.document", format!("it has no TC609 document: {why}")))
}

/// The evidence code (合约存证码): SHA-256 of the document as it was signed, RFC 8785.
pub fn evidence_code(it: &Document) -> Digest {
    let mut it = it.clone();
    // How it stands changes; what was signed does not.
    it.frame.status = Status::Signed;
    // Texts, arrays and objects alone: their canonical form always exists.
    sha256(&jcs::canonical(&to_json(&it)).unwrap_or_default())
}
