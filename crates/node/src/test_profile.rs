//! The test profile: what a public test kit must find in a node, and how it makes the node speak first.
//!
//! A file names datasets and contracts that are seeded at start, each with approval rules of the ordinary engine, and
//! the rules of negotiations that a trigger begins. It never changes how a message is understood or answered: nothing
//! here is known to the protocol's code.
//!
//! Threat model: triggers make this node call an address that anybody may name, and seeded contracts were signed by
//! nobody. So the profile is refused unless the operator says `--allow-test-profile` at each start, triggers answer
//! loopback alone, and the node's own rules for addresses hold for them as for every call.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::json;

use tidm_crypto::hash::sha256;
use tidm_space::approval::Rules;
use tidm_space::catalog::product::{Approval, Draft, Kind, Offer, Product};
use tidm_space::dataflow::message::Plane;
use tidm_space::dataflow::registration::Registration;
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{Adoption, ContractWish, Input, TransferWish, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::limits::MESSAGE_BYTES;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::model::{Action, Kind as PolicyKind, Policy, Rule};
use tidm_space::policy::usage::Use;
use tidm_space::wire::dps::registration;

use crate::api::auth::From;
use crate::app::App;
use crate::net::auth::participant;
use crate::objects::Key;
use crate::rules::{self, RuleText};
use crate::server::{answer, signaling};
use crate::store::notes::{self, Source};
use crate::store::writer::WorkError;

/// A profile is written by hand or by a test runner.
const FILE_BYTES: u64 = 1 << 20;
/// What every seeded dataset delivers.
const DATA: &[u8] = b"seed,value\ntest profile,1\n";
const OBJECT: &str = "test-profile/data";
/// What seeded contracts are about.
const PRODUCT: &str = "urn:tidm:test-profile:product";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    dataset: Vec<DatasetText>,
    agreement: Vec<AgreementText>,
    request: Vec<RequestText>,
    plane: Vec<PlaneText>,
}

