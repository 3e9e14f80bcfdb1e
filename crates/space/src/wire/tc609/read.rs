//! A contract from its JSON: bounded, strict, with faults that name the field.
//!
//! Never skips a member: what is not known is refused, but for the extensions, which are kept as they came.

use serde_json::Value as Json;

use crate::fault::Fault;
use crate::limits::{TC609_ITEMS, TC609_SIGNATORIES, TC609_SIGNATURE_CHARS, TC609_VALUE_BYTES};
use crate::tc609::code::{ContractCode, NodeCode, ProductCode, SubjectCode, moment};
use crate::tc609::document::{Document, Frame, Item, Role, SignMode, Signatory, Status, Subject};
use crate::time::Time;
use crate::wire::json::{self, Fields, malformed};

use super::clause::{Class, clause};

const NAME: usize = 128;
const SUMMARY: usize = 1024;

/// Reads the document of a contract.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed`, with the field.
pub fn parse(bytes: &[u8]) -> Result<Document, Fault> {
    document(&json::parse(bytes)?)
}

pub(super) fn document(value: &Json) -> Result<Document, Fault> {
    let top = known(
        Fields::top(value)?,
        value,
        &[
            "contractId",
            "contractName",
            "contractAbstract",
            "contractStatus",
            "createTime",
            "signMode",
            "signatoryEntities",
            "signTime",
            "activationTime",
            "indate",
            "expansionItem",
            "contractPolicies",
        ],
    )?;
    let mut subjects = vec![];
    let policies = top.object("contractPolicies")?;
    let classes = value.get("contractPolicies").unwrap_or(&Json::Null);
    let policies = known(
        policies,
        classes,
        &["permissionPolicies", "prohibitionPolicies", "obligationPolicies"],
    )?;
    let document = Document {
        permissions: items(&policies, Class::Permission, &mut subjects)?,
        prohibitions: items(&policies, Class::Prohibition, &mut subjects)?,
        obligations: items(&policies, Class::Obligation, &mut subjects)?,
        frame: frame(&top, subjects)?,
    };
    document.check().map_err(|why| malformed(why.to_string()))?;
    Ok(document)
}

/// The same fields, none of a name that is not on the list.
pub(super) fn known<'a>(
    fields: Fields<'a>,
    value: &Json,
    names: &[&str],
) -> Result<Fields<'a>, Fault> {
    let strange = value
        .as_object()
        .and_then(|map| map.iter().find(|(k, v)| !names.contains(&k.as_str()) || v.is_null()));
    match strange {
        Some((name, _)) => Err(fields.wrong(&json::bounded(name), "unknown here, or null")),
        None => Ok(fields),
    }
}

/// A text of 1 to `most` characters without control characters.
pub(super) fn text(fields: &Fields<'_>, name: &str, most: usize) -> Result<String, Fault> {
    let text = fields.get(name).ok_or_else(|| fields.wrong(name, "missing"))?;
    let text = text.as_str().ok_or_else(|| fields.wrong(name, "not a text"))?;
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(fields.wrong(name, "empty, or with control characters"));
    }
    if text.chars().nth(most).is_some() {
        return Err(fields.wrong(name, format!("longer than {most} characters")));
    }
    Ok(text.to_owned())
}

pub(super) fn text_opt(
    fields: &Fields<'_>,
    name: &str,
    most: usize,
) -> Result<Option<String>, Fault> {
    fields.get(name).map(|_| text(fields, name, most)).transpose()
}

