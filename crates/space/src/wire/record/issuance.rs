//! One credential request at the issuer, as a row.
//!
//! Never the holder's format: [`super::super::dcp::issuance`] is.

use serde_json::{Value, json};

use super::{BadRecord, fields, open, row};
use crate::fault::Fault;
use crate::identity::credential::Profile;
use crate::identity::issuance::message::Container;
use crate::identity::issuance::state::{Issuance, State};
use crate::wire::json::Fields;

pub fn write(it: &Issuance) -> String {
    let mut members = serde_json::Map::new();
    for (name, value) in [
        ("id", json!(it.id)),
        ("issuer", json!(it.issuer.as_str())),
        ("holder", json!(it.holder.as_str())),
        ("holderPid", json!(it.holder_pid)),
        ("wants", json!(it.wants)),
        ("created", json!(it.created.to_string())),
        ("moved", json!(it.moved.to_string())),
        ("state", write_state(&it.state)),
    ] {
        members.insert(name.to_owned(), value);
    }
    if let Some(access) = &it.access {
        members.insert("access".to_owned(), json!(access));
    }
    row(members)
}

fn write_state(it: &State) -> Value {
    let name = it.name().word();
    match it {
        State::Received | State::Issued | State::Undelivered => json!({"name": name}),
        State::Approved { credentials, tries } => {
            let container = |it: &Container| json!({"kind": it.kind, "profile": it.profile.alias(), "payload": it.payload});
            let credentials: Vec<Value> = credentials.iter().map(container).collect();
            json!({"name": name, "credentials": credentials, "tries": tries})
        }
        State::Refused { reason, tries } => json!({"name": name, "reason": reason, "tries": tries}),
        State::Rejected { reason } => json!({"name": name, "reason": reason}),
    }
}

pub fn read(text: &str) -> Result<Issuance, BadRecord> {
    let json = open(text)?;
    let it = fields(&json)?;
    Ok(Issuance {
        id: it.text("id")?.to_owned(),
        issuer: it.did("issuer")?,
        holder: it.did("holder")?,
        holder_pid: it.text("holderPid")?.to_owned(),
        wants: it.texts("wants")?,
        access: it.text_opt("access")?.map(str::to_owned),
        created: it.time("created")?,
        moved: it.time("moved")?,
        state: read_state(&it.object("state")?)?,
    })
}

fn read_state(it: &Fields<'_>) -> Result<State, Fault> {
    let reason = || it.text("reason").map(str::to_owned);
    Ok(match it.text("name")? {
        "received" => State::Received,
        "issued" => State::Issued,
        "undelivered" => State::Undelivered,
        "approved" => State::Approved {
            credentials: it
                .array("credentials")?
                .iter()
                .map(|one| read_container(&Fields::at(one, "credentials")?))
                .collect::<Result<_, _>>()?,
            tries: it.small_number("tries")?,
        },
        "refused" => State::Refused { reason: reason()?, tries: it.small_number("tries")? },
        "rejected" => State::Rejected { reason: reason()? },
        _ => return Err(it.wrong("name", "unknown state")),
    })
}

fn read_container(it: &Fields<'_>) -> Result<Container, Fault> {
    Ok(Container {
        kind: it.text("kind")?.to_owned(),
        profile: Profile::from_alias(it.text("profile")?)
            .ok_or_else(|| it.wrong("profile", "unknown"))?,
        payload: it.text("payload")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::did::Did;
    use crate::time::Time;

    #[test]
    fn every_state_round_trips() {
        let container =
            Container { kind: "X".to_owned(), profile: Profile::Vc11, payload: "a.b.c".to_owned() };
        for state in [
            State::Received,
            State::Approved { credentials: vec![container], tries: 3 },
            State::Issued,
            State::Refused { reason: "no".to_owned(), tries: 1 },
            State::Rejected { reason: "no".to_owned() },
            State::Undelivered,
        ] {
            for access in [None, Some("opaque".to_owned())] {
                let it = Issuance {
                    id: "i".to_owned(),
                    issuer: Did::parse("did:web:i").unwrap(),
                    holder: Did::parse("did:web:h").unwrap(),
                    holder_pid: "h".to_owned(),
                    wants: vec!["1".to_owned()],
                    access,
                    created: Time::from_ms(1),
                    moved: Time::from_ms(2),
                    state: state.clone(),
                };
                assert_eq!(read(&write(&it)).unwrap(), it);
            }
        }
        for bad in ["", "{}", "{\"v\":1}", "{\"v\":9}"] {
            assert!(read(bad).is_err());
        }
    }
}
