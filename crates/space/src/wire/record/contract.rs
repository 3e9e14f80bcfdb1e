//! The row of a contract, tombstone and deletion receipt included.
//!
//! Never the only tombstone of a destroyed key: the key's own place holds one, too (house D13).

use serde_json::{Map, Value};

use crate::contract::{Contract, End, State};
use crate::fault::Fault;
use crate::identity::member::Group;
use crate::negotiation::message::Role;
use crate::wire::dsp::put;
use crate::wire::json::Fields;
use crate::wire::tidm::notice::{put_deletion, read_deletion};

use super::negotiation::read_signature;
use super::rules::{put_rules, read_rules};
use super::{BadRecord, fields, open, policy, row};

pub fn encode(it: &Contract) -> String {
    let mut doc = Map::new();
    put(&mut doc, "id", Some(it.id.as_str()));
    put(&mut doc, "role", Some(it.role.word()));
    put(&mut doc, "peer", Some(it.peer.as_str()));
    put(&mut doc, "address", Some(it.address.as_str()));
    put(&mut doc, "negotiation", Some(it.negotiation.as_str()));
    put(&mut doc, "product", Some(it.product.as_str()));
    doc.insert("policy".to_owned(), policy::write(&it.policy));
    put(&mut doc, "digest", Some(it.digest.to_string()));
    put(&mut doc, "providerSignature", it.provider_signature.as_ref().map(|it| it.0.as_str()));
    put(&mut doc, "consumerSignature", it.consumer_signature.as_ref().map(|it| it.0.as_str()));
    put(&mut doc, "signedAt", Some(it.signed_at.to_string()));
    put(&mut doc, "firstUse", it.first_use.map(|it| it.to_string()));
    put(&mut doc, "consented", it.consented.map(|it| it.to_string()));
    put(&mut doc, "group", it.group.as_ref().map(Group::as_str));
    put(&mut doc, "suspended", write_suspension(&it.state));
    put(&mut doc, "changes", (it.changes > 0).then_some(it.changes));
    put(&mut doc, "missed", it.missed.map(|it| it.to_string()));
    put(&mut doc, "ended", write_end(&it.state));
    put(
        &mut doc,
        "deletion",
        it.deletion.as_ref().map(|it| {
            let mut doc = Map::new();
            put_deletion(&mut doc, it);
            Value::Object(doc)
        }),
    );
    put_rules(&mut doc, &it.rules);
    row(doc)
}

pub fn decode(text: &str) -> Result<Contract, BadRecord> {
    let value = open(text)?;
    let top = fields(&value)?;
    let role = top.word("role", Role::from_word)?;
    Ok(Contract {
        id: top.id("id")?,
        role,
        peer: top.did("peer")?,
        address: top.text("address")?.to_owned(),
        negotiation: top.id("negotiation")?,
        product: top.id("product")?,
        policy: policy::read(&top, "policy")?,
        digest: top.digest("digest")?,
        provider_signature: read_signature(&top, "providerSignature")?,
        consumer_signature: read_signature(&top, "consumerSignature")?,
        signed_at: top.time("signedAt")?,
        first_use: top.time_opt("firstUse")?,
        consented: top.time_opt("consented")?,
        group: top.text_opt("group")?.map(|it| read_group(&top, it)).transpose()?,
        state: read_state(&top)?,
        changes: top.get("changes").map_or(Ok(0), |_| top.small_number("changes"))?,
        missed: top.time_opt("missed")?,
        deletion: top.object_opt("deletion")?.map(|it| read_deletion(&it)).transpose()?,
        rules: read_rules(&top, role)?,
    })
}

fn read_group(of: &Fields<'_>, text: &str) -> Result<Group, Fault> {
    Group::parse(text).ok_or_else(|| of.wrong("group", "no legal entity"))
}

fn read_state(top: &Fields<'_>) -> Result<State, Fault> {
    if let Some(it) = top.object_opt("ended")? {
        return read_end(&it);
    }
    Ok(match top.object_opt("suspended")? {
        Some(it) => State::Suspended { at: it.time("at")?, reason: it.text("reason")?.to_owned() },
        None => State::Active,
    })
}

fn write_suspension(it: &State) -> Option<Value> {
    let State::Suspended { at, reason } = it else { return None };
    let mut doc = Map::new();
    put(&mut doc, "at", Some(at.to_string()));
    put(&mut doc, "reason", Some(reason.as_str()));
    Some(Value::Object(doc))
}

fn write_end(it: &State) -> Option<Value> {
    let State::Ended { why, by, at, reason } = it else { return None };
    let mut doc = Map::new();
    put(&mut doc, "why", Some(why.word()));
    put(&mut doc, "by", Some(by.word()));
    put(&mut doc, "at", Some(at.to_string()));
    put(&mut doc, "reason", Some(reason.as_str()));
    Some(Value::Object(doc))
}

fn read_end(of: &Fields<'_>) -> Result<State, Fault> {
    Ok(State::Ended {
        why: of.word("why", End::from_word)?,
        by: of.word("by", Role::from_word)?,
        at: of.time("at")?,
        reason: of.text("reason")?.to_owned(),
    })
}
