//! Checking an archive with nothing but the file.
//!
//! Threat model: the file comes from whoever profits from it. Each byte of it is under the archiving node's signature,
//! and what both parties signed is under theirs. What no file can say: whose keys these are. So their fingerprints are
//! told, to be compared with the parties' DID documents, and the log's key with what is known of the log.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use tidm_crypto::hash::sha256;
use tidm_crypto::sign::VerifyingKey;
use tidm_crypto::{jcs, jws};
use tidm_ledger::note::VerifierKey;
use tidm_space::contract::signed_bytes;
use tidm_space::evidence::encode::decode;
use tidm_space::evidence::fact::What;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::policy::compile::compile_signed;
use tidm_space::policy::model::Policy;
use tidm_space::tc609::code::{NodeCode, urn};
use tidm_space::tc609::document::{Frame, Role, SignMode, Signatory, Subject};
use tidm_space::time::Time;
use tidm_space::wire::terms::{bare, digest};
use tidm_space::wire::{odrl, tc609};

use super::super::evidence::verify;
use super::super::tc609::{floor, product_code};
use super::{KIND, TYP, statement};
use crate::log::parse_vkey;

/// The JWS type of both signatures on an agreement.
const AGREEMENT_TYP: &str = "tidm-agreement+jws";
/// A negotiation of many rounds with the proofs of its facts takes some hundred kilobytes.
pub const FILE_BYTES: usize = 64 << 20;

/// What an archive that holds says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub contract: String,
    pub by: String,
    /// DID and RFC 7638 thumbprint of each key that something was verified with.
    pub keys: Vec<(String, String)>,
    /// The log's verifier key, as the archive names it.
    pub log: String,
    /// How many of these custodians saw the same log, at least. 0: nobody, so that others may be shown another one.
    pub quorum: usize,
    pub custodians: Vec<String>,
    /// Parties that did not sign.
    pub unsigned: Vec<String>,
    pub terms: usize,
    /// Terms that facts name and nobody kept: of negotiations before they were.
    pub missing: usize,
    pub facts: usize,
    pub messages: usize,
    pub tc609: Option<String>,
    /// The nodes in the TC609 document, provider first. Nobody signed these codes but the archiver.
    pub nodes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the archive does not hold: {0}")]
pub struct Broken(String);

type Found<T> = Result<T, Broken>;

fn broken<T>(why: impl Into<String>) -> Found<T> {
    Err(Broken(why.into()))
}

/// # Errors
/// The first thing that does not hold.
pub fn check(bytes: &[u8]) -> Found<Checked> {
    if bytes.len() > FILE_BYTES {
        return broken("it is larger than 64 MiB");
    }
    let file =
        jcs::parse_within(bytes, FILE_BYTES).map_err(|why| Broken(format!("no JSON: {why}")))?;
    if !jcs::canonical(&file).is_ok_and(|it| it == bytes) {
        return broken("its bytes are not in their one form (RFC 8785)");
    }
    let members = file.as_object().map_or(0, serde_json::Map::len);
    if file["@type"] != KIND || members != 3 {
        return broken("not an archive of this version");
    }
    let archive = &file["archive"];
    let it = Reader { keys: keys(archive)?, archive };
    let by = text(archive, "/by")?;
    if by != text(archive, "/contract/provider")? && by != text(archive, "/contract/consumer")? {
        return broken("/by: no party of the contract");
    }
    let payload = statement(archive).map_err(|why| Broken(why.to_string()))?;
    it.signed(text(&file, "/signature")?, TYP, by, &payload)?;
    let (policy, unsigned) = it.contract()?;
    let mut terms = it.terms()?;
    let offered = terms.len();
    let log = it.log()?;
    let (facts, named) = it.facts(&log)?;
    if !terms.is_subset(&named) {
        return broken("/terms: one that no fact names");
    }
    terms.insert(digest(&policy).to_string());
    let (tc609, nodes) = it.face(&policy)?;
    Ok(Checked {
        contract: text(archive, "/contract/id")?.to_owned(),
        by: by.to_owned(),
        keys: it
            .keys
            .iter()
            .map(|(did, key)| (did.clone(), key.thumbprint().to_string()))
            .collect(),
        log: text(archive, "/log/vkey")?.to_owned(),
        quorum: log.quorum,
        custodians: log.custodians.iter().map(ToString::to_string).collect(),
        unsigned,
        terms: offered,
        missing: named.difference(&terms).count(),
        facts,
        messages: list(archive, "/messages")?.len(),
        tc609,
        nodes,
    })
}

fn text<'a>(it: &'a Json, path: &str) -> Found<&'a str> {
    it.pointer(path).and_then(Json::as_str).ok_or_else(|| Broken(format!("{path}: missing")))
}

