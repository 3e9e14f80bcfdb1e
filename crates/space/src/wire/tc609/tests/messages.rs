//! Requests and answers of the interfaces: one good request of each, what is wrong with others, and what is signed.

use super::*;
use crate::fault::Fault;
use crate::limits::MESSAGE_BYTES;
use crate::tc609::code::NodeCode;
use crate::tc609::message::{Envelope, Interface, Message};
use crate::wire::tc609::message::{confirmed, covered, read};
use crate::wire::tc609::{answer, offered};

const CONTRACT: &str = "8491310000MA0DEMQ19R3101202509010930007QX4M2ZBW";
const CONNECTOR: &str = "591310000MA0DEMQ19R31011BH95JZY4";
const OWNER: &str = "91310000MA0DEMQ19R";

fn strategy() -> Json {
    json!({
        "policyType": "01",
        "subjectInfo": { "dataProductId": "691310000MA0DEMQ19R0026A7K2M9QXQ", "dataProductEntityId": OWNER },
        "executionNodeInfo": { "providerNodeId": CONNECTOR },
        "actions": ["read"],
        "constraints": [{ "constraintName": "count", "constraintOperator": "11", "constraintValue": "5" }],
    })
}

fn of(interface: Interface) -> Json {
    let at = "2025-09-01T09:30:00+08:00";
    let later = "2025-12-31T23:59:59+08:00";
    match interface {
        Interface::Template => json!({ "issuerId": CONNECTOR, "issuerEntityId": OWNER }),
        Interface::Create => json!({
            "contractName": "锅炉数据", "contractAbstract": "读取", "issueTime": at, "activationTime": at,
            "endTime": later, "signMode": "01", "issuerId": CONNECTOR, "issuerEntityId": OWNER, "signature": "a.b.c",
        }),
        Interface::Negotiate => json!({
            "contractName": "锅炉数据", "contractId": CONTRACT, "strategy": strategy(),
            "signatureList": [{ "entityId": OWNER, "signature": "a.b.c", "signatoryTime": at }],
        }),
        Interface::Registrate => json!({
            "contractName": "锅炉数据", "contractId": CONTRACT, "strategy": [strategy()], "signatoryTime": at,
            "signatoryEntities": [{ "signatoryEntityId": OWNER, "signature": "a.b.c" }], "contractExpansionItem": "{}",
        }),
        Interface::Execution => json!({
            "contractName": "锅炉数据", "contractId": CONTRACT, "strategy": strategy(), "reportTime": at,
            "executedStrategy": { "executedStrategyId": "s1", "executedActions": ["read"], "executionResult": "ok" },
        }),
        Interface::Terminate => json!({
            "contractName": "锅炉数据", "contractId": CONTRACT, "issueTime": at, "erminateType": "01",
            "terminateType": "01", "activationTime": at, "scheduledEndTime": later, "agreedEndTime": at,
            "issuerId": CONNECTOR, "issuerEntityId": OWNER, "signature": "a.b.c", "terminateReason": "价格",
        }),
        Interface::Strategy => json!({
            "contractId": CONTRACT, "strategyId": "s1", "strategyVersion": "1", "issuedAt": at, "signature": "a.b.c",
            "transactionExecutionStrategy": serde_json::from_str::<Json>(FIXTURES[0].1).unwrap(),
        }),
        Interface::Feedback => json!({
            "connectorId": CONNECTOR, "contractId": CONTRACT, "strategyId": "s1", "result": "allowed",
            "timestamp": at, "details": { "operation": "query", "rows": 3 }, "signature": "a.b.c",
        }),
        Interface::Abnormal => json!({
            "connectorId": CONNECTOR, "terminationId": "t1", "contractId": CONTRACT, "strategyId": "s1",
            "reason": "越权", "triggeredBy": "provider", "timestamp": at,
        }),
        Interface::Proof => json!({
            "proofId": "p1", "contractId": CONTRACT, "strategyId": "s1", "log": { "uses": 1 }, "timestamp": at,
            "signature": "a.b.c",
        }),
        Interface::Query => json!({ "contractId": CONTRACT }),
        Interface::Decision => {
            json!({ "contractId": CONTRACT, "context": { "operation": "query" } })
        }
    }
}

