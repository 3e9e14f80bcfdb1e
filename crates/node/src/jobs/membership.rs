//! Memberships of spaces: running one, inviting, joining, revoking.
//!
//! Threat model: an invitation is bound to a DID and is no secret; whoever steals it can only make the
//! invited organisation a member. A joining node trusts an issuer for that one space and only because its
//! own administrator said so. A revocation is durable before it is acknowledged.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::FutureExt as _;
use reqwest::Method;
use serde_json::json;

use tidm_space::evidence::fact::Change;
use tidm_space::fault::Fault;
use tidm_space::id::Ids as _;
use tidm_space::identity::credential::Profile;
use tidm_space::identity::did::Did;
use tidm_space::identity::issuance::message::Request;
use tidm_space::identity::member::{CreditCode, Role};
use tidm_space::lease::seen::regions;
use tidm_space::limits::{ID_BYTES, INVITATION_LIFE, TITLE_BYTES};
use tidm_space::time::Time;
use tidm_space::wire::dcp::issuance;
use tidm_space::wire::json;

use crate::app::App;
use crate::clock::FreshIds;
use crate::store::issuer::{self, Invitation};
use crate::store::save;
use crate::store::wallet::{self, Answered, Asked};
use crate::store::writer::WorkError;

/// Begins every invitation, so that a person sees what it is.
const PREFIX: &str = "tidm-invitation:";
/// How long a joining node waits for the operator's delivery before it says "open".
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// Makes a space whose issuer is this node.
pub async fn create(app: &App, name: &str) -> Result<String, WorkError> {
    let (id, now) = (FreshIds.fresh().to_string(), app.clock.now());
    let (made, name) = (id.clone(), name.to_owned());
    app.writer
        .note(move |conn| {
            let (id, name) = (made.clone(), name.clone());
            async move { issuer::create_space(conn, &id, &name, now).await }.boxed()
        })
        .await?;
    app.claims.know_space(id.clone(), app.identity.did.clone());
    Ok(id)
}

/// A space that this node runs.
pub async fn ours(app: &App, space: &str) -> Result<(), WorkError> {
    let all = app.store.spaces().await.map_err(|why| WorkError::Store(why.to_string()))?;
    match all.iter().any(|(id, _)| id == space) {
        true => Ok(()),
        false => Err(Fault::NotFound { what: "space" }.into()),
    }
}

/// What a membership will say of its member beside its roles.
#[derive(Clone, Copy, Debug, Default)]
pub struct Particulars<'a> {
    /// A code of ISO 3166.
    pub country: Option<&'a str>,
    /// Of its legal entity (GB 32100).
    pub credit_code: Option<&'a str>,
}

/// The invitation's text, and how long it holds.
pub async fn invite(
    app: &App,
    space: &str,
    holder: &Did,
    roles: &[String],
    Particulars { country, credit_code }: Particulars<'_>,
) -> Result<(String, Time), WorkError> {
    ours(app, space).await?;
    if let Some(unknown) = roles.iter().find(|it| Role::from_name(it).is_none()) {
        return Err(Fault::refused("space.role", format!("{unknown} is no role")).into());
    }
    if let Some(bad) = country.filter(|it| regions(it).is_none()) {
        let why = format!("{bad} is no code of a region such as CN or CN-32");
        return Err(Fault::refused("space.country", why).into());
    }
    if let Some(Err(why)) = credit_code.map(CreditCode::parse) {
        return Err(Fault::refused("space.credit-code", why.to_string()).into());
    }
    let roles = if roles.is_empty() { "provider consumer".to_owned() } else { roles.join(" ") };
    let now = app.clock.now();
    let it = Invitation {
        space: space.to_owned(),
        holder: holder.to_string(),
        roles,
        country: country.map(str::to_owned),
        credit_code: credit_code.map(str::to_owned),
        until: now.after(INVITATION_LIFE),
        issuance: None,
    };
    let until = it.until;
    app.writer
        .note(move |conn| {
            let it = it.clone();
            async move { issuer::invite(conn, &it, now).await }.boxed()
        })
        .await?;
    let text = json!({"space": space, "operator": app.identity.did.as_str()}).to_string();
    Ok((format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(text)), until))
}

