use serde_json::{Value, json};

use super::negotiation::{self, Endpoint as Said};
use super::transfer::{self, Endpoint as Moved};
use super::{error, version};
use crate::fault::Fault;
use crate::negotiation::message::{Body, Message, Role};
use crate::negotiation::state::State;
use crate::transfer::message as moved;
use crate::transfer::state::State as TransferState;
use crate::wire::samples::{self, id};
use crate::wire::schema::{Schemas, conformance};

const BASE: &str = "https://me.example/dsp";

fn said(body: Body) -> Message {
    Message { id: Some(id("urn:message:9")), body }
}

fn endpoint(path: &str) -> Said {
    match path.rsplit('/').next().unwrap() {
        "request" if path == "/negotiations/request" => Said::RequestOpen,
        "request" => Said::Request,
        "offers" if path == "/negotiations/offers" => Said::OfferOpen,
        "offers" => Said::Offer,
        "events" => Said::Events,
        "agreement" => Said::Agreement,
        "verification" => Said::Verification,
        "termination" => Said::Termination,
        other => panic!("{other}"),
    }
}

/// What one side writes, the other reads as it was meant, at the path it was posted to.
#[test]
fn negotiation_messages_round_trip() {
    for opening in [true, false] {
        for body in samples::bodies() {
            for role in Role::ALL {
                let mut us = samples::negotiation(role, State::Initial, None);
                if opening {
                    us.peer_pid = None;
                }
                let Ok(posting) = negotiation::write(&us, &said(body.clone()), BASE) else {
                    assert!(opening && !matches!(body, Body::Request { .. } | Body::Offer { .. }));
                    continue;
                };
                let at = endpoint(&posting.path);
                let theirs = us.peer_pid.clone();
                let read = negotiation::read(at, theirs.as_ref(), posting.body.as_bytes());
                let sayable = match &body {
                    Body::Request { .. } | Body::Accept | Body::Verify { .. } => {
                        role == Role::Consumer
                    }
                    Body::Offer { .. } | Body::Agree { .. } | Body::Finalize => {
                        role == Role::Provider
                    }
                    Body::Terminate { .. } => true,
                };
                if !sayable {
                    assert!(read.is_err(), "{body:?} by the {role:?}");
                    continue;
                }
                let (message, spoken) = read.unwrap();
                assert_eq!(message, Some(id("urn:message:9")));
                assert_eq!(
                    (spoken.mine, spoken.theirs, spoken.role),
                    (theirs, Some(us.id), role.peer())
                );
                assert_eq!(spoken.callback.as_deref(), opening.then_some(BASE));
                assert_eq!(spoken.body, body);
            }
        }
    }
}

#[test]
fn transfer_messages_round_trip_and_keep_the_order_of_properties() {
    for body in samples::transfer_bodies() {
        let us = samples::transfer(Role::Consumer, TransferState::Initial, None);
        let message = moved::Message { id: Some(id("urn:message:9")), body: body.clone() };
        let posting = transfer::write(&us, &message, BASE).unwrap();
        let (at, mine) = match posting.path.rsplit('/').next().unwrap() {
            "request" => (Moved::Request, None),
            "start" => (Moved::Start, us.peer_pid.as_ref()),
            "completion" => (Moved::Completion, us.peer_pid.as_ref()),
            "suspension" => (Moved::Suspension, us.peer_pid.as_ref()),
            "termination" => (Moved::Termination, us.peer_pid.as_ref()),
            other => panic!("{other}"),
        };
        let (_, spoken) = transfer::read(at, mine, posting.body.as_bytes()).unwrap();
        assert_eq!((spoken.body, spoken.theirs), (body, Some(us.id.clone())));
    }
}

