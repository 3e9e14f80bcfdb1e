//! Documents of strangers: refused with the field that is wrong, never a panic.

use super::*;
use crate::limits::{MESSAGE_BYTES, TC609_VALUE_BYTES};

fn with(path: &str, value: Json) -> Json {
    let mut it: Json = serde_json::from_str(FIXTURES[1].1).unwrap();
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = it.pointer_mut(parent).unwrap();
    match parent {
        Json::Object(map) => {
            map.insert(name.to_owned(), value);
        }
        Json::Array(all) => all[name.parse::<usize>().unwrap()] = value,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => panic!("{path}"),
    }
    it
}

#[test]
fn wrong_fields_are_named() {
    let item = "/contractPolicies/permissionPolicies/0";
    let long = |n: usize| Json::from("长".repeat(n));
    for (path, value, said) in [
        (
            "/contractId".to_owned(),
            json!("8491310000MA0DEMQ19R3101202509010930007QX4M2ZBX"),
            "check character",
        ),
        ("/contractId".to_owned(), json!({"@value": "x"}), "contractId"),
        ("/contractName".to_owned(), long(129), "contractName"),
        ("/contractName".to_owned(), json!("a\u{7}"), "contractName"),
        ("/contractAbstract".to_owned(), long(1025), "contractAbstract"),
        ("/contractStatus".to_owned(), json!("04"), "contractStatus"),
        ("/contractStatus".to_owned(), json!(5), "contractStatus"),
        ("/signMode".to_owned(), json!("03"), "signMode"),
        ("/signTime".to_owned(), json!("2025-09-02T08:00:00+08:00"), "signTime"),
        ("/signTime".to_owned(), json!("20250931080000"), "signTime"),
        ("/signTime".to_owned(), json!("20250801080000"), "validity"),
        ("/indate".to_owned(), json!("20250901000000"), "validity"),
        ("/indate".to_owned(), Json::Null, "indate"),
        ("/strange".to_owned(), json!(1), "strange"),
        ("/expansionItem".to_owned(), json!("text"), "expansionItem"),
        ("/signatoryEntities".to_owned(), json!([]), "signatory"),
        (
            "/signatoryEntities/1/signatoryEntityId".to_owned(),
            json!("91310000MA0DEMQ19R"),
            "signatory twice",
        ),
        ("/signatoryEntities/1/signatorytype".to_owned(), json!("05"), "signatorytype"),
        (
            "/signatoryEntities/1".to_owned(),
            json!({"signatoryEntityId": "91110000600037341L", "signatorytype": "02"}),
            "signature of every",
        ),
        ("/contractPolicies/permissionPolicies".to_owned(), json!({}), "permissionPolicies"),
        ("/contractPolicies/others".to_owned(), json!([]), "others"),
        (format!("{item}/actions"), json!([]), "actions"),
        (format!("{item}/actions"), json!(["read", "read"]), "action twice"),
        (format!("{item}/actions"), json!(["read it"]), "actions"),
        (format!("{item}/actions"), json!([{"expansionItem": "x"}]), "actions"),
        (format!("{item}/actions"), json!([{"expansionItem": {"action": ""}, "x": 1}]), "actions"),
        (format!("{item}/constraints/0/constraintOperator"), json!("13"), "constraintOperator"),
        (format!("{item}/constraints/0/constraintName"), json!("not a name"), "constraintName"),
        (format!("{item}/constraints/0/constraintValue"), json!(100), "texts"),
        (
            format!("{item}/constraints/0/constraintValue"),
            long(TC609_VALUE_BYTES / 3 + 1),
            "constraintValue",
        ),
        (format!("{item}/constraints/0/more"), json!("x"), "more"),
        (format!("{item}/policyExpansion"), json!({"priorDuty": ["delete"]}), "policyExpansion"),
        (format!("{item}/subjectInfo/dataProductName"), json!("另一名称"), "subjectInfo"),
        (
            format!("{item}/subjectInfo/dataProductId"),
            json!("591310000MA0DEMQ19R31011BH95JZY4"),
            "dataProductId",
        ),
        (
            format!("{item}/executionNodeInfo/providerNodeId"),
            json!("691310000MA0DEMQ19R0026A7K2M9QXQ"),
            "providerNodeId",
        ),
        (format!("{item}/executionNodeInfo/assignerId"), json!("x"), "assignerId"),
    ] {
        let fault = parse(with(&path, value).to_string().as_bytes()).unwrap_err();
        assert_eq!(fault.code(), "message.malformed");
        assert!(fault.to_string().contains(said), "{path}: {fault}");
    }
}

