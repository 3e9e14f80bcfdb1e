//! What a presentation proves (DCP §5.4.3): a pure function in three steps, so that the shell fetches only
//! what an earlier step allowed.
//!
//! 1. [`open`] reads and bounds everything and refuses issuers that nobody here trusts: no document is
//!    fetched for a DID that a stranger made up.
//! 2. [`prove`] checks signatures with the documents of the holder and the trusted issuers, dates, the
//!    holder's binding and that every scope is answered. Only now addresses inside credentials (status
//!    lists, schemas) are worth fetching: a trusted issuer wrote them.
//! 3. [`Proven::hold`] checks revocation and schemas and hands out [`Verified`].
//!
//! Threat model: the answer is the presenter's. Any failing part makes the whole presentation invalid
//! (DCP §5.4.3 item 8); what cannot be looked up is a refusal, never a pass.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tidm_crypto::jws::Unverified;

use crate::fault::Fault;
use crate::identity::credential::list::List;
use crate::identity::credential::{Credential, Profile, Status, schema};
use crate::identity::did::Did;
use crate::identity::document::{Document, Relation};
use crate::identity::presentation::Presentation;
use crate::identity::presentation::scope::Scope;
use crate::limits::{CLOCK_SKEW, CREDENTIAL_BYTES, PRESENTED};
use crate::time::Time;
use crate::wire::dcp::jwt;

/// What the verifier asked, and of whom.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub holder: &'a Did,
    pub me: &'a Did,
    pub scopes: &'a [Scope],
    pub trusted: &'a BTreeSet<Did>,
}

/// Read, bounded, of trusted issuers, unproven.
#[derive(Clone, Debug)]
pub struct Opened {
    token: Unverified,
    presentation: Presentation,
    credentials: Vec<(Unverified, Credential)>,
}

/// Signed, current and the holder's own; revocation and schema are open.
#[derive(Clone, Debug)]
pub struct Proven(Vec<Credential>);

/// A credential that was checked in all respects. Made by [`Proven::hold`] only.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified(Credential);

impl Verified {
    pub fn credential(&self) -> &Credential {
        &self.0
    }
}

fn denied(code: &'static str, why: impl Into<String>) -> Fault {
    Fault::denied(code, "presentation", why)
}

/// Step 1.
pub fn open(texts: &[String], asked: &Asked<'_>) -> Result<Vec<Opened>, Fault> {
    if texts.is_empty() {
        return Err(denied("presentation.empty", "the wallet showed nothing"));
    }
    if texts.len() > PRESENTED {
        return Err(Fault::misbehaved(
            "presentation.many",
            "more presentations than anybody needs",
        ));
    }
    let mut opened = Vec::with_capacity(texts.len());
    let mut count = 0_usize;
    for text in texts {
        let (token, presentation) = jwt::presentation(text)?;
        count = count.saturating_add(presentation.credentials.len());
        if count > PRESENTED {
            return Err(Fault::misbehaved(
                "presentation.many",
                "more credentials than anybody needs",
            ));
        }
        let mut credentials = Vec::with_capacity(presentation.credentials.len());
        for text in &presentation.credentials {
            credentials.push(open_credential(text, &presentation, asked)?);
        }
        opened.push(Opened { token, presentation, credentials });
    }
    Ok(opened)
}

fn open_credential(
    text: &str,
    within: &Presentation,
    asked: &Asked<'_>,
) -> Result<(Unverified, Credential), Fault> {
    let (token, credential) = jwt::credential(text)?;
    // DCP §7.1.1: one data model and proof for a presentation and all that is in it.
    if credential.profile != within.profile {
        return Err(denied(
            "presentation.mixed",
            "a presentation of one data model holds a credential of another",
        ));
    }
    if !asked.trusted.contains(&credential.issuer) {
        return Err(denied(
            "credential.issuer",
            format!("{} is no issuer that is trusted here", credential.issuer),
        ));
    }
    Ok((token, credential))
}

/// Whose documents [`prove`] needs besides the holder's.
pub fn issuers(opened: &[Opened]) -> BTreeSet<Did> {
    opened.iter().flat_map(|it| &it.credentials).map(|(_, it)| it.issuer.clone()).collect()
}

/// By whom, and with which key, each presentation and credential says it is signed.
pub fn signers(opened: &[Opened]) -> Vec<(Did, Option<String>)> {
    let mut all = Vec::new();
    for it in opened {
        all.push((it.presentation.holder.clone(), it.token.header.kid.clone()));
        let credentials = it.credentials.iter();
        all.extend(credentials.map(|(token, it)| (it.issuer.clone(), token.header.kid.clone())));
    }
    all
}

/// Step 2.
pub fn prove(
    opened: Vec<Opened>,
    documents: &BTreeMap<Did, Document>,
    asked: &Asked<'_>,
    now: Time,
) -> Result<Proven, Fault> {
    let mut all = Vec::new();
    for it in opened {
        prove_presentation(&it, documents, asked, now)?;
        for (token, credential) in it.credentials {
            prove_credential(&token, &credential, documents, now)?;
            bound(&credential, asked.holder)?;
            all.push(credential);
        }
    }
    // DCP §5.4.3 item 1: it answers what was asked. More than that does no harm.
    for scope in asked.scopes {
        if !all.iter().any(|it| scope.covers(it)) {
            return Err(denied("presentation.missing", format!("nothing was shown for {scope}")));
        }
    }
    Ok(Proven(all))
}

