//! Requests of the interfaces from their JSON, in the spelling of the standard, slips included.
//!
//! Threats: as for documents ([`super::parse`]); besides, a signature that covers less than is acted on. So unknown
//! members are refused, and what a signature covers is the whole body but for the signature. Never verifies one.
//!
//! Decisions: `policyType` beside a strategy says its class (01 permission, 02 prohibition, 03 obligation; absent: 01).
//! `strategy` is one object or an array of them, all about one product, since a contract of ours is about one.

use serde_json::Value as Json;

use crate::fault::Fault;
use crate::limits::{
    REASON_CHARS, TC609_ITEMS, TC609_SIGNATORIES, TC609_SIGNATURE_CHARS, TC609_VALUE_BYTES,
};
use crate::policy::usage::Use;
use crate::tc609::code::{ContractCode, NodeCode, SubjectCode};
use crate::tc609::document::{Act, Document, Item, SignMode, Subject};
use crate::tc609::message::{
    Abnormal, Create, Details, Execution, Instance, Interface, Message, Signed, Terminate, Terms,
    Verdict,
};
use crate::time::Time;
use crate::wire::json::{self, Fields, malformed};

use super::clause::{Class, act, clause};
use super::read::{code, code_opt, document, known, subject, text, text_opt};

const NAME: usize = 128;
const SUMMARY: usize = 1024;
/// `strategyId`, `terminationId` and their like.
const OWN_ID: usize = 36;
const STRATEGY: [&str; 3] = ["contractName", "contractId", "strategy"];

/// Reads a request.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed`, with the field.
pub fn read(interface: Interface, bytes: &[u8]) -> Result<Message, Fault> {
    let body = json::parse(bytes)?;
    let top = Fields::top(&body)?;
    match interface {
        Interface::Template => template(&top, &body),
        Interface::Create => create(&top, &body),
        Interface::Negotiate => negotiate(&top, &body),
        Interface::Registrate => registrate(&top, &body),
        Interface::Execution => execution(&top, &body),
        Interface::Terminate => terminate(&top, &body),
        Interface::Strategy => strategy(&top, &body),
        Interface::Feedback => feedback(&top, &body),
        Interface::Abnormal => abnormal(&top, &body),
        Interface::Proof => proof(&top, &body),
        Interface::Query => query(&top, &body),
        Interface::Decision => decision(&top, &body),
    }
}

/// What a signature in `without` covers: the body but for that member, RFC 8785.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed`: no JSON object, or one without canonical form.
pub fn covered(bytes: &[u8], without: &str) -> Result<Vec<u8>, Fault> {
    let mut body = json::parse(bytes)?;
    let Json::Object(map) = &mut body else { return Err(malformed("not a JSON object")) };
    map.remove(without);
    tidm_crypto::jcs::canonical(&body).map_err(|why| malformed(why.to_string()))
}

/// What a signatory of terms signs: them, and when.
///
/// # Errors
/// As [`covered`].
pub fn confirmed(bytes: &[u8], entity: &SubjectCode, at: Time) -> Result<Vec<u8>, Fault> {
    let terms = covered(bytes, "signatureList")?;
    let digest = tidm_crypto::hash::sha256(&terms).to_string();
    let statement = serde_json::json!({
        "contractSha256": digest,
        "entityId": entity.as_str(),
        "signatoryTime": at.to_string(),
    });
    tidm_crypto::jcs::canonical(&statement).map_err(|why| malformed(why.to_string()))
}

fn iso(fields: &Fields<'_>, name: &str) -> Result<Time, Fault> {
    let said = text(fields, name, 40)?;
    Time::parse(&said).map_err(|_| fields.wrong(name, "not a time with a zone (RFC 3339)"))
}

/// One that a document can hold.
fn whole(fields: &Fields<'_>, name: &str) -> Result<Time, Fault> {
    let at = iso(fields, name)?;
    if at.ms() % 1000 == 0 { Ok(at) } else { Err(fields.wrong(name, "not in whole seconds")) }
}

/// A signature is read where it is verified; here it must be there.
fn signed(fields: &Fields<'_>) -> Result<(), Fault> {
    text(fields, "signature", TC609_SIGNATURE_CHARS).map(drop)
}

fn object(fields: &Fields<'_>, name: &str) -> Result<String, Fault> {
    match fields.get(name) {
        Some(it @ Json::Object(_)) if it.to_string().len() <= TC609_VALUE_BYTES => {
            Ok(it.to_string())
        }
        Some(_) => Err(fields.wrong(name, "not an object, or too long")),
        None => Err(fields.wrong(name, "missing")),
    }
}