/// The message in the body must be for the negotiation in the path, and ids never shape a path.
#[test]
fn pids_are_checked_and_escaped() {
    let us = samples::negotiation(Role::Consumer, State::Initial, None);
    let posting = negotiation::write(&us, &said(Body::Accept), BASE).unwrap();
    let fault =
        negotiation::read(Said::ProviderEvents, Some(&id("urn:other")), posting.body.as_bytes())
            .unwrap_err();
    assert_eq!(fault.code(), "message.pid");
    let fault =
        negotiation::read(Said::ConsumerEvents, us.peer_pid.as_ref(), posting.body.as_bytes())
            .unwrap_err();
    assert!(fault.to_string().contains("field eventType"), "{fault}");
    for (pid, path) in [
        ("a/../b?c#d", Some("/negotiations/a%2F..%2Fb%3Fc%23d/events")),
        ("urn:uuid:1", Some("/negotiations/urn:uuid:1/events")),
        ("喵%2F", Some("/negotiations/%E5%96%B5%252F/events")),
        ("..", None),
        (".", None),
    ] {
        let mut us = us.clone();
        us.peer_pid = Some(id(pid));
        assert_eq!(
            negotiation::write(&us, &said(Body::Accept), BASE).ok().map(|it| it.path).as_deref(),
            path
        );
    }
    for callback in
        ["ftp://a", "https://", "https:///a", "/a", "https://a b", "https://a?x", "https://a#x"]
    {
        let body = json!({"@type": "TransferRequestMessage", "consumerPid": "p", "agreementId": "a", "format": "f", "callbackAddress": callback});
        assert!(
            transfer::read(Moved::Request, None, body.to_string().as_bytes()).is_err(),
            "{callback}"
        );
    }
}

