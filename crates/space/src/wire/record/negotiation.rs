//! The row of a negotiation.
//!
//! Never half a state: what a state owns is written with it.

use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::id::Id;
use crate::negotiation::message::{Agreement, Body, Message, Role, Signature};
use crate::negotiation::state::{Negotiation, State};
use crate::wire::dsp::put;
use crate::wire::json::Fields;

use super::rules::{put_rules, read_rules};
use super::{BadRecord, fields, open, policy, row};

pub fn encode(it: &Negotiation) -> String {
    let mut doc = Map::new();
    put(&mut doc, "id", Some(it.id.as_str()));
    put(&mut doc, "role", Some(it.role.word()));
    put(&mut doc, "peer", Some(it.peer.as_str()));
    put(&mut doc, "peerPid", it.peer_pid.as_ref().map(Id::as_str));
    put(&mut doc, "address", Some(it.address.as_str()));
    put(&mut doc, "product", Some(it.product.as_str()));
    doc.insert("state".to_owned(), write_state(&it.state));
    put(&mut doc, "pending", it.pending.as_ref().map(write_message));
    put(&mut doc, "rounds", Some(it.rounds));
    put(&mut doc, "awaitsApproval", Some(it.awaits_approval));
    put(&mut doc, "proposed", it.proposed.as_ref().map(policy::write));
    put_rules(&mut doc, &it.rules);
    put(&mut doc, "created", Some(it.created.to_string()));
    put(&mut doc, "moved", Some(it.moved.to_string()));
    row(doc)
}

pub fn decode(text: &str) -> Result<Negotiation, BadRecord> {
    let value = open(text)?;
    let top = fields(&value)?;
    let role = top.word("role", Role::from_word)?;
    Ok(Negotiation {
        id: top.id("id")?,
        role,
        peer: top.did("peer")?,
        peer_pid: top.id_opt("peerPid")?,
        address: top.text("address")?.to_owned(),
        product: top.id("product")?,
        state: read_state(&top.object("state")?)?,
        pending: top.object_opt("pending")?.map(|it| read_message(&it)).transpose()?,
        rounds: top.small_number("rounds")?,
        awaits_approval: top.truth("awaitsApproval")?,
        // Absent in rows of older versions.
        proposed: top
            .object_opt("proposed")?
            .map(|_| policy::read(&top, "proposed"))
            .transpose()?,
        rules: read_rules(&top, role)?,
        created: top.time("created")?,
        moved: top.time("moved")?,
    })
}

fn write_state(it: &State) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "name", Some(it.name().token()));
    match it {
        State::Initial => {}
        State::Requested { offer } | State::Offered { offer } | State::Accepted { offer } => {
            doc.insert("offer".to_owned(), policy::write(offer));
        }
        State::Agreed { agreement } => {
            doc.insert("agreement".to_owned(), write_agreement(agreement));
        }
        State::Verified { agreement, consumer_signature }
        | State::Finalized { agreement, consumer_signature } => {
            doc.insert("agreement".to_owned(), write_agreement(agreement));
            put(&mut doc, "consumerSignature", consumer_signature.as_ref().map(|it| it.0.as_str()));
        }
        State::Terminated { by, code, reason } => put_end(&mut doc, *by, code.as_deref(), reason),
    }
    Value::Object(doc)
}

fn read_state(of: &Fields<'_>) -> Result<State, Fault> {
    let offer = || policy::read(of, "offer");
    let agreement = || read_agreement(&of.object("agreement")?);
    Ok(match of.text("name")? {
        "INITIAL" => State::Initial,
        "REQUESTED" => State::Requested { offer: offer()? },
        "OFFERED" => State::Offered { offer: offer()? },
        "ACCEPTED" => State::Accepted { offer: offer()? },
        "AGREED" => State::Agreed { agreement: agreement()? },
        "VERIFIED" => State::Verified {
            agreement: agreement()?,
            consumer_signature: read_signature(of, "consumerSignature")?,
        },
        "FINALIZED" => State::Finalized {
            agreement: agreement()?,
            consumer_signature: read_signature(of, "consumerSignature")?,
        },
        "TERMINATED" => {
            let (by, code, reason) = read_end(of)?;
            State::Terminated { by, code, reason }
        }
        _ => return Err(of.wrong("name", "unknown state")),
    })
}

pub(super) fn put_end(
    doc: &mut Map<String, Value>,
    by: Role,
    code: Option<&str>,
    reason: &[String],
) {
    put(doc, "by", Some(by.word()));
    put(doc, "code", code);
    doc.insert("reason".to_owned(), json!(reason));
}

type Ending = (Role, Option<String>, Vec<String>);

pub(super) fn read_end(of: &Fields<'_>) -> Result<Ending, Fault> {
    Ok((
        of.word("by", Role::from_word)?,
        of.text_opt("code")?.map(str::to_owned),
        of.texts("reason")?,
    ))
}

pub(super) fn read_signature(of: &Fields<'_>, name: &str) -> Result<Option<Signature>, Fault> {
    Ok(of.text_opt(name)?.map(|it| Signature(it.to_owned())))
}

fn write_agreement(it: &Agreement) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "id", Some(it.id.as_str()));
    doc.insert("policy".to_owned(), policy::write(&it.policy));
    put(&mut doc, "at", Some(it.at.to_string()));
    put(&mut doc, "signature", it.signature.as_ref().map(|it| it.0.as_str()));
    Value::Object(doc)
}

fn read_agreement(of: &Fields<'_>) -> Result<Agreement, Fault> {
    Ok(Agreement {
        id: of.id("id")?,
        policy: policy::read(of, "policy")?,
        at: of.time("at")?,
        signature: read_signature(of, "signature")?,
    })
}

fn write_message(it: &Message) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "id", it.id.as_ref().map(Id::as_str));
    put(&mut doc, "say", Some(it.body.kind().word()));
    match &it.body {
        Body::Request { offer } | Body::Offer { offer } => {
            doc.insert("offer".to_owned(), policy::write(offer));
        }
        Body::Agree { agreement } => {
            doc.insert("agreement".to_owned(), write_agreement(agreement));
        }
        Body::Verify { signature } => {
            put(&mut doc, "signature", signature.as_ref().map(|it| it.0.as_str()));
        }
        Body::Accept | Body::Finalize => {}
        Body::Terminate { code, reason } => {
            put(&mut doc, "code", code.as_deref());
            doc.insert("reason".to_owned(), json!(reason));
        }
    }
    Value::Object(doc)
}

fn read_message(of: &Fields<'_>) -> Result<Message, Fault> {
    let body = match of.text("say")? {
        "request" => Body::Request { offer: policy::read(of, "offer")? },
        "offer" => Body::Offer { offer: policy::read(of, "offer")? },
        "accept" => Body::Accept,
        "agree" => Body::Agree { agreement: read_agreement(&of.object("agreement")?)? },
        "verify" => Body::Verify { signature: read_signature(of, "signature")? },
        "finalize" => Body::Finalize,
        "terminate" => Body::Terminate {
            code: of.text_opt("code")?.map(str::to_owned),
            reason: of.texts("reason")?,
        },
        _ => return Err(of.wrong("say", "unknown message")),
    };
    Ok(Message { id: of.id_opt("id")?, body })
}