fn template(top: &Fields<'_>, body: &Json) -> Result<Message, Fault> {
    let it = known(top.clone(), body, &["templateId", "issuerId", "issuerEntityId"])?;
    Ok(Message::Template {
        template: text_opt(&it, "templateId", OWN_ID)?,
        issuer: code(&it, "issuerId", NodeCode::parse)?,
        entity: code(&it, "issuerEntityId", SubjectCode::parse)?,
    })
}

fn create(top: &Fields<'_>, body: &Json) -> Result<Message, Fault> {
    let names = [
        "contractName",
        "contractAbstract",
        "issueTime",
        "activationTime",
        "endTime",
        "signMode",
        "issuerId",
        "issuerEntityId",
        "signature",
    ];
    let it = known(top.clone(), body, &names)?;
    signed(&it)?;
    let made = Create {
        name: text(&it, "contractName", NAME)?,
        summary: text(&it, "contractAbstract", SUMMARY)?,
        issued: whole(&it, "issueTime")?,
        from: whole(&it, "activationTime")?,
        until: whole(&it, "endTime")?,
        mode: code(&it, "signMode", |it| match it {
            "01" => Ok(SignMode::PointToPoint),
            "02" => Ok(SignMode::Platform),
            _ => Err("neither 01 nor 02"),
        })?,
        issuer: code(&it, "issuerId", NodeCode::parse)?,
        entity: code(&it, "issuerEntityId", SubjectCode::parse)?,
    };
    if made.from < made.issued || made.until <= made.from {
        return Err(it.wrong("endTime", "issueTime ≤ activationTime < endTime does not hold"));
    }
    Ok(Message::Create(made))
}

fn class(fields: &Fields<'_>) -> Result<Class, Fault> {
    match fields.text_opt("policyType")? {
        None | Some("01") => Ok(Class::Permission),
        Some("02") => Ok(Class::Prohibition),
        Some("03") => Ok(Class::Obligation),
        Some(_) => Err(fields.wrong("policyType", "is none of 01 to 03")),
    }
}

/// Name, contract and strategies of a body.
fn terms(top: &Fields<'_>) -> Result<Terms, Fault> {
    let all = top.values("strategy");
    if all.is_empty() || all.len() > TC609_ITEMS {
        return Err(top.wrong("strategy", "missing, or too many"));
    }
    let mut found: Option<Subject> = None;
    let (mut permissions, mut prohibitions, mut obligations) = (vec![], vec![], vec![]);
    for (i, it) in all.iter().enumerate() {
        let names = [
            "policyType",
            "subjectInfo",
            "executionNodeInfo",
            "actions",
            "constraints",
            "policyExpansion",
        ];
        let fields = known(Fields::at(it, format!("strategy[{i}]"))?, it, &names)?;
        let said = subject(&fields, it)?;
        if found.as_ref().is_some_and(|it| *it != said) {
            return Err(fields.wrong("subjectInfo", "is about another product than the first"));
        }
        let class = class(&fields)?;
        let item = Item { product: said.product.clone(), clause: clause(&fields, class)? };
        match class {
            Class::Permission => permissions.push(item),
            Class::Prohibition => prohibitions.push(item),
            Class::Obligation => obligations.push(item),
        }
        found = Some(said);
    }
    let Some(subject) = found else { return Err(top.wrong("strategy", "missing")) };
    Ok(Terms {
        name: text(top, "contractName", NAME)?,
        contract: code(top, "contractId", ContractCode::parse)?,
        subject,
        permissions,
        prohibitions,
        obligations,
    })
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    STRATEGY.into_iter().chain(more.iter().copied()).collect()
}

/// A list of signatories; `at` where each says when, else the one time of all.
fn signatories(
    top: &Fields<'_>,
    (list, entity): (&str, &str),
    at: Option<Time>,
) -> Result<Vec<Signed>, Fault> {
    let Some(all) = top.get(list) else { return Ok(vec![]) };
    let all = all.as_array().filter(|it| it.len() <= TC609_SIGNATORIES);
    let all = all.ok_or_else(|| top.wrong(list, "not an array, or too long"))?;
    let one = |(i, it): (usize, &Json)| {
        let mut names = vec![entity, "signature"];
        names.push(if at.is_some() { "signatoryEntityName" } else { "signatoryTime" });
        let fields = known(Fields::at(it, format!("{list}[{i}]"))?, it, &names)?;
        Ok(Signed {
            entity: code(&fields, entity, SubjectCode::parse)?,
            signature: text(&fields, "signature", TC609_SIGNATURE_CHARS)?,
            at: at.map_or_else(|| iso(&fields, "signatoryTime"), Ok)?,
        })
    };
    all.iter().enumerate().map(one).collect()
}