/// The operator and the space of an invitation.
fn read(invitation: &str) -> Result<(Did, String), Fault> {
    let bad = || Fault::refused("space.invitation", "this is no invitation to a space");
    let text = invitation.trim().strip_prefix(PREFIX).ok_or_else(bad)?;
    if text.len() > 4 * ID_BYTES {
        return Err(bad());
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    let value = json::parse(&bytes).map_err(|_| bad())?;
    let it = json::Fields::top(&value).map_err(|_| bad())?;
    let space = it.text("space").map_err(|_| bad())?;
    if space.is_empty() || space.len() > TITLE_BYTES {
        return Err(bad());
    }
    Ok((it.did("operator").map_err(|_| bad())?, space.to_owned()))
}

/// Asks the operator for our membership, and waits a moment until our wallet has it.
pub async fn join(app: &App, invitation: &str) -> Result<Asked, WorkError> {
    let (operator, space) = read(invitation)?;
    if app.claims.issuer_of(&space).is_some_and(|it| it != operator) {
        let why = format!("the space {space} is run by somebody else, not by {operator}");
        return Err(Fault::refused("space.invitation", why).into());
    }
    let unavailable = |why: String| Fault::Unavailable { reason: why, retry_after: PATIENCE };
    let peer = app.directory.peer(&operator).await?;
    let base = peer.document.service("IssuerService")?.to_owned();
    let metadata = app
        .client
        .call(Method::GET, &format!("{base}/metadata"), None, None)
        .await
        .map_err(|why| unavailable(why.to_string()))?;
    let metadata = issuance::read_metadata(&metadata.body)?;
    // The newest data model that it speaks; our own nodes speak both.
    let object = Profile::ALL.into_iter().rev().find_map(|profile| {
        metadata.credentials.iter().find(|it| {
            it.id.starts_with(&format!("{space}#"))
                && it.profile.as_deref() == Some(profile.alias())
        })
    });
    let object = object.filter(|_| metadata.issuer == operator).ok_or_else(|| {
        Fault::refused("space.invitation", format!("{operator} issues no membership of {space}"))
    })?;
    let id = FreshIds.fresh().to_string();
    let (row, issuer, named, now) = (id.clone(), operator.clone(), space.clone(), app.clock.now());
    app.writer
        .note(move |conn| {
            let (id, issuer, space) = (row.clone(), issuer.clone(), named.clone());
            async move { wallet::ask(conn, &id, (&issuer, &space), now).await }.boxed()
        })
        .await?;
    let request = Request { holder_pid: id.clone(), wants: vec![object.id.clone()] };
    let bearer = format!("Bearer {}", app.identity.token(&operator, None, &app.clock));
    let body = issuance::write_request(&request);
    let answer = app
        .client
        .call(Method::POST, &format!("{base}/credentials"), Some(&bearer), Some(body))
        .await
        .map_err(|why| unavailable(why.to_string()))?;
    if !answer.status.is_success() {
        let why = format!("{operator} answers {}: is this node invited?", answer.status);
        refused(app, &id, &operator, &why).await?;
        return Err(Fault::denied("space.refused", "invitation", why).into());
    }
    settle(app, &id).await
}

async fn refused(app: &App, id: &str, operator: &Did, why: &str) -> Result<(), WorkError> {
    let (id, operator, why) = (id.to_owned(), operator.clone(), why.to_owned());
    app.writer
        .note(move |conn| {
            let (id, operator, why) = (id.clone(), operator.clone(), why.clone());
            async move { wallet::answered(conn, &id, &operator, (Answered::Rejected, &why)).await }
                .boxed()
        })
        .await
}

/// Until the operator delivered, or patience ends.
async fn settle(app: &App, id: &str) -> Result<Asked, WorkError> {
    let begun = tokio::time::Instant::now();
    loop {
        let found = app.store.asked(id).await.map_err(|why| WorkError::Store(why.to_string()))?;
        let it = found.ok_or(Fault::ApiMisuse("a request of ours is gone"))?;
        if it.state == Answered::Rejected.word() {
            return Err(Fault::denied("space.refused", "invitation", it.reason).into());
        }
        if it.state != Answered::Open.word() || begun.elapsed() >= PATIENCE {
            return Ok(it);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Ends every membership of `holder` in a space of ours, and an invitation that it did not take up; says how many
/// memberships. Who was never invited is an error: a mistyped DID must not look as if it were cut off.
pub async fn revoke(app: &App, space: &str, holder: &Did) -> Result<u64, WorkError> {
    ours(app, space).await?;
    let count = Arc::new(Mutex::new(None));
    let (told, now) = (count.clone(), app.clock.now());
    let fact = app.identity.membership((holder, space), Change::Revoked, None, now);
    let (me, place) = (app.identity.did.clone(), (space.to_owned(), holder.clone()));
    app.writer
        .note(move |conn| {
            let (me, place, told) = (me.clone(), place.clone(), told.clone());
            let fact = fact.clone();
            async move {
                let done = issuer::revoke(conn, &me, (&place.0, &place.1), now).await?;
                if done.is_some_and(|it| it > 0) {
                    save::save_fact(conn, &fact).await?;
                }
                *told.lock().unwrap_or_else(PoisonError::into_inner) = done;
                Ok(())
            }
            .boxed()
        })
        .await?;
    app.claims.forget(holder);
    app.log_bell.notify_one();
    let count = *count.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(count.ok_or(Fault::NotFound { what: "member" })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_invitations_read_as_invitations() {
        let text = json!({"space": "urn:uuid:1", "operator": "did:web:op"}).to_string();
        let good = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(text));
        assert_eq!(read(&good).unwrap().1, "urn:uuid:1");
        assert!(read(&format!("  {good}\n")).is_ok());
        let inner = |text: &str| format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(text));
        for bad in [
            String::new(),
            good[1..].to_owned(),
            PREFIX.to_owned(),
            format!("{PREFIX}!!"),
            inner("{}"),
            inner("[]"),
            inner(r#"{"space":"","operator":"did:web:op"}"#),
            inner(r#"{"space":"a","operator":"nobody"}"#),
            inner(&"x".repeat(10_000)),
        ] {
            assert_eq!(read(&bad).unwrap_err().code(), "space.invitation", "{bad:.60}");
        }
    }
}