/// DCP §5.4.3 items 2, 3 and 7.
fn prove_presentation(
    it: &Opened,
    documents: &BTreeMap<Did, Document>,
    asked: &Asked<'_>,
    now: Time,
) -> Result<(), Fault> {
    let vp = &it.presentation;
    if vp.holder != *asked.holder {
        return Err(denied("presentation.holder", "it is somebody else's presentation"));
    }
    if vp.audience != [asked.me.as_str()] {
        return Err(denied("presentation.audience", "it was made for another verifier"));
    }
    if vp.from.is_some_and(|from| from > now.after(CLOCK_SKEW)) {
        return Err(denied("presentation.future", "it begins in the future: compare the clocks"));
    }
    if vp.until.is_none_or(|until| until <= now) {
        return Err(denied("presentation.expired", "it has expired, or has no end"));
    }
    signed(&it.token, &vp.holder, Relation::Authentication, documents)
}

/// DCP §5.4.3 items 4, 5 and 7, for a credential that is presented or is to be stored.
pub fn prove_credential(
    token: &Unverified,
    it: &Credential,
    documents: &BTreeMap<Did, Document>,
    now: Time,
) -> Result<(), Fault> {
    if it.from.is_some_and(|from| from > now.after(CLOCK_SKEW)) {
        return Err(denied("credential.future", "the credential is not valid yet"));
    }
    if it.until.is_some_and(|until| until <= now) {
        return Err(denied("credential.expired", "the credential has expired"));
    }
    signed(token, &it.issuer, Relation::Assertion, documents)
}

/// Cryptographic holder binding (DCP §5.4.3, end): who presents it is whom it is about.
pub fn bound(it: &Credential, holder: &Did) -> Result<(), Fault> {
    let theirs = |id: &Option<String>| id.as_deref() == Some(holder.as_str());
    if it.subjects.is_empty() || !it.subjects.iter().all(|subject| theirs(&subject.id)) {
        return Err(denied("credential.subject", "the credential is about somebody else"));
    }
    Ok(())
}

fn signed(
    token: &Unverified,
    by: &Did,
    relation: Relation,
    documents: &BTreeMap<Did, Document>,
) -> Result<(), Fault> {
    let document = documents.get(by).ok_or(Fault::ApiMisuse("a document was not fetched"))?;
    let key = document.key(token.header.kid.as_deref(), relation).ok_or_else(|| {
        denied("presentation.key", format!("the document of {by} has no such key for {relation:?}"))
    })?;
    token.verify(key).map(drop).map_err(|_| {
        denied("presentation.signature", format!("a signature of {by} does not verify"))
    })
}

impl Proven {
    pub fn credentials(&self) -> &[Credential] {
        &self.0
    }

    /// Which status lists are to be fetched, and whose they must be.
    pub fn lists(&self) -> BTreeSet<(String, Did)> {
        let each = |it: &Credential| {
            let issuer = it.issuer.clone();
            it.statuses.iter().map(move |s| (s.list.clone(), issuer.clone())).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(each).collect()
    }

    /// Which schemas are to be fetched.
    pub fn schemas(&self) -> BTreeSet<String> {
        self.0.iter().flat_map(|it| it.schemas.iter().cloned()).collect()
    }

    /// Step 3. `None` for a list: it could not be had.
    pub fn hold(
        self,
        lists: &BTreeMap<String, List>,
        schemas: &BTreeMap<String, Json>,
        now: Time,
    ) -> Result<Vec<Verified>, Fault> {
        for it in &self.0 {
            for status in &it.statuses {
                let list =
                    lists.get(&status.list).ok_or(Fault::ApiMisuse("a list was not fetched"))?;
                in_force(status, &it.issuer, list, now)?;
            }
            for address in &it.schemas {
                let schema =
                    schemas.get(address).ok_or(Fault::ApiMisuse("a schema was not fetched"))?;
                for subject in &it.subjects {
                    schema::check(schema, &Json::Object(subject.claims.clone()))?;
                }
            }
        }
        Ok(self.0.into_iter().map(Verified).collect())
    }
}

/// Whether a credential is neither revoked nor suspended (Bitstring Status List §3.2).
pub fn in_force(status: &Status, issuer: &Did, list: &List, now: Time) -> Result<(), Fault> {
    if list.issuer != *issuer {
        return Err(denied("status.issuer", "the status list is by another issuer"));
    }
    if list.purpose != status.purpose {
        return Err(denied("status.purpose", "the status list has another purpose"));
    }
    if list.until.is_some_and(|until| until <= now) {
        return Err(denied("status.expired", "the status list has expired"));
    }
    if list.bits.get(status.index)? {
        return Err(denied(
            "credential.revoked",
            format!("the credential is under {}", status.purpose.word()),
        ));
    }
    Ok(())
}

/// A credential for our own wallet: read, and about `holder`.
pub fn receive(text: &str, issuer: &Did, holder: &Did) -> Result<(Unverified, Credential), Fault> {
    if text.len() > CREDENTIAL_BYTES {
        return Err(Fault::misbehaved("credential.malformed", "too long for a credential"));
    }
    let (token, credential) = jwt::credential(text)?;
    if credential.issuer != *issuer {
        return Err(denied("credential.issuer", "the sender is not the credential's issuer"));
    }
    bound(&credential, holder)?;
    Ok((token, credential))
}

/// The model that all of them share, newest data model first; presentations are made one per model.
pub fn by_profile(all: Vec<(Credential, String)>) -> BTreeMap<Profile, Vec<String>> {
    let mut sorted: BTreeMap<Profile, Vec<String>> = BTreeMap::new();
    for (credential, text) in all {
        sorted.entry(credential.profile).or_default().push(text);
    }
    sorted
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