#[test]
fn answers_and_errors_are_understood() {
    let us =
        samples::negotiation(Role::Provider, State::Requested { offer: samples::offer() }, None);
    let answer =
        negotiation::read_answer(negotiation::state(&us).as_bytes(), &id("urn:theirs:1")).unwrap();
    assert_eq!((answer.pid, answer.state.as_deref()), (Some(us.id.clone()), Some("REQUESTED")));
    assert_eq!(negotiation::read_ack(b"", &us.id), None);
    assert_eq!(negotiation::read_ack(b"{}", &us.id), None);
    assert!(
        negotiation::read_answer(negotiation::state(&us).as_bytes(), &id("urn:nobody")).is_err()
    );
    let fault = Fault::misbehaved("negotiation.after-end", "no");
    for body in [
        negotiation::error(us.pids(), &fault),
        transfer::error((None, None), &fault),
        error::write(&fault),
    ] {
        let (code, reasons) = error::read(body.as_bytes());
        assert_eq!((code.as_deref(), reasons.len()), (Some("negotiation.after-end"), 1));
    }
    assert_eq!(error::read(b"<html>"), (None, vec![]));
    assert_eq!(
        error::read(br#"{"code": 7, "reason": [{"message": "x"}]}"#),
        (Some("7".to_owned()), vec!["x".to_owned()])
    );
}

#[test]
fn version_documents() {
    let it = version::read(version::write("/dsp", BASE, &[]).as_bytes()).unwrap();
    assert_eq!(
        (it.path.as_str(), it.tidm.as_deref()),
        ("/dsp", Some("https://me.example/dsp/tidm/1"))
    );
    let many = json!({"protocolVersions": ["?", {"version": "0.8", "path": "/old"}, {"version": "2025-1", "path": "//evil", "binding": "HTTPS"}, {"version": "2025-1", "path": "/new/", "binding": "HTTPS"}]});
    assert_eq!(version::read_value(&many).map(|it| it.path), Ok("/new".to_owned()));
    let old = json!({"protocolVersions": [{"version": "0.8", "path": "/old", "binding": "HTTPS"}]});
    assert!(version::read(old.to_string().as_bytes()).unwrap_err().to_string().contains("0.8"));
}

/// Whatever comes is refused in words, never with a panic.
#[test]
fn nasty_inputs() {
    let mine = id("urn:mine");
    for body in [
        "",
        "[]",
        "null",
        "{\"@type\": []}",
        "{\"@type\": {\"@id\": 1}}",
        "{\"@type\":\"ContractRequestMessage\",\"offer\":[]}",
        "{\"@type\":\"TransferStartMessage\",\"providerPid\":\"urn:mine\",\"consumerPid\":\"..\"}",
    ] {
        for at in Said::ALL {
            assert!(negotiation::read(at, Some(&mine), body.as_bytes()).is_err());
            assert!(negotiation::read(at, None, body.as_bytes()).is_err());
        }
        for at in Moved::ALL {
            assert!(transfer::read(at, Some(&mine), body.as_bytes()).is_err());
        }
    }
}

/// DSP's own examples are read, and what we write fits DSP's own schemas.
#[test]
fn the_kits_examples_and_schemas() {
    let Some(kit) = conformance("dsp") else { return };
    let file = |name: &str| std::fs::read(kit.join(name)).unwrap();
    let provider = id("urn:uuid:a343fcbf-99fc-4ce8-8e9b-148c97605aab");
    let consumer = id("urn:uuid:32541fe6-c580-409e-85a8-8a9a32fbe833");
    for (name, at, mine) in [
        ("contract-request-message_initial", Said::RequestOpen, None),
        ("contract-request-message", Said::Request, Some(&provider)),
        ("contract-offer-message_initial", Said::OfferOpen, None),
        ("contract-offer-message", Said::Offer, Some(&consumer)),
        ("contract-negotiation-event-message", Said::Events, Some(&provider)),
        ("contract-agreement-message", Said::Agreement, Some(&consumer)),
        ("contract-agreement-message-full", Said::Agreement, Some(&consumer)),
        ("contract-agreement-verification-message", Said::Verification, Some(&provider)),
        ("contract-negotiation-termination-message", Said::Termination, Some(&provider)),
    ] {
        negotiation::read(at, mine, &file(&format!("negotiation/example/{name}.json")))
            .unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    for (name, at, mine) in [
        ("request", Moved::Request, None),
        ("start", Moved::Start, Some(&consumer)),
        ("completion", Moved::Completion, Some(&consumer)),
        ("suspension", Moved::Suspension, Some(&consumer)),
        ("termination", Moved::Termination, Some(&provider)),
    ] {
        let name = format!("transfer/example/transfer-{name}-message.json");
        transfer::read(at, mine, &file(&name)).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    assert!(
        negotiation::read_ack(&file("negotiation/example/contract-negotiation.json"), &consumer)
            .is_some()
    );
    assert_eq!(
        version::read(&file("common/example/protocol-version.json")).unwrap().path,
        "/some/path/2025-1"
    );

    let mut schemas = Schemas::default();
    for folder in ["negotiation", "transfer", "common"] {
        schemas.add_folder(&kit.join(folder));
    }
    let mut checked = 0;
    for (name, document) in written() {
        let wrong =
            schemas.check(&format!("https://w3id.org/dspace/2025/1/{name}-schema.json"), &document);
        assert!(wrong.is_empty(), "{name}: {wrong:?}\n{document}");
        checked += 1;
    }
    println!("14 examples read, {checked} documents of ours fit the schemas");
}

fn schema_of(document: &Value) -> String {
    let kind = document["@type"].as_str().unwrap();
    let folder = if kind.starts_with("Contract") { "negotiation" } else { "transfer" };
    let mut name = String::new();
    for letter in kind.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    format!("{folder}/{name}")
}

fn written() -> Vec<(String, Value)> {
    let mut out = Vec::new();
    let mut add = |text: &str| {
        let document: Value = serde_json::from_str(text).unwrap();
        out.push((schema_of(&document), document));
    };
    for opening in [true, false] {
        for body in samples::bodies() {
            let role = if matches!(body, Body::Offer { .. } | Body::Agree { .. }) {
                Role::Provider
            } else {
                Role::Consumer
            };
            let mut us = samples::negotiation(role, State::Initial, None);
            if opening {
                us.peer_pid = None;
            }
            if let Ok(posting) = negotiation::write(&us, &said(body), BASE) {
                add(&posting.body);
            }
        }
    }
    for state in samples::states() {
        add(&negotiation::state(&samples::negotiation(Role::Provider, state, None)));
    }
    for body in samples::transfer_bodies() {
        let us = samples::transfer(Role::Consumer, TransferState::Initial, None);
        add(&transfer::write(&us, &moved::Message { id: None, body }, BASE).unwrap().body);
    }
    for state in samples::transfer_states() {
        add(&transfer::state(&samples::transfer(Role::Consumer, state, None)));
    }
    let fault = Fault::misbehaved("x", "y");
    add(&negotiation::error((None, None), &fault));
    add(&transfer::error((None, None), &fault));
    out.push((
        "common/protocol-version".to_owned(),
        serde_json::from_str(&version::write("/dsp", BASE, &["vc20-bssl/jwt"])).unwrap(),
    ));
    out
}
