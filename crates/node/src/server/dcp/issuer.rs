//! The issuer's endpoints: requests, their status, metadata, schemas and status lists (DCP §6.4, §6.7, §6.8).
//!
//! Threat model: a credential is only ever about the DID that proved itself, and only issued to whom an
//! operator invited (or, in the test profile, to anybody, for test credentials). The decision, the places
//! on the status list, the signatures and what is owed to the wallet are one transaction. A request's
//! status is for its holder alone; to others it does not exist.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use serde_json::json as document;
use sqlx::AnyConnection;

use tidm_space::engine::node::Signer as _;
use tidm_space::evidence::fact::Change;
use tidm_space::fault::Fault;
use tidm_space::id::Ids as _;
use tidm_space::identity::credential::list::{Bits, List};
use tidm_space::identity::credential::{COUNTRY, MEMBERSHIP, Profile, Purpose, ROLES, SPACE};
use tidm_space::identity::issuance::decide::{
    self, Invited, Offered, Order, PER_LIST, Verdict, View, from_word, word,
};
use tidm_space::identity::issuance::message::{Container, Object};
use tidm_space::limits::{MEMBERSHIP_LIFE, STATUS_LIST_LIFE};
use tidm_space::time::Time;
use tidm_space::wire::dcp::{issuance, jwt};

use super::{Me, caller, refusal, store as failed};
use crate::app::App;
use crate::clock::FreshIds;
use crate::identity::Identity;
use crate::server::answer::json;
use crate::store::StoreError;
use crate::store::issuer::{self, IssuedRow};
use crate::store::save;
use crate::store::writer::WorkError;

type Shared = State<Arc<App>>;
type Whose = Extension<Me>;

/// What `me` can issue: memberships of its spaces, and what the test profile adds.
async fn offered(app: &App, me: &Identity) -> Result<Vec<Offered>, WorkError> {
    let mut all = Vec::new();
    for profile in Profile::ALL {
        if me.did == app.identity.did {
            for (space, _) in app.store.spaces().await.map_err(failed)? {
                all.push(Offered::membership(&space, profile));
            }
        } else {
            // An identity of the test profile.
            all.extend(super::testing::KINDS.iter().map(|kind| Offered {
                object: format!("urn:tidm:test:{kind}:{}", word(profile)),
                kind: (*kind).to_owned(),
                profile,
                space: None,
            }));
        }
    }
    Ok(all)
}

/// `GET /metadata` (DCP §6.7): open to anybody.
pub(super) async fn metadata(State(app): Shared, Extension(Me(me)): Whose) -> Response {
    let objects = match offered(&app, &me).await {
        Ok(all) => all,
        Err(error) => return refusal(error),
    };
    let object = |it: &Offered| Object {
        id: it.object.clone(),
        kind: Some(it.kind.clone()),
        schema: Some(format!("{}/schemas/{}", me.issuer_base(), it.kind)),
        reason: Some("issuance".to_owned()),
        bindings: vec!["did:web".to_owned(), "did:key".to_owned()],
        profile: Some(it.profile.alias().to_owned()),
    };
    let objects: Vec<Object> = objects.iter().map(object).collect();
    json(StatusCode::OK, issuance::write_metadata(me.did.as_str(), &objects))
}

/// The JSON schema of a kind's subject.
pub(super) async fn schema(Extension(Me(me)): Whose, Path(kind): Path<String>) -> Response {
    let kind: String = kind.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut properties = document!({"id": {"type": "string"}});
    let mut required = vec!["id"];
    if kind == MEMBERSHIP && !super::testing::is_test(&me) {
        properties[SPACE] = document!({"type": "string"});
        properties[ROLES] = document!({"type": "array", "items": {"type": "string"}});
        properties[COUNTRY] = document!({"type": "string"});
        required.extend([SPACE, ROLES]);
    }
    let schema = document!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("{}/schemas/{kind}", me.issuer_base()),
        "title": kind, "type": "object", "properties": properties, "required": required,
    });
    json(StatusCode::OK, schema.to_string())
}