fn tried(interface: Interface, body: &Json) -> Result<Message, Fault> {
    read(interface, body.to_string().as_bytes())
}

#[test]
fn a_request_of_each_is_read_and_each_member_matters() {
    let optional = [
        "signatureList",
        "terminateReason",
        "terminateType",
        "erminateType",
        "details",
        "contractId",
    ];
    for interface in Interface::ALL {
        assert_eq!(Interface::from_path(interface.path()), Some(interface));
        let whole = of(interface);
        let message = tried(interface, &whole).unwrap();
        let about = message.contract().map(|it| it.as_str().to_owned());
        assert_eq!(about.is_some(), whole.get("contractId").is_some());
        assert_eq!(interface.is_signed(), whole.get("signature").is_some(), "{interface:?}");
        for name in whole.as_object().unwrap().keys() {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().remove(name);
            let may = optional.contains(&name.as_str())
                && (name != "contractId" || interface == Interface::Query);
            assert_eq!(tried(interface, &less).is_ok(), may, "{interface:?} without {name}");
            for strange in [Json::Null, json!(7), json!([[]]), json!({"@value": 1})] {
                if strange.is_object() && ["details", "log"].contains(&name.as_str()) {
                    // Objects that nobody describes.
                    continue;
                }
                let mut other = whole.clone();
                other[name.as_str()] = strange.clone();
                assert!(tried(interface, &other).is_err(), "{interface:?} {name} {strange}");
            }
        }
        let mut more = whole.clone();
        more["more"] = json!("x");
        assert!(tried(interface, &more).is_err(), "{interface:?} with an unknown member");
        assert!(read(interface, &vec![b' '; MESSAGE_BYTES + 1]).is_err());
        assert!(read(interface, b"[]").is_err());
    }
}

/// Ids of one contract, or instance, are none of another's.
#[test]
fn ids_do_not_run_into_each_other() {
    let body = "8491310000MA0DEMQ19R3101202509010930007QX4M2ZA";
    let other = format!("{body}{}", crate::tc609::code::check_character(body).unwrap());
    let id = |interface, changes: &[(&str, &str)]| {
        let mut it = of(interface);
        for (name, value) in changes {
            it[*name] = (*value).into();
        }
        tried(interface, &it).unwrap().own_id().unwrap()
    };
    for interface in [Interface::Abnormal, Interface::Proof] {
        assert_ne!(id(interface, &[]), id(interface, &[("contractId", &other)]), "{interface:?}");
    }
    let instance = |strategy: &str, version: &str| {
        id(Interface::Strategy, &[("strategyId", strategy), ("strategyVersion", version)])
    };
    assert_ne!(instance("a b", "c"), instance("a", "b c"));
    let Message::Proof { of, .. } = tried(Interface::Proof, &of(Interface::Proof)).unwrap() else {
        panic!("a proof")
    };
    assert!(instance(&of.strategy, "1").starts_with(&of.prefix()));
    assert!(!instance(&format!("{} 1", of.strategy), "1").starts_with(&of.prefix()));
}

