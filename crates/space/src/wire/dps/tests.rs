use serde_json::{Value, json};

use super::*;
use crate::dataflow::registration::Authorization;
use crate::dataflow::state::State;
use crate::negotiation::message::Role;
use crate::wire::samples::{self, id};
use crate::wire::schema::{Schemas, conformance};

fn said(body: Body) -> Message {
    Message { id: Some(id("urn:message:9")), body }
}

fn orders() -> Vec<Body> {
    let address = || Some(samples::address());
    vec![
        Body::Prepare,
        Body::Start { address: None },
        Body::Start { address: address() },
        Body::Started { address: None },
        Body::Started { address: address() },
        Body::Suspend { reason: Some("维护 / maintenance".to_owned()) },
        Body::Resume { address: address() },
        Body::Terminate { reason: None },
        Body::Completed,
    ]
}

fn reports() -> Vec<Body> {
    let address = || Some(samples::address());
    vec![
        Body::Prepared { address: address() },
        Body::Started { address: None },
        Body::Completed,
        Body::Errored { reason: "connection reset".to_owned() },
    ]
}

#[test]
fn orders_are_read_as_they_were_written_at_their_paths() {
    for body in orders() {
        let mut flow = samples::flow(Plane::Control, Role::Provider, State::Initialized);
        flow.theirs = Some(id("flow/1"));
        let kind = body.kind();
        let posting = write(&flow, &said(body.clone())).unwrap();
        let opens = matches!(kind, Kind::Prepare | Kind::Start);
        let of = if opens { "" } else { "/flow%2F1" };
        let expected = format!("/dataflows{of}/{}", kind.word());
        assert_eq!(posting.path, expected);
        let read = read(kind, posting.body.as_bytes()).unwrap();
        assert_eq!((read.id, &read.body), (Some(id("urn:message:9")), &body));
        assert_eq!(read.terms, opens.then_some(flow.terms));
    }
}

#[test]
fn reports_are_read_as_they_were_written_at_their_paths() {
    let flow = samples::flow(Plane::Data, Role::Provider, State::Started { address: None });
    for body in reports() {
        let kind = body.kind();
        let posting = write(&flow, &said(body.clone())).unwrap();
        assert_eq!(posting.path, format!("/transfers/urn:process:1/dataflow/{}", kind.word()));
        let (status, read) = read_callback(kind, posting.body.as_bytes()).unwrap();
        assert_eq!((status.flow, read), (Some(flow.id.clone()), body));
        let other = if kind == Kind::Prepared { Kind::Completed } else { Kind::Prepared };
        assert_eq!(
            read_callback(other, posting.body.as_bytes()).unwrap_err().code(),
            "dataflow.state"
        );
    }
}

/// The published schemas by the addresses that they refer to each other with.
fn published() -> Option<Schemas> {
    let (dps, dsp) = (conformance("dps")?, conformance("dsp")?);
    let mut schemas = Schemas::default();
    let mut files = 0;
    for found in std::fs::read_dir(dps.join("specifications/schemas")).unwrap() {
        let path = found.unwrap().path();
        let mut schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        schema["$id"] = json!(format!("https://w3id.org/dspace-sig/v1.0/{name}"));
        schemas.add(schema);
        files += 1;
    }
    assert!(files >= 13, "{files} schemas");
    for folder in ["negotiation", "transfer", "common"] {
        schemas.add_folder(&dsp.join(folder));
    }
    Some(schemas)
}

fn check(schemas: &Schemas, name: &str, document: &str) {
    let value: Value = serde_json::from_str(document).unwrap();
    let schema = format!("https://w3id.org/dspace-sig/v1.0/{name}.schema.json");
    assert_eq!(schemas.check(&schema, &value), Vec::<String>::new(), "{document}");
}

fn schema_of(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Prepare => "DataFlowPrepareMessage",
        Kind::Start => "DataFlowStartMessage",
        Kind::Started => "DataFlowStartedNotificationMessage",
        Kind::Suspend => "DataFlowSuspendMessage",
        Kind::Resume => "DataFlowResumeMessage",
        Kind::Terminate => "DataFlowTerminateMessage",
        Kind::Prepared | Kind::Completed | Kind::Errored => return None,
    })
}

#[test]
fn everything_written_fits_the_published_schemas() {
    let Some(schemas) = published() else { return };
    let control = samples::flow(Plane::Control, Role::Consumer, State::Initialized);
    for body in orders() {
        // "Empty body."
        let Some(name) = schema_of(body.kind()) else { continue };
        check(&schemas, name, &write(&control, &said(body)).unwrap().body);
    }
    let data = samples::flow(Plane::Data, Role::Provider, State::Preparing);
    for body in reports() {
        check(&schemas, "DataFlowStatusMessage", &write(&data, &said(body)).unwrap().body);
    }
    check(&schemas, "DataFlowStatusResponseMessage", &status_response(&data));
    check(
        &schemas,
        "AgreementResponse",
        &agreement(&samples::contract(samples::agreement(true).policy)),
    );
    for plane in Plane::ALL {
        let name = match plane {
            Plane::Data => "DataPlaneRegistrationMessage",
            Plane::Control => "ControlPlaneRegistrationMessage",
        };
        check(&schemas, name, &registration::write(&samples::registration(plane)));
    }
}

