//! The row of a data flow.
//!
//! Holds the token of a data address until the flow ends: rows are as secret as the store.

use serde_json::{Map, Value, json};

use crate::dataflow::message::{Body, Kind, Message, Plane, Profile, Terms};
use crate::dataflow::state::{Flow, Name, State};
use crate::fault::Fault;
use crate::id::Id;
use crate::negotiation::message::Role;
use crate::wire::dsp::put;
use crate::wire::dsp::transfer::{read_address, write_address};
use crate::wire::json::Fields;

use super::{BadRecord, fields, open, row};

pub fn encode(it: &Flow) -> String {
    let mut doc = Map::new();
    put(&mut doc, "id", Some(it.id.as_str()));
    put(&mut doc, "plane", Some(it.plane.word()));
    put(&mut doc, "role", Some(it.role.word()));
    put(&mut doc, "partner", Some(it.partner.as_str()));
    put(&mut doc, "address", Some(it.address.as_str()));
    put(&mut doc, "theirs", it.theirs.as_ref().map(Id::as_str));
    put(&mut doc, "openedBy", Some(it.opened_by.as_str()));
    doc.insert("terms".to_owned(), write_terms(&it.terms));
    doc.insert("state".to_owned(), write_state(&it.state));
    doc.insert("owed".to_owned(), it.owed.iter().map(write_message).collect());
    put(&mut doc, "error", it.error.as_deref());
    put(&mut doc, "created", Some(it.created.to_string()));
    put(&mut doc, "moved", Some(it.moved.to_string()));
    row(doc)
}

pub fn decode(text: &str) -> Result<Flow, BadRecord> {
    let value = open(text)?;
    let top = fields(&value)?;
    let mut owed = Vec::new();
    for item in top.array("owed")? {
        owed.push(read_message(&Fields::at(item, "owed")?)?);
    }
    Ok(Flow {
        id: top.id("id")?,
        plane: top.word("plane", Plane::from_word)?,
        role: top.word("role", Role::from_word)?,
        partner: top.id("partner")?,
        address: top.text("address")?.to_owned(),
        theirs: top.id_opt("theirs")?,
        opened_by: top.id("openedBy")?,
        terms: read_terms(&top.object("terms")?)?,
        state: read_state(&top.object("state")?)?,
        owed,
        error: top.text_opt("error")?.map(str::to_owned),
        created: top.time("created")?,
        moved: top.time("moved")?,
    })
}

fn write_terms(it: &Terms) -> Value {
    json!({
        "participant": it.participant.as_str(),
        "counterparty": it.counterparty.as_str(),
        "context": it.context,
        "process": it.process.as_str(),
        "agreement": it.agreement.as_str(),
        "dataset": it.dataset.as_str(),
        "profile": it.profile.as_str(),
    })
}

fn read_terms(of: &Fields<'_>) -> Result<Terms, Fault> {
    Ok(Terms {
        participant: of.id("participant")?,
        counterparty: of.id("counterparty")?,
        context: of.text("context")?.to_owned(),
        process: of.id("process")?,
        agreement: of.id("agreement")?,
        dataset: of.id("dataset")?,
        profile: Profile::new(of.text("profile")?),
    })
}

fn write_state(it: &State) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "name", Some(it.name().token()));
    put(&mut doc, "address", it.address().map(write_address));
    match it {
        State::Suspended { reason, .. } => put(&mut doc, "reason", reason.as_deref()),
        State::Completed { by } => put(&mut doc, "by", Some(by.word())),
        State::Terminated { by, reason } => {
            put(&mut doc, "by", Some(by.word()));
            put(&mut doc, "reason", reason.as_deref());
        }
        State::Initialized
        | State::Preparing
        | State::Prepared { .. }
        | State::Starting { .. }
        | State::Started { .. } => {}
    }
    Value::Object(doc)
}

fn read_state(of: &Fields<'_>) -> Result<State, Fault> {
    let address = || read_address(of, "address");
    let reason = || Ok::<_, Fault>(of.text_opt("reason")?.map(str::to_owned));
    let by = || of.word("by", Plane::from_word);
    Ok(match of.word("name", Name::from_token)? {
        Name::Initialized => State::Initialized,
        Name::Preparing => State::Preparing,
        Name::Prepared => State::Prepared { address: address()? },
        Name::Starting => State::Starting { address: address()? },
        Name::Started => State::Started { address: address()? },
        Name::Suspended => State::Suspended { reason: reason()?, address: address()? },
        Name::Completed => State::Completed { by: by()? },
        Name::Terminated => State::Terminated { by: by()?, reason: reason()? },
    })
}

fn write_message(it: &Message) -> Value {
    let mut doc = Map::new();
    put(&mut doc, "id", it.id.as_ref().map(Id::as_str));
    put(&mut doc, "say", Some(it.body.kind().word()));
    put(&mut doc, "address", it.body.address().map(write_address));
    match &it.body {
        Body::Suspend { reason } | Body::Terminate { reason } => {
            put(&mut doc, "reason", reason.as_deref());
        }
        Body::Errored { reason } => put(&mut doc, "reason", Some(reason.as_str())),
        Body::Prepare
        | Body::Prepared { .. }
        | Body::Start { .. }
        | Body::Started { .. }
        | Body::Resume { .. }
        | Body::Completed => {}
    }
    Value::Object(doc)
}

fn read_message(of: &Fields<'_>) -> Result<Message, Fault> {
    let address = || read_address(of, "address");
    let reason = || Ok::<_, Fault>(of.text_opt("reason")?.map(str::to_owned));
    let body = match of.word("say", Kind::from_word)? {
        Kind::Prepare => Body::Prepare,
        Kind::Prepared => Body::Prepared { address: address()? },
        Kind::Start => Body::Start { address: address()? },
        Kind::Started => Body::Started { address: address()? },
        Kind::Suspend => Body::Suspend { reason: reason()? },
        Kind::Resume => Body::Resume { address: address()? },
        Kind::Terminate => Body::Terminate { reason: reason()? },
        Kind::Completed => Body::Completed,
        Kind::Errored => Body::Errored { reason: of.text("reason")?.to_owned() },
    };
    Ok(Message { id: of.id_opt("id")?, body })
}