fn negotiate(top: &Fields<'_>, body: &Json) -> Result<Message, Fault> {
    let it = known(top.clone(), body, &with(&["signatureList"]))?;
    let signatures = signatories(&it, ("signatureList", "entityId"), None)?;
    Ok(Message::Negotiate { terms: terms(&it)?, signatures })
}

fn registrate(top: &Fields<'_>, body: &Json) -> Result<Message, Fault> {
    let names = with(&["signatoryEntities", "signatoryTime", "contractExpansionItem"]);
    let it = known(top.clone(), body, &names)?;
    let at = iso(&it, "signatoryTime")?;
    let expansion = it.text("contractExpansionItem")?;
    if expansion.len() > TC609_VALUE_BYTES {
        return Err(it.wrong("contractExpansionItem", "too long"));
    }
    let signatories = signatories(&it, ("signatoryEntities", "signatoryEntityId"), Some(at))?;
    if signatories.is_empty() {
        return Err(it.wrong("signatoryEntities", "missing"));
    }
    let terms = terms(&it)?;
    if terms.subject.owner.is_none() {
        return Err(it.wrong("strategy", "subjectInfo.dataProductEntityId: missing"));
    }
    Ok(Message::Registrate { terms, signatories, expansion: expansion.to_owned() })
}

fn execution(top: &Fields<'_>, body: &Json) -> Result<Message, Fault> {
    let it = known(top.clone(), body, &with(&["executedStrategy", "reportTime"]))?;
    let null = Json::Null;
    let names = ["executedStrategyId", "executedActions", "executionResult", "executionDetails"];
    let done = known(
        it.object("executedStrategy")?,
        body.get("executedStrategy").unwrap_or(&null),
        &names,
    )?;
    let token = |it: &Json| match act(it) {
        Some(Act::Listed(word)) => Some(word.code.to_owned()),
        Some(Act::Own(name)) => Some(name),
        Some(Act::Unlisted(_) | Act::Foreign(_)) | None => None,
    };
    let actions: Option<Vec<String>> = done.array("executedActions")?.iter().map(token).collect();
    let actions = actions.filter(|it| !it.is_empty() && it.len() <= crate::limits::TC609_ACTIONS);
    Ok(Message::Execution(Box::new(Execution {
        strategy: text(&done, "executedStrategyId", OWN_ID)?,
        actions: actions
            .ok_or_else(|| done.wrong("executedActions", "empty, too many, or no actions"))?,
        result: text(&done, "executionResult", REASON_CHARS)?,
        details: text_opt(&done, "executionDetails", REASON_CHARS)?,
        at: iso(&it, "reportTime")?,
        terms: terms(&it)?,
    })))
}

fn terminate(top: &Fields<'_>, body: &Json) -> Result<Message, Fault> {
    let names = [
        "contractName",
        "contractId",
        "issueTime",
        "erminateType",
        "terminateType",
        "activationTime",
        "scheduledEndTime",
        "agreedEndTime",
        "issuerId",
        "issuerEntityId",
        "signature",
        "terminateReason",
    ];
    let it = known(top.clone(), body, &names)?;
    signed(&it)?;
    iso(&it, "activationTime")?;
    // Printed without its first letter; either, or both if they are the same.
    let (printed, meant) = (it.text_opt("erminateType")?, it.text_opt("terminateType")?);
    let early = match (printed.or(meant), meant.or(printed)) {
        (Some("01"), Some("01")) => true,
        (Some("02"), Some("02")) => false,
        (_, _) => return Err(it.wrong("erminateType", "neither 01 nor 02")),
    };
    let agreed = it.get("agreedEndTime").map(|_| iso(&it, "agreedEndTime")).transpose()?;
    if early && agreed.is_none() {
        return Err(it.wrong("agreedEndTime", "missing, and the end is early"));
    }
    Ok(Message::Terminate(Terminate {
        name: text(&it, "contractName", NAME)?,
        contract: code(&it, "contractId", ContractCode::parse)?,
        issued: iso(&it, "issueTime")?,
        early,
        scheduled: iso(&it, "scheduledEndTime")?,
        agreed,
        issuer: code(&it, "issuerId", NodeCode::parse)?,
        entity: code(&it, "issuerEntityId", SubjectCode::parse)?,
        reason: text_opt(&it, "terminateReason", REASON_CHARS)?,
    }))
}