pub(super) fn code<T, E: std::fmt::Display>(
    fields: &Fields<'_>,
    name: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Fault> {
    read(&text(fields, name, NAME)?).map_err(|why| fields.wrong(name, why))
}

pub(super) fn code_opt<T, E: std::fmt::Display>(
    fields: &Fields<'_>,
    name: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, Fault> {
    fields.get(name).map(|_| code(fields, name, read)).transpose()
}

fn time(fields: &Fields<'_>, name: &str) -> Result<Time, Fault> {
    code(fields, name, |it| moment(it).ok_or("not a time such as 20250901093000 (UTC+08:00)"))
}

fn time_opt(fields: &Fields<'_>, name: &str) -> Result<Option<Time>, Fault> {
    fields.get(name).map(|_| time(fields, name)).transpose()
}

fn frame(top: &Fields<'_>, subjects: Vec<Subject>) -> Result<Frame, Fault> {
    let expansion = match top.get("expansionItem") {
        Some(it @ Json::Object(_)) => Some(it.to_string()),
        Some(_) => return Err(top.wrong("expansionItem", "not an object")),
        None => None,
    };
    if expansion.as_ref().is_some_and(|it| it.len() > TC609_VALUE_BYTES) {
        return Err(top.wrong("expansionItem", "too long"));
    }
    let all = top.array("signatoryEntities")?;
    if all.len() > TC609_SIGNATORIES {
        return Err(top.wrong("signatoryEntities", "too many"));
    }
    let signatories = all.iter().enumerate().map(|(i, it)| signatory(it, i));
    Ok(Frame {
        id: code(top, "contractId", ContractCode::parse)?,
        name: text(top, "contractName", NAME)?,
        summary: text_opt(top, "contractAbstract", SUMMARY)?,
        status: code(top, "contractStatus", |it| {
            Status::from_code(it).ok_or("not a state of a contract")
        })?,
        created: time_opt(top, "createTime")?,
        mode: code(top, "signMode", |it| match it {
            "01" => Ok(SignMode::PointToPoint),
            "02" => Ok(SignMode::Platform),
            _ => Err("neither 01 nor 02"),
        })?,
        signatories: signatories.collect::<Result<_, _>>()?,
        signed: time_opt(top, "signTime")?,
        from: time_opt(top, "activationTime")?,
        until: time(top, "indate")?,
        expansion,
        subjects,
    })
}

fn signatory(it: &Json, at: usize) -> Result<Signatory, Fault> {
    let fields = known(
        Fields::at(it, format!("signatoryEntities[{at}]"))?,
        it,
        &["signatoryEntityId", "signatoryEntityName", "signatorytype", "signature"],
    )?;
    Ok(Signatory {
        id: code(&fields, "signatoryEntityId", SubjectCode::parse)?,
        name: text_opt(&fields, "signatoryEntityName", NAME)?,
        role: code(&fields, "signatorytype", |it| {
            Role::from_code(it).ok_or("not a type of signatory")
        })?,
        signature: text_opt(&fields, "signature", TC609_SIGNATURE_CHARS)?,
    })
}

fn items(
    policies: &Fields<'_>,
    class: Class,
    subjects: &mut Vec<Subject>,
) -> Result<Vec<Item>, Fault> {
    let name = class.field();
    let Some(all) = policies.get(name) else { return Ok(vec![]) };
    let all = all.as_array().ok_or_else(|| policies.wrong(name, "not an array"))?;
    if all.is_empty() || all.len() > TC609_ITEMS {
        return Err(policies.wrong(name, "empty, or too many policies"));
    }
    let read = |(i, it)| item(it, format!("contractPolicies.{name}[{i}]"), class, subjects);
    all.iter().enumerate().map(read).collect()
}

fn item(it: &Json, path: String, class: Class, subjects: &mut Vec<Subject>) -> Result<Item, Fault> {
    let fields = known(
        Fields::at(it, path)?,
        it,
        &["subjectInfo", "executionNodeInfo", "actions", "constraints", "policyExpansion"],
    )?;
    let said = subject(&fields, it)?;
    let product = said.product.clone();
    match subjects.iter().find(|it| it.product == product) {
        None => subjects.push(said),
        Some(known) if *known == said => {}
        Some(_) => {
            return Err(fields.wrong("subjectInfo", "describes a product otherwise than above"));
        }
    }
    Ok(Item { product, clause: clause(&fields, class)? })
}

pub(super) fn subject(fields: &Fields<'_>, it: &Json) -> Result<Subject, Fault> {
    let null = Json::Null;
    let info = known(
        fields.object("subjectInfo")?,
        it.get("subjectInfo").unwrap_or(&null),
        &["dataProductId", "dataProductName", "dataProductAbstract", "dataProductEntityId"],
    )?;
    let nodes = known(
        fields.object("executionNodeInfo")?,
        it.get("executionNodeInfo").unwrap_or(&null),
        &["providerNodeId", "providerNodeName", "consumerNodeId", "consumerNodeName"],
    )?;
    Ok(Subject {
        product: code(&info, "dataProductId", ProductCode::parse)?,
        name: text_opt(&info, "dataProductName", NAME)?,
        summary: text_opt(&info, "dataProductAbstract", SUMMARY)?,
        owner: code_opt(&info, "dataProductEntityId", SubjectCode::parse)?,
        provider: code(&nodes, "providerNodeId", NodeCode::parse)?,
        provider_name: text_opt(&nodes, "providerNodeName", NAME)?,
        consumer: code_opt(&nodes, "consumerNodeId", NodeCode::parse)?,
        consumer_name: text_opt(&nodes, "consumerNodeName", NAME)?,
    })
}