#[test]
fn wrong_values_are_named() {
    let other = json!({ "dataProductId": "691310000MA0DEMQ19R0026A7K2M9QXQ" });
    for (interface, path, value, said) in [
        (Interface::Create, "/endTime", json!("2025-09-01T09:30:00+08:00"), "endTime"),
        (Interface::Create, "/endTime", json!("2025-12-31T23:59:59"), "endTime"),
        (Interface::Create, "/endTime", json!("2025-12-31T23:59:59.5+08:00"), "whole seconds"),
        (Interface::Create, "/signMode", json!("03"), "signMode"),
        (Interface::Create, "/issuerId", json!(CONTRACT), "issuerId"),
        (Interface::Negotiate, "/contractId", json!(CONNECTOR), "contractId"),
        (Interface::Negotiate, "/strategy/policyType", json!("04"), "policyType"),
        (Interface::Negotiate, "/strategy/actions", json!([]), "actions"),
        (Interface::Negotiate, "/strategy", json!([]), "strategy"),
        (Interface::Registrate, "/strategy/0/subjectInfo", other, "dataProductEntityId"),
        (Interface::Registrate, "/signatoryEntities", json!([]), "signatoryEntities"),
        (
            Interface::Execution,
            "/executedStrategy/executedActions",
            json!(["fly away"]),
            "executedActions",
        ),
        (
            Interface::Execution,
            "/executedStrategy/executedActions",
            json!(["export"]),
            "executedActions",
        ),
        (Interface::Terminate, "/erminateType", json!("02"), "erminateType"),
        (Interface::Strategy, "/contractId", json!(CONTRACT.replace('W', "X")), "contractId"),
        (Interface::Strategy, "/strategyId", json!("x".repeat(37)), "strategyId"),
        (Interface::Feedback, "/result", json!("default"), "result"),
        (Interface::Feedback, "/details/operation", json!("fly"), "operation"),
        (Interface::Abnormal, "/triggeredBy", json!("consumer"), "triggeredBy"),
        (Interface::Abnormal, "/reason", json!("长".repeat(257)), "reason"),
    ] {
        let mut body = of(interface);
        *body.pointer_mut(path).unwrap() = value;
        let fault = tried(interface, &body).unwrap_err();
        assert_eq!(fault.code(), "message.malformed");
        assert!(fault.to_string().contains(said), "{path}: {fault}");
    }
    let two = json!([strategy(), {
        "subjectInfo": { "dataProductId": "691310000MA0DEMQ19R0026A7K2M9QXQ" },
        "executionNodeInfo": { "providerNodeId": CONNECTOR }, "actions": ["read"],
    }]);
    let mut body = of(Interface::Negotiate);
    body["strategy"] = two;
    assert!(tried(Interface::Negotiate, &body).unwrap_err().to_string().contains("subjectInfo"));
}

#[test]
fn a_signature_covers_everything_else() {
    let body = of(Interface::Create);
    let base = covered(body.to_string().as_bytes(), "signature").unwrap();
    for name in body.as_object().unwrap().keys() {
        let mut other = body.clone();
        other[name.as_str()] = json!("another");
        let same = covered(other.to_string().as_bytes(), "signature").unwrap() == base;
        assert_eq!(same, name == "signature", "{name}");
    }
    let terms = of(Interface::Negotiate).to_string();
    let Message::Negotiate { signatures, .. } =
        read(Interface::Negotiate, terms.as_bytes()).unwrap()
    else {
        panic!("no terms");
    };
    let (entity, at) = (&signatures[0].entity, signatures[0].at);
    let signed = confirmed(terms.as_bytes(), entity, at).unwrap();
    let later = at.after(std::time::Duration::from_secs(1));
    assert_ne!(confirmed(terms.as_bytes(), entity, later).unwrap(), signed);
    let other = terms.replace("\"5\"", "\"6\"");
    assert_ne!(confirmed(other.as_bytes(), entity, at).unwrap(), signed);
}