fn list<'a>(it: &'a Json, path: &str) -> Found<&'a Vec<Json>> {
    it.pointer(path).and_then(Json::as_array).ok_or_else(|| Broken(format!("{path}: missing")))
}

fn keys(archive: &Json) -> Found<Vec<(String, VerifyingKey)>> {
    let one = |it: &Json| {
        let key =
            VerifyingKey::from_jwk(&it["jwk"]).map_err(|_| Broken("/keys: no key".to_owned()))?;
        Ok((text(it, "/did")?.to_owned(), key))
    };
    list(archive, "/keys")?.iter().map(one).collect()
}

fn id(text: &str) -> Found<Id> {
    Id::parse(text).map_err(|why| Broken(why.to_string()))
}

fn did(text: &str) -> Found<Did> {
    Did::parse(text).map_err(|why| Broken(why.to_string()))
}

/// A policy with nothing in it that its digest does not cover.
fn policy(it: &Json) -> Found<Policy> {
    let read = odrl::parse(it.to_string().as_bytes());
    let read = read.map_err(|why| Broken(format!("a policy: {why}")))?.model;
    if odrl::to_json(&bare(&read)) != *it {
        return broken("a policy: holds what its digest does not cover");
    }
    Ok(read)
}

/// Who has to have seen each proof.
struct Log {
    key: VerifierKey,
    custodians: Vec<VerifierKey>,
    quorum: usize,
}

struct Reader<'a> {
    keys: Vec<(String, VerifyingKey)>,
    archive: &'a Json,
}