/// `POST /credentials` (DCP §6.4).
pub(super) async fn request(
    State(app): Shared,
    Extension(Me(me)): Whose,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match try_request(&app, &me, &headers, &body).await {
        Ok(id) => {
            let mut answer = json(StatusCode::CREATED, "{}");
            let place = format!("{}/requests/{id}", me.issuer_base());
            if let Ok(value) = HeaderValue::from_str(&place) {
                answer.headers_mut().insert(header::LOCATION, value);
            }
            answer
        }
        Err(error) => refusal(error),
    }
}

async fn try_request(
    app: &Arc<App>,
    me: &Identity,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<String, WorkError> {
    let who = caller(app, me, headers).await?;
    let request = issuance::read_request(body)?;
    let known = offered(app, me).await?;
    let wanted = decide::wanted(&request, &known)?;
    let order = Order {
        issuer: me.did.clone(),
        holder: who.did,
        access: who.access,
        request,
        wanted,
        id: FreshIds.fresh().as_str().trim_start_matches("urn:uuid:").to_owned(),
    };
    let id = save_decision(app, me, order).await?;
    app.issue_bell.notify_one();
    app.log_bell.notify_one();
    Ok(id)
}

type Slot = Arc<Mutex<Result<String, Fault>>>;

async fn save_decision(app: &App, me: &Identity, order: Order) -> Result<String, WorkError> {
    let slot: Slot = Arc::new(Mutex::new(Err(Fault::ApiMisuse("a request was not decided"))));
    let (order, me) = (Arc::new(order), Arc::new(me.clone()));
    let (filled, now) = (slot.clone(), app.clock.now());
    app.writer
        .note(move |conn| {
            let (me, order, filled) = (me.clone(), order.clone(), filled.clone());
            async move {
                let decided = approve(conn, &me, &order, now).await?;
                *filled.lock().unwrap_or_else(PoisonError::into_inner) = decided;
                Ok(())
            }
            .boxed()
        })
        .await?;
    let decided = slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(decided?)
}

/// Inside the transaction: what is decided, signed and owed.
async fn approve(
    conn: &mut AnyConnection,
    me: &Identity,
    it: &Order,
    now: Time,
) -> Result<Result<String, Fault>, StoreError> {
    let open = issuer::open(conn, &it.issuer, &it.holder).await?;
    let mut view = View { open, ..View::default() };
    if it.wanted.iter().any(|want| want.space.is_some()) {
        view.past = issuer::past(conn, &it.issuer, &it.holder).await?;
    }
    let mut invitations = Vec::new();
    for want in &it.wanted {
        let found = match &want.space {
            Some(space) => issuer::invitation(conn, (space, &it.holder), now).await?,
            None => None,
        };
        view.invitations.push(found.as_ref().map(|it| Invited {
            space: it.space.clone(),
            roles: it.roles.clone(),
            country: it.country.clone(),
            credit_code: it.credit_code.clone(),
        }));
        invitations.push(found);
    }
    match decide::decide(it, &view) {
        Ok(Verdict::Issue) => {}
        Ok(Verdict::Again(old)) => {
            issuer::save(conn, &old, Some(now)).await?;
            return Ok(Ok(old.id));
        }
        Ok(Verdict::Known(id)) => return Ok(Ok(id)),
        Err(fault) => return Ok(Err(fault)),
    }
    let mut credentials = Vec::new();
    for (want, invited) in it.wanted.iter().zip(&view.invitations) {
        credentials.push(sign(conn, me, it, (want, invited.as_ref()), now).await?);
    }
    let (approved, step) = match decide::approve(it, credentials.clone(), now) {
        Ok(moved) => moved,
        Err(fault) => return Ok(Err(fault)),
    };
    issuer::save(conn, &approved, step.deliver).await?;
    for (invitation, credential) in invitations.iter().zip(&credentials) {
        let Some(invitation) = invitation else { continue };
        issuer::use_invitation(conn, invitation, &it.id).await?;
        let who = (&it.holder, invitation.space.as_str());
        let fact = me.membership(who, Change::Issued, Some(&credential.payload), now);
        save::save_fact(conn, &fact).await?;
    }
    Ok(Ok(it.id.clone()))
}

async fn sign(
    conn: &mut AnyConnection,
    me: &Identity,
    it: &Order,
    (want, invited): (&Offered, Option<&Invited>),
    now: Time,
) -> Result<Container, StoreError> {
    let row = IssuedRow {
        issuer: me.did.clone(),
        issuance: it.id.clone(),
        holder: it.holder.clone(),
        kind: want.kind.clone(),
        space: want.space.clone().unwrap_or_default(),
        at: now,
        until: now.after(MEMBERSHIP_LIFE),
    };
    let place = issuer::issue(conn, &row).await?;
    let place = (list_address(me, want.profile, place / PER_LIST), place % PER_LIST);
    let credential = decide::credential(it, (want, invited), place, &FreshIds.fresh(), now);
    let payload = jwt::write_credential(&credential).to_string();
    let payload = me.sign(jwt::credential_typ(want.profile), payload.as_bytes());
    Ok(Container { kind: want.kind.clone(), profile: want.profile, payload })
}

/// `GET /requests/{id}` (DCP §6.8): for the holder that asked, nobody else.
pub(super) async fn status(
    State(app): Shared,
    Extension(Me(me)): Whose,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let found = async {
        let who = caller(&app, &me, &headers).await?;
        let it = app.store.issuance(&id).await.map_err(failed)?;
        it.filter(|it| it.holder == who.did && it.issuer == me.did)
            .ok_or_else(|| WorkError::from(Fault::NotFound { what: "request" }))
    };
    match found.await {
        Ok(it) => {
            let word = it.state.name().shown();
            json(StatusCode::OK, issuance::write_status(&it.id, &it.holder_pid, word))
        }
        Err(error) => refusal(error),
    }
}

fn list_address(me: &Identity, profile: Profile, list: u64) -> String {
    format!("{}/status/{}/{list}", me.issuer_base(), word(profile))
}

/// `GET /status/{profile}/{list}`: a signed status list, open to anybody.
pub(super) async fn status_list(
    State(app): Shared,
    Extension(Me(me)): Whose,
    Path((profile, list)): Path<(String, u32)>,
) -> Response {
    let written = async {
        let profile = from_word(&profile).ok_or(Fault::NotFound { what: "status list" })?;
        let now = app.clock.now();
        let it = read_list(&app, &me, u64::from(list), Some(now)).await?;
        let address = list_address(&me, profile, u64::from(list));
        let payload = jwt::write_status_list(profile, &address, &it, now).to_string();
        Ok::<_, WorkError>(me.sign(jwt::credential_typ(profile), payload.as_bytes()))
    };
    match written.await {
        Ok(signed) => ([(header::CONTENT_TYPE, "application/vc+jwt")], signed).into_response(),
        Err(error) => refusal(error),
    }
}

/// The list as it is in the store at this moment; it holds as long as a verifier may keep it.
async fn read_list(
    app: &App,
    me: &Identity,
    list: u64,
    now: Option<Time>,
) -> Result<List, WorkError> {
    let from = list.saturating_mul(PER_LIST);
    let bound = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let to = from.saturating_add(PER_LIST);
    let revoked = app.store.revoked(&me.did, bound(from), bound(to)).await.map_err(failed)?;
    let mut bits = Bits::zeros(PER_LIST);
    for place in revoked {
        let index = u64::try_from(place).unwrap_or(0).saturating_sub(from);
        if !bits.set(index) {
            return Err(Fault::ApiMisuse("a place beyond its list").into());
        }
    }
    let until = now.map(|now| now.after(STATUS_LIST_LIFE));
    Ok(List { issuer: me.did.clone(), purpose: Purpose::Revocation, until, bits })
}

/// A list of our own, as it is now: our own revocations bite at once.
pub(crate) async fn own_list(app: &App, me: &Identity, address: &str) -> Result<List, WorkError> {
    let list = address
        .strip_prefix(&format!("{}/status/", me.issuer_base()))
        .and_then(|it| it.split_once('/'))
        .and_then(|(profile, list)| from_word(profile).and_then(|_| list.parse::<u32>().ok()))
        .ok_or(Fault::NotFound { what: "status list" })?;
    read_list(app, me, u64::from(list), None).await
}