#[test]
fn too_much_of_anything_is_refused() {
    let item = serde_json::from_str::<Json>(FIXTURES[1].1).unwrap()["contractPolicies"]["permissionPolicies"][0].clone();
    let constraint = item["constraints"][0].clone();
    let signatory = json!({"signatoryEntityId": "91110000600037341L", "signatorytype": "02"});
    let names = |n: usize| (0..n).map(|i| Json::from(format!("act{i}"))).collect::<Json>();
    for (path, value) in [
        ("/contractPolicies/permissionPolicies", Json::from(vec![item.clone(); 65])),
        ("/contractPolicies/permissionPolicies", Json::from(vec![item; 63])),
        ("/contractPolicies/permissionPolicies/0/constraints", Json::from(vec![constraint; 65])),
        ("/contractPolicies/permissionPolicies/0/actions", names(33)),
        ("/signatoryEntities", Json::from(vec![signatory; 33])),
        ("/expansionItem", json!({"x": "x".repeat(TC609_VALUE_BYTES)})),
    ] {
        assert!(parse(with(path, value).to_string().as_bytes()).is_err(), "{path}");
    }
    assert!(parse(&vec![b' '; MESSAGE_BYTES + 1]).is_err());
    assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    let twice = FIXTURES[1].1.replacen("\"signMode\"", "\"signMode\": \"01\", \"signMode\"", 1);
    assert!(parse(twice.as_bytes()).is_err());
}

#[test]
fn duties_that_are_not_ours_stay_text() {
    let deep = |n: usize| {
        let inner = (0..n)
            .fold(json!(["delete"]), |it, _| json!([{"actions": ["delete"], "liability": it}]));
        json!({ "priorDuty": inner }).to_string()
    };
    for (text, duty) in [
        (json!({"priorDuty": ["desensitize"]}).to_string(), true),
        (deep(2), true),
        (deep(3), false),
        (deep(50), false),
        (json!({"remedy": ["delete"]}).to_string(), false),
        (json!({"priorDuty": []}).to_string(), false),
        (json!({"priorDuty": ["delete", 1]}).to_string(), false),
        (json!({"priorDuty": [{"actions": ["delete"], "why": 1}]}).to_string(), false),
        (json!({"priorDuty": [{"actions": ["delete", "delete"]}]}).to_string(), false),
        (json!({"priorDuty": ["delete"], "more": 1}).to_string(), false),
        ("{\"priorDuty\":[\"delete\"],\"priorDuty\":[]}".to_owned(), false),
        ("数据使用前脱敏".to_owned(), false),
    ] {
        let path = "/contractPolicies/permissionPolicies/0/policyExpansion";
        let document = parse(with(path, json!(text)).to_string().as_bytes()).unwrap();
        let said = document.permissions[0].clause.expansion.clone().unwrap();
        assert_eq!(matches!(said, Expansion::Duties(_)), duty, "{text}");
        let (policy, _) = from_tc609(&document).unwrap();
        assert_eq!(to_tc609(&policy, &document.frame).unwrap().0, document, "{text}");
        assert_eq!(policy.permissions[0].duties.is_empty(), !duty);
    }
}

#[test]
fn many_rules_of_many_duties_are_too_many() {
    let actions: Vec<Json> = (0..32).map(|i| Json::from(format!("act{i}"))).collect();
    let expansion = json!({"priorDuty": [{"actions": actions}]}).to_string();
    let path = "/contractPolicies/permissionPolicies/0";
    let mut it = with(&format!("{path}/actions"), json!(actions));
    it.pointer_mut(path).unwrap()["policyExpansion"] = expansion.into();
    let document = parse(it.to_string().as_bytes()).unwrap();
    assert_eq!(from_tc609(&document), Err(TooMany));
}

proptest! {
    #[test]
    fn a_damaged_document_is_read_or_refused(which in 0..3_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = FIXTURES[which].1.as_bytes().to_vec();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at); } else { bytes[at] = byte; }
        if let Ok(document) = parse(&bytes) {
            let again = parse(to_json(&document).to_string().as_bytes());
            prop_assert_eq!(again.as_ref(), Ok(&document));
            let (policy, losses) = from_tc609(&document).unwrap();
            let (back, _) = to_tc609(&policy, &document.frame).unwrap();
            prop_assert!(back == document || losses.iter().any(|it| it.term.ends_with("Policies")));
        }
    }
}