/// A plane of the kit, registered as an administrator would.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaneText {
    /// control or data.
    kind: String,
    /// Its registration message, JSON.
    registration: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatasetText {
    id: String,
    offer: String,
    #[serde(default)]
    rules: Vec<RuleText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgreementText {
    id: String,
    role: String,
    peer: String,
    /// The peer's DSP base.
    address: String,
    #[serde(default)]
    rules: Vec<RuleText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestText {
    dataset: String,
    rules: Vec<RuleText>,
}

/// A checked profile.
#[derive(Debug, Default)]
pub struct TestProfile {
    products: Vec<(Id, Option<Offer>)>,
    contracts: Vec<Adoption>,
    requests: Vec<(Id, Rules)>,
    planes: Vec<Registration>,
}

impl TestProfile {
    pub fn read(path: &Path, app: &App) -> anyhow::Result<Self> {
        let shown = path.display();
        let bytes = std::fs::metadata(path).with_context(|| format!("the test profile {shown}"))?;
        anyhow::ensure!(bytes.len() <= FILE_BYTES, "the test profile {shown} is too large");
        let text = std::fs::read_to_string(path)?;
        Self::parse(&text, app).with_context(|| format!("the test profile {shown}"))
    }

    fn parse(text: &str, app: &App) -> anyhow::Result<Self> {
        let file: File = toml::from_str(text)?;
        let me = app.identity.did.to_id();
        let product = Id::parse(PRODUCT)?;
        let mut it = Self { products: vec![(product.clone(), None)], ..Self::default() };
        let checked = |role, of: &str, rules: &[RuleText]| {
            rules::read(role, rules).map_err(|why| anyhow::anyhow!("{of}: {why}"))
        };
        for seed in &file.dataset {
            let mut policy = use_policy(Id::parse(&seed.offer)?, PolicyKind::Offer);
            policy.assigner = Some(me.clone());
            let offer = Offer::new(policy, Approval::Auto, vec![Use::Plain])?;
            let offer = offer.with_rules(checked(Role::Provider, &seed.id, &seed.rules)?);
            it.products.push((Id::parse(&seed.id)?, Some(offer)));
        }
        for seed in &file.agreement {
            let role = Role::from_word(&seed.role)
                .with_context(|| format!("{}: role is consumer or provider", seed.id))?;
            let peer = participant(&seed.peer)?;
            let id = Id::parse(&seed.id)?;
            let mut policy = use_policy(id.clone(), PolicyKind::Agreement);
            let (assigner, assignee) = match role {
                Role::Provider => (me.clone(), peer.to_id()),
                Role::Consumer => (peer.to_id(), me.clone()),
            };
            policy.assigner = Some(assigner);
            policy.assignee = Some(assignee);
            policy.target = Some(product.clone());
            it.contracts.push(Adoption {
                id,
                role,
                peer,
                address: seed.address.clone(),
                product: product.clone(),
                policy,
                signed_at: app.clock.now(),
                rules: checked(role, &seed.id, &seed.rules)?,
            });
        }
        for seed in &file.request {
            let rules = checked(Role::Consumer, &seed.dataset, &seed.rules)?;
            it.requests.push((Id::parse(&seed.dataset)?, rules));
        }
        for seed in &file.plane {
            let plane = Plane::from_word(&seed.kind).context("a plane is control or data")?;
            it.planes.push(registration::read(plane, seed.registration.as_bytes())?);
        }
        Ok(it)
    }

    /// Makes what the file names and the store does not hold.
    pub async fn seed(&self, app: &Arc<App>) -> anyhow::Result<()> {
        app.objects.put(&Key::parse(OBJECT)?, DATA, u64::MAX).await?;
        for (id, offer) in &self.products {
            if app.store.product(id).await?.is_none() {
                self.publish(app, id, offer.clone()).await?;
            }
        }
        for contract in &self.contracts {
            if app.store.contract(&contract.id).await?.is_none() {
                app.writer
                    .run(Input::Wish(Box::new(Wish::Adopt(Box::new(contract.clone())))))
                    .await?;
            }
        }
        for plane in &self.planes {
            signaling::register(app, plane.clone()).await?;
        }
        Ok(())
    }

    async fn publish(&self, app: &App, id: &Id, offer: Option<Offer>) -> anyhow::Result<()> {
        let origin = json!({"testProfile": true}).to_string();
        let title = format!("test profile {id}");
        let mut draft = Draft::new(id.clone(), id.clone(), title, Kind::File, app.clock.now());
        draft.bytes = u64::try_from(DATA.len()).ok();
        draft.content = Some(sha256(DATA));
        draft.origin = Some(sha256(origin.as_bytes()));
        draft.offers = offer.into_iter().collect();
        let product = Product::new(draft)?;
        let source = Source {
            product: id.clone(),
            object: OBJECT.to_owned(),
            origin,
            profile: None,
            preview: None,
        };
        app.writer
            .note(move |conn| {
                let source = source.clone();
                Box::pin(async move { notes::save_source(conn, &source).await })
            })
            .await?;
        app.writer.run(Input::Wish(Box::new(Wish::Publish(Box::new(product))))).await?;
        Ok(())
    }

    fn rules_for(&self, dataset: &Id) -> Rules {
        let found = self.requests.iter().find(|(id, _)| id == dataset);
        found.map(|(_, rules)| rules.clone()).unwrap_or_default()
    }
}

/// Use, without conditions.
fn use_policy(id: Id, kind: PolicyKind) -> Policy {
    let mut policy = Policy::new(id, kind);
    policy.permissions = vec![Rule::new(Action::Use, vec![])];
    policy
}

/// The triggers of the public test kits.
pub fn routes(profile: Arc<TestProfile>) -> Router<Arc<App>> {
    Router::new()
        .route("/test-profile/negotiations/requests", post(negotiate))
        .route("/test-profile/transfers/requests", post(transfer))
        .route("/test-profile/dataflows/trigger", post(prepare))
        .layer(Extension(profile))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Negotiate {
    provider_id: String,
    offer_id: String,
    dataset_id: String,
    connector_address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transfer {
    agreement_id: String,
    format: String,
    connector_address: String,
}

/// The kit of Data Plane Signaling says which of its planes a transfer is to run on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prepare {
    agreement_id: String,
    data_plane_url: String,
    dsp_url: String,
}

async fn prepare(
    State(app): State<Arc<App>>,
    Extension(from): Extension<From>,
    body: Bytes,
) -> Response {
    let wish = async {
        let it: Prepare = parse(from, &body)?;
        let planes = app.store.planes(Plane::Data).await;
        let planes = planes.map_err(|_| Fault::ApiMisuse("the planes cannot be read"))?;
        let url = it.data_plane_url.trim_end_matches('/');
        let plane = planes.into_iter().find(|it| it.endpoint == url);
        let format = plane.and_then(|it| it.profiles.into_iter().next());
        let format = format.ok_or(Fault::NotFound { what: "data plane" })?;
        let (contract, address) = (id(&it.agreement_id)?, Some(it.dsp_url));
        Ok(Wish::Fetch(Box::new(TransferWish {
            contract,
            address,
            format,
            push_to: None,
            id: None,
        })))
    };
    begin(&app, wish.await, "id").await
}

async fn negotiate(
    State(app): State<Arc<App>>,
    Extension(profile): Extension<Arc<TestProfile>>,
    Extension(from): Extension<From>,
    body: Bytes,
) -> Response {
    let wish = parse(from, &body).and_then(|it: Negotiate| {
        let (peer, product) = (party(&it.provider_id)?, id(&it.dataset_id)?);
        let mut offer = use_policy(id(&it.offer_id)?, PolicyKind::Offer);
        offer.assigner = Some(peer.to_id());
        let rules = profile.rules_for(&product);
        let address = it.connector_address;
        Ok(Wish::Request(Box::new(ContractWish { peer, address, product, offer, rules })))
    });
    begin(&app, wish, "@id").await
}

async fn transfer(
    State(app): State<Arc<App>>,
    Extension(from): Extension<From>,
    body: Bytes,
) -> Response {
    let wish = parse(from, &body).and_then(|it: Transfer| {
        let (contract, address) = (id(&it.agreement_id)?, Some(it.connector_address));
        let wish = TransferWish { contract, address, format: it.format, push_to: None, id: None };
        Ok(Wish::Fetch(Box::new(wish)))
    });
    begin(&app, wish, "@id").await
}

fn parse<T: serde::de::DeserializeOwned>(from: From, body: &[u8]) -> Result<T, Fault> {
    if !from.0.ip().is_loopback() {
        return Err(Fault::NotFound { what: "resource" });
    }
    if body.len() > MESSAGE_BYTES {
        return Err(Fault::misbehaved("message.malformed", "too long"));
    }
    serde_json::from_slice(body)
        .map_err(|why| Fault::misbehaved("message.malformed", why.to_string()))
}

fn id(text: &str) -> Result<Id, Fault> {
    Id::parse(text).map_err(|why| Fault::misbehaved("message.malformed", why.to_string()))
}

fn party(name: &str) -> Result<tidm_space::identity::did::Did, Fault> {
    participant(name).map_err(|why| Fault::misbehaved("message.malformed", why.to_string()))
}

/// Answers with the id of what began, as the member `name`.
async fn begin(app: &App, wish: Result<Wish, Fault>, name: &str) -> Response {
    let done = async {
        let reply = app.writer.run(Input::Wish(Box::new(wish?))).await?;
        Ok::<_, WorkError>(match reply {
            Reply::Negotiation { it, .. } => it.id,
            Reply::Transfer { it, .. } => it.id,
            Reply::Nothing
            | Reply::Flow { .. }
            | Reply::Lease(_)
            | Reply::Contract(_)
            | Reply::Product(_) => {
                return Err(Fault::ApiMisuse("a trigger began nothing").into());
            }
        })
    };
    match done.await {
        Ok(id) => answer::json(StatusCode::OK, json!({name: id.as_str()}).to_string()),
        Err(error) => answer::refusal(error, |fault| {
            json!({"code": fault.code(), "reason": fault.to_string()}).to_string()
        }),
    }
}