fn instance(fields: &Fields<'_>) -> Result<Instance, Fault> {
    Ok(Instance {
        contract: code(fields, "contractId", ContractCode::parse)?,
        strategy: text(fields, "strategyId", OWN_ID)?,
    })
}

fn strategy(top: &Fields<'_>, body: &Json) -> Result<Message, Fault> {
    let names = [
        "contractId",
        "strategyId",
        "strategyVersion",
        "transactionExecutionStrategy",
        "expansionItem",
        "issuedAt",
        "signature",
    ];
    let it = known(top.clone(), body, &names)?;
    signed(&it)?;
    if it.get("expansionItem").is_some() {
        // Nobody says what one may hold, so nobody may rely on it.
        return Err(it.wrong("expansionItem", "is not understood here"));
    }
    let said = it.get("transactionExecutionStrategy");
    let said = said.ok_or_else(|| it.wrong("transactionExecutionStrategy", "missing"))?;
    let document: Document = document(said)?;
    let of = instance(&it)?;
    if document.frame.id != of.contract {
        return Err(it.wrong("transactionExecutionStrategy", "is another contract's"));
    }
    Ok(Message::Strategy {
        of,
        version: text(&it, "strategyVersion", OWN_ID)?,
        document: Box::new(document),
        issued: iso(&it, "issuedAt")?,
    })
}

/// `operation` is a kind of use of ours, `purpose` why; whatever else is kept as it came.
fn details(fields: &Fields<'_>, name: &str) -> Result<Details, Fault> {
    let Some(inner) = fields.object_opt(name)? else { return Ok(Details::default()) };
    let kind = inner.text_opt("operation")?.map(|word| {
        Use::from_name(word).ok_or_else(|| inner.wrong("operation", "is no kind of use here"))
    });
    Ok(Details {
        kind: kind.transpose()?,
        purpose: text_opt(&inner, "purpose", REASON_CHARS)?,
        text: object(fields, name)?,
    })
}

fn feedback(top: &Fields<'_>, body: &Json) -> Result<Message, Fault> {
    let names =
        ["connectorId", "contractId", "strategyId", "result", "timestamp", "details", "signature"];
    let it = known(top.clone(), body, &names)?;
    signed(&it)?;
    Ok(Message::Feedback {
        of: instance(&it)?,
        connector: code(&it, "connectorId", NodeCode::parse)?,
        verdict: it.word("result", Verdict::from_word)?,
        details: details(&it, "details")?,
        at: iso(&it, "timestamp")?,
    })
}

fn abnormal(top: &Fields<'_>, body: &Json) -> Result<Message, Fault> {
    let names = [
        "connectorId",
        "terminationId",
        "contractId",
        "strategyId",
        "reason",
        "triggeredBy",
        "timestamp",
    ];
    let it = known(top.clone(), body, &names)?;
    Ok(Message::Abnormal(Abnormal {
        of: instance(&it)?,
        connector: code(&it, "connectorId", NodeCode::parse)?,
        termination: text(&it, "terminationId", OWN_ID)?,
        reason: text(&it, "reason", 256)?,
        by_provider: it.word("triggeredBy", |it| match it {
            "provider" => Some(true),
            "system" => Some(false),
            _ => None,
        })?,
        at: iso(&it, "timestamp")?,
    }))
}

fn proof(top: &Fields<'_>, body: &Json) -> Result<Message, Fault> {
    let names = ["proofId", "contractId", "strategyId", "log", "timestamp", "signature"];
    let it = known(top.clone(), body, &names)?;
    signed(&it)?;
    Ok(Message::Proof {
        of: instance(&it)?,
        proof: text(&it, "proofId", OWN_ID)?,
        log: object(&it, "log")?,
        at: iso(&it, "timestamp")?,
    })
}

fn query(top: &Fields<'_>, body: &Json) -> Result<Message, Fault> {
    let it = known(top.clone(), body, &["contractId"])?;
    Ok(Message::Query { contract: code_opt(&it, "contractId", ContractCode::parse)? })
}

fn decision(top: &Fields<'_>, body: &Json) -> Result<Message, Fault> {
    let it = known(top.clone(), body, &["contractId", "context"])?;
    let asked = details(&it, "context")?;
    if asked.kind.is_none() {
        return Err(it.wrong("context.operation", "missing"));
    }
    Ok(Message::Decision { contract: code(&it, "contractId", ContractCode::parse)?, asked })
}