/// The schemas' own required members, removed one by one: what a schema refuses is refused here, too.
#[test]
fn what_the_schemas_require_is_required() {
    let Some(schemas) = published() else { return };
    let control = samples::flow(Plane::Control, Role::Consumer, State::Initialized);
    for (body, name) in [
        (Body::Prepare, "DataFlowPrepareMessage"),
        (Body::Start { address: None }, "DataFlowStartMessage"),
        (Body::Suspend { reason: None }, "DataFlowSuspendMessage"),
        (Body::Resume { address: None }, "DataFlowResumeMessage"),
        (Body::Terminate { reason: None }, "DataFlowTerminateMessage"),
    ] {
        let kind = body.kind();
        let whole: Value =
            serde_json::from_str(&write(&control, &said(body)).unwrap().body).unwrap();
        for member in whole.as_object().unwrap().keys() {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().remove(member);
            let schema = format!("https://w3id.org/dspace-sig/v1.0/{name}.schema.json");
            let refused = !schemas.check(&schema, &less).is_empty();
            assert_eq!(
                read(kind, less.to_string().as_bytes()).is_err(),
                refused,
                "{name} without {member}"
            );
        }
    }
}

#[test]
fn hostile_messages_are_refused() {
    let flow = samples::flow(Plane::Control, Role::Consumer, State::Initialized);
    let good: Value =
        serde_json::from_str(&write(&flow, &said(Body::Prepare)).unwrap().body).unwrap();
    for (member, value) in [
        ("messageId", json!(7)),
        ("processId", json!("a b")),
        ("processId", json!("")),
        ("datasetId", json!("x".repeat(600))),
        ("profile", json!("x".repeat(2000))),
        ("claims", json!("admin")),
        ("metadata", json!([])),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        let refused = read(Kind::Prepare, bad.to_string().as_bytes()).unwrap_err();
        assert_eq!(refused.code(), "message.malformed", "{member}");
    }
    for bad in ["", "[]", "{", "{\"state\":\"RUNNING\"}", "{\"state\":1}"] {
        assert!(read_status(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(read_status(b"{\"state\":\"STARTED\",\"dataFlowId\":\"..\"}").is_err());
    // What the kit answers.
    assert_eq!(read_status(b"{\"state\":\"PREPARED\"}").unwrap().state, Name::Prepared);
    for kind in [Kind::Completed, Kind::Started] {
        assert!(read(kind, b"").is_ok());
    }
    assert!(read(Kind::Suspend, b"").is_err());
}

#[test]
fn registrations_are_read_as_they_were_written_and_hide_their_secrets() {
    for plane in Plane::ALL {
        let it = samples::registration(plane);
        let text = registration::write(&it);
        assert_eq!(registration::read(plane, text.as_bytes()), Ok(it.clone()));
        let Authorization::Bearer { present, accept } = &it.authorization else { panic!() };
        let shown = Value::Object(registration::shown(&it)).to_string();
        for secret in [present, accept] {
            assert!(!shown.contains(secret) && !format!("{it:?}").contains(secret));
        }
    }
    let good: Value =
        serde_json::from_str(&registration::write(&samples::registration(Plane::Data))).unwrap();
    for (member, value, code) in [
        ("endpoint", json!("ftp://x"), "message.malformed"),
        ("endpoint", json!("https://x?y"), "message.malformed"),
        ("endpoint", json!("https:///etc"), "message.malformed"),
        ("dataplaneId", json!(".."), "message.pid"),
        ("profiles", json!([]), "message.malformed"),
        ("profiles", json!(vec!["p"; 1000]), "message.malformed"),
        ("authorization", json!({}), "message.malformed"),
        ("authorization", json!({"type": "oauth2_token_exchange"}), "plane.authorization"),
        (
            "authorization",
            json!({"type": "tidm:bearer", "present": "short", "accept": "short"}),
            "message.malformed",
        ),
        (
            "authorization",
            json!({"type": "tidm:bearer", "present": "x".repeat(32), "accept": "line\n".repeat(8)}),
            "message.malformed",
        ),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        let refused = registration::read(Plane::Data, bad.to_string().as_bytes()).unwrap_err();
        assert_eq!(refused.code(), code, "{bad}");
    }
}