impl Reader<'_> {
    fn signed(&self, signature: &str, typ: &str, by: &str, payload: &[u8]) -> Found<()> {
        let parsed = jws::Unverified::parse(signature)
            .map_err(|why| Broken(format!("a signature of {by}: {why}")))?;
        let key = self.keys.iter().find(|(did, _)| did == by).map(|(_, key)| key);
        let key = key.ok_or_else(|| Broken(format!("no key of {by}")))?;
        let right = parsed.header.typ.as_deref() == Some(typ)
            && parsed.verify(key).is_ok_and(|it| it == payload);
        if right { Ok(()) } else { broken(format!("a signature of {by} is not over this")) }
    }

    /// What both signed.
    fn contract(&self) -> Found<(Policy, Vec<String>)> {
        let it = &self.archive["contract"];
        let said = policy(&it["policy"])?;
        let (provider, consumer) = (text(it, "/provider")?, text(it, "/consumer")?);
        let at = Time::parse(text(it, "/signedAt")?).map_err(|why| Broken(why.to_string()))?;
        let payload = signed_bytes(
            &id(text(it, "/id")?)?,
            &did(provider)?,
            &did(consumer)?,
            &id(text(it, "/product")?)?,
            digest(&said),
            at,
        );
        if sha256(&payload).to_string() != text(it, "/signedSha256")? {
            return broken("/contract: not what its digest says");
        }
        let mut unsigned = vec![];
        for (by, name) in [(provider, "providerSignature"), (consumer, "consumerSignature")] {
            match &it[name] {
                Json::String(jws) => self.signed(jws, AGREEMENT_TYP, by, &payload)?,
                Json::Null => unsigned.push(by.to_owned()),
                Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                    return broken(format!("/contract/{name}: no text"));
                }
            }
        }
        Ok((said, unsigned))
    }

    fn terms(&self) -> Found<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        for it in list(self.archive, "/terms")? {
            let found = digest(&policy(&it["policy"])?).to_string();
            if found != text(it, "/sha256")? {
                return broken("/terms: not what their digest says");
            }
            if !all.insert(found) {
                return broken("/terms: the same twice");
            }
        }
        Ok(all)
    }

    fn log(&self) -> Found<Log> {
        let fail = |why: &dyn std::fmt::Display| Broken(format!("/log: {why}"));
        let vkey = |it: &str| parse_vkey(it).map_err(|why| fail(&why));
        let key = vkey(text(self.archive, "/log/vkey")?)?;
        let custodians: Found<Vec<_>> = list(self.archive, "/log/custodians")?
            .iter()
            .map(|it| vkey(it.as_str().unwrap_or_default()))
            .collect();
        let quorum = self.archive["log"]["quorum"].as_u64().and_then(|it| usize::try_from(it).ok());
        let quorum = quorum.ok_or_else(|| fail(&"no quorum"))?;
        Ok(Log { key, custodians: custodians?, quorum })
    }

    /// Every fact is proven by the log and about this negotiation; how many there are, and the terms that they name.
    fn facts(&self, log: &Log) -> Found<(usize, BTreeSet<String>)> {
        let fail = |why: &dyn std::fmt::Display| Broken(format!("/facts: {why}"));
        let policy = verify::policy_of(&log.custodians, log.quorum).map_err(|why| fail(&why))?;
        let negotiation = id(text(self.archive, "/contract/negotiation")?)?;
        let signed = text(self.archive, "/contract/signedSha256")?;
        let by = text(self.archive, "/by")?;
        let (mut count, mut named, mut concluded) = (0, BTreeSet::new(), false);
        for it in list(self.archive, "/facts")? {
            let entry = STANDARD.decode(text(it, "/entry")?).map_err(|why| fail(&why))?;
            let proof = text(it, "/proof")?.as_bytes();
            let report =
                verify::verify_with(proof, Some(&entry), std::slice::from_ref(&log.key), &policy);
            let report = report.map_err(|why| fail(&why))?;
            if !report.accepted() {
                return Err(fail(&"one is not proven by the log"));
            }
            if report.proof.unwitnessed && log.quorum > 0 {
                return Err(fail(&"one was seen by no custodian"));
            }
            let fact = decode(&entry).map_err(|why| fail(&why))?;
            if fact.links.negotiation.as_ref() != Some(&negotiation) || fact.by.as_str() != by {
                return Err(fail(&"one is about something else, or somebody else's"));
            }
            if let What::Negotiation { terms: Some(said), .. } = &fact.what {
                named.insert(said.to_string());
            }
            if let What::Concluded { signed: said, .. } = &fact.what {
                concluded = said.to_string() == signed;
            }
            count += 1;
        }
        if concluded { Ok((count, named)) } else { Err(fail(&"none says that this was concluded")) }
    }

    /// The document says what the contract says, with the same signatures. The contract's code, and the nodes'.
    fn face(&self, signed: &Policy) -> Found<(Option<String>, Vec<String>)> {
        let it = &self.archive["tc609"];
        if it.is_null() {
            return Ok((None, vec![]));
        }
        for said in list(it, "/messages")? {
            if sha256(text(said, "/body")?.as_bytes()).to_string() != text(said, "/sha256")? {
                return broken("/tc609/messages: a body is not what its digest says");
            }
        }
        let code = text(it, "/contractId")?.to_owned();
        if it["document"].is_null() {
            return Ok((Some(code), vec![]));
        }
        let fail = |why: &dyn std::fmt::Display| Broken(format!("/tc609/document: {why}"));
        let document =
            tc609::parse(it["document"].to_string().as_bytes()).map_err(|why| fail(&why))?;
        let target = document.frame.subjects.first().and_then(|it| urn(it.product.as_str()));
        let policy = Policy { target, ..signed.clone() };
        let (own, _) = tc609::to_tc609(&policy, &document.frame).map_err(|why| fail(&why))?;
        let same = own == document && document.frame.id.as_str() == code;
        if !same || !self.framed(&document.frame, signed)? {
            return Err(fail(&"not what was signed"));
        }
        let nodes = document.frame.subjects.iter().flat_map(|it| {
            std::iter::once(it.provider.as_str().to_owned())
                .chain(it.consumer.as_ref().map(|it| it.as_str().to_owned()))
        });
        Ok((Some(code), nodes.collect()))
    }

    /// Whether the document's own data are those of the contract. Its names, state, beginning and the nodes' codes are
    /// nowhere else, so these are the archiver's word.
    fn framed(&self, said: &Frame, signed: &Policy) -> Found<bool> {
        let contract = &self.archive["contract"];
        let [subject] = said.subjects.as_slice() else { return Ok(false) };
        let Some(consumer) = &subject.consumer else { return Ok(false) };
        let product = product_code(&subject.provider, &id(text(contract, "/product")?)?);
        let own = Subject {
            product: product.map_err(|why| Broken(why.to_string()))?,
            name: None,
            summary: None,
            owner: subject.provider.subject(),
            provider: subject.provider.clone(),
            provider_name: None,
            consumer: Some(consumer.clone()),
            consumer_name: None,
        };
        let party = |node: &NodeCode, role, signature: &str| {
            let signature = contract[signature].as_str().map(str::to_owned);
            Some(Signatory { id: node.subject()?, name: None, role, signature })
        };
        let signatories = [
            party(&subject.provider, Role::Provider, "providerSignature"),
            party(consumer, Role::Consumer, "consumerSignature"),
        ];
        let at =
            Time::parse(text(contract, "/signedAt")?).map_err(|why| Broken(why.to_string()))?;
        let agreement = json!({ "agreement": text(contract, "/id")? }).to_string();
        let Ok(terms) = compile_signed(signed) else { return Ok(false) };
        Ok(*subject == own
            && said.signatories.iter().cloned().map(Some).eq(signatories)
            && said.mode == SignMode::PointToPoint
            && said.signed == Some(floor(at))
            && said.expansion.as_deref() == Some(agreement.as_str())
            && terms.summary.until.is_none_or(|until| said.until <= until))
    }
}