#[test]
fn a_call_is_signed_for_its_receiver_time_and_number() {
    let (me, other) = (
        NodeCode::parse(CONNECTOR).unwrap(),
        NodeCode::parse("491310000MA0DEMQ19R3101K3T8W5RDE").unwrap(),
    );
    assert!(other.is_service_node() && !me.is_service_node());
    assert_eq!((me.subject().unwrap().as_str(), me.region()), (OWNER, "3101"));
    let good = [Some("contractCreate"), Some("1.0.0"), Some("1756690200000"), Some("n-1")];
    let it = Envelope::read(Interface::Create, good).unwrap();
    let body = tidm_crypto::hash::sha256(b"{}");
    let signed = it.signed_bytes(&me, body);
    assert_ne!(it.signed_bytes(&other, body), signed);
    assert_ne!(it.signed_bytes(&me, tidm_crypto::hash::sha256(b"{ }")), signed);
    let long = "x".repeat(65);
    for (at, value) in [
        (0, Some("contractTerminate")),
        (0, None),
        (1, Some("2.0.0")),
        (2, Some("1756690200")),
        (2, Some("17566902000a0")),
        (3, Some("")),
        (3, Some("a b")),
        (3, Some(long.as_str())),
        (3, None),
    ] {
        let mut bad = good;
        bad[at] = value;
        let fault = Envelope::read(Interface::Create, bad).unwrap_err();
        assert_eq!(fault.code(), "tc609.envelope", "{value:?}");
    }
    let mut next = good;
    next[3] = Some("n-2");
    assert_ne!(Envelope::read(Interface::Create, next).unwrap().signed_bytes(&me, body), signed);
}

#[test]
fn terms_carry_the_contracts_validity() {
    let Message::Negotiate { terms, .. } =
        tried(Interface::Negotiate, &of(Interface::Negotiate)).unwrap()
    else {
        panic!("no terms");
    };
    let until = Time::parse("2025-12-31T23:59:59+08:00").unwrap();
    let listed = Policy::new(Id::parse("urn:offer:1").unwrap(), PolicyKind::Offer);
    let policy = offered(&terms.document(until), &listed).unwrap();
    assert_eq!(policy.id, listed.id);
    let summary = compile(&policy).unwrap().summary;
    assert_eq!((summary.uses, summary.until), (Some(5), Some(until)));
    // Said back and read again it is the same: an end that is there is not said twice.
    let frame = Frame { signatories: frame().signatories, ..terms.document(until).frame };
    let (document, _) = to_tc609(&policy, &frame).unwrap();
    assert!(offered(&document, &listed).unwrap().same_terms(&policy));
    // What nobody here can keep is refused by its name.
    let mut body = of(Interface::Negotiate);
    body["strategy"]["actions"] = json!(["read", "desensitize"]);
    let Message::Negotiate { terms, .. } = tried(Interface::Negotiate, &body).unwrap() else {
        panic!("no terms");
    };
    let policy = offered(&terms.document(until), &listed).unwrap();
    let refused = compile(&policy).unwrap_err();
    assert!(refused.iter().any(|it| it.term == "tc609:desensitize"), "{refused:?}");
}

#[test]
fn answers_are_read_as_they_were_written() {
    for interface in Interface::ALL {
        let more = json!({ "contractId": CONTRACT }).as_object().cloned().unwrap();
        let done = answer::read(interface, answer::write(interface, true, more).as_bytes());
        let done = done.unwrap();
        assert!(done.done && done.code.is_none());
        assert_eq!(done.body["contractId"], CONTRACT);
        let why = Fault::refused("policy.unknown-terms", "tc609:alert");
        let said = answer::read(interface, answer::refused(interface, &why).as_bytes()).unwrap();
        assert!(!said.done && said.message.unwrap().contains("tc609:alert"));
        assert_eq!(said.code.as_deref(), Some("policy.unknown-terms"));
    }
    for bad in ["{}", "{\"status\":0}", "{\"status\":\"2\"}", "[]", "{\"status\":\"0\",\"code\":1}"]
    {
        assert!(answer::read(Interface::Query, bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_product_has_one_code_under_each_connector() {
    let owner = NodeCode::parse(CONNECTOR).unwrap();
    let id = uuid::Uuid::parse_str("0190b6a0-0000-7000-8000-000000000001").unwrap();
    let code = ProductCode::of_uuid(&owner, id).unwrap();
    assert_eq!(code.as_str().chars().count(), 65);
    assert_eq!(code.uuid(), Some(id));
    assert_eq!(ProductCode::parse(code.as_str()), Ok(code.clone()));
    let plain =
        ProductCode::parse("691310000MA0DEMQ19R0026A7K2M9QXQ•1215202502281BH95JZY").unwrap();
    assert_eq!(plain.uuid(), None);
}
